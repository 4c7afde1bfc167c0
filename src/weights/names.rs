//! Canonical tensor names: diffusers', with the component in front. The one table of exceptions.

use super::header::TensorInfo;

/// Endings of buffers that some files carry and no model reads.
const IGNORED: [&str; 3] = ["position_ids", "text_projection.weight", "logit_scale"];

/// Attention names of autoencoders saved before diffusers 0.17, and today's.
const OLD_ATTENTION: [(&str, &str); 4] =
    [(".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")];

/// Whether a tensor is a buffer that no model reads.
pub fn is_ignored(name: &str) -> bool {
    IGNORED.iter().any(|ending| name == *ending || name.ends_with(&format!(".{ending}")))
}

/// Gives a tensor of a component (`unet`, `vae`, `text_encoder`) its canonical name and shape.
///
/// transformers 5 leaves out `text_model.`; old autoencoders have other attention names, and 1×1 convolutions where
/// today's have linear maps.
pub fn canonical(component: &str, info: &mut TensorInfo) {
    let mut name = std::mem::take(&mut info.name);
    if component.starts_with("text_encoder") && !name.starts_with("text_model.") {
        name.insert_str(0, "text_model.");
    }
    if component == "vae" && name.contains(".attentions.") {
        for (old, new) in OLD_ATTENTION {
            name = name.replace(old, new);
        }
        if let [n, k, 1, 1] = *info.shape {
            info.shape = vec![n, k];
        }
    }
    info.name = format!("{component}.{name}");
}
