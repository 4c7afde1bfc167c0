//! The parts of a run: what each depends on, its graph, and the parameters of what runs between the networks.

use super::windows::{Places, Windows};
use crate::config::{MAX_CONTROLS, ModelConfig, TaesdConfig};
use crate::kernels::{Circular, prepare, step};
use crate::model::controlnet::{self, Slot};
use crate::model::{self, Reads, autoencoder, denoiser};
use crate::plan::{Graph, MemoryLimits, Outside, padded};
use crate::sample::Evaluation;

/// What the shapes of a run's graphs depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub batch: usize,
    /// Rows of text that are read at once: 2 when guided, one more for each prompt beyond the first, else 1.
    pub copies: usize,
    /// Prompts count by their shares.
    pub composed: bool,
    /// Of the latents.
    pub h: usize,
    pub w: usize,
    /// Chunks of the prompt.
    pub chunks: usize,
    /// Texts that take turns; 1 where it is the same throughout.
    pub states: usize,
    /// Vectors of embeddings that the text encoder looks up beside its table.
    pub vectors: usize,
    /// Text encoders hide some tokens from the others.
    pub hides: bool,
    /// How many last layers of the text encoders are left out.
    pub skipped: usize,
    /// The sampler draws noise at every step.
    pub ancestral: bool,
    /// How many values the sampler keeps.
    pub history: usize,
    /// The denoiser gives where its cross attentions look.
    pub maps: bool,
    /// Some steps are shown.
    pub previews: bool,
    /// The run begins from a picture.
    pub encodes: bool,
    /// Its steps draw only a part of it anew.
    pub masked: bool,
    /// What steers it.
    pub controls: Controls,
    /// Along which axes opposite borders of its maps meet.
    pub circular: Circular,
    /// The denoiser sees windows of its maps, one after the other.
    pub windows: Option<Windows>,
}

/// The control networks of a run, which may be one of the model's several times, each with a map of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controls {
    models: [usize; MAX_CONTROLS],
    count: usize,
}

impl Controls {
    /// Nothing steers the run.
    pub const NONE: Controls = Controls { models: [0; MAX_CONTROLS], count: 0 };

    /// Those of these numbers among the model's, at most [`MAX_CONTROLS`].
    pub fn of(models: impl IntoIterator<Item = usize>) -> Controls {
        let mut controls = Controls::NONE;
        for (to, model) in controls.models.iter_mut().zip(models) {
            *to = model;
            controls.count += 1;
        }
        controls
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// Each of them.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        let models = self.models.into_iter().take(self.count).enumerate();
        models.map(|(control, model)| Slot { control, model })
    }
}

impl Shape {
    /// Pixels of the latents of all pictures.
    pub fn pixels(&self) -> usize {
        self.batch * self.h * self.w
    }

    /// What counts where: the part that is drawn anew, and each of several prompts.
    pub fn masks(&self) -> usize {
        usize::from(self.masked) + if self.composed { self.copies - 1 } else { 0 }
    }
}

/// Width and height of a preview of latents of `h` × `w`, in pixels.
pub fn preview_size(config: &ModelConfig, h: usize, w: usize) -> [usize; 2] {
    let scale = config.preview.as_ref().map_or(1, TaesdConfig::scale);
    [w * scale, h * scale]
}

/// The parts of a run that are prepared one by one, each once for as long as what it depends on stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// What makes latents of the picture that a run begins from.
    Encoder,
    /// What makes a hint of the map of a control network, counted in the run: once, or for each window of a step.
    Hint(usize),
    /// A text encoder, counted in the model's order.
    Text(usize),
    KeysValues,
    /// The same of a control network.
    ControlKeysValues(usize),
    /// What makes the denoiser's first input.
    Prepare,
    /// A control network.
    Control(usize),
    Denoiser,
    /// What the sampler makes of a prediction.
    Step,
    /// What makes a picture of a step's clean estimate.
    Preview,
    Decoder,
}

/// All that a part of a run depends on beside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Encoder { h: usize, w: usize, circular: Circular },
    Hint { slot: Slot, h: usize, w: usize, circular: Circular, windowed: bool },
    Text { index: usize, rows: usize, reads: Reads },
    KeysValues { texts: [usize; 2], states: usize },
    ControlKeysValues { slot: Slot, texts: [usize; 2], states: usize },
    Prepare { pixels: usize, copies: usize, history: usize },
    Control { slot: Slot, latents: [usize; 3], texts: [usize; 2], circular: Circular },
    Denoiser { latents: [usize; 3], texts: [usize; 2], maps: bool, controls: usize, circular: Circular },
    Step { pixels: usize, copies: usize, composed: bool, ancestral: bool, history: usize, masked: bool },
    Preview { h: usize, w: usize, circular: Circular },
    Decoder { batch: usize, h: usize, w: usize, circular: Circular },
}

impl Key {
    /// Which part it is.
    pub fn network(&self) -> Network {
        match *self {
            Key::Encoder { .. } => Network::Encoder,
            Key::Text { index, .. } => Network::Text(index),
            Key::Hint { slot, .. } => Network::Hint(slot.control),
            Key::KeysValues { .. } => Network::KeysValues,
            Key::ControlKeysValues { slot, .. } => Network::ControlKeysValues(slot.control),
            Key::Prepare { .. } => Network::Prepare,
            Key::Control { slot, .. } => Network::Control(slot.control),
            Key::Denoiser { .. } => Network::Denoiser,
            Key::Step { .. } => Network::Step,
            Key::Preview { .. } => Network::Preview,
            Key::Decoder { .. } => Network::Decoder,
        }
    }

    /// The part as a graph, for memory of these limits; `None` for what is a kernel between the networks.
    pub fn graph(&self, config: &ModelConfig, limits: MemoryLimits) -> Option<Graph> {
        match *self {
            Key::Encoder { h, w, circular } => {
                let scale = config.vae.scale();
                let encoder = autoencoder::encoder(&config.vae, 1, h * scale, w * scale, limits);
                Some(encoder.circular(circular))
            }
            Key::Text { index, rows, reads } => model::text_encoder(config, index, rows, reads),
            Key::KeysValues { texts: [rows, tokens], .. } => {
                Some(denoiser::text_keys_values(config, rows, tokens))
            }
            Key::Hint { slot, h, w, circular, .. } => {
                Some(controlnet::hint(config.controls.get(slot.model)?, slot, [h, w]).circular(circular))
            }
            Key::ControlKeysValues { slot, texts, .. } => {
                let widths: Vec<usize> = config.texts.iter().map(|text| text.hidden_size).collect();
                Some(controlnet::text_keys_values(config.controls.get(slot.model)?, slot, texts, &widths))
            }
            Key::Control { slot, latents, texts, circular } => {
                let (control, channels) = (config.controls.get(slot.model)?, config.denoiser.in_channels());
                Some(controlnet::controlnet(control, slot, latents, channels, texts).circular(circular))
            }
            Key::Denoiser { latents, texts, maps, controls, circular } => {
                let mut graph = denoiser::denoiser(&config.denoiser, latents, texts, controls);
                if maps {
                    denoiser::expose_cross_attentions(&mut graph, &config.denoiser);
                }
                Some(graph.circular(circular))
            }
            Key::Preview { h, w, circular } => Some(model::preview(config, h, w)?.circular(circular)),
            Key::Decoder { batch, h, w, circular } => {
                Some(autoencoder::decoder(&config.vae, batch, h, w, limits).circular(circular))
            }
            Key::Prepare { .. } | Key::Step { .. } => None,
        }
    }
}

impl Shape {
    /// What windows the denoiser sees, where it does not see all at once.
    pub(super) fn places(&self, config: &ModelConfig) -> Option<Places> {
        Some(self.windows?.places([self.h, self.w], config.vae.scale(), self.circular))
    }

    /// Height and width of what the denoiser sees at once, and along which axes borders of that meet.
    fn seen(&self, config: &ModelConfig) -> ([usize; 2], Circular) {
        let Shape { h, w, circular: Circular { x, y }, .. } = *self;
        let [high, wide] = self.places(config).map_or([h, w], |places| places.size);
        ([high, wide], Circular { x: x && wide == w, y: y && high == h })
    }

    /// What a run of this shape needs, in its order. Pictures of a batch share their text: it is encoded once without a
    /// prompt, where guided, and once with each.
    pub fn keys(&self, config: &ModelConfig) -> Vec<Key> {
        let Shape { batch, copies, h, w, chunks, ancestral, history, maps, previews, .. } = *self;
        let Shape { encodes, masked, controls, composed, states, vectors, hides, skipped, circular, .. } =
            *self;
        let texts = [copies, chunks * config.chunk_tokens()];
        let pixels = self.pixels();
        let mut keys: Vec<Key> = encodes.then_some(Key::Encoder { h, w, circular }).into_iter().collect();
        let (seen, meet) = self.seen(config);
        let latents = [copies * batch, seen[0], seen[1]];
        let windowed = self.windows.is_some();
        let [high, wide] = seen;
        let hint = |slot| Key::Hint { slot, h: high, w: wide, circular: meet, windowed };
        keys.extend(controls.slots().filter(|_| !windowed).map(hint));
        let rows = copies * chunks;
        let reads = Reads { skipped, vectors, hides };
        let texts_of = |index| Key::Text { index, rows, reads };
        keys.extend((0..config.texts.len()).map(texts_of));
        keys.push(Key::KeysValues { texts, states });
        keys.extend(controls.slots().map(|slot| Key::ControlKeysValues { slot, texts, states }));
        keys.push(Key::Prepare { pixels, copies, history });
        keys.extend(controls.slots().filter(|_| windowed).map(hint));
        keys.extend(controls.slots().map(|slot| Key::Control { slot, latents, texts, circular: meet }));
        keys.extend([
            Key::Denoiser { latents, texts, maps, controls: controls.count(), circular: meet },
            Key::Step { pixels, copies, composed, ancestral, history, masked },
        ]);
        keys.extend(previews.then_some(Key::Preview { h, w, circular }));
        keys.push(Key::Decoder { batch, h, w, circular });
        keys
    }
}

/// The parameters that make the denoiser's first input.
pub fn prepare_params(config: &ModelConfig, [pixels, copies]: [usize; 2], scale: f64) -> prepare::Params {
    prepare::Params {
        pixels: pixels as u32,
        copies: copies as u32,
        latent_channels: config.vae.latent_channels() as u32,
        input_channels: padded(config.denoiser.in_channels()) as u32,
        scale: scale as f32,
    }
}

/// Where keys and values of a part's texts are that take turns behind the first one, whose are the part's result.
pub fn waiting(key: Key, outside: Outside) -> impl Iterator<Item = Outside> {
    let states = match key {
        Key::KeysValues { states, .. } | Key::ControlKeysValues { states, .. } if states > 1 => states,
        _ => 0,
    };
    (1..states).filter_map(move |text| outside.waiting(text))
}

/// The parameters of what the sampler makes of an evaluation; `input_scale_next` prepares the next input of the denoiser.
pub fn step_params(
    config: &ModelConfig,
    [pixels, copies]: [usize; 2],
    guidance: f64,
    evaluation: &Evaluation,
    input_scale_next: f64,
) -> step::Params {
    let Evaluation { next, noise, keep, denoised, .. } = evaluation;
    let [next_h1, next_h2, next_h3] = next.history.map(|share| share as f32);
    let [keep1, keep2, keep3] = keep.map(|kept| {
        let [h1, h2, h3] = kept.history;
        [kept.x, kept.model, h1, h2, h3].map(|share| share as f32)
    });
    let [keep1_x, keep1_model, keep1_h1, keep1_h2, keep1_h3] = keep1;
    let [keep2_x, keep2_model, keep2_h1, keep2_h2, keep2_h3] = keep2;
    let [keep3_x, keep3_model, keep3_h1, keep3_h2, keep3_h3] = keep3;
    step::Params {
        pixels: pixels as u32,
        latent_channels: config.vae.latent_channels() as u32,
        model_channels: padded(config.denoiser.out_channels()) as u32,
        input_channels: padded(config.denoiser.in_channels()) as u32,
        prompts: copies.saturating_sub(1) as u32,
        guidance: guidance as f32,
        next_x: next.x as f32,
        next_model: next.model as f32,
        next_h1,
        next_h2,
        next_h3,
        next_noise: *noise as f32,
        keep1_x,
        keep1_model,
        keep1_h1,
        keep1_h2,
        keep1_h3,
        keep2_x,
        keep2_model,
        keep2_h1,
        keep2_h2,
        keep2_h3,
        keep3_x,
        keep3_model,
        keep3_h1,
        keep3_h2,
        keep3_h3,
        denoised_x: denoised.x as f32,
        denoised_model: denoised.model as f32,
        input_scale_next: input_scale_next as f32,
    }
}
