//! The twin of the step kernel.

use super::{Params, Spec};

/// What a step changes, each `[N, HW, C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub latents: Vec<f32>,
    pub history: Vec<f32>,
    pub denoised: Vec<f32>,
}

/// Advances the state by one step and returns the next model input `[N or 2N, HW, Cin]`, zeros beyond C.
pub fn step(
    spec: &Spec,
    params: &Params,
    model_output: &[f32],
    noise: &[f32],
    state: &mut State,
) -> Vec<f32> {
    let [pixels, channels, model_channels, input_channels] =
        [params.pixels, params.latent_channels, params.model_channels, params.input_channels]
            .map(|n| n as usize);
    let mut input = vec![0.0; pixels * input_channels];
    for pixel in 0..pixels {
        for c in 0..channels {
            let mut m = model_output[pixel * model_channels + c];
            if spec.guided {
                let conditioned = model_output[(pixels + pixel) * model_channels + c];
                m += params.guidance * (conditioned - m);
            }
            let i = pixel * channels + c;
            let x = state.latents[i];
            let mut next = params.next_x * x + params.next_model * m;
            if params.next_history != 0.0 {
                next += params.next_history * state.history[i];
            }
            if spec.noise && params.next_noise != 0.0 {
                next += params.next_noise * noise[i];
            }
            state.latents[i] = next;
            state.history[i] = params.history_x * x + params.history_model * m;
            state.denoised[i] = params.denoised_x * x + params.denoised_model * m;
            input[pixel * input_channels + c] = state.latents[i] * params.input_scale_next;
        }
    }
    if spec.guided { input.repeat(2) } else { input }
}
