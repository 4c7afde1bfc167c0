//! The twin of the layer_norm kernel.

use super::Params;

/// Each row of `[rows, C]` with mean 0 and variance 1, then scaled and shifted per channel.
pub fn layer_norm(params: &Params, input: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f32> {
    let channels = params.channels as usize;
    let mut output = Vec::with_capacity(input.len());
    for row in input.chunks_exact(channels) {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / channels as f64;
        let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / channels as f64;
        let scale = 1.0 / (variance + f64::from(params.eps)).sqrt();
        for c in 0..channels {
            output.push(((f64::from(row[c]) - mean) * scale) as f32 * gamma[c] + beta[c]);
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_normalised_scaled_and_shifted() {
        let params = Params { rows: 1, channels: 4, eps: 0.0 };
        let y = layer_norm(&params, &[1.0, 3.0, 3.0, 1.0], &[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0, 1.0, 1.0]);
        assert_eq!(y, [-1.0, 2.0, 4.0, -3.0]);
    }
}
