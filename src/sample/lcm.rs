//! Latent consistency models: S. Luo et al., <https://arxiv.org/abs/2310.04378>. Each step jumps to the clean end, and fresh
//! noise brings the latents back to the level of the next.

use super::samplers::Asked;
use super::schedule::{alphas_cumprod, lcm_timesteps};
use super::{Evaluation, Linear, Trajectory, denoised_at};
use crate::config::SchedulerConfig;
use crate::error::{Error, Result};

/// The spread of the data that the boundary condition was made for; every such model has this one.
const SIGMA_DATA: f64 = 0.5;

/// diffusers' `LCMScheduler`.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let (config, steps) = (asked.config, asked.steps);
    refuse_more_than_distilled(asked, "lcm")?;
    let alphas = alphas_cumprod(config);
    let timesteps = lcm_timesteps(config, steps);
    let levels: Vec<f64> = timesteps.iter().map(|t| f64::from(alphas[*t as usize])).collect();
    let step = |i: usize| {
        let to = levels.get(i + 1).copied();
        let here = one_step(config, timesteps[i], levels[i], to);
        Evaluation { noise: here.noise * asked.s_noise(), ..here }.into()
    };
    Ok(Trajectory::new(1.0, (0..steps).map(step).collect()))
}

/// There are as many steps as the schedule that the model was distilled on has.
pub fn refuse_more_than_distilled(asked: &Asked<'_>, sampler: &str) -> Result<()> {
    let (steps, most) = (asked.steps, asked.config.original_inference_steps());
    if steps <= most {
        return Ok(());
    }
    Err(Error::InvalidInput {
        field: "steps",
        message: format!(
            "{steps} steps asked for; with sampler {sampler} there are at most {most}, and 4 to 8 are usual"
        ),
    })
}

/// From cumulated alpha `from` to `to`, or to the clean end: the estimate that the boundary condition lets through, scaled down
/// to where the noise is added.
fn one_step(config: &SchedulerConfig, timestep: f64, from: f64, to: Option<f64>) -> Evaluation {
    let (alpha, sigma) = (from.sqrt(), (1.0 - from).sqrt());
    let denoised = denoised_at(config.prediction_type, alpha, sigma);
    // The boundary condition: at no noise the latents are the picture, whatever the model says.
    let scaled = timestep * config.timestep_scaling();
    let skip = SIGMA_DATA.powi(2) / (scaled.powi(2) + SIGMA_DATA.powi(2));
    let out = scaled / scaled.hypot(SIGMA_DATA);
    let keep = to.map_or(1.0, f64::sqrt);
    Evaluation {
        timestep,
        sigma: sigma / alpha,
        input_scale: 1.0,
        next: Linear {
            x: keep * (out * denoised.x + skip),
            model: keep * out * denoised.model,
            ..Linear::default()
        },
        noise: to.map_or(0.0, |to| (1.0 - to).sqrt()),
        denoised,
        ..Evaluation::default()
    }
}
