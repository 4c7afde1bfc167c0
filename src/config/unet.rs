//! The denoising UNet's configuration (`unet/config.json`).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::check::{self, Only};
use crate::error::Result;

const FILE: &str = "unet/config.json";

/// diffusers' `UNet2DConditionModel`, as far as Stable Diffusion 1.x and 2.x use it.
///
/// Defaults: <https://huggingface.co/docs/diffusers/api/models/unet2d-cond>; `sample_size` has none there and is
/// Stable Diffusion 1's 64 here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnetConfig {
    /// Native width and height of the latents.
    #[serde(deserialize_with = "sample_size")]
    pub sample_size: SampleSize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub flip_sin_to_cos: bool,
    pub freq_shift: i64,
    pub down_block_types: Vec<DownBlockType>,
    /// `None` where the way up begins right where the way down ends, as in small distilled models.
    pub mid_block_type: Option<MidBlockType>,
    pub up_block_types: Vec<UpBlockType>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: PerBlock<usize>,
    /// Transformer layers behind each residual layer of a block that attends; the mid block has the last one's.
    pub transformer_layers_per_block: PerBlock<usize>,
    /// The NUMBER of attention heads, whatever its name says: diffusers keeps the old mistake for compatibility,
    /// see <https://github.com/huggingface/diffusers/issues/2011>.
    pub attention_head_dim: PerBlock<usize>,
    #[serde(deserialize_with = "check::uniform")]
    pub cross_attention_dim: usize,
    pub norm_num_groups: usize,
    pub norm_eps: f64,
    pub use_linear_projection: bool,
    /// Width of the embedding of the guidance scale, where the model was distilled to follow one (LCM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_cond_proj_dim: Option<usize>,
}

/// The size of the latents a model was trained on, as diffusers writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SampleSize {
    Square(usize),
    /// `[height, width]`
    Rectangle([usize; 2]),
}

impl SampleSize {
    pub fn width(self) -> usize {
        let (SampleSize::Square(width) | SampleSize::Rectangle([_, width])) = self;
        width
    }

    pub fn height(self) -> usize {
        let (SampleSize::Square(height) | SampleSize::Rectangle([height, _])) = self;
        height
    }
}

/// A block on the way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownBlockType {
    #[serde(rename = "DownBlock2D")]
    Down,
    #[serde(rename = "CrossAttnDownBlock2D")]
    CrossAttnDown,
}

/// A block on the way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpBlockType {
    #[serde(rename = "UpBlock2D")]
    Up,
    #[serde(rename = "CrossAttnUpBlock2D")]
    CrossAttnUp,
}

/// The block at the bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MidBlockType {
    #[serde(rename = "UNetMidBlock2DCrossAttn")]
    CrossAttn,
}

/// One value for every block, or one per block, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerBlock<T> {
    All(T),
    Each(Vec<T>),
}

impl<T: Copy> PerBlock<T> {
    /// The value of one block; past the end of a list, its last.
    pub fn get(&self, block: usize) -> Option<T> {
        match self {
            PerBlock::All(value) => Some(*value),
            PerBlock::Each(values) => values.get(block).or(values.last()).copied(),
        }
    }
}

impl Default for UnetConfig {
    fn default() -> Self {
        use {DownBlockType::*, UpBlockType::*};
        UnetConfig {
            sample_size: SampleSize::Square(64),
            in_channels: 4,
            out_channels: 4,
            flip_sin_to_cos: true,
            freq_shift: 0,
            down_block_types: vec![CrossAttnDown, CrossAttnDown, CrossAttnDown, Down],
            mid_block_type: Some(MidBlockType::CrossAttn),
            up_block_types: vec![Up, CrossAttnUp, CrossAttnUp, CrossAttnUp],
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerBlock::All(2),
            transformer_layers_per_block: PerBlock::All(1),
            attention_head_dim: PerBlock::All(8),
            cross_attention_dim: 1280,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            use_linear_projection: false,
            time_cond_proj_dim: None,
        }
    }
}

impl UnetConfig {
    /// Reads diffusers' `config.json`, refusing what the engine has no kernels for.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let value = check::parse(file, text)?;
        refuse_unsupported(file, &value)?;
        let config: UnetConfig = check::typed(file, value)?;
        config.check()?;
        Ok(config)
    }

    /// Attention heads of a down block (the mid block has the last one's, up blocks count backwards).
    pub fn heads(&self, block: usize) -> usize {
        self.attention_head_dim.get(block).unwrap_or(1)
    }

    /// ResNet layers of a down block; the matching up block has one more.
    pub fn layers(&self, block: usize) -> usize {
        self.layers_per_block.get(block).unwrap_or(1)
    }

    /// Transformer layers of each attention of a down block; the matching up block has as many.
    pub fn depth(&self, block: usize) -> usize {
        self.transformer_layers_per_block.get(block).unwrap_or(1)
    }

    /// Width of the time embedding after its MLP.
    pub fn time_embed_dim(&self) -> usize {
        4 * self.block_out_channels.first().copied().unwrap_or(0)
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self) -> Result<()> {
        check::within(FILE, "out_channels", self.out_channels, 1, 64)?;
        check::multiple(FILE, "out_channels", self.out_channels, "the vector width", 4)?;
        self.check_down()?;
        self.check_list("up_block_types", self.up_block_types.len())
    }

    /// Those of the way down and of the mid block.
    pub(super) fn check_down(&self) -> Result<()> {
        for side in [self.sample_size.width(), self.sample_size.height()] {
            check::within(FILE, "sample_size", side, 1, 4096)?;
        }
        check::within(FILE, "in_channels", self.in_channels, 1, 64)?;
        check::within(FILE, "norm_num_groups", self.norm_num_groups, 1, 1024)?;
        check::positive(FILE, "norm_eps", self.norm_eps, 1.0)?;
        check::within(FILE, "cross_attention_dim", self.cross_attention_dim, 4, check::MAX_CHANNELS)?;
        check::multiple(FILE, "cross_attention_dim", self.cross_attention_dim, "the vector width", 4)?;
        if let Some(width) = self.time_cond_proj_dim {
            check::within(FILE, "time_cond_proj_dim", width, 4, check::MAX_CHANNELS)?;
            check::multiple(FILE, "time_cond_proj_dim", width, "the vector width", 4)?;
        }
        if self.freq_shift != 0 && self.freq_shift != 1 {
            return Err(check::bad(FILE, format!("freq_shift is {}, expected 0 or 1", self.freq_shift)));
        }
        check::channels(FILE, "block_out_channels", &self.block_out_channels, self.norm_num_groups)?;
        self.check_lists()?;
        self.check_blocks()
    }

    /// Every per-block list has as many entries as there are blocks.
    fn check_lists(&self) -> Result<()> {
        let mut lists = vec![("down_block_types", self.down_block_types.len())];
        for (field, values) in [
            ("layers_per_block", &self.layers_per_block),
            ("transformer_layers_per_block", &self.transformer_layers_per_block),
            ("attention_head_dim", &self.attention_head_dim),
        ] {
            if let PerBlock::Each(values) = values {
                lists.push((field, values.len()));
            }
        }
        lists.into_iter().try_for_each(|(field, len)| self.check_list(field, len))
    }

    fn check_list(&self, field: &str, len: usize) -> Result<()> {
        let blocks = self.block_out_channels.len();
        if len == blocks {
            return Ok(());
        }
        let field = format!("the length of {field}");
        Err(check::mismatch(FILE, (&field, len), ("the length of block_out_channels", blocks)))
    }

    /// Layers and heads of each block.
    fn check_blocks(&self) -> Result<()> {
        for (block, &channels) in self.block_out_channels.iter().enumerate() {
            let heads = self.heads(block);
            for (field, layers) in [
                ("layers_per_block", self.layers(block)),
                ("transformer_layers_per_block", self.depth(block)),
            ] {
                check::within(FILE, &format!("{field}[{block}]"), layers, 1, check::MAX_LAYERS)?;
            }
            check::within(FILE, &format!("attention_head_dim[{block}]"), heads, 1, 256)?;
            check::multiple(
                FILE,
                &format!("block_out_channels[{block}]"),
                channels,
                "the number of heads (attention_head_dim)",
                heads,
            )?;
            let field = format!("block_out_channels[{block}] / heads");
            check::multiple(FILE, &field, channels / heads, "the vector width", 4)?;
        }
        Ok(())
    }
}

/// `null` asks for the default.
fn sample_size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<SampleSize, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(UnetConfig::default().sample_size))
}

/// Refuses fields of `unet/config.json` that ask for another topology than Stable Diffusion 1.x and 2.x have.
pub fn refuse_unsupported(file: &str, value: &Value) -> Result<()> {
    const CLASS: &str = "class and added embeddings (SDXL, upscalers, unCLIP) have no path";
    const TOPOLOGY: &str = "only the topology of Stable Diffusion 1.x and 2.x is implemented";
    const TABLE: &[Only] = &[
        Only { field: "_class_name", accepted: &["\"UNet2DConditionModel\""], why: TOPOLOGY },
        Only { field: "act_fn", accepted: &["\"silu\"", "\"swish\""], why: "ResNet blocks use SiLU" },
        Only { field: "class_embed_type", accepted: &[], why: CLASS },
        Only { field: "num_class_embeds", accepted: &[], why: CLASS },
        Only { field: "projection_class_embeddings_input_dim", accepted: &[], why: CLASS },
        Only { field: "class_embeddings_concat", accepted: &["false"], why: CLASS },
        Only { field: "addition_embed_type", accepted: &[], why: CLASS },
        Only { field: "addition_time_embed_dim", accepted: &[], why: CLASS },
        Only { field: "encoder_hid_dim", accepted: &[], why: TOPOLOGY },
        Only { field: "encoder_hid_dim_type", accepted: &[], why: TOPOLOGY },
        Only { field: "dual_cross_attention", accepted: &["false"], why: TOPOLOGY },
        Only { field: "only_cross_attention", accepted: &["false"], why: TOPOLOGY },
        Only { field: "mid_block_only_cross_attention", accepted: &["false"], why: TOPOLOGY },
        Only { field: "mid_block_type", accepted: &["\"UNetMidBlock2DCrossAttn\""], why: TOPOLOGY },
        Only { field: "cross_attention_norm", accepted: &[], why: TOPOLOGY },
        Only { field: "attention_type", accepted: &["\"default\""], why: TOPOLOGY },
        Only { field: "reverse_transformer_layers_per_block", accepted: &[], why: TOPOLOGY },
        Only { field: "center_input_sample", accepted: &["false"], why: TOPOLOGY },
        Only { field: "downsample_padding", accepted: &["1"], why: TOPOLOGY },
        Only { field: "mid_block_scale_factor", accepted: &["1", "1.0"], why: TOPOLOGY },
        Only { field: "resnet_time_scale_shift", accepted: &["\"default\""], why: TOPOLOGY },
        Only { field: "resnet_skip_time_act", accepted: &["false"], why: TOPOLOGY },
        Only { field: "resnet_out_scale_factor", accepted: &["1", "1.0"], why: TOPOLOGY },
        Only { field: "time_embedding_type", accepted: &["\"positional\""], why: TOPOLOGY },
        Only { field: "time_embedding_dim", accepted: &[], why: TOPOLOGY },
        Only { field: "time_embedding_act_fn", accepted: &[], why: TOPOLOGY },
        Only { field: "timestep_post_act", accepted: &[], why: TOPOLOGY },
        Only { field: "conv_in_kernel", accepted: &["3"], why: TOPOLOGY },
        Only { field: "conv_out_kernel", accepted: &["3"], why: TOPOLOGY },
        Only { field: "num_attention_heads", accepted: &[], why: "diffusers itself refuses this field" },
    ];
    check::refuse(file, value, TABLE)?;
    check::refuse_blocks(file, value, "down_block_types", &["DownBlock2D", "CrossAttnDownBlock2D"])?;
    check::refuse_blocks(file, value, "up_block_types", &["UpBlock2D", "CrossAttnUpBlock2D"])
}
