//! Trajectory consistency distillation: J. Zheng et al., <https://arxiv.org/abs/2402.19159>. Each step jumps to a timestep between
//! the next and the clean end, and fresh noise brings the latents up to the next: η (the paper's γ) says how far.

use super::ddim::noise_at;
use super::lcm::refuse_more_than_distilled;
use super::samplers::Asked;
use super::schedule::{alphas_cumprod, lcm_timesteps};
use super::{Evaluation, Linear, Trajectory, denoised_at};
use crate::error::{Error, Result};

/// diffusers' `TCDScheduler`, whose timesteps are LCM's.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let (config, eta) = (asked.config, asked.eta());
    refuse_more_than_distilled(asked, "tcd")?;
    if eta > 1.0 {
        let message = format!("{eta} asked for, expected 0 to 1 with sampler tcd");
        return Err(Error::InvalidInput { field: "eta", message });
    }
    let alphas: Vec<f64> = alphas_cumprod(config).into_iter().map(f64::from).collect();
    let timesteps = lcm_timesteps(config, asked.steps);
    let step = |i: usize| {
        let from = alphas[timesteps[i] as usize];
        // After the last comes the first timestep, not the clean end.
        let next = timesteps.get(i + 1).copied().unwrap_or(0.0);
        let (to, through) = (alphas[next as usize], alphas[((1.0 - eta) * next).floor() as usize]);
        let (alpha, sigma) = (from.sqrt(), (1.0 - from).sqrt());
        let (denoised, noise) = (
            denoised_at(config.prediction_type, alpha, sigma),
            noise_at(config.prediction_type, alpha, sigma),
        );
        let last = i + 1 == timesteps.len();
        let scale = if eta > 0.0 && !last { (to / through).sqrt() } else { 1.0 };
        let (clean, seen) = (scale * through.sqrt(), scale * (1.0 - through).sqrt());
        let fresh = if last { 0.0 } else { (1.0 - scale * scale).max(0.0).sqrt() };
        Evaluation {
            timestep: timesteps[i],
            sigma: sigma / alpha,
            input_scale: 1.0,
            next: Linear {
                x: clean * denoised.x + seen * noise.x,
                model: clean * denoised.model + seen * noise.model,
                ..Linear::default()
            },
            noise: fresh * asked.s_noise(),
            denoised,
            ..Evaluation::default()
        }
        .into()
    };
    Ok(Trajectory::new(1.0, (0..timesteps.len()).map(step).collect()))
}
