//! DDIM, deterministic: J. Song et al., "Denoising diffusion implicit models", <https://arxiv.org/abs/2010.02502>.

use super::schedule::{alphas_cumprod, ddim_timesteps};
use super::{Evaluation, Linear, Linear2, ScheduleKind, Trajectory, denoised_at, refuse_karras};
use crate::config::{PredictionType, SchedulerConfig};
use crate::error::{Error, Result};

/// One step per timestep, each to the alpha `num_train_timesteps / steps` earlier (equation 12, σ = 0).
pub fn trajectory(config: &SchedulerConfig, schedule: ScheduleKind, steps: usize) -> Result<Trajectory> {
    refuse_karras("ddim", schedule)?;
    let alphas = alphas_cumprod(config);
    let last = if config.set_alpha_to_one { 1.0 } else { f64::from(alphas[0]) };
    let stride = config.num_train_timesteps / steps;
    let step = |timestep: f64| {
        let t = timestep as usize;
        let alpha = *alphas.get(t).ok_or_else(|| Error::InvalidInput {
            field: "steps",
            message: format!(
                "{steps} steps with steps_offset {} ask for timestep {t} of {}; use fewer",
                config.steps_offset, config.num_train_timesteps
            ),
        })?;
        let previous = t.checked_sub(stride).map_or(last, |t| f64::from(alphas[t]));
        Ok(one_step(config.prediction_type, timestep, f64::from(alpha), previous).into())
    };
    let steps = ddim_timesteps(config, steps).into_iter().map(step).collect::<Result<_>>()?;
    Ok(Trajectory { init_noise_sigma: 1.0, steps })
}

/// From cumulated alpha `from` to `to`: next = √to · clean + √(1 - to) · noise.
fn one_step(prediction: PredictionType, timestep: f64, from: f64, to: f64) -> Evaluation {
    let (alpha, sigma) = (from.sqrt(), (1.0 - from).sqrt());
    let (alpha_to, sigma_to) = (to.sqrt(), (1.0 - to).sqrt());
    let denoised = denoised_at(prediction, alpha, sigma);
    let noise = match prediction {
        PredictionType::Epsilon => Linear2 { x: 0.0, model: 1.0 },
        PredictionType::VPrediction => Linear2 { x: sigma, model: alpha },
        PredictionType::Sample => Linear2 { x: 1.0 / sigma, model: -alpha / sigma },
    };
    Evaluation {
        timestep,
        sigma: sigma / alpha,
        input_scale: 1.0,
        next: Linear {
            x: alpha_to * denoised.x + sigma_to * noise.x,
            model: alpha_to * denoised.model + sigma_to * noise.model,
            ..Linear::default()
        },
        denoised,
        ..Evaluation::default()
    }
}
