//! The tiny autoencoder (TAESD): diffusers' names, those of its author, and its configuration told from shapes.
//!
//! <https://github.com/madebyollin/taesd>: either half is a sequence whose layers are counted from 0, in a file of its own. The
//! decoder's begins with a layer without weights, which diffusers does not count.

use super::infer::Shapes;
use super::numbered;
use crate::config::TaesdConfig;
use crate::error::Result;

/// The halves of an autoencoder.
const HALVES: [&str; 2] = ["encoder", "decoder"];

/// Whether an autoencoder of these names is a tiny one.
pub fn is_tiny<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> bool {
    let is_kl = |name: &str| HALVES.iter().any(|half| name.starts_with(&format!("{half}.conv_in.")));
    !names.clone().any(is_kl) && names.any(|name| own(name).is_some() || half_alone(name).is_some())
}

/// diffusers' name of a tensor of a tiny autoencoder; of a file that has one half alone, with the half that it is.
pub fn canonical(name: &str, half: Option<&str>) -> Option<String> {
    if let Some(half) = half {
        return layer(half, half_alone(name)?);
    }
    let (half, (number, rest)) = own(name)?;
    match name[half.len() + 1..].starts_with("layers.") {
        true => Some(name.to_string()),
        false => layer(half, (number, rest)),
    }
}

/// Which half a file is that has one alone, by the first layer of the encoder: the decoder's first has no weights.
pub fn half_of<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> Option<&'static str> {
    names.clone().all(|name| half_alone(name).is_some()).then(|| {
        let encodes = names.any(|name| name == "0.weight");
        HALVES[usize::from(!encodes)]
    })
}

/// A name with its half: `decoder.layers.3.conv.0.weight`, or `decoder.4.conv.0.weight` as the author counts.
fn own(name: &str) -> Option<(&'static str, (usize, &str))> {
    HALVES.into_iter().find_map(|half| {
        let rest = name.strip_prefix(half)?.strip_prefix('.')?;
        Some((half, half_alone(rest.strip_prefix("layers.").unwrap_or(rest))?))
    })
}

/// `4.conv.0.weight`
fn half_alone(name: &str) -> Option<(usize, &str)> {
    numbered("", name).filter(|(_, rest)| {
        ["weight", "bias"].contains(rest) || rest.starts_with("conv.") || rest.starts_with("skip.")
    })
}

/// diffusers' name of a layer that its author counts.
fn layer(half: &str, (number, rest): (usize, &str)) -> Option<String> {
    let number = if half == HALVES[1] { number.checked_sub(1)? } else { number };
    Some(format!("{half}.layers.{number}.{rest}"))
}

/// The configuration of one whose tensors hang at `vae`.
pub fn config(shapes: &Shapes) -> Result<TaesdConfig> {
    let [(encoder_block_out_channels, num_encoder_blocks), (decoder_block_out_channels, num_decoder_blocks)] =
        [encoder(shapes)?, decoder(shapes)?];
    Ok(TaesdConfig {
        latent_channels: shapes.dim("vae.decoder.layers.0.weight", 1)?,
        encoder_block_out_channels,
        decoder_block_out_channels,
        num_encoder_blocks,
        num_decoder_blocks,
        ..TaesdConfig::default()
    })
}

/// Widths and numbers of blocks of each stage.
type Stages = (Vec<usize>, Vec<usize>);

/// A convolution and blocks, stage by stage; at its end a convolution to the latents, which has a bias.
fn encoder(shapes: &Shapes) -> Result<Stages> {
    let name = |layer: usize, rest: &str| format!("vae.encoder.layers.{layer}.{rest}");
    let (mut stages, mut layer) = (Stages::default(), 0);
    loop {
        stages.0.push(shapes.dim(&name(layer, "weight"), 0)?);
        let blocks = shapes.count(|block| name(layer + 1 + block, "conv.0.weight"));
        stages.1.push(blocks);
        layer += 1 + blocks;
        if !shapes.has(&name(layer, "weight")) || shapes.has(&name(layer, "bias")) {
            return Ok(stages);
        }
    }
}

/// Blocks, an enlarging and a convolution, stage by stage, behind a convolution and its activation; at its end one to colours.
fn decoder(shapes: &Shapes) -> Result<Stages> {
    let name = |layer: usize, rest: &str| format!("vae.decoder.layers.{layer}.{rest}");
    let (mut stages, mut layer, mut width) =
        (Stages::default(), 2, shapes.dim("vae.decoder.layers.0.weight", 0)?);
    loop {
        let blocks = shapes.count(|block| name(layer + block, "conv.0.weight"));
        stages.0.push(width);
        stages.1.push(blocks);
        layer += blocks + 1;
        if !shapes.has(&name(layer, "weight")) {
            return Ok(stages);
        }
        width = shapes.dim(&name(layer, "weight"), 0)?;
        layer += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_layers_are_diffusers() {
        for (name, half, expected) in [
            ("0.weight", Some("encoder"), Some("encoder.layers.0.weight")),
            ("14.bias", Some("encoder"), Some("encoder.layers.14.bias")),
            ("1.weight", Some("decoder"), Some("decoder.layers.0.weight")),
            ("3.conv.0.weight", Some("decoder"), Some("decoder.layers.2.conv.0.weight")),
            ("decoder.19.bias", None, Some("decoder.layers.18.bias")),
            ("encoder.1.conv.4.bias", None, Some("encoder.layers.1.conv.4.bias")),
            ("decoder.layers.3.conv.0.weight", None, Some("decoder.layers.3.conv.0.weight")),
            ("decoder.conv_in.weight", None, None),
            ("conv_in.weight", Some("decoder"), None),
            ("0.weight", Some("decoder"), None),
        ] {
            assert_eq!(canonical(name, half).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_half_is_known_by_its_first_layer() {
        let of = |names: &[&'static str]| half_of(names.iter().copied());
        assert_eq!(of(&["1.conv.0.weight", "0.weight"]), Some("encoder"));
        assert_eq!(of(&["1.weight", "3.conv.0.weight"]), Some("decoder"));
        assert_eq!(of(&["0.weight", "encoder.conv_in.weight"]), None);
        let tiny = |names: &[&'static str]| is_tiny(names.iter().copied());
        assert!(tiny(&["decoder.layers.0.weight"]) && tiny(&["1.weight"]));
        assert!(!tiny(&["decoder.conv_in.weight", "decoder.layers.0.weight"]) && !tiny(&["conv_in.weight"]));
    }
}
