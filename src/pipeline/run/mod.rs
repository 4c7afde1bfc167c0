//! A run, told once, whatever computes it: request in, pictures out.

mod ask;
mod control;
#[cfg(feature = "train")]
pub mod learning;
mod networks;
mod picture;
mod steps;
mod study;
mod text;

use std::rc::Rc;
use std::sync::Arc;

use super::canvas::Canvas;
use super::common::{guided, pictures};
use super::conditioning::Conditioning;
use super::control::counting;
use super::engine::{Engine, Pixels, Widened};
use super::enlarge::Enlarger;
use super::graphs::{Controls, Shape};
use super::layout::{nchw_to_nhwc, nhwc_to_nchw};
use super::picture::Taken;
use super::regions;
use super::request::{Cancel, Dump, Event, Output, Request, Stage, Stats};
use super::start::{Draws, entering, generators_at};
use super::stock::Stock;
use crate::config::{ModelConfig, PredictionType};
use crate::error::{Error, Result};
use crate::image::Rgba;
use crate::plan::{Outside, padded};
use crate::prompt::Tokenizers;
use crate::sample::Trajectory;
#[cfg(feature = "gpu")]
use crate::weights::Bytes;
use crate::weights::{Manifest, Merged};
use networks::Networks;
use picture::{Begin, Kept};
use text::Turns;

/// A model, ready for prompts.
pub struct Pipeline {
    engine: Engine,
    config: ModelConfig,
    tokenizers: Tokenizers,
    enlarger: Option<Enlarger>,
    /// As it is packed.
    manifest: Arc<Manifest>,
    networks: Networks,
}

impl Pipeline {
    /// Makes room for a model's weights on a device; [`Pipeline::write`] fills it.
    #[cfg(feature = "gpu")]
    pub async fn new(context: crate::gpu::Context, manifest: impl Into<Arc<Manifest>>) -> Result<Pipeline> {
        let manifest = manifest.into();
        let engine = super::engine::GpuEngine::new(context, &manifest).await?;
        Pipeline::over(Engine::Gpu(Box::new(engine)), manifest)
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
        Pipeline::over(Engine::Gpu(Box::new(engine)), manifest)
    }

    /// Unpacks a model for the processor from packed weights: the manifest and the bytes of each slab.
    #[cfg(feature = "cpu")]
    pub fn on_cpu(manifest: impl Into<Arc<Manifest>>, slabs: Vec<Vec<u8>>) -> Result<Pipeline> {
        let manifest = manifest.into();
        let engine = super::engine::CpuEngine::new(&manifest, slabs)?;
        Pipeline::over(Engine::Cpu(Box::new(engine)), manifest)
    }

    fn over(engine: Engine, manifest: Arc<Manifest>) -> Result<Pipeline> {
        let pads = manifest.config.texts.iter().map(|text| text.pad_token.as_deref());
        let tokenizers = Tokenizers::from_json(manifest.tokenizer.as_bytes(), pads)?;
        Ok(Pipeline {
            engine,
            config: manifest.config.clone(),
            tokenizers,
            enlarger: None,
            manifest,
            networks: Networks::default(),
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Somebody says what the denoiser predicts, whatever the model's files have: it counts from the next run on.
    pub fn set_prediction(&mut self, prediction: PredictionType) {
        self.config.set_prediction(prediction);
    }

    /// The network that enlarges in hires fix.
    pub fn enlarger(&self) -> Option<&Enlarger> {
        self.enlarger.as_ref()
    }

    /// Sets the network that enlarges in hires fix, where a request asks for one; gives the one before.
    pub fn set_enlarger(&mut self, enlarger: Option<Enlarger>) -> Option<Enlarger> {
        std::mem::replace(&mut self.enlarger, enlarger)
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

    /// How the model is packed, ControlNets that joined it among that.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Makes room on the device for ControlNets that a manifest of this model has more ([`Manifest::with_control`]), to be
    /// filled by [`write`](Pipeline::write) before [`joined`](Pipeline::joined); with the manifest that it has, that room is let
    /// go of again.
    #[cfg(feature = "gpu")]
    pub async fn make_room(&mut self, manifest: &Manifest) -> Result<()> {
        match &mut self.engine {
            Engine::Gpu(engine) => {
                let room = engine.make_room(manifest).await;
                if room.is_err() {
                    // What could not be had in full goes.
                    let _ = engine.make_room(&self.manifest).await;
                }
                room
            }
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => Ok(()),
        }
    }

    /// From now on the ControlNets of this manifest can be asked for, whose weights are written.
    #[cfg(feature = "gpu")]
    pub fn joined(&mut self, manifest: Arc<Manifest>) {
        self.config.controls.clone_from(&manifest.config.controls);
        match &mut self.engine {
            Engine::Gpu(engine) => engine.set_controls(&manifest.config.controls),
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => {}
        }
        self.manifest = manifest;
    }

    /// The same on the processor, with the bytes of the slabs that the manifest has more.
    #[cfg(feature = "cpu")]
    pub fn join_on_cpu(&mut self, manifest: Arc<Manifest>, slabs: Vec<Vec<u8>>) -> Result<()> {
        let first = self.manifest.slabs.len();
        match &mut self.engine {
            #[cfg(feature = "gpu")]
            Engine::Gpu(_) => return Ok(()),
            Engine::Cpu(engine) => engine.join(&manifest, first, slabs)?,
        }
        self.config.controls.clone_from(&manifest.config.controls);
        self.manifest = manifest;
        Ok(())
    }

    /// Where the model's weights come from again as they are stored: what networks are merged into.
    pub fn set_stock(&mut self, stock: Box<dyn Stock>) {
        self.networks.stock = Some(stock);
    }

    /// Merges networks into the model in place of those that were before: every record that these or those change comes from
    /// the stock as it is stored, so that nothing adds up and without networks the model is what it was. Within a limit of
    /// memory they come when a run needs them, and those that count in some steps alone are merged in a run, when their turn
    /// comes. What breaks off is made good by the next call.
    pub async fn merge(&mut self, merged: Rc<Merged>, cancel: &Cancel) -> Result<()> {
        self.networks.set(&mut self.engine, &self.manifest, merged, cancel).await
    }

    /// What is merged into the model.
    pub fn merged(&self) -> &Rc<Merged> {
        self.networks.asked()
    }

    /// Of what is merged: records of five and four bits, what they take in a wider type, and whether there is room for that; None
    /// where nothing lies in so few.
    pub fn widened(&self) -> Option<Widened> {
        self.engine.widened(self.merged(), &self.manifest)
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
        mut dump: Option<&mut Dump>,
    ) -> Result<Output> {
        // 1. The request, held against the model.
        request.check(&self.config)?;
        self.check_network(request)?;
        let told = self.ask_prediction(cancel).await?;
        let conditioning = self.conditioning(request, request.taken(), None)?;
        let canvas = Canvas::new(request, &self.config)?;
        self.engine.restart_peak();

        // 2. to 5. Noise, or a picture with noise, becomes less and less of it; with hires fix once more from what was drawn, at a
        // larger size.
        let first = Pass::of(request, canvas.as_ref());
        let larger = request.hires.map(|hires| hires.second(request, &self.config));
        let second = request.hires.zip(larger.as_ref());
        let second = second.map(|(hires, larger)| (hires, first.then(larger, hires.taken(request))));
        let begin = Begin::of(request, &self.config, canvas.as_ref());
        let kept = dump.as_deref_mut();
        let (mut run, mut stats) = self.pass(first, begin, &conditioning, (on_event, cancel), kept).await?;
        if let Some((hires, pass)) = second {
            let begin = run.enlarged(&hires, pass.request, on_event).await?;
            let conditioning = self.conditioning(pass.request, pass.taken, Some(request.steps))?;
            (run, stats) = self.pass(pass, begin, &conditioning, (on_event, cancel), dump).await?;
        }

        // 6. Latents to pictures.
        on_event(Event::Stage(Stage::Decode));
        run.engine.pause().await;
        cancel.check()?;
        let (mut images, notice) = run.decode().await?;
        if let Some(canvas) = &canvas {
            images = images.into_iter().map(|image| canvas.finished(image)).collect::<Result<_>>()?;
        }
        let widened = run.engine.widened(run.networks.asked(), run.manifest);
        let stats = Stats {
            gpu_peak_bytes: run.engine.used().peak,
            widened_bytes: widened.filter(|widened| widened.has_room).map_or(0, |widened| widened.bytes),
            ..stats
        };
        let of_networks = widened.and_then(|widened| widened.notice());
        let of_mask = canvas.as_ref().and_then(Canvas::notice);
        let of_regions =
            regions::notice(&run.texts.shares, run.shape.copies - 1).filter(|_| !request.regions.is_empty());
        let notices = request
            .became()
            .into_iter()
            .chain(told)
            .chain(conditioning.notices)
            .chain(of_networks)
            .chain(of_mask)
            .chain(of_regions)
            .chain(notice)
            .collect();
        Ok(Output { images, stats, notices, embeddings: conditioning.used })
    }

    /// Refuses a network in hires fix that is not there.
    fn check_network(&self, request: &Request) -> Result<()> {
        match &request.hires_network {
            Some(name) if self.enlarger.as_ref().is_none_or(|enlarger| enlarger.name() != name) => {
                let message = format!("there is no network {name} to enlarge with");
                Err(Error::InvalidInput { field: "hires", message })
            }
            _ => Ok(()),
        }
    }

    /// What a pass reads of its prompts; in a second pass `before` are the steps of the first.
    fn conditioning(&self, request: &Request, taken: Taken, before: Option<usize>) -> Result<Conditioning> {
        let trajectory = request.trajectory_of(&self.config, taken)?;
        let steps = request.counted(&trajectory, before);
        Conditioning::new(&self.tokenizers, &self.config, request, steps)
    }

    /// One pass over the noise levels, up to its latents.
    async fn pass<'a>(
        &'a mut self,
        pass: Pass<'a>,
        begin: Begin<'_>,
        conditioning: &Conditioning,
        (on_event, cancel): (&mut dyn FnMut(Event), &'a Cancel),
        dump: Option<&'a mut Dump>,
    ) -> Result<(Run<'a>, Stats)> {
        // 2. Everything that runs of this shape need; kept from the last run where the shapes are the same.
        let mut trajectory = pass.request.trajectory_of(&self.config, pass.taken)?;
        let whole = pass.whole(&self.config)?;
        if let Some(whole) = &whole {
            trajectory.paths = whole.paths;
        }
        on_event(Event::Stage(if begin.encodes() { Stage::Encode } else { Stage::Text }));
        let shape = Shape {
            encodes: begin.encodes(),
            ..shape(&self.config, pass.request, conditioning, &trajectory)
        };
        let mut run = self.run((shape, 0), pass, cancel, dump).await?;

        // 3. Noise, and what it is mixed with: what the run begins from, encoded.
        let mut draws = match begin {
            Begin::Pictures(_) => Draws::of_pictures(pass.request, run.config),
            _ => Draws::of(pass.request, run.config),
        };
        if let Some(whole) = &whole {
            draws.generators = generators_at(run.config, pass.request, whole, pass.request.entered());
        }
        let begun = run.begun(begin, &draws, on_event).await?;

        // What steers it, read once.
        run.read_maps().await?;

        // 4. Text to embeddings, and to the keys and values of every cross attention.
        run.encode_text(conditioning).await?;
        if let Some(whole) = &whole {
            run.texts.taken = whole.evaluations_before(pass.request.entered());
        }
        run.engine.pause().await;

        // 5. Step by step less noise.
        on_event(Event::Stage(Stage::Denoise));
        let latents = match begun.entering {
            Some(latents) => latents,
            None => entering(&trajectory, 0, begun.clean.as_deref(), &mut draws, pass.request.batch),
        };
        let kept = pass.canvas.zip(begun.original.as_deref()).filter(|_| run.shape.masked);
        let kept = kept.map(|(canvas, original)| Kept { canvas, original, noise: &draws.noise });
        run.begin_steps(latents, begun.around, &trajectory).await?;
        let stats = run.denoise(&trajectory, (conditioning, kept), &mut draws.generators, on_event).await?;
        Ok((run, stats))
    }

    /// A run of a shape, everything prepared for it and for its step `at`.
    async fn run<'a>(
        &'a mut self,
        (shape, at): (Shape, usize),
        pass: Pass<'a>,
        cancel: &'a Cancel,
        dump: Option<&'a mut Dump>,
    ) -> Result<Run<'a>> {
        let Pipeline { engine, config, enlarger, networks, manifest, .. } = self;
        let step = pass.counted(at);
        networks.turns(step.1)?;
        networks.turn(engine, manifest, step, cancel).await?;
        engine.prepare(shape, cancel).await?;
        let enlarger = enlarger.as_ref();
        let (texts, maps) = (Turns::default(), Vec::new());
        Ok(Run { engine, config, enlarger, networks, manifest, shape, pass, texts, maps, cancel, dump })
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
        copies: conditioning.first().rows(0).len(),
        composed: conditioning.shares.is_some(),
        h,
        w,
        chunks: conditioning.chunks(),
        states: conditioning.states.len(),
        vectors: conditioning.vectors.len() / config.texts.first().map_or(1, |text| text.hidden_size).max(1),
        hides: conditioning.hides(),
        skipped: request.clip_skip.saturating_sub(1),
        ancestral: trajectory.draws_noise(),
        history: trajectory.history(),
        maps: false,
        previews: request.preview_every > 0,
        encodes: request.picture.is_some(),
        masked: request.picture.as_ref().is_some_and(|picture| picture.is_masked())
            && !config.is_inpainting(),
        controls: Controls::of(
            counting(&request.controls, request.entered(), trajectory.steps.len())
                .map(|control| control.model),
        ),
        circular: request.tiling.circular(),
        windows: request.windows,
    }
}

/// A pass over the noise levels: a run has one, with hires fix two.
#[derive(Clone, Copy)]
struct Pass<'a> {
    /// That of this pass.
    request: &'a Request,
    canvas: Option<&'a Canvas<'a>>,
    taken: Taken,
    /// Steps that passes before this one took, and those of all.
    before: usize,
    steps: usize,
    /// Before the names of what is kept of it.
    prefix: &'static str,
}

impl<'a> Pass<'a> {
    /// The first, or the only one.
    fn of(request: &'a Request, canvas: Option<&'a Canvas<'a>>) -> Pass<'a> {
        Pass { request, canvas, taken: request.taken(), before: 0, steps: request.all_steps(), prefix: "" }
    }

    /// The one after it.
    fn then(self, request: &'a Request, taken: Taken) -> Pass<'a> {
        Pass {
            request,
            canvas: None,
            taken,
            before: self.before + self.taken.count(),
            prefix: "hires.",
            ..self
        }
    }

    /// Of a run that is gone on with, the steps that it has from its beginning: there its generators were, and its place in the
    /// prompts.
    fn whole(&self, config: &ModelConfig) -> Result<Option<Trajectory>> {
        let all = Taken { first: 0, ..self.taken };
        let whole = (self.request.entered() > 0).then(|| self.request.trajectory_of(config, all));
        whole.transpose()
    }

    /// Step `i` of those taken and their number, for what begins and ends on the way: a run that is gone on with counts as the
    /// whole one does.
    fn counted(&self, i: usize) -> (usize, usize) {
        let before = self.request.entered();
        (before + i, before + self.taken.count())
    }

    /// Whether step `step` of those taken, counted from 1, reports a picture of the latents.
    fn previews(&self, step: usize) -> bool {
        let every = self.request.preview_every;
        every > 0 && (step == self.taken.count() || step.is_multiple_of(every))
    }
}

/// One pass under way.
struct Run<'a> {
    engine: &'a mut Engine,
    config: &'a ModelConfig,
    /// What enlarges in hires fix, where a network does.
    enlarger: Option<&'a Enlarger>,
    networks: &'a mut Networks,
    manifest: &'a Arc<Manifest>,
    shape: Shape,
    pass: Pass<'a>,
    texts: Turns,
    /// What steers windows, `[height, width, channels]` of each map.
    maps: Vec<Vec<f32>>,
    cancel: &'a Cancel,
    dump: Option<&'a mut Dump>,
}

impl Run<'_> {
    /// The pictures, and what the caller should know about them.
    async fn decode(&mut self) -> Result<(Vec<Rgba>, Option<String>)> {
        let Request { batch, width, height, .. } = *self.pass.request;
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
        self.pass.request.latents_shape(self.config)
    }

    fn write_latents(&mut self, outside: Outside, values: &[f32]) -> Result<()> {
        let [n, c, h, w] = self.latents_shape();
        self.engine.write(outside, &nchw_to_nhwc(values, n, c, h * w, c))
    }

    fn keep(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        if let Some(dump) = &mut self.dump {
            dump.insert(format!("{}{name}", self.pass.prefix), shape, values);
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
            1 => prediction,
            _ => guided(&prediction, one, self.pass.request.scale(), &self.texts.shares),
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
