//! What the caller asks for, checked before any work begins, and what it gets back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{MadeOf, Parameters, Rgba, TEMPLATES};
use crate::prompt::{self, Component, Dialect, Embedding, Embeddings, Emphasis, Reading, Steps, Wildcards};
use crate::sample::{
    self, KarrasOf, NoiseSource, SamplerKind, SamplerOptions, ScheduleKind, Told, Trajectory, Variation,
};

use super::control::{self, Control};
use super::hires::Hires;
use super::latents::{self, Entry, Latents};
use super::limits::{
    MAX_BATCH, MAX_CLIP_SKIP, MAX_EMBEDDINGS, MAX_GUIDANCE, SIZE_RANGE, SIZE_STEP, STEPS_RANGE,
};
use super::picture::{Picture, Taken};
use super::regions::{self, Region};
use super::tiling::{TILING, Tiling};
use super::windows::{self, Windows};

/// Whose way the prompt was read, in a picture's metadata; A1111 knows its own alone and has no word for it.
pub(super) const DIALECT: &str = "Prompt dialect";

/// A1111's word for what brackets did.
pub(super) const EMPHASIS: &str = "Emphasis";
/// A1111's word for which layer of the text encoder was read.
pub(super) const CLIP_SKIP: &str = "Clip skip";
/// A1111's word for embeddings that were used, with the hashes of their files.
pub(super) const EMBEDDINGS: &str = "TI hashes";

/// How much of a run was taken from a picture, in A1111's word.
pub(super) const STRENGTH: &str = "Denoising strength";
/// The name of the field that says how far guided predictions were brought back.
pub(super) const RESCALE: &str = "CFG rescale";

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Request {
    pub prompt: String,
    /// Used when guided; empty is the usual.
    pub negative_prompt: String,
    /// Whose way the prompts are read.
    pub dialect: Dialect,
    /// What the prompt and the negative prompt were made of, where that was a template ([`Request::expanded`]).
    pub templates: [Option<String>; 2],
    /// What brackets do in A1111's.
    pub emphasis: Emphasis,
    /// Which layer of the text encoder the prompts are read from, as A1111 counts: 1 is the last that the model has, 2 the one before
    /// (diffusers' `clip_skip` of 1); the final norm follows in any case.
    pub clip_skip: usize,
    /// Words of one's own that the prompts may use.
    pub embeddings: Vec<Arc<Embedding>>,
    pub steps: usize,
    /// Classifier-free guidance scale; up to 1 the negative prompt has no effect and half the work is saved. A model that
    /// follows a scale by itself (LCM) knows no negative prompt.
    pub guidance: f64,
    /// How far guided predictions are brought back to the spread of the prompt's own, 0 to 1; the model's own if left out.
    pub guidance_rescale: Option<f64>,
    /// Picture `i` of a batch has seed `seed + i`; with a variation all have this one.
    pub seed: u64,
    /// Noise part of the way to another seed's.
    pub variation: Option<Variation>,
    pub rng: NoiseSource,
    pub sampler: SamplerKind,
    pub schedule: ScheduleKind,
    /// What sampler and schedule are told beside.
    pub sampling: SamplerOptions,
    /// Pixels, a multiple of 8.
    pub width: usize,
    pub height: usize,
    pub batch: usize,
    /// Along which axes it is a tile without seams.
    pub tiling: Tiling,
    /// The denoiser sees windows of it, one after the other, whose answers are averaged where they overlap.
    pub windows: Option<Windows>,
    /// Unit noise `[batch, C, height / f, width / f]` to start from instead of the seed's.
    pub noise: Option<Vec<f32>>,
    /// Latents that the run begins from instead of noise.
    pub latents: Option<Latents>,
    /// Every how many steps one reports a picture of the latents, the last always; 0: none does.
    pub preview_every: usize,
    /// A stop on the way to another prompt or seed.
    pub walk: Option<Walk>,
    /// What the run begins from instead of pure noise.
    pub picture: Option<Picture>,
    /// Where each prompt of several counts; one without a region counts everywhere.
    pub regions: Vec<Region>,
    /// Maps that steer it.
    pub controls: Vec<Control>,
    /// Once it is drawn, it is enlarged and drawn on.
    pub hires: Option<Hires>,
    /// The name of the network that enlarges in between, in the place of what `hires` says: the one of
    /// [`Pipeline::set_enlarger`](super::Pipeline::set_enlarger).
    pub hires_network: Option<String>,
}

/// A point between what a request asks for and something else.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// Its embeddings and the request's prompt's are mixed, token by token.
    pub prompt: Option<String>,
    /// Its noise and the request's seed's are mixed.
    pub seed: Option<u64>,
    /// 0 is the request itself, 1 the other end; between them lies an arc (spherical interpolation).
    pub share: f64,
}

impl Request {
    /// Whether the model runs twice per step, without and with the prompt.
    pub fn guided(&self, config: &ModelConfig) -> bool {
        let weighed = || self.is_composed(&self.components_of(&self.prompt));
        config.denoiser.guidance_channels().is_none() && (self.guidance > 1.0 || weighed())
    }

    /// Whether prompts are summed up, other than one prompt by 1 everywhere.
    pub(super) fn is_composed(&self, components: &[Component]) -> bool {
        !self.regions.is_empty() || !matches!(components, [one] if one.weight == 1.0)
    }

    /// The guidance scale by which predictions with and without prompts are put together: where regions average the former, at
    /// least their average.
    pub(super) fn scale(&self) -> f64 {
        if self.regions.is_empty() { self.guidance } else { self.guidance.max(1.0) }
    }

    /// Whether one prompt is read throughout, and in full.
    pub fn is_plain(&self) -> bool {
        let changes =
            |text: &String| self.dialect == Dialect::A1111 && prompt::changes(&self.without_comments(text));
        !self.is_composed(&self.components_of(&self.prompt))
            && ![&self.prompt, &self.negative_prompt].into_iter().any(changes)
    }

    /// The request with prompts that its seed makes of what it has as templates; these are kept beside them.
    pub fn expanded(self, wildcards: &Wildcards) -> Result<Request> {
        let [prompt, negative_prompt] =
            prompt::expand([&self.prompt, &self.negative_prompt], wildcards, self.seed)?;
        let template = |template: String, made: &str| (template != made).then_some(template);
        let templates = [template(self.prompt, &prompt), template(self.negative_prompt, &negative_prompt)];
        Ok(Request { prompt, negative_prompt, templates, ..self })
    }

    /// What became of its template, in a sentence.
    pub(super) fn became(&self) -> Option<String> {
        const LONGEST: usize = 300;
        self.templates[0].as_ref()?;
        let prompt: String = self.prompt.chars().take(LONGEST).collect();
        let more = if prompt.len() < self.prompt.len() { "…" } else { "" };
        Some(format!("The prompt became “{prompt}{more}”."))
    }

    /// Takes words that a LoRA's file brings, where none of its own is called so.
    pub fn take_words(&mut self, words: Vec<Embedding>) {
        for word in words {
            if self.embeddings.iter().all(|known| known.name != word.name) {
                self.embeddings.push(Arc::new(word));
            }
        }
    }

    /// How its prompts are read.
    pub fn reading(&self) -> Reading {
        Reading {
            dialect: self.dialect,
            emphasis: self.emphasis,
            embeddings: Embeddings::new(&self.embeddings),
        }
    }

    /// What is read of a prompt that may have comments, as A1111's have.
    pub(super) fn without_comments(&self, prompt: &str) -> String {
        match self.dialect {
            Dialect::A1111 => prompt::without_comments(prompt),
            Dialect::ComfyUi | Dialect::Diffusers | Dialect::Compel => prompt.to_string(),
        }
    }

    /// The prompts of which a prompt consists.
    pub(super) fn components_of(&self, prompt: &str) -> Vec<Component> {
        match self.dialect {
            Dialect::A1111 => prompt::components(&self.without_comments(prompt)),
            Dialect::ComfyUi | Dialect::Diffusers | Dialect::Compel => {
                vec![Component { text: prompt.to_string(), weight: 1.0 }]
            }
        }
    }

    /// How far guided predictions are brought back to the spread of the prompt's own; `None` where there is nothing to do.
    pub fn rescale(&self, config: &ModelConfig) -> Option<f64> {
        let by = self.guidance_rescale.unwrap_or(config.guidance_rescale());
        (self.guided(config) && by > 0.0).then_some(by)
    }

    /// Which steps are taken.
    pub fn taken(&self) -> Taken {
        match (&self.picture, &self.latents) {
            (Some(picture), _) => picture.taken(self.steps),
            (None, Some(latents)) => latents.entry.taken(self.steps),
            (None, None) => Taken { total: self.steps, first: 0 },
        }
    }

    /// The step at which latents enter a run that is gone on with; it counts as the whole run does. 0 in any other.
    pub fn entered(&self) -> usize {
        match self.latents {
            Some(Latents { entry: Entry::Step(step), .. }) => step,
            _ => 0,
        }
    }

    /// How a pass of so many evaluations a step counts them, where a prompt changes: as A1111, by all steps asked for, whatever
    /// is taken of them. In a second pass those before it are the first's.
    pub(super) fn counted(&self, trajectory: &Trajectory, before: Option<usize>) -> Steps {
        let most = trajectory.steps.iter().map(|step| step.evaluations.len()).max().unwrap_or(1);
        Steps { all: self.steps * most, before: before.map(|steps| steps * most) }
    }

    /// How many steps are told of, those of hires fix too.
    pub fn all_steps(&self) -> usize {
        self.taken().count() + self.hires.map_or(0, |hires| hires.taken(self).count())
    }

    /// Those steps as numbers.
    pub fn trajectory(&self, config: &ModelConfig) -> Result<Trajectory> {
        self.trajectory_of(config, self.taken())
    }

    /// The steps of a pass as numbers.
    pub(super) fn trajectory_of(&self, config: &ModelConfig, taken: Taken) -> Result<Trajectory> {
        let Taken { total, first } = taken;
        let karras = match self.dialect {
            Dialect::A1111 | Dialect::ComfyUi => KarrasOf::KDiffusion,
            Dialect::Diffusers | Dialect::Compel => KarrasOf::Diffusers,
        };
        let told = Told { schedule: self.schedule, options: &self.sampling, karras };
        sample::late_trajectory(&config.scheduler, self.sampler, told, total, first)
    }

    /// Refuses settings the model or the engine cannot honour.
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        let invalid = |field, message| Err(Error::InvalidInput { field, message });
        let (min_steps, max_steps) =
            (*STEPS_RANGE.start(), config.scheduler.num_train_timesteps.min(*STEPS_RANGE.end()));
        if !(min_steps..=max_steps).contains(&self.steps) {
            let message = format!("{} steps asked for, expected {min_steps} to {max_steps}", self.steps);
            return invalid("steps", message);
        }
        if let Some(picture) = &self.picture {
            picture.check(self.steps, max_steps, config)?;
            if self.tiling != Tiling::None && picture.only_masked.is_some() {
                let message = "opposite borders of a picture meet where it is drawn whole; leave out that only the masked part \
                               is, or the tiling";
                return invalid("tiling", message.to_string());
            }
        }
        control::check(&self.controls, config)?;
        let [_, _, h, w] = self.latents_shape(config);
        regions::check(&self.regions, &self.components_of(&self.prompt), [w, h], config)?;
        if self.embeddings.len() > MAX_EMBEDDINGS {
            let message = format!("{} given, at most {MAX_EMBEDDINGS} are taken", self.embeddings.len());
            return invalid("embeddings", message);
        }
        self.check_clip_skip(config)?;
        self.sampling.check(self.sampler, self.schedule)?;
        if !(0.0..=MAX_GUIDANCE).contains(&self.guidance) {
            return invalid("guidance", format!("{} asked for, expected 0 to {MAX_GUIDANCE}", self.guidance));
        }
        if let Some(by) = self.guidance_rescale.filter(|by| !(0.0..=1.0).contains(by)) {
            return invalid("guidance_rescale", format!("{by} asked for, expected 0 to 1"));
        }
        if config.is_inpainting() && self.picture.as_ref().is_none_or(|picture| !picture.is_masked()) {
            return Err(Error::Unsupported {
                what: format!("{}, a model for inpainting", config.name),
                message: "it paints into a part of a picture; give it a picture and a mask, or choose a model that draws \
                          from words alone"
                    .to_string(),
            });
        }
        if self.batch == 0 || self.batch > MAX_BATCH {
            return invalid("batch", format!("{} pictures asked for, expected 1 to {MAX_BATCH}", self.batch));
        }
        if let Some(Variation { strength, .. }) = self.variation {
            if !(0.0..=1.0).contains(&strength) {
                return invalid("variation_strength", format!("{strength} asked for, expected 0 to 1"));
            }
            if self.noise.is_some() {
                let message = "a variation starts from the seed's noise, not from given noise".to_string();
                return invalid("variation_strength", message);
            }
        }
        let step = SIZE_STEP.max(config.vae.scale());
        for (field, size) in [("width", self.width), ("height", self.height)] {
            if !SIZE_RANGE.contains(&size) || size % step != 0 {
                let (low, high) = (SIZE_RANGE.start(), SIZE_RANGE.end());
                let message =
                    format!("{size} pixels asked for, expected a multiple of {step} from {low} to {high}");
                return invalid(field, message);
            }
        }
        self.latents.iter().try_for_each(|latents| latents.check(self, config, max_steps))?;
        self.hires.iter().try_for_each(|hires| hires.check(self, config, max_steps))?;
        self.windows.iter().try_for_each(|windows| windows.check(config))?;
        if let Some(noise) = &self.noise {
            let expected = self.latents_len(config);
            if noise.len() != expected {
                let [n, c, h, w] = self.latents_shape(config);
                let message = format!("{} values given, expected {n}×{c}×{h}×{w} = {expected}", noise.len());
                return invalid("noise", message);
            }
            check_numbers("noise", noise)?;
        }
        if let Some(Walk { share, seed, .. }) = self.walk {
            if !(0.0..=1.0).contains(&share) {
                return invalid("walk", format!("a share of {share} asked for, expected 0 to 1"));
            }
            let other = match (&self.noise, self.variation) {
                (Some(_), _) => Some("given noise"),
                (None, Some(_)) => Some("a variation"),
                (None, None) => None,
            };
            if let (Some(other), Some(_)) = (other, seed) {
                return invalid("walk", format!("a walk between seeds starts from theirs, not from {other}"));
            }
        }
        Ok(())
    }

    fn check_clip_skip(&self, config: &ModelConfig) -> Result<()> {
        let layers = config.texts.iter().map(|text| text.num_hidden_layers).min();
        let most = layers.map_or(MAX_CLIP_SKIP, |layers| layers.min(MAX_CLIP_SKIP));
        if (1..=most).contains(&self.clip_skip) {
            return Ok(());
        }
        let message = format!("{} asked for, this model takes 1 to {most}; 1 is as usual", self.clip_skip);
        Err(Error::InvalidInput { field: "clip_skip", message })
    }

    /// The seed of picture `index`: where a variation counts up, the seed it departs from stays, as in A1111.
    pub fn seed_of(&self, index: usize) -> u64 {
        let step = if self.variation.is_some() { 0 } else { index as u64 };
        self.seed.wrapping_add(step)
    }

    /// `[batch, channels, h, w]` of the latents.
    pub fn latents_shape(&self, config: &ModelConfig) -> [usize; 4] {
        let scale = config.vae.scale();
        [self.batch, config.vae.latent_channels(), self.height / scale, self.width / scale]
    }

    /// Number of latent values of the whole batch.
    pub fn latents_len(&self, config: &ModelConfig) -> usize {
        self.latents_shape(config).iter().product()
    }

    /// What its pictures are made of.
    pub fn made_of(&self) -> MadeOf {
        // What latents came from nobody knows: it may have been a picture.
        if self.picture.is_some() || self.latents.is_some() { MadeOf::Picture } else { MadeOf::Words }
    }

    /// The settings as A1111 writes them into a picture's metadata; `controls` are the names of the model's ControlNets.
    pub fn parameters(&self, model: &str, controls: &[&str], index: usize) -> Parameters {
        let field = |key: &str, value: String| (key.to_string(), value);
        let mut fields = vec![
            field("Steps", self.steps.to_string()),
            field("Sampler", self.sampler.a1111_name().to_string()),
            field("CFG scale", self.guidance.to_string()),
            field("Seed", self.seed_of(index).to_string()),
            field("Size", format!("{}x{}", self.width, self.height)),
            field("Model", model.to_string()),
        ];
        if let Some(by) = self.guidance_rescale {
            fields.push(field(RESCALE, by.to_string()));
        }
        if let Some(Variation { seed, strength }) = self.variation {
            fields.push(field("Variation seed", seed.wrapping_add(index as u64).to_string()));
            fields.push(field("Variation seed strength", strength.to_string()));
        }
        if let Some(picture) = &self.picture {
            fields.push(field(STRENGTH, picture.strength.to_string()));
            fields.extend(picture.fields().into_iter().map(|(key, value)| field(key, value)));
        }
        match self.latents.as_ref().map(|latents| latents.entry) {
            Some(Entry::Clean { strength, .. }) => fields.push(field(STRENGTH, strength.to_string())),
            Some(Entry::Step(step)) => fields.push(field(latents::FIELD, step.to_string())),
            None => {}
        }
        if let Some(hires) = &self.hires {
            fields.push(field(STRENGTH, hires.strength.to_string()));
            fields.extend(
                hires.fields(self.hires_network.as_deref()).into_iter().map(|(key, value)| field(key, value)),
            );
        }
        if !self.regions.is_empty() {
            let all: Vec<String> = self.regions.iter().map(Region::to_string).collect();
            fields.push(field(regions::FIELD, all.join(regions::BETWEEN)));
        }
        for (number, control) in self.controls.iter().enumerate() {
            let name = controls.get(control.model).copied().unwrap_or_default();
            fields.push((format!("{} {number}", control::FIELD), control.field(name)));
        }
        fields.extend(self.tiling.a1111_value().map(|value| field(TILING, value.to_string())));
        fields.extend(self.windows.map(|windows| field(windows::FIELD, windows.to_string())));
        fields.push(field("RNG", self.rng.a1111_name().to_string()));
        if self.dialect != Dialect::default() {
            fields.push(field(DIALECT, self.dialect.to_string()));
        }
        if self.dialect == Dialect::A1111 && self.emphasis != Emphasis::default() {
            fields.push(field(EMPHASIS, self.emphasis.a1111_name().to_string()));
        }
        if self.clip_skip != 1 {
            fields.push(field(CLIP_SKIP, self.clip_skip.to_string()));
        }
        fields.extend(self.sampling.a1111_fields().into_iter().map(|(key, value)| field(key, value)));
        for (key, template) in TEMPLATES.into_iter().zip(&self.templates) {
            fields.extend(template.as_ref().map(|template| field(key, template.clone())));
        }
        if let Some(schedule) = self.schedule.a1111_name() {
            fields.insert(2, field("Schedule type", schedule.to_string()));
        }
        Parameters { prompt: self.prompt.clone(), negative_prompt: self.negative_prompt.clone(), fields }
    }
}

/// Refuses values among which there are infinite ones, or some that are no numbers: they would become a picture of
/// nothing.
pub fn check_numbers(field: &'static str, values: &[f32]) -> Result<()> {
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let message = format!("value {} of {} is {}, expected finite numbers", at + 1, values.len(), values[at]);
    Err(Error::InvalidInput { field, message })
}

/// What a run reports while it works.
#[derive(Debug)]
pub enum Event {
    Stage(Stage),
    /// `step` of `steps` is done; the preview is as large as the latents, or as the picture where the model brings a
    /// tiny autoencoder for previews.
    Step {
        step: usize,
        steps: usize,
        preview: Option<Rgba>,
    },
}

/// The parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Only where a run begins from a picture.
    Encode,
    Text,
    Denoise,
    Decode,
}

/// A switch that stops a run.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the run to stop at the next opportunity.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// [`Error::Aborted`] once cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Aborted) } else { Ok(()) }
    }
}

/// What a run made.
#[derive(Debug)]
pub struct Output {
    pub images: Vec<Rgba>,
    pub stats: Stats,
    /// What the person should know about how the request was taken.
    pub notices: Vec<String>,
    /// Embeddings that the prompts used, by name and hash.
    pub embeddings: Vec<(String, String)>,
}

impl Output {
    /// Adds to a picture's settings what only the run has found out.
    pub fn tell(&self, parameters: &mut Parameters) {
        if !self.embeddings.is_empty() {
            let plain = |name: &str| name.replace([':', ','], "");
            let hashes = self.embeddings.iter().map(|(name, hash)| format!("{}: {hash}", plain(name)));
            parameters.fields.push((EMBEDDINGS.to_string(), hashes.collect::<Vec<_>>().join(", ")));
        }
    }
}

/// What a run cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Of a step with the most evaluations of the denoiser; a sampler's last may have fewer.
    pub dispatches_per_step: usize,
    /// In the steady state, that is after the first step; 0 is the aim.
    pub new_buffers_per_step: f64,
    pub new_bind_groups_per_step: f64,
    /// Device memory in use at the end of the run.
    pub gpu_bytes: u64,
    /// The most that was in use at once during the run, weights included.
    pub gpu_peak_bytes: u64,
    /// Of it, records of five and four bits in eight, in which LoRAs are merged into them.
    pub widened_bytes: u64,
}

/// Intermediate values by name: shape and f32 values, pictures and latents as `[N, C, H, W]`.
///
/// `tokens`, `text_embeddings` ([uncond, cond] when guided), `latents.i` (entering step i of those taken; the last is the
/// result), `noise_pred.i` (after guidance), `image`. Where a step has several evaluations, `latents.i.e` and `noise_pred.i.e`
/// are those of the ones after its first. From a picture or clean latents also `init_latents` (encoded and scaled), with a mask `mask` and, where
/// the UNet reads it, `masked_image_latents`; of each map that steers it `control.i`, `[1, 3, H, W]` in [0, 1]; of
/// regions `shares`, by what each prompt counts in each cell, `[prompts, 1, h, w]`. Of a second pass (hires fix) all of these again with `hires.` before them, and as
/// `hires.init_latents` the enlarged ones.
#[derive(Debug, Default)]
pub struct Dump(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Dump {
    /// Adds a value.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        self.0.insert(name.into(), (shape.to_vec(), values));
    }
}
