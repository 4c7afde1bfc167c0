//! The second-order samplers of one step: DPM-Solver-2 (C. Lu et al., <https://arxiv.org/abs/2206.00927>) and DPM-Solver++(2S)
//! (<https://arxiv.org/abs/2211.01095>), as K. Crowson's k-diffusion has them: a second evaluation half the way in ln σ.

use super::euler::{Churned, at, k_levels, one_step};
use super::euler_ancestral::down_and_up;
use super::samplers::Asked;
use super::schedule::{alphas_cumprod_above_zero, k_timestep_at, sigmas};
use super::{Evaluation, HISTORY, Linear, Step, Trajectory};
use crate::error::Result;

/// `sample_dpm_2`.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = k_levels(asked)?;
    let churned = Churned::new(asked, &levels);
    let all = all_levels(asked);
    let step = |i: usize| {
        let [timestep, from, to] = [churned.timesteps[i], churned.hat[i], levels.sigmas[i + 1]];
        slopes(asked, &all, [timestep, from], to, 0.0)
    };
    let steps = (0..levels.timesteps.len()).map(step).collect();
    Ok(churned.run(asked, &levels, steps))
}

/// `sample_dpm_2_ancestral`.
pub fn ancestral(asked: &Asked<'_>) -> Result<Trajectory> {
    ancestral_run(asked, slopes)
}

/// `sample_dpmpp_2s_ancestral`.
pub fn plus_plus_ancestral(asked: &Asked<'_>) -> Result<Trajectory> {
    ancestral_run(asked, clean)
}

type Taken = fn(&Asked<'_>, &[f32], [f64; 2], f64, f64) -> Step;

fn ancestral_run(asked: &Asked<'_>, step: Taken) -> Result<Trajectory> {
    let levels = k_levels(asked)?;
    let all = all_levels(asked);
    let taken = |(timestep, pair): (&f64, &[f64])| {
        let (down, up) = down_and_up(pair[0], pair[1], asked.eta());
        step(asked, &all, [*timestep, pair[0]], down, up * asked.s_noise())
    };
    let steps = levels.timesteps.iter().zip(levels.sigmas.windows(2)).map(taken).collect();
    Ok(Trajectory::new(levels.init_noise_sigma, steps))
}

/// The training's levels.
pub fn all_levels(asked: &Asked<'_>) -> Vec<f32> {
    sigmas(&alphas_cumprod_above_zero(asked.config))
}

/// From a timestep's level along the slope half the way: latents + slope in the middle · (to - from), and `noise` of it fresh.
/// To the clean end there is no middle, and the step is Euler's.
fn slopes(asked: &Asked<'_>, all: &[f32], [timestep, from]: [f64; 2], to: f64, noise: f64) -> Step {
    let prediction = asked.config.prediction_type;
    if to <= 0.0 {
        return one_step(prediction, timestep, from, to).into();
    }
    let middle = (from * to).sqrt();
    let trial = one_step(prediction, timestep, from, middle);
    let there = one_step(prediction, k_timestep_at(all, middle), middle, middle + (to - from));
    // The slope's share of what an Euler step from there, as long as this one, would make.
    let next = Linear { x: there.next.x - 1.0, model: there.next.model, ..Linear::kept(0) };
    twice(trial, Linear { x: 1.0, ..Linear::default() }, Evaluation { next, noise, ..there })
}

/// From a timestep's level with the clean estimate half the way: (to/from) · latents + (1 - to/from) · clean.
fn clean(asked: &Asked<'_>, all: &[f32], [timestep, from]: [f64; 2], to: f64, noise: f64) -> Step {
    let prediction = asked.config.prediction_type;
    if to <= 0.0 {
        return Evaluation { noise, ..one_step(prediction, timestep, from, to) }.into();
    }
    let middle = (from * to).sqrt();
    let trial = one_step(prediction, timestep, from, middle);
    let there = at(prediction, k_timestep_at(all, middle), middle);
    let share = 1.0 - to / from;
    let next = Linear { x: share * there.denoised.x, model: share * there.denoised.model, ..Linear::kept(0) };
    twice(trial, Linear { x: to / from, ..Linear::default() }, Evaluation { next, noise, ..there })
}

/// A step of two evaluations, the first of which keeps one value.
pub fn twice(first: Evaluation, kept: Linear, second: Evaluation) -> Step {
    let mut keep = [Linear::default(); HISTORY];
    keep[0] = kept;
    Step { evaluations: vec![Evaluation { keep, ..first }, second] }
}
