//! The twin of the preview kernel.

use crate::kernels::rgba::cpu::rgba8;

/// Pixels `[N, HW]` of latents `[N, HW, 4]`: colour = bias + Σ latent · factors, in [-1, 1].
pub fn preview(factors: [[f32; 3]; 4], bias: [f32; 3], latents: &[f32]) -> Vec<u32> {
    let color = |x: &[f32], c: usize| bias[c] + (0..4).map(|i| x[i] * factors[i][c]).sum::<f32>();
    latents.chunks_exact(4).map(|x| rgba8([0, 1, 2].map(|c| color(x, c)))).collect()
}
