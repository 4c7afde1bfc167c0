//! DDIM: J. Song et al., "Denoising diffusion implicit models", <https://arxiv.org/abs/2010.02502>.

use super::samplers::Asked;
use super::schedule::{alphas_cumprod, ddim_timesteps};
use super::{Evaluation, Linear, Linear2, Trajectory, denoised_at};
use crate::config::PredictionType;
use crate::error::{Error, Result};

/// diffusers' `DDIMScheduler`: one step per timestep, each to the alpha `num_train_timesteps / steps` earlier (equation 12; σ is
/// 0 for η = 0, and then it is deterministic).
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let (config, steps) = (&asked.spaced_config(), asked.steps);
    let alphas = alphas_cumprod(config);
    let last = if config.set_alpha_to_one { 1.0 } else { f64::from(alphas[0]) };
    let stride = config.num_train_timesteps / steps;
    let step = |timestep: f64| {
        let t = timestep as usize;
        let alpha = *alphas.get(t).ok_or_else(|| beyond(asked, t))?;
        let previous = t.checked_sub(stride).map_or(last, |t| f64::from(alphas[t]));
        let here = one_step(config.prediction_type, timestep, f64::from(alpha), previous, asked.eta());
        Ok(Evaluation { noise: here.noise * asked.s_noise(), ..here }.into())
    };
    let steps = ddim_timesteps(config, steps).into_iter().map(step).collect::<Result<_>>()?;
    Ok(Trajectory::new(1.0, steps))
}

/// A timestep that the model has not.
pub fn beyond(asked: &Asked<'_>, t: usize) -> Error {
    let Asked { config, steps, .. } = asked;
    Error::InvalidInput {
        field: "steps",
        message: format!(
            "{steps} steps with steps_offset {} ask for timestep {t} of {}; use fewer",
            config.steps_offset, config.num_train_timesteps
        ),
    }
}

/// From cumulated alpha `from` to `to`: next = √to · clean + √(1 - to - σ²) · noise + σ · fresh noise, where σ is η times the
/// spread that DDPM has there (equation 16).
fn one_step(prediction: PredictionType, timestep: f64, from: f64, to: f64, eta: f64) -> Evaluation {
    let (alpha, sigma) = (from.sqrt(), (1.0 - from).sqrt());
    let fresh = eta * ((1.0 - to) / (1.0 - from) * (1.0 - from / to)).max(0.0).sqrt();
    let (alpha_to, sigma_to) = (to.sqrt(), (1.0 - to - fresh * fresh).max(0.0).sqrt());
    let denoised = denoised_at(prediction, alpha, sigma);
    let noise = noise_at(prediction, alpha, sigma);
    Evaluation {
        timestep,
        sigma: sigma / alpha,
        input_scale: 1.0,
        next: Linear {
            x: alpha_to * denoised.x + sigma_to * noise.x,
            model: alpha_to * denoised.model + sigma_to * noise.model,
            ..Linear::default()
        },
        noise: fresh,
        denoised,
        ..Evaluation::default()
    }
}

/// The noise in latents = alpha · clean + sigma · noise, as the model sees it.
pub fn noise_at(prediction: PredictionType, alpha: f64, sigma: f64) -> Linear2 {
    match prediction {
        PredictionType::Epsilon => Linear2 { x: 0.0, model: 1.0 },
        PredictionType::VPrediction => Linear2 { x: sigma, model: alpha },
        PredictionType::Sample => Linear2 { x: 1.0 / sigma, model: -alpha / sigma },
    }
}
