//! What every run needs: time embeddings, what becomes of guided predictions, pictures.

use crate::config::Sinusoids;
use crate::error::Result;
use crate::image::Rgba;

/// The sinusoidal embedding of a time, `[channels]` (Vaswani et al. 2017; diffusers' `Timesteps`).
pub fn time_embedding(config: Sinusoids, timestep: f64) -> Vec<f32> {
    const MAX_PERIOD: f64 = 10_000.0;
    let half = config.channels / 2;
    let denominator = half as f64 - config.freq_shift as f64;
    let angle = |i: usize| timestep * (-MAX_PERIOD.ln() * i as f64 / denominator).exp();
    let sines = (0..half).map(|i| angle(i).sin() as f32);
    let cosines = (0..half).map(|i| angle(i).cos() as f32);
    if config.cosines_first { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() }
}

/// The sinusoidal embedding of a guidance scale, `[channels]`, as latent consistency models know it. In f32, as diffusers'
/// `get_guidance_scale_embedding` has it: angles reach thousands, where another rounding is another angle.
pub fn guidance_embedding(channels: usize, guidance: f64) -> Vec<f32> {
    let half = channels / 2;
    let scale = (guidance - 1.0) as f32 * 1000.0;
    let slope = 10_000f32.ln() / (half as f32 - 1.0);
    let angle = |i: usize| scale * (i as f32 * -slope).exp();
    (0..half).map(|i| angle(i).sin()).chain((0..half).map(|i| angle(i).cos())).collect()
}

/// What guidance makes of predictions of `one` value each, `[pixels, channels]`, without a prompt and then with each prompt, which
/// count by their shares `[prompts, pixels]`, a single one by 1 if none are given: `without + scale · Σ share · (with − without)`.
pub fn guided(predictions: &[f32], one: usize, scale: f64, shares: &[f32]) -> Vec<f32> {
    let (without, with) = predictions.split_at(one.min(predictions.len()));
    let pixels = (shares.len() / (with.len() / one.max(1)).max(1)).max(1);
    let (each, shares) = (one / pixels, if shares.is_empty() { &[1.0] } else { shares });
    let mut guided = without.to_vec();
    for (with, shares) in with.chunks(one.max(1)).zip(shares.chunks(pixels)) {
        let shares = shares.iter().flat_map(|share| std::iter::repeat_n(scale as f32 * share, each));
        let values = guided.iter_mut().zip(without.iter().zip(with)).zip(shares);
        values.for_each(|((guided, (without, with)), scale)| *guided += scale * (with - without));
    }
    guided
}

/// Brings guided predictions back, `by` of the way, to the spread of the prompt's own, picture by picture: section 3.4 of
/// <https://arxiv.org/abs/2305.08891>. `all` are as many copies of the predictions as there are rows, without a prompt, then with
/// each; of several the prompt's own is their sum by their shares. What is left stands in the place of each, so that guidance
/// leaves it as it is.
pub fn rescale_guided(
    all: &mut [f32],
    [copies, pictures]: [usize; 2],
    (scale, shares): (f64, &[f32]),
    by: f64,
) {
    let one = all.len() / copies.max(1);
    let (own, mut result) = (guided(all, one, 1.0, shares), guided(all, one, scale, shares));
    let each = (one / pictures.max(1)).max(1);
    for (guided, own) in result.chunks_mut(each).zip(own.chunks(each)) {
        let (own, spread) = (spread(own), spread(guided));
        let factor = if spread > 0.0 { by * own / spread + 1.0 - by } else { 1.0 };
        guided.iter_mut().for_each(|value| *value *= factor as f32);
    }
    all.chunks_mut(one.max(1)).for_each(|all| all.copy_from_slice(&result));
}

/// Brings a picture's clean estimate within what so great a share of its values are within, at most `most`, and that to 1; below 1
/// it is cut at 1. The quantile is straight between two values, as PyTorch's.
pub fn threshold(clean: &mut [f32], [share, most]: [f64; 2]) {
    let mut sizes: Vec<f32> = clean.iter().map(|value| value.abs()).collect();
    sizes.sort_unstable_by(f32::total_cmp);
    let place = share * sizes.len().saturating_sub(1) as f64;
    let at = |place: f64| sizes.get(place as usize).copied().unwrap_or_default();
    let (low, high) = (at(place.floor()), at(place.ceil()));
    let bound = (low + (high - low) * place.fract() as f32).max(1.0).min(most as f32);
    clean.iter_mut().for_each(|value| *value = value.clamp(-bound, bound) / bound);
}

/// The standard deviation of a sample.
fn spread(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
    (squares / (n - 1.0).max(1.0)).sqrt()
}

/// Pictures out of packed RGBA8 bytes.
pub fn pictures(bytes: &[u8], batch: usize, width: usize, height: usize) -> Result<Vec<Rgba>> {
    bytes.chunks_exact(width * height * 4).take(batch).map(|p| Rgba::new(width, height, p.to_vec())).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::error::Error;
    use crate::pipeline::Tiling;
    use crate::pipeline::request::{Request, Walk};
    use crate::pipeline::start::Draws;
    use crate::prompt::{Dialect, Emphasis};
    use crate::sample::{NoiseSource, SamplerKind, SamplerOptions, ScheduleKind, Variation};

    pub fn request(batch: usize, seed: u64, variation: Option<Variation>) -> Request {
        Request {
            prompt: String::new(),
            negative_prompt: String::new(),
            dialect: Dialect::default(),
            emphasis: Emphasis::default(),
            clip_skip: 1,
            templates: [None, None],
            embeddings: Vec::new(),
            steps: 1,
            guidance: 1.0,
            guidance_rescale: None,
            tiling: Tiling::None,
            seed,
            variation,
            walk: None,
            rng: NoiseSource::Torch,
            sampler: SamplerKind::Euler,
            schedule: ScheduleKind::Default,
            sampling: SamplerOptions::default(),
            width: 64,
            height: 96,
            batch,
            windows: None,
            noise: None,
            latents: None,
            preview_every: 0,
            picture: None,
            regions: Vec::new(),
            controls: Vec::new(),
            hires: None,
            hires_network: None,
        }
    }

    /// Picture `i` of a batch of variations is the variation with seed + i made alone; the seed it departs from stays.
    #[test]
    fn variations_count_their_own_seed_up() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let noise = |batch, seed, variation| Draws::of(&request(batch, seed, variation), &config).noise;
        let varied = |seed| Some(Variation { seed, strength: 0.3 });
        let batch = noise(2, 5, varied(7));
        let each = batch.len() / 2;
        assert_eq!(batch[..each], noise(1, 5, varied(7)));
        assert_eq!(batch[each..], noise(1, 5, varied(8)));
        assert_ne!(batch[..each], batch[each..]);
        let plain = noise(2, 5, None);
        assert_eq!(plain[each..], noise(1, 6, None));
        Ok(())
    }

    /// A variation draws the other noise from a generator of its own, so that later draws stay the seed's.
    #[test]
    fn a_variation_leaves_the_seeds_generator_where_it_was() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let next = |variation| Draws::of(&request(1, 5, variation), &config).generators.randn(16);
        assert_eq!(next(Some(Variation { seed: 7, strength: 0.5 })), next(None));
        Ok(())
    }

    /// One start each: what would win in silence over another is refused.
    #[test]
    fn starts_that_exclude_each_other_are_refused() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let walk = Walk { seed: Some(9), share: 0.5, prompt: None };
        let field = |request: &Request| match request.check(&config) {
            Err(Error::InvalidInput { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let mut varied = request(1, 5, Some(Variation { seed: 7, strength: 0.5 }));
        varied.walk = Some(walk.clone());
        assert_eq!(field(&varied), "walk");
        let mut given = Request { walk: Some(walk), ..request(1, 5, None) };
        given.noise = Some(vec![0.0; given.latents_len(&config)]);
        assert_eq!(field(&given), "walk");
        // A walk between prompts leaves the noise alone.
        given.walk = Some(Walk { prompt: Some("a dog".to_string()), seed: None, share: 0.5 });
        given.check(&config)
    }

    /// By hand: two pictures, of which the second is not guided anywhere.
    #[test]
    fn what_guidance_spreads_is_brought_back_by_hand() {
        let mut both = [0.0, 0.0, 1.0, 3.0, 1.0, -1.0, 1.0, 3.0];
        rescale_guided(&mut both, [2, 2], (3.0, &[]), 0.5);
        // Guided: 3 and -3, whose spread is three times that of 1 and -1.
        let factor = 0.5 / 3.0 + 0.5;
        for (value, expected) in both.iter().zip([3.0 * factor, -3.0 * factor, 1.0, 3.0].repeat(2)) {
            assert!((value - expected).abs() < 1e-6, "{both:?}");
        }
    }

    /// By hand: two pixels of two channels, of which each prompt has one; and one prompt with none.
    #[test]
    fn a_prompt_counts_by_its_share_of_each_pixel() {
        let all = [1.0, 1.0, 1.0, 1.0, 2.0, 0.0, 9.0, 9.0, 9.0, 9.0, 3.0, 1.0];
        assert_eq!(guided(&all, 4, 2.0, &[1.0, 0.0, 0.0, 1.0]), [3.0, -1.0, 5.0, 1.0]);
        assert_eq!(guided(&all[..8], 4, 2.0, &[]), [3.0, -1.0, 17.0, 17.0]);
    }

    #[test]
    fn a_variation_is_checked() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        for (strength, fine) in [(0.0, true), (1.0, true), (1.1, false), (-0.1, false), (f64::NAN, false)] {
            let request = request(1, 5, Some(Variation { seed: 7, strength }));
            assert_eq!(request.check(&config).is_ok(), fine, "{strength}");
        }
        let mut given = request(1, 5, Some(Variation { seed: 7, strength: 0.5 }));
        given.noise = Some(vec![0.0; given.latents_len(&config)]);
        assert!(given.check(&config).is_err());
        Ok(())
    }
}
