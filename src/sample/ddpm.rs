//! DDPM: J. Ho et al., <https://arxiv.org/abs/2006.11239>, over fewer timesteps than the training's.

use super::ddim::beyond;
use super::samplers::Asked;
use super::schedule::{alphas_cumprod, ddim_timesteps};
use super::{Evaluation, Linear, Trajectory, denoised_at};
use crate::error::Result;

/// diffusers' `DDPMScheduler` with its `fixed_small` variance: each step draws from the posterior between its timestep and the
/// next (equation 7), the last without noise.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let config = asked.spaced_config();
    let alphas = alphas_cumprod(&config);
    let timesteps = ddim_timesteps(&config, asked.steps);
    let alpha =
        |t: f64| alphas.get(t as usize).map(|a| f64::from(*a)).ok_or_else(|| beyond(asked, t as usize));
    let step = |i: usize| {
        let from = alpha(timesteps[i])?;
        let to = timesteps.get(i + 1).map_or(Ok(1.0), |t| alpha(*t))?;
        let denoised = denoised_at(config.prediction_type, from.sqrt(), (1.0 - from).sqrt());
        let ratio = from / to;
        let clean = to.sqrt() * (1.0 - ratio) / (1.0 - from);
        let stays = ratio.sqrt() * (1.0 - to) / (1.0 - from);
        let variance = ((1.0 - to) / (1.0 - from) * (1.0 - ratio)).max(1e-20);
        let noise = if timesteps[i] > 0.0 { variance.sqrt() } else { 0.0 };
        let next =
            Linear { x: stays + clean * denoised.x, model: clean * denoised.model, ..Linear::default() };
        let here = Evaluation {
            timestep: timesteps[i],
            sigma: ((1.0 - from) / from).sqrt(),
            input_scale: 1.0,
            next,
            noise: noise * asked.s_noise(),
            denoised,
            ..Evaluation::default()
        };
        Ok(here.into())
    };
    Ok(Trajectory::new(1.0, (0..timesteps.len()).map(step).collect::<Result<_>>()?))
}
