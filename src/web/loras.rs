//! LoRAs that a request names: read when one is first asked for, and merged into the model in use.

use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::browser::{self, get};
use super::error::to_js;
use super::request::{self, invalid};
use super::values::plain;
use crate::pipeline::networks;
use crate::prompt::{Dialect, lora_tags, without_comments};
use crate::weights::{Asked, During, LoraFile, Moment, Strength, read_embedding};
use crate::{Error, Result};

/// The largest file that is taken, in bytes: it is held in the module's memory while it is in use.
const LARGEST: f64 = (1u64 << 30) as f64;

/// One that a request names: `{ key, name, bytes, weight, textWeight, blocks, start, stop, read }`.
pub(super) struct LoraAsk {
    /// The same for the same file.
    key: String,
    name: String,
    bytes: f64,
    strength: Strength,
    /// Promises the file's bytes.
    read: JsValue,
}

/// What is merged into a model, as it is told apart.
pub(super) type Merging = Vec<(String, Strength)>;

/// Files that are in use, by their keys.
#[derive(Default)]
pub(super) struct Files(Vec<(String, Rc<LoraFile>)>);

impl LoraAsk {
    /// Those of a request.
    pub fn all(value: &JsValue) -> Result<Vec<LoraAsk>> {
        let listed = get(value, "loras");
        if listed.is_undefined() {
            return Ok(Vec::new());
        }
        Array::from(&listed).iter().map(|value| LoraAsk::of(&value)).collect()
    }

    fn of(value: &JsValue) -> Result<LoraAsk> {
        let weight = |name, usual: f64| match request::optional(value, name)? {
            Some(weight) if !weight.is_finite() => {
                Err(invalid("loras", format!("{name} is {weight}, expected a number")))
            }
            given => Ok(given.unwrap_or(usual)),
        };
        let unet = weight("weight", 1.0)?;
        let blocks = get(value, "blocks");
        let blocks: Vec<f64> = match blocks.is_undefined() {
            true => Vec::new(),
            false => Array::from(&blocks).iter().filter_map(|weight| weight.as_f64()).collect(),
        };
        if !matches!(blocks.len(), 0 | 26) || blocks.iter().any(|weight| !weight.is_finite()) {
            return Err(invalid("loras", format!("blocks are {} numbers, expected 26", blocks.len())));
        }
        let moment = |name| match request::optional(value, name)? {
            None | Some(0.0) => Ok(None),
            Some(number) => Moment::of(number).map(Some).ok_or_else(|| {
                let message = format!("{name} is {number}, expected a step from 1 on or a share below 1");
                invalid("loras", message)
            }),
        };
        let during = During { start: moment("start")?, end: moment("stop")? };
        Ok(LoraAsk {
            key: request::text(value, "key")?,
            name: request::text(value, "name")?,
            bytes: request::optional(value, "bytes")?.unwrap_or(0.0),
            strength: Strength { unet, text: weight("textWeight", unet)?, blocks, during },
            read: get(value, "read"),
        })
    }

    /// As what is merged is told apart.
    pub fn merging(asks: &[LoraAsk]) -> Merging {
        asks.iter().map(|ask| (ask.key.clone(), ask.strength.clone())).collect()
    }

    /// A prompt without the tags that name these.
    pub fn without(asks: &[LoraAsk], prompt: &str) -> String {
        match asks {
            [] => prompt.to_string(),
            asks => networks::without(prompt, |name| asks.iter().any(|ask| ask.name == name)),
        }
    }
}

impl Files {
    /// The files that are asked for, each read once; the others are let go of.
    pub async fn take(&mut self, asks: &[LoraAsk]) -> Result<Vec<Asked>> {
        self.0.retain(|(key, _)| asks.iter().any(|ask| ask.key == *key));
        let mut asked = Vec::new();
        for LoraAsk { key, name, bytes, strength, read } in asks {
            let file = match self.0.iter().find(|(held, _)| held == key) {
                Some((_, file)) => file.clone(),
                None => {
                    if *bytes > LARGEST {
                        let message = format!("{name} has {:.1} GB; one of up to 1 GB is taken", bytes / 1e9);
                        return Err(invalid("loras", message));
                    }
                    let bytes = browser::read_bytes(read, name).await?;
                    let file = Rc::new(LoraFile::of_bytes(name, bytes)?);
                    self.0.push((key.clone(), file.clone()));
                    file
                }
            };
            asked.push(Asked { file, strength: strength.clone() });
        }
        Ok(asked)
    }
}

/// What the file of a network says of itself, from its beginning (as much as its header takes; all of a small one) and its
/// length.
#[wasm_bindgen(js_name = aboutNetwork)]
pub fn about_network(
    name: &str,
    beginning: &Uint8Array,
    bytes: f64,
) -> std::result::Result<JsValue, JsValue> {
    let beginning = beginning.to_vec();
    let as_lora = LoraFile::about_of(name, &beginning, bytes as u64).map(|about| {
        let about = plain(&about);
        browser::set(&about, "kind", "lora");
        about
    });
    let Err(error @ Error::OtherFile { kind: Some("embedding"), .. }) = as_lora else {
        return as_lora.map_err(to_js);
    };
    if beginning.len() as f64 != bytes {
        return Err(to_js(error)); // longer than any
    }
    let embedding = read_embedding(name, &beginning).map_err(to_js)?;
    let about = js_sys::Object::new().into();
    browser::set(&about, "kind", "embedding");
    browser::set(&about, "token", embedding.token.as_deref().map_or(JsValue::NULL, JsValue::from));
    browser::set(&about, "vectors", embedding.vectors() as f64);
    browser::set(&about, "width", embedding.width as f64);
    Ok(about)
}

/// The networks that a prompt of a dialect names: `{ name, weight, textWeight, blocks, start, stop }` each.
#[wasm_bindgen(js_name = networksIn)]
pub fn networks_in(prompt: &str, dialect: &str) -> JsValue {
    let list = Array::new();
    let read = if dialect == Dialect::A1111.name() { without_comments(prompt) } else { prompt.to_string() };
    for tag in lora_tags(&read) {
        let strength = networks::strength(&tag);
        let one = js_sys::Object::new().into();
        browser::set(&one, "name", tag.name.as_str());
        browser::set(&one, "weight", strength.unet);
        browser::set(&one, "textWeight", strength.text);
        for (name, moment) in [("start", strength.during.start), ("stop", strength.during.end)] {
            if let Some(moment) = moment {
                browser::set(&one, name, moment.number());
            }
        }
        if !strength.blocks.is_empty() {
            browser::set(
                &one,
                "blocks",
                strength.blocks.iter().map(|weight| JsValue::from(*weight)).collect::<Array>(),
            );
        }
        list.push(&one);
    }
    list.into()
}
