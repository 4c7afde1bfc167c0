//! Euler ancestral: each Euler step overshoots, and fresh noise brings the latents back up to the next level.
//!
//! K. Crowson's k-diffusion, `sample_euler_ancestral` with η = 1.

use super::euler::{levels, one_step};
use super::{Evaluation, ScheduleKind, Step, Trajectory};
use crate::config::{FinalSigmas, SchedulerConfig};
use crate::error::Result;

/// diffusers' `EulerAncestralDiscreteScheduler`; always ends at zero noise. Karras sigmas are asked for by the caller alone:
/// the class ignores what the file says of them.
pub fn trajectory(config: &SchedulerConfig, schedule: ScheduleKind, steps: usize) -> Result<Trajectory> {
    let levels = levels(config, schedule == ScheduleKind::Karras, FinalSigmas::Zero, steps);
    let step = |(timestep, pair): (&f64, &[f64])| {
        let (from, to) = (pair[0], pair[1]);
        // In f32, as there: from a very high level (zero terminal SNR) the difference is mostly rounding.
        let (from2, to2) = ((from * from) as f32, (to * to) as f32);
        let up = f64::from((to2 * (from2 - to2) / from2).max(0.0).sqrt());
        let down = f64::from((to2 - (up * up) as f32).max(0.0).sqrt());
        Step::from(Evaluation { noise: up, ..one_step(config.prediction_type, *timestep, from, down) })
    };
    let steps = levels.timesteps.iter().zip(levels.sigmas.windows(2)).map(step).collect();
    Ok(Trajectory { init_noise_sigma: levels.init_noise_sigma, steps })
}
