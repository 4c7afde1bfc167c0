//! Which part of a picture is drawn anew (inpainting).

use std::sync::Arc;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Filter, Rgba, blur, resize, same_shape};
use crate::pipeline::limits::{DEFAULT_MASK_BLUR, MAX_MASK_BLUR};

/// Which part of a picture is drawn anew, as diffusers' `StableDiffusionInpaintPipeline`.
#[derive(Debug, Clone)]
pub struct Mask {
    /// White is drawn anew, black and what is transparent stays; brought to the picture's size where it has another.
    pub image: Arc<Rgba>,
    /// How soft its edge is: the standard deviation of a Gaussian in pixels of the picture; 0 leaves it as it is.
    pub blur: f64,
    pub content: MaskedContent,
    /// How grey it is says how much of the run a place takes part in, not how much of what is drawn is seen there (E. Levin,
    /// O. Fried, "Differential Diffusion", <https://arxiv.org/abs/2306.00950>).
    pub differential: bool,
}

/// What is in the place of what is drawn anew before the run begins. A1111's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaskedContent {
    /// The picture.
    #[default]
    Original,
    /// The run's noise.
    Noise,
    /// Latents of 0.
    Zero,
    /// The colours around, blurred.
    Fill,
}

impl MaskedContent {
    pub const ALL: [MaskedContent; 4] =
        [MaskedContent::Original, MaskedContent::Noise, MaskedContent::Zero, MaskedContent::Fill];

    pub fn name(self) -> &'static str {
        match self {
            MaskedContent::Original => "original",
            MaskedContent::Noise => "noise",
            MaskedContent::Zero => "zero",
            MaskedContent::Fill => "fill",
        }
    }

    /// A1111's word for it in a picture's metadata.
    pub fn a1111_name(self) -> &'static str {
        match self {
            MaskedContent::Original => "original",
            MaskedContent::Noise => "latent noise",
            MaskedContent::Zero => "latent nothing",
            MaskedContent::Fill => "fill",
        }
    }

    /// The content of A1111's word.
    pub fn from_a1111_name(name: &str) -> Option<MaskedContent> {
        MaskedContent::ALL.into_iter().find(|content| content.a1111_name() == name)
    }
}

impl Mask {
    /// The usual way, of all of which something else can be asked.
    pub fn new(image: impl Into<Arc<Rgba>>) -> Mask {
        Mask {
            image: image.into(),
            blur: DEFAULT_MASK_BLUR,
            content: MaskedContent::default(),
            differential: false,
        }
    }

    pub(in crate::pipeline) fn check(&self, picture: [usize; 2], config: &ModelConfig) -> Result<()> {
        let invalid = |field, message| Err(Error::InvalidInput { field, message });
        if !(0.0..=MAX_MASK_BLUR).contains(&self.blur) {
            return invalid("mask_blur", format!("{} asked for, expected 0 to {MAX_MASK_BLUR}", self.blur));
        }
        let own = [self.image.width, self.image.height];
        if !same_shape(own, picture) {
            let [[wide, high], [width, height]] = [own, picture];
            let message = format!(
                "it has {wide}×{high} pixels, another shape than the picture's {width}×{height}; give one of that size, or of \
                 that shape"
            );
            return invalid("mask", message);
        }
        if self.differential && config.is_inpainting() {
            let message = format!("{} reads the mask by itself, as black or white", config.name);
            return invalid("differential", message);
        }
        Ok(())
    }

    /// `[height, width]` of a picture of that size: 255 is drawn anew.
    pub(in crate::pipeline) fn at_size(&self, size: [usize; 2]) -> Vec<u8> {
        let sized =
            resize(&self.image.light(), 1, [self.image.width, self.image.height], size, Filter::Triangle);
        blur(&sized, size, self.blur)
    }
}
