//! A diffusers folder made on the fly, read, quantized to a GGUF and read again.

use std::path::Path;

use super::*;
use crate::config;
use crate::error::Error;
use crate::kernels::WeightType;
use crate::weights::Unused;
use crate::weights::{LayoutOptions, ModelSource, load, quantize_folder, unpack};

const TEXT: &str =
    r#"{"vocab_size": 8, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}"#;
const UNET: &str =
    r#"{"block_out_channels": [32, 64, 64, 64], "norm_num_groups": 16, "cross_attention_dim": 32}"#;
const VAE: &str = r#"{"block_out_channels": [32, 32], "norm_num_groups": 16}"#;
const SCHEDULER: &str =
    r#"{"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "steps_offset": 1}"#;
const TOKENIZER: &str = r#"{"model": {"type": "BPE", "vocab": {"!": 3}, "merges": []}, "padding": null}"#;

pub(super) type Tensors = Vec<(&'static str, Vec<usize>, Vec<f32>)>;

pub(super) fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub(super) fn tensors(list: &[(&'static str, &[usize])], seed: u64) -> Tensors {
    let make = |(i, (name, shape)): (usize, &(&'static str, &[usize]))| {
        (*name, shape.to_vec(), values(shape.iter().product(), seed + i as u64))
    };
    list.iter().enumerate().map(make).collect()
}

/// A folder with a few tensors of each component, with the old names there are.
pub(super) fn folder(path: &Path) -> Vec<WeightDecl> {
    write(&path.join("text_encoder/config.json"), TEXT.as_bytes());
    write(&path.join("unet/config.json"), UNET.as_bytes());
    write(&path.join("vae/config.json"), VAE.as_bytes());
    write(&path.join("scheduler/scheduler_config.json"), SCHEDULER.as_bytes());
    write(&path.join("tokenizer/tokenizer.json"), TOKENIZER.as_bytes());
    write(&path.join("tokenizer/special_tokens_map.json"), br#"{"pad_token": "!"}"#);
    let text =
        tensors(&[("embeddings.token_embedding.weight", &[8, 32]), ("final_layer_norm.bias", &[32])], 1);
    let unet = tensors(
        &[
            ("conv_in.weight", &[32, 4, 3, 3]),
            ("mid.conv.weight", &[64, 32, 3, 3]),
            ("ff.weight", &[128, 32]),
        ],
        10,
    );
    let vae = tensors(
        &[
            ("decoder.mid_block.attentions.0.query.weight", &[32, 32, 1, 1]),
            ("post_quant_conv.weight", &[4, 4, 1, 1]),
        ],
        20,
    );
    write(&path.join("text_encoder/model.safetensors"), &safetensors_file(&text));
    write(&path.join("unet/diffusion_pytorch_model.safetensors"), &safetensors_file(&unet));
    write(&path.join("vae/diffusion_pytorch_model.fp16.safetensors"), &safetensors_file(&vae));
    let token = "text_encoder.text_model.embeddings.token_embedding.weight";
    let to_q = "vae.decoder.mid_block.attentions.0.to_q.weight";
    vec![
        decl("token", WeightKind::Table { rows: 8, cols: 32 }, &[(token, &[8, 32])]),
        decl(
            "ln",
            WeightKind::Vector { len: 32 },
            &[("text_encoder.text_model.final_layer_norm.bias", &[32])],
        ),
        decl("conv_in", WeightKind::Matrix { n: 32, k: 36 }, &[("unet.conv_in.weight", &[32, 4, 3, 3])]),
        decl("mid", WeightKind::Matrix { n: 64, k: 288 }, &[("unet.mid.conv.weight", &[64, 32, 3, 3])]),
        decl("ff", WeightKind::Geglu { n: 128, k: 32 }, &[("unet.ff.weight", &[128, 32])]),
        decl("to_q", WeightKind::Matrix { n: 32, k: 32 }, &[(to_q, &[32, 32])]),
        decl("pq", WeightKind::Matrix { n: 4, k: 4 }, &[("vae.post_quant_conv.weight", &[4, 4, 1, 1])]),
    ]
}

pub(super) fn unpacked(source: &ModelSource, decls: &[WeightDecl]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let (manifest, slabs) = load(source, decls, LayoutOptions::default()).unwrap();
    manifest.records.iter().flat_map(|record| unpack(record, &slabs[record.slab]).unwrap()).collect()
}

#[test]
fn a_folder_is_read_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let decls = folder(dir.path());
    let source = ModelSource::open(dir.path()).unwrap();
    assert_eq!(source.config(), &config::from_folder(dir.path()).unwrap());
    assert!(source.tokenizer().contains(r#""pad_id":3"#), "{}", source.tokenizer());
    let parts = unpacked(&source, &decls);
    assert_eq!(parts[0].2, values(256, 1));
    assert_eq!(parts[2].2, values(32 * 36, 10));
    assert_eq!(parts[5], (decls[5].parts[0].name.clone(), vec![32, 32], values(1024, 20)));
}

#[test]
fn a_gguf_gives_back_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let decls = folder(&dir.path().join("model"));
    write(&dir.path().join("model/README.md"), b"---\nlicense: openrail++\n---\n");
    let original = unpacked(&ModelSource::open(&dir.path().join("model")).unwrap(), &decls);
    for (kind, vector_error, matrix_error) in [
        (WeightType::F32, 0.0, 0.0),
        (WeightType::F16, 0.0, 1e-3),
        (WeightType::Q8, 0.0, 6e-3),
        (WeightType::Q5, 0.0, 0.13),
        (WeightType::Q4, 0.0, 0.25),
    ] {
        let out = dir.path().join(format!("{kind:?}.gguf"));
        let (mut last, mut total) = (0, 0);
        let model = dir.path().join("model");
        let summary =
            quantize_folder(&model, &decls, kind, &out, &mut |done, all| (last, total) = (done, all))
                .unwrap();
        assert_eq!((summary.tensors, last), (7, total));
        assert_eq!(summary.bytes, std::fs::metadata(&out).unwrap().len());
        let source = ModelSource::open(&out).unwrap();
        assert_eq!(source.config().name, "model");
        assert_eq!(source.license().map(ToString::to_string).as_deref(), Some("openrail++"));
        assert!(source.tokenizer().contains("pad_id"));
        let manifest = source.manifest(&decls, LayoutOptions::default()).unwrap();
        let kinds: Vec<WeightType> = manifest.records.iter().map(|record| record.weight_type).collect();
        let types = crate::plan::Types::of(kind);
        let rare = if kind.is_quantized() { WeightType::F16 } else { kind };
        assert_eq!(kinds, [rare, WeightType::F32, rare, types.kernels, types.maps, types.vae, rare]);
        for ((name, shape, a), (_, _, b)) in original.iter().zip(unpacked(&source, &decls)) {
            let limit = if shape.len() == 1 { vector_error } else { matrix_error };
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= limit), "{kind:?} {name}");
        }
    }
    assert!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .all(|entry| entry.path().extension() != Some("part".as_ref()))
    );
}

#[test]
fn a_truncated_file_is_refused_before_data_is_read() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let path = dir.path().join("unet/diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let error = ModelSource::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("diffusion_pytorch_model.safetensors") && error.contains("ff.weight"), "{error}");
}

#[test]
fn missing_weights_name_the_folder_and_what_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let path = dir.path().join("vae/diffusion_pytorch_model.fp16.safetensors");
    std::fs::rename(&path, path.with_file_name("diffusion_pytorch_model.bin")).unwrap();
    let error = ModelSource::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Io { path, message } if path.contains("vae") && message.contains("pickled")),
        "{error}"
    );
}

#[test]
fn shards_are_read_and_must_lie_beside_their_index() {
    let dir = tempfile::tempdir().unwrap();
    let decls = folder(dir.path());
    let unet = dir.path().join("unet");
    std::fs::rename(unet.join("diffusion_pytorch_model.safetensors"), unet.join("one.safetensors")).unwrap();
    let index = unet.join("diffusion_pytorch_model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"conv_in.weight": "one.safetensors"}}"#).unwrap();
    assert_eq!(unpacked(&ModelSource::open(dir.path()).unwrap(), &decls)[2].2, values(32 * 36, 10));
    std::fs::write(&index, r#"{"weight_map": {"conv_in.weight": "../one.safetensors"}}"#).unwrap();
    assert!(ModelSource::open(dir.path()).unwrap_err().to_string().contains("../one"));
}

#[test]
fn a_tokenizer_is_built_from_vocabulary_and_merges() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let folder = dir.path().join("tokenizer");
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    std::fs::write(
        folder.join("vocab.json"),
        r#"{"a": 0, "b</w>": 1, "ab</w>": 2, "!": 3, "<|startoftext|>": 4, "<|endoftext|>": 5}"#,
    )
    .unwrap();
    std::fs::write(folder.join("merges.txt"), "#version: 0.2\na b</w>\n").unwrap();
    let text = ModelSource::open(dir.path()).unwrap().tokenizer().to_string();
    let tokenizer = tokenizers::Tokenizer::from_bytes(&text).unwrap();
    assert_eq!(tokenizer.encode("AB  ab", true).unwrap().get_ids(), [4, 2, 2, 5]);
}

#[test]
fn other_files_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        ModelSource::open(&path).unwrap_err().to_string()
    };
    let llama = super::super::gguf_write::header_bytes(&[("general.architecture", "llama")], &[]);
    assert!(refused("x.gguf", &llama).contains("this is a language model (llama)"));
    let bare = super::super::gguf_write::header_bytes(&[("opengen.config", "{}")], &[]);
    assert!(refused("y.gguf", &bare).contains("y.gguf"));
    let part = [("cond_stage_model.transformer.text_model.x", vec![1], vec![1.0])];
    let said = refused("x.safetensors", &safetensors_file(&part));
    assert!(said.contains("a part of a Stable Diffusion 1 checkpoint: a whole model is needed"), "{said}");
    assert!(refused("x.ckpt", b"\x80\x02}q\0X\n\0\0\0state_dict").contains("a pickled checkpoint"));
    assert!(refused("x.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF").contains("a JPEG picture"));
    assert!(refused("empty", b"").contains("the file is incomplete"));
}

/// As diffusers does: a folder's configuration says what its model is, and what else lies in its files is left out.
#[test]
fn tensors_that_no_model_reads_are_left_out_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let decls = folder(dir.path());
    let path = dir.path().join("vae/diffusion_pytorch_model.fp16.safetensors");
    let mut vae = tensors(
        &[
            ("decoder.mid_block.attentions.0.query.weight", &[32, 32, 1, 1]),
            ("post_quant_conv.weight", &[4, 4, 1, 1]),
        ],
        20,
    );
    vae.extend([("extra.scalar", vec![], vec![7.0]), ("logit_scale", vec![], vec![1.0])]);
    std::fs::write(&path, safetensors_file(&vae)).unwrap();
    let source = ModelSource::open(dir.path()).unwrap();
    let unused = source.unused(&decls);
    assert_eq!(
        (unused.leftovers, unused.unknown),
        (vec!["vae.logit_scale".into()], vec!["vae.extra.scalar".into()])
    );
    assert_eq!(unpacked(&source, &decls)[5].2, values(1024, 20));
    let out = dir.path().join("x.gguf");
    assert_eq!(
        quantize_folder(dir.path(), &decls, WeightType::F32, &out, &mut |_, _| ()).unwrap().tensors,
        7
    );
    assert_eq!(ModelSource::open(&out).unwrap().unused(&decls), Unused::default());
}
