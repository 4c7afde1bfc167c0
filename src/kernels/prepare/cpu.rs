//! The twin of the prepare kernel.

use super::Params;

/// Makes of the latents `[N, HW, C]`, scaled, the input `[copies · N, HW, Cin]`, whose channels beyond C are left alone.
pub fn prepare(params: &Params, latents: &[f32], input: &mut [f32]) {
    let (channels, inputs) = (params.latent_channels as usize, params.input_channels as usize);
    let copies = input.chunks_exact_mut(params.pixels as usize * inputs).take(params.copies as usize);
    for copy in copies {
        for (to, from) in copy.chunks_exact_mut(inputs).zip(latents.chunks_exact(channels)) {
            to.iter_mut().zip(from).for_each(|(to, x)| *to = x * params.scale);
        }
    }
}
