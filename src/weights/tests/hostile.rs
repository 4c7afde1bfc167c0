//! Headers from files that lie, and files cut anywhere.

use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::weights::convert::NewTensor;
use crate::weights::gguf_write::header_bytes;
use crate::weights::packed::check_against;
use crate::weights::{Hints, OtherTensor, recognise};

/// The error's text; the parser must refuse.
fn refused(bytes: &[u8], total: u64) -> String {
    match Header::parse("x.safetensors", bytes, total) {
        Err(
            error @ (Error::BadFile { .. }
            | Error::Incomplete { .. }
            | Error::OtherFile { .. }
            | Error::Tensors { .. }
            | Error::Json { .. }),
        ) => error.to_string(),
        other => panic!("accepted: {other:?}"),
    }
}

fn gguf(metadata: &[(&str, &str)], tensors: &[NewTensor]) -> Vec<u8> {
    let mut file = header_bytes(metadata, tensors);
    let data: u64 = tensors.iter().map(|tensor| tensor.len().next_multiple_of(32)).sum();
    file.resize(file.len() + data as usize, 7);
    file
}

fn tensor(name: &str, dtype: SourceType, shape: &[usize]) -> NewTensor {
    NewTensor { name: name.to_string(), dtype, shape: shape.to_vec() }
}

#[test]
fn lying_safetensors_are_refused_with_both_sides() {
    let one = |json: &str| safetensors_bytes(json, &[0; 16]);
    let cases: [(&str, &[&str]); 8] = [
        (r#"{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}"#, &["a", "16", "20"]),
        (r#"{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}"#, &["a", "20", "16"]),
        (r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}"#, &["a", "16", "0"]),
        (
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,16]}}"#,
            &["a", "too many"],
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#,
            &["b", "8", "a", "12"],
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#,
            &["a", "twice"],
        ),
        (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#, &["12", "16"]),
        (r#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,16]}}"#, &["dimensions"]),
    ];
    for (json, parts) in cases {
        let bytes = one(json);
        let error = refused(&bytes, bytes.len() as u64);
        assert!(parts.iter().all(|part| error.contains(part)), "{json}: {error}");
    }
}

#[test]
fn header_lengths_are_not_believed() {
    let mut bytes = safetensors_bytes("{}", &[]);
    bytes[..8].copy_from_slice(&(4u64 << 30).to_le_bytes());
    assert!(refused(&bytes, 8 << 30).contains("4294967296"));
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refused(&bytes, 8 << 30).contains("18446744073709551615"));
    bytes[..8].copy_from_slice(&1000u64.to_le_bytes());
    assert!(refused(&bytes, bytes.len() as u64).contains("1008"));
    assert!(matches!(Header::parse("x", &bytes, 1 << 20), Ok(Parse::NeedMore(1008))));
}

#[test]
fn a_web_page_is_no_model() {
    let page = b"<!DOCTYPE html><html><head><title>404</title></head></html>";
    assert!(refused(page, page.len() as u64).contains("this is a web page"));
    assert!(
        refused(b"something else", 14)
            .contains("neither GGUF nor safetensors: it begins with \"something else\"")
    );
    assert!(refused(b"abc", 3).contains("too short for a weight file"));
}

#[test]
fn lying_ggufs_are_refused() {
    let good = gguf(&[("general.architecture", "opengen")], &[tensor("a", SourceType::Q8_0, &[2, 64])]);
    assert_eq!(parse(&good).unwrap().tensors[0].len, 2 * 2 * 34);
    let change = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let total = file.len() as u64;
        refused(&file, total)
    };
    assert!(change(4, &9u32.to_le_bytes()).contains("version 9"));
    assert!(change(4, &3u32.to_be_bytes()).contains("big-endian"));
    assert!(change(8, &u64::MAX.to_le_bytes()).contains("18446744073709551615"));
    assert!(change(16, &(1u64 << 40).to_le_bytes()).contains("metadata entries"));
    assert!(change(24, &(1u64 << 60).to_le_bytes()).contains("metadata key"));
    // From the back: offset 8, type 4, two dimensions 16, before the padding of the header.
    let name_at = good.windows(9).position(|w| w == [1, 0, 0, 0, 0, 0, 0, 0, b'a']).unwrap();
    let dims_at = name_at + 9 + 4;
    assert!(change(name_at + 9, &77u32.to_le_bytes()).contains("77 dimensions"));
    assert!(change(dims_at, &63u64.to_le_bytes()).contains("63"));
    assert!(change(dims_at, &(1u64 << 63).to_le_bytes()).contains("too many"));
    let mut unknown = good.clone();
    unknown[dims_at + 16..dims_at + 20].copy_from_slice(&99u32.to_le_bytes());
    assert_eq!(
        parse(&unknown).unwrap().others,
        [OtherTensor { name: "a".into(), dtype: "number 99".into(), bytes: None }]
    );
    assert!(change(4, &0u32.to_le_bytes()).contains("version 0, expected 2 or 3"));
    assert!(change(4, &1u32.to_le_bytes()).contains("version 1 (of before August 2023"));
    assert!(change(dims_at + 20, &33u64.to_le_bytes()).contains("33"));
    assert!(change(dims_at + 20, &(1u64 << 50).to_le_bytes()).contains("1125899906842624"));
    let total = good.len() as u64;
    let cut = refused(&good, total - 60);
    assert!(
        cut.contains(&format!("the file is incomplete: {} of at least", total - 60))
            && cut.contains("tensor a has 136 bytes"),
        "{cut}"
    );
    let mut longer = good.clone();
    longer.resize(good.len() + 100, 0);
    assert!(refused(&longer, total + 100).contains("wrong length"));
    let twice = gguf(&[], &[tensor("a", SourceType::F32, &[8]), tensor("a", SourceType::F32, &[8])]);
    assert!(refused(&twice, twice.len() as u64).contains("twice"));
}

/// A download that broke off is told from a file that lies, wherever it broke off.
#[test]
fn cut_files_say_that_they_are_incomplete() {
    let gguf = gguf(&[("general.architecture", "opengen")], &[tensor("a", SourceType::F32, &[64])]);
    let json = r#"{"a":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}"#;
    for file in [gguf, safetensors_bytes(json, &[0; 256])] {
        for length in (1..file.len() - 1).filter(|length| *length < 40 || length % 7 == 0) {
            match Header::parse("x", &file[..length], length as u64) {
                Err(Error::Incomplete { bytes, needed, .. }) => {
                    assert_eq!(bytes, length as u64);
                    assert!(
                        needed > bytes && needed <= file.len() as u64,
                        "{length}: {needed} of {}",
                        file.len()
                    );
                }
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn unknown_types_are_named_all_at_once() {
    let mut tensors = vec![tensor("a", SourceType::F32, &[8]), tensor("b", SourceType::F32, &[8])];
    let of_types = |tensors: &[NewTensor]| {
        let mut file = gguf(&[], tensors);
        for name in [b'a', b'b'] {
            let at =
                file.windows(9).position(|w| w[..8] == [1, 0, 0, 0, 0, 0, 0, 0] && w[8] == name).unwrap();
            file[at + 9 + 4 + 8..at + 9 + 4 + 12].copy_from_slice(&39u32.to_le_bytes());
        }
        file
    };
    let file = of_types(&tensors);
    // What they are is for the layout to say: one that is needed is named, and one that nobody knows.
    let decls = [decl("a", WeightKind::Vector { len: 8 }, &[("a", &[8])])];
    let error =
        check_against(&decls, &parse(&file).unwrap(), &Default::default(), false).unwrap_err().to_string();
    assert!(error.contains("tensor a has type number 39") && error.contains("tensor b has type"), "{error}");
    // Names come before types and lengths.
    let llama = [header_bytes(&[("general.architecture", "llama")], &[]), vec![0; 4079]].concat();
    assert!(refused(&llama, llama.len() as u64).contains("this is a language model (llama)"));
    tensors.push(tensor("double_blocks.0.img_attn.qkv.weight", SourceType::F32, &[8]));
    let flux = of_types(&tensors);
    assert!(refused(&flux, flux.len() as u64).contains("this is a FLUX model"));
    let json = |name: &str| {
        let entry = |name: &str, at: usize| {
            format!(r#""{name}":{{"dtype":"F8_E8M0","shape":[16],"data_offsets":[{at},{}]}}"#, at + 16)
        };
        safetensors_bytes(&format!("{{{},{}}}", entry(name, 0), entry("b", 16)), &[0; 32])
    };
    let others = parse(&json("a")).unwrap().others;
    assert!(others.iter().map(|other| other.dtype.as_str()).eq(["F8_E8M0", "F8_E8M0"]), "{others:?}");
    let sd3 = json("model.diffusion_model.joint_blocks.0.x");
    assert!(refused(&sd3, sd3.len() as u64).contains("a Stable Diffusion 3 model"));
}

#[test]
fn no_metadata_is_none() {
    let json = r#"{"__metadata__":null,"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
    let header = parse(&safetensors_bytes(json, &[0; 16])).unwrap();
    assert_eq!((header.tensors.len(), header.metadata.len()), (1, 0));
}

#[test]
fn a_header_arrives_in_pieces() {
    let text = "x".repeat(200_000);
    let file = gguf(&[("opengen.tokenizer", &text)], &[tensor("a", SourceType::F32, &[8])]);
    let mut wanted = 0;
    let mut rounds = 0;
    let header = loop {
        match Header::parse("f", &file[..wanted], file.len() as u64).unwrap() {
            Parse::Done(header) => break header,
            Parse::NeedMore(more) => {
                assert!(more > wanted && more <= file.len());
                wanted = more;
                rounds += 1;
            }
        }
    };
    assert!(rounds < 6, "{rounds}");
    assert_eq!(header.metadata["opengen.tokenizer"].len(), 200_000);
}

#[test]
fn buffers_that_are_no_weights_are_left_out() {
    let json =
        r#"{"text_model.embeddings.position_ids":{"dtype":"I64","shape":[1,2],"data_offsets":[0,16]}}"#;
    let header = parse(&safetensors_bytes(json, &[0; 16])).unwrap();
    assert!(header.tensors.is_empty() && header.others[0].dtype == "I64");
    check_against(&[], &header, &Default::default(), false).unwrap();
}

/// A prefix that may be cut or damaged never panics and never asks for more than there is.
fn survives(bytes: &[u8], total: u64) {
    if let Ok(Parse::NeedMore(more)) = Header::parse("f", bytes, total) {
        assert!(more > bytes.len() && more as u64 <= total, "{more} of {total}, has {}", bytes.len());
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), extra in 0u64..1000) {
        survives(&bytes, bytes.len() as u64 + extra);
        let mut gguf = b"GGUF\x03\0\0\0".to_vec();
        gguf.extend_from_slice(&bytes);
        survives(&gguf, gguf.len() as u64 + extra);
    }

    #[test]
    fn damaged_files_never_panic(at in 0usize..400, byte: u8, cut in 0usize..600, total in 0u64..2000) {
        let tensors = [tensor("a", SourceType::Q4_0, &[2, 64]), tensor("b", SourceType::F32, &[3, 5])];
        let gguf = gguf(&[("general.name", "x"), ("k", "v")], &tensors);
        let json = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
        for mut file in [gguf, safetensors_bytes(json, &[0; 16])] {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
            survives(&file, file.len() as u64);
            survives(&file[..cut.min(file.len())], file.len() as u64);
            survives(&file, total);
        }
    }
}

/// Where no server says how long a file is, its header does, and never more than a file can have.
#[test]
fn a_header_says_how_long_a_file_is() {
    let gguf = gguf(&[("general.architecture", "opengen")], &[tensor("a", SourceType::F32, &[8])]);
    let json = r#"{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}"#;
    for (file, slack) in [(gguf, 32), (safetensors_bytes(json, &[0; 32]), 0)] {
        let whole = file.len() as u64;
        let Ok(Parse::Done(header)) = Header::parse("x", &file[..file.len() - 32], None) else { panic!() };
        assert_eq!(header.lengths, whole..=whole + slack);
    }
    let lie =
        format!(r#"{{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}}"#, 1u64 << 41, 1u64 << 43);
    let error = Header::parse("x", &safetensors_bytes(&lie, &[]), None).unwrap_err();
    assert!(error.to_string().contains("lies about its size"), "{error}");
}

proptest! {
    /// Names and shapes of a checkpoint in one file, in pieces that do not fit together.
    #[test]
    fn names_of_checkpoints_never_panic(
        names in proptest::collection::vec(
            ("(state_dict\\.)?(model\\.diffusion_model|first_stage_model|cond_stage_model|vae|te)\\.\
              (model\\.|transformer\\.|text_model\\.|decoder\\.|encoder\\.)?\
              (input_blocks|output_blocks|middle_block|down|up|mid|resblocks|encoder\\.layers|time_embed|embeddings)?\
              \\.(0|1|7|18446744073709551615|x)\\.(0|1|2|in_proj|attn)\
              (\\.op|\\.conv|\\.in_proj_weight|\\.proj_in|\\.token_embedding|_weight)?\\.(weight|bias)",
             proptest::collection::vec(0usize..5, 0..5)),
            0..12),
    ) {
        let (mut at, mut entries) = (0, vec![]);
        let always = [("model.diffusion_model.conv_in.weight".to_string(), vec![4, 4, 3, 3]),
            ("cond_stage_model.transformer.embeddings.token_embedding.weight".to_string(), vec![600, 4])];
        for (name, shape) in names.into_iter().chain(always) {
            let len = 2 * shape.iter().product::<usize>();
            entries.push(format!(r#""{name}":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{at},{}]}}"#, at + len));
            at += len;
        }
        let bytes = safetensors_bytes(&format!("{{{}}}", entries.join(",")), &vec![0; at]);
        if let Ok(Parse::Done(header)) = Header::parse("f", &bytes, bytes.len() as u64) {
            let _ = recognise(&header, Hints { clip: Some("a b\nb c"), ..Hints::default() });
        }
    }
}
