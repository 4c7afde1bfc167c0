//! The twin of the embed_grad kernel.

use super::Params;
use crate::kernels::embed::OWN;

/// Adds to `[E, C]` for each id of `[N · T]` that is a row of the run's own table its row of a gradient `[N · T, C]`.
pub fn embed_grad(params: &Params, ids: &[u32], grad: &[f32], output: &mut [f32]) {
    let channels = 4 * params.c4 as usize;
    for (id, grad) in ids.iter().zip(grad.chunks_exact(channels.max(1))) {
        let Some(row) = id.checked_sub(OWN) else { continue };
        let row = row.min(params.own.saturating_sub(1)) as usize;
        let sums = &mut output[row * channels..][..channels];
        sums.iter_mut().zip(grad).for_each(|(sum, grad)| *sum += grad);
    }
}
