//! `opengen train`: a few pictures in, a LoRA or an embedding out.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use opengen::error::{Error, Result};
use opengen::gpu::Options;
use opengen::image::Rgba;
use opengen::pipeline::{Cancel, Pipeline, Request};
use opengen::train::{
    Checkpoint, Kept, Layers, Naming, Origin, Picture, Preset, Recipe, Schedule, Step, Takes, Told, Training,
    class_pictures,
};

use crate::bytes::bytes;
use crate::generate::{io, size};
use crate::{invalid, model, picture};

/// Teach a model a thing, a person, an animal or a style from a few pictures (DreamBooth), and write what it learnt as a LoRA; or a
/// word alone (textual inversion), and write it as an embedding. It goes on where it stopped: FILE.training beside it has what it
/// needs.
#[derive(Parser)]
pub struct Args {
    /// `mini`, a folder, a checkpoint or the name of one that is here.
    #[arg(long, default_value = "mini")]
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// The folder of pictures, PNGs. `a.txt` or `a.caption` beside `a.png` is its caption. In folders in it that are named as kohya's
    /// are, such as `10_zorp monster`, lie pictures that come so often in a round, and of which the others show that.
    #[arg(long)]
    images: PathBuf,
    /// Only what a picture's mask shows counts: `a.mask.png` beside `a.png`, white where the thing is, or else what of `a.png` itself is
    /// not transparent. Of a picture with neither all counts.
    #[arg(long)]
    masked: bool,
    /// The caption of all others, such as "a photo of a zorp dog": a word that means nothing yet, and what kind of thing it is.
    #[arg(long)]
    instance_prompt: Option<String>,
    /// What the model draws itself beforehand, to keep it, such as "a photo of a dog". Repeat it for several.
    #[arg(long = "class-prompt")]
    class_prompts: Vec<String>,
    /// How many pictures of that; the preset's if left out.
    #[arg(long)]
    class_images: Option<usize>,
    #[arg(
        long,
        default_value = "thing",
        help = "thing, character, style or word: settings that go together; word learns an embedding"
    )]
    preset: Preset,
    #[arg(long, help = "Which layers of the UNet learn: attention, linear, all or none")]
    layers: Option<Layers>,
    /// Rows of the smaller side of what is learnt of each layer.
    #[arg(long)]
    rank: Option<usize>,
    /// What is learnt counts alpha / rank; the rank if left out.
    #[arg(long)]
    alpha: Option<f64>,
    /// The text encoder learns too.
    #[arg(long)]
    text_encoder: bool,
    /// Learn so many vectors of a word instead of layers; the word is what FILE is called, and captions have to say it.
    #[arg(long)]
    vectors: Option<usize>,
    /// The words whose vectors these begin as, such as "monster"; the last word of the class prompt if left out.
    #[arg(long)]
    initial: Option<String>,
    #[arg(long)]
    vector_learning_rate: Option<f64>,
    #[arg(long)]
    learning_rate: Option<f64>,
    #[arg(long)]
    text_learning_rate: Option<f64>,
    #[arg(long, help = "How the learning rate changes: constant or cosine")]
    lr_schedule: Option<Schedule>,
    #[arg(long)]
    warmup: Option<usize>,
    #[arg(long)]
    steps: Option<usize>,
    /// Pictures a step.
    #[arg(long)]
    batch: Option<usize>,
    /// Pictures of the class a step; as many as of the others if only their number is said.
    #[arg(long)]
    class_batch: Option<usize>,
    /// How much the class counts beside what is learnt.
    #[arg(long)]
    prior_weight: Option<f64>,
    /// How often a caption is left out, 0 to 1.
    #[arg(long)]
    caption_dropout: Option<f64>,
    /// Mirror pictures half of the time.
    #[arg(long)]
    flip: bool,
    /// Let pictures keep their shapes: each is cut to the one most like its own of several of about as many pixels as --size has
    /// (aspect ratio buckets), instead of to --size.
    #[arg(long)]
    buckets: bool,
    /// γ of min-SNR weighting, such as 5.
    #[arg(long)]
    min_snr: Option<f64>,
    #[arg(long)]
    noise_offset: Option<f64>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What a step keeps for its way back may take so much memory, such as 2GB; with less, parts of the network are computed twice.
    /// `opengen plan --train` prints what that means.
    #[arg(long, value_parser = bytes)]
    memory: Option<u64>,
    /// Learn on the best GPU instead of the processor.
    #[arg(long)]
    gpu: bool,
    /// There activations and the way back in f32 even where the GPU has f16.
    #[arg(long, requires = "gpu")]
    f32: bool,
    /// Pixels to which pictures are cut; the model's own if left out.
    #[arg(long, value_parser = size)]
    size: Option<(usize, usize)>,
    /// Steps after which what is learnt is put by.
    #[arg(long, default_value_t = 50)]
    save_every: usize,
    /// Begin anew, whatever was put by.
    #[arg(long)]
    anew: bool,
    #[arg(long, default_value = "kohya", help = "How the file calls its layers: kohya, or diffusers")]
    naming: Naming,
    /// A line of JSON for each step.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Where the LoRA or the embedding goes.
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    fn recipe(&self, config: &opengen::config::ModelConfig) -> Recipe {
        let usual = Recipe::of(self.preset, config);
        let rank = self.rank.unwrap_or(usual.rank);
        let vectors = self.vectors.unwrap_or(usual.vectors);
        let layers = self.layers.unwrap_or(if vectors > 0 { Layers::None } else { usual.layers });
        let learns_word = layers == Layers::None;
        let class_images = if self.class_prompts.is_empty() || learns_word { 0 } else { usual.class_images };
        let mut recipe = Recipe {
            layers,
            vectors,
            initial: self.initial.clone().unwrap_or_default(),
            vector_learning_rate: self.vector_learning_rate.unwrap_or(usual.vector_learning_rate),
            rank,
            alpha: self.alpha.unwrap_or(if self.rank.is_some() { rank as f64 } else { usual.alpha }),
            text_encoder: self.text_encoder || (usual.text_encoder && !learns_word),
            learning_rate: self.learning_rate.unwrap_or(usual.learning_rate),
            text_learning_rate: self.text_learning_rate.unwrap_or(usual.text_learning_rate),
            schedule: self.lr_schedule.unwrap_or(usual.schedule),
            warmup: self.warmup.unwrap_or(usual.warmup),
            steps: self.steps.unwrap_or(usual.steps),
            batch: self.batch.unwrap_or(usual.batch),
            class_batch: self.class_batch.or(self.batch).unwrap_or(usual.class_batch),
            class_images: self.class_images.unwrap_or(class_images),
            prior_weight: self.prior_weight.unwrap_or(usual.prior_weight),
            caption_dropout: self.caption_dropout.unwrap_or(usual.caption_dropout),
            flip: self.flip,
            buckets: self.buckets,
            min_snr: self.min_snr.or(usual.min_snr),
            noise_offset: self.noise_offset.unwrap_or(usual.noise_offset),
            seed: self.seed,
            memory: self.memory,
            ..usual
        };
        if learns_word {
            recipe.begin_as(self.class_prompts.first().map_or("", String::as_str));
        }
        recipe
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<()> {
    let source = model::open(&args.model, &args.known.options())?;
    let recipe = args.recipe(source.config());
    recipe.check()?;
    let own = pictures(&args)?;
    let request = model::usual(&args.model, source.config());
    let (width, height) = args.size.unwrap_or((request.width, request.height));
    let request = Request { width, height, seed: args.seed, ..request };
    let mut pipeline = match args.gpu {
        true => {
            let options = Options { f16: args.f32.then_some(false), ..Options::default() };
            model::on_gpu(&source, &options).await?
        }
        false => model::on_cpu(&source)?,
    };
    let cancel = Cancel::default();
    let put_by = put_by(&args)?;
    let recipe = match &put_by {
        Some(checkpoint) => checkpoint.recipe_for(recipe),
        None => recipe,
    };

    let class = drawn(&mut pipeline, &args, &recipe, &request, &cancel).await?;
    let name = args.out.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let trigger = args.instance_prompt.clone().unwrap_or_default();
    let naming = args.naming;
    let license = source.license().cloned();
    let origin = Origin { name, naming, trigger, license, size: [width, height], ..Origin::default() };
    let reading = bar(own.len() + class.len(), "pictures are encoded")?;
    let mut told = |done: usize, _| reading.set_position(done as u64);
    let begun = Training::begin(&mut pipeline, recipe, (&own, &class), origin, &mut told, &cancel).await;
    reading.finish_and_clear();
    let mut training = begun?;
    // The learner has what it needs of a model on the processor; on a device it is bound to its weights.
    let _bound = args.gpu.then_some(pipeline);
    let Takes { weights, kept, learnt, again: [again, parts] } = training.takes();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    eprintln!(
        "{:.0} MB of memory{}; {again} of {parts} parts of the network are computed twice",
        mb(weights.unwrap_or_default() + kept + learnt),
        if weights.is_some() { "" } else { " beside the model" },
    );
    let (rank, asked) = (training.recipe().rank, training.asked_rank());
    if rank < asked {
        eprintln!("there was too little memory for rank {asked}: it learns at rank {rank}");
    }
    for ([width, height], count) in training.shapes() {
        eprintln!("{count} {} cut to {width}x{height}", if *count == 1 { "is" } else { "are" });
    }
    eprintln!(
        "{} pictures{}; {} numbers are learnt in {} steps",
        own.len(),
        if class.is_empty() { String::new() } else { format!(" and {} of the class", class.len()) },
        training.values(),
        training.recipe().steps
    );
    learn(&mut training, put_by, &args, &cancel).await
}

/// Where what is needed to go on is put by.
fn beside(args: &Args) -> PathBuf {
    args.out.with_extension("training")
}

fn not_gone_on(args: &Args, error: &Error) -> Error {
    invalid("checkpoint", format!("{}: {error}; or say --anew", beside(args).display()))
}

/// What an earlier run has put by.
fn put_by(args: &Args) -> Result<Option<Checkpoint>> {
    let path = beside(args);
    if args.anew || !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(|error| io(&path, &error))?;
    Checkpoint::from_bytes(&bytes).map(Some).map_err(|error| not_gone_on(args, &error))
}

/// Takes the steps, puts by what is learnt, and writes it at the end.
async fn learn(
    training: &mut Training,
    from: Option<Checkpoint>,
    args: &Args,
    cancel: &Cancel,
) -> Result<()> {
    if let Some(checkpoint) = from {
        training.resume(&checkpoint).map_err(|error| not_gone_on(args, &error))?;
        eprintln!("goes on after step {}", training.done());
    }
    let mut log = match &args.log {
        Some(path) => {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            Some((path, file.map_err(|error| io(path, &error))?))
        }
        None => None,
    };
    let learning = bar(training.recipe().steps, "steps")?;
    let mut smooth = None;
    let mut told = |told: Told| {
        let step = match told {
            Told::Step(step) => step,
            Told::Kept(kept) => return write_both(args, &kept),
        };
        let loss: f64 = smooth.map_or(step.loss, |smooth: f64| smooth + 0.05 * (step.loss - smooth));
        smooth = Some(loss);
        learning.set_position(step.step as u64);
        learning.set_message(format!("loss {loss:.4}"));
        if let Some((path, file)) = &mut log {
            writeln!(file, "{}", line(&step)).map_err(|error| io(path, &error))?;
        }
        Ok(())
    };
    let learnt = training.learn(args.save_every, async || {}, &mut told, cancel).await;
    learning.finish_and_clear();
    write_both(args, &learnt?)?;
    eprintln!(
        "{} after {} steps, loss {:.4}",
        args.out.display(),
        training.done(),
        smooth.unwrap_or_default()
    );
    Ok(())
}

/// Writes what is learnt, and beside it what is needed to go on.
fn write_both(args: &Args, kept: &Kept) -> Result<()> {
    write(&args.out, &kept.file)?;
    write(&beside(args), &kept.checkpoint)
}

/// A step as a line of JSON.
fn line(step: &Step) -> serde_json::Value {
    serde_json::json!({
        "step": step.step, "loss": step.loss, "priorLoss": step.prior_loss, "gradient": step.gradient, "rate": step.rate,
    })
}

/// Writes a file so that a crash leaves the one before.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_added_extension("new");
    std::fs::write(&beside, bytes).map_err(|error| io(&beside, &error))?;
    std::fs::rename(&beside, path).map_err(|error| io(path, &error))
}

/// What the model draws of the class.
async fn drawn(
    pipeline: &mut Pipeline,
    args: &Args,
    recipe: &Recipe,
    request: &Request,
    cancel: &Cancel,
) -> Result<Vec<Picture>> {
    if recipe.class_images == 0 {
        return Ok(Vec::new());
    }
    if args.class_prompts.is_empty() {
        return Err(invalid(
            "class-prompt",
            "pictures of the class need words that say what it is".to_string(),
        ));
    }
    let drawing = bar(recipe.class_images, "pictures of the class are drawn")?;
    let mut told = |done: usize, _| drawing.set_position(done as u64);
    let asked = (args.class_prompts.as_slice(), recipe.class_images);
    let class = class_pictures(pipeline, asked, request, &mut told, cancel).await;
    drawing.finish_and_clear();
    class
}

/// A folder that pictures lie in.
struct Set {
    path: PathBuf,
    /// How often each comes in a round.
    repeats: usize,
    /// What they show that have no caption of their own.
    caption: Option<String>,
}

impl Set {
    /// The folder that was asked for, and those in it that are named as kohya's are.
    fn all(args: &Args) -> Result<Vec<Set>> {
        let whole = Set { path: args.images.clone(), repeats: 1, caption: args.instance_prompt.clone() };
        let of_kohya = |path: PathBuf| {
            let name = path.file_name()?.to_str()?;
            let (repeats, words) = name.split_once('_')?;
            let (repeats, caption) = (repeats.parse().ok()?, Some(words.to_string()));
            path.is_dir().then_some(Set { path, repeats, caption })
        };
        let mut paths = entries(&args.images)?;
        paths.sort();
        Ok(std::iter::once(whole).chain(paths.into_iter().filter_map(of_kohya)).collect())
    }

    /// Its pictures.
    fn paths(&self) -> Result<Vec<PathBuf>> {
        let png = |path: &Path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        let is_mask = |path: &Path| {
            let stem = path.file_stem().map(Path::new);
            stem.and_then(Path::extension).is_some_and(|ending| ending.eq_ignore_ascii_case("mask"))
        };
        let mut paths = entries(&self.path)?;
        paths.retain(|path| png(path) && !is_mask(path));
        paths.sort();
        Ok(paths)
    }

    fn caption(&self, path: &Path) -> Result<String> {
        let texts = ["txt", "caption"].map(|ending| path.with_extension(ending));
        if let Some(text) = texts.iter().find(|text| text.exists()) {
            let words = std::fs::read_to_string(text).map_err(|error| io(text, &error))?;
            return Ok(words.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        let needed = || {
            invalid(
                "instance-prompt",
                format!("{} has no caption beside it, so say what all of them show", path.display()),
            )
        };
        self.caption.clone().ok_or_else(needed)
    }

    fn pictures(&self, masked: bool) -> Result<Vec<Picture>> {
        let read = |path: PathBuf| {
            let image = picture::read(&path)?;
            let mask = if masked { mask(&path, &image)? } else { None };
            Ok(Picture { image, caption: self.caption(&path)?, mask, repeats: self.repeats })
        };
        self.paths()?.into_iter().map(read).collect()
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| io(folder, &error))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// The folder's pictures with their captions.
fn pictures(args: &Args) -> Result<Vec<Picture>> {
    let sets = Set::all(args)?;
    let pictures = sets.iter().map(|set| set.pictures(args.masked)).collect::<Result<Vec<_>>>()?.concat();
    if pictures.is_empty() {
        return Err(invalid("images", format!("there is no PNG in {}", args.images.display())));
    }
    if args.masked && pictures.iter().all(|picture| picture.mask.is_none()) {
        let message = format!(
            "no picture in {} has a NAME.mask.png beside it or anything transparent; make masks, or leave --masked out",
            args.images.display()
        );
        return Err(invalid("masked", message));
    }
    Ok(pictures)
}

/// The mask of a picture: the file beside it, or else where the picture is not transparent, if anything is.
fn mask(path: &Path, image: &Rgba) -> Result<Option<Rgba>> {
    let beside = path.with_extension("mask.png");
    if beside.exists() {
        return picture::read(&beside).map(Some);
    }
    if image.pixels.chunks_exact(4).all(|pixel| pixel[3] == 255) {
        return Ok(None);
    }
    let pixels = image.pixels.chunks_exact(4).flat_map(|pixel| [255, 255, 255, pixel[3]]).collect();
    Rgba::new(image.width, image.height, pixels).map(Some)
}

fn bar(length: usize, what: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(length as u64);
    let style =
        ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {what} · {{msg}} {{eta}} left"));
    bar.set_style(style.map_err(|error| invalid("terminal", error.to_string()))?);
    Ok(bar)
}
