//! The twin of the group_norm kernel, and of group_norm_stats and group_norm_apply together.

use super::Params;

/// `[N, HW, C1 + C2]` from `[N, HW, C1]` and `[N, HW, C2]` (empty without one), normalised group by group.
pub fn group_norm(
    params: &Params,
    silu: bool,
    input1: &[f32],
    input2: &[f32],
    gamma: &[f32],
    beta: &[f32],
) -> Vec<f32> {
    let (rows, groups) = (params.rows as usize, params.groups as usize);
    let (channels1, channels2) = (params.channels1 as usize, params.channels2 as usize);
    let channels = channels1 + channels2;
    let group_channels = channels / groups;
    let read = |row: usize, channel: usize| match channel.checked_sub(channels1) {
        None => input1[row * channels1 + channel],
        Some(channel2) => input2[row * channels2 + channel2],
    };
    let mut output = vec![0.0; params.batch as usize * rows * channels];
    for image in 0..params.batch as usize {
        for group in 0..groups {
            let slice = || {
                let rows = image * rows..(image + 1) * rows;
                rows.flat_map(move |row| (0..group_channels).map(move |c| (row, group * group_channels + c)))
            };
            let count = (rows * group_channels) as f64;
            let mean = slice().map(|(row, c)| f64::from(read(row, c))).sum::<f64>() / count;
            let squares = slice().map(|(row, c)| (f64::from(read(row, c)) - mean).powi(2)).sum::<f64>();
            let scale = 1.0 / (squares / count + f64::from(params.eps)).sqrt();
            for (row, c) in slice() {
                let y = ((f64::from(read(row, c)) - mean) * scale) as f32 * gamma[c] + beta[c];
                output[row * channels + c] = if silu { y / (1.0 + (-y).exp()) } else { y };
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_mean_zero_and_variance_one() {
        let params = Params { batch: 1, rows: 2, channels1: 4, channels2: 4, groups: 2, eps: 0.0 };
        let (one, zero) = ([1.0; 8], [0.0; 8]);
        let input1 = [1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0, 1.0];
        let input2 = [10.0, -10.0, 10.0, -10.0, -10.0, 10.0, -10.0, 10.0];
        let y = group_norm(&params, false, &input1, &input2, &one, &zero);
        let row = [-1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0];
        assert_eq!(y[..8], row);
        assert_eq!(y[8..], row.map(|x: f32| -x));
    }
}
