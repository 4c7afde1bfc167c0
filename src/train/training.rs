//! A training from its pictures to what is learnt.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::buckets;
use super::engine::State;
use super::file::{Checkpoint, Origin, embedding, lora};
use super::learner::{Asked, Learner, Noised, Takes, Text};
use super::lesson::{Draw, Example, Lesson};
use super::recipe::{REPEATS_RANGE, Recipe, within};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Filter, Placement, Resize, Rgba, same_shape};
use crate::pipeline::{Cancel, Pipeline, Request};
use crate::plan::train::Learnt;
use crate::prompt::{Embedding, OWN};
use crate::sample::NoiseSource;

/// A training has gone wrong whose loss, smoothed, is so many times that of a denoiser which says nothing at all, and so many times
/// that of its first step.
const LOST: [f64; 2] = [1.2, 1.5];
/// From so many times on it may be going wrong, and nothing is put by over what was well.
const DOUBTFUL: [f64; 2] = [0.9, 1.25];
/// How much of a step the smooth loss takes.
const SHARE: f64 = 0.2;

/// A picture and the words that say what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub image: Rgba,
    pub caption: String,
    /// What of it counts: white does, black and what is transparent does not (kohya's masked loss); of the picture's shape. `None`:
    /// all of it.
    pub mask: Option<Rgba>,
    /// How often it comes in a round of all pictures, as kohya's repeats: 1 or more.
    pub repeats: usize,
}

/// What a step was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Counted from 1.
    pub step: usize,
    pub steps: usize,
    /// Mean squares of the error over pictures of what is learnt and, where there are some, of its class.
    pub loss: f64,
    pub prior_loss: Option<f64>,
    /// The length of all gradients before they are cut; without end where one was too large for f16, and the step was left out.
    pub gradient: f64,
    /// The learning rate of the UNet, or of vectors.
    pub rate: f64,
}

/// What a training learnt until some step.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub step: usize,
    /// As other programs read it: [`Training::file`].
    pub file: Vec<u8>,
    /// What is needed to go on: a [`Checkpoint`].
    pub checkpoint: Vec<u8>,
}

/// What a training tells on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Step(Step),
    /// What was learnt until now, to be put by in the place of what was told before.
    Kept(Kept),
}

/// A training under way.
pub struct Training {
    recipe: Recipe,
    /// What its recipe's rank was before memory ended, if that happened.
    asked_rank: usize,
    config: ModelConfig,
    learner: Learner,
    lesson: Lesson,
    /// By caption; the last is the empty one.
    texts: Vec<Words>,
    origin: Origin,
    /// By what a checkpoint knows this training.
    id: String,
    done: usize,
    /// Steps whose learning was put by.
    put_by: usize,
    course: Course,
}

/// How the loss went: that of the first step, the smooth one, and how large, squared, what should be said is.
#[derive(Default)]
struct Course(Option<[f64; 3]>);

impl Course {
    /// Whether a step's loss, among those before, says that nothing good comes any more; a denoiser that says nothing at all has the
    /// loss `silent`.
    fn is_lost(&mut self, loss: f64, silent: f64) -> bool {
        let [_, smooth, mean] = self.0.get_or_insert([loss, loss, silent]);
        *smooth += SHARE * (loss - *smooth);
        *mean += SHARE * (silent - *mean);
        self.is_beyond(LOST)
    }

    /// Whether nothing hints at that yet.
    fn is_well(&self) -> bool {
        !self.is_beyond(DOUBTFUL)
    }

    /// Whether the smooth loss is more than so many times that of saying nothing, and than so many times the first.
    fn is_beyond(&self, times: [f64; 2]) -> bool {
        self.0.is_some_and(|[first, smooth, mean]| {
            smooth.is_nan() || (smooth > times[0] * mean && smooth > times[1] * first)
        })
    }
}

impl Draw {
    /// As a learner takes it, under its caption or the last of these texts, the empty one.
    fn noised<'a>(&'a self, texts: &'a [Words]) -> Noised<'a> {
        Noised {
            size: self.size,
            sample: &self.sample,
            timestep: self.timestep as f64,
            text: texts[self.caption.unwrap_or(texts.len() - 1)].text(),
            target: &self.target,
            mask: self.mask.as_deref(),
        }
    }
}

enum Words {
    Tokens(Vec<u32>),
    States(Vec<f32>),
}

impl Words {
    fn text(&self) -> Text<'_> {
        match self {
            Words::Tokens(ids) => Text::Tokens(ids),
            Words::States(states) => Text::Embeddings(states),
        }
    }
}

impl Training {
    /// Makes a model ready to learn from pictures of a thing and of its class, cut to squares or whatever shape `size`
    /// (width, height in pixels) has, or each to the one most like its own where the recipe has buckets: encodes them and their captions. `told` is how many are done, of all. Of `origin` what is
    /// not known here is taken. It learns where the model is; on a device the pipeline has to outlive it.
    pub async fn begin(
        pipeline: &mut Pipeline,
        recipe: Recipe,
        (own, class): (&[Picture], &[Picture]),
        origin: Origin,
        told: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Training> {
        recipe.check()?;
        pipeline.learns_on().map(drop)?; // before anything is computed
        if own.is_empty() {
            let message = "there is nothing to learn from; three to twenty pictures are best".to_string();
            return Err(Error::InvalidInput { field: "images", message });
        }
        let config = pipeline.config().clone();
        buckets::check(&config, origin.size)?;
        let read = Read::of(pipeline, &recipe, (own, class), origin.size, told, cancel).await?;
        let word = match recipe.vectors {
            0 => None,
            count => Some(Arc::new(begin_word(pipeline, &origin.name, &recipe.initial, count).await?)),
        };
        let texts = words(pipeline, &recipe, (own, &read.captions), (&origin.name, word.as_ref())).await?;
        let sizes = read.sizes();
        let layers = |layer: &str| recipe.learns(layer);
        let asked = Asked {
            sizes: &sizes,
            tokens: config.chunk_tokens(),
            encodes: recipe.text_encoder,
            rank: recipe.rank,
            alpha: recipe.alpha,
            memory: recipe.memory,
            pictures: recipe.batch + if class.is_empty() { 0 } else { recipe.class_batch },
            vectors: recipe.vectors,
            layers: &layers,
        };
        let mut learner = Learner::new(&config, pipeline.learns_on()?, &asked).await?;
        let (asked_rank, rank) = (recipe.rank, learner.rank());
        let recipe = Recipe { rank, alpha: recipe.alpha * rank as f64 / asked_rank as f64, ..recipe.clone() };
        learner.optimizer.weight_decay = recipe.weight_decay;
        begin_tensors(&mut learner, recipe.seed, word.as_deref())?;
        let shapes = if recipe.buckets { read.shapes(config.vae.scale()) } else { Vec::new() };
        let count = |caption: &String| own.iter().filter(|picture| picture.caption == *caption).count();
        let captions = read.captions.iter().map(|caption| (caption.clone(), count(caption)));
        let mut digest = read.digest;
        digest.update(config.name.as_bytes());
        digest.update(origin.size.map(|side| (side as u64).to_le_bytes()).concat());
        let lesson = Lesson::new(&config, read.examples)?;
        let origin = Origin {
            model: config.name.clone(),
            pictures: [own.iter().map(|picture| picture.repeats).sum(), class.len()],
            captions: captions.filter(|(_, count)| *count > 0).collect(),
            shapes,
            ..origin
        };
        let id = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Training {
            recipe,
            asked_rank,
            config,
            learner,
            lesson,
            texts,
            origin,
            id,
            done: 0,
            put_by: 0,
            course: Course::default(),
        })
    }

    /// Steps so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// What it was asked for, with a smaller rank and its share of alpha where memory ended.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The rank that was asked for.
    pub fn asked_rank(&self) -> usize {
        self.asked_rank
    }

    /// What memory it takes.
    pub fn takes(&self) -> Takes {
        self.learner.takes()
    }

    /// Widths and heights in pixels, and how many pictures of what is learnt are cut to each; none where all are cut to one.
    pub fn shapes(&self) -> &[([usize; 2], usize)] {
        &self.origin.shapes
    }

    /// Numbers that are learnt.
    pub fn values(&self) -> usize {
        self.learner.learnt().lengths().sum()
    }

    /// Takes all steps that are left, with a `pause` before each, tells of them, and gives what is learnt. It tells that too, every
    /// `save_every` steps (0: never), as soon as the loss of a step that begins with it is well; and where it stops early, unless it was
    /// going wrong by then: what was told before is the last that is good.
    pub async fn learn(
        &mut self,
        save_every: usize,
        pause: impl AsyncFn(),
        told: &mut dyn FnMut(Told) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<Kept> {
        match self.steps(save_every, pause, told, cancel).await {
            Ok(()) => self.kept().await,
            Err(error) => {
                // A device that was lost has nothing to tell: why it stopped says more.
                if self.course.is_well()
                    && let Ok(kept) = self.kept().await
                {
                    told(Told::Kept(kept))?;
                }
                Err(error)
            }
        }
    }

    async fn steps(
        &mut self,
        save_every: usize,
        pause: impl AsyncFn(),
        told: &mut dyn FnMut(Told) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<()> {
        while self.done < self.recipe.steps {
            pause().await;
            cancel.check()?;
            let is_due = save_every > 0 && self.done >= self.put_by + save_every;
            let kept = if is_due && self.course.is_well() { Some(self.kept().await?) } else { None };
            let step = self.step(cancel).await?;
            if let Some(kept) = kept
                && self.course.is_well()
            {
                self.put_by = kept.step;
                told(Told::Kept(kept))?;
            }
            told(Told::Step(step))?;
        }
        Ok(())
    }

    async fn kept(&self) -> Result<Kept> {
        let checkpoint = self.checkpoint().await?.to_bytes()?;
        Ok(Kept { step: self.done, file: self.file().await?, checkpoint })
    }

    /// Takes a step. A cancelled one leaves everything as it was before it; one at which the training is lost is an error, and so is one
    /// with values that are no numbers: what was learnt before it can still be written.
    pub async fn step(&mut self, cancel: &Cancel) -> Result<Step> {
        let draws = self.lesson.draw(&self.recipe, self.done)?;
        let (mut losses, mut counts) = ([0f64; 2], [0usize; 2]);
        let found = self.learn_from(&draws, cancel).await;
        if found.is_err() {
            self.learner.forget().await;
        }
        for (draw, loss) in draws.iter().zip(found?) {
            losses[usize::from(!draw.own)] += loss;
            counts[usize::from(!draw.own)] += 1;
        }
        let mean = |which: usize| losses[which] / counts[which].max(1) as f64;
        let loss = mean(0);
        if self.course.is_lost(loss, silence(draws.iter().filter(|draw| draw.own))) {
            self.learner.forget().await;
            return Err(Error::InvalidInput {
                field: "learningRate",
                message: format!(
                    "the loss rose to {loss:.3} in step {}, more than if the model said nothing; {}; try a smaller learning rate \
                     than {}",
                    self.done + 1,
                    match self.put_by {
                        0 => "nothing was kept yet".to_string(),
                        step => format!("what it had learnt after step {step} is kept"),
                    },
                    self.recipe.learning_rate
                ),
            });
        }
        let rate = |layer: &str| self.recipe.rate(layer, self.done);
        let gradient = self.learner.step(rate, self.recipe.max_gradient).await?;
        let rate = rate(if self.recipe.vectors > 0 { Learnt::TABLE } else { "unet" });
        self.done += 1;
        let prior_loss = (counts[1] > 0).then(|| mean(1));
        Ok(Step { step: self.done, steps: self.recipe.steps, loss, prior_loss, gradient, rate })
    }

    /// The losses of a step's pictures, whose gradients are added up.
    async fn learn_from(&mut self, draws: &[Draw], cancel: &Cancel) -> Result<Vec<f64>> {
        let pictures: Vec<_> = draws.iter().map(|draw| (draw.noised(&self.texts), draw.share)).collect();
        self.learner.learn(&pictures, &|| cancel.is_cancelled()).await
    }

    /// What the denoiser says of latents `[c, h, w]`, of one of the sizes that are learnt from, at a time under one of the captions, with
    /// what it has learnt; to look at.
    pub async fn predict(
        &mut self,
        (sample, size): (&[f32], [usize; 2]),
        timestep: f64,
        caption: &str,
    ) -> Result<Vec<f32>> {
        let known = self.origin.captions.iter().position(|(known, _)| known == caption);
        let unknown =
            || Error::InvalidInput { field: "caption", message: format!("nothing is called {caption:?}") };
        let text = self.texts[known.ok_or_else(unknown)?].text();
        self.learner.predict(&Noised { size, sample, timestep, text, target: sample, mask: None }).await
    }

    /// What it has learnt as it is now, as other programs read it: a LoRA, or an embedding where it is vectors.
    pub async fn file(&self) -> Result<Vec<u8>> {
        let origin = Origin { steps: self.done, ..self.origin.clone() };
        match self.recipe.vectors {
            0 => lora(&self.learner, &self.recipe, &self.config, &origin).await,
            _ => embedding(&self.learner, &self.config, &origin).await,
        }
    }

    /// What is needed to go on another day.
    pub async fn checkpoint(&self) -> Result<Checkpoint> {
        Checkpoint::of(&self.learner, self.done, (&self.recipe, self.asked_rank), &self.id).await
    }

    /// Goes on where a checkpoint was taken, if it is this training's: of the same pictures, words and settings
    /// ([`Checkpoint::recipe_for`]). More steps may be asked for than then.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Recipe { steps, memory, .. } = self.recipe;
        let same = Recipe { steps, memory, ..checkpoint.recipe.clone() };
        let (rank, fits) = (checkpoint.recipe.rank, self.recipe.rank);
        if checkpoint.lesson == self.id && fits < rank && rank == self.asked_rank {
            let message = format!(
                "there is less memory than when this training was put by: it learns at rank {rank}, {fits} fits now; close what else is open"
            );
            return Err(Error::OutOfMemory { message });
        }
        if checkpoint.lesson != self.id || same != self.recipe {
            let message = "it is of a training from other pictures, captions or settings; begin anew, or choose another file";
            return Err(Error::InvalidInput { field: "checkpoint", message: message.to_string() });
        }
        checkpoint.restore(&mut self.learner)?;
        self.done = checkpoint.steps;
        self.put_by = checkpoint.steps;
        self.asked_rank = checkpoint.asked_rank;
        Ok(())
    }
}

/// What is read of pictures before the first step.
struct Read {
    /// Of what is learnt, and of its class.
    examples: [Vec<Example>; 2],
    captions: Vec<String>,
    /// Of pixels, captions and masks; of pictures of the class, which another device draws a little differently, only the captions.
    digest: Sha256,
}

impl Read {
    async fn of(
        pipeline: &mut Pipeline,
        recipe: &Recipe,
        (own, class): (&[Picture], &[Picture]),
        size: [usize; 2],
        told: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Read> {
        let all = own.len() + class.len();
        let shapes = if recipe.buckets { buckets::all(pipeline.config(), size) } else { Vec::new() };
        let mut read = Read { examples: Default::default(), captions: Vec::new(), digest: Sha256::new() };
        for (at, picture) in own.iter().chain(class).enumerate() {
            cancel.check()?;
            let shape = buckets::of([picture.image.width, picture.image.height], &shapes).unwrap_or(size);
            let is_own = at < own.len();
            let example = read.example(pipeline, recipe.flip, (at + 1, picture, is_own), shape).await?;
            let repeats = within("repeats", picture.repeats, REPEATS_RANGE)?;
            read.examples[usize::from(!is_own)].extend(std::iter::repeat_n(example, repeats));
            told(at + 1, all);
        }
        Ok(read)
    }

    /// A picture, its number for who is told of it and whether it is of what is learnt, cut to a shape and encoded.
    async fn example(
        &mut self,
        pipeline: &mut Pipeline,
        flip: bool,
        (which, picture, is_own): (usize, &Picture, bool),
        [width, height]: [usize; 2],
    ) -> Result<Example> {
        let scale = pipeline.config().vae.scale();
        let image = cropped(&picture.image, [width, height])?;
        if is_own {
            self.digest.update(&image.pixels);
        }
        self.digest.update(picture.caption.as_bytes());
        let mask = picture.mask.as_ref().map(|mask| counted(which, mask, &picture.image, &image, scale));
        let mask = mask.transpose()?;
        // What was begun without masks goes on as it was.
        let bytes = mask.iter().flatten().flat_map(|value| value.to_le_bytes());
        self.digest.update(bytes.collect::<Vec<u8>>());
        if picture.repeats > 1 {
            self.digest.update((picture.repeats as u64).to_le_bytes());
        }
        let mut latents = vec![pipeline.study_encode(&image).await?];
        let mut masks: Vec<Vec<f32>> = mask.into_iter().collect();
        if flip {
            latents.push(pipeline.study_encode(&mirrored(&image)).await?);
            let rows = masks.first().map(|mask| mask.chunks_exact(width / scale));
            let turned = rows.map(|rows| rows.flat_map(|row| row.iter().rev()).copied().collect());
            masks.extend(turned);
        }
        let caption = self.captions.iter().position(|known| *known == picture.caption);
        let caption = caption.unwrap_or_else(|| {
            self.captions.push(picture.caption.clone());
            self.captions.len() - 1
        });
        Ok(Example { size: [height / scale, width / scale], latents, masks, caption })
    }

    /// Heights and widths of latents, each once.
    fn sizes(&self) -> Vec<[usize; 2]> {
        let mut sizes: Vec<_> = self.examples.iter().flatten().map(|example| example.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// Widths and heights in pixels, and how many of the pictures of what is learnt have them.
    fn shapes(&self, scale: usize) -> Vec<([usize; 2], usize)> {
        let own = |size: &[usize; 2]| self.examples[0].iter().filter(|example| example.size == *size).count();
        let shapes = self.sizes().into_iter().map(|size| ([size[1] * scale, size[0] * scale], own(&size)));
        shapes.filter(|(_, count)| *count > 0).collect()
    }
}

/// What the denoiser reads of each caption, and of none.
async fn words(
    pipeline: &mut Pipeline,
    recipe: &Recipe,
    (own, captions): (&[Picture], &[String]),
    (name, word): (&str, Option<&Arc<Embedding>>),
) -> Result<Vec<Words>> {
    let mut texts = Vec::new();
    for caption in captions.iter().map(String::as_str).chain([""]) {
        let ids = pipeline.caption_tokens(caption, word)?;
        let is_own = own.iter().any(|picture| picture.caption == caption);
        if word.is_some() && is_own && !ids.iter().any(|id| id & OWN != 0) {
            let message = format!("{caption:?} does not say {name}, the word that is learnt");
            return Err(Error::InvalidInput { field: "caption", message });
        }
        texts.push(if recipe.text_encoder || word.is_some() {
            Words::Tokens(ids)
        } else {
            Words::States(pipeline.caption_states(&ids).await?)
        });
    }
    Ok(texts)
}

/// A word whose vectors are those of other words: one each, some of them where there are more, each several times where there are
/// fewer, as A1111 begins.
async fn begin_word(pipeline: &Pipeline, name: &str, initial: &str, count: usize) -> Result<Embedding> {
    let rows = pipeline.token_vectors(initial).await?;
    if rows.is_empty() {
        let message = format!("{initial:?} has no tokens; say what the thing is, such as monster");
        return Err(Error::InvalidInput { field: "initial", message });
    }
    let width = rows[0].len();
    let vectors = (0..count).flat_map(|i| &rows[i * rows.len() / count]).copied().collect();
    Ok(Embedding { name: name.to_string(), token: None, vectors, width, hash: String::new() })
}

/// As PEFT begins with "gaussian": down as noise of the deviation 1 / rank, up as zeros, so that nothing has changed yet. A word's
/// vectors are given.
fn begin_tensors(learner: &mut Learner, seed: u64, word: Option<&Embedding>) -> Result<()> {
    let mut generator = NoiseSource::Torch.generator(seed);
    let mut tensors = Vec::new();
    for adapter in &learner.learnt().adapters {
        let [down, up] = adapter.lengths();
        tensors.push(generator.randn(down).into_iter().map(|x| x / adapter.rank as f32).collect());
        tensors.push(vec![0.0; up]);
    }
    tensors.extend(word.map(|word| word.vectors.clone()));
    learner.set(State::Values, &tensors)
}

/// The loss of a denoiser that says nothing at all: the mean of the squares of what it should say, where that counts.
fn silence<'a>(draws: impl Iterator<Item = &'a Draw>) -> f64 {
    let (mut sum, mut count) = (0f64, 0f64);
    for draw in draws {
        let pixels = draw.mask.as_ref().map_or(1, Vec::len);
        for (at, value) in draw.target.iter().enumerate() {
            let weight = draw.mask.as_ref().map_or(1.0, |mask| f64::from(mask[at % pixels]));
            sum += weight * f64::from(value * value);
            count += weight;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

/// A picture cut and scaled to a size.
fn cropped(image: &Rgba, [width, height]: [usize; 2]) -> Result<Rgba> {
    if image.width == 0 || image.height == 0 {
        let message = "a picture without pixels".to_string();
        return Err(Error::InvalidInput { field: "images", message });
    }
    let placed = Placement::new([image.width, image.height], [width, height], Resize::Crop);
    Rgba::new(width, height, placed.laid(&image.pixels, 4, Filter::Lanczos))
}

/// How much each latent of a picture that is learnt from as `cut` counts, `[h, w]`: the mean of the mask over its pixels.
fn counted(which: usize, mask: &Rgba, picture: &Rgba, cut: &Rgba, scale: usize) -> Result<Vec<f32>> {
    let invalid = |message| Err(Error::InvalidInput { field: "mask", message });
    let (own, size) = ([mask.width, mask.height], [cut.width, cut.height]);
    if !same_shape(own, [picture.width, picture.height]) {
        return invalid(format!(
            "that of picture {which} has {}×{} pixels, another shape than the picture's {}×{}; give one of that size",
            mask.width, mask.height, picture.width, picture.height
        ));
    }
    let placed = Placement::new(own, size, Resize::Crop);
    let pixels = placed.laid(&mask.light(), 1, Filter::Triangle);
    let cell = |at: usize| {
        let (x, y) = (at % (size[0] / scale) * scale, at / (size[0] / scale) * scale);
        let rows = (y..y + scale).flat_map(|y| &pixels[y * size[0] + x..][..scale]);
        rows.map(|value| f32::from(*value)).sum::<f32>() / (255 * scale * scale) as f32
    };
    let cells: Vec<f32> = (0..size[0] * size[1] / (scale * scale)).map(cell).collect();
    if cells.iter().all(|value| *value == 0.0) {
        return invalid(format!(
            "nothing is painted in that of picture {which} where it is learnt from; paint the thing, or leave the mask out"
        ));
    }
    Ok(cells)
}

fn mirrored(image: &Rgba) -> Rgba {
    let rows = image.pixels.chunks_exact(4 * image.width);
    let pixels = rows.flat_map(|row| row.chunks_exact(4).rev().flatten()).copied().collect();
    Rgba { pixels, ..image.clone() }
}

/// Pictures of a class as the model draws them itself, `count` of them, the prompts in turns: what prior preservation holds on to.
/// `request` says everything else.
pub async fn class_pictures(
    pipeline: &mut Pipeline,
    (prompts, count): (&[String], usize),
    request: &Request,
    told: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Vec<Picture>> {
    let mut pictures = Vec::with_capacity(count);
    for at in 0..count {
        let Some(prompt) = prompts.get(at % prompts.len().max(1)) else { break };
        let seed = request.seed.wrapping_add(at as u64);
        let request = Request { prompt: prompt.clone(), seed, batch: 1, ..request.clone() };
        let made = pipeline.generate(&request, &mut |_| {}, cancel).await?;
        pictures.extend(made.images.into_iter().map(|image| Picture {
            image,
            caption: prompt.clone(),
            mask: None,
            repeats: 1,
        }));
        told(at + 1, count);
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_lost_when_saying_nothing_would_be_better() {
        let lost = |losses: &[f64]| {
            let mut course = Course::default();
            losses.iter().position(|loss| course.is_lost(*loss, 1.0))
        };
        assert_eq!(lost(&[0.4; 50]), None);
        assert_eq!(lost(&[0.4, 0.9, 0.2, 1.4, 0.1, 0.9, 0.3]), None, "single steps wander");
        assert_eq!(lost(&[1.5; 50]), None, "a model that knew nothing may begin");
        assert_eq!(lost(&[0.4, 0.4, 2.0, 2.0, 2.0, 2.0]), Some(5));
        assert_eq!(lost(&[0.4, 1e9]), Some(1));
        assert_eq!(lost(&[0.4, f64::NAN]), Some(1));
        let well = |losses: &[f64]| {
            let mut course = Course::default();
            losses.iter().for_each(|loss| _ = course.is_lost(*loss, 1.0));
            course.is_well()
        };
        assert!(well(&[]) && well(&[0.4; 9]) && well(&[1.5; 9]) && well(&[0.4, 0.9, 0.2, 1.4, 0.1]));
        assert!(!well(&[0.4, 0.4, 2.0, 2.0]), "before it is lost");
        assert!(!well(&[0.4, 0.4, 2.0, 2.0, 2.0, 2.0]) && !well(&[0.4, f64::NAN]));
    }

    #[test]
    fn a_mask_counts_by_its_share_of_each_latent() -> Result<()> {
        let image = |width: usize, height: usize, value: &dyn Fn(usize, usize) -> u8| {
            let pixel = |at: usize| [[value(at % width, at / width); 3].to_vec(), vec![255]].concat();
            Rgba::new(width, height, (0..width * height).flat_map(pixel).collect())
        };
        let picture = image(16, 16, &|x, _| x as u8)?;
        // The left four columns, and the lower half of those behind the eighth.
        let mask = image(16, 16, &|x, y| if x < 4 || (x >= 8 && y >= 12) { 255 } else { 0 })?;
        assert_eq!(counted(1, &mask, &picture, &picture, 8)?, [0.5, 0.0, 0.5, 0.5]);
        // Cut out of the middle as its picture is.
        let wide = image(32, 16, &|x, _| x as u8)?;
        let mask = image(32, 16, &|x, _| if x < 16 { 255 } else { 0 })?;
        assert_eq!(counted(1, &mask, &wide, &picture, 8)?, [1.0, 0.0, 1.0, 0.0]);
        Ok(())
    }
}
