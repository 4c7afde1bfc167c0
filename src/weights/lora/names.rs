//! What tensors of a LoRA are called, and which layer of a model each belongs to.
//!
//! kohya's networks and LyCORIS's name a layer by its path with underscores (`lora_unet_down_blocks_0_…`), diffusers and PEFT
//! by its path with points, diffusers before 0.16 by its attention processor (`…attn1.processor.to_q_lora.down.weight`).
//! Underscores cannot be undone, so a model's own paths are flattened and looked up.

use std::collections::HashMap;

use super::Factor;

/// How a tensor's name ends, and what it is then; of those that fit the longest counts.
const ENDINGS: [(&str, Factor); 27] = [
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
];

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

/// The layer that a tensor belongs to, as the file calls it, and what it is of its change.
pub fn split(name: &str) -> Option<(&str, Factor)> {
    let found = ENDINGS.iter().filter_map(|(end, factor)| Some((name.strip_suffix(end)?, *factor)));
    found.min_by_key(|(layer, _)| layer.len())
}

/// The layers of a model, by what a LoRA may call them.
pub struct Layers(HashMap<String, String>);

impl Layers {
    /// Of the canonical names of its tensors.
    pub fn new<'a>(tensors: impl Iterator<Item = &'a str>) -> Layers {
        let paths = tensors.filter_map(|name| name.strip_suffix(".weight"));
        Layers(paths.map(|path| (flat(path), path.to_string())).collect())
    }

    /// The canonical path of a layer that a file calls so.
    pub fn find(&self, layer: &str) -> Option<&str> {
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
        let named = |between: &str| self.0.get(&format!("{component}_{between}{}", flat(&path)));
        named("").or_else(|| named("text_model_")).map(String::as_str)
    }
}

fn flat(path: &str) -> String {
    path.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let (layer, factor) = split(name)?;
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
        assert_eq!(split("unet.conv_in.weight"), None);
    }
}
