//! The UNet's names: one running number over blocks, layers and resamplers, told apart by what is under each.

use super::{Numbered, numbered, replaced};

/// What stands at a running number.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    block: usize,
    layer: usize,
    /// The way to the next block begins here.
    resamples: bool,
}

/// Where each running number of a file is.
#[derive(Debug, Default)]
pub struct Blocks {
    down: Numbered<Place>,
    up: Numbered<Place>,
}

const DOWN: &str = "input_blocks.";
const UP: &str = "output_blocks.";
const MID: &str = "middle_block.";

/// How diffusers' own names begin, which some writers keep.
const CANONICAL: [&str; 7] = [
    "time_embedding.",
    "conv_in.",
    "conv_norm_out.",
    "conv_out.",
    "down_blocks.",
    "mid_block.",
    "up_blocks.",
];

/// What has no number that depends on the model's depth.
const FIXED: [(&str, &str); 6] = [
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("time_embed.cond_proj.", "time_embedding.cond_proj."),
    ("input_blocks.0.0.", "conv_in."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
];

/// The pieces of a residual layer.
const RESIDUAL: [(&str, &str); 6] = [
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
];

impl Blocks {
    /// From all names of a UNet.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Blocks {
        let mut blocks = Blocks::default();
        for name in names {
            if let Some((number, rest)) = numbered(DOWN, name) {
                blocks.down.entry(number).or_default().resamples |= rest.starts_with("0.op.");
            } else if let Some((number, rest)) = numbered(UP, name) {
                blocks.up.entry(number).or_default().resamples |= upsampler(rest).is_some();
            }
        }
        blocks.down.remove(&0); // the first convolution
        let (mut block, mut layer) = (0, 0);
        for place in blocks.down.values_mut() {
            (place.block, place.layer) = (block, layer);
            (block, layer) = if place.resamples { (block + 1, 0) } else { (block, layer + 1) };
        }
        (block, layer) = (0, 0);
        for place in blocks.up.values_mut() {
            (place.block, place.layer) = (block, layer);
            (block, layer) = if place.resamples { (block + 1, 0) } else { (block, layer + 1) };
        }
        blocks
    }

    /// diffusers' name of a tensor of the UNet.
    pub fn canonical(&self, name: &str) -> Option<String> {
        if CANONICAL.iter().any(|start| name.starts_with(start)) {
            return Some(name.to_string());
        }
        if let Some(name) = replaced(name, &FIXED) {
            return Some(name);
        }
        if let Some((number, rest)) = numbered(DOWN, name) {
            let Place { block, layer, .. } = self.down.get(&number)?;
            if let Some(rest) = rest.strip_prefix("0.op.") {
                return Some(format!("down_blocks.{block}.downsamplers.0.conv.{rest}"));
            }
            return Some(format!("down_blocks.{block}.{}", layer_of(*layer, rest)?));
        }
        if let Some((number, rest)) = numbered(UP, name) {
            let Place { block, layer, .. } = self.up.get(&number)?;
            if let Some(rest) = upsampler(rest) {
                return Some(format!("up_blocks.{block}.upsamplers.0.conv.{rest}"));
            }
            return Some(format!("up_blocks.{block}.{}", layer_of(*layer, rest)?));
        }
        let (number, rest) = numbered(MID, name)?;
        match number {
            0 | 2 => Some(format!("mid_block.resnets.{}.{}", number / 2, replaced(rest, &RESIDUAL)?)),
            1 => Some(format!("mid_block.attentions.0.{rest}")),
            _ => None,
        }
    }
}

/// A residual layer and the transformer behind it have one number.
fn layer_of(layer: usize, name: &str) -> Option<String> {
    match name.split_once('.')? {
        ("0", rest) => Some(format!("resnets.{layer}.{}", replaced(rest, &RESIDUAL)?)),
        ("1", rest) => Some(format!("attentions.{layer}.{rest}")),
        _ => None,
    }
}

/// An upsampler's convolution stands behind the transformer, or where there is none in its place.
fn upsampler(name: &str) -> Option<&str> {
    ["1.conv.", "2.conv."].iter().find_map(|start| name.strip_prefix(start))
}
