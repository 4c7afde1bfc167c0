//! The twin of the step kernel.

use super::{MOST_HISTORY, Params, Spec};

/// What an evaluation changes.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// `[N, HW, C]`
    pub latents: Vec<f32>,
    /// `[spec.history, N, HW, C]`
    pub history: Vec<f32>,
    /// `[N, HW, C]`
    pub denoised: Vec<f32>,
}

/// Shares of latents, model output and history.
struct Shares {
    x: f32,
    model: f32,
    history: [f32; MOST_HISTORY],
}

impl Shares {
    /// What is read as zero is history that is not there, or of which nothing takes a share.
    fn of(&self, x: f32, m: f32, history: [f32; MOST_HISTORY]) -> f32 {
        let kept: f32 = self.history.iter().zip(history).map(|(share, value)| share * value).sum();
        self.x * x + self.model * m + kept
    }
}

/// What an evaluation reads beside the state.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// `[N or (1 + prompts) N, HW, Cout]`
    pub model_output: &'a [f32],
    /// `[N, HW, C]`, where the sampler adds noise
    pub noise: &'a [f32],
    /// `[N, HW, C]`, where there is a mask
    pub kept: &'a [f32],
    /// `[N, HW]`, where there is one
    pub mask: &'a [f32],
    /// `[prompts, N, HW]`, where there are several prompts
    pub shares: &'a [f32],
}

/// Advances the state by one evaluation and makes of it the next model input `[N or (1 + prompts) N, HW, Cin]`, whose channels beyond C are
/// left alone.
pub fn step(spec: &Spec, params: &Params, read: Read<'_>, state: &mut State, input: &mut [f32]) {
    let Read { model_output, noise, kept, mask, shares } = read;
    let [pixels, channels, model_channels, input_channels] =
        [params.pixels, params.latent_channels, params.model_channels, params.input_channels]
            .map(|n| n as usize);
    let (next, keep) = (next(params), keep(params));
    let prompts = if spec.guided { params.prompts as usize } else { 0 };
    let read = |h: usize| {
        h < spec.history && std::iter::once(&next).chain(&keep[..spec.history]).any(|to| to.history[h] != 0.0)
    };
    let read = [read(0), read(1), read(2)];
    for pixel in 0..pixels {
        for c in 0..channels {
            let mut m = model_output[pixel * model_channels + c];
            let unconditioned = m;
            for prompt in 0..prompts {
                let conditioned = model_output[((prompt + 1) * pixels + pixel) * model_channels + c];
                let share = if spec.composed { shares[prompt * pixels + pixel] } else { 1.0 };
                m += params.guidance * share * (conditioned - unconditioned);
            }
            let i = pixel * channels + c;
            let x = state.latents[i];
            let at = |h: usize| h * pixels * channels + i;
            let history = [0, 1, 2].map(|h| if read[h] { state.history[at(h)] } else { 0.0 });
            state.latents[i] = next.of(x, m, history);
            if spec.noise && params.next_noise != 0.0 {
                state.latents[i] += params.next_noise * noise[i];
            }
            if spec.masked {
                let m = mask[pixel];
                state.latents[i] = kept[i] * (1.0 - m) + state.latents[i] * m;
            }
            for (h, shares) in keep[..spec.history].iter().enumerate() {
                state.history[at(h)] = shares.of(x, m, history);
            }
            state.denoised[i] = params.denoised_x * x + params.denoised_model * m;
            for copy in 0..=prompts {
                input[(copy * pixels + pixel) * input_channels + c] =
                    state.latents[i] * params.input_scale_next;
            }
        }
    }
}

fn next(params: &Params) -> Shares {
    Shares {
        x: params.next_x,
        model: params.next_model,
        history: [params.next_h1, params.next_h2, params.next_h3],
    }
}

fn keep(params: &Params) -> [Shares; MOST_HISTORY] {
    [
        Shares {
            x: params.keep1_x,
            model: params.keep1_model,
            history: [params.keep1_h1, params.keep1_h2, params.keep1_h3],
        },
        Shares {
            x: params.keep2_x,
            model: params.keep2_model,
            history: [params.keep2_h1, params.keep2_h2, params.keep2_h3],
        },
        Shares {
            x: params.keep3_x,
            model: params.keep3_model,
            history: [params.keep3_h1, params.keep3_h2, params.keep3_h3],
        },
    ]
}
