//! A picture that a run begins from, and what is asked of it.

use std::sync::Arc;

use super::canvas::{Extend, Mask, MaskedContent};
use super::control::a1111_resize;
use super::limits::{MAX_PADDING, SIZE_RANGE, SIZE_STEP};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Resize, Rgba};

/// What is asked of a picture in its metadata, in A1111's words.
pub(super) const MASK_BLUR: &str = "Mask blur";
pub(super) const MASKED_CONTENT: &str = "Masked content";
pub(super) const PADDING: &str = "Masked area padding";
/// How it was brought to the size, where that was not by just resizing. A1111 knows the words and does not write them.
pub(super) const RESIZE_MODE: &str = "Resize mode";
/// How far it grew on the left, the top, the right and the bottom, for which A1111 has no word.
pub(super) const EXTEND: &str = "Extended by";
pub(super) const OVERLAP: &str = "Extension overlap";
/// What of the picture is drawn: all of it where nothing is said.
pub(super) const AREA: &str = "Inpaint area";
pub(super) const ONLY_MASKED: &str = "Only masked";

/// A picture that a run begins from (img2img), as diffusers' `StableDiffusionImg2ImgPipeline`.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Of any size; what is transparent shows white.
    pub image: Arc<Rgba>,
    /// How much of the run is taken, above 0 to 1: the last `strength · steps` of its steps, rounded down.
    pub strength: f64,
    /// All the steps asked for are taken, as the last ones of a run of `steps / strength` (A1111's "exactly the amount of
    /// steps the slider specifies").
    pub exact_steps: bool,
    /// How it is brought to the size of the request.
    pub resize: Resize,
    pub encode: Encode,
    /// Only a part of it is drawn anew. Its result has the picture's own size.
    pub mask: Option<Mask>,
    /// It grows on its sides, and the new part is drawn; its result has that size then.
    pub extend: Option<Extend>,
    /// Of the picture only what is masked is on the canvas, with so many pixels more on each side, in the shape of the request
    /// and at its size (A1111's "Only masked").
    pub only_masked: Option<usize>,
}

/// What is taken of the distribution that an encoder gives; a tiny autoencoder gives latents at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encode {
    /// A sample, which the seed's generator draws before anything else: as in diffusers.
    #[default]
    Sample,
    Mean,
}

impl Encode {
    pub const ALL: [Encode; 2] = [Encode::Sample, Encode::Mean];

    pub fn name(self) -> &'static str {
        match self {
            Encode::Sample => "sample",
            Encode::Mean => "mean",
        }
    }
}

/// The steps that are taken: of a run of `total` those from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub total: usize,
    pub first: usize,
}

impl Taken {
    /// The last ones of a run: so much of `steps`, or all of these where they are to be `exact`, as A1111 counts.
    pub(super) fn last(steps: usize, strength: f64, exact: bool) -> Taken {
        // As A1111: a strength of 1 is a little less there.
        const MOST: f64 = 0.999;
        if exact {
            let total = ((steps as f64 / strength.min(MOST)) as usize).max(steps);
            return Taken { total, first: total - steps };
        }
        Taken { total: steps, first: steps - ((steps as f64 * strength) as usize).min(steps) }
    }

    /// How many.
    pub fn count(self) -> usize {
        self.total - self.first
    }
}

impl Picture {
    /// The usual way, of all of which something else can be asked.
    pub fn new(image: impl Into<Arc<Rgba>>, strength: f64) -> Picture {
        Picture {
            image: image.into(),
            strength,
            exact_steps: false,
            resize: Resize::default(),
            encode: Encode::default(),
            mask: None,
            extend: None,
            only_masked: None,
        }
    }

    /// What is taken where `steps` are asked for.
    pub fn taken(&self, steps: usize) -> Taken {
        Taken::last(steps, self.strength, self.exact_steps)
    }

    /// Refuses what cannot be done with it.
    pub(super) fn check(&self, steps: usize, most: usize, config: &ModelConfig) -> Result<()> {
        let size = [self.image.width, self.image.height];
        self.mask.iter().try_for_each(|mask| mask.check(size, config))?;
        self.extend.iter().try_for_each(|extend| extend.check(size))?;
        self.check_only_masked()?;
        check_taken(steps, (self.strength, self.exact_steps), most)
    }

    /// What of it stands in a picture's metadata beside the strength, in A1111's words.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        if self.resize != Resize::default() {
            fields.push((RESIZE_MODE, a1111_resize(self.resize).to_string()));
        }
        if let Some(blur) = self.mask.as_ref().map(|mask| mask.blur).filter(|blur| *blur > 0.0) {
            fields.push((MASK_BLUR, blur.to_string()));
        }
        if let Some(padding) = self.only_masked {
            fields.extend([(AREA, ONLY_MASKED.to_string()), (PADDING, padding.to_string())]);
        }
        let content = self.mask.as_ref().map(|mask| mask.content);
        if let Some(content) = content.filter(|content| *content != MaskedContent::default()) {
            fields.push((MASKED_CONTENT, content.a1111_name().to_string()));
        }
        if let Some(Extend { sides: [left, top, right, bottom], overlap }) = self.extend {
            fields.push((EXTEND, format!("{left},{top},{right},{bottom}")));
            fields.push((OVERLAP, overlap.to_string()));
        }
        fields
    }

    fn check_only_masked(&self) -> Result<()> {
        let message = match (self.only_masked, self.is_masked()) {
            (Some(_), false) => {
                "it is the masked part that is drawn at full size, and there is no mask; give one".to_string()
            }
            (Some(padding), _) if padding > MAX_PADDING => {
                format!("{padding} pixels around it asked for, expected 0 to {MAX_PADDING}")
            }
            _ => return Ok(()),
        };
        Err(Error::InvalidInput { field: "only_masked", message })
    }

    /// Width and height of what is drawn on, and of the result where only a part is drawn.
    pub fn size(&self) -> [usize; 2] {
        let size = [self.image.width, self.image.height];
        self.extend.map_or(size, |extend| extend.size(size))
    }

    /// Whether only a part of it is drawn.
    pub(super) fn is_masked(&self) -> bool {
        self.mask.is_some() || self.extend.is_some()
    }

    /// Which, `[height, width]` of [`size`](Self::size): 255 is drawn anew.
    pub(super) fn masked(&self) -> Option<Vec<u8>> {
        let size = [self.image.width, self.image.height];
        let mask = self.mask.as_ref().map(|mask| mask.at_size(size));
        match &self.extend {
            Some(extend) => Some(extend.mask(size, mask.as_deref())),
            None => mask,
        }
    }

    /// Whether the picture is encoded as it is: a UNet that reads what is around the mask has no use for it where it is noise.
    pub(super) fn is_encoded(&self, config: &ModelConfig) -> bool {
        !(config.is_inpainting() && self.is_noise())
    }

    /// Whether the run begins from noise alone all the same: all of it is taken, of a part of the picture.
    pub(super) fn is_noise(&self) -> bool {
        self.is_masked() && self.strength == 1.0
    }
}

/// Refuses a strength that leaves no step, or asks for more than there are.
pub(super) fn check_taken(steps: usize, (strength, exact): (f64, bool), most: usize) -> Result<()> {
    let invalid = |message| Err(Error::InvalidInput { field: "strength", message });
    if !(0.0..=1.0).contains(&strength) {
        return invalid(format!("{strength} asked for, expected more than 0, to 1"));
    }
    let taken = Taken::last(steps, strength, exact);
    if strength == 0.0 || taken.count() == 0 {
        return invalid(format!(
            "{strength} of {steps} steps is less than one, which leaves the picture as it is; raise it or the steps"
        ));
    }
    if taken.total > most {
        let total = taken.total;
        return invalid(format!(
            "{steps} steps at {strength} are the last of {total}, and there are {most}; raise it, or ask for fewer steps"
        ));
    }
    Ok(())
}

/// The size that a picture of so many pixels is drawn at where nothing is said of it: its proportions with about as many
/// pixels as the model was trained on, within what may be asked for.
pub fn size_for(config: &ModelConfig, picture: [usize; 2]) -> [usize; 2] {
    let [width, height] = config.native_size().map(|side| side as f64);
    let [wide, high] = picture.map(|side| side.max(1) as f64);
    let scale = (width * height / (wide * high)).sqrt();
    let step = SIZE_STEP.max(config.vae.scale());
    let side = |side: f64| {
        let steps = ((side * scale / step as f64).round() as usize).max(1);
        (steps * step).clamp(SIZE_RANGE.start().next_multiple_of(step), SIZE_RANGE.end() / step * step)
    };
    [side(wide), side(high)]
}

/// RGB `[height, width, 3]` of a picture before white.
pub(super) fn opaque(image: &Rgba) -> Vec<u8> {
    let over = |pixel: &[u8], c: usize| {
        let (value, alpha) = (u32::from(pixel[c]), u32::from(pixel[3]));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    image.pixels.chunks_exact(4).flat_map(|pixel| [0, 1, 2].map(|c| over(pixel, c))).collect()
}

/// RGB `[.., 3]` as planes `[3, ..]` in [-1, 1].
pub(super) fn planes(rgb: &[u8]) -> Vec<f32> {
    let plane = |c: usize| rgb.chunks_exact(3).map(move |pixel| f32::from(pixel[c]) / 127.5 - 1.0);
    (0..3).flat_map(plane).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn config() -> ModelConfig {
        ModelConfig::builtin("sd15").expect("built in")
    }

    pub fn picture(strength: f64, exact_steps: bool) -> Picture {
        let image = Rgba { width: 2, height: 1, pixels: vec![0, 0, 0, 255, 10, 20, 30, 0] };
        Picture { exact_steps, ..Picture::new(image, strength) }
    }

    /// diffusers' `int(steps * strength)`, and A1111's with and without its option.
    #[test]
    fn the_last_steps_are_taken() {
        for (strength, exact, steps, total, count) in [
            (0.75, false, 20, 20, 15),
            (1.0, false, 20, 20, 20),
            (0.35, false, 6, 6, 2),
            (0.29, false, 100, 100, 28), // 28.999999999999996
            (0.75, true, 20, 26, 20),
            (1.0, true, 20, 20, 20),
            (0.05, true, 20, 400, 20),
        ] {
            let taken = picture(strength, exact).taken(steps);
            assert_eq!((taken.total, taken.count()), (total, count), "{strength} of {steps}");
        }
    }

    #[test]
    fn a_strength_that_leaves_no_step_or_asks_for_too_many_is_refused() {
        let said = |strength, exact, steps| match picture(strength, exact).check(steps, 1000, &config()) {
            Err(Error::InvalidInput { field: "strength", message }) => message,
            other => panic!("{strength}: {other:?}"),
        };
        assert!(said(0.0, false, 20).contains("leaves the picture as it is"));
        assert!(said(0.0, true, 20).contains("leaves the picture as it is"));
        assert!(said(0.1, false, 9).contains("0.1 of 9 steps is less than one"));
        assert!(said(0.01, true, 20).contains("the last of 2000, and there are 1000"));
        assert!(said(1.1, false, 20).contains("expected more than 0, to 1"));
        assert!(said(f64::NAN, false, 20).contains("expected"));
        picture(0.1, false).check(10, 1000, &config()).unwrap();
    }

    #[test]
    fn a_picture_is_drawn_in_its_own_shape() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        assert_eq!(size_for(&config, [512, 512]), [512, 512]);
        assert_eq!(size_for(&config, [4000, 3000]), [592, 440]);
        assert_eq!(size_for(&config, [1, 1]), [512, 512]);
        assert_eq!(size_for(&config, [20_000, 10]), [2048, 32]);
        Ok(())
    }

    #[test]
    fn what_is_transparent_shows_white() {
        assert_eq!(opaque(&picture(0.5, false).image), [0, 0, 0, 255, 255, 255]);
        assert_eq!(planes(&[0, 255, 0, 0, 255, 255]), [-1.0, -1.0, 1.0, 1.0, -1.0, 1.0]);
    }
}
