//! A model with low-rank matrices beside its layers, ready to learn on the processor.

use super::optimizer::{AdamW, clipping};
use crate::config::ModelConfig;
use crate::cpu::{Executable, Memory, Weights};
use crate::error::{Error, Result};
use crate::model::{self, denoiser};
use crate::pipeline::{nchw_to_nhwc, nhwc_to_nchw, time_embedding};
use crate::plan::train::{Adapter, adapted, backward, joined, unfused};
use crate::plan::{Graph, Outside, Part, padded};

/// What learns, and at which size.
pub struct Asked<'a> {
    /// Height and width of the latents.
    pub size: [usize; 2],
    /// Tokens of a text, of all its chunks.
    pub tokens: usize,
    /// The text encoder learns too, or just runs each time.
    pub encodes: bool,
    pub rank: usize,
    /// What the product of the matrices is divided by rank and multiplied with.
    pub alpha: f64,
    /// Whether a layer learns, by its path, such as `unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q`.
    pub layers: &'a dyn Fn(&str) -> bool,
}

/// What the denoiser reads of a text.
#[derive(Debug, Clone, Copy)]
pub enum Text<'a> {
    /// Token ids of one chunk, where the encoder runs each time.
    Tokens(&'a [u32]),
    /// The text encoder's states, `[tokens, channels]`.
    Embeddings(&'a [f32]),
}

/// One noised picture.
#[derive(Debug, Clone, Copy)]
pub struct Noised<'a> {
    /// `[c, h, w]`, scaled as the denoiser takes them.
    pub sample: &'a [f32],
    pub timestep: f64,
    pub text: Text<'a>,
    /// What the denoiser should say, `[c, h, w]`.
    pub target: &'a [f32],
}

/// A learner: its matrices, their gradients, and the optimizer's memory.
pub struct Learner {
    config: ModelConfig,
    size: [usize; 2],
    executable: Executable,
    memory: Memory,
    adapters: Vec<Adapter>,
    pub optimizer: AdamW,
}

impl Learner {
    /// Binds the graph that learns. Matrices begin as zeros: [`Learner::set`] gives them values. [`Error::Unsupported`] where there
    /// is no way back through a layer, [`Error::InvalidInput`] where no layer learns.
    pub fn new(config: &ModelConfig, weights: &Weights, asked: &Asked) -> Result<Learner> {
        let (graph, adapters) = graph(config, asked)?;
        if adapters.is_empty() {
            let message = "no layer of the model is among those that learn".to_string();
            return Err(Error::InvalidInput { field: "layers", message });
        }
        let executable = Executable::new(graph, weights)?;
        let memory = Memory::new(&[&executable]);
        let optimizer = AdamW::new(adapters.iter().flat_map(Adapter::lengths));
        Ok(Learner { config: config.clone(), size: asked.size, executable, memory, adapters, optimizer })
    }

    /// The layers that learn. Tensors `2i` and `2i + 1` are the matrices of layer `i`, down and up.
    pub fn adapters(&self) -> &[Adapter] {
        &self.adapters
    }

    /// How many tensors learn.
    pub fn count(&self) -> usize {
        2 * self.adapters.len()
    }

    /// A matrix as checkpoints have it, `[rank, channels, ky, kx]` or `[outputs, rank]`.
    pub fn get(&self, index: usize) -> Result<Vec<f32>> {
        Ok(self.turned(index, self.memory.read(Outside::Trained(index))?, false))
    }

    /// Gives a matrix its values, in the order of [`Learner::get`].
    pub fn set(&mut self, index: usize, values: &[f32]) -> Result<()> {
        let values = self.turned(index, values, true);
        self.memory.write(Outside::Trained(index), &values)
    }

    /// The gradient of a matrix, in the order of [`Learner::get`], added up since the last step.
    pub fn gradient(&self, index: usize) -> Result<Vec<f32>> {
        Ok(self.turned(index, self.memory.read(Outside::Gradient(index))?, false))
    }

    /// Between (channel, ky, kx) and the engine's (ky, kx, channel).
    fn turned(&self, index: usize, values: &[f32], inwards: bool) -> Vec<f32> {
        let adapter = &self.adapters[index / 2];
        let taps = adapter.side * adapter.side;
        if index % 2 == 1 || taps == 1 {
            return values.to_vec();
        }
        let channels = adapter.columns / taps;
        let row = |row: &[f32]| -> Vec<f32> {
            match inwards {
                true => nchw_to_nhwc(row, 1, channels, taps, channels),
                false => nhwc_to_nchw(row, 1, channels, taps, channels),
            }
        };
        values.chunks_exact(adapter.columns).flat_map(row).collect()
    }

    /// Adds the gradients of `share` times the mean of the squares of the prediction's error. Gives that mean.
    pub fn learn(&mut self, noised: &Noised, share: f64, cancelled: &dyn Fn() -> bool) -> Result<f64> {
        let prediction = self.run(noised, share, cancelled)?;
        let errors = prediction.iter().zip(noised.target).map(|(x, y)| f64::from(x - y).powi(2));
        Ok(errors.sum::<f64>() / prediction.len() as f64)
    }

    /// What the denoiser says, with what it has learnt; nothing is learnt.
    pub fn predict(&mut self, noised: &Noised) -> Result<Vec<f32>> {
        self.run(noised, 0.0, &|| false)
    }

    fn run(&mut self, noised: &Noised, share: f64, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        let channels = self.config.vae.latent_channels();
        let pixels = self.size[0] * self.size[1];
        let len = channels * pixels;
        for (field, given) in [("sample", noised.sample), ("target", noised.target)] {
            if given.len() != len {
                let message = format!("{} values given, expected {len}", given.len());
                return Err(Error::InvalidInput { field, message });
            }
        }
        let nhwc = |values: &[f32]| nchw_to_nhwc(values, 1, channels, pixels, padded(channels));
        let time = time_embedding(self.config.denoiser.time(), noised.timestep);
        self.memory.write(Outside::Sample, &nhwc(noised.sample))?;
        self.memory.write(Outside::Target, &nhwc(noised.target))?;
        self.memory.write(Outside::Time, &time)?;
        match noised.text {
            Text::Tokens(ids) => self.memory.write_ids(Outside::Tokens, ids)?,
            Text::Embeddings(states) => self.memory.write(Outside::Embeddings(0), states)?,
        }
        self.memory.write(Outside::LossFactor, &[(2.0 * share / len as f64) as f32])?;
        self.executable.run(&mut self.memory, cancelled)?;
        let prediction = self.memory.read(Outside::Prediction)?;
        Ok(nhwc_to_nchw(prediction, 1, channels, pixels, padded(channels)))
    }

    /// Changes every matrix by what its gradients say and begins new ones: tensor `i` at learning rate `rate(i)`, the gradients
    /// together no longer than `most`. Gives how long they were. Nothing changes where one is no number.
    pub fn step(&mut self, rate: impl Fn(&Adapter) -> f64, most: f64) -> Result<f64> {
        let gradients =
            (0..self.count()).map(|i| self.memory.read(Outside::Gradient(i))).collect::<Result<Vec<_>>>();
        let clipped = gradients.and_then(|gradients| clipping(gradients.into_iter(), most));
        if let Ok((share, _)) = clipped {
            self.optimizer.begin();
            for index in 0..self.count() {
                let mut values = self.memory.read(Outside::Trained(index))?.to_vec();
                let gradient = self.memory.read(Outside::Gradient(index))?;
                let rate = rate(&self.adapters[index / 2]);
                self.optimizer.change(index, rate, (gradient, share), &mut values);
                self.memory.write(Outside::Trained(index), &values)?;
            }
        }
        self.forget();
        clipped.map(|(_, length)| length)
    }

    /// Lets go of the gradients of a step that is not taken.
    pub fn forget(&mut self) {
        for index in 0..self.count() {
            drop(self.memory.clear(Outside::Gradient(index))); // each is there
        }
    }
}

/// The model's graph from its text to its loss and back.
fn graph(config: &ModelConfig, asked: &Asked) -> Result<(Graph, Vec<Adapter>)> {
    if config.texts.len() != 1 || config.denoiser.guidance_channels().is_some() {
        let message = "models with one text encoder learn, such as Stable Diffusion 1 and 2";
        return Err(Error::Unsupported {
            what: "learning with this model".to_string(),
            message: message.to_string(),
        });
    }
    let texts = [1, asked.tokens];
    let mut whole = joined(
        denoiser::text_keys_values(config, 1, asked.tokens),
        denoiser::denoiser(&config.denoiser, [1, asked.size[0], asked.size[1]], texts, 0),
    );
    if asked.encodes {
        let encoder = model::text_encoder(config, 0, 1, (0, 0)).ok_or_else(|| Error::InvalidInput {
            field: "text",
            message: "the model has no text encoder".to_string(),
        })?;
        whole = joined(encoder, whole);
    }
    let scale = (asked.alpha / asked.rank.max(1) as f64) as f32;
    let target = |part: &Part| {
        let layer = part.name.strip_suffix(".weight")?;
        (asked.layers)(layer).then_some((asked.rank, scale))
    };
    let (graph, adapters) = adapted(unfused(whole)?, &target)?;
    Ok((backward(graph)?, adapters))
}
