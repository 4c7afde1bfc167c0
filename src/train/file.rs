//! What comes of a training as a file that other programs read, and what of a training goes on another day.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use super::engine::State;
use super::learner::Learner;
use super::recipe::{Naming, Recipe};
use crate::config::{ModelConfig, PredictionType};
use crate::error::{Error, Result};
use crate::weights::License;

/// What a file says of where it comes from, and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    /// What it is called.
    pub name: String,
    pub naming: Naming,
    /// The words that call it.
    pub trigger: String,
    /// The model that learnt.
    pub model: String,
    /// That model's licence, which holds for what is made of it too.
    pub license: Option<License>,
    /// Width and height of the pictures.
    pub size: [usize; 2],
    /// Pictures of what was learnt, as often as they come in a round, and of its class.
    pub pictures: [usize; 2],
    /// Widths and heights of the shapes that pictures kept, and how many of what was learnt had each; none where all were cut to `size`.
    pub shapes: Vec<([usize; 2], usize)>,
    /// How often each caption was there.
    pub captions: Vec<(String, usize)>,
    /// Steps that were taken.
    pub steps: usize,
}

/// A file in f32 with the `ss_*` and `modelspec.*` texts that A1111, Forge and ComfyUI read, in kohya's naming, `lora_unet_…` and
/// `lora_te_…`, or in diffusers'. `sshs_model_hash` is that of the values.
pub async fn lora(
    learner: &Learner,
    recipe: &Recipe,
    config: &ModelConfig,
    origin: &Origin,
) -> Result<Vec<u8>> {
    let mut values = learner.tensors(State::Values).await?;
    let mut tensors: Vec<Named> = Vec::new();
    for (i, adapter) in learner.learnt().adapters.iter().enumerate() {
        let layer = adapter.part.name.trim_end_matches(".weight");
        let side = adapter.side;
        let linear = adapter.part.shape.len() == 2;
        let channels = adapter.columns / (side * side);
        let (down, up) = match linear {
            true => (vec![adapter.rank, channels], vec![adapter.outputs(), adapter.rank]),
            false => (vec![adapter.rank, channels, side, side], vec![adapter.outputs(), adapter.rank, 1, 1]),
        };
        let [of_down, mut of_up] = [2 * i, 2 * i + 1].map(|at| std::mem::take(&mut values[at]));
        match origin.naming {
            Naming::Kohya => {
                let (component, path) = layer.split_once('.').unwrap_or(("unet", layer));
                let kind = if component == "unet" { "lora_unet" } else { "lora_te" };
                let name = format!("{kind}_{}", path.replace('.', "_"));
                tensors.push((format!("{name}.lora_down.weight"), down, of_down));
                tensors.push((format!("{name}.lora_up.weight"), up, of_up));
                tensors.push((format!("{name}.alpha"), Vec::new(), vec![recipe.alpha as f32]));
            }
            Naming::Diffusers => {
                let scale = (recipe.alpha / adapter.rank as f64) as f32;
                of_up.iter_mut().for_each(|value| *value *= scale);
                tensors.push((format!("{layer}.lora_A.weight"), down, of_down));
                tensors.push((format!("{layer}.lora_B.weight"), up, of_up));
            }
        }
    }
    if tensors.iter().flat_map(|(_, _, values)| values).any(|value| !value.is_finite()) {
        return Err(Error::NoNumbers);
    }
    let mut texts = texts(recipe, config, origin);
    let write = |texts: &HashMap<String, String>| {
        safetensors::serialize(views(&tensors)?, Some(texts.clone())).map_err(|error| bad(&error))
    };
    let bytes = write(&texts)?;
    let header = bytes.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length) as usize + 8);
    let hash: String = Sha256::digest(&bytes[header..]).iter().map(|byte| format!("{byte:02x}")).collect();
    texts.insert("sshs_model_hash".to_string(), hash);
    write(&texts)
}

/// A file as A1111 names the vectors of a word, `emb_params` `[vectors, width]` in f32.
pub async fn embedding(learner: &Learner, config: &ModelConfig, origin: &Origin) -> Result<Vec<u8>> {
    let mut values = learner.tensors(State::Values).await?;
    let (Some([count, width]), Some(vectors)) = (learner.learnt().vectors, values.pop()) else {
        return Err(Error::NoNumbers);
    };
    if vectors.iter().any(|value| !value.is_finite()) {
        return Err(Error::NoNumbers);
    }
    let tensors: [Named; 1] = [("emb_params".to_string(), vec![count, width], vectors)];
    let second = if config.denoiser.text_channels() == 1024 { 2 } else { 1 };
    let texts = [
        ("name", origin.name.clone()),
        ("step", origin.steps.to_string()),
        ("sd_checkpoint_name", origin.model.clone()),
        ("modelspec.sai_model_spec", "1.0.1".to_string()),
        ("modelspec.architecture", format!("stable-diffusion-v{second}/textual-inversion")),
        ("modelspec.title", origin.name.clone()),
        ("modelspec.trigger_phrase", origin.trigger.clone()),
    ];
    let texts = texts.into_iter().chain(under(origin));
    let texts = texts.map(|(key, value)| (key.to_string(), value)).collect();
    safetensors::serialize(views(&tensors)?, Some(texts)).map_err(|error| bad(&error))
}

/// A tensor on its way into a file.
type Named = (String, Vec<usize>, Vec<f32>);

fn views(tensors: &[Named]) -> Result<Vec<(String, TensorView<'_>)>> {
    tensors
        .iter()
        .map(|(name, shape, values)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
            Ok((name.clone(), view.map_err(|error| bad(&error))?))
        })
        .collect()
}

fn bad(error: &safetensors::SafeTensorError) -> Error {
    Error::BadFile { file: "what was learnt".to_string(), message: error.to_string() }
}

/// The licence that a file is under.
fn under(origin: &Origin) -> Option<(&'static str, String)> {
    origin.license.as_ref().map(|license| (License::MODELSPEC, license.name.clone()))
}

/// All of them are texts, as kohya's scripts have it.
fn texts(recipe: &Recipe, config: &ModelConfig, origin: &Origin) -> HashMap<String, String> {
    let predicts_v = config.scheduler.prediction_type == PredictionType::VPrediction;
    let is_second = config.denoiser.text_channels() == 1024;
    let version = if is_second { "sd_v2" } else { "sd_v1" };
    let frequency: HashMap<&str, usize> =
        origin.captions.iter().map(|(caption, count)| (caption.as_str(), *count)).collect();
    let json = |value: serde_json::Value| value.to_string();
    let shape = |(at, (resolution, count)): (usize, &([usize; 2], usize))| {
        (at.to_string(), serde_json::json!({ "resolution": resolution, "count": count }))
    };
    let buckets: serde_json::Map<_, _> = origin.shapes.iter().enumerate().map(shape).collect();
    let buckets =
        if recipe.buckets { serde_json::json!({ "buckets": buckets }) } else { serde_json::Value::Null };
    let [width, height] = origin.size;
    let learnt = |on: bool, rate: f64| if on { rate.to_string() } else { "None".to_string() };
    let conv =
        serde_json::json!({ "conv_dim": recipe.rank.to_string(), "conv_alpha": recipe.alpha.to_string() });
    let args = if recipe.layers == super::Layers::All { json(conv) } else { "{}".to_string() };
    [
        ("ss_v2", if is_second { "True" } else { "False" }.to_string()),
        (
            "ss_base_model_version",
            if is_second && predicts_v { "sd_v2_v".to_string() } else { version.to_string() },
        ),
        ("ss_network_module", "networks.lora".to_string()),
        ("ss_network_dim", recipe.rank.to_string()),
        ("ss_network_alpha", recipe.alpha.to_string()),
        ("ss_network_args", args),
        ("ss_output_name", origin.name.clone()),
        ("ss_sd_model_name", origin.model.clone()),
        ("ss_learning_rate", recipe.learning_rate.to_string()),
        ("ss_unet_lr", recipe.learning_rate.to_string()),
        ("ss_text_encoder_lr", learnt(recipe.text_encoder, recipe.text_learning_rate)),
        ("ss_steps", origin.steps.to_string()),
        ("ss_max_train_steps", recipe.steps.to_string()),
        ("ss_gradient_accumulation_steps", "1".to_string()),
        ("ss_lr_scheduler", recipe.schedule.to_string()),
        ("ss_lr_warmup_steps", recipe.warmup.to_string()),
        ("ss_seed", recipe.seed.to_string()),
        ("ss_optimizer", "AdamW".to_string()),
        ("ss_max_grad_norm", recipe.max_gradient.to_string()),
        ("ss_caption_dropout_rate", recipe.caption_dropout.to_string()),
        ("ss_prior_loss_weight", recipe.prior_weight.to_string()),
        ("ss_min_snr_gamma", recipe.min_snr.map_or_else(|| "None".to_string(), |gamma| gamma.to_string())),
        ("ss_noise_offset", recipe.noise_offset.to_string()),
        ("ss_loss_type", "l2".to_string()),
        ("ss_mixed_precision", "no".to_string()),
        ("ss_clip_skip", "None".to_string()),
        ("ss_cache_latents", "True".to_string()),
        ("ss_resolution", format!("({width}, {height})")),
        ("ss_enable_bucket", if recipe.buckets { "True" } else { "False" }.to_string()),
        ("ss_bucket_info", json(buckets)),
        ("ss_num_train_images", origin.pictures[0].to_string()),
        ("ss_num_reg_images", origin.pictures[1].to_string()),
        ("ss_tag_frequency", json(serde_json::json!({ "images": frequency }))),
        ("modelspec.sai_model_spec", "1.0.1".to_string()),
        ("modelspec.architecture", format!("stable-diffusion-v{}/lora", if is_second { 2 } else { 1 })),
        ("modelspec.implementation", "diffusers".to_string()),
        ("modelspec.title", origin.name.clone()),
        ("modelspec.resolution", format!("{width}x{height}")),
        ("modelspec.prediction_type", if predicts_v { "v" } else { "epsilon" }.to_string()),
        ("modelspec.trigger_phrase", origin.trigger.clone()),
    ]
    .into_iter()
    .chain(under(origin))
    .map(|(key, value)| (key.to_string(), value))
    .collect()
}

/// Everything that a training needs to go on: matrices and what the optimizer remembers, after so many steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub steps: usize,
    pub recipe: Recipe,
    /// The rank that was asked for; the recipe's is smaller where memory ended.
    pub asked_rank: usize,
    /// What it learns from, so that another training's checkpoint is not taken for this one's.
    pub lesson: String,
    /// In the learner's order: values, means and squares of each tensor.
    tensors: Vec<[Vec<f32>; 3]>,
}

impl Checkpoint {
    /// What its training is begun with anew to go on: what is asked for, at the rank that it came down to where memory ended.
    pub fn recipe_for(&self, asked: Recipe) -> Recipe {
        let Recipe { rank, alpha, .. } = self.recipe;
        if asked.rank == self.asked_rank && rank < asked.rank {
            Recipe { rank, alpha, ..asked }
        } else {
            asked
        }
    }

    /// Of a learner as it is.
    pub async fn of(
        learner: &Learner,
        steps: usize,
        (recipe, asked_rank): (&Recipe, usize),
        lesson: &str,
    ) -> Result<Checkpoint> {
        let values = learner.tensors(State::Values).await?;
        let means = learner.tensors(State::Means).await?;
        let squares = learner.tensors(State::Squares).await?;
        let moments = means.into_iter().zip(squares);
        let tensors = values
            .into_iter()
            .zip(moments)
            .map(|(values, (means, squares))| [values, means, squares])
            .collect();
        Ok(Checkpoint { steps, recipe: recipe.clone(), asked_rank, lesson: lesson.to_string(), tensors })
    }

    /// Gives a learner of the same layers everything back.
    pub fn restore(&self, learner: &mut Learner) -> Result<()> {
        for (kind, state) in [State::Values, State::Means, State::Squares].into_iter().enumerate() {
            let tensors: Vec<Vec<f32>> = self.tensors.iter().map(|tensor| tensor[kind].clone()).collect();
            learner.set(state, &tensors)?;
        }
        learner.optimizer.steps = self.steps as u64;
        Ok(())
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let kinds = ["value", "mean", "square"];
        let mut views = Vec::new();
        for (i, tensor) in self.tensors.iter().enumerate() {
            for (kind, values) in kinds.iter().zip(tensor) {
                let view = TensorView::new(Dtype::F32, vec![values.len()], bytemuck::cast_slice(values));
                views.push((format!("{kind}.{i}"), view.map_err(|error| bad(&error))?));
            }
        }
        let recipe = serde_json::to_string(&self.recipe).unwrap_or_default();
        let texts = [
            ("steps", self.steps.to_string()),
            ("recipe", recipe),
            ("askedRank", self.asked_rank.to_string()),
            ("lesson", self.lesson.clone()),
        ];
        let texts = texts.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        safetensors::serialize(views, Some(texts)).map_err(|error| bad(&error))
    }

    /// From bytes, which may be anything.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint> {
        let wrong =
            |message: String| Error::BadFile { file: "checkpoint of a training".to_string(), message };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| wrong(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| wrong(error.to_string()))?;
        let texts = header.metadata().clone().unwrap_or_default();
        let text = |key: &str| texts.get(key).ok_or_else(|| wrong(format!("it does not say its {key}")));
        let steps = text("steps")?.parse().map_err(|_| wrong("its steps are no number".to_string()))?;
        let recipe: Recipe =
            serde_json::from_str(text("recipe")?).map_err(|error| wrong(error.to_string()))?;
        // Files of before have none.
        let asked_rank = texts.get("askedRank").and_then(|rank| rank.parse().ok()).unwrap_or(recipe.rank);
        let mut tensors = Vec::new();
        for i in 0..file.len() / 3 {
            let read = |kind: &str| {
                let tensor = file.tensor(&format!("{kind}.{i}")).map_err(|error| wrong(error.to_string()))?;
                if tensor.dtype() != Dtype::F32 {
                    return Err(wrong(format!("{kind}.{i} is not F32")));
                }
                Ok(bytemuck::pod_collect_to_vec::<u8, f32>(tensor.data()))
            };
            let tensor = [read("value")?, read("mean")?, read("square")?];
            if tensor.iter().any(|values| values.len() != tensor[0].len()) {
                return Err(wrong(format!("value.{i} and what belongs to it differ in length")));
            }
            tensors.push(tensor);
        }
        Ok(Checkpoint { steps, recipe, asked_rank, lesson: text("lesson")?.clone(), tensors })
    }
}
