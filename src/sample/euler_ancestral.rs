//! Euler ancestral: each Euler step overshoots, and fresh noise brings the latents back up to the next level.
//!
//! K. Crowson's k-diffusion, `sample_euler_ancestral` with η = 1.

use super::euler::{levels, one_step};
use super::samplers::Asked;
use super::{Evaluation, Step, Trajectory};
use crate::config::FinalSigmas;
use crate::error::Result;

/// diffusers' `EulerAncestralDiscreteScheduler`; always ends at zero noise. Karras sigmas are asked for by the caller alone:
/// the class ignores what the file says of them.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = levels(asked, asked.schedule, FinalSigmas::Zero)?;
    let step = |(timestep, pair): (&f64, &[f64])| {
        let (from, to) = (pair[0], pair[1]);
        let (down, up) = down_and_up(from, to, asked.eta());
        let noise = up * asked.s_noise();
        Step::from(Evaluation { noise, ..one_step(asked.config.prediction_type, *timestep, from, down) })
    };
    let steps = levels.timesteps.iter().zip(levels.sigmas.windows(2)).map(step).collect();
    Ok(Trajectory::new(levels.init_noise_sigma, steps))
}

/// How far down an ancestral step goes on its way from one level to another, and how much fresh noise brings it up again
/// (k-diffusion's `get_ancestral_step`).
pub fn down_and_up(from: f64, to: f64, eta: f64) -> (f64, f64) {
    // In f32, as there: from a very high level (zero terminal SNR) the difference is mostly rounding.
    let (from2, to2) = ((from * from) as f32, (to * to) as f32);
    let up = f64::from((to2 * (from2 - to2) / from2).max(0.0).sqrt());
    let up = to.min(eta * up);
    (f64::from((to2 - (up * up) as f32).max(0.0).sqrt()), up)
}
