//! Heun: the second-order step of T. Karras et al., <https://arxiv.org/abs/2206.00364>, algorithm 1 without churn.
//!
//! An Euler step shows the slope at the next level; the step is then taken anew, along the mean of the slopes at both.

use super::euler::{Churned, Levels, at, levels, slope};
use super::samplers::Asked;
use super::{Evaluation, Linear, Step, Trajectory};
use crate::config::{FinalSigmas, PredictionType};
use crate::error::Result;

/// diffusers' `HeunDiscreteScheduler`; always ends at zero noise.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = levels(asked, asked.kind(), FinalSigmas::Zero)?;
    let churned = Churned::new(asked, &levels);
    let step = |i: usize| {
        step(asked.config.prediction_type, [churned.timesteps[i], churned.hat[i]], next(&levels, i))
    };
    let steps = (0..levels.timesteps.len()).map(step).collect();
    Ok(churned.run(asked, &levels, steps))
}

/// The level after step `i`, and its timestep where it has one.
fn next(levels: &Levels, i: usize) -> (f64, Option<f64>) {
    (levels.sigmas[i + 1], levels.timesteps.get(i + 1).copied())
}

/// From a timestep's level to another: latents + (slope here + slope there) / 2 · (to - from).
pub fn step(prediction: PredictionType, [timestep, from]: [f64; 2], (to, there): (f64, Option<f64>)) -> Step {
    // In f32, as there: from a very high level (zero terminal SNR) the difference is mostly rounding.
    let by = f64::from((to - from) as f32);
    let here = at(prediction, timestep, from);
    let slope_here = slope(here.denoised, from);
    let along =
        |by: f64| Linear { x: 1.0 + by * slope_here.x, model: by * slope_here.model, ..Linear::default() };
    let trial = Evaluation { next: along(by), ..here };
    // At the clean end there is no slope: the last step is Euler's.
    let Some(timestep) = there else { return trial.into() };
    let there = at(prediction, timestep, to);
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
