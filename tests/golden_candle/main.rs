//! The second oracle, candle-transformers, against diffusers: what the CPU path is independent of.

#[path = "../common/mod.rs"]
mod common;
mod oracle;

use candle_core::{Device, Tensor};
use common::{Report, compare_text, compare_unet, compare_vae, folder_tensors, model_folder, values};
use opengen::Error;
use opengen::config;
use oracle::Oracle;

/// The tiny model that candle can run: its UNet has 32 norm groups, its text encoder QuickGELU.
const MODEL: &str = "sd1";

fn model() -> Oracle {
    let folder = model_folder(MODEL);
    let config = config::from_folder(&folder).expect("configuration");
    Oracle::new(&config, folder_tensors(&folder)).expect("model")
}

#[test]
fn text_embeddings() {
    let model = model();
    let mut report = Report::new(common::F32);
    compare_text(&mut report, MODEL, |ids| model.text_embeddings(ids));
    report.finish();
}

#[test]
fn unet() {
    let model = model();
    let mut report = Report::new(common::F32);
    compare_unet(&mut report, MODEL, |latents, t, embeddings| model.unet(latents, t, embeddings));
    report.finish();
}

#[test]
fn vae() {
    let model = model();
    let mut report = Report::new(common::F32);
    compare_vae(&mut report, MODEL, |latents| model.vae_decode(latents), |image| model.vae_encode(image));
    report.finish();
}

/// What candle cannot run is refused with the reason, before any tensor is looked at.
#[test]
fn refuses_what_candle_cannot_run() {
    let config = config::from_folder(&model_folder("sd2")).expect("configuration");
    let Err(Error::Unsupported { what, message }) = Oracle::new(&config, Default::default()) else {
        panic!("sd2 has GELU and 4 norm groups");
    };
    assert!(what.contains("hidden_act gelu"), "{what}: {message}");
}

/// A missing tensor is an error, not a panic.
#[test]
fn names_a_missing_tensor() {
    let folder = model_folder(MODEL);
    let config = config::from_folder(&folder).expect("configuration");
    let mut tensors = folder_tensors(&folder);
    tensors.remove("unet.mid_block.resnets.0.conv1.weight");
    let error = Oracle::new(&config, tensors).err().expect("an error").to_string();
    assert!(error.contains("mid_block.resnets.0.conv1.weight"), "{error}");
}

/// Several rows at once give what each gives alone.
#[test]
fn batches_are_independent() {
    let model = model();
    let ids: Vec<Vec<u32>> = (0..2).map(|row| (0..77).map(|i| (row * 100 + i) as u32).collect()).collect();
    let both = model.text_embeddings(&ids).expect("embeddings");
    let second = model.text_embeddings(&ids[1..]).expect("embeddings");
    let latents = Tensor::ones((1, 4, 6, 6), candle_core::DType::F32, &Device::Cpu).expect("latents");
    let mut report = Report::new(1e-5);
    report.compare("text row 1", &values(&both.get(1).expect("row")), &values(&second));
    let pair = Tensor::cat(&[&latents, &latents], 0).expect("pair");
    let both = model.unet(&pair, 10.0, &both).expect("UNet");
    let alone = model.unet(&latents, 10.0, &second).expect("UNet");
    report.compare("unet row 1", &values(&both.get(1).expect("row")), &values(&alone));
    report.finish();
}
