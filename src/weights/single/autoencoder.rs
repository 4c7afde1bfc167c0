//! The autoencoder's names: the way up is counted from the picture's side.

use super::{Numbered, numbered, replaced, tiny};

/// How many stages the decoder has.
#[derive(Debug, Default)]
pub struct Stages {
    up: Numbered<()>,
    /// It is a tiny one, which has no such stages.
    is_tiny: bool,
    /// The half of a tiny one that a file has alone.
    half: Option<&'static str>,
}

/// How diffusers' own names of either half begin, which some writers keep.
const CANONICAL: [&str; 4] = ["down_blocks.", "mid_block.", "up_blocks.", "conv_norm_out."];
const FIXED: [(&str, &str); 4] = [
    ("conv_in.", "conv_in."),
    ("conv_out.", "conv_out."),
    ("norm_out.", "conv_norm_out."),
    ("mid.", "mid_block."),
];
const MID: [(&str, &str); 3] =
    [("block_1.", "resnets.0."), ("block_2.", "resnets.1."), ("attn_1.", "attentions.0.")];
const ATTENTION: [(&str, &str); 5] =
    [("norm.", "group_norm."), ("q.", "to_q."), ("k.", "to_k."), ("v.", "to_v."), ("proj_out.", "to_out.0.")];
const RESIDUAL: [(&str, &str); 1] = [("nin_shortcut.", "conv_shortcut.")];

impl Stages {
    /// From all names of an autoencoder.
    pub fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Stages {
        Stages {
            is_tiny: tiny::is_tiny(names.clone()),
            half: tiny::half_of(names.clone()),
            up: names.filter_map(|name| Some((numbered("decoder.up.", name)?.0, ()))).collect(),
        }
    }

    /// diffusers' name of a tensor of the autoencoder.
    pub fn canonical(&self, name: &str) -> Option<String> {
        if self.is_tiny {
            return tiny::canonical(name, self.half);
        }
        if name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.") {
            return Some(name.to_string());
        }
        let (half, rest) = name.split_once('.')?;
        if ["encoder", "decoder"].contains(&half) && CANONICAL.iter().any(|start| rest.starts_with(start)) {
            return Some(name.to_string());
        }
        // One that lies beside it is for previews.
        if rest.starts_with("layers.") {
            return None;
        }
        let rest = match half {
            "encoder" => self.half(rest, "down.", "down_blocks", "downsample.", "downsamplers.0.")?,
            "decoder" => self.half(rest, "up.", "up_blocks", "upsample.", "upsamplers.0.")?,
            _ => return None,
        };
        Some(format!("{half}.{rest}"))
    }

    fn half(
        &self,
        name: &str,
        stages: &str,
        blocks: &str,
        resample: &str,
        resamplers: &str,
    ) -> Option<String> {
        if let Some((stage, rest)) = numbered(stages, name) {
            let block =
                if stages == "up." { self.up.len().checked_sub(1)?.checked_sub(stage)? } else { stage };
            let rest = match rest.strip_prefix(resample) {
                Some(rest) => format!("{resamplers}{rest}"),
                None => {
                    let (layer, rest) = numbered("block.", rest)?;
                    format!("resnets.{layer}.{}", residual(rest))
                }
            };
            return Some(format!("{blocks}.{block}.{rest}"));
        }
        let name = replaced(name, &FIXED)?;
        let Some(mid) = name.strip_prefix("mid_block.") else { return Some(name) };
        let mid = replaced(mid, &MID)?;
        let mid = match mid.strip_prefix("attentions.0.") {
            Some(rest) => format!("attentions.0.{}", replaced(rest, &ATTENTION)?),
            None => replaced_behind(&mid, "resnets.0.").or_else(|| replaced_behind(&mid, "resnets.1."))?,
        };
        Some(format!("mid_block.{mid}"))
    }
}

fn residual(name: &str) -> String {
    replaced(name, &RESIDUAL).unwrap_or_else(|| name.to_string())
}

fn replaced_behind(name: &str, start: &str) -> Option<String> {
    Some(format!("{start}{}", residual(name.strip_prefix(start)?)))
}
