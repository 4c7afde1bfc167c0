//! LMS: a linear multistep method of order four (Adams–Bashforth on uneven levels), as K. Crowson's k-diffusion has it.
//!
//! The slope is taken as the cubic through the last four, of which three are kept, and followed to the next level.

use super::euler::{at, levels, slope};
use super::samplers::Asked;
use super::{Evaluation, HISTORY, Linear, Trajectory};
use crate::config::{FinalSigmas, SchedulerConfig};
use crate::error::Result;

/// diffusers' `LMSDiscreteScheduler`, order 4; always ends at zero noise. Karras sigmas run between the ends of the
/// timesteps: the class knows no others. The order grows from `first` on, before which no step was taken; the class, begun late,
/// takes the first weights of the full order for the slopes that it has.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let (config, first) = (asked.config, asked.first);
    let without = &SchedulerConfig { sigma_min: None, sigma_max: None, ..config.clone() };
    let levels = levels(&Asked { config: without, ..*asked }, asked.kind(), FinalSigmas::Zero)?;
    let step = |(i, timestep): (usize, &f64)| {
        let (sigma, to) = (levels.sigmas[i], levels.sigmas[i + 1]);
        let here = at(config.prediction_type, *timestep, sigma);
        let slope = slope(here.denoised, sigma);
        let weights = weights(&levels.sigmas[first.min(i)..=i], to);
        let mut next =
            Linear { x: 1.0 + weights[0] * slope.x, model: weights[0] * slope.model, ..Linear::default() };
        next.history.copy_from_slice(&weights[1..]);
        // The slopes move up one place each, those there are.
        let before = |place: usize| if i > first + place { Linear::kept(place) } else { Linear::default() };
        Evaluation { next, keep: [slope.into(), before(0), before(1)], ..here }.into()
    };
    let steps = levels.timesteps.iter().enumerate().map(step).collect();
    Ok(Trajectory::new(levels.init_noise_sigma, steps))
}

/// What each slope, from the last of `visited` backwards, counts on the way from there to the level `to`: the integral of
/// its Lagrange polynomial. Levels that repeat (more steps than there are timesteps to tell apart) end the row.
fn weights(visited: &[f64], to: f64) -> [f64; HISTORY + 1] {
    let mut back: Vec<f64> = visited.iter().rev().take(HISTORY + 1).copied().collect();
    let distinct = back.windows(2).take_while(|pair| pair[0] < pair[1]).count();
    back.truncate(distinct + 1);
    let lagrange = |own: f64, at: f64| -> f64 {
        let others = back.iter().filter(|other| **other != own);
        others.map(|other| (at - other) / (own - other)).product()
    };
    // Gauss's two points are exact up to the cubic.
    let (middle, half) = ((back[0] + to) / 2.0, (to - back[0]) / 2.0);
    let off = half / 3.0_f64.sqrt();
    let mut weights = [0.0; HISTORY + 1];
    for (weight, own) in weights.iter_mut().zip(&back) {
        *weight = half * (lagrange(*own, middle - off) + lagrange(*own, middle + off));
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: on even levels the weights are Adams and Bashforth's.
    #[test]
    fn even_levels_have_the_known_weights() {
        let known: [&[f64]; 4] = [
            &[1.0],
            &[3.0 / 2.0, -1.0 / 2.0],
            &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
            &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
        ];
        for (visited, known) in
            [&[6.0][..], &[7.0, 6.0], &[8.0, 7.0, 6.0], &[10.0, 9.0, 8.0, 7.0, 6.0]].iter().zip(known)
        {
            let found = weights(visited, 5.0);
            for (place, weight) in found.iter().enumerate() {
                let expected = -known.get(place).copied().unwrap_or(0.0);
                assert!((weight - expected).abs() < 1e-12, "{visited:?}: {found:?}");
            }
        }
    }

    #[test]
    fn a_level_that_repeats_ends_the_row() {
        assert_eq!(weights(&[9.0, 7.0, 7.0], 6.0), [-1.0, 0.0, 0.0, 0.0]);
        assert_eq!(weights(&[7.0, 7.0, 6.0], 5.0)[2..], [0.0; 2]);
    }
}
