//! The twin of the preview kernel.

use crate::kernels::rgba::cpu::rgba8;

/// Pixels `[N, HW]` of latents `[N, HW, C]`: colour = bias + Σ latent · factors, in [-1, 1]; a row of factors a channel.
pub fn preview(factors: &[[f32; 3]], bias: [f32; 3], latents: &[f32]) -> Vec<u32> {
    let colour =
        |pixel: &[f32], c: usize| bias[c] + pixel.iter().zip(factors).map(|(x, row)| x * row[c]).sum::<f32>();
    latents.chunks_exact(factors.len()).map(|pixel| rgba8([0, 1, 2].map(|c| colour(pixel, c)))).collect()
}
