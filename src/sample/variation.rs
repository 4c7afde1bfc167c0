//! Variations: noise part of the way from one seed's to another's, as A1111's variation seed and strength have it.

use serde::{Deserialize, Serialize};

/// A departure from a seed's noise towards another's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// Picture `i` of a batch goes towards the noise of `seed + i`, while the seed it starts from stays the same.
    pub seed: u64,
    /// 0 is the noise that was there, 1 the other.
    pub strength: f64,
}

/// Moves noise spherically towards other noise, `strength` of the way, in place; both `[…, height, width]`.
///
/// The angle is taken per column, over the height: A1111's `slerp` (modules/rng.py) takes norms along dimension 1 of
/// noise `[C, H, W]`, and pictures are to come out the same. Columns that point the same way are mixed linearly.
pub fn slerp(strength: f64, from: &mut [f32], to: &[f32], [height, width]: [usize; 2]) {
    assert_eq!(from.len(), to.len(), "noise of one shape");
    let plane = height * width;
    for (from, to) in from.chunks_exact_mut(plane).zip(to.chunks_exact(plane)) {
        for column in 0..width {
            let pairs = (column..plane).step_by(width);
            let sum = |of: &dyn Fn(usize) -> f64| pairs.clone().map(of).sum::<f64>();
            let a = |i: usize| f64::from(from[i]);
            let b = |i: usize| f64::from(to[i]);
            let norms = (sum(&|i| a(i) * a(i)) * sum(&|i| b(i) * b(i))).sqrt();
            let (keep, take) = shares(strength, sum(&|i| a(i) * b(i)) / norms);
            for i in pairs {
                from[i] = (keep * f64::from(from[i]) + take * f64::from(to[i])) as f32;
            }
        }
    }
}

/// How much of each of two directions stands `strength` of the way between them; `cosine` of the angle they make.
pub(super) fn shares(strength: f64, cosine: f64) -> (f64, f64) {
    const PARALLEL: f64 = 1e-6;
    let angle = cosine.clamp(-1.0, 1.0).acos();
    // NaN, where a direction is all zeros, is no angle either.
    if angle.sin() > PARALLEL {
        (((1.0 - strength) * angle).sin() / angle.sin(), (strength * angle).sin() / angle.sin())
    } else {
        (1.0 - strength, strength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::NoiseSource;

    fn close(values: &[f32], expected: &[f32]) {
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 2e-5, "{value}, expected {expected}");
        }
    }

    /// A1111's `slerp` run by PyTorch on `torch.randn(shape, generator=torch.Generator().manual_seed(seed))`.
    #[test]
    fn as_a1111_computes_it() {
        type Case = (u64, u64, f64, [usize; 4], [f32; 8], [f32; 4], f64);
        let cases: [Case; 2] = [
            (
                1,
                2,
                0.3,
                [1, 4, 3, 5],
                [-1.577744, -0.253049, -1.044275, -1.741486, -0.544084, -0.050248, -1.236895, -1.359205],
                [0.463669, -1.082569, -0.939177, -0.792094],
                -9.074927,
            ),
            (
                42,
                7,
                0.75,
                [1, 4, 8, 8],
                [0.120022, 0.851274, 1.46261, -1.782907, 0.0849, -0.29822, -0.578791, -1.396315],
                [1.004444, -0.556389, 0.25701, -0.185922],
                -14.488780,
            ),
        ];
        for (seed, other, strength, shape, first, last, sum) in cases {
            let mut noise = NoiseSource::Torch.noise(seed, shape);
            let to = NoiseSource::Torch.noise(other, shape);
            slerp(strength, &mut noise, &to, [shape[2], shape[3]]);
            close(&noise[..8], &first);
            close(&noise[noise.len() - 4..], &last);
            let total: f64 = noise.iter().map(|value| f64::from(*value)).sum();
            assert!((total - sum).abs() < 1e-3, "{total}, expected {sum}");
        }
    }

    /// By hand: a right angle, halfway, is both at 45 degrees.
    #[test]
    fn a_right_angle_by_hand() {
        let mut noise = [3.0, 0.0];
        slerp(0.5, &mut noise, &[0.0, 4.0], [2, 1]);
        let half = 0.5_f32.sqrt();
        close(&noise, &[3.0 * half, 4.0 * half]);
    }

    #[test]
    fn the_ends_are_the_two_noises() {
        let from = NoiseSource::Torch.noise(5, [1, 2, 4, 6]);
        let to = NoiseSource::Philox.noise(5, [1, 2, 4, 6]);
        for (strength, expected) in [(0.0, &from), (1.0, &to)] {
            let mut noise = from.clone();
            slerp(strength, &mut noise, &to, [4, 6]);
            close(&noise, expected);
        }
    }

    /// Where A1111's formula divides by zero: equal, opposite and absent directions.
    #[test]
    fn columns_without_an_angle_stay_finite() {
        for to in [[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]] {
            let mut noise = [1.0, 2.0];
            slerp(0.25, &mut noise, &to, [2, 1]);
            close(&noise, &[0.75 + 0.25 * to[0], 1.5 + 0.25 * to[1]]);
        }
    }
}
