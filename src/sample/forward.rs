//! The forward process: a picture on its way into noise, as the model was trained on it.

use super::Generators;
use super::schedule::alphas_cumprod;
use super::variation::shares;
use super::{Evaluation, Linear2, NoiseSource};
use crate::config::{PredictionType, SchedulerConfig};
use crate::error::{Error, Result};

/// The closed form of Ho et al. 2020, <https://arxiv.org/abs/2006.11239>, equation 4:
/// x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · ε.
///
/// Times count as in the paper: 0 is the clean picture, T the last training timestep. diffusers counts the training
/// timesteps from 0, so its timestep is ours less one.
#[derive(Debug, Clone)]
pub struct Forward {
    /// ᾱ_1 … ᾱ_T.
    alphas_cumprod: Vec<f32>,
}

/// What of a noised picture is picture and what is noise; their squares add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// √ᾱ
    pub signal: f32,
    /// √(1 − ᾱ)
    pub noise: f32,
}

impl Forward {
    /// The forward process of a model's noise schedule.
    pub fn new(config: &SchedulerConfig) -> Result<Forward> {
        config.check()?;
        Ok(Forward { alphas_cumprod: alphas_cumprod(config) })
    }

    /// T, the number of training timesteps.
    pub fn last(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// The shares at time `t`, 0 to T.
    pub fn shares(&self, t: usize) -> Result<Shares> {
        let Some(before) = t.checked_sub(1) else { return Ok(Shares { signal: 1.0, noise: 0.0 }) };
        let alpha = self.alphas_cumprod.get(before).ok_or_else(|| Error::InvalidInput {
            field: "t",
            message: format!("{t} asked for, expected 0 to {}", self.last()),
        })?;
        Ok(Shares { signal: alpha.sqrt(), noise: (1.0 - alpha).sqrt() })
    }

    /// The noised picture at time `t`: `clean` and unit noise of any one shape, element by element.
    pub fn add_noise(&self, clean: &[f32], noise: &[f32], t: usize) -> Result<Vec<f32>> {
        if clean.len() != noise.len() {
            let message = format!("{} values of noise for {} of the picture", noise.len(), clean.len());
            return Err(Error::InvalidInput { field: "noise", message });
        }
        Ok(self.shares(t)?.mix(clean, noise))
    }
}

impl Shares {
    /// The shares at a noise level σ = √((1 − ᾱ) / ᾱ); at an infinite one nothing of the picture is left.
    pub fn at_sigma(sigma: f64) -> Shares {
        let signal = 1.0 / sigma.hypot(1.0);
        Shares { signal: signal as f32, noise: (1.0 - signal * signal).sqrt() as f32 }
    }

    /// `signal · clean + noise · ε`.
    pub fn mix(self, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        clean.iter().zip(noise).map(|(x, z)| self.signal * x + self.noise * z).collect()
    }

    /// `signal · ε − noise · clean`: what a model of velocities should say (Salimans & Ho 2022,
    /// <https://arxiv.org/abs/2202.00512>).
    pub fn velocity(self, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        clean.iter().zip(noise).map(|(x, z)| self.signal * z - self.noise * x).collect()
    }
}

impl Evaluation {
    /// The noise that the model sees in the latents, as a combination of latents and model output.
    pub fn noise_estimate(&self, prediction: PredictionType) -> Linear2 {
        let signal = 1.0 / self.sigma.hypot(1.0);
        let noise = (1.0 - signal * signal).sqrt();
        match prediction {
            PredictionType::Epsilon => Linear2 { x: 0.0, model: 1.0 },
            PredictionType::VPrediction => Linear2 { x: noise * self.input_scale, model: signal },
            PredictionType::Sample => Linear2 { x: self.input_scale / noise, model: -signal / noise },
        }
    }
}

/// Spherical interpolation between two vectors (K. Shoemake 1985): `share` 0 gives `a`, 1 gives `b`.
///
/// Unit noise stays as long as unit noise is, which a straight line between the two would not keep. Vectors that
/// point the same way are joined by a line.
pub fn spherical(a: &[f32], b: &[f32], share: f64) -> Vec<f32> {
    let sum = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let cosine = sum(a, b) / (sum(a, a) * sum(b, b)).sqrt();
    let (from, to) = shares(share, cosine);
    a.iter().zip(b).map(|(a, b)| (from * f64::from(*a) + to * f64::from(*b)) as f32).collect()
}

/// Unit noise on the way from one seed's to another's, `[batch, n]`: what either draws after it drew as much `before` times.
pub fn noise_between(
    source: NoiseSource,
    seeds: [u64; 2],
    share: f64,
    batch: usize,
    n: usize,
    before: usize,
) -> Vec<f32> {
    let [a, b] = seeds.map(|seed| {
        let mut generators = Generators::new(source, seed, batch);
        (0..before).for_each(|_| drop(generators.randn(n)));
        generators.randn(n)
    });
    a.chunks(n.max(1)).zip(b.chunks(n.max(1))).flat_map(|(a, b)| spherical(a, b, share)).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::sample::{SamplerKind, ScheduleKind, trajectory};

    /// What diffusers' `scheduler.add_noise` gives; see `training/fixtures_forward.py`.
    #[derive(Deserialize)]
    struct Case {
        config: SchedulerConfig,
        clean: Vec<f32>,
        noise: Vec<f32>,
        /// diffusers' timesteps.
        timesteps: Vec<usize>,
        noised: Vec<Vec<f32>>,
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../tests/data/forward.json")).expect("forward.json")
    }

    #[test]
    fn pictures_become_noise_as_in_diffusers() -> Result<()> {
        for case in cases() {
            let forward = Forward::new(&case.config)?;
            for (timestep, expected) in case.timesteps.iter().zip(&case.noised) {
                let noised = forward.add_noise(&case.clean, &case.noise, timestep + 1)?;
                let worst = noised.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 1e-6, "{:?} timestep {timestep}: off by {worst:e}", case.config);
            }
        }
        Ok(())
    }

    #[test]
    fn the_clean_picture_stands_before_the_first_timestep() -> Result<()> {
        let forward = Forward::new(&SchedulerConfig::default())?;
        assert_eq!(forward.add_noise(&[0.5, -1.0], &[9.0, 9.0], 0)?, [0.5, -1.0]);
        assert_eq!(forward.last(), 1000);
        let last = forward.shares(1000)?;
        assert!(last.noise > 0.99 && last.signal < 0.01, "{last:?}");
        Ok(())
    }

    #[test]
    fn a_time_beyond_the_last_and_noise_of_another_size_are_refused() -> Result<()> {
        let forward = Forward::new(&SchedulerConfig::default())?;
        let error = forward.shares(1001).unwrap_err().to_string();
        assert!(error.contains("1001") && error.contains("1000"), "{error}");
        let error = forward.add_noise(&[0.0; 3], &[0.0; 2], 1).unwrap_err().to_string();
        assert!(error.contains("2 values") && error.contains('3'), "{error}");
        Ok(())
    }

    /// Wherever a run begins, latents made by the forward process are what its sampler expects, and with the true
    /// noise as prediction its estimates are the true ones.
    #[test]
    fn every_samplers_estimates_invert_the_forward_process() -> Result<()> {
        let (clean, noise) = (0.7_f64, -1.3_f64);
        for prediction in [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample] {
            let config = SchedulerConfig { prediction_type: prediction, ..SchedulerConfig::default() };
            // PLMS knows noise and velocity alone.
            let knows =
                |sampler: &SamplerKind| *sampler != SamplerKind::Plms || prediction != PredictionType::Sample;
            for sampler in SamplerKind::ALL.into_iter().filter(knows) {
                let run = trajectory(&config, sampler, ScheduleKind::Default, 7)?;
                for step in run.steps.iter().flat_map(|step| &step.evaluations) {
                    let shares = Shares::at_sigma(step.sigma);
                    let (signal, level) = (f64::from(shares.signal), f64::from(shares.noise));
                    let x = (signal * clean + level * noise) / step.input_scale;
                    let output = match prediction {
                        PredictionType::Epsilon => noise,
                        PredictionType::VPrediction => signal * noise - level * clean,
                        PredictionType::Sample => clean,
                    };
                    let at = |linear: Linear2| linear.x * x + linear.model * output;
                    let what = format!("{prediction:?} {sampler} at {}", step.timestep);
                    assert!((at(step.denoised) - clean).abs() < 1e-4, "{what}: {}", at(step.denoised));
                    let found = at(step.noise_estimate(prediction));
                    assert!((found - noise).abs() < 1e-4, "{what}: {found}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn an_arc_keeps_ends_and_length() {
        let (a, b) = (NoiseSource::Torch.noise(1, [1, 4, 8, 8]), NoiseSource::Torch.noise(2, [1, 4, 8, 8]));
        let length = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert_eq!(spherical(&a, &b, 0.0), a);
        assert_eq!(spherical(&a, &b, 1.0), b);
        let middle = length(&spherical(&a, &b, 0.5));
        let usual = (length(&a) + length(&b)) / 2.0;
        assert!((middle / usual - 1.0).abs() < 0.02, "{middle} against {usual}");
        assert_eq!(spherical(&[1.0, 0.0], &[0.0, 1.0], 0.5), [0.5_f32.sqrt(); 2]);
        assert_eq!(spherical(&[0.0; 2], &[2.0; 2], 0.5), [1.0; 2]);
    }

    #[test]
    fn noise_between_two_seeds_begins_and_ends_at_theirs() {
        for (share, seed) in [(0.0, 5), (1.0, 9)] {
            let found = noise_between(NoiseSource::Torch, [5, 9], share, 2, 32, 0);
            assert_eq!(found, NoiseSource::Torch.noise(seed, [2, 2, 4, 4]));
        }
    }
}
