//! Restart: Y. Xu et al., <https://arxiv.org/abs/2306.14878>. Heun's steps down to a low noise level, from which fresh noise
//! brings the latents back to a higher one, and steps down again.
//!
//! How often, how far and in how many steps is what A1111 chooses where nothing is said: below 20 steps never; from 20 on once,
//! from 36 on twice, between the levels nearest to 0.1 and 2, in nine steps or a quarter of all; and then all levels are
//! Karras'. The steps of the repetitions count among those asked for.

use super::dpm2::all_levels;
use super::euler::k_levels;
use super::heun;
use super::samplers::Asked;
use super::schedule::{k_timestep_at, linspace_f32};
use super::{Step, Trajectory};
use crate::error::Result;

pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = k_levels(asked)?;
    let all = all_levels(asked);
    let pairs = pairs(&levels.sigmas);
    let mut steps: Vec<Step> = Vec::with_capacity(pairs.len());
    for (i, [from, to]) in pairs.iter().copied().enumerate() {
        let there = (to > 0.0).then(|| k_timestep_at(&all, to));
        let mut step =
            heun::step(asked.config.prediction_type, [k_timestep_at(&all, from), from], (to, there));
        let noise = pairs.get(i + 1).map_or(0.0, |[next, _]| (next * next - to * to).max(0.0).sqrt());
        if let Some(last) = step.evaluations.last_mut() {
            last.noise = noise * asked.s_noise();
        }
        steps.push(step);
    }
    Ok(Trajectory::new(levels.init_noise_sigma, steps))
}

/// From where to where each step goes, for levels that end at 0.
fn pairs(sigmas: &[f64]) -> Vec<[f64; 2]> {
    const LOW: f64 = 0.1;
    const HIGH: f64 = 2.0;
    let steps = sigmas.len() - 1;
    let straight = |sigmas: &[f64]| sigmas.windows(2).map(|pair| [pair[0], pair[1]]).collect::<Vec<_>>();
    let (again, times) = match steps {
        ..20 => return straight(sigmas),
        20..36 => (9, 1),
        _ => (steps / 4, 2),
    };
    let mut main = karras(sigmas[0], sigmas[steps - 1], steps - again * times);
    main.push(0.0);
    let nearest = |level: f64| {
        let distance = |i: &usize| (main[*i] as f32 - level as f32).abs();
        (0..main.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or_default()
    };
    let (low, high) = (nearest(LOW), nearest(HIGH));
    let mut pairs = straight(&main);
    if high < low {
        let repeated = straight(&karras(main[high], main[low], again + 1)).repeat(times);
        pairs.splice(low..low, repeated);
    }
    pairs
}

/// k-diffusion's `get_sigmas_karras` without the clean end, in f32.
fn karras(max: f64, min: f64, n: usize) -> Vec<f64> {
    const RHO: f64 = 7.0;
    let (max, min) = (max.powf(1.0 / RHO), min.powf(1.0 / RHO));
    let level = |ramp: f32| f64::from(f64::from(max as f32 + ramp * (min - max) as f32).powf(RHO) as f32);
    linspace_f32(0.0, 1.0, n).into_iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_as_asked_for_and_back_up_as_often_as_told() {
        for (steps, times) in [(1, 0), (19, 0), (20, 1), (35, 1), (36, 2), (50, 2)] {
            let mut sigmas: Vec<f64> = karras(14.6, 0.03, steps);
            sigmas.push(0.0);
            let pairs = pairs(&sigmas);
            assert_eq!(pairs.len(), steps);
            let back = pairs.windows(2).filter(|two| two[1][0] > two[0][1]).count();
            assert_eq!(back, times, "{steps} steps");
            assert_eq!(pairs[steps - 1][1], 0.0);
        }
    }
}
