//! The twins of the group_norm kernel's passes.

use super::Params;

/// What is normalised: `[N, HW, stride1]`, of which C1 channels count, and `[N, HW, C2]` (empty without one).
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub first: &'a [f32],
    pub second: &'a [f32],
}

impl Input<'_> {
    /// One of the C1 + C2 channels of one row.
    fn read(&self, params: &Params, row: usize, channel: usize) -> f32 {
        match channel.checked_sub(params.channels1 as usize) {
            None => self.first[row * params.stride1 as usize + params.first1 as usize + channel],
            Some(channel2) => self.second[row * params.channels2 as usize + channel2],
        }
    }
}

/// `[N, HW, C1 + C2]`, normalised group by group.
pub fn whole(params: &Params, silu: bool, input: Input, gamma: &[f32], beta: &[f32]) -> Vec<f32> {
    let whole = Params { chunks: 1, ..*params };
    apply(&whole, silu, input, &stats(&whole, input), gamma, beta)
}

/// `[N, groups, all chunks, 4]`: mean, sum of squared deviations, count and zero of each chunk of a group's rows; zeros
/// where those of other bands belong.
pub fn stats(params: &Params, input: Input) -> Vec<f32> {
    let (rows, groups, chunks) = (params.rows as usize, params.groups as usize, params.chunks as usize);
    let group_channels = (params.channels1 + params.channels2) as usize / groups;
    let chunk_rows = rows.div_ceil(chunks);
    let mut partial = vec![0.0; super::partial_len(params)];
    let all_chunks = chunks + params.other_chunks as usize;
    for image in 0..params.batch as usize {
        for group in 0..groups {
            for chunk in 0..chunks {
                let mut values = Vec::new();
                for row in (chunk * chunk_rows).min(rows)..((chunk + 1) * chunk_rows).min(rows) {
                    for channel in group * group_channels..(group + 1) * group_channels {
                        values.push(input.read(params, image * rows + row, channel));
                    }
                }
                let count = values.len().max(1) as f64;
                let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
                let squares = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
                let at = (image * groups + group) * all_chunks + params.first_chunk as usize + chunk;
                let found = [mean as f32, squares as f32, values.len() as f32, 0.0];
                partial[4 * at..][..4].copy_from_slice(&found);
            }
        }
    }
    partial
}

/// `[N, HW, C1 + C2]`, normalised with the partial moments `[N, groups, all chunks, 4]`.
pub fn apply(
    params: &Params,
    silu: bool,
    input: Input,
    partial: &[f32],
    gamma: &[f32],
    beta: &[f32],
) -> Vec<f32> {
    let (rows, groups) = (params.rows as usize, params.groups as usize);
    let chunks = (params.chunks + params.other_chunks) as usize;
    let channels = (params.channels1 + params.channels2) as usize;
    let moments: Vec<(f32, f32)> = partial.chunks_exact(4 * chunks).map(union).collect();
    let mut output = vec![0.0; params.batch as usize * rows * channels];
    for (index, y) in output.iter_mut().enumerate() {
        let (row, channel) = (index / channels, index % channels);
        let (mean, variance) = moments[row / rows * groups + channel / (channels / groups)];
        let affine = params.first_affine as usize + channel;
        let x = input.read(params, row, channel);
        *y = (x - mean) / (variance + params.eps).sqrt() * gamma[affine] + beta[affine];
        if silu {
            *y /= 1.0 + (-*y).exp();
        }
    }
    output
}

/// Mean and variance of the union of chunks `[chunks, 4]`.
fn union(chunks: &[f32]) -> (f32, f32) {
    let chunks = || chunks.chunks_exact(4).map(|c| (f64::from(c[0]), f64::from(c[1]), f64::from(c[2])));
    let count: f64 = chunks().map(|(_, _, count)| count).sum();
    let mean = chunks().map(|(mean, _, count)| mean * count).sum::<f64>() / count;
    let squares: f64 = chunks().map(|(m, squares, count)| squares + count * (m - mean).powi(2)).sum();
    (mean as f32, (squares / count) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, f: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * f).sin() + 2.0).collect()
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{a} is not {b}");
        }
    }

    #[test]
    fn each_group_has_mean_zero_and_variance_one() {
        let params = Params::new(1, 2, [4, 4], 2, 0.0);
        let (one, zero) = ([1.0; 8], [0.0; 8]);
        let first = &[1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0, 1.0];
        let second = &[10.0, -10.0, 10.0, -10.0, -10.0, 10.0, -10.0, 10.0];
        let y = whole(&params, false, Input { first, second }, &one, &zero);
        let row = [-1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0];
        assert_eq!(y[..8], row);
        assert_eq!(y[8..], row.map(|x: f32| -x));
    }

    #[test]
    fn both_halves_together_are_a_group_norm() {
        let params = Params::new(2, 7, [4, 8], 4, 1e-5);
        let chunked = Params { chunks: 5, ..params };
        let (first, second, gamma, beta) = (wave(56, 0.7), wave(112, 1.3), wave(12, 0.4), wave(12, 2.1));
        let input = Input { first: &first, second: &second };
        let found = apply(&chunked, true, input, &stats(&chunked, input), &gamma, &beta);
        near(&found, &whole(&params, true, input, &gamma, &beta));
    }

    #[test]
    fn bands_of_rows_by_the_moments_of_all_are_the_whole() {
        let all = Params::new(1, 7, [4, 8], 4, 1e-5);
        let (first, second, gamma, beta) = (wave(28, 0.7), wave(56, 1.3), wave(12, 0.4), wave(12, 2.1));
        let input = |rows: std::ops::Range<usize>| Input {
            first: &first[4 * rows.start..4 * rows.end],
            second: &second[8 * rows.start..8 * rows.end],
        };
        let bands = [(0..5, Params { rows: 5, chunks: 3, other_chunks: 2, ..all }), {
            (5..7, Params { rows: 2, chunks: 2, first_chunk: 3, other_chunks: 3, ..all })
        }];
        let halves = bands.clone().map(|(rows, params)| stats(&params, input(rows)));
        let partial: Vec<f32> = halves[0].iter().zip(&halves[1]).map(|(a, b)| a + b).collect();
        let found = bands.map(|(rows, params)| apply(&params, true, input(rows), &partial, &gamma, &beta));
        near(&found.concat(), &whole(&all, true, input(0..7), &gamma, &beta));
    }

    #[test]
    fn slices_of_whole_groups_side_by_side_are_the_whole() {
        let all = Params::new(1, 5, [12, 0], 3, 1e-5);
        let (x, gamma, beta) = (wave(60, 0.7), wave(12, 0.4), wave(12, 2.1));
        let input = Input { first: &x, second: &[] };
        let expected = whole(&all, true, input, &gamma, &beta);
        for (first, groups) in [(0, 1), (4, 2)] {
            let slice = Params { channels1: 4 * groups, first1: first, first_affine: first, groups, ..all };
            let found = whole(&slice, true, input, &gamma, &beta);
            let columns = first as usize..(first + slice.channels1) as usize;
            let rows = expected.chunks(12).flat_map(|row| row[columns.clone()].to_vec());
            near(&found, &rows.collect::<Vec<_>>());
        }
    }
}
