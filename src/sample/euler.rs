//! Euler: the first-order step of T. Karras et al., <https://arxiv.org/abs/2206.00364>, without churn.
//!
//! Latents are in sigma space: clean + sigma · noise, scaled down only for the UNet.

use super::schedule::{alphas_cumprod_above_zero, euler_timesteps, karras, sigma_at, sigmas, timestep_at};
use super::{Evaluation, Linear, Linear2, ScheduleKind, Trajectory};
use crate::config::{FinalSigmas, PredictionType, SchedulerConfig, TimestepSpacing};
use crate::error::Result;

/// The noise levels a run in sigma space visits.
pub struct Levels {
    pub timesteps: Vec<f64>,
    /// One more than timesteps: the last is where the run ends.
    pub sigmas: Vec<f64>,
    pub init_noise_sigma: f64,
}

/// The levels of diffusers' `EulerDiscreteScheduler`. Sigmas are rounded to f32, as it keeps them.
pub fn levels(config: &SchedulerConfig, use_karras: bool, end: FinalSigmas, steps: usize) -> Levels {
    let all = sigmas(&alphas_cumprod_above_zero(config));
    let mut timesteps = euler_timesteps(config, steps);
    let mut levels: Vec<f64> = timesteps.iter().map(|t| sigma_at(&all, *t)).collect();
    if use_karras {
        let max = config.sigma_max.or(levels.first().copied()).unwrap_or(1.0);
        let min = config.sigma_min.or(levels.last().copied()).unwrap_or(1.0);
        levels = karras(max, min, steps);
        timesteps = levels.iter().map(|sigma| f64::from(timestep_at(&all, *sigma) as f32)).collect();
    }
    levels.push(match end {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => f64::from(all[0]),
    });
    let sigmas: Vec<f64> = levels.iter().map(|sigma| f64::from(*sigma as f32)).collect();
    let max = sigmas.iter().copied().fold(0.0, f64::max);
    let init_noise_sigma = match config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace) {
        TimestepSpacing::Linspace | TimestepSpacing::Trailing => max,
        TimestepSpacing::Leading => max.hypot(1.0),
    };
    Levels { timesteps, sigmas, init_noise_sigma }
}

/// One Euler step per level, each to the next.
pub fn trajectory(config: &SchedulerConfig, schedule: ScheduleKind, steps: usize) -> Result<Trajectory> {
    let levels = levels(config, schedule.is_karras_with(config), config.final_sigmas_type, steps);
    let pairs = levels.timesteps.iter().zip(levels.sigmas.windows(2));
    let steps =
        pairs.map(|(t, pair)| one_step(config.prediction_type, *t, pair[0], pair[1]).into()).collect();
    Ok(Trajectory { init_noise_sigma: levels.init_noise_sigma, steps })
}

/// From noise level `sigma` to `to`: next = latents + (latents - clean) / sigma · (to - sigma).
pub fn one_step(prediction: PredictionType, timestep: f64, sigma: f64, to: f64) -> Evaluation {
    let here = at(prediction, timestep, sigma);
    let by = (to - sigma) / sigma;
    let x = 1.0 + by * (1.0 - here.denoised.x);
    Evaluation { next: Linear { x, model: -by * here.denoised.model, ..Linear::default() }, ..here }
}

/// An evaluation at noise level `sigma` that so far leads nowhere.
pub fn at(prediction: PredictionType, timestep: f64, sigma: f64) -> Evaluation {
    let input_scale = 1.0 / sigma.hypot(1.0);
    let denoised = match prediction {
        PredictionType::Epsilon => Linear2 { x: 1.0, model: -sigma },
        PredictionType::VPrediction => Linear2 { x: input_scale * input_scale, model: -sigma * input_scale },
        PredictionType::Sample => Linear2 { x: 0.0, model: 1.0 },
    };
    Evaluation { timestep, sigma, input_scale, denoised, ..Evaluation::default() }
}

/// (latents - clean) / sigma: the direction in which the latents change with the noise level.
pub fn slope(denoised: Linear2, sigma: f64) -> Linear2 {
    Linear2 { x: (1.0 - denoised.x) / sigma, model: -denoised.model / sigma }
}
