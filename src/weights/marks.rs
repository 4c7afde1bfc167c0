//! The marks by which files are known: first bytes, metadata, names of tensors. What carries none of a model of this
//! engine is named: another family's, a part of one, something else.

use std::collections::BTreeMap;

use crate::error::Error;

/// What a weight file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole model in one file, of a family that can be drawn with.
    Checkpoint,
    /// A model of a family that has no path here.
    Other,
    /// What changes a model and is none by itself.
    AddOn,
    /// One network of a model.
    Part,
}

/// Marks of tensors' names, what they are marks of, and what people call that. The first line that fits counts; a mark
/// with `^` stands at a name's start, another anywhere.
const MARKS: [(&[&str], Kind, &str); 15] = [
    (
        &[".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".lora.", "^lora_unet_", "^lora_te"],
        Kind::AddOn,
        "a LoRA",
    ),
    (&[".hada_w1_a", ".lokr_w1"], Kind::AddOn, "a LyCORIS network"),
    (
        &["^control_model.", "controlnet_cond_embedding.", "input_hint_block.", "controlnet_down_blocks."],
        Kind::AddOn,
        "a ControlNet",
    ),
    (
        &["^emb_params", "^string_to_param", "^clip_g", "^clip_l"],
        Kind::AddOn,
        "a textual inversion embedding",
    ),
    (&["double_blocks.0.", "single_transformer_blocks.0."], Kind::Other, "a FLUX model"),
    (&["joint_blocks.0."], Kind::Other, "a Stable Diffusion 3 model"),
    (
        &["^conditioner.embedders.", "label_emb.0.0.", "add_embedding.linear_1."],
        Kind::Other,
        "a Stable Diffusion XL model",
    ),
    (&["^cond_stage_model.model."], Kind::Checkpoint, "a Stable Diffusion 2 checkpoint"),
    (&["^cond_stage_model.transformer."], Kind::Checkpoint, "a Stable Diffusion 1 checkpoint"),
    (
        &["^model.diffusion_model.input_blocks.", "^input_blocks.0.", "^time_embedding.linear_1."],
        Kind::Part,
        "the UNet of a Stable Diffusion model",
    ),
    (&["^first_stage_model.", "^decoder.conv_in.", "^decoder.mid"], Kind::Part, "an autoencoder (VAE)"),
    (&["^text_model.", "^encoder.block.0.", "^transformer.resblocks."], Kind::Part, "a text encoder"),
    (&["^blk.0.", "^token_embd.", "^model.layers.0."], Kind::Other, "a language model"),
    (&["^model.diffusion_model."], Kind::Other, "a diffusion model of another family"),
    (&[".RRDB", ".rdb1.", "^model.1.sub.0."], Kind::Other, "an upscaler"),
];

/// What `general.architecture` of a GGUF says that is no language model.
const ARCHITECTURES: [(&str, Kind, &str); 14] = [
    ("sd1", Kind::Part, "the UNet of a Stable Diffusion 1 model"),
    ("sd2", Kind::Part, "the UNet of a Stable Diffusion 2 model"),
    ("sdxl", Kind::Other, "a Stable Diffusion XL model"),
    ("sd3", Kind::Other, "a Stable Diffusion 3 model"),
    ("flux", Kind::Other, "a FLUX model"),
    ("aura", Kind::Other, "an AuraFlow model"),
    ("hidream", Kind::Other, "a HiDream model"),
    ("lumina2", Kind::Other, "a Lumina model"),
    ("qwen_image", Kind::Other, "a Qwen-Image model"),
    ("wan", Kind::Other, "a model for films"),
    ("ltxv", Kind::Other, "a model for films"),
    ("hyvid", Kind::Other, "a model for films"),
    ("whisper", Kind::Other, "a model for speech"),
    ("clip", Kind::Part, "an image encoder"),
];

/// Metadata key of what a GGUF is.
const ARCHITECTURE: &str = "general.architecture";

/// What a weight file holds, and what people call that; `None` where nothing in it is known.
pub fn kind<'a>(
    metadata: &BTreeMap<String, String>,
    names: impl Iterator<Item = &'a str>,
) -> Option<(Kind, String)> {
    let architecture = metadata.get(ARCHITECTURE).map(String::as_str);
    if let Some((_, kind, what)) = ARCHITECTURES.iter().find(|(name, ..)| Some(*name) == architecture) {
        return Some((*kind, (*what).to_string()));
    }
    // The first line of the table that any name fits.
    let line = |name: &str| MARKS.iter().position(|(marks, ..)| marks.iter().any(|mark| fits(name, mark)));
    let found = names.filter_map(line).min().map(|line| &MARKS[line]);
    match (found, architecture) {
        (Some((_, Kind::Other, "a language model")) | None, Some(name)) if name != "opengen" => {
            Some((Kind::Other, format!("a language model ({name})")))
        }
        (Some((_, kind, what)), _) => Some((*kind, (*what).to_string())),
        (None, _) => None,
    }
}

fn fits(name: &str, mark: &str) -> bool {
    match mark.strip_prefix('^') {
        Some(start) => name.starts_with(start),
        None => name.contains(mark),
    }
}

/// The error for a weight file that is none of ours.
pub fn other_model<'a>(
    file: &str,
    metadata: &BTreeMap<String, String>,
    names: impl Iterator<Item = &'a str>,
) -> Error {
    let (what, advice) = match kind(metadata, names) {
        Some((Kind::Checkpoint, what)) => (format!("{what} in one file"), FROM_CHECKPOINT),
        Some((Kind::Other, what)) => (what, "Stable Diffusion 1 and 2 can be drawn with"),
        Some((Kind::AddOn, what)) => {
            (what, "it changes a model and is none by itself; such files are not used here yet")
        }
        Some((Kind::Part, what)) => (what, "a whole model is needed"),
        None => (
            "no model that is known here".to_string(),
            "`opengen quantize` makes a file of a folder in diffusers' layout",
        ),
    };
    Error::OtherFile { file: file.to_string(), what, advice: advice.to_string() }
}

const FROM_CHECKPOINT: &str = "such files are not read yet. In Python, diffusers makes a folder of it with \
    StableDiffusionPipeline.from_single_file(\"…\").save_pretrained(\"folder\"), and `opengen quantize folder --out \
    model.gguf` makes a file for here";
const FROM_PICKLE: &str = "opening one can run whatever is in it, so it is not read. In Python, diffusers makes a folder of it \
    with StableDiffusionPipeline.from_single_file(\"…\").save_pretrained(\"folder\"), and `opengen quantize folder --out \
    model.gguf` makes a file for here";
const AGAIN: &str = "choose or download the model itself";

/// The error for a file that its first bytes show to be no weight file at all.
pub fn no_weights(file: &str, start: &[u8]) -> Option<Error> {
    let (what, advice) = match start {
        [b'P', b'K', 3, 4, ..] if holds(start, b"/data.pkl") => {
            ("a pickled checkpoint (.ckpt, .pt, .bin)", FROM_PICKLE)
        }
        [0x80, 2..=5, b'}' | b'c' | b'(' | b']' | 0x8a | 0x95, ..] => {
            ("a pickled checkpoint (.ckpt, .pt, .bin)", FROM_PICKLE)
        }
        [b'P', b'K', 3, 4, ..] => ("a ZIP archive", "unpack it and choose the model in it"),
        [0x1f, 0x8b, ..] | [b'7', b'z', 0xbc, 0xaf, ..] | [b'R', b'a', b'r', b'!', ..] => {
            ("an archive", "unpack it and choose the model in it")
        }
        [0xff, 0xd8, 0xff, ..] => ("a JPEG picture", AGAIN),
        [0x89, b'P', b'N', b'G', ..] => ("a PNG picture", AGAIN),
        [b'G', b'I', b'F', b'8', ..] => ("a GIF picture", AGAIN),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ("a WebP picture", AGAIN),
        [b'%', b'P', b'D', b'F', ..] => ("a PDF", AGAIN),
        [0x89, b'H', b'D', b'F', ..] => ("a Keras model", "Stable Diffusion 1 and 2 can be drawn with"),
        [8, 3..=12, 0x12, ..] | [8, 3..=12, b':', ..] => ("an ONNX model", "safetensors or GGUF is needed"),
        _ if start.starts_with(b"version https://git-lfs") => {
            ("a pointer of Git LFS, not the file itself", AGAIN)
        }
        _ if start.trim_ascii_start().starts_with(b"<") => ("a web page", AGAIN),
        _ => return None,
    };
    Some(Error::OtherFile { file: file.to_string(), what: what.to_string(), advice: advice.to_string() })
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes
        .iter()
        .take(256)
        .collect::<Vec<_>>()
        .windows(needle.len())
        .any(|window| window.iter().copied().eq(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> String {
        other_model("x", &BTreeMap::new(), names.iter().copied()).to_string()
    }

    #[test]
    fn by_names() {
        for (names, words) in [
            (vec!["lora_unet_down_blocks_0_attn1_to_q.lora_down.weight"], "a LoRA: it changes a model"),
            (vec!["unet.down_blocks.0.attentions.0.attn1.to_q.lora_A.weight"], "a LoRA"),
            (vec!["lora_te_text_model_encoder_layers_0_mlp_fc1.hada_w1_a"], "a LoRA"),
            (vec!["lycoris_unet_x.lokr_w1"], "a LyCORIS network"),
            (vec!["control_model.input_blocks.0.0.weight"], "a ControlNet"),
            (
                vec!["down_blocks.0.resnets.0.conv1.weight", "controlnet_cond_embedding.conv_in.weight"],
                "a ControlNet",
            ),
            (vec!["emb_params"], "a textual inversion embedding"),
            (
                vec!["model.diffusion_model.double_blocks.0.img_attn.qkv.weight"],
                "a FLUX model: Stable Diffusion 1 and 2",
            ),
            (
                vec!["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"],
                "a Stable Diffusion 3 model",
            ),
            (
                vec!["model.diffusion_model.input_blocks.0.0.weight", "conditioner.embedders.0.x"],
                "a Stable Diffusion XL model",
            ),
            (
                vec![
                    "model.diffusion_model.input_blocks.0.0.weight",
                    "cond_stage_model.transformer.text_model.x",
                ],
                "a Stable Diffusion 1 checkpoint in one file: such files are not read yet",
            ),
            (
                vec!["cond_stage_model.model.transformer.resblocks.0.x", "first_stage_model.x"],
                "a Stable Diffusion 2 checkpoint",
            ),
            (
                vec!["model.diffusion_model.input_blocks.0.0.weight"],
                "the UNet of a Stable Diffusion model: a whole model",
            ),
            (vec!["first_stage_model.decoder.conv_in.weight"], "an autoencoder (VAE)"),
            (
                vec!["decoder.mid_block.attentions.0.to_q.weight", "encoder.conv_in.weight"],
                "an autoencoder (VAE)",
            ),
            (vec!["text_model.encoder.layers.0.mlp.fc1.weight"], "a text encoder"),
            (vec!["model.layers.0.self_attn.q_proj.weight"], "a language model"),
            (vec!["whatever"], "no model that is known here: `opengen quantize`"),
            (vec![], "no model that is known here"),
        ] {
            assert!(named(&names).contains(words), "{names:?}: {}", named(&names));
        }
    }

    #[test]
    fn by_architecture() {
        let of = |architecture: &str, names: &[&str]| {
            let metadata = BTreeMap::from([(ARCHITECTURE.to_string(), architecture.to_string())]);
            other_model("x", &metadata, names.iter().copied()).to_string()
        };
        assert!(of("llama", &["blk.0.attn_q.weight"]).contains("a language model (llama)"));
        assert!(of("qwen3", &[]).contains("a language model (qwen3)"));
        assert!(of("flux", &["double_blocks.0.img_attn.qkv.weight"]).contains("a FLUX model"));
        assert!(of("opengen", &[]).contains("no model that is known here"));
    }

    #[test]
    fn by_first_bytes() {
        let what = |start: &[u8]| no_weights("x", start).map(|error| error.to_string()).unwrap_or_default();
        let mut zip = b"PK\x03\x04".to_vec();
        zip.resize(30, 0);
        assert!(what(&zip).contains("a ZIP archive"));
        zip.extend(b"archive/data.pkl");
        assert!(
            what(&zip).contains("a pickled checkpoint") && what(&zip).contains("can run whatever is in it")
        );
        assert!(what(b"\x80\x02}q\0X").contains("a pickled checkpoint"));
        assert!(
            what(b"\xff\xd8\xff\xe0JFIF").contains("a JPEG picture: choose or download the model itself")
        );
        assert!(what(b"  <!doctype html>").contains("a web page"));
        assert!(what(b"version https://git-lfs.github.com/spec/v1").contains("Git LFS"));
        assert_eq!(what(b"GGUF\x03\0\0\0"), "");
        assert_eq!(what(b"\x10\0\0\0\0\0\0\0{"), "");
        assert_eq!(what(b""), "");
    }
}
