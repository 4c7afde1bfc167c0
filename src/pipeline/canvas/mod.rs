//! What a run that begins from a picture is drawn on: which part of the picture, at which size, what of it is drawn anew, and
//! how what was drawn comes back into it.
//!
//! The picture, with more room on its sides where [`Extend`] asks for it, and in it a [`Region`] which a [`Placement`] lays on the canvas, as large as the request; a [`Mask`] says what is
//! drawn anew there. What is finished is lifted off the canvas again, and pasted where the region was.

mod extend;
mod fill;
mod mask;
mod region;

use std::borrow::Cow;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Filter, Placement, Resize, Rgba, resize};

use super::picture::{Picture, opaque, planes};
use super::request::Request;
pub use extend::Extend;
use fill::filled;
pub use mask::{Mask, MaskedContent};
use region::Region;

/// The picture of a request where it is drawn, and which part of it.
pub(super) struct Canvas<'a> {
    /// As large as what is finished.
    picture: Cow<'a, Rgba>,
    /// What of the picture is on the canvas.
    region: Region,
    /// Where it lies there.
    placement: Placement,
    masked: Option<Masked>,
}

/// A mask at every size at which it is read.
struct Masked {
    content: MaskedContent,
    differential: bool,
    /// At the picture's own, `[height, width]`: what lies beyond the canvas stays as it was.
    own: Vec<u8>,
    /// On the canvas, `[height, width]`.
    canvas: Vec<u8>,
    /// Of the latents, `[h, w]` from 0 to 1: as much as the mask has anywhere in the pixels of each.
    latents: Vec<f32>,
}

impl<'a> Canvas<'a> {
    /// The canvas of a request that begins from a picture; refuses a mask that leaves nothing to draw.
    pub fn new(request: &'a Request, config: &ModelConfig) -> Result<Option<Canvas<'a>>> {
        let Some(picture) = &request.picture else { return Ok(None) };
        let size = picture.size();
        let canvas = [request.width, request.height];
        let own = picture.masked();
        let masked = picture.only_masked.zip(own.as_ref());
        let masked = masked.and_then(|(padding, own)| Region::around(own, size, padding));
        let (region, resize) = match masked {
            // As A1111: where the picture ends before the canvas does, its edges go on.
            Some(region) => (region.in_shape_of(canvas, size), Resize::Fill),
            None => (Region::whole(size), picture.resize),
        };
        let placement = Placement::new(region.size, canvas, resize);
        let masked = own.map(|own| Masked::new(picture, own, region, &placement, config.vae.scale()));
        if masked.as_ref().is_some_and(|masked| masked.own.iter().all(|value| *value == 0)) {
            let message =
                "nothing of it is white where the picture is drawn; make white what shall be drawn anew";
            return Err(Error::InvalidInput { field: "mask", message: message.to_string() });
        }
        let picture = match &picture.extend {
            // Other noise than that of the latents.
            Some(extend) => {
                Cow::Owned(extend.grown(&picture.image, &mut request.rng.generator(!request.seed)))
            }
            None => Cow::Borrowed(&*picture.image),
        };
        Ok(Some(Canvas { picture, region, placement, masked }))
    }

    /// What the caller should know of the mask.
    pub fn notice(&self) -> Option<String> {
        let masked = self.masked.as_ref()?;
        masked.own.iter().all(|value| *value == 255).then(|| {
            "The mask is white everywhere, so nothing of the picture stays as it was; make black what shall stay, or leave the \
             mask out."
                .to_string()
        })
    }

    /// The mask of latents `[h, w]`, where there is one.
    pub fn mask(&self) -> Option<&[f32]> {
        self.masked.as_ref().map(|masked| masked.latents.as_slice())
    }

    /// What of the latents `[h, w]` is taken from a run after its step `step` of `steps`; the rest is the picture's.
    pub fn drawn_after(&self, step: usize, steps: usize) -> Vec<f32> {
        let Some(Masked { differential, latents, .. }) = &self.masked else { return Vec::new() };
        if !differential {
            return latents.clone();
        }
        let done = (step + 1) as f32 / steps as f32;
        let drawn = |m: &f32| if step + 1 == steps { *m > 0.0 } else { 1.0 - m <= done };
        latents.iter().map(|m| f32::from(u8::from(drawn(m)))).collect()
    }

    /// What the autoencoder is given, `[3, height, width]` in [-1, 1].
    pub fn planes(&self) -> Vec<f32> {
        let mut rgb = self.rgb();
        if let Some(Masked { content: MaskedContent::Fill, canvas, .. }) = &self.masked {
            rgb = filled(&rgb, canvas, self.placement.canvas);
        }
        planes(&rgb)
    }

    /// The same without what is drawn anew: 0 is there.
    pub fn planes_around(&self) -> Vec<f32> {
        let mut planes = planes(&self.rgb());
        let hidden = self.masked.iter().flat_map(|masked| masked.canvas.iter().enumerate());
        let pixels = planes.len() / 3;
        for (at, _) in hidden.filter(|(_, value)| **value >= HALF) {
            (0..3).for_each(|c| planes[c * pixels + at] = 0.0);
        }
        planes
    }

    fn rgb(&self) -> Vec<u8> {
        self.placement.laid(&opaque(&self.region.of(&self.picture)), 3, Filter::Lanczos)
    }

    /// What is drawn anew on it, `[height, width]`, where that is a part.
    pub fn white(&self) -> Option<&[u8]> {
        self.masked.as_ref().map(|masked| masked.canvas.as_slice())
    }

    /// Width and height of the whole picture.
    pub fn whole(&self) -> [usize; 2] {
        [self.picture.width, self.picture.height]
    }

    /// Width and height of what is drawn on.
    pub fn size(&self) -> [usize; 2] {
        self.placement.canvas
    }

    /// What of another view of the whole picture lies on the canvas, RGB `[height, width, 3]`; none where all of it does.
    pub fn part(&self, view: &Rgba) -> Option<Vec<u8>> {
        let size = self.whole();
        if self.region == Region::whole(size) {
            return None;
        }
        let pixels = resize(&view.pixels, 4, [view.width, view.height], size, Filter::Lanczos);
        let view = Rgba { width: size[0], height: size[1], pixels };
        Some(self.placement.laid(&opaque(&self.region.of(&view)), 3, Filter::Lanczos))
    }

    /// Clean latents `[batch, c, h, w]` that a run begins from, of those of the picture and the run's noise.
    pub fn content(&self, latents: &[f32], noise: &[f32]) -> Vec<f32> {
        let share = match self.masked.as_ref().map(|masked| masked.content) {
            Some(MaskedContent::Noise) => 1.0,
            Some(MaskedContent::Zero) => 0.0,
            Some(MaskedContent::Original | MaskedContent::Fill) | None => return latents.to_vec(),
        };
        let mask = self.mask().unwrap_or_default();
        let pairs = latents.iter().zip(noise).zip(mask.iter().cycle());
        pairs.map(|((x, z), m)| x * (1.0 - m) + share * z * m).collect()
    }

    /// What of the latents a UNet that reads the mask is told to draw, `[h, w]`: 0 or 1.
    pub fn told(&self, scale: usize) -> Vec<f32> {
        let Some(Masked { canvas, .. }) = &self.masked else { return Vec::new() };
        let [width, _] = self.placement.canvas;
        most(canvas, width, scale).into_iter().map(|value| f32::from(u8::from(value >= HALF))).collect()
    }

    /// What was drawn as the caller gets it: with a mask the picture at its own size, of which only that part is new.
    pub fn finished(&self, drawn: Rgba) -> Result<Rgba> {
        let Some(Masked { own, .. }) = &self.masked else { return Ok(drawn) };
        let (picture, region) = (&self.picture, self.region);
        let lifted = self.placement.lifted(&drawn.pixels, &region.of(picture));
        let mut pixels = picture.pixels.clone();
        for (new, at) in lifted.chunks_exact(4).zip(region.places(picture.width)) {
            let share = u32::from(own[at]);
            let between = |old: u8, new: u8| {
                ((u32::from(old) * (255 - share) + u32::from(new) * share + 127) / 255) as u8
            };
            let pixel = &mut pixels[at * 4..at * 4 + 4];
            pixel.iter_mut().zip(new).for_each(|(old, new)| *old = between(*old, *new));
        }
        Rgba::new(picture.width, picture.height, pixels)
    }
}

/// From here on a mask that knows only black and white is white.
const HALF: u8 = 128;

impl Masked {
    /// The mask of a picture at its size, of which a region lies on the canvas.
    fn new(
        picture: &Picture,
        mut own: Vec<u8>,
        region: Region,
        placement: &Placement,
        scale: usize,
    ) -> Masked {
        let [width, _] = picture.size();
        for (at, value) in own.iter_mut().enumerate().filter(|(_, value)| **value > 0) {
            if !region.within([at % width, at / width]).is_some_and(|place| placement.shows(place)) {
                *value = 0;
            }
        }
        let part: Vec<u8> = region.places(width).map(|at| own[at]).collect();
        let canvas = placement.laid(&part, 1, Filter::Triangle);
        let latents = most(&canvas, placement.canvas[0], scale);
        let latents = latents.into_iter().map(|value| f32::from(value) / 255.0).collect();
        let (content, differential) =
            picture.mask.as_ref().map_or_else(Default::default, |mask| (mask.content, mask.differential));
        Masked { content, differential, own, canvas, latents }
    }
}

/// The largest of each square of `scale` pixels of values `[height, width]`.
fn most(values: &[u8], width: usize, scale: usize) -> Vec<u8> {
    let mut largest = vec![0; values.len() / (scale * scale)];
    for (at, value) in values.iter().enumerate() {
        let cell = &mut largest[at / width / scale * (width / scale) + at % width / scale];
        *cell = (*cell).max(*value);
    }
    largest
}

#[cfg(test)]
mod tests;
