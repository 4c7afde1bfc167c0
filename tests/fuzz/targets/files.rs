//! A model's file: what it says of itself, which model it is, and the way into the store.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use opengen::error::Result;
use opengen::model::weight_decls;
use opengen::store::{Expected, Import};
use opengen::weights::{Header, Hints, LayoutOptions, Parse, Source, recognise, unused};

use super::{bytes_of, golden, outcome};

pub const HEADER_WORDS: [&str; 10] = [
    "GGUF",
    "__metadata__",
    "data_offsets",
    "dtype",
    "shape",
    "F16",
    "F8_E4M3",
    "[0,0]",
    "opengen.config",
    "{}",
];
pub const NAME_WORDS: [&str; 14] = [
    "model.diffusion_model.",
    "cond_stage_model.transformer.text_model.",
    "first_stage_model.",
    "input_blocks.0.0.weight",
    "state_dict.",
    "unet.",
    "vae.",
    "text_model.",
    ".weight",
    "model_ema.",
    "lora_up",
    "[4,4]",
    "[]",
    "middle_block.",
];

// What a file says of itself.

pub fn header(bytes: &[u8]) -> u64 {
    let whole = Header::parse("x", bytes, 1 << 40).map(drop);
    let unknown = Header::parse("x", bytes, None).map(drop);
    outcome(&whole) ^ outcome(&unknown).rotate_left(1)
}

/// The beginnings of files by other people's programs and by this one.
pub fn headers() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = ["sd1.folder.gguf.head", "sd2.q8_0.gguf.head"]
        .map(|name| bytes_of(&format!("single/{name}"))[..6000].to_vec())
        .into();
    seeds.extend(["deep/text_encoder/model.safetensors", "taesd/diffusion_pytorch_model.safetensors"].map(
        |name| {
            let mut file = bytes_of(&format!("models/{name}"));
            let header = u64::from_le_bytes(file[..8].try_into().expect("8 bytes"));
            file.truncate(8 + header as usize + 32);
            file
        },
    ));
    seeds.push(safetensors(
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}"#,
    ));
    seeds.push(small_gguf());
    seeds
}

pub fn safetensors(json: &str) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat()
}

/// One tensor and two texts, by hand.
fn small_gguf() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut file = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
    for (key, value) in [("general.architecture", "sd"), ("opengen.source", "here")] {
        file.extend([text(key), 8u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    file.extend([text("a"), 2u32.to_le_bytes().to_vec()].concat());
    file.extend([32u64, 2].iter().flat_map(|size| size.to_le_bytes()));
    file.extend(8u32.to_le_bytes()); // Q8_0
    file.extend(0u64.to_le_bytes());
    file
}

// Which model it is.

/// A tensor a line: its name, a space and its dimensions as JSON.
pub fn names(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let mut entries = Vec::new();
    let mut end = 0u64;
    for line in text.lines().take(24) {
        let (name, shape) = line.rsplit_once(' ').unwrap_or((line, "[]"));
        let shape: Vec<u32> = serde_json::from_str(shape).unwrap_or_default();
        let values = shape.iter().fold(1u64, |all, size| all.saturating_mul(u64::from(*size)));
        let next = end.saturating_add(values.saturating_mul(2));
        let name = serde_json::Value::from(name);
        entries.push(format!(r#"{name}:{{"dtype":"F16","shape":{shape:?},"data_offsets":[{end},{next}]}}"#));
        end = next;
    }
    recognition(&safetensors(&format!("{{{}}}", entries.join(","))))
}

pub fn name_lists() -> Vec<Vec<u8>> {
    let lists = shapes().into_values().map(|shapes| {
        let lines = shapes.iter().map(|(name, shape)| format!("{name} {shape:?}"));
        lines.collect::<Vec<_>>()
    });
    lists
        .flat_map(|lines| lines.chunks(12).map(|lines| lines.join("\n").into_bytes()).collect::<Vec<_>>())
        .collect()
}

/// The tensors of true topologies by the file that has them.
fn shapes() -> BTreeMap<&'static str, BTreeMap<String, Vec<usize>>> {
    let list = |name: &'static str| {
        let facts: serde_json::Value = serde_json::from_slice(&bytes_of(name)).expect("JSON");
        (name, serde_json::from_value(facts["shapes"].clone()).expect("shapes"))
    };
    ["single/sd1.json", "single/sd2.json"].map(list).into()
}

static MERGES: LazyLock<String> = LazyLock::new(|| {
    let text = include_str!("../../../www/clip/merges.txt");
    // The first of them are as good as all here, and quicker.
    text.lines().take(64).collect::<Vec<_>>().join("\n")
});

/// All of a header, to which model and which layout.
pub fn recognition(bytes: &[u8]) -> u64 {
    let header = match Header::parse("x", bytes, None) {
        Ok(Parse::Done(header)) => header,
        Ok(Parse::NeedMore(_)) => return 0,
        error => return outcome(&error.map(drop)),
    };
    let found = recognise(&header, Hints { clip: Some(&MERGES), ..Hints::default() });
    let known = found.as_ref().map(|recognised| {
        let decls = weight_decls(&recognised.config);
        let left = unused(&header, &decls);
        let manifest = recognised.manifest(&decls, &header, Source::default(), LayoutOptions::default());
        outcome(&manifest) ^ (left.unknown.len().min(4) as u64)
    });
    outcome(&found) ^ known.unwrap_or_default().rotate_left(1)
}

pub fn whole_headers() -> Vec<Vec<u8>> {
    let of = |shapes: BTreeMap<String, Vec<usize>>| {
        let mut end = 0;
        let table: serde_json::Map<_, _> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let next = end + shape.iter().product::<usize>() * 2;
                let entry =
                    serde_json::json!({ "dtype": "F16", "shape": shape, "data_offsets": [end, next] });
                end = next;
                (name, entry)
            })
            .collect();
        safetensors(&serde_json::Value::Object(table).to_string())
    };
    shapes().into_values().map(of).collect()
}

// The way into the store.

/// A whole file in slices, as a page takes it.
pub fn import(bytes: &[u8]) -> u64 {
    let expected = Expected {
        bytes: Some(bytes.len() as u64),
        file: "x".into(),
        allow_non_finite: true,
        ..Expected::default()
    };
    let layout = |header: &Header| {
        let recognised = recognise(header, Hints { clip: Some(&MERGES), ..Hints::default() })?;
        let decls = weight_decls(&recognised.config);
        recognised.manifest(&decls, header, Source::default(), LayoutOptions::default())
    };
    let run = || -> Result<u64> {
        let mut import = Import::new(expected, Box::new(layout));
        let mut chunks = 0;
        for slice in bytes.chunks(5000) {
            import.feed(slice)?;
            while import.next_chunk()?.is_some() {
                chunks += 1;
            }
        }
        import.finish().map(|_| chunks)
    };
    let result = run();
    let chunks = *result.as_ref().unwrap_or(&0);
    outcome(&result) ^ chunks.min(3)
}

/// A whole model of this project's own.
pub fn files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |model: &str| {
        let out = folder.path().join("a.gguf");
        let source = golden(&format!("models/{model}"));
        let source = opengen::weights::ModelSource::open(&source).expect("a golden model");
        let decls = weight_decls(source.config());
        let ty = opengen::kernels::WeightType::Q4;
        let types = opengen::plan::Types::of(ty);
        let rounding = opengen::weights::Rounding::Plain;
        opengen::weights::quantize_source(&source, &decls, types, rounding, &out, &mut |_, _| ())
            .expect("written");
        std::fs::read(&out).expect("written")
    };
    ["deep", "small"].map(write).into()
}
