//! The samplers of the diffusion SDE: DPM-Solver++ (C. Lu et al., <https://arxiv.org/abs/2211.01095>) with the noise of a
//! Brownian path, as K. Crowson's k-diffusion has them.

use super::dpm2::{all_levels, twice};
use super::euler::{Levels, at, k_levels, one_step};
use super::euler_ancestral::down_and_up;
use super::samplers::Asked;
use super::schedule::k_timestep_at;
use super::{Evaluation, Linear, Step, Trajectory};
use crate::error::Result;

/// `sample_dpmpp_sde` with its middle half the way.
pub fn singlestep(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = k_levels(asked)?;
    let all = all_levels(asked);
    let step = |(timestep, pair): (&f64, &[f64])| halfway(asked, &all, *timestep, [pair[0], pair[1]]);
    let steps = levels.timesteps.iter().zip(levels.sigmas.windows(2)).map(step).collect();
    Ok(run(&levels, steps))
}

/// `sample_dpmpp_2m_sde` in its midpoint form.
pub fn second_order(asked: &Asked<'_>) -> Result<Trajectory> {
    multistep(asked, |before| Shares::of_slope(before, |h| 0.5 * -(-h).exp_m1()))
}

/// The same in its Heun form.
pub fn second_order_heun(asked: &Asked<'_>) -> Result<Trajectory> {
    multistep(asked, |before| Shares::of_slope(before, phi_2))
}

/// `sample_dpmpp_3m_sde`.
pub fn third_order(asked: &Asked<'_>) -> Result<Trajectory> {
    multistep(asked, Shares::of_curve)
}

/// The steps of a run, whose noise comes from paths between its lowest and its highest level.
fn run(levels: &Levels, steps: Vec<Step>) -> Trajectory {
    let visited = &levels.sigmas[..levels.timesteps.len()];
    let ends =
        [visited.iter().copied().fold(f64::INFINITY, f64::min), visited.iter().copied().fold(0.0, f64::max)];
    Trajectory { paths: Some(ends), ..Trajectory::new(levels.init_noise_sigma, steps) }
}

/// A step of two evaluations: an ancestral Euler step half the way in ln σ, and one all the way along the clean estimate there.
fn halfway(asked: &Asked<'_>, all: &[f32], timestep: f64, [from, to]: [f64; 2]) -> Step {
    let prediction = asked.config.prediction_type;
    if to <= 0.0 {
        return one_step(prediction, timestep, from, to).into();
    }
    // In f32, as there: the path is followed between levels that went through a logarithm and back.
    let [start, end] = [from, to].map(|sigma| -(sigma.ln() as f32));
    let half = start + (end - start) * 0.5;
    let [start, half, end] = [start, half, end].map(|t| f64::from((-f64::from(t)).exp() as f32));
    let (down, up) = down_and_up(start, half, asked.eta());
    let trial = Evaluation {
        noise: up * asked.s_noise(),
        path: Some([start, half]),
        ..one_step(prediction, timestep, from, down)
    };
    let there = at(prediction, k_timestep_at(all, half), half);
    let (down, up) = down_and_up(start, end, asked.eta());
    let share = 1.0 - down / from;
    let next = Linear { x: share * there.denoised.x, model: share * there.denoised.model, ..Linear::kept(0) };
    let second = Evaluation { next, noise: up * asked.s_noise(), path: Some([start, end]), ..there };
    twice(trial, Linear { x: down / from, ..Linear::default() }, second)
}

/// What a step of several knows: how long it is and those before it were, in ln σ, the last first.
struct Before {
    /// With its part that is drawn anew.
    h: f64,
    /// Those before as multiples of it.
    ratios: Vec<f64>,
}

/// What of this clean estimate and the two before it a step adds to what it would make of this one alone.
#[derive(Default)]
struct Shares([f64; 3]);

/// (1 - e⁻ʰ)/(-h) + 1
fn phi_2(h: f64) -> f64 {
    (-h).exp_m1() / h + 1.0
}

impl Shares {
    /// So much, by the step's length, of the slope between this estimate and the last.
    fn of_slope(before: &Before, share: impl Fn(f64) -> f64) -> Self {
        match before.ratios.first() {
            Some(ratio) => {
                let share = share(before.h) / ratio;
                Shares([share, -share, 0.0])
            }
            None => Shares::default(),
        }
    }

    /// By slope and bend of the last three, or as far as there are any.
    fn of_curve(before: &Before) -> Self {
        let h = before.h;
        let [r0, r1] = before.ratios[..] else { return Shares::of_slope(before, phi_2) };
        let phi_3 = phi_2(h) / h - 0.5;
        // Slopes: between this and the last, the last and the one before it.
        let (near, far) = ([1.0 / r0, -1.0 / r0, 0.0], [0.0, 1.0 / r1, -1.0 / r1]);
        let share = |i: usize| {
            let bend = (near[i] - far[i]) / (r0 + r1);
            phi_2(h) * (near[i] + bend * r0) - phi_3 * bend
        };
        Shares([share(0), share(1), share(2)])
    }
}

fn multistep(asked: &Asked<'_>, shares: impl Fn(&Before) -> Shares) -> Result<Trajectory> {
    let levels = k_levels(asked)?;
    let prediction = asked.config.prediction_type;
    // In f32, as there: what is lost of a step's length is lost of all its shares.
    let time = |i: usize| -(levels.sigmas[i].ln() as f32);
    let length = |i: usize| f64::from(time(i + 1) - time(i));
    let step = |i: usize| {
        let (from, to) = (levels.sigmas[i], levels.sigmas[i + 1]);
        let here = at(prediction, levels.timesteps[i], from);
        // What was kept moves up one place, as far as there is any.
        let last = if i > asked.first { Linear::kept(0) } else { Linear::default() };
        let keep = [here.denoised.into(), last, Linear::default()];
        if to <= 0.0 {
            return Step::from(Evaluation { next: here.denoised.into(), keep, ..here });
        }
        let (h, eta) = (length(i), asked.eta());
        let known = (asked.first..i).rev().take(2).map(|before| length(before) / h);
        // Two equal levels (more steps than there are levels to tell apart) leave no slope to follow.
        let ratios = known.take_while(|ratio| ratio.is_finite() && *ratio > 0.0).collect();
        let with = h * (1.0 + eta);
        let Shares([this, before, first]) =
            if h > 0.0 { shares(&Before { h: with, ratios }) } else { Shares::default() };
        let clean = -(-with).exp_m1() + this;
        let next = Linear {
            x: to / from * (-eta * h).exp() + clean * here.denoised.x,
            model: clean * here.denoised.model,
            history: [before, first, 0.0],
        };
        let noise = to * (-(-2.0 * eta * h).exp_m1()).max(0.0).sqrt() * asked.s_noise();
        Evaluation { next, noise, path: Some([from, to]), keep, ..here }.into()
    };
    Ok(run(&levels, (0..levels.timesteps.len()).map(step).collect()))
}
