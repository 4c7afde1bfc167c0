//! The marks by which files are known: first bytes, metadata, names of tensors. What carries none of a model of this
//! engine is named: another family's, a part of one, something else.

use std::collections::BTreeMap;

use super::single;
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
    /// Words of one's own for a text encoder.
    Embedding,
    /// What changes a model and is none by itself, where it is merged into a model's weights.
    Merged,
    /// What steers a model and is given beside it.
    Control,
    /// One network of a model.
    Part,
    /// A network that enlarges pictures.
    Upscaler,
}

impl Kind {
    /// What such a file is for, where it has a use here.
    fn use_of(self) -> Option<&'static str> {
        match self {
            Kind::Merged => Some("lora"),
            Kind::Control => Some("controlnet"),
            Kind::Upscaler => Some("upscaler"),
            Kind::Embedding => Some("embedding"),
            Kind::Checkpoint | Kind::Other | Kind::AddOn | Kind::Part => None,
        }
    }
}

/// Marks of tensors' names, what they are marks of, and what people call that. The first line that fits counts; a mark
/// with `^` stands at a name's start, another anywhere.
const MARKS: [(&[&str], Kind, &str); 26] = [
    (
        &[".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".lora.", "^lora_unet_", "^lora_te"],
        Kind::Merged,
        "a LoRA",
    ),
    (&[".hada_w1_a", ".lokr_w1"], Kind::Merged, "a LyCORIS network"),
    (
        &["^control_model.", "controlnet_cond_embedding.", "input_hint_block.", "controlnet_down_blocks."],
        Kind::Control,
        "a ControlNet",
    ),
    (
        &["^emb_params", "^string_to_param", "^clip_g", "^clip_l"],
        Kind::Embedding,
        "a textual inversion embedding",
    ),
    (&["motion_modules.0."], Kind::AddOn, "a motion module for films (AnimateDiff)"),
    (
        &[
            "time_stack.",
            ".temp_convs.",
            ".temopral_conv.",
            "individual_token_refiner.",
            "patchify_proj.",
            "condition_embedder.time_proj.",
            ".blocks.0.cross_attn.norm_k.",
            "^blocks.0.cross_attn.norm_k.",
        ],
        Kind::Other,
        "a model for films",
    ),
    (&["cap_pad_token", "all_x_embedder."], Kind::Other, "a Z-Image model"),
    (&["double_blocks.0.", "single_transformer_blocks.0."], Kind::Other, "a FLUX model"),
    (&["joint_blocks.0."], Kind::Other, "a Stable Diffusion 3 model"),
    (&["^conditioner.embedders."], Kind::Other, "a Stable Diffusion XL model"),
    (&["^cond_stage_model.model."], Kind::Checkpoint, "a Stable Diffusion 2 checkpoint"),
    (&["^cond_stage_model.", "^te.", "^text_encoder."], Kind::Checkpoint, "a Stable Diffusion 1 checkpoint"),
    (&["label_emb.0.0.", "add_embedding.linear_1."], Kind::Other, "the UNet of a Stable Diffusion XL model"),
    (
        &["^model.diffusion_model.input_blocks.", "^input_blocks.0.", "^time_embedding.linear_1.", "^unet."],
        Kind::Part,
        "the UNet of a Stable Diffusion model",
    ),
    (&["^encoder.layers.0.", "^decoder.layers.0."], Kind::Part, "a tiny autoencoder (TAESD)"),
    (
        &["^first_stage_model.", "^decoder.conv_in.", "^decoder.mid", "^encoder.conv_in.", "^vae."],
        Kind::Part,
        "an autoencoder (VAE)",
    ),
    (&["^text_model.", "^encoder.block.0.", "^transformer.resblocks."], Kind::Part, "a text encoder"),
    (&["^blk.0.", "^token_embd.", "^model.layers.0."], Kind::Other, "a language model"),
    (&["^model.diffusion_model."], Kind::Other, "a diffusion model of another family"),
    (&["^transformer_blocks.0.", "^adaln_single."], Kind::Other, "a diffusion model of another family"),
    (&["RRDB_", ".rdb1.", ".RDB1.", "^model.1.sub.0."], Kind::Upscaler, "an upscaler (ESRGAN)"),
    (&[".overlap_attn."], Kind::Upscaler, "an upscaler (HAT)"),
    (&["layers.0.residual_group."], Kind::Upscaler, "an upscaler (SwinIR)"),
    (&["layers.0.blocks.0.attn.attns."], Kind::Upscaler, "an upscaler (DAT)"),
    (&["block_1.c1_r."], Kind::Upscaler, "an upscaler (SPAN)"),
    (
        &["^body.0.weight", "^params.body.0.weight", "^params_ema.body.0.weight", "^module.body.0.weight"],
        Kind::Upscaler,
        "an upscaler (SRVGGNetCompact)",
    ),
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
    // The lines of the table that names fit first.
    let mut found = [false; MARKS.len()];
    let mut parts = [false; 2];
    for name in names {
        let name = single::unwrapped(name);
        let line = MARKS.iter().position(|(marks, ..)| marks.iter().any(|mark| fits(name, mark)));
        line.into_iter().for_each(|line| found[line] = true);
        single::note_parts(name, &mut parts);
    }
    // What merging or training left in a whole checkpoint does not make it a part of one.
    let is_whole = parts == [true; 2];
    let beside =
        |line: &usize| matches!(MARKS[*line].1, Kind::AddOn | Kind::Embedding | Kind::Merged | Kind::Control);
    let counts = |line: &usize| found[*line] && !(is_whole && beside(line));
    let found = (0..MARKS.len()).find(counts).map(|line| &MARKS[line]);
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
    let found = kind(metadata, names);
    let kind = found.as_ref().and_then(|(kind, _)| kind.use_of());
    let (what, advice) = match found {
        // A whole one is read; this one has only a name or two of one.
        Some((Kind::Checkpoint, what)) => (format!("a part of {what}"), WHOLE),
        Some((Kind::Other, what)) => (what, "Stable Diffusion 1 and 2 can be drawn with"),
        Some((Kind::AddOn, what)) => {
            (what, "it changes a model and is none by itself; such files are not used here yet")
        }
        Some((Kind::Embedding, what)) => (
            what,
            "it adds words to a model and is none by itself; give it beside one (`--embedding`, `embeddings` in npm)",
        ),
        Some((Kind::Merged, what)) => (
            what,
            "it changes a model and is none by itself; give it beside one (--lora, and LoRAs in the page's settings)",
        ),
        Some((Kind::Control, what)) => {
            (what, "it steers a model and is none by itself; give it beside one, with a map (--control)")
        }
        Some((Kind::Part, what)) => (what, WHOLE),
        Some((Kind::Upscaler, what)) => {
            (what, "it enlarges pictures and draws none; `opengen upscale`, and Enlarge in the page, take it")
        }
        None => (
            "no model that is known here".to_string(),
            "a checkpoint of Stable Diffusion 1 or 2 in one file is needed, or a folder in diffusers' layout",
        ),
    };
    Error::OtherFile { file: file.to_string(), what, advice: advice.to_string(), kind }
}

const WHOLE: &str = "a whole model is needed, with UNet, text encoder and autoencoder";
const FROM_PICKLE: &str = "opening one can run whatever is in it, so it is not read. In Python, \
    safetensors.torch.save_file(torch.load(\"model.ckpt\", weights_only=True)[\"state_dict\"], \"model.safetensors\") \
    makes a file of it that is read, and the safetensors of the same name is often beside it";
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
    Some(Error::OtherFile {
        file: file.to_string(),
        what: what.to_string(),
        advice: advice.to_string(),
        kind: None,
    })
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
                vec!["cond_stage_model.transformer.text_model.x", "first_stage_model.x"],
                "a part of a Stable Diffusion 1 checkpoint: a whole model is needed",
            ),
            (
                vec!["cond_stage_model.model.transformer.resblocks.0.x", "first_stage_model.x"],
                "a part of a Stable Diffusion 2 checkpoint: a whole model is needed",
            ),
            (vec!["state_dict.control_model.input_blocks.0.0.weight"], "a ControlNet: it steers a model"),
            (
                vec!["down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"],
                "a motion module for films",
            ),
            (
                vec!["blocks.0.cross_attn.norm_k.weight", "head.modulation"],
                "a model for films: Stable Diffusion 1",
            ),
            (vec!["model.diffusion_model.cap_pad_token"], "a Z-Image model: Stable Diffusion 1 and 2"),
            (
                vec![
                    "model.diffusion_model.input_blocks.0.0.weight",
                    "model.diffusion_model.label_emb.0.0.weight",
                ],
                "the UNet of a Stable Diffusion XL model: Stable Diffusion 1",
            ),
            (vec!["encoder.layers.0.weight"], "a tiny autoencoder (TAESD): a whole model"),
            (
                vec!["layers.0.residual_group.blocks.0.norm1.weight"],
                "an upscaler (SwinIR): it enlarges pictures and draws none",
            ),
            (vec!["model.1.sub.0.RDB1.conv1.0.weight"], "an upscaler (ESRGAN)"),
            (vec!["RRDB_trunk.0.RDB1.conv1.weight"], "an upscaler (ESRGAN)"),
            (vec!["params_ema.body.0.weight"], "an upscaler (SRVGGNetCompact)"),
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
            (vec!["whatever"], "no model that is known here: a checkpoint of Stable Diffusion 1 or 2"),
            (vec![], "no model that is known here"),
        ] {
            assert!(named(&names).contains(words), "{names:?}: {}", named(&names));
        }
    }

    /// LoRAs that were merged leave names behind; so do trainers of embeddings.
    #[test]
    fn a_whole_checkpoint_is_one_whatever_lies_beside_it() {
        let names = [
            "model.diffusion_model.input_blocks.0.0.weight",
            "lora_unet_down_blocks_0.lora_up.weight",
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
            "control_model.zero_convs.0.0.weight",
        ];
        for wrapped in [false, true] {
            let names =
                names.map(|name| if wrapped { format!("state_dict.{name}") } else { name.to_string() });
            let found = kind(&BTreeMap::new(), names.iter().map(String::as_str));
            assert_eq!(found, Some((Kind::Checkpoint, "a Stable Diffusion 1 checkpoint".to_string())));
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
            what(&zip).contains("a pickled checkpoint")
                && what(&zip).contains("can run whatever is in it")
                && what(&zip).contains("save_file")
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
