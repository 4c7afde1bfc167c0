//! Pictures enlarged by networks of their own, or by Lanczos: what JavaScript asks for, and what it gets.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;

use super::browser::{self, get, set};
use super::device::Device;
use super::request::{self, rgba};
use super::values;
use crate::Result;
use crate::image::{MadeOf, Rgba, XMP, encode_png};
use crate::pipeline::{Cancel, Enlarger, Progress, Tiling, by_lanczos};

/// A network's file: `{ key, name, read }`.
pub(super) struct NetworkFile {
    /// The same for the same file.
    pub key: String,
    name: String,
    /// Promises the file's bytes.
    read: JsValue,
}

impl NetworkFile {
    /// Reads one, or nothing where there is no key.
    pub fn of(value: &JsValue) -> Result<Option<NetworkFile>> {
        let key = request::text(value, "key")?;
        let (name, read) = (request::text(value, "name")?, get(value, "read"));
        Ok((!key.is_empty()).then_some(NetworkFile { key, name, read }))
    }

    /// The network, on the device.
    pub async fn network(&self, device: &Device) -> Result<Enlarger> {
        device.enlarger(&self.name, &browser::read_bytes(&self.read, &self.name).await?).await
    }
}

/// What enlarges where there is no network.
const LANCZOS: &str = "Lanczos";

/// What is asked for: a network's file, or none, with `{ image, scale, tiling }`.
pub(super) struct Ask {
    pub file: Option<NetworkFile>,
    image: Rgba,
    scale: Option<f64>,
    tiling: Tiling,
}

impl Ask {
    pub fn of(value: &JsValue) -> Result<Ask> {
        let scale = request::optional(value, "scale")?;
        if scale.is_some_and(|scale| !(scale > 0.0 && scale.is_finite())) {
            return Err(request::invalid("scale", "must be a number above 0"));
        }
        let file = NetworkFile::of(value)?;
        if file.is_none() && scale.is_none() {
            return Err(request::invalid("scale", "must be given where no network enlarges"));
        }
        Ok(Ask {
            file,
            image: rgba(&get(value, "image"), "picture")?,
            scale,
            tiling: request::tiling(value)?,
        })
    }

    /// Enlarges the picture, by Lanczos where there is no network, and tells how far it is.
    pub async fn answer(
        &self,
        network: Option<&Enlarger>,
        cancel: &Cancel,
        on_event: &JsValue,
    ) -> Result<JsValue> {
        let [width, height] = [self.image.width, self.image.height];
        let times = |scale: f64| [width, height].map(|side| ((side as f64 * scale).round() as usize).max(1));
        let mut tell = |Progress { tile, tiles, share }: Progress| {
            let event = js_sys::Object::new().into();
            set(&event, "type", "tile");
            for (name, value) in [("tile", tile as f64), ("tiles", tiles as f64), ("share", share)] {
                set(&event, name, value);
            }
            browser::call(on_event, &event);
        };
        let size = self.scale.map(times);
        let larger = match network {
            Some(network) => network.enlarge(&self.image, size, self.tiling, &mut tell, cancel).await?,
            None => by_lanczos(&self.image, size.unwrap_or([width, height]), self.tiling)?,
        };
        let png = encode_png(&larger, &[(XMP, &MadeOf::Picture.xmp())])?;
        let answer = js_sys::Object::new().into();
        set(&answer, "images", Array::of1(&values::picture(&larger)));
        set(&answer, "png", Array::of1(&Uint8Array::from(png.as_slice())));
        set(&answer, "name", network.map_or(LANCZOS, Enlarger::name));
        set(&answer, "about", network.map_or_else(|| LANCZOS.into(), |network| network.config().describe()));
        let own = network.map(|network| network.config().scale() as f64);
        set(&answer, "scale", own.or(self.scale).unwrap_or(1.0));
        Ok(answer)
    }
}
