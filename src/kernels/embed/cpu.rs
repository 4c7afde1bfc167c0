//! The twin of the embed kernel.

use super::{OWN, Params};

/// `[N, T, C]`: for each id of `[N, T]` its row of the table `[V, C]`, or of the run's own `[E, C]`, plus the position's row of
/// `[T, C]`.
pub fn embed(params: &Params, ids: &[u32], [table, positions, own]: [&[f32]; 3]) -> Vec<f32> {
    let (tokens, channels) = (params.tokens as usize, params.channels as usize);
    let mut output = Vec::with_capacity(ids.len() * channels);
    for (index, &id) in ids.iter().enumerate() {
        let position = index % tokens;
        let (rows, row) = match id.checked_sub(OWN) {
            Some(row) if params.own > 0 => (own, row.min(params.own - 1)),
            _ => (table, id.min(params.vocabulary - 1)),
        };
        for c in 0..channels {
            output.push(rows[row as usize * channels + c] + positions[position * channels + c]);
        }
    }
    output
}
