//! A ControlNet's names: those of a UNet's way down as lllyasviel's code has it (`cldm.py`), and its own.

use super::{Blocks, numbered, replaced, unwrapped};

/// What stands in front of every name, where anything does.
const START: &str = "control_model.";
/// A map's convolutions, with an activation between each two.
const HINT: &str = "input_hint_block.";
const ZERO: &str = "zero_convs.";
/// How diffusers' own names begin that no UNet has.
const CANONICAL: [&str; 3] =
    ["controlnet_cond_embedding.", "controlnet_down_blocks.", "controlnet_mid_block."];

/// What the names of one ControlNet are told by.
pub(super) struct Names {
    blocks: Blocks,
    /// The number of the map's last convolution.
    last: usize,
}

/// A name without what its file puts in front of it.
fn bare(name: &str) -> &str {
    let name = unwrapped(name);
    name.strip_prefix(START).unwrap_or(name)
}

/// Whether names are those of a ControlNet: it has what reads a map.
pub(super) fn is_control<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut hint = names.map(bare).map(|name| name.starts_with(HINT) || name.starts_with(CANONICAL[0]));
    hint.any(|found| found)
}

impl Names {
    /// From all names of a file.
    pub fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Names {
        let hints = names.clone().filter_map(|name| Some(numbered(HINT, bare(name))?.0));
        Names { last: hints.max().unwrap_or(0), blocks: Blocks::of(names.map(bare)) }
    }

    /// diffusers' name of a tensor.
    pub fn canonical(&self, name: &str) -> Option<String> {
        let name = bare(name);
        if CANONICAL.iter().any(|start| name.starts_with(start)) {
            return Some(name.to_string());
        }
        if let Some((number, rest)) = numbered(HINT, name) {
            return Some(match number {
                0 => format!("controlnet_cond_embedding.conv_in.{rest}"),
                last if last == self.last => format!("controlnet_cond_embedding.conv_out.{rest}"),
                number => format!("controlnet_cond_embedding.blocks.{}.{rest}", (number / 2).checked_sub(1)?),
            });
        }
        if let Some((number, rest)) = numbered(ZERO, name) {
            return Some(format!("controlnet_down_blocks.{number}.{}", rest.strip_prefix("0.")?));
        }
        replaced(name, &[("middle_block_out.0.", "controlnet_mid_block.")])
            .or_else(|| self.blocks.canonical(name))
    }
}
