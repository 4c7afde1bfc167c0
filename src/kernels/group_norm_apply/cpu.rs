//! The twin of the group_norm_apply kernel.

use super::Params;

/// `[N, HW, C1 + C2]` normalised with the partial moments `[N, groups, chunks, 4]`.
pub fn group_norm_apply(
    params: &Params,
    silu: bool,
    (input1, input2): (&[f32], &[f32]),
    partial: &[f32],
    gamma: &[f32],
    beta: &[f32],
) -> Vec<f32> {
    let (rows, groups, chunks) = (params.rows as usize, params.groups as usize, params.chunks as usize);
    let (channels1, channels2) = (params.channels1 as usize, params.channels2 as usize);
    let channels = channels1 + channels2;
    let mut output = vec![0.0; params.batch as usize * rows * channels];
    for (index, y) in output.iter_mut().enumerate() {
        let (row, channel) = (index / channels, index % channels);
        let group = row / rows * groups + channel / (channels / groups);
        let (mean, variance) = whole(&partial[4 * group * chunks..4 * (group + 1) * chunks]);
        let x = match channel.checked_sub(channels1) {
            None => input1[row * channels1 + channel],
            Some(channel2) => input2[row * channels2 + channel2],
        };
        *y = (x - mean) / (variance + params.eps).sqrt() * gamma[channel] + beta[channel];
        if silu {
            *y /= 1.0 + (-*y).exp();
        }
    }
    output
}

/// Mean and variance of the union of chunks `[chunks, 4]`.
fn whole(chunks: &[f32]) -> (f32, f32) {
    let chunks = || chunks.chunks_exact(4).map(|c| (f64::from(c[0]), f64::from(c[1]), f64::from(c[2])));
    let count: f64 = chunks().map(|(_, _, count)| count).sum();
    let mean = chunks().map(|(mean, _, count)| mean * count).sum::<f64>() / count;
    let squares: f64 = chunks().map(|(m, squares, count)| squares + count * (m - mean).powi(2)).sum();
    (mean as f32, (squares / count) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{group_norm, group_norm_stats};

    #[test]
    fn both_halves_together_are_a_group_norm() {
        let whole =
            group_norm::Params { batch: 2, rows: 7, channels1: 4, channels2: 8, groups: 4, eps: 1e-5 };
        let stats =
            group_norm_stats::Params { batch: 2, rows: 7, channels1: 4, channels2: 8, groups: 4, chunks: 5 };
        let apply = Params { batch: 2, rows: 7, channels1: 4, channels2: 8, groups: 4, chunks: 5, eps: 1e-5 };
        let wave = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin() + 2.0).collect::<Vec<_>>();
        let (x1, x2, gamma, beta) = (wave(56, 0.7), wave(112, 1.3), wave(12, 0.4), wave(12, 2.1));
        let partial = group_norm_stats::cpu::group_norm_stats(&stats, &x1, &x2);
        let found = group_norm_apply(&apply, true, (&x1, &x2), &partial, &gamma, &beta);
        let expected = group_norm::cpu::group_norm(&whole, true, &x1, &x2, &gamma, &beta);
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5, "{a} is not {b}");
        }
    }
}
