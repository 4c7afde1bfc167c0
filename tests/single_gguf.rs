//! GGUFs that stable-diffusion.cpp wrote (`tests/golden/make_gguf.py`): in both of its namings and with every type of its
//! blocks they are the checkpoint that it read.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use common::report::difference;
use common::single::Facts;
use opengen::model::weight_decls;
use opengen::weights::{Family, LayoutOptions, ModelSource, load, unpack};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What the script noted of one file.
#[derive(Deserialize)]
struct Written {
    model: String,
    bytes: usize,
    sha256: String,
    /// Tensors whose bytes are kept, one behind the other.
    blocks: Vec<String>,
    /// Names that are not the checkpoint's, with those that are.
    renamed: HashMap<String, String>,
}

fn read(name: &str) -> Vec<u8> {
    let path = common::folder().join("single").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Values as ggml stores them.
fn encoded(kind: GgmlDType, values: &[f32]) -> Vec<u8> {
    let tensor = Tensor::from_slice(values, values.len(), &Device::Cpu).expect("a tensor");
    QTensor::quantize(&tensor, kind).and_then(|tensor| Ok(tensor.data()?.into_owned())).expect("ggml's bytes")
}

/// The whole file, made again of its header.
fn whole(name: &str, written: &Written) -> Vec<u8> {
    let mut file = read(&format!("{name}.gguf.head"));
    let header = Content::read(&mut Cursor::new(&file)).expect("a GGUF header");
    let mut blocks = match written.blocks.is_empty() {
        true => Vec::new(),
        false => read(&format!("{name}.gguf.blocks")),
    };
    let facts = Facts::of(&written.model);
    let mut tensors: Vec<_> = header.tensor_infos.iter().collect();
    tensors.sort_by_key(|(_, info)| info.offset);
    for (tensor, info) in tensors {
        file.resize(header.tensor_data_offset as usize + info.offset as usize, 0);
        let shape = info.shape.dims();
        let count: usize = shape.iter().product();
        let bytes = count / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        if written.blocks.contains(tensor) {
            let rest = blocks.split_off(bytes);
            file.append(&mut std::mem::replace(&mut blocks, rest));
        } else {
            file.extend(encoded(
                info.ggml_dtype,
                &facts.values_of(written.renamed.get(tensor).unwrap_or(tensor)),
            ));
        }
    }
    file.resize(written.bytes, 0);
    let digest: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, written.sha256, "{name}: what stable-diffusion.cpp wrote");
    file
}

/// How far values may be from those that were rounded.
fn tolerance(kind: &str) -> f64 {
    match kind {
        "F32" | "F16" => 0.0,
        "BF16" => 3e-3,
        "Q8_0" => 8e-3,
        "Q6_K" => 2.5e-2,
        "Q5_0" | "Q5_1" | "Q5_K" => 5e-2,
        "Q4_0" | "Q4_1" | "Q4_K" => 0.1,
        "Q3_K" => 0.2,
        "Q2_K" => 0.4,
        other => panic!("{other} was not expected"),
    }
}

#[test]
fn what_stable_diffusion_cpp_writes_is_the_checkpoint() {
    let all: BTreeMap<String, Written> = serde_json::from_slice(&read("gguf.json")).expect("gguf.json");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["sd1.folder", "sd1.mixed", "sd2.names", "sd2.q8_0"]);
    let mut kinds = BTreeMap::new();
    for (name, written) in &all {
        let out = tempfile::tempdir().expect("a folder");
        let path = out.path().join("model.gguf");
        std::fs::write(&path, whole(name, written)).expect("written");
        let source = ModelSource::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let facts = Facts::of(&written.model);
        facts.write_folder(&out.path().join("folder"), source.tokenizer());
        let folder = ModelSource::open(&out.path().join("folder")).expect("opens");
        let (config, expected) = (source.config(), folder.config());
        assert_eq!(
            (&config.texts, &config.denoiser, &config.vae),
            (&expected.texts, &expected.denoiser, &expected.vae)
        );
        assert_eq!((source.family(), &config.scheduler), (Family::Single, &expected.scheduler), "{name}");

        let types: HashMap<&str, &str> =
            source.header().tensors.iter().map(|info| (info.name.as_str(), info.dtype.name())).collect();
        // In f32, so that what the file says is seen and not what a packed type makes of it.
        let options = LayoutOptions {
            matrix_type: Some(opengen::kernels::WeightType::F32),
            ..LayoutOptions::default()
        };
        let decls = weight_decls(config);
        let [got, want] = [&source, &folder].map(|source| {
            let (manifest, slabs) = load(source, &decls, options).expect("a whole model");
            let parts = manifest
                .records
                .iter()
                .flat_map(|record| unpack(record, &slabs[record.slab]).expect("packed"));
            parts.map(|(name, _, values)| (name, values)).collect::<HashMap<_, _>>()
        });
        assert_eq!(got.len(), want.len());
        for (tensor, values) in &want {
            let kind = types[tensor.as_str()];
            let off = difference(&got[tensor], values).relative;
            assert!(off <= tolerance(kind), "{name} {tensor} ({kind}): {off}");
            let worst: &mut f64 = kinds.entry(kind.to_string()).or_default();
            *worst = worst.max(off);
        }
    }
    println!("{kinds:?}");
    let seen: Vec<&str> = kinds.keys().map(String::as_str).collect();
    let expected = [
        "BF16", "F16", "F32", "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0",
    ];
    assert_eq!(seen, expected, "every type is there");
}
