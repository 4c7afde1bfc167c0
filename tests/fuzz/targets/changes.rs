//! What changes a model, and words of one's own.

use std::sync::LazyLock;

use opengen::error::Result;
use opengen::model::weight_decls;
use opengen::weights::{Asked, LayoutOptions, LoraFile, Manifest, Merged, Strength, read_embedding};

use super::files::safetensors;
use super::{golden, outcome};

pub const LORA_WORDS: [&str; 14] = [
    "lora_unet_",
    "lora_te_",
    ".lora_down.weight",
    ".lora_up.weight",
    ".lora_mid.weight",
    ".alpha",
    ".hada_w1_a",
    ".hada_t1",
    ".lokr_w1",
    ".dora_scale",
    ".on_input",
    ".diff",
    "unet:0:up",
    "BOOL",
];

/// A small model, packed.
static MODEL: LazyLock<(Manifest, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let source = opengen::weights::ModelSource::open(&golden("models/small")).expect("a golden model");
    let decls = weight_decls(source.config());
    opengen::weights::load(&source, &decls, LayoutOptions::default()).expect("packed")
});

/// A whole file, merged into that model.
pub fn lora(bytes: &[u8]) -> u64 {
    let (manifest, slabs) = &*MODEL;
    let run = || -> Result<u64> {
        let file = LoraFile::of_bytes("x", bytes.to_vec())?.into();
        let merged = Merged::for_packed(vec![Asked { file, strength: Strength::of(0.7) }], manifest)?;
        let mut changed = 0;
        for record in manifest.records.iter().filter(|record| merged.touches(record)).take(4) {
            let bytes = &slabs[record.slab][record.values.offset as usize..record.end() as usize];
            changed += u64::from(merged.merged(record, bytes)? != bytes);
        }
        Ok(changed)
    };
    let result = run();
    outcome(&result) ^ result.unwrap_or(9)
}

/// One layer of each kind of change, of the sizes that the model has there.
pub fn loras() -> Vec<Vec<u8>> {
    let parts = MODEL.0.records.iter().flat_map(|record| &record.decl.parts);
    let layers: Vec<(String, Vec<usize>)> = parts
        .filter(|part| part.name.starts_with("unet.") && matches!(part.shape.len(), 2 | 4))
        .filter_map(|part| Some((part.name.strip_suffix(".weight")?.replace('.', "_"), part.shape.clone())))
        .collect();
    let first = |dims: usize| layers.iter().find(|(_, shape)| shape.len() == dims).expect("such a layer");
    let ((linear, of), (kernel, k)) = (first(2), first(4));
    let (o, i, [out, input, h, w]) = (of[0], of[1], [k[0], k[1], k[2], k[3]]);
    let files: [&[(String, Vec<usize>)]; 6] = [
        &[
            (format!("lora_{linear}.lora_up.weight"), vec![o, 2]),
            (format!("lora_{linear}.lora_down.weight"), vec![2, i]),
            (format!("lora_{linear}.alpha"), vec![]),
            (format!("lora_{linear}.dora_scale"), vec![1, i]),
        ],
        &[
            (format!("lora_{kernel}.lora_up.weight"), vec![out, 2, 1, 1]),
            (format!("lora_{kernel}.lora_mid.weight"), vec![2, 2, h, w]),
            (format!("lora_{kernel}.lora_down.weight"), vec![2, input, 1, 1]),
        ],
        &[
            (format!("lora_{kernel}.hada_w1_a"), vec![2, out]),
            (format!("lora_{kernel}.hada_w1_b"), vec![2, input]),
            (format!("lora_{kernel}.hada_t1"), vec![2, 2, h, w]),
            (format!("lora_{kernel}.hada_w2_a"), vec![out, 2]),
            (format!("lora_{kernel}.hada_w2_b"), vec![2, input * h * w]),
        ],
        &[
            (format!("lora_{linear}.lokr_w1"), vec![2, 2]),
            (format!("lora_{linear}.lokr_w2"), vec![o / 2, i / 2]),
        ],
        &[(format!("lora_{linear}.diff"), vec![o, i]), (format!("lora_{linear}.diff_b"), vec![o])],
        &[("unet:0:up".to_string(), vec![o, 1]), ("unet:0:down".to_string(), vec![1, i])],
    ];
    let written = |tensors: &&[(String, Vec<usize>)]| {
        let mut end = 0;
        let entry = |(name, shape): &(String, Vec<usize>)| {
            let next = end + shape.iter().product::<usize>() * 2;
            let entry = serde_json::json!({ "dtype": "F16", "shape": shape, "data_offsets": [end, next] });
            end = next;
            (name.clone(), entry)
        };
        let table: serde_json::Map<_, _> = tensors.iter().map(entry).collect();
        let mut file = safetensors(&serde_json::Value::Object(table).to_string());
        file.extend((0..end).map(|at| if at % 2 == 0 { (at * 7) as u8 } else { 0x2c })); // small numbers in f16
        file
    };
    files.iter().map(written).collect()
}

// Words of one's own.

pub fn embedding(bytes: &[u8]) -> u64 {
    match read_embedding("x.safetensors", bytes) {
        Ok(embedding) => embedding.vectors() as u64,
        Err(error) => outcome::<()>(&Err(error)),
    }
}

pub fn embeddings() -> Vec<Vec<u8>> {
    let file = |name: &str, shape: &str| {
        let header =
            format!("{{\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[0,32]}}}}");
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 32]].concat()
    };
    vec![file("emb_params", "[2,4]"), file("<cat-toy>", "[8]"), file("string_to_param.*", "[1,8]")]
}
