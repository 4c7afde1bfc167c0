//! UniPC: W. Zhao et al., <https://arxiv.org/abs/2302.04867>, order 2 over clean estimates. Each evaluation first corrects the
//! latents it was made at, then predicts the next.

use super::dpm_multistep::{Level, Visited, visited};
use super::samplers::{Asked, KarrasOf};
use super::{Evaluation, Linear, Linear2, Trajectory, denoised_at};
use crate::error::Result;

/// The paper's B(h): h itself, or e^h − 1.
#[derive(Clone, Copy, PartialEq)]
enum Bh {
    One,
    Two,
}

/// diffusers' `UniPCMultistepScheduler`, `bh2`.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    run(asked, Bh::Two)
}

/// The same with `bh1`.
pub fn trajectory_bh1(asked: &Asked<'_>) -> Result<Trajectory> {
    run(asked, Bh::One)
}

fn run(asked: &Asked<'_>, kind: Bh) -> Result<Trajectory> {
    let Visited { timesteps, levels, init_noise_sigma } =
        visited(&Asked { karras: KarrasOf::Diffusers, ..*asked })?;
    let n = timesteps.len();
    // Of the prediction that leaves a level: second order where there is one before, but for the last.
    let order = |i: usize| {
        let most = if asked.config.lower_order_final { 2.min(n - i) } else { 2 };
        most.min(i + 1 - asked.first.min(i))
    };
    let step = |i: usize| {
        let denoised = denoised_at(asked.config.prediction_type, levels[i].alpha, levels[i].sigma);
        let clean = Linear::from(denoised);
        // Kept are the corrected latents of the last evaluation, its clean estimate, and the one before that.
        let corrected = match i > asked.first {
            true => {
                let way = Way::new(&levels, i - 1, order(i - 1), kind);
                let [this, last, before] = way.correction();
                let x = Linear { history: [way.stays, way.clean + last, before], ..Linear::default() };
                plus(x, scaled(clean, this))
            }
            false => Linear { x: 1.0, ..Linear::default() },
        };
        let way = Way::new(&levels, i, order(i), kind);
        let [this, last] = way.prediction();
        let past = Linear { history: [0.0, last, 0.0], ..Linear::default() };
        let next = plus(plus(scaled(corrected, way.stays), scaled(clean, way.clean + this)), past);
        let known = if i > asked.first { Linear::kept(1) } else { Linear::default() };
        Evaluation {
            timestep: timesteps[i],
            sigma: levels[i].ratio,
            input_scale: 1.0,
            next,
            keep: [corrected, clean, known],
            denoised: Linear2 { x: denoised.x, model: denoised.model },
            ..Evaluation::default()
        }
        .into()
    };
    Ok(Trajectory::new(init_noise_sigma, (0..n).map(step).collect()))
}

/// From a level to the next one.
struct Way {
    /// What of the latents stays.
    stays: f64,
    /// What of the clean estimate a step of first order takes.
    clean: f64,
    /// What differences of clean estimates are multiplied by: −α · B(h).
    by: f64,
    /// How far back the level before is, in steps of this length, negative; of second order alone.
    back: Option<f64>,
    /// What the corrector gives to the slope before, and to that of this step.
    weights: [f64; 2],
}

impl Way {
    fn new(levels: &[Level], i: usize, order: usize, kind: Bh) -> Way {
        let (from, to) = (levels[i], levels[i + 1]);
        let h = to.lambda - from.lambda;
        let grown = (-h).exp_m1();
        let b = match kind {
            Bh::One => -h,
            Bh::Two => grown,
        };
        let before = (order > 1).then(|| (levels[i - 1].lambda - from.lambda) / h);
        let back = before.filter(|back| back.is_finite() && *back < 0.0);
        // To the clean end nothing is corrected, and B(h) of an infinite step is of no use but in the first order's way.
        let by = if h.is_finite() && h > 0.0 { -to.alpha * b } else { 0.0 };
        let weights = match back {
            Some(back) => {
                // The two equations of the paper's R · ρ = b.
                let phi_2 = grown / -h - 1.0;
                let (first, second) = (phi_2 / b, (phi_2 / -h - 0.5) * 2.0 / b);
                let old = (second - first) / (back - 1.0);
                [old, first - old]
            }
            None => [0.0, 0.5],
        };
        Way { stays: to.sigma / from.sigma, clean: -to.alpha * grown, by, back, weights }
    }

    /// Shares of this clean estimate and the last, beside the first order's.
    fn prediction(&self) -> [f64; 2] {
        let share = self.back.map_or(0.0, |back| 0.5 * self.by / back);
        [-share, share]
    }

    /// Shares of the clean estimate at the end of the way, of the one at its start and of the one before that.
    fn correction(&self) -> [f64; 3] {
        let [old, new] = self.weights.map(|weight| weight * self.by);
        let old = self.back.map_or(0.0, |back| old / back);
        [new, -new - old, old]
    }
}

fn scaled(Linear { x, model, history }: Linear, by: f64) -> Linear {
    Linear { x: by * x, model: by * model, history: history.map(|share| by * share) }
}

fn plus(a: Linear, b: Linear) -> Linear {
    let mut history = a.history;
    history.iter_mut().zip(b.history).for_each(|(a, b)| *a += b);
    Linear { x: a.x + b.x, model: a.model + b.model, history }
}
