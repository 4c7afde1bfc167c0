//! The text encoder's names: transformers' own in Stable Diffusion 1, OpenCLIP's in Stable Diffusion 2.

use super::{numbered, replaced};

/// OpenCLIP keeps what makes queries, keys and values as one.
pub const FUSED: &str = "in_proj";
/// What it is made of, in its order.
pub const THREE: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

const OPEN_CLIP: [(&str, &str); 4] = [
    ("token_embedding.", "embeddings.token_embedding."),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("ln_final.", "final_layer_norm."),
    ("transformer.resblocks.", "encoder.layers."),
];
const LAYER: [(&str, &str); 5] = [
    ("ln_1.", "layer_norm1."),
    ("ln_2.", "layer_norm2."),
    ("attn.out_proj.", "self_attn.out_proj."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
];

/// OpenCLIP's name of what is fused, and stable-diffusion.cpp's.
const IN_PROJ: [(&str, &str); 2] =
    [("attn.in_proj_", "self_attn.in_proj."), ("self_attn.in_proj.", "self_attn.in_proj.")];

/// Whether a name is one that only OpenCLIP's encoder has.
pub fn is_open_clip(name: &str) -> bool {
    name.contains("resblocks.") || name.contains("self_attn.in_proj.")
}

/// transformers' name of a tensor of the text encoder; of one that is three, with [`FUSED`] in the place of each.
pub fn canonical(name: &str) -> Option<String> {
    let inner = name.strip_prefix("model.").unwrap_or(name);
    let inner = match inner.strip_prefix("transformer.") {
        Some(rest) if !rest.starts_with("resblocks.") => rest,
        _ => inner,
    };
    let inner = inner.strip_prefix("text_model.").unwrap_or(inner);
    let name = replaced(inner, &OPEN_CLIP).unwrap_or_else(|| inner.to_string());
    let Some((layer, rest)) = numbered("encoder.layers.", &name) else {
        return ["embeddings.", "final_layer_norm."]
            .iter()
            .any(|start| name.starts_with(start))
            .then(|| format!("text_model.{name}"));
    };
    let rest =
        replaced(rest, &IN_PROJ).or_else(|| replaced(rest, &LAYER)).unwrap_or_else(|| rest.to_string());
    Some(format!("text_model.encoder.layers.{layer}.{rest}"))
}
