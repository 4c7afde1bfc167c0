//! The twin of the embed kernel.

use super::Params;

/// `[N, T, C]`: for each id of `[N, T]` its row of the table `[V, C]` plus the position's row of `[T, C]`.
pub fn embed(params: &Params, ids: &[u32], table: &[f32], positions: &[f32]) -> Vec<f32> {
    let (tokens, channels) = (params.tokens as usize, params.channels as usize);
    let mut output = Vec::with_capacity(ids.len() * channels);
    for (index, &id) in ids.iter().enumerate() {
        let (row, position) = (id.min(params.vocabulary - 1) as usize, index % tokens);
        for c in 0..channels {
            output.push(table[row * channels + c] + positions[position * channels + c]);
        }
    }
    output
}
