//! How a run begins: from noise, or from a picture that is noised up to where its first step begins.

use super::layout::nhwc_to_nchw;
use super::picture::{Encode, Picture};
use super::request::{Request, Walk};
use crate::config::{Autoencoder, ModelConfig};
use crate::sample::{Evaluation, Generators, Shares, Trajectory, noise_between, slerp};

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
    /// Those of a request. Given noise leaves the generators untouched, as in diffusers: the first draw is then the first
    /// step's.
    pub fn of(request: &Request, config: &ModelConfig) -> Draws {
        let sampled = |picture: &&Picture| picture.encode == Encode::Sample && is_sampled(config);
        let picture = request.picture.as_ref().filter(sampled);
        let encoded = picture.is_some_and(|picture| picture.is_encoded(config));
        // diffusers draws this one for every UNet, also where it does not read what is around.
        let around = picture.is_some_and(Picture::is_masked);
        Draws::drawn(request, config, [encoded, around])
    }

    /// Those of a request whose run begins from pictures that are not its own.
    pub fn of_pictures(request: &Request, config: &ModelConfig) -> Draws {
        Draws::drawn(request, config, [is_sampled(config), false])
    }

    fn drawn(request: &Request, config: &ModelConfig, [encoded, around]: [bool; 2]) -> Draws {
        let [batch, channels, height, width] = request.latents_shape(config);
        let each = channels * height * width;
        let mut generators = Generators::seeded(request.rng, (0..batch).map(|i| request.seed_of(i)));
        let sampling = encoded.then(|| generators.randn(each));
        let noise = match &request.noise {
            Some(noise) => noise.clone(),
            None => {
                Draws::noise(request, &mut generators, sampling.is_some(), [batch, channels, height, width])
            }
        };
        let sampling_around = around.then(|| generators.randn(each));
        // What steps draw may begin at another seed (ENSD).
        if let Some(delta) = request.sampling.eta_noise_seed_delta.filter(|delta| *delta != 0) {
            generators.begin_at(delta);
        }
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

/// The generators of a run as they are when step `index` begins.
pub fn generators_at(
    config: &ModelConfig,
    request: &Request,
    trajectory: &Trajectory,
    index: usize,
) -> Generators {
    let Draws { mut generators, noise, .. } = Draws::of(request, config);
    let before = trajectory.steps.iter().take(index).flat_map(|step| &step.evaluations);
    let each = noise.len() / request.batch;
    if trajectory.churn.is_some() {
        generators.randn(each);
    }
    // Paths are the same wherever they are asked for.
    for _ in before.filter(|evaluation| evaluation.noise != 0.0 && evaluation.path.is_none()) {
        generators.randn(each);
    }
    generators
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
/// or `clean` latents with so much of it as the step expects. Where the run adds noise before its very first step, it is drawn.
pub fn entering(
    run: &Trajectory,
    first: usize,
    clean: Option<&[f32]>,
    draws: &mut Draws,
    batch: usize,
) -> Vec<f32> {
    let (churn, noise) = (run.churn.filter(|_| first == 0), &draws.noise);
    let first = run.steps[first].first();
    let begins = Evaluation { sigma: churn.map_or(first.sigma, |churn| churn.from), ..*first };
    let mut latents = match clean {
        Some(clean) => noised(&begins, clean, noise),
        None => noise.iter().map(|z| z * run.init_noise_sigma as f32).collect(),
    };
    if let Some(churn) = churn {
        let fresh = draws.generators.randn(latents.len() / batch);
        latents.iter_mut().zip(fresh).for_each(|(x, z)| *x += churn.noise as f32 * z);
    }
    latents
}

/// Clean latents noised up to where an evaluation sees them, as the sampler keeps them.
pub(super) fn noised(evaluation: &Evaluation, clean: &[f32], noise: &[f32]) -> Vec<f32> {
    let scale = 1.0 / evaluation.input_scale as f32;
    Shares::at_sigma(evaluation.sigma).mix(clean, noise).iter().map(|x| x * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::pipeline::picture::tests::picture;

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
