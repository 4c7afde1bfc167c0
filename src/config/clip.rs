//! The CLIP text encoder's configuration (`text_encoder/config.json`).

use serde::{Deserialize, Serialize};

use super::check;
use crate::error::{Error, Result};

const FILE: &str = "text_encoder/config.json";

/// The text encoder: token and position embeddings, then causal transformer layers.
///
/// Defaults: transformers' `CLIPTextConfig`,
/// <https://huggingface.co/docs/transformers/model_doc/clip#transformers.CLIPTextConfig>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipTextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Tokens per chunk, start and end markers included.
    pub max_position_embeddings: usize,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    /// The token that fills its chunks, where that is another than the model's tokenizer names: the encoders of a model
    /// share one vocabulary, but Stable Diffusion XL's second is filled with `!`. Not in its own `config.json`; a folder's
    /// second tokenizer says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_token: Option<String>,
}

/// The activation between a transformer layer's two linear maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`: OpenAI's CLIP (SD 1).
    #[serde(rename = "quick_gelu")]
    QuickGelu,
    /// The exact, erf-based GELU: OpenCLIP (SD 2).
    #[serde(rename = "gelu")]
    Gelu,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        ClipTextConfig {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            pad_token: None,
        }
    }
}

impl ClipTextConfig {
    /// Reads transformers' `config.json`; a full CLIP configuration gives its `text_config`.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let mut value = check::parse(file, text)?;
        if let Some(inner) = value.get_mut("text_config") {
            value = inner.take();
        }
        if let Some(act) = value.get("hidden_act").and_then(|v| v.as_str())
            && !["quick_gelu", "gelu"].contains(&act)
        {
            return Err(Error::Unsupported {
                what: format!("hidden_act {act:?} ({file})"),
                message: "known activations are quick_gelu, gelu".to_string(),
            });
        }
        let config: ClipTextConfig = check::typed(file, value)?;
        config.check()?;
        Ok(config)
    }

    /// Values per attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self) -> Result<()> {
        check::within(FILE, "vocab_size", self.vocab_size, 1, 1 << 20)?;
        check::within(FILE, "hidden_size", self.hidden_size, 4, check::MAX_CHANNELS)?;
        check::within(FILE, "intermediate_size", self.intermediate_size, 4, 4 * check::MAX_CHANNELS)?;
        check::within(FILE, "num_hidden_layers", self.num_hidden_layers, 1, check::MAX_LAYERS)?;
        check::within(FILE, "num_attention_heads", self.num_attention_heads, 1, 256)?;
        check::within(FILE, "max_position_embeddings", self.max_position_embeddings, 3, 4096)?;
        check::multiple(
            FILE,
            "hidden_size",
            self.hidden_size,
            "num_attention_heads",
            self.num_attention_heads,
        )?;
        check::multiple(FILE, "intermediate_size", self.intermediate_size, "the vector width", 4)?;
        check::multiple(FILE, "hidden_size / num_attention_heads", self.head_dim(), "the vector width", 4)?;
        check::positive(FILE, "layer_norm_eps", self.layer_norm_eps, 1.0)
    }
}
