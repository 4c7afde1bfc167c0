//! The pipeline on the GPU.

mod decode;
mod study;

use self::decode::{Decoded, Decoder};
use super::common::{Conditioning, initial_noise, pictures, time_embedding};
use super::layout::{from_bytes, nchw_to_nhwc, nhwc_to_nchw, to_bytes};
use super::plans::{LATENTS, NOISE, Prepared, Shape, prepare_params, step_params};
use super::request::{Cancel, Dump, Event, Output, Request, Stage, Stats};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Context, Memory, Readback, Weights};
use crate::image::Rgba;
use crate::kernels::Elem;
use crate::model::{clip, unet, vae};
use crate::prompt::Tokenizer;
use crate::sample::{self, Generators, Trajectory};
use crate::weights::Manifest;

/// A model on the device, ready for prompts once its weights are written.
pub struct Pipeline {
    context: Context,
    config: ModelConfig,
    tokenizer: Tokenizer,
    weights: Weights,
    prepared: Option<Prepared>,
}

impl Pipeline {
    /// Makes room for a model's weights; [`Pipeline::write`] fills it.
    pub async fn new(context: Context, manifest: Manifest) -> Result<Pipeline> {
        let weights = context.guarded(|| Ok(Weights::new(&context, &manifest))).await?;
        let tokenizer = Tokenizer::from_json(manifest.tokenizer.as_bytes())?;
        Ok(Pipeline { context, config: manifest.config, tokenizer, weights, prepared: None })
    }

    /// Writes packed weights.
    pub fn write(&mut self, slab: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.weights.write(slab, offset, bytes)
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The device it runs on.
    pub fn context(&self) -> &Context {
        &self.context
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
        let trajectory =
            sample::trajectory(&self.config.scheduler, request.sampler, request.schedule, request.steps)?;
        let conditioning = Conditioning::new(&self.tokenizer, &self.config, request)?;

        // 2. Plans, memory and bind groups; kept from the last run where the shapes are the same.
        on_event(Event::Stage(Stage::Text));
        let shape = self.shape(request, &conditioning, &trajectory);
        self.prepare(shape).await?;
        let mut run = self.run(request, cancel, dump)?;

        // 3. Text to embeddings, and to the keys and values of every cross attention.
        run.encode_text(&conditioning).await?;

        // 4. Noise, then step by step less of it.
        on_event(Event::Stage(Stage::Denoise));
        let stats = run.denoise(&trajectory, on_event).await?;

        // 5. Latents to pictures.
        on_event(Event::Stage(Stage::Decode));
        let (images, notice) = run.decode().await?;
        let notices = conditioning.notices.into_iter().chain(notice).collect();
        Ok(Output { images, stats, notices })
    }

    /// Plans, memory and bind groups of a shape; the last one's are kept.
    pub async fn prepare(&mut self, shape: Shape) -> Result<&Prepared> {
        let prepared = match self.prepared.take() {
            Some(prepared) if prepared.shape == shape => prepared,
            // The old memory goes before the new is taken.
            old => {
                drop(old);
                let new = || Prepared::new(&self.context, &self.config, shape, &self.weights);
                self.context.guarded(new).await?
            }
        };
        Ok(self.prepared.insert(prepared))
    }

    /// A run over what was prepared last.
    fn run<'a>(
        &'a self,
        request: &'a Request,
        cancel: &'a Cancel,
        dump: Option<&'a mut Dump>,
    ) -> Result<Run<'a>> {
        let unprepared = || Error::Gpu { message: "nothing is prepared to run".to_string() };
        Ok(Run {
            context: &self.context,
            config: &self.config,
            weights: &self.weights,
            elem: self.context.target().elem,
            prepared: self.prepared.as_ref().ok_or_else(unprepared)?,
            request,
            cancel,
            dump,
        })
    }

    fn shape(&self, request: &Request, conditioning: &Conditioning, trajectory: &Trajectory) -> Shape {
        let [batch, _, h, w] = request.latents_shape(&self.config);
        Shape {
            batch,
            copies: if request.guided() { 2 } else { 1 },
            h,
            w,
            chunks: conditioning.chunks(),
            ancestral: trajectory.steps.iter().any(|step| step.needs_noise),
            maps: false,
        }
    }
}

/// One run under way.
struct Run<'a> {
    context: &'a Context,
    config: &'a ModelConfig,
    weights: &'a Weights,
    elem: Elem,
    prepared: &'a Prepared,
    request: &'a Request,
    cancel: &'a Cancel,
    dump: Option<&'a mut Dump>,
}

impl Run<'_> {
    async fn encode_text(&mut self, conditioning: &Conditioning) -> Result<()> {
        let ids = conditioning.ids();
        let rows = conditioning.rows.len();
        let shape = [rows, ids.len() / rows, self.config.text.hidden_size];
        let len = shape.iter().product();
        self.embed(&ids).await?;
        if let Some((there, share)) = &conditioning.towards {
            let from = self.weighed(conditioning, len).await?;
            self.embed(&there.ids()).await?;
            let to = self.weighed(there, len).await?;
            self.write_embeddings(&Conditioning::walk(&from, &to, *share, shape[2]))?;
        } else if conditioning.is_weighted() {
            let embeddings = self.weighed(conditioning, len).await?;
            self.write_embeddings(&embeddings)?;
        }
        if self.dump.is_some() {
            let embeddings = self.read(clip::EMBEDDINGS, shape.iter().product(), self.elem).await?;
            let ids = ids.iter().map(|id| *id as f32).collect();
            self.keep("tokens", &shape[..2], ids);
            self.keep("text_embeddings", &shape, embeddings);
        }
        self.prepared.keys_values.run(&|| self.cancel.is_cancelled()).await
    }

    /// Runs the text encoder.
    async fn embed(&self, ids: &[u32]) -> Result<()> {
        self.prepared.memory.write(clip::TOKENS, bytemuck::cast_slice(ids))?;
        self.prepared.text.run(&|| self.cancel.is_cancelled()).await
    }

    /// The embeddings on the device with the prompts' weights applied.
    async fn weighed(&self, conditioning: &Conditioning, len: usize) -> Result<Vec<f32>> {
        let mut embeddings = self.read(clip::EMBEDDINGS, len, self.elem).await?;
        if conditioning.is_weighted() {
            conditioning.weigh(&mut embeddings);
        }
        Ok(embeddings)
    }

    fn write_embeddings(&self, embeddings: &[f32]) -> Result<()> {
        self.prepared.memory.write(clip::EMBEDDINGS, &to_bytes(embeddings, self.elem))
    }

    async fn denoise(&mut self, trajectory: &Trajectory, on_event: &mut dyn FnMut(Event)) -> Result<Stats> {
        let (mut generators, noise) = initial_noise(self.request, self.config);
        let latents: Vec<f32> = noise.iter().map(|z| z * trajectory.init_noise_sigma as f32).collect();
        self.write_latents(LATENTS, &latents)?;
        self.keep("latents.0", &self.latents_shape(), latents);

        let steps = &trajectory.steps;
        self.prepare_input(steps[0].input_scale).await?;

        let mut after_first = self.context.counters();
        for (i, step) in steps.iter().enumerate() {
            self.cancel.check()?;
            let input_scale_next = steps.get(i + 1).map_or(1.0, |next| next.input_scale);
            self.step(step, input_scale_next, &mut generators).await?;
            self.keep_step(i).await?;
            let preview = if self.request.previews(i + 1) { Some(self.preview().await?) } else { None };
            on_event(Event::Step { step: i + 1, steps: steps.len(), preview });
            if i == 0 {
                after_first = self.context.counters();
            }
        }
        let end = self.context.counters();
        let per_step = |count: usize| count as f64 / (steps.len() - 1).max(1) as f64;
        Ok(Stats {
            dispatches_per_step: self.prepared.unet.dispatches() + self.prepared.step.dispatches(),
            new_buffers_per_step: per_step(end.buffers - after_first.buffers),
            new_bind_groups_per_step: per_step(end.bind_groups - after_first.bind_groups),
            gpu_bytes: end.bytes,
        })
    }

    /// The first UNet input from the latents.
    async fn prepare_input(&self, input_scale: f64) -> Result<()> {
        let params = prepare_params(self.config, self.prepared.shape, input_scale);
        self.prepared.prepare.set_params(0, params.bytes());
        self.prepared.prepare.run(&|| false).await
    }

    /// One UNet evaluation and what the sampler makes of it.
    async fn step(
        &self,
        step: &sample::Step,
        input_scale_next: f64,
        generators: &mut Generators,
    ) -> Result<()> {
        let prepared = self.prepared;
        let time = time_embedding(&self.config.unet, step.timestep);
        prepared.memory.write(unet::TIME, &to_bytes(&time, self.elem))?;
        if prepared.shape.ancestral {
            let each = self.request.latents_len(self.config) / self.request.batch;
            let noise =
                if step.needs_noise { generators.randn(each) } else { vec![0.0; each * self.request.batch] };
            self.write_latents(NOISE, &noise)?;
        }
        let params = step_params(self.config, prepared.shape, self.request.guidance, step, input_scale_next);
        prepared.step.set_params(0, params.bytes());
        prepared.unet.run(&|| self.cancel.is_cancelled()).await?;
        prepared.step.run(&|| false).await
    }

    async fn preview(&self) -> Result<Rgba> {
        self.prepared.preview.run(&|| false).await?;
        let bytes = self.prepared.read_preview.read(&self.prepared.memory).await?;
        Rgba::new(self.prepared.shape.w, self.prepared.shape.h, bytes)
    }

    /// The pictures, and what the caller should know about them.
    async fn decode(&mut self) -> Result<(Vec<Rgba>, Option<String>)> {
        let Request { batch, width, height, .. } = *self.request;
        let Shape { batch: n, h, w, .. } = self.prepared.shape;
        self.prepared.decoder.run(&|| self.cancel.is_cancelled()).await?;
        let bytes = self.prepared.read_rgba.read(&self.prepared.memory).await?;
        let Run { context, config, weights, cancel, .. } = *self;
        let latents = self.read(LATENTS, self.request.latents_len(config), Elem::F32);
        let decoder = Decoder { context, config, weights, cancel };
        let Decoded { bytes, again } = decoder.settle(bytes, self.elem, latents, [n, h, w]).await?;
        match &again {
            Some(memory) => self.keep_image(memory, Elem::F32).await?,
            None => self.keep_image(&self.prepared.memory, self.elem).await?,
        }
        let notice = again.map(|_| {
            "The autoencoder went beyond half precision, so the picture was decoded again in single precision.".into()
        });
        Ok((pictures(&bytes, batch, width, height)?, notice))
    }

    async fn keep_image(&mut self, memory: &Memory, elem: Elem) -> Result<()> {
        if self.dump.is_some() {
            let Request { batch, width, height, .. } = *self.request;
            let hw = width * height;
            let image = self.read_from(memory, vae::IMAGE, batch * hw * 4, elem).await?;
            self.keep("image", &[batch, 3, height, width], nhwc_to_nchw(&image, batch, 3, hw, 4));
        }
        Ok(())
    }

    fn latents_shape(&self) -> [usize; 4] {
        self.request.latents_shape(self.config)
    }

    fn write_latents(&self, name: &str, values: &[f32]) -> Result<()> {
        let [n, c, h, w] = self.latents_shape();
        let values = nchw_to_nhwc(values, n, c, h * w, c);
        self.prepared.memory.write(name, &to_bytes(&values, Elem::F32))
    }

    async fn read(&self, name: &str, len: usize, elem: Elem) -> Result<Vec<f32>> {
        self.read_from(&self.prepared.memory, name, len, elem).await
    }

    async fn read_from(&self, memory: &Memory, name: &str, len: usize, elem: Elem) -> Result<Vec<f32>> {
        let readback = Readback::new(self.context, name, (len * elem.size()) as u64);
        Ok(from_bytes(&readback.read(memory).await?, elem))
    }

    fn keep(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        if let Some(dump) = &mut self.dump {
            dump.insert(name, shape, values);
        }
    }

    /// Keeps the prediction of step `i` after guidance, and the latents that leave it.
    async fn keep_step(&mut self, i: usize) -> Result<()> {
        if self.dump.is_none() {
            return Ok(());
        }
        let (guided, latents) = self.read_step().await?;
        let shape = self.latents_shape();
        self.keep(&format!("noise_pred.{i}"), &shape, guided);
        self.keep(&format!("latents.{}", i + 1), &shape, latents);
        Ok(())
    }

    /// The prediction of the last step after guidance, and the latents that left it, `[n, c, h, w]` both.
    async fn read_step(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let [n, c, h, w] = self.latents_shape();
        let one = n * h * w * c;
        let prediction = self.read(unet::OUTPUT, self.prepared.shape.copies * one, self.elem).await?;
        let guided: Vec<f32> = match self.prepared.shape.copies {
            2 => {
                let (uncond, cond) = prediction.split_at(one);
                let scale = self.request.guidance as f32;
                uncond.iter().zip(cond).map(|(u, c)| u + scale * (c - u)).collect()
            }
            _ => prediction,
        };
        let latents = self.read(LATENTS, one, Elem::F32).await?;
        Ok((nhwc_to_nchw(&guided, n, c, h * w, c), nhwc_to_nchw(&latents, n, c, h * w, c)))
    }
}
