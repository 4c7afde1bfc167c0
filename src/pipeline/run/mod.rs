//! A run, told once, whatever computes it: request in, pictures out.

mod ask;
mod picture;
mod study;

use std::sync::Arc;

use super::canvas::Canvas;
use super::common::{Conditioning, guidance_embedding, pictures, rescale_guided, time_embedding};
use super::engine::{Engine, Network, Pixels};
use super::graphs::{Shape, prepare_params, preview_size, step_params};
use super::layout::{nchw_to_nhwc, nhwc_to_nchw};
use super::request::{Cancel, Dump, Event, Output, Request, Stage, Stats};
use super::start::{Draws, entering};
use crate::config::{ModelConfig, PredictionType};
use crate::error::Result;
use crate::image::Rgba;
use crate::plan::{Outside, padded};
use crate::prompt::Tokenizers;
use crate::sample::{Evaluation, Generators, Trajectory};
#[cfg(feature = "gpu")]
use crate::weights::Bytes;
use crate::weights::Manifest;
use picture::Kept;

/// A model, ready for prompts.
pub struct Pipeline {
    engine: Engine,
    config: ModelConfig,
    tokenizers: Tokenizers,
}

impl Pipeline {
    /// Makes room for a model's weights on a device; [`Pipeline::write`] fills it.
    #[cfg(feature = "gpu")]
    pub async fn new(context: crate::gpu::Context, manifest: impl Into<Arc<Manifest>>) -> Result<Pipeline> {
        let manifest = manifest.into();
        let engine = super::engine::GpuEngine::new(context, &manifest).await?;
        Pipeline::over(Engine::Gpu(Box::new(engine)), &manifest)
    }

    /// A model on a device that keeps within `bytes` of its memory: weights come from the stock when a stage needs them, and
    /// leave where the next one has no room for them beside its own. There is nothing to [`write`](Pipeline::write).
    #[cfg(feature = "gpu")]
    pub fn within(
        context: crate::gpu::Context,
        manifest: impl Into<Arc<Manifest>>,
        bytes: u64,
        stock: Box<dyn super::stock::Stock>,
    ) -> Result<Pipeline> {
        let manifest = manifest.into();
        let engine = super::engine::GpuEngine::within(context, &manifest, bytes, stock);
        Pipeline::over(Engine::Gpu(Box::new(engine)), &manifest)
    }

    /// Unpacks a model for the processor from packed weights: the manifest and the bytes of each slab.
    #[cfg(feature = "cpu")]
    pub fn on_cpu(manifest: impl Into<Arc<Manifest>>, slabs: Vec<Vec<u8>>) -> Result<Pipeline> {
        let manifest = manifest.into();
        let engine = super::engine::CpuEngine::new(&manifest, slabs)?;
        Pipeline::over(Engine::Cpu(Box::new(engine)), &manifest)
    }

    fn over(engine: Engine, manifest: &Manifest) -> Result<Pipeline> {
        let pads = manifest.config.texts.iter().map(|text| text.pad_token.as_deref());
        let tokenizers = Tokenizers::from_json(manifest.tokenizer.as_bytes(), pads)?;
        Ok(Pipeline { engine, config: manifest.config.clone(), tokenizers })
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Somebody says what the denoiser predicts, whatever the model's files have: it counts from the next run on.
    pub fn set_prediction(&mut self, prediction: PredictionType) {
        self.config.set_prediction(prediction);
    }

    /// What computes.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Writes packed weights to the device; the processor was given them all at once.
    #[cfg(feature = "gpu")]
    pub fn write<'a>(&mut self, slab: usize, offset: u64, bytes: impl Into<Bytes<'a>>) -> Result<()> {
        match &self.engine {
            Engine::Gpu(engine) => engine.write_weights(slab, offset, &bytes.into()),
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => Ok(()),
        }
    }

    /// Makes the pictures of a request.
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
        dump: Option<&mut Dump>,
    ) -> Result<Output> {
        // 1. The request, held against the model.
        request.check(&self.config)?;
        let told = self.ask_prediction(cancel).await?;
        let trajectory = request.trajectory(&self.config)?;
        let conditioning = Conditioning::new(&self.tokenizers, &self.config, request)?;
        let canvas = Canvas::new(request, &self.config)?;

        self.engine.restart_peak();

        // 2. Everything that runs of this shape need; kept from the last run where the shapes are the same.
        on_event(Event::Stage(if request.picture.is_some() { Stage::Encode } else { Stage::Text }));
        let shape = shape(&self.config, request, &conditioning, &trajectory);
        let mut run = self.run(shape, request, cancel, dump).await?;

        // 3. Noise, and what it is mixed with: the picture that the run begins from, encoded.
        let mut draws = Draws::of(request, run.config);
        let begun = run.encode_picture(canvas.as_ref(), &draws, on_event).await?;

        // 4. Text to embeddings, and to the keys and values of every cross attention.
        run.encode_text(&conditioning).await?;
        run.engine.pause().await;

        // 5. Step by step less noise.
        on_event(Event::Stage(Stage::Denoise));
        let latents = entering(&trajectory, 0, begun.clean.as_deref(), &draws.noise);
        let kept = canvas.as_ref().zip(begun.original.as_deref()).filter(|_| run.shape.masked);
        let kept = kept.map(|(canvas, original)| Kept { canvas, original, noise: &draws.noise });
        run.begin_steps(latents, begun.around, &trajectory).await?;
        let stats = run.denoise(&trajectory, kept, &mut draws.generators, on_event).await?;

        // 6. Latents to pictures.
        on_event(Event::Stage(Stage::Decode));
        run.engine.pause().await;
        cancel.check()?;
        let (mut images, notice) = run.decode().await?;
        if let Some(canvas) = &canvas {
            images = images.into_iter().map(|image| canvas.finished(image)).collect::<Result<_>>()?;
        }
        let stats = Stats { gpu_peak_bytes: run.engine.used().peak, ..stats };
        let of_mask = canvas.as_ref().and_then(Canvas::notice);
        let notices = told.into_iter().chain(conditioning.notices).chain(of_mask).chain(notice).collect();
        Ok(Output { images, stats, notices })
    }

    /// A run of a shape, everything prepared for it.
    async fn run<'a>(
        &'a mut self,
        shape: Shape,
        request: &'a Request,
        cancel: &'a Cancel,
        dump: Option<&'a mut Dump>,
    ) -> Result<Run<'a>> {
        let Pipeline { engine, config, .. } = self;
        engine.prepare(shape, cancel).await?;
        Ok(Run { engine, config, shape, request, cancel, dump })
    }
}

/// What a run's networks depend on.
fn shape(
    config: &ModelConfig,
    request: &Request,
    conditioning: &Conditioning,
    trajectory: &Trajectory,
) -> Shape {
    let [batch, _, h, w] = request.latents_shape(config);
    Shape {
        batch,
        copies: if request.guided(config) { 2 } else { 1 },
        h,
        w,
        chunks: conditioning.chunks(),
        ancestral: trajectory.draws_noise(),
        history: trajectory.history(),
        maps: false,
        previews: request.preview_every > 0,
        encodes: request.picture.is_some(),
        masked: request.picture.as_ref().is_some_and(|picture| picture.is_masked())
            && !config.is_inpainting(),
    }
}

/// One run under way.
struct Run<'a> {
    engine: &'a mut Engine,
    config: &'a ModelConfig,
    shape: Shape,
    request: &'a Request,
    cancel: &'a Cancel,
    dump: Option<&'a mut Dump>,
}

impl Run<'_> {
    async fn encode_text(&mut self, conditioning: &Conditioning) -> Result<()> {
        let ids = conditioning.ids(0);
        let rows = conditioning.rows(0).len();
        let tokens = ids.len() / rows;
        self.keep("tokens", &[rows, tokens], ids.iter().map(|id| *id as f32).collect());
        let mut states = Vec::new();
        for (index, text) in self.config.texts.iter().enumerate() {
            let shape = [rows, tokens, text.hidden_size];
            self.encode_with(index, conditioning, shape).await?;
            if self.dump.is_some() {
                states.push((text.hidden_size, self.embeddings(index, shape).await?));
            }
        }
        if self.dump.is_some() {
            let width = states.iter().map(|(width, _)| width).sum();
            self.keep("text_embeddings", &[rows, tokens, width], side_by_side(&states, rows * tokens));
        }
        self.engine.run(Network::KeysValues, self.cancel).await
    }

    /// The states `[rows, tokens, hidden]` of one text encoder, as the prompts' weights and a walk have them.
    async fn encode_with(
        &mut self,
        index: usize,
        conditioning: &Conditioning,
        shape: [usize; 3],
    ) -> Result<()> {
        self.embed(index, &conditioning.ids(index)).await?;
        if let Some((there, share)) = &conditioning.towards {
            let from = self.weighed(index, conditioning, shape).await?;
            self.embed(index, &there.ids(index)).await?;
            let to = self.weighed(index, there, shape).await?;
            let between = Conditioning::walk(&from, &to, *share, shape[2]);
            self.engine.write(Outside::Embeddings(index), &between)?;
        } else if conditioning.is_weighted() {
            let embeddings = self.weighed(index, conditioning, shape).await?;
            self.engine.write(Outside::Embeddings(index), &embeddings)?;
        }
        Ok(())
    }

    /// Runs a text encoder.
    async fn embed(&mut self, index: usize, ids: &[u32]) -> Result<()> {
        self.engine.enter(Network::Text(index), self.cancel).await?;
        self.engine.write_ids(Outside::Tokens, ids)?;
        self.engine.run(Network::Text(index), self.cancel).await
    }

    /// A text encoder's states with the prompts' weights applied.
    async fn weighed(
        &mut self,
        index: usize,
        conditioning: &Conditioning,
        shape: [usize; 3],
    ) -> Result<Vec<f32>> {
        let mut embeddings = self.embeddings(index, shape).await?;
        if conditioning.is_weighted() {
            conditioning.weigh(index, &mut embeddings);
        }
        Ok(embeddings)
    }

    async fn embeddings(&mut self, index: usize, shape: [usize; 3]) -> Result<Vec<f32>> {
        self.engine.read(Outside::Embeddings(index), shape.iter().product()).await
    }

    /// What the steps begin with: the latents `[batch, c, h, w]` that enter the first, and what is read beside them.
    async fn begin_steps(
        &mut self,
        latents: Vec<f32>,
        around: Option<Vec<f32>>,
        trajectory: &Trajectory,
    ) -> Result<()> {
        if let Some(around) = around {
            self.write_around(&around)?;
        }
        self.write_latents(Outside::Latents, &latents)?;
        self.keep("latents.0", &self.latents_shape(), latents);

        self.first_input(trajectory.steps[0].first().input_scale).await
    }

    /// All steps.
    async fn denoise(
        &mut self,
        trajectory: &Trajectory,
        kept: Option<Kept<'_>>,
        generators: &mut Generators,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Stats> {
        let steps = trajectory.steps.len();
        let mut after_first = self.engine.used();
        for i in 0..steps {
            self.step(trajectory, i, kept, generators).await?;
            let preview = if self.request.previews(i + 1) { Some(self.preview().await?) } else { None };
            on_event(Event::Step { step: i + 1, steps, preview });
            self.engine.pause().await;
            if i == 0 {
                after_first = self.engine.used();
            }
        }
        let end = self.engine.used();
        let per_step = |count: usize| count as f64 / (steps - 1).max(1) as f64;
        let most = trajectory.steps.iter().map(|step| step.evaluations.len()).max().unwrap_or_default();
        Ok(Stats {
            dispatches_per_step: most * end.dispatches_per_evaluation,
            new_buffers_per_step: per_step(end.buffers - after_first.buffers),
            new_bind_groups_per_step: per_step(end.bind_groups - after_first.bind_groups),
            gpu_bytes: end.bytes,
            gpu_peak_bytes: end.peak,
        })
    }

    /// The denoiser's first input from the latents.
    async fn first_input(&mut self, input_scale: f64) -> Result<()> {
        let Shape { copies, .. } = self.shape;
        self.engine.first_input(prepare_params(self.config, [self.shape.pixels(), copies], input_scale)).await
    }

    /// Step `i` of the run, all evaluations of it.
    async fn step(
        &mut self,
        trajectory: &Trajectory,
        i: usize,
        kept: Option<Kept<'_>>,
        generators: &mut Generators,
    ) -> Result<()> {
        for (nth, (evaluation, input_scale_next)) in trajectory.evaluations(i).enumerate() {
            if nth > 0 {
                self.engine.pause().await;
            }
            self.cancel.check()?;
            if let Some(kept) = kept {
                self.write_kept(kept, trajectory, [i, nth])?;
            }
            self.evaluate(evaluation, input_scale_next, generators).await?;
            self.keep_evaluation(trajectory, [i, nth]).await?;
        }
        Ok(())
    }

    /// One evaluation of the denoiser and what the sampler makes of it.
    async fn evaluate(
        &mut self,
        evaluation: &Evaluation,
        input_scale_next: f64,
        generators: &mut Generators,
    ) -> Result<()> {
        let time = time_embedding(self.config.denoiser.time(), evaluation.timestep);
        self.engine.write(Outside::Time, &time)?;
        if let Some(channels) = self.config.denoiser.guidance_channels() {
            self.engine.write(Outside::Guidance, &guidance_embedding(channels, self.request.guidance))?;
        }
        if self.shape.ancestral {
            let each = self.request.latents_len(self.config) / self.request.batch;
            let noise = match evaluation.noise {
                0.0 => vec![0.0; each * self.request.batch],
                _ => generators.randn(each),
            };
            self.write_latents(Outside::Noise, &noise)?;
        }
        self.engine.run(Network::Denoiser, self.cancel).await?;
        if let Some(by) = self.request.rescale(self.config) {
            let [n, _, h, w] = self.latents_shape();
            let len = 2 * n * h * w * padded(self.config.denoiser.out_channels());
            let mut both = self.engine.read(Outside::Prediction, len).await?;
            rescale_guided(&mut both, n, self.request.guidance, by);
            self.engine.write(Outside::Prediction, &both)?;
        }
        let pixels = self.shape.pixels();
        let params = step_params(self.config, pixels, self.request.guidance, evaluation, input_scale_next);
        self.engine.step(params).await
    }

    async fn preview(&mut self) -> Result<Rgba> {
        let bytes = self.engine.preview().await?;
        let [width, height] = preview_size(self.config, self.shape.h, self.shape.w);
        Rgba::new(width, height, bytes)
    }

    /// The pictures, and what the caller should know about them.
    async fn decode(&mut self) -> Result<(Vec<Rgba>, Option<String>)> {
        let Request { batch, width, height, .. } = *self.request;
        let Pixels { bytes, image, again } = self.engine.decode(self.dump.is_some(), self.cancel).await?;
        if let Some(image) = image {
            let hw = width * height;
            self.keep("image", &[batch, 3, height, width], nhwc_to_nchw(&image, batch, 3, hw, 4));
        }
        let notice = again.then(|| {
            "The autoencoder went beyond half precision, so the picture was decoded again in single precision.".into()
        });
        Ok((pictures(&bytes, batch, width, height)?, notice))
    }

    fn latents_shape(&self) -> [usize; 4] {
        self.request.latents_shape(self.config)
    }

    fn write_latents(&mut self, outside: Outside, values: &[f32]) -> Result<()> {
        let [n, c, h, w] = self.latents_shape();
        self.engine.write(outside, &nchw_to_nhwc(values, n, c, h * w, c))
    }

    fn keep(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        if let Some(dump) = &mut self.dump {
            dump.insert(name, shape, values);
        }
    }

    /// Keeps the prediction of the `nth` evaluation of step `i` after guidance, and the latents that leave it.
    async fn keep_evaluation(&mut self, trajectory: &Trajectory, [i, nth]: [usize; 2]) -> Result<()> {
        if self.dump.is_none() {
            return Ok(());
        }
        let name = |step, nth| if nth == 0 { format!("{step}") } else { format!("{step}.{nth}") };
        let last = nth + 1 == trajectory.steps[i].evaluations.len();
        let after = if last { name(i + 1, 0) } else { name(i, nth + 1) };
        let (prediction, latents) = (self.prediction().await?, self.latents().await?);
        let shape = self.latents_shape();
        self.keep(&format!("noise_pred.{}", name(i, nth)), &shape, prediction);
        self.keep(&format!("latents.{after}"), &shape, latents);
        Ok(())
    }

    /// The prediction of the last evaluation after guidance, `[n, c, h, w]`.
    async fn prediction(&mut self) -> Result<Vec<f32>> {
        let [n, c, h, w] = self.latents_shape();
        let channels = padded(self.config.denoiser.out_channels());
        let one = n * h * w * channels;
        let prediction = self.engine.read(Outside::Prediction, self.shape.copies * one).await?;
        let guided: Vec<f32> = match self.shape.copies {
            2 => {
                let (uncond, cond) = prediction.split_at(one);
                let scale = self.request.guidance as f32;
                uncond.iter().zip(cond).map(|(u, c)| u + scale * (c - u)).collect()
            }
            _ => prediction,
        };
        Ok(nhwc_to_nchw(&guided, n, c, h * w, channels))
    }

    /// The latents as they are now, `[n, c, h, w]`.
    async fn latents(&mut self) -> Result<Vec<f32>> {
        let [n, c, h, w] = self.latents_shape();
        let latents = self.engine.read(Outside::Latents, n * h * w * c).await?;
        Ok(nhwc_to_nchw(&latents, n, c, h * w, c))
    }
}

/// The states of several text encoders, each `(width, [rows, width])`, as one `[rows, widths in all]`.
fn side_by_side(states: &[(usize, Vec<f32>)], rows: usize) -> Vec<f32> {
    let row = |row: usize| states.iter().flat_map(move |(width, values)| &values[row * width..][..*width]);
    (0..rows).flat_map(row).copied().collect()
}
