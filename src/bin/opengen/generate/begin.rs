//! Options of `opengen generate` that say what a run begins from.

use std::path::{Path, PathBuf};

use opengen::config::ModelConfig;
use opengen::error::{Error, Result};
use opengen::image::Resize;
use opengen::pipeline::{
    DEFAULT_MASK_BLUR, DEFAULT_OVERLAP, DEFAULT_PADDING, Encode, Entry, Extend, Hires, Latents, Mask,
    MaskedContent, Picture, Upscaler,
};

use super::latents;
use crate::picture;

/// What is drawn on once it is drawn (hires fix).
#[derive(clap::Args, Clone)]
pub struct Second {
    #[arg(long, value_name = "SCALEx:STRENGTH", value_parser = hires, conflicts_with = "image", help = format!(
        "Draw small, enlarge, and draw on at the larger size (hires fix): so many times as wide and high, and how much of a run \
         that is, {} if it is left out", Hires::default().strength))]
    hires: Option<Hires>,
    /// Steps at the larger size, all of which are taken; as many as before if left out.
    #[arg(long, value_name = "STEPS", requires = "hires")]
    hires_steps: Option<usize>,
    #[arg(long, value_name = "NAME", default_value = Upscaler::default().name(), requires = "hires", value_parser = enlarges, help = format!(
        "What enlarges in between, the latents or the picture: {}, or the safetensors file of a network as `opengen upscale` takes \
         it", Upscaler::ALL.map(Upscaler::name).join(", ")))]
    hires_upscaler: Enlarges,
}

/// What enlarges between the passes.
#[derive(Clone)]
enum Enlarges {
    Kind(Upscaler),
    Network(PathBuf),
}

/// The name of a kind, or the path of a file.
fn enlarges(text: &str) -> std::result::Result<Enlarges, String> {
    match text.parse() {
        Ok(kind) => Ok(Enlarges::Kind(kind)),
        Err(_) if PathBuf::from(text).is_file() => Ok(Enlarges::Network(text.into())),
        Err(message) => Err(format!("{message}, and no file either")),
    }
}

impl Second {
    pub fn hires(&self) -> Option<Hires> {
        let upscaler = match &self.hires_upscaler {
            Enlarges::Kind(kind) => *kind,
            Enlarges::Network(_) => Upscaler::Lanczos,
        };
        self.hires.map(|hires| Hires { steps: self.hires_steps, upscaler, ..hires })
    }

    /// The file of the network that enlarges in between.
    pub fn network(&self) -> Option<&Path> {
        match &self.hires_upscaler {
            Enlarges::Network(path) => Some(path),
            Enlarges::Kind(_) => None,
        }
    }
}

/// What a run begins from instead of noise alone.
#[derive(clap::Args, Clone)]
pub struct Begin {
    /// Begin from this PNG instead of from pure noise (img2img).
    #[arg(long)]
    image: Option<PathBuf>,
    /// Begin from latents: the tensor `latents`, or `latents.STEP` of what `--dump` wrote, of this safetensors file. They are what
    /// enters the step of `--latents-step`, so that a run is gone on with; with `--strength` they are finished ones (the last of a
    /// dump) that are drawn on, as a picture would be. The size is theirs.
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    latents: Option<PathBuf>,
    /// The step that the latents enter, counted from 0: those before it are not taken.
    #[arg(long, value_name = "STEP", requires = "latents", conflicts_with = "strength")]
    latents_step: Option<usize>,
    #[arg(long, help = format!(
        "How much of the run is taken from the picture or the latents on, above 0 to 1: its last steps; of a picture {STRENGTH} if it \
         is left out"))]
    strength: Option<f64>,
    /// Take all the steps asked for, as the last ones of a longer run, and not only their share.
    #[arg(long)]
    exact_steps: bool,
    /// How a picture of another shape is brought to the size: just (stretched), crop (cut off) or fill (edges go on).
    #[arg(long, default_value = "just", value_parser = resize, requires = "image")]
    resize: Resize,
    /// What is taken of the latents that a picture may have: sample (drawn by the seed, as diffusers does it) or mean.
    #[arg(long, default_value = "sample", value_parser = encode, requires = "image")]
    encode: Encode,
    /// Draw only a part of the picture anew (inpainting), the white one of this PNG. The result has the picture's own size.
    #[arg(long, requires = "image")]
    mask: Option<PathBuf>,
    /// How soft the mask's edge is made, in pixels of the picture; where it is black beyond that, nothing changes.
    #[arg(long, default_value_t = DEFAULT_MASK_BLUR, requires = "mask")]
    mask_blur: f64,
    /// What is there before the run begins: original, noise, zero (latents of 0) or fill (the colours around).
    #[arg(long, default_value = "original", value_parser = content, requires = "mask")]
    masked_content: MaskedContent,
    /// How grey the mask is says how much of the run a place takes part in.
    #[arg(long, requires = "mask")]
    differential: bool,
    /// Draw more of the picture on its sides (outpainting): so many of its pixels on the left, on the top, on the right and on the
    /// bottom.
    #[arg(long, value_name = "L,T,R,B", value_parser = sides, requires = "image")]
    extend: Option<[usize; 4]>,
    /// Over so many pixels of the picture what is new becomes the picture, behind which nothing changes.
    #[arg(long, value_name = "PIXELS", default_value_t = DEFAULT_OVERLAP, requires = "extend")]
    overlap: usize,
    #[arg(long, value_name = "PAD", requires = "image", help = format!(
        "Draw only the masked part, or the new one of an extended picture, at full size, with so many pixels of the picture around it, {DEFAULT_PADDING} if no number is \
         given; widened to the shape of the size"))]
    only_masked: Option<Option<usize>>,
}

/// How much of a run is taken from a picture where nobody says how much.
const STRENGTH: f64 = 0.75;

impl Begin {
    /// The latents that the run begins from, and the size of a picture of them with this model.
    pub fn latents(&self, config: &ModelConfig) -> Result<Option<(Latents, [usize; 2])>> {
        let Some(path) = &self.latents else { return Ok(None) };
        let entry = match self.strength {
            Some(strength) => Entry::Clean { strength, exact_steps: self.exact_steps },
            None => Entry::Step(self.latents_step.unwrap_or(0)),
        };
        let (values, size) = latents::read(path, entry, config)?;
        Ok(Some((Latents { values, entry }, size)))
    }

    /// Refuses a strength of nothing.
    fn check(&self) -> Result<()> {
        let said = [("strength", self.strength.is_some()), ("exact_steps", self.exact_steps)];
        let missing = match (&self.image, &self.latents) {
            (None, None) => said.into_iter().find(|(_, said)| *said),
            (None, Some(_)) if self.strength.is_none() => said.into_iter().rfind(|(_, said)| *said),
            _ => None,
        };
        missing.map_or(Ok(()), |(field, _)| {
            let message = match field {
                "exact_steps" if self.latents.is_some() => {
                    "it counts the steps of a strength, and there is none; give --strength too"
                }
                _ => "it is how much a run takes of a picture or of latents; give --image or --latents too",
            };
            Err(Error::InvalidInput { field, message: message.to_string() })
        })
    }

    /// The picture that the run begins from.
    pub fn picture(&self) -> Result<Option<Picture>> {
        self.check()?;
        let Some(path) = &self.image else { return Ok(None) };
        let mask = match &self.mask {
            Some(path) => Some(Mask {
                blur: self.mask_blur,
                content: self.masked_content,
                differential: self.differential,
                ..Mask::new(picture::read(path)?)
            }),
            None => None,
        };
        Ok(Some(Picture {
            exact_steps: self.exact_steps,
            resize: self.resize,
            encode: self.encode,
            mask,
            extend: self.extend.map(|sides| Extend { sides, overlap: self.overlap }),
            only_masked: self.only_masked.map(|padding| padding.unwrap_or(DEFAULT_PADDING)),
            ..Picture::new(picture::read(path)?, self.strength.unwrap_or(STRENGTH))
        }))
    }
}

fn resize(text: &str) -> std::result::Result<Resize, String> {
    named(text, &Resize::ALL.map(|kind| (kind.name(), kind)))
}

fn encode(text: &str) -> std::result::Result<Encode, String> {
    named(text, &Encode::ALL.map(|kind| (kind.name(), kind)))
}

fn content(text: &str) -> std::result::Result<MaskedContent, String> {
    named(text, &MaskedContent::ALL.map(|kind| (kind.name(), kind)))
}

/// `LEFT,TOP,RIGHT,BOTTOM` in pixels.
fn sides(text: &str) -> std::result::Result<[usize; 4], String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|side| side.trim().parse().ok()).collect();
    let told =
        || format!("{text:?} are no four sides; expected LEFT,TOP,RIGHT,BOTTOM in pixels such as 64,0,64,0");
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(told)
}

/// `2x` or `2x:0.5`: how many times as large, and how much of a run the second pass is.
fn hires(text: &str) -> std::result::Result<Hires, String> {
    let (scale, strength) =
        text.split_once(':').map_or((text, None), |(scale, strength)| (scale, Some(strength)));
    let usual = Hires::default();
    let scale = scale.strip_suffix('x').and_then(|scale| scale.parse().ok());
    let strength = strength.map_or(Some(usual.strength), |strength| strength.parse().ok());
    let told = || format!("{text:?} is no second pass; expected SCALEx:STRENGTH such as 2x:0.5");
    let (scale, strength) = scale.zip(strength).ok_or_else(told)?;
    Ok(Hires { scale, strength, ..usual })
}

/// The value of that name.
pub fn named<T: Copy>(text: &str, known: &[(&str, T)]) -> std::result::Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == text);
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.map(|(_, value)| *value).ok_or_else(|| format!("{text:?} is none of {}", names()))
}
