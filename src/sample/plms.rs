//! PLMS: L. Liu et al., <https://arxiv.org/abs/2202.09778>, the linear multistep method over noise estimates, begun without
//! Runge–Kutta steps as latent diffusion does it.

use super::ddim::beyond;
use super::samplers::Asked;
use super::schedule::{alphas_cumprod, ddim_timesteps};
use super::{Evaluation, HISTORY, Linear, Linear2, Step, Trajectory, denoised_at};
use crate::config::PredictionType;
use crate::error::{Error, Result};

/// diffusers' `PNDMScheduler` with `skip_prk_steps`. Its first step asks twice: along the first estimate, and then anew along the
/// mean of that and the one at the end.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let config = &asked.spaced_config();
    if config.prediction_type == PredictionType::Sample {
        return Err(Error::Unsupported {
            what: "prediction_type sample with sampler plms".to_string(),
            message: "it knows noise and velocity; use another sampler".to_string(),
        });
    }
    let alphas = alphas_cumprod(config);
    let last = if config.set_alpha_to_one { 1.0 } else { f64::from(alphas[0]) };
    let timesteps = ddim_timesteps(config, asked.steps);
    if let Some(t) = timesteps.iter().find(|t| **t as usize >= alphas.len()) {
        return Err(beyond(asked, *t as usize));
    }
    let stride = config.num_train_timesteps / asked.steps;
    // Each step goes as far as an even one would, wherever the next timestep is.
    let alpha = |t: f64| f64::from(alphas[t as usize]);
    let after = |t: f64| (t as usize).checked_sub(stride).map_or(last, |t| f64::from(alphas[t]));
    let step = |i: usize| -> Step {
        let here = at(config.prediction_type, timesteps[i], alpha(timesteps[i]));
        let along = way(config.prediction_type, alpha(timesteps[i]), after(timesteps[i]));
        let output = Linear { model: 1.0, ..Linear::default() };
        // The outputs move up one place, those there are.
        let known = i.saturating_sub(asked.first);
        let before = |place: usize| if known > place { Linear::kept(place) } else { Linear::default() };
        let keep = [output, before(0), before(1)];
        match (known, timesteps.get(i + 1)) {
            (0, Some(next)) => {
                let trial = Evaluation {
                    next: Linear { x: along.x, model: along.model, ..Linear::default() },
                    keep: [output, Linear { x: 1.0, ..Linear::default() }, Linear::default()],
                    ..here
                };
                // The second goes the same way anew, to the timestep at which it is taken.
                let way = way(config.prediction_type, alpha_or(&alphas, *next + stride as f64), alpha(*next));
                let half = way.model / 2.0;
                let second = Evaluation {
                    next: Linear { x: 0.0, model: half, history: [half, way.x, 0.0] },
                    keep: [Linear::kept(0), Linear::default(), Linear::default()],
                    ..at(config.prediction_type, *next, alpha(*next))
                };
                Step { evaluations: vec![trial, second] }
            }
            _ => {
                let [now, past @ ..] = WEIGHTS[known.min(HISTORY)].map(|weight| weight * along.model);
                let next = Linear { x: along.x, model: now, history: past };
                Evaluation { next, keep, ..here }.into()
            }
        }
    };
    Ok(Trajectory::new(1.0, (0..timesteps.len()).map(step).collect()))
}

/// Adams and Bashforth's, by how many estimates there are from before.
const WEIGHTS: [[f64; HISTORY + 1]; HISTORY + 1] = [
    [1.0, 0.0, 0.0, 0.0],
    [3.0 / 2.0, -1.0 / 2.0, 0.0, 0.0],
    [23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0, 0.0],
    [55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// The cumulated alpha at a timestep, the last where there is none.
fn alpha_or(alphas: &[f32], t: f64) -> f64 {
    f64::from(alphas[(t as usize).min(alphas.len() - 1)])
}

/// An evaluation at a cumulated alpha that so far leads nowhere.
fn at(prediction: PredictionType, timestep: f64, alpha: f64) -> Evaluation {
    Evaluation {
        timestep,
        sigma: ((1.0 - alpha) / alpha).sqrt(),
        input_scale: 1.0,
        denoised: denoised_at(prediction, alpha.sqrt(), (1.0 - alpha).sqrt()),
        ..Evaluation::default()
    }
}

/// Equation 9 of the paper: what of latents and output a step from cumulated alpha `from` to `to` takes.
fn way(prediction: PredictionType, from: f64, to: f64) -> Linear2 {
    let x = (to / from).sqrt();
    let noise = (from - to) / (from * (1.0 - to).sqrt() + (from * (1.0 - from) * to).sqrt());
    match prediction {
        PredictionType::VPrediction => {
            Linear2 { x: x + noise * (1.0 - from).sqrt(), model: noise * from.sqrt() }
        }
        _ => Linear2 { x, model: noise },
    }
}
