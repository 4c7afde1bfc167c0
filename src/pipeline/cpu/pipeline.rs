//! The pipeline on the CPU: the GPU pipeline's numbered stages with candle's tensors.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::pin::Pin;

use candle_core::{Device, Tensor};

use super::{CpuModel, LayerLooks};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::Rgba;
use crate::pipeline::common::{Conditioning, initial_noise};
use crate::pipeline::study::latent_preview;
use crate::pipeline::{Cancel, Dump, Event, Output, Request, Stage, Stats};
use crate::prompt::Tokenizer;
use crate::sample::{self, Step};
use crate::weights::{Manifest, unpack};

/// Lets the host's event loop run between steps: messages, such as the one that cancels, arrive then.
pub type Pause = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>;

/// A model in ordinary memory.
pub struct CpuPipeline {
    pause: Pause,
    config: ModelConfig,
    pub(super) tokenizer: Tokenizer,
    pub(super) model: CpuModel,
}

impl CpuPipeline {
    /// Builds the model from packed weights: the manifest and the bytes of each slab.
    pub fn new(manifest: Manifest, slabs: Vec<Vec<u8>>) -> Result<CpuPipeline> {
        let mut tensors = HashMap::new();
        // Each slab is freed as soon as its records are read.
        for (index, slab) in slabs.into_iter().enumerate() {
            for record in manifest.records.iter().filter(|record| record.slab == index) {
                for (name, shape, values) in unpack(record, &slab)? {
                    tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
                }
            }
        }
        let tokenizer = Tokenizer::from_json(manifest.tokenizer.as_bytes())?;
        let model = CpuModel::new(&manifest.config, tensors)?;
        Ok(CpuPipeline { pause: Box::new(|| Box::pin(ready(()))), config: manifest.config, tokenizer, model })
    }

    /// Sets what to await between steps; natively there is nothing to wait for.
    pub fn with_pause(self, pause: Pause) -> CpuPipeline {
        CpuPipeline { pause, ..self }
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Makes the pictures of a request, giving the event loop its turn between steps.
    pub async fn generate(
        &mut self,
        request: &Request,
        on_event: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Output> {
        self.generate_with(request, on_event, cancel, None).await
    }

    /// The same, keeping every intermediate value in `dump`.
    pub async fn generate_with(
        &mut self,
        request: &Request,
        on_event: &mut dyn FnMut(Event),
        cancel: &Cancel,
        mut dump: Option<&mut Dump>,
    ) -> Result<Output> {
        // 1. The request, held against the model.
        request.check(&self.config)?;
        let scheduler = &self.config.scheduler;
        let trajectory = sample::trajectory(scheduler, request.sampler, request.schedule, request.steps)?;
        let conditioning = Conditioning::new(&self.tokenizer, &self.config, request)?;

        // 2. Text to embeddings.
        on_event(Event::Stage(Stage::Text));
        let embeddings = self.encode_text(&conditioning)?;
        if let Some(dump) = &mut dump {
            let ids = conditioning.ids();
            let rows = conditioning.rows.len();
            dump.insert("tokens", &[rows, ids.len() / rows], ids.iter().map(|id| *id as f32).collect());
        }
        keep(&mut dump, "text_embeddings", &embeddings)?;
        (self.pause)().await;

        // 3. Noise, then step by step less of it.
        on_event(Event::Stage(Stage::Denoise));
        let shape = request.latents_shape(&self.config);
        let (mut generators, noise) = initial_noise(request, &self.config);
        let mut latents = (Tensor::from_vec(noise, &shape, &Device::Cpu)? * trajectory.init_noise_sigma)?;
        let mut history = latents.zeros_like()?;
        keep(&mut dump, "latents.0", &latents)?;
        for (i, step) in trajectory.steps.iter().enumerate() {
            cancel.check()?;
            let prediction = self.predict(&latents, step, &embeddings, request, None)?;
            let each = latents.elem_count() / request.batch;
            let noise =
                step.needs_noise.then(|| Tensor::from_vec(generators.randn(each), &shape, &Device::Cpu));
            let denoised = combine(&latents, &prediction, step.denoised.x, step.denoised.model)?;
            let next = advance(&latents, &prediction, &history, noise.transpose()?.as_ref(), step)?;
            history = combine(&latents, &prediction, step.history.x, step.history.model)?;
            latents = next;
            keep(&mut dump, &format!("noise_pred.{i}"), &prediction)?;
            keep(&mut dump, &format!("latents.{}", i + 1), &latents)?;
            let preview = if request.previews(i + 1) { Some(self.preview(&denoised)?) } else { None };
            on_event(Event::Step { step: i + 1, steps: request.steps, preview });
            (self.pause)().await;
        }

        // 4. Latents to pictures.
        on_event(Event::Stage(Stage::Decode));
        (self.pause)().await;
        cancel.check()?;
        let image = self.model.vae_decode(&(latents / self.config.vae.scaling_factor)?)?;
        keep(&mut dump, "image", &image)?;
        Ok(Output { images: pictures(&image)?, stats: Stats::default(), notices: conditioning.notices })
    }

    /// Embeddings `[copies · batch, chunks · tokens, hidden]`.
    pub(super) fn encode_text(&self, conditioning: &Conditioning) -> Result<Tensor> {
        let embeddings = self.embed(conditioning)?;
        let Some((there, share)) = &conditioning.towards else { return Ok(embeddings) };
        let (from, to) = (embeddings.flatten_all()?, self.embed(there)?.flatten_all()?);
        let hidden = embeddings.dim(2)?;
        let mixed = Conditioning::walk(&from.to_vec1::<f32>()?, &to.to_vec1::<f32>()?, *share, hidden);
        Ok(Tensor::from_vec(mixed, embeddings.shape(), &Device::Cpu)?)
    }

    /// The embeddings of one prompt.
    fn embed(&self, conditioning: &Conditioning) -> Result<Tensor> {
        let ids: Vec<Vec<u32>> = conditioning.rows.iter().flatten().map(|chunk| chunk.ids.clone()).collect();
        let embeddings = self.model.text_embeddings(&ids)?;
        let (chunks, tokens, hidden) = embeddings.dims3()?;
        let rows = conditioning.rows.len();
        let shape = (rows, chunks / rows * tokens, hidden);
        if !conditioning.is_weighted() {
            return Ok(embeddings.reshape(shape)?);
        }
        let mut values = embeddings.flatten_all()?.to_vec1::<f32>()?;
        conditioning.weigh(&mut values);
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// The UNet's prediction after guidance, `[batch, C, h, w]`. With `maps`, where the cross attentions looked is put
    /// there.
    pub(super) fn predict(
        &self,
        latents: &Tensor,
        step: &Step,
        embeddings: &Tensor,
        request: &Request,
        maps: Option<&mut Vec<LayerLooks>>,
    ) -> Result<Tensor> {
        let input = (latents * step.input_scale)?;
        if !request.guided() {
            return self.model.unet_looking(&input, step.timestep, embeddings, maps);
        }
        let twice = Tensor::cat(&[&input, &input], 0)?;
        let both = self.model.unet_looking(&twice, step.timestep, embeddings, maps)?;
        let (without, with) =
            (both.narrow(0, 0, request.batch)?, both.narrow(0, request.batch, request.batch)?);
        Ok((&without + ((with - &without)? * request.guidance)?)?)
    }

    /// The first picture's clean latents as RGB, as large as the latents.
    fn preview(&self, denoised: &Tensor) -> Result<Rgba> {
        let (_, _, h, w) = denoised.dims4()?;
        let latents = denoised.get(0)?.flatten_all()?.to_vec1::<f32>()?;
        latent_preview(&self.config, &latents, h, w)
    }
}

/// `x · a + model · b`.
fn combine(x: &Tensor, model: &Tensor, a: f64, b: f64) -> Result<Tensor> {
    Ok(((x * a)? + (model * b)?)?)
}

/// The latents after a step.
pub(super) fn advance(
    x: &Tensor,
    model: &Tensor,
    history: &Tensor,
    noise: Option<&Tensor>,
    step: &Step,
) -> Result<Tensor> {
    let mut next = (combine(x, model, step.next.x, step.next.model)? + (history * step.next.history)?)?;
    if let Some(noise) = noise {
        next = (next + (noise * step.next.noise)?)?;
    }
    Ok(next)
}

/// [-1, 1] to 0..255.
fn level(value: f32) -> u8 {
    ((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

/// `[n, 3, h, w]` in [-1, 1] to pictures.
fn pictures(image: &Tensor) -> Result<Vec<Rgba>> {
    let (n, channels, h, w) = image.dims4()?;
    if channels != 3 {
        return Err(Error::Cpu { message: format!("the decoder gave {channels} channels, expected 3") });
    }
    let planes = image.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    (0..n)
        .map(|i| {
            let at = |channel: usize, pixel: usize| level(planes[(i * 3 + channel) * h * w + pixel]);
            let pixels = (0..h * w).flat_map(|p| [at(0, p), at(1, p), at(2, p), 255]).collect();
            Rgba::new(w, h, pixels)
        })
        .collect()
}

fn keep(dump: &mut Option<&mut Dump>, name: &str, tensor: &Tensor) -> Result<()> {
    if let Some(dump) = dump {
        dump.insert(name, tensor.dims(), tensor.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(())
}
