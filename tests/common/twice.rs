//! A tiny model with its text encoder twice: packed straight from its tensors, and as a diffusers folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::f16;
use opengen::config::{Denoiser, ModelConfig};
use opengen::model;
use opengen::weights::{self, Header, LayoutOptions, Manifest, ModelSource, SourceType, TensorInfo};
use serde_json::{Value, json};

use super::{model_folder, pack};

/// A model's configuration and its tensors with their data.
struct Parts {
    source: ModelSource,
    config: ModelConfig,
    tensors: Vec<(TensorInfo, Vec<u8>)>,
}

/// A tiny model with its text encoder twice, and with keys and values that take half of each: it draws as it did.
pub fn two_encoders(model: &str) -> (Manifest, Vec<Vec<u8>>) {
    let Parts { source, config, tensors } = parts(model);
    let (infos, data): (Vec<TensorInfo>, Vec<Vec<u8>>) = tensors.into_iter().unzip();
    let header = Header { tensors: infos, ..source.header().clone() };
    let decls = model::weight_decls(&config);
    let options = LayoutOptions { leave_extra: true, ..LayoutOptions::default() };
    let (tokenizer, origin) = (source.tokenizer(), source.source());
    let manifest = weights::layout_with("twice", &config, tokenizer, &decls, &header, origin, options);
    let manifest = manifest.expect("layout");
    let slabs = pack(&manifest, &header, |index| data[index].clone());
    (manifest, slabs)
}

fn parts(model: &str) -> Parts {
    let source = ModelSource::open(&model_folder(model)).expect("a model");
    let mut config = source.config().clone();
    let Denoiser::Unet(unet) = &mut config.denoiser;
    unet.cross_attention_dim *= 2;
    config.texts.push(config.texts[0].clone());
    config.check().expect("two encoders");

    let mut tensors = Vec::new();
    for (index, info) in source.header().tensors.iter().enumerate() {
        let (mut info, mut bytes) = (info.clone(), Vec::new());
        source.read(index, &mut bytes).expect("data");
        if let Some(rest) = info.name.strip_prefix("text_encoder.") {
            let second = TensorInfo { name: format!("text_encoder_2.{rest}"), ..info.clone() };
            tensors.push((second, bytes.clone()));
        }
        if info.name.ends_with("attn2.to_k.weight") || info.name.ends_with("attn2.to_v.weight") {
            assert_eq!(info.dtype, SourceType::F16);
            let halved: Vec<u8> = bytes
                .chunks_exact(2)
                .flat_map(|two| {
                    f16::from_f32(f16::from_le_bytes([two[0], two[1]]).to_f32() / 2.0).to_le_bytes()
                })
                .collect();
            bytes = halved.chunks_exact(2 * info.shape[1]).flat_map(|row| [row, row].concat()).collect();
            info.shape[1] *= 2;
            info.len *= 2;
        }
        tensors.push((info, bytes));
    }
    Parts { source, config, tensors }
}

/// The same model as a folder that diffusers would write, at `folder`.
pub fn two_encoders_folder(model: &str, folder: &Path) {
    let from = model_folder(model);
    let Parts { config, tensors, .. } = parts(model);
    for entry in std::fs::read_dir(&from).expect("a folder") {
        let component = entry.expect("an entry").path();
        if component.is_dir() {
            let name = component.file_name().and_then(|name| name.to_str()).expect("a name");
            copy_json(&component, &folder.join(name));
            if ["text_encoder", "tokenizer"].contains(&name) {
                copy_json(&component, &folder.join(format!("{name}_2")));
            }
        }
    }
    change_json(&folder.join("unet/config.json"), |unet| {
        unet["cross_attention_dim"] = json!(config.denoiser.text_channels());
    });
    std::fs::copy(from.join("model_index.json"), folder.join("model_index.json")).expect("copied");
    change_json(&folder.join("model_index.json"), |index| {
        index["text_encoder_2"] = index["text_encoder"].clone();
        index["tokenizer_2"] = index["tokenizer"].clone();
    });
    let component = |info: &TensorInfo| info.name.split('.').next().expect("a component").to_string();
    for part in tensors.iter().map(|(info, _)| component(info)).collect::<BTreeSet<_>>() {
        let file = if part.starts_with("text") { "model" } else { "diffusion_pytorch_model" };
        let mine = tensors.iter().filter(|(info, _)| component(info) == part);
        let bytes = safetensors(mine.map(|(info, data)| (&info.name[part.len() + 1..], info, data)));
        std::fs::write(folder.join(&part).join(format!("{file}.safetensors")), bytes).expect("written");
    }
}

/// A new folder with another's JSON files.
fn copy_json(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "json") {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
}

/// Rewrites a JSON file.
pub fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(path).expect("a file");
    let mut value = serde_json::from_str(&text).expect("JSON");
    change(&mut value);
    std::fs::write(path, value.to_string()).expect("written");
}

fn safetensors<'a>(tensors: impl Iterator<Item = (&'a str, &'a TensorInfo, &'a Vec<u8>)>) -> Vec<u8> {
    let (mut table, mut data) = (BTreeMap::new(), Vec::new());
    for (name, info, bytes) in tensors {
        let dtype = match info.dtype {
            SourceType::F16 => "F16",
            SourceType::F32 => "F32",
            other => panic!("{name} is of type {other:?}"),
        };
        let offsets = [data.len(), data.len() + bytes.len()];
        table.insert(name, json!({"dtype": dtype, "shape": info.shape, "data_offsets": offsets}));
        data.extend_from_slice(bytes);
    }
    let json = serde_json::to_vec(&table).expect("JSON");
    [&(json.len() as u64).to_le_bytes()[..], &json, &data].concat()
}
