//! Weights of whole tiny models: folder and GGUF against candle's reader of the same files.

mod common;

use std::collections::HashMap;

use candle_core::{DType, Device};
use opengen::kernels::WeightType;
use opengen::model::weight_decls;
use opengen::weights::{LayoutOptions, ModelSource, load, quantize_folder, unpack};

const FILES: [(&str, &str); 3] = [
    ("text_encoder", "model.safetensors"),
    ("unet", "diffusion_pytorch_model.safetensors"),
    ("vae", "diffusion_pytorch_model.safetensors"),
];

/// Every tensor by canonical name, as candle reads it.
fn reference(model: &str) -> HashMap<String, Vec<f32>> {
    let mut all = HashMap::new();
    for (component, file) in FILES {
        let path = common::model_folder(model).join(component).join(file);
        for (name, tensor) in candle_core::safetensors::load(&path, &Device::Cpu).expect("readable") {
            if name.ends_with("position_ids") {
                continue;
            }
            let text_model = component == "text_encoder" && !name.starts_with("text_model.");
            let name = format!("{component}.{}{name}", if text_model { "text_model." } else { "" });
            let tensor = tensor.flatten_all().and_then(|tensor| tensor.to_dtype(DType::F32));
            all.insert(name, tensor.and_then(|tensor| tensor.to_vec1()).expect("floats"));
        }
    }
    all
}

fn unpacked(source: &ModelSource) -> HashMap<String, Vec<f32>> {
    let decls = weight_decls(source.config());
    let (manifest, slabs) = load(source, &decls, LayoutOptions::default()).expect("a sound model");
    let parts =
        manifest.records.iter().flat_map(|record| unpack(record, &slabs[record.slab]).expect("packed"));
    parts.map(|(name, _, values)| (name, values)).collect()
}

#[test]
fn folders_and_float_ggufs_keep_every_value() {
    for model in ["sd1", "sd2"] {
        let folder = common::model_folder(model);
        let expected = reference(model);
        let source = ModelSource::open(&folder).expect("opens");
        let found = unpacked(&source);
        assert_eq!(found.len(), expected.len());
        for (name, values) in &expected {
            assert_eq!(found.get(name), Some(values), "{model} {name}");
        }
        let out = tempfile::tempdir().expect("a folder");
        let file = out.path().join("m.gguf");
        let decls = weight_decls(source.config());
        quantize_folder(&folder, &decls, WeightType::F32, &file, &mut |_, _| {}).expect("written");
        let gguf = ModelSource::open(&file).expect("opens");
        assert_eq!((gguf.config(), gguf.tokenizer()), (source.config(), source.tokenizer()));
        for (name, values) in unpacked(&gguf) {
            assert_eq!(Some(&values), expected.get(&name), "{model} {name}");
        }
    }
}

#[test]
fn quantized_ggufs_stay_close() {
    let folder = common::model_folder("sd1");
    let expected = reference("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("m.gguf");
    let decls = weight_decls(ModelSource::open(&folder).expect("opens").config());
    for (kind, limit) in [(WeightType::F16, 5e-4), (WeightType::Q8, 1e-2), (WeightType::Q4, 0.15)] {
        quantize_folder(&folder, &decls, kind, &file, &mut |_, _| {}).expect("written");
        for (name, values) in unpacked(&ModelSource::open(&file).expect("opens")) {
            let expected = &expected[&name];
            let square = |sum: f64, x: f64| sum + x * x;
            let error = values.iter().zip(expected).map(|(a, b)| f64::from(a - b)).fold(0.0, square);
            let size = expected.iter().map(|&x| f64::from(x)).fold(1e-12, square);
            assert!((error / size).sqrt() <= limit, "{kind:?} {name}: {}", (error / size).sqrt());
        }
    }
}
