//! What is asked for: which layers learn, how fast, how long, and from what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::{Denoiser, ModelConfig};
use crate::error::{Error, Result};
use crate::plan::train::Learnt;

/// A UNet whose widest map at the top has fewer channels is a toy: it learns with larger steps, and in fewer of them.
const TOY: usize = 256;
/// What may be asked for.
pub const RANK_RANGE: [usize; 2] = [1, 128];
pub const STEPS_RANGE: [usize; 2] = [1, 20_000];
pub const BATCH_RANGE: [usize; 2] = [1, 64];
pub const REPEATS_RANGE: [usize; 2] = [1, 1000];
/// More vectors than this are no word.
const MAX_VECTORS: usize = 33;
/// From here on a learning rate only destroys.
pub const MAX_RATE: f64 = 0.1;

/// Ready-made settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// One thing, from a few pictures.
    #[default]
    Thing,
    /// A person or an animal: the words learn too, slowly, and for longer.
    Character,
    /// A way of drawing, whatever is drawn: all linear layers, without pictures of a class.
    Style,
    /// A word alone, the network as it is: textual inversion (Gal et al. 2022, <https://arxiv.org/abs/2208.01618>).
    Word,
}

impl Preset {
    pub const ALL: [Preset; 4] = [Preset::Thing, Preset::Character, Preset::Style, Preset::Word];

    pub fn name(self) -> &'static str {
        match self {
            Preset::Thing => "thing",
            Preset::Character => "character",
            Preset::Style => "style",
            Preset::Word => "word",
        }
    }
}

/// Which layers of the UNet learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layers {
    /// Queries, keys, values and outputs of all attentions: diffusers' choice.
    #[default]
    Attention,
    /// And the feed-forwards and projections around them: kohya's.
    Linear,
    /// And the convolutions of the residual blocks.
    All,
    /// None: what is learnt are vectors of a word.
    None,
}

impl Layers {
    pub const ALL: [Layers; 4] = [Layers::Attention, Layers::Linear, Layers::All, Layers::None];

    pub fn name(self) -> &'static str {
        match self {
            Layers::Attention => "attention",
            Layers::Linear => "linear",
            Layers::All => "all",
            Layers::None => "none",
        }
    }

    /// How the names of their paths end.
    fn ends(self) -> &'static [&'static str] {
        const ALL: [&str; 11] = [
            ".to_q",
            ".to_k",
            ".to_v",
            ".to_out.0",
            ".ff.net.0.proj",
            ".ff.net.2",
            ".proj_in",
            ".proj_out",
            ".conv1",
            ".conv2",
            ".samplers.0.conv",
        ];
        match self {
            Layers::Attention => &ALL[..4],
            Layers::Linear => &ALL[..8],
            Layers::All => &ALL,
            Layers::None => &[],
        }
    }
}

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Down to 0 along half a cosine.
    #[default]
    Cosine,
}

impl Schedule {
    pub const ALL: [Schedule; 2] = [Schedule::Constant, Schedule::Cosine];

    pub fn name(self) -> &'static str {
        match self {
            Schedule::Constant => "constant",
            Schedule::Cosine => "cosine",
        }
    }
}

macro_rules! named {
    ($kind:ident, $field:literal) => {
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $kind {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let names = $kind::ALL.map($kind::name);
                let unknown = || Error::InvalidInput {
                    field: $field,
                    message: format!("there is no {text:?}, only {}", names.join(", ")),
                };
                $kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(unknown)
            }
        }
    };
}

/// How a LoRA's file calls its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// kohya's (`lora_unet_…`), which A1111, Forge, ComfyUI and diffusers read.
    #[default]
    Kohya,
    /// Those of PEFT (`unet.….lora_A.weight`), as diffusers writes them: alpha is multiplied into the values.
    Diffusers,
}

impl Naming {
    pub const ALL: [Naming; 2] = [Naming::Kohya, Naming::Diffusers];

    pub fn name(self) -> &'static str {
        match self {
            Naming::Kohya => "kohya",
            Naming::Diffusers => "diffusers",
        }
    }
}

named!(Naming, "naming");
named!(Preset, "preset");
named!(Layers, "layers");
named!(Schedule, "schedule");

/// All settings of a training but its pictures and words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Recipe {
    pub preset: Preset,
    pub layers: Layers,
    pub rank: usize,
    /// The change counts `alpha / rank`.
    pub alpha: f64,
    /// The text encoder's attention and feed-forward learn too.
    pub text_encoder: bool,
    /// Vectors of a word of its own that are learnt instead of layers: 0 for none.
    pub vectors: usize,
    /// The words whose vectors these begin as.
    pub initial: String,
    pub learning_rate: f64,
    pub text_learning_rate: f64,
    pub vector_learning_rate: f64,
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0.
    pub warmup: usize,
    pub steps: usize,
    /// Pictures of what is learnt a step.
    pub batch: usize,
    /// Pictures of its class a step, where there are some: their mean counts as much as that of the others, however few they are.
    pub class_batch: usize,
    /// Pictures of the class that the model draws itself beforehand, so that it keeps what it knows (prior preservation).
    pub class_images: usize,
    /// How much these count beside what is learnt.
    pub prior_weight: f64,
    /// How often a caption is left out, so that guidance goes on working: 0 to 1.
    pub caption_dropout: f64,
    /// Pictures are mirrored half of the time.
    pub flip: bool,
    /// Pictures keep their shapes: each is cut to one of several of about as many pixels as all would be cut to, the one most like its own.
    pub buckets: bool,
    /// γ of min-SNR weighting (Hang et al. 2023, <https://arxiv.org/abs/2303.09556>).
    pub min_snr: Option<f64>,
    /// So much noise is the same for a whole channel (Guttenberg 2023).
    pub noise_offset: f64,
    /// Gradients of a step are together no longer.
    pub max_gradient: f64,
    pub weight_decay: f64,
    pub seed: u64,
    /// Bytes that what a step keeps for its way back may take; with less, parts of the network are computed twice. What is
    /// learnt is the same.
    pub memory: Option<u64>,
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            preset: Preset::Thing,
            layers: Layers::Attention,
            rank: 8,
            alpha: 8.0,
            text_encoder: false,
            vectors: 0,
            initial: String::new(),
            learning_rate: 1e-4,
            text_learning_rate: 5e-5,
            vector_learning_rate: 5e-3,
            schedule: Schedule::Cosine,
            warmup: 0,
            steps: 800,
            batch: 1,
            class_batch: 1,
            class_images: 100,
            prior_weight: 1.0,
            caption_dropout: 0.05,
            flip: false,
            buckets: false,
            min_snr: None,
            noise_offset: 0.0,
            max_gradient: 1.0,
            weight_decay: 1e-2,
            seed: 0,
            memory: None,
        }
    }
}

/// What is meant by a field that usually has such a value, in words.
fn meant(usual: &Value) -> String {
    match usual {
        Value::Null => "a number, or null".to_string(),
        Value::Bool(_) => "true or false".to_string(),
        Value::Number(number) if number.is_f64() => format!("a number such as {usual}"),
        Value::Number(_) => format!("a whole number such as {usual}"),
        _ => format!("a text such as {usual}"),
    }
}

/// A count that may be asked for; [`Error::InvalidInput`] names its field where it is another.
pub(super) fn within(field: &'static str, value: usize, [least, most]: [usize; 2]) -> Result<usize> {
    let message = format!("{value} asked for, expected {least} to {most}");
    if (least..=most).contains(&value) { Ok(value) } else { Err(Error::InvalidInput { field, message }) }
}

impl Recipe {
    /// This one with fields, by their names here as JSON has them, in the place of its own. [`Error::InvalidInput`] names the one that is
    /// not there or is something else.
    pub fn with(&self, fields: &Map<String, Value>) -> Result<Recipe> {
        let invalid = |message| Error::InvalidInput { field: "recipe", message };
        let wrong = |error: serde_json::Error| invalid(error.to_string());
        let mut recipe = self.clone();
        for (name, value) in fields {
            let mut all = serde_json::to_value(&recipe).map_err(wrong)?;
            let names = all.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
            let names = names.collect::<Vec<_>>().join(", ");
            let field =
                all.get_mut(name).ok_or_else(|| invalid(format!("there is no {name:?}, only {names}")))?;
            let usual = std::mem::replace(field, value.clone());
            recipe = serde_json::from_value(all).map_err(|error| match (&usual, value) {
                (Value::String(_), Value::String(_)) => invalid(format!("{name}: {error}")), // which there are
                _ => invalid(format!("{name} is {}, {value} was given", meant(&usual))),
            })?;
        }
        Ok(recipe)
    }

    /// A preset for a model. Those for toys are tuned on mini (docs/training.md); the others are the literature's (diffusers'
    /// `train_dreambooth_lora`, kohya's sd-scripts) and were not tried here.
    pub fn of(preset: Preset, config: &ModelConfig) -> Recipe {
        let Denoiser::Unet(unet) = &config.denoiser;
        let toy = unet.block_out_channels[0] < TOY;
        let usual = Recipe { preset, ..if toy { Recipe::of_toy(preset) } else { Recipe::default() } };
        if preset == Preset::Word {
            let layers = Layers::None;
            let (vectors, vector_learning_rate) =
                if toy { (8, 5e-2) } else { (4, usual.vector_learning_rate) };
            return Recipe {
                layers,
                text_encoder: false,
                class_images: 0,
                caption_dropout: 0.0,
                vectors,
                vector_learning_rate,
                ..usual
            };
        }
        if toy {
            return usual;
        }
        match preset {
            Preset::Thing => usual,
            Preset::Character => Recipe { text_encoder: true, steps: usual.steps * 3 / 2, ..usual },
            Preset::Style => Recipe {
                layers: Layers::Linear,
                rank: 16,
                alpha: 16.0,
                steps: usual.steps * 3 / 2,
                class_images: 0,
                ..usual
            },
            Preset::Word => usual,
        }
    }

    /// What vectors begin as where nothing is said of it: the last word of what the class is called.
    pub fn begin_as(&mut self, class: &str) {
        if self.initial.is_empty() {
            self.initial = class.split_whitespace().next_back().unwrap_or_default().to_string();
        }
    }

    /// Many small steps: what a toy learns best in the same time, be it a thing, an animal or a style.
    fn of_toy(preset: Preset) -> Recipe {
        Recipe {
            preset,
            layers: Layers::Linear,
            rank: 16,
            alpha: 16.0,
            text_encoder: true,
            learning_rate: 2e-3,
            text_learning_rate: 5e-4,
            steps: 600,
            batch: 2,
            class_batch: 2,
            class_images: if preset == Preset::Style { 0 } else { 16 },
            ..Recipe::default()
        }
    }

    /// Refuses what cannot be learnt with.
    pub fn check(&self) -> Result<()> {
        within("rank", self.rank, RANK_RANGE)?;
        within("steps", self.steps, STEPS_RANGE)?;
        within("batch", self.batch, BATCH_RANGE)?;
        within("classBatch", self.class_batch, BATCH_RANGE)?;
        let number = |field, value: f64, least: f64, most: f64| {
            let message = format!("{value} asked for, expected {least} to {most}");
            if value >= least && value <= most { Ok(()) } else { Err(Error::InvalidInput { field, message }) }
        };
        number("alpha", self.alpha, 1e-3, 1024.0)?;
        number("learningRate", self.learning_rate, 1e-8, MAX_RATE)?;
        number("textLearningRate", self.text_learning_rate, 0.0, MAX_RATE)?;
        number("vectorLearningRate", self.vector_learning_rate, 1e-8, MAX_RATE)?;
        self.check_vectors()?;
        number("priorWeight", self.prior_weight, 0.0, 10.0)?;
        number("captionDropout", self.caption_dropout, 0.0, 1.0)?;
        number("noiseOffset", self.noise_offset, 0.0, 1.0)?;
        number("maxGradient", self.max_gradient, 1e-6, 1e6)?;
        number("weightDecay", self.weight_decay, 0.0, 1.0)?;
        self.min_snr.map_or(Ok(()), |gamma| number("minSnr", gamma, 0.1, 100.0))
    }

    fn check_vectors(&self) -> Result<()> {
        let wrong = |field, message: &str| Err(Error::InvalidInput { field, message: message.to_string() });
        match (self.vectors, self.layers) {
            (0, Layers::None) => wrong("layers", "none learns, and no vectors do: nothing could be learnt"),
            (0, _) => Ok(()),
            (MAX_VECTORS.., _) => {
                wrong("vectors", &format!("{} asked for, expected 0 to {}", self.vectors, MAX_VECTORS - 1))
            }
            (_, Layers::None) if self.text_encoder => {
                wrong("vectors", "are learnt alone: the text encoder cannot learn too")
            }
            (_, Layers::None) if self.class_images > 0 => wrong(
                "classImages",
                "the network stays as it is while vectors are learnt, so nothing has to be kept: 0 is needed",
            ),
            (_, Layers::None) if self.initial.trim().is_empty() => {
                wrong("initial", "vectors begin as those of a word: say what the thing is, such as monster")
            }
            (_, Layers::None) => Ok(()),
            _ => wrong("vectors", "are learnt alone: with them layers has to be none"),
        }
    }

    /// Whether a layer learns, by its path.
    pub fn learns(&self, layer: &str) -> bool {
        const WORDS: [&str; 6] = [".q_proj", ".k_proj", ".v_proj", ".out_proj", ".fc1", ".fc2"];
        match layer.starts_with("text_encoder.") {
            true => self.text_encoder && WORDS.iter().any(|end| layer.ends_with(end)),
            false => {
                let layer = layer.replace("upsamplers", "samplers").replace("downsamplers", "samplers");
                self.layers.ends().iter().any(|end| layer.ends_with(end))
            }
        }
    }

    /// The learning rate of a layer in step `step`, counted from 0.
    pub fn rate(&self, layer: &str, step: usize) -> f64 {
        let rate = match layer {
            Learnt::TABLE => self.vector_learning_rate,
            _ if layer.starts_with("text_encoder.") => self.text_learning_rate,
            _ => self.learning_rate,
        };
        let risen = if step < self.warmup { (step + 1) as f64 / self.warmup as f64 } else { 1.0 };
        let rest = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let share = step.saturating_sub(self.warmup) as f64 / rest;
        let falling = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (share * std::f64::consts::PI).cos()),
        };
        rate * risen * falling
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_those_of_their_kind() {
        let (attention, all) =
            (Recipe::default(), Recipe { layers: Layers::All, text_encoder: true, ..Recipe::default() });
        let layers = [
            ("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0", true, true),
            ("unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj", false, true),
            ("unet.up_blocks.0.upsamplers.0.conv", false, true),
            ("unet.down_blocks.0.downsamplers.0.conv", false, true),
            ("unet.conv_in", false, false),
            ("unet.mid_block.resnets.0.time_emb_proj", false, false),
            ("text_encoder.text_model.encoder.layers.0.mlp.fc1", false, true),
        ];
        for (layer, few, many) in layers {
            assert_eq!((attention.learns(layer), all.learns(layer)), (few, many), "{layer}");
        }
    }

    #[test]
    fn a_field_that_is_something_else_is_named() -> Result<()> {
        let with = |fields: serde_json::Value| {
            Recipe::default().with(fields.as_object().expect("fields")).map_err(|error| error.to_string())
        };
        let given = serde_json::json!({ "steps": 20, "learningRate": 1, "layers": "all", "minSnr": 5.0 });
        let expected = Recipe {
            steps: 20,
            learning_rate: 1.0,
            layers: Layers::All,
            min_snr: Some(5.0),
            ..Recipe::default()
        };
        assert_eq!(with(given), Ok(expected));
        for (fields, message) in [
            (serde_json::json!({ "rank": 1.5 }), "rank is a whole number such as 8, 1.5 was given"),
            (serde_json::json!({ "steps": -3 }), "steps is a whole number such as 800, -3 was given"),
            (serde_json::json!({ "alpha": "8" }), "alpha is a number such as 8.0, \"8\" was given"),
            (serde_json::json!({ "flip": 1 }), "flip is true or false, 1 was given"),
            (serde_json::json!({ "layers": 3 }), "layers is a text such as \"attention\", 3 was given"),
            (
                serde_json::json!({ "layers": "some" }),
                "layers: unknown variant `some`, expected one of `attention`",
            ),
            (serde_json::json!({ "minSnr": "5" }), "minSnr is a number, or null, \"5\" was given"),
            (serde_json::json!({ "step": 3 }), "there is no \"step\", only "),
        ] {
            let refused = with(fields).expect_err(message);
            assert!(refused.starts_with(&format!("recipe: {message}")), "{refused}");
        }
        Ok(())
    }

    #[test]
    fn a_words_preset_learns_vectors_alone_and_more_of_them_on_a_toy() -> Result<()> {
        let large = ModelConfig::builtin("sd15")?;
        let mut toy = large.clone();
        let Denoiser::Unet(unet) = &mut toy.denoiser;
        unet.block_out_channels[0] = 64;
        for (config, vectors) in [(large, 4), (toy, 8)] {
            let mut recipe = Recipe::of(Preset::Word, &config);
            assert_eq!((recipe.vectors, recipe.layers, recipe.class_images), (vectors, Layers::None, 0));
            recipe.begin_as("an alien monster");
            assert_eq!(recipe.initial, "monster");
            recipe.check()?;
        }
        Ok(())
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let recipe = Recipe { steps: 110, warmup: 10, learning_rate: 1.0, ..Recipe::default() };
        let rates = [0, 4, 9, 10, 60, 109].map(|step| (recipe.rate("unet.x", step) * 1000.0).round());
        assert_eq!(rates, [100.0, 500.0, 1000.0, 1000.0, 500.0, 0.0]);
        let constant = Recipe { schedule: Schedule::Constant, ..recipe };
        assert_eq!(constant.rate("unet.x", 109), 1.0);
    }

    #[test]
    fn what_cannot_be_learnt_with_is_named() {
        let of = |recipe: Recipe| recipe.check().map_err(|error| error.to_string());
        assert_eq!(of(Recipe::default()), Ok(()));
        assert_eq!(
            of(Recipe { rank: 0, ..Recipe::default() }),
            Err("rank: 0 asked for, expected 1 to 128".to_string())
        );
        let fast = of(Recipe { learning_rate: f64::NAN, ..Recipe::default() });
        assert_eq!(fast, Err("learningRate: NaN asked for, expected 0.00000001 to 0.1".to_string()));
        let word = Recipe { layers: Layers::None, vectors: 2, class_images: 0, ..Recipe::default() };
        let named = |initial: &str| Recipe { initial: initial.to_string(), ..word.clone() };
        assert_eq!(of(named("cat")), Ok(()));
        let wrong = [
            (named(""), "initial: vectors begin as"),
            (Recipe { vectors: 40, ..named("cat") }, "vectors: 40 asked for, expected 0 to 32"),
            (Recipe { vectors: 0, ..named("cat") }, "layers: none learns"),
            (Recipe { layers: Layers::Linear, ..named("cat") }, "vectors: are learnt alone: with them"),
            (Recipe { text_encoder: true, ..named("cat") }, "vectors: are learnt alone: the text encoder"),
            (Recipe { class_images: 4, ..named("cat") }, "classImages: the network stays"),
        ];
        for (recipe, words) in wrong {
            let message = of(recipe).expect_err(words);
            assert!(message.starts_with(words), "{message}");
        }
    }
}
