//! Canonical tensor names: diffusers', with the component in front. The one table of exceptions.

use super::header::TensorInfo;

/// Marks of what checkpoints carry beside the weights that are drawn with. A mark with `^` stands at a name's start, one
/// with `$` is its last segments.
const LEFTOVERS: [&str; 27] = [
    // Buffers of the text encoder, and heads of it that no denoiser here reads.
    "$position_ids",
    "$text_projection.weight",
    "$text_projection",
    "$logit_scale",
    // The averages that training keeps of every weight.
    "^model_ema.",
    "$num_updates",
    // The noise schedule as tables, which its configuration says too.
    "$betas",
    "$alphas_cumprod",
    "$alphas_cumprod_prev",
    "$sqrt_alphas_cumprod",
    "$sqrt_one_minus_alphas_cumprod",
    "$log_one_minus_alphas_cumprod",
    "$sqrt_recip_alphas_cumprod",
    "$sqrt_recipm1_alphas_cumprod",
    "$posterior_variance",
    "$posterior_log_variance_clipped",
    "$posterior_mean_coef1",
    "$posterior_mean_coef2",
    "$lvlb_weights",
    "$logvar",
    // What only training reads.
    "^first_stage_model.loss.",
    "$global_step",
    "^embedding_manager.",
    // The last layer of OpenCLIP's encoder: Stable Diffusion 2 was trained on the states before it.
    "^text_encoder.text_model.encoder.layers.23.",
    // Marks of what a UNet answers with, which were read by their names.
    "$v_pred",
    "$ztsnr",
    // The half of a tiny autoencoder for previews that makes latents.
    "^taesd.encoder.",
];

/// Attention names of autoencoders saved before diffusers 0.17, and today's.
const OLD_ATTENTION: [(&str, &str); 4] =
    [(".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")];

/// Whether a tensor is known to lie beside a model's weights without being one.
pub fn is_leftover(name: &str) -> bool {
    LEFTOVERS.iter().any(|mark| match (mark.strip_prefix('^'), mark.strip_prefix('$')) {
        (Some(start), _) => name.starts_with(start),
        (_, Some(end)) => {
            name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        }
        _ => name == *mark,
    })
}

/// Gives a tensor of a component (`unet`, `vae`, `text_encoder`) its canonical name and shape.
///
/// transformers 5 leaves out `text_model.`; old autoencoders have other attention names, and 1×1 convolutions where
/// today's have linear maps.
pub fn canonical(component: &str, info: &mut TensorInfo) {
    if component == "vae"
        && info.name.contains(".attentions.")
        && let [n, k, 1, 1] = *info.shape
    {
        info.shape = vec![n, k];
    }
    info.name = canonical_name(component, std::mem::take(&mut info.name));
}

/// The canonical name alone.
pub(super) fn canonical_name(component: &str, mut name: String) -> String {
    if component.starts_with("text_encoder") && !name.starts_with("text_model.") {
        name.insert_str(0, "text_model.");
    }
    if component == "vae" && name.contains(".attentions.") {
        for (old, new) in OLD_ATTENTION {
            name = name.replace(old, new);
        }
    }
    format!("{component}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_whole_segments() {
        for name in [
            "model_ema.diffusion_modelinput_blocks00weight",
            "model_ema.num_updates",
            "betas",
            "alphas_cumprod",
            "text_encoder.text_model.embeddings.position_ids",
            "first_stage_model.loss.logvar",
            "taesd.encoder.layers.0.weight",
        ] {
            assert!(is_leftover(name), "{name}");
        }
        for name in
            ["unet.alphabetas", "vae.betas.weight", "model_emax.weight", "taesd.decoder.layers.0.weight", ""]
        {
            assert!(!is_leftover(name), "{name}");
        }
    }
}
