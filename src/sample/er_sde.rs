//! ER-SDE-Solver-3: Q. Cui et al., <https://arxiv.org/abs/2309.06169>, of the third order by what two steps before it estimated, in
//! sigma space, with the noise scale that its authors choose.

use super::euler::{at, k_levels};
use super::samplers::Asked;
use super::{Evaluation, Linear, Step, Trajectory};
use crate::error::Result;

/// Into how many parts its authors' code cuts a step to integrate over it.
const PARTS: u32 = 100;

/// The authors' SDE_5.
fn scale(sigma: f64) -> f64 {
    sigma * (sigma.powf(0.3).exp() + 10.0)
}

pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = k_levels(asked)?;
    let step = |i: usize| {
        let here = at(asked.config.prediction_type, levels.timesteps[i], levels.sigmas[i]);
        let last = if i > asked.first { Linear::kept(0) } else { Linear::default() };
        let keep = [here.denoised.into(), last, Linear::default()];
        let before = &levels.sigmas[i.saturating_sub(2).max(asked.first).min(i)..=i];
        let (kept, [now, one, two], noise) = shares(before, levels.sigmas[i + 1]);
        let next = Linear {
            x: kept + now * here.denoised.x,
            model: now * here.denoised.model,
            history: [one, two, 0.0],
        };
        Step::from(Evaluation { next, noise: noise * asked.s_noise(), keep, ..here })
    };
    Ok(Trajectory::new(levels.init_noise_sigma, (0..levels.timesteps.len()).map(step).collect()))
}

/// What of the latents, of this clean estimate and the two before it, and of fresh noise makes the latents at level `to`; `before`
/// are the levels of the estimates, this one's last.
fn shares(before: &[f64], to: f64) -> (f64, [f64; 3], f64) {
    let at = |back: usize| before.len().checked_sub(1 + back).map(|place| before[place]);
    let from = at(0).unwrap_or_default();
    let kept = scale(to) / scale(from);
    // The authors take less than a millionth for rounding.
    let square = to * to - from * from * kept * kept;
    let noise = if square < 1e-6 { 0.0 } else { square.sqrt() };
    let mut estimates = [1.0 - kept, 0.0, 0.0];
    // Two equal levels (more steps than there are levels to tell apart) leave no slope to follow.
    let Some(slope) = at(1).map(|one| from - one).filter(|slope| *slope != 0.0 && to > 0.0) else {
        return (kept, estimates, noise);
    };
    let part = (from - to) / f64::from(PARTS);
    let places = || (0..PARTS).map(|k| to + f64::from(k) * part);
    let (sum, moment) = places().fold((0.0, 0.0), |(sum, moment), place| {
        let share = part / scale(place);
        (sum + share, moment + share * (place - from))
    });
    let first = to - from + sum * scale(to);
    estimates[0] += first / slope;
    estimates[1] -= first / slope;
    let older = at(1).zip(at(2)).map(|(one, two)| (one - two, from - two));
    if let Some((slope_before, both)) = older.filter(|(slope, both)| *slope != 0.0 && *both != 0.0) {
        let second = 2.0 * ((to - from).powi(2) / 2.0 + moment * scale(to)) / both;
        estimates[0] += second / slope;
        estimates[1] -= second * (1.0 / slope + 1.0 / slope_before);
        estimates[2] += second / slope_before;
    }
    (kept, estimates, noise)
}
