//! How a run begins: from noise, or from a picture that is noised up to where its first step begins.

use std::sync::Arc;

use super::canvas::Mask;
use super::layout::nhwc_to_nchw;
use super::limits::{SIZE_RANGE, SIZE_STEP};
use super::request::{Request, Walk};
use crate::config::{Autoencoder, ModelConfig};
use crate::error::{Error, Result};
use crate::image::{Placement, Resize, Rgba};
use crate::sample::{Evaluation, Generators, Shares, Trajectory, noise_between, slerp};

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
        }
    }

    /// What is taken where `steps` are asked for.
    pub fn taken(&self, steps: usize) -> Taken {
        // As A1111: a strength of 1 is a little less there.
        const MOST: f64 = 0.999;
        if self.exact_steps {
            let total = ((steps as f64 / self.strength.min(MOST)) as usize).max(steps);
            return Taken { total, first: total - steps };
        }
        Taken { total: steps, first: steps - ((steps as f64 * self.strength) as usize).min(steps) }
    }

    /// Refuses a strength that leaves no step, or asks for more than there are.
    pub(super) fn check(&self, steps: usize, most: usize, config: &ModelConfig) -> Result<()> {
        self.mask.iter().try_for_each(|mask| mask.check(config))?;
        let Picture { strength, .. } = *self;
        let invalid = |message| Err(Error::InvalidInput { field: "strength", message });
        if !(0.0..=1.0).contains(&strength) {
            return invalid(format!("{strength} asked for, expected more than 0, to 1"));
        }
        let Taken { total, .. } = self.taken(steps);
        if strength == 0.0 || self.taken(steps).count() == 0 {
            return invalid(format!(
                "{strength} of {steps} steps is less than one, which leaves the picture as it is; raise it or the steps"
            ));
        }
        if total > most {
            return invalid(format!(
                "{steps} steps at {strength} are the last of {total}, and there are {most}; raise it, or ask for fewer steps"
            ));
        }
        Ok(())
    }

    /// Where it lies on the canvas of a request.
    pub fn placement(&self, width: usize, height: usize) -> Placement {
        Placement::new([self.image.width, self.image.height], [width, height], self.resize)
    }

    /// Whether the picture is encoded as it is: a UNet that reads what is around the mask has no use for it where it is noise.
    pub(super) fn is_encoded(&self, config: &ModelConfig) -> bool {
        !(config.is_inpainting() && self.is_noise())
    }

    /// Whether the run begins from noise alone all the same: all of it is taken, of a part of the picture.
    pub(super) fn is_noise(&self) -> bool {
        self.mask.is_some() && self.strength == 1.0
    }
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

/// What a run draws before its first step, in diffusers' order, and what its generators draw after that.
pub struct Draws {
    pub generators: Generators,
    /// Unit noise `[batch, c, h, w]` by which a picture is sampled from its distribution, where it is.
    pub sampling: Option<Vec<f32>>,
    /// The unit noise `[batch, c, h, w]` that the run starts from.
    pub noise: Vec<f32>,
    /// As `sampling`, for what is around a mask.
    pub sampling_around: Option<Vec<f32>>,
}

impl Draws {
    /// Those of a request. Given latents leave the generators untouched, as in diffusers: the first draw is then the first
    /// step's.
    pub fn of(request: &Request, config: &ModelConfig) -> Draws {
        let [batch, channels, height, width] = request.latents_shape(config);
        let each = channels * height * width;
        let mut generators = Generators::seeded(request.rng, (0..batch).map(|i| request.seed_of(i)));
        let sampled = |picture: &&Picture| picture.encode == Encode::Sample && is_sampled(config);
        let picture = request.picture.as_ref().filter(sampled);
        let encoded = picture.filter(|picture| picture.is_encoded(config));
        let sampling = encoded.map(|_| generators.randn(each));
        let noise = match &request.init_latents {
            Some(latents) => latents.clone(),
            None => {
                Draws::noise(request, &mut generators, sampling.is_some(), [batch, channels, height, width])
            }
        };
        // diffusers draws this one for every UNet, also where it does not read what is around.
        let around = picture.filter(|picture| picture.mask.is_some());
        let sampling_around = around.map(|_| generators.randn(each));
        Draws { generators, sampling, noise, sampling_around }
    }

    /// The unit noise of a request's seeds, whose generators a picture was `sampled` by or not.
    fn noise(
        request: &Request,
        generators: &mut Generators,
        sampled: bool,
        [batch, channels, height, width]: [usize; 4],
    ) -> Vec<f32> {
        let each = channels * height * width;
        // The noise of any other seed is what that seed would start from.
        let before = usize::from(sampled);
        let mut noise = generators.randn(each);
        if let Some(variation) = request.variation {
            let mut others = Generators::new(request.rng, variation.seed, batch);
            (0..before).for_each(|_| drop(others.randn(each)));
            slerp(variation.strength, &mut noise, &others.randn(each), [height, width]);
        }
        if let Some(Walk { seed: Some(seed), share, .. }) = request.walk {
            noise = noise_between(request.rng, [request.seed, seed], share, batch, each, before);
        }
        noise
    }
}

/// Whether a model's encoder gives a distribution.
fn is_sampled(config: &ModelConfig) -> bool {
    matches!(config.vae, Autoencoder::Kl(_))
}

/// Scaled latents `[batch, c, h, w]` of what an encoder made of one picture, `[h · w, channels]`: its mean, or samples by unit
/// noise `[batch, c, h, w]`.
pub(super) fn latents_of(
    config: &ModelConfig,
    encoded: &[f32],
    pixels: usize,
    sampling: Option<&[f32]>,
    batch: usize,
) -> Vec<f32> {
    // Bounds of the logarithm of the variance (diffusers' `DiagonalGaussianDistribution`).
    const LEAST: f32 = -30.0;
    const MOST: f32 = 20.0;
    let (channels, scale) = (config.vae.latent_channels(), config.vae.scaling_factor() as f32);
    let of_pixel = encoded.len() / pixels;
    let planes = nhwc_to_nchw(encoded, 1, of_pixel, pixels, of_pixel);
    let (means, variances) = planes.split_at(channels * pixels);
    let picture = |i: usize| -> Vec<f32> {
        let deviation = |at: usize| match sampling {
            Some(noise) => (variances[at].clamp(LEAST, MOST) * 0.5).exp() * noise[i * means.len() + at],
            None => 0.0,
        };
        means.iter().enumerate().map(|(at, mean)| (mean + deviation(at)) * scale).collect()
    };
    (0..batch).flat_map(picture).collect()
}

/// The latents `[batch, c, h, w]` that enter the first step of a run, as its sampler keeps them: unit noise of the same shape,
/// or `clean` latents with so much of it as the step expects.
pub fn entering(run: &Trajectory, first: usize, clean: Option<&[f32]>, noise: &[f32]) -> Vec<f32> {
    match clean {
        Some(clean) => noised(run.steps[first].first(), clean, noise),
        None => noise.iter().map(|z| z * run.init_noise_sigma as f32).collect(),
    }
}

/// Clean latents noised up to where an evaluation sees them, as the sampler keeps them.
pub(super) fn noised(evaluation: &Evaluation, clean: &[f32], noise: &[f32]) -> Vec<f32> {
    let scale = 1.0 / evaluation.input_scale as f32;
    Shares::at_sigma(evaluation.sigma).mix(clean, noise).iter().map(|x| x * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ModelConfig {
        ModelConfig::builtin("sd15").expect("built in")
    }

    fn picture(strength: f64, exact_steps: bool) -> Picture {
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

    /// A seed's noise is what it would start from by itself, whichever way it takes part.
    #[test]
    fn another_seeds_noise_is_what_that_seed_would_start_from() -> Result<()> {
        use crate::sample::Variation;
        let config = ModelConfig::builtin("sd15")?;
        let asked = |seed| Request {
            seed,
            width: 64,
            height: 64,
            picture: Some(picture(0.5, false)),
            ..crate::pipeline::common::tests::request(1, seed, None)
        };
        let other = Draws::of(&asked(9), &config);
        let varied = Request { variation: Some(Variation { seed: 9, strength: 1.0 }), ..asked(5) };
        let walked = Request { walk: Some(Walk { seed: Some(9), share: 1.0, prompt: None }), ..asked(5) };
        for request in [varied, walked] {
            let found = Draws::of(&request, &config);
            assert!(found.sampling == Draws::of(&asked(5), &config).sampling && found.sampling.is_some());
            let off = found.noise.iter().zip(&other.noise).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 2e-5, "{off:e}");
        }
        // The mean draws nothing, so that the noise is that of any run of the seed.
        let mean = Picture { encode: Encode::Mean, ..picture(0.5, false) };
        let mean = Draws::of(&Request { picture: Some(mean), ..asked(5) }, &config);
        let plain = Draws::of(&Request { picture: None, ..asked(5) }, &config);
        assert!(mean.sampling.is_none() && mean.noise == plain.noise);
        Ok(())
    }
}
