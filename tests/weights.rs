//! Weights of whole tiny models: folder and GGUF against candle's reader of the same files.

mod common;

use std::collections::HashMap;

use candle_core::{DType, Device};
use common::twice;
use opengen::config::ModelConfig;
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

/// A folder of two text encoders, each with its weights, is the model that the same weights make by themselves; so is the
/// GGUF of it.
#[test]
fn a_folder_of_two_text_encoders_is_read_as_its_index_says() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().join("twice");
    std::fs::create_dir(&folder).expect("a folder");
    twice::two_encoders_folder("sd1", &folder);
    let source = ModelSource::open(&folder).expect("opens");
    let (expected, slabs) = twice::two_encoders("sd1");
    assert_eq!(source.config(), &ModelConfig { name: "twice".to_string(), ..expected.config.clone() });
    assert_eq!(source.tokenizer(), expected.tokenizer);
    let decls = weight_decls(source.config());
    let parts =
        expected.records.iter().flat_map(|record| unpack(record, &slabs[record.slab]).expect("packed"));
    let expected: HashMap<String, Vec<f32>> = parts.map(|(name, _, values)| (name, values)).collect();
    assert!(unpacked(&source) == expected, "the same values under the same names");
    assert!(expected.keys().any(|name| name.starts_with("text_encoder_2.text_model.encoder.layers.2.")));

    let file = out.path().join("m.gguf");
    quantize_folder(&folder, &decls, WeightType::F32, &file, &mut |_, _| {}).expect("written");
    let gguf = ModelSource::open(&file).expect("opens");
    assert_eq!((gguf.config(), gguf.tokenizer()), (source.config(), source.tokenizer()));
    assert!(unpacked(&gguf) == expected);

    // Without an index what is there counts.
    std::fs::remove_file(folder.join("model_index.json")).expect("removed");
    assert_eq!(ModelSource::open(&folder).expect("opens").config(), source.config());
}

/// The second tokenizer may pad with another token, and with nothing else.
#[test]
fn the_second_tokenizer_has_its_own_padding() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path();
    twice::two_encoders_folder("sd1", folder);
    let second = folder.join("tokenizer_2");
    for change in ["tokenizer.json", "tokenizer_config.json"] {
        twice::change_json(&second.join(change), |json| match json.get("pad_token") {
            Some(_) => json["pad_token"] = "!".into(),
            None => json["padding"] = serde_json::Value::Null,
        });
    }
    let source = ModelSource::open(folder).expect("opens");
    assert_eq!(source.config().texts[0].pad_token, None);
    assert_eq!(source.config().texts[1].pad_token.as_deref(), Some("!"));
    let (file, decls) = (folder.join("m.gguf"), weight_decls(source.config()));
    quantize_folder(folder, &decls, WeightType::F32, &file, &mut |_, _| {}).expect("written");
    assert_eq!(ModelSource::open(&file).expect("opens").config(), source.config());

    twice::change_json(&second.join("tokenizer.json"), |json| {
        json["model"]["merges"] = Vec::<String>::new().into()
    });
    let error = ModelSource::open(folder).expect_err("another tokenizer").to_string();
    assert!(error.contains("tokenizer_2") && error.contains("reads words otherwise"), "{error}");
    std::fs::remove_dir_all(&second).expect("removed");
    let error = ModelSource::open(folder).expect_err("no tokenizer").to_string();
    assert!(error.contains("tokenizer_2") && error.contains("no tokenizer.json"), "{error}");
}

#[test]
fn what_an_index_lists_is_there_and_known() {
    let listed = |component: &str, class: &str| {
        let out = tempfile::tempdir().expect("a folder");
        twice::two_encoders_folder("sd1", out.path());
        twice::change_json(&out.path().join("model_index.json"), |index| match component {
            "_class_name" => index[component] = class.into(),
            _ => index[component] = vec!["diffusers", class].into(),
        });
        ModelSource::open(out.path()).map(drop).map_err(|error| error.to_string())
    };
    for (component, class, words) in [
        ("text_encoder_2", "CLIPTextModelWithProjection", "the projection of its text has no path yet"),
        ("text_encoder_2", "T5EncoderModel", "text_encoder_2 can be CLIPTextModel"),
        ("text_encoder_3", "T5EncoderModel", "text_encoder_3 of class T5EncoderModel"),
        ("unet", "UNet3DConditionModel", "unet can be UNet2DConditionModel"),
        ("vae", "AutoencoderKLWan", "vae can be AutoencoderKL or AutoencoderTiny"),
        ("transformer", "SD3Transformer2DModel", "nothing here reads such a component"),
        ("controlnet", "ControlNetModel", "controlnet of class ControlNetModel"),
        ("_class_name", "StableDiffusionXLPipeline", "add_embedding"),
    ] {
        let error = listed(component, class).expect_err(class);
        assert!(error.contains("model_index.json") && error.contains(words), "{error}");
    }
    for (component, class) in [
        ("safety_checker", "StableDiffusionSafetyChecker"),
        ("scheduler", "LCMScheduler"),
        ("tokenizer_2", "CLIPTokenizerFast"),
    ] {
        listed(component, class).expect(class);
    }

    let out = tempfile::tempdir().expect("a folder");
    twice::two_encoders_folder("sd1", out.path());
    let second = out.path().join("text_encoder_2");
    twice::change_json(&out.path().join("unet/config.json"), |unet| {
        unet["addition_embed_type"] = "text_time".into();
    });
    let error = ModelSource::open(out.path()).expect_err("SDXL's UNet").to_string();
    assert!(error.contains("addition_embed_type"), "{error}");
    std::fs::remove_dir_all(&second).expect("removed");
    let error = ModelSource::open(out.path()).expect_err("no folder").to_string();
    assert!(
        error.contains("text_encoder_2") && error.contains("model_index.json lists text_encoder_2"),
        "{error}"
    );
}

#[test]
fn quantized_ggufs_stay_close() {
    let folder = common::model_folder("sd1");
    let expected = reference("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("m.gguf");
    let decls = weight_decls(ModelSource::open(&folder).expect("opens").config());
    for (kind, limit) in
        [(WeightType::F16, 5e-4), (WeightType::Q8, 1e-2), (WeightType::Q5, 7e-2), (WeightType::Q4, 0.15)]
    {
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
