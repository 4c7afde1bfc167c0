//! The twin of the group_norm_stats kernel.

use super::Params;

/// `[N, groups, chunks, 4]`: mean, sum of squared deviations, count and zero of each chunk of a group's rows.
pub fn group_norm_stats(params: &Params, input1: &[f32], input2: &[f32]) -> Vec<f32> {
    let (rows, groups, chunks) = (params.rows as usize, params.groups as usize, params.chunks as usize);
    let (channels1, channels2) = (params.channels1 as usize, params.channels2 as usize);
    let group_channels = (channels1 + channels2) / groups;
    let chunk_rows = rows.div_ceil(chunks);
    let mut partial = Vec::new();
    for image in 0..params.batch as usize {
        for group in 0..groups {
            for chunk in 0..chunks {
                let mut values = Vec::new();
                for row in (chunk * chunk_rows).min(rows)..((chunk + 1) * chunk_rows).min(rows) {
                    for channel in group * group_channels..(group + 1) * group_channels {
                        let row = image * rows + row;
                        values.push(match channel.checked_sub(channels1) {
                            None => input1[row * channels1 + channel],
                            Some(channel2) => input2[row * channels2 + channel2],
                        });
                    }
                }
                let count = values.len().max(1) as f64;
                let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
                let squares = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
                partial.extend([mean as f32, squares as f32, values.len() as f32, 0.0]);
            }
        }
    }
    partial
}
