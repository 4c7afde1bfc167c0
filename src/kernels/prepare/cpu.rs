//! The twin of the prepare kernel.

use super::Params;

/// `[copies · N, HW, Cin]`: the latents `[N, HW, C]` scaled, zeros in the channels beyond C.
pub fn prepare(params: &Params, latents: &[f32]) -> Vec<f32> {
    let mut input = Vec::new();
    for _ in 0..params.copies {
        for pixel in latents.chunks_exact(params.latent_channels as usize) {
            input.extend(pixel.iter().map(|x| x * params.scale));
            input.extend((params.latent_channels..params.input_channels).map(|_| 0.0));
        }
    }
    input
}
