//! Heun: the second-order step of T. Karras et al., <https://arxiv.org/abs/2206.00364>, algorithm 1 without churn.
//!
//! An Euler step shows the slope at the next level; the step is then taken anew, along the mean of the slopes at both.

use super::euler::{Levels, at, levels, slope};
use super::{Evaluation, Linear, ScheduleKind, Step, Trajectory};
use crate::config::{FinalSigmas, PredictionType, SchedulerConfig};
use crate::error::Result;

/// diffusers' `HeunDiscreteScheduler`; always ends at zero noise.
pub fn trajectory(config: &SchedulerConfig, schedule: ScheduleKind, steps: usize) -> Result<Trajectory> {
    let levels = levels(config, schedule.is_karras_with(config), FinalSigmas::Zero, steps);
    let steps = (0..levels.timesteps.len()).map(|i| step(config.prediction_type, &levels, i)).collect();
    Ok(Trajectory { init_noise_sigma: levels.init_noise_sigma, steps })
}

/// From level `i` to the next: latents + (slope here + slope there) / 2 · (to - from).
fn step(prediction: PredictionType, levels: &Levels, i: usize) -> Step {
    let (from, to) = (levels.sigmas[i], levels.sigmas[i + 1]);
    // In f32, as there: from a very high level (zero terminal SNR) the difference is mostly rounding.
    let by = f64::from((to - from) as f32);
    let here = at(prediction, levels.timesteps[i], from);
    let slope_here = slope(here.denoised, from);
    let along =
        |by: f64| Linear { x: 1.0 + by * slope_here.x, model: by * slope_here.model, ..Linear::default() };
    let trial = Evaluation { next: along(by), ..here };
    // At the clean end there is no slope: the last step is Euler's.
    let Some(timestep) = levels.timesteps.get(i + 1) else { return trial.into() };
    let there = at(prediction, *timestep, to);
    let slope_there = slope(there.denoised, to);
    // The first slope's half is kept, to which the second evaluation adds its own.
    let half = by / 2.0;
    let next = Linear { x: half * slope_there.x, model: half * slope_there.model, ..Linear::kept(0) };
    Step {
        evaluations: vec![
            Evaluation { keep: [along(half), Linear::default(), Linear::default()], ..trial },
            Evaluation { next, ..there },
        ],
    }
}
