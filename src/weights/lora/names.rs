//! What tensors of a LoRA are called, and which layer of a model each belongs to.
//!
//! kohya's networks and LyCORIS's name a layer by its path with underscores (`lora_unet_down_blocks_0_…`), diffusers and PEFT
//! by its path with points, diffusers before 0.16 by its attention processor (`…attn1.processor.to_q_lora.down.weight`).
//! Underscores cannot be undone, so a model's own paths are flattened and looked up; kohya's may be CompVis's paths too
//! (`lora_unet_input_blocks_…`). cloneofsimo's files of 2022 number the layers (`unet:12:up`), in the order in which diffusers'
//! modules were walked then.

use std::collections::{HashMap, HashSet};

use super::Factor;

/// How a tensor's name ends, and what it is then; of those that fit the longest counts.
const ENDINGS: [(&str, Factor); 40] = [
    (".lora_linear_layer.down.weight", Factor::Down),
    (".lora_linear_layer.up.weight", Factor::Up),
    ("_lora.down.weight", Factor::Down),
    ("_lora.up.weight", Factor::Up),
    (".lora.down.weight", Factor::Down),
    (".lora.up.weight", Factor::Up),
    (".lora_A.default.weight", Factor::Down),
    (".lora_B.default.weight", Factor::Up),
    (".lora_A.weight", Factor::Down),
    (".lora_B.weight", Factor::Up),
    (".lora_down.weight", Factor::Down),
    (".lora_up.weight", Factor::Up),
    (".lora_mid.weight", Factor::Middle),
    (".alpha", Factor::Alpha),
    (".diff_b", Factor::BiasDifference),
    (".diff", Factor::Difference),
    (".hada_w1_a", Factor::FirstUp),
    (".hada_w1_b", Factor::FirstDown),
    (".hada_w2_a", Factor::SecondUp),
    (".hada_w2_b", Factor::SecondDown),
    (".lokr_w1", Factor::First),
    (".lokr_w1_a", Factor::FirstUp),
    (".lokr_w1_b", Factor::FirstDown),
    (".lokr_w2", Factor::Second),
    (".lokr_w2_a", Factor::SecondUp),
    (".lokr_w2_b", Factor::SecondDown),
    (".lora.alpha", Factor::Alpha),
    (".hada_t1", Factor::FirstMiddle),
    (".hada_t2", Factor::SecondMiddle),
    (".lokr_t2", Factor::SecondMiddle),
    (".dora_scale", Factor::Magnitude),
    (".lora_magnitude_vector", Factor::Magnitude),
    (".lora_magnitude_vector.weight", Factor::Magnitude),
    (".lora_magnitude_vector.default.weight", Factor::Magnitude),
    (".w_norm", Factor::Difference),
    (".b_norm", Factor::BiasDifference),
    (":down", Factor::Down),
    (":up", Factor::Up),
    (GATE, Factor::Gate),
    (ON_INPUT, Factor::Side),
];

/// How (IA)³'s numbers are called: as any layer's, beside what says on which side they are ([`ON_INPUT`]).
const GATE: &str = ".weight";
pub const ON_INPUT: &str = ".on_input";

/// Beginnings of names, and the component that they stand for; kohya's first.
const BEGINNINGS: [(&str, &str); 12] = [
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te_", "text_encoder"),
    ("lycoris_unet_", "unet"),
    ("lycoris_te_", "text_encoder"),
    ("base_model.model.unet.", "unet"),
    ("base_model.model.text_encoder.", "text_encoder"),
    ("unet.", "unet"),
    ("text_encoder.", "text_encoder"),
    ("base_model.model.text_model.", "text_encoder"),
    ("text_model.", "text_encoder"),
    ("base_model.model.", "unet"),
];

/// The layer that a tensor belongs to, as the file calls it, and what it is of its change. `gated` layers are (IA)³'s.
pub fn split<'a>(name: &'a str, gated: &HashSet<String>) -> Option<(&'a str, Factor)> {
    let found = ENDINGS.iter().filter_map(|(end, factor)| Some((name.strip_suffix(end)?, *factor)));
    let (layer, factor) = found.min_by_key(|(layer, _)| layer.len())?;
    (factor != Factor::Gate || gated.contains(layer)).then_some((layer, factor))
}

/// Within a block of a transformer, the layers in cloneofsimo's order: of the UNet, and of the text encoder.
const WALKED: [&[&str]; 2] = [
    &[
        "attn1.to_q",
        "attn1.to_k",
        "attn1.to_v",
        "attn1.to_out.0",
        "ff.net.0.proj",
        "attn2.to_q",
        "attn2.to_k",
        "attn2.to_v",
        "attn2.to_out.0",
    ],
    &["self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"],
];

/// The layers of a model, by what a LoRA may call them.
pub struct Layers {
    by_name: HashMap<String, String>,
    /// Those of UNet and text encoder that have numbers.
    walked: [Vec<String>; 2],
    /// Residual layers of a block on the way down.
    layers: usize,
}

impl Layers {
    /// Of the canonical names of its tensors.
    pub fn new<'a>(tensors: impl Iterator<Item = &'a str>) -> Layers {
        let paths: Vec<&str> = tensors.filter_map(|name| name.strip_suffix(".weight")).collect();
        let walked = ["unet.", "text_encoder."].map(|component| {
            let of = |path: &&&str| path.starts_with(component);
            let mut places: Vec<_> =
                paths.iter().filter(of).filter_map(|path| Some((walk(path)?, *path))).collect();
            places.sort_unstable();
            places.into_iter().map(|(_, path)| path.to_string()).collect()
        });
        let number = |path: &&str| {
            path.strip_prefix("unet.down_blocks.0.resnets.")?.split('.').next()?.parse::<usize>().ok()
        };
        let layers = paths.iter().filter_map(number).max().map_or(2, |last| last + 1);
        let by_name = paths.iter().map(|path| (flat(path), path.to_string())).collect();
        Layers { by_name, walked, layers }
    }

    /// The canonical path of a layer that a file calls so.
    pub fn find(&self, layer: &str) -> Option<&str> {
        if let Some((component, number)) = layer.split_once(':') {
            let walked = &self.walked[["unet", "text_encoder"].iter().position(|name| *name == component)?];
            return walked.get(number.parse::<usize>().ok()?).map(String::as_str);
        }
        let (component, path) = BEGINNINGS
            .iter()
            .find_map(|(begin, to)| Some((*to, layer.strip_prefix(begin)?)))
            .unwrap_or(("unet", layer));
        let path = path.replace(".processor.", ".").replace("_processor_", "_");
        let path = match path.strip_suffix(".to_out").or(path.strip_suffix("_to_out")) {
            Some(before) => format!("{before}.to_out.0"),
            None => path,
        };
        // transformers 5 leaves out `text_model.`.
        let flattened = flat(&path);
        let named = |between: &str, path: &str| self.by_name.get(&format!("{component}_{between}{path}"));
        let compvis = || named("", &compvis(&flattened, self.layers)?);
        named("", &flattened)
            .or_else(|| named("text_model_", &flattened))
            .or_else(compvis)
            .map(String::as_str)
    }
}

/// Where cloneofsimo's walk comes to a layer: down, up, middle, and in each block by block. `None`: it does not.
fn walk(path: &str) -> Option<[usize; 5]> {
    let mut numbers = path.split('.').filter_map(|word| word.parse::<usize>().ok());
    let mut next = || numbers.next();
    let place = |list: &[&str], inner: &str| list.iter().position(|layer| *layer == inner);
    if let Some((_, inner)) = path.split_once(".encoder.layers.") {
        return Some([0, next()?, 0, 0, place(WALKED[1], inner.split_once('.')?.1)?]);
    }
    let (before, inner) = path.split_once(".transformer_blocks.")?;
    let part = ["unet.down_blocks.", "unet.up_blocks.", "unet.mid_block."]
        .iter()
        .position(|part| before.starts_with(part))?;
    let block = if part == 2 { 0 } else { next()? };
    let layer = place(WALKED[0], inner.split_once('.')?.1)?;
    Some([part, block, next()?, next()?, layer])
}

/// diffusers' name of a layer that CompVis calls so, both without points. `layers`: residual ones of a block on the way down.
fn compvis(path: &str, layers: usize) -> Option<String> {
    /// What CompVis calls the pieces of a residual layer, and what has no number.
    const PIECES: [(&str, &str); 4] = [
        ("in_layers_2", "conv1"),
        ("emb_layers_1", "time_emb_proj"),
        ("out_layers_3", "conv2"),
        ("skip_connection", "conv_shortcut"),
    ];
    const FIXED: [(&str, &str); 4] = [
        ("time_embed_0", "time_embedding_linear_1"),
        ("time_embed_2", "time_embedding_linear_2"),
        ("input_blocks_0_0", "conv_in"),
        ("out_2", "conv_out"),
    ];
    if let Some((_, name)) = FIXED.iter().find(|(name, _)| *name == path) {
        return Some((*name).to_string());
    }
    let number = |text: &str| -> Option<(usize, String)> {
        let (number, rest) = text.split_once('_')?;
        Some((number.parse().ok()?, rest.to_string()))
    };
    let residual = |piece: &str| PIECES.iter().find(|(name, _)| *name == piece).map(|(_, name)| *name);
    if let Some(rest) = path.strip_prefix("middle_block_") {
        return match number(rest)? {
            (1, rest) => Some(format!("mid_block_attentions_0_{rest}")),
            (at @ (0 | 2), rest) => Some(format!("mid_block_resnets_{}_{}", at / 2, residual(&rest)?)),
            _ => None,
        };
    }
    let (way, rest, per) = match (path.strip_prefix("input_blocks_"), path.strip_prefix("output_blocks_")) {
        (Some(rest), _) => ("down", rest, layers + 1),
        (_, Some(rest)) => ("up", rest, layers + 1),
        _ => return None,
    };
    let (running, rest) = number(rest)?;
    let (at, rest) = number(&rest)?;
    let running = if way == "down" { running.checked_sub(1)? } else { running };
    let (block, layer) = (running / per, running % per);
    Some(match (at, rest.as_str()) {
        (0, "op") => format!("down_blocks_{block}_downsamplers_0_conv"),
        (1 | 2, "conv") => format!("up_blocks_{block}_upsamplers_0_conv"),
        (0, piece) => format!("{way}_blocks_{block}_resnets_{layer}_{}", residual(piece)?),
        (1, inner) => format!("{way}_blocks_{block}_attentions_{layer}_{inner}"),
        _ => return None,
    })
}

fn flat(path: &str) -> String {
    path.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each layer of Stable Diffusion's UNet of that name: <https://github.com/CompVis/stable-diffusion>.
    #[test]
    fn compvis_s_paths_are_known() {
        for (theirs, ours) in [
            ("input_blocks_0_0", Some("conv_in")),
            ("input_blocks_1_0_in_layers_2", Some("down_blocks_0_resnets_0_conv1")),
            ("input_blocks_3_0_op", Some("down_blocks_0_downsamplers_0_conv")),
            ("input_blocks_8_1_proj_in", Some("down_blocks_2_attentions_1_proj_in")),
            ("input_blocks_11_0_skip_connection", Some("down_blocks_3_resnets_1_conv_shortcut")),
            ("middle_block_1_proj_out", Some("mid_block_attentions_0_proj_out")),
            ("middle_block_2_out_layers_3", Some("mid_block_resnets_1_conv2")),
            ("output_blocks_2_1_conv", Some("up_blocks_0_upsamplers_0_conv")),
            ("output_blocks_5_2_conv", Some("up_blocks_1_upsamplers_0_conv")),
            ("output_blocks_9_0_emb_layers_1", Some("up_blocks_3_resnets_0_time_emb_proj")),
            (
                "output_blocks_11_1_transformer_blocks_0_ff_net_2",
                Some("up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2"),
            ),
            ("time_embed_2", Some("time_embedding_linear_2")),
            ("out_2", Some("conv_out")),
            ("input_blocks_x_0_op", None),
            ("output_blocks_3", None),
        ] {
            assert_eq!(compvis(theirs, 2).as_deref(), ours, "{theirs}");
        }
    }

    #[test]
    fn each_habit_names_the_same_layers() {
        let layers = Layers::new(
            [
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q.weight",
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.weight",
                "text_encoder.text_model.encoder.layers.11.self_attn.q_proj.weight",
                "unet.conv_in.weight",
            ]
            .into_iter(),
        );
        let path = |name: &str| {
            let (layer, factor) = split(name, &HashSet::new())?;
            Some((layers.find(layer)?.to_string(), factor))
        };
        let query = "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q";
        let out = "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0";
        let text = "text_encoder.text_model.encoder.layers.11.self_attn.q_proj";
        for (name, expected, factor) in [
            (
                "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q.lora_down.weight",
                query,
                Factor::Down,
            ),
            (
                "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0.alpha",
                out,
                Factor::Alpha,
            ),
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q.lora_B.weight",
                query,
                Factor::Up,
            ),
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
                query,
                Factor::Down,
            ),
            (
                "down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
                out,
                Factor::Up,
            ),
            (
                "base_model.model.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q.lora_A.weight",
                query,
                Factor::Down,
            ),
            ("lora_te_text_model_encoder_layers_11_self_attn_q_proj.lora_up.weight", text, Factor::Up),
            ("lora_te1_text_model_encoder_layers_11_self_attn_q_proj.hada_w1_a", text, Factor::FirstUp),
            ("text_encoder.encoder.layers.11.self_attn.q_proj.lora_A.weight", text, Factor::Down),
            (
                "text_encoder.text_model.encoder.layers.11.self_attn.q_proj.lora_linear_layer.up.weight",
                text,
                Factor::Up,
            ),
            ("lora_unet_conv_in.lokr_w2_b", "unet.conv_in", Factor::SecondDown),
            ("lora_unet_conv_in.diff_b", "unet.conv_in", Factor::BiasDifference),
        ] {
            assert_eq!(path(name), Some((expected.to_string(), factor)), "{name}");
        }
        assert_eq!(path("lora_unet_conv_out.lora_up.weight"), None);
        assert_eq!(split("unet.conv_in.weight", &HashSet::new()), None);
        let gated = HashSet::from(["lora_unet_conv_in".to_string()]);
        assert_eq!(split("lora_unet_conv_in.weight", &gated), Some(("lora_unet_conv_in", Factor::Gate)));
        assert_eq!(path("unet:0:up"), Some((query.to_string(), Factor::Up)));
        assert_eq!(
            path("unet:1:down"),
            Some((out.to_string(), Factor::Down)),
            "of these, the second in the walk"
        );
        assert_eq!(path("text_encoder:0:down"), Some((text.to_string(), Factor::Down)));
        assert_eq!(path("unet:2:up"), None);
        assert_eq!(
            path("lora_unet_input_blocks_2_1_transformer_blocks_0_attn1_to_q.lora_down.weight"),
            Some((query.to_string(), Factor::Down))
        );
    }
}
