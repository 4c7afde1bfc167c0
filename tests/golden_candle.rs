//! The oracle, candle-transformers, against diffusers: what our networks are independent of.

mod common;

use candle_core::{Device, Tensor};
use common::report::Report;
use common::{
    DenoiseCase, cases, compare_text, compare_unet, compare_vae, folder_tensors, model_folder, request,
    values,
};
use opengen::Error;
use opengen::config;
use opengen::oracle::{self, Oracle};
use opengen::pipeline::{Cancel, Dump, Pipeline, Request};
use opengen::sample::SamplerKind;
use opengen::weights::{self, LayoutOptions, ModelSource};

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

/// A whole run of the engine, on the processor, beside candle's over the same weights; and what candle cannot follow.
#[test]
fn a_run_is_candles() {
    let source = ModelSource::open(&model_folder(MODEL)).expect("model folder");
    let decls = opengen::model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let mut pipeline = Pipeline::on_cpu(manifest.clone(), slabs.clone()).expect("pipeline");
    let mut beside = |request: &Request| {
        let mut dump = Dump::default();
        let (cancel, mut ignore) = (Cancel::default(), |_| ());
        let run = pipeline.generate_with(request, &mut ignore, &cancel, Some(&mut dump));
        let output = pollster::block_on(run).expect("pictures");
        oracle::compare((&manifest, &slabs), request, (&output, &dump))
    };
    let case = &cases::<DenoiseCase>("denoise")[0];
    let plain = Request { batch: 2, ..request(case) };
    for sampler in [SamplerKind::DpmPlusPlus2M, SamplerKind::Heun, SamplerKind::Lms] {
        let (pictures, differences) = beside(&Request { sampler, ..plain.clone() }).expect("candle's run");
        println!("{sampler}\n{differences}");
        assert_eq!(pictures.len(), 2);
        assert!(differences.text_embeddings.relative < common::F32, "{differences}");
        assert!(differences.latents.relative < common::F32 && differences.psnr > 50.0, "{differences}");
    }

    let weighted = Request { prompt: "a (red:1.3) apple".to_string(), ..plain.clone() };
    assert!(matches!(beside(&weighted), Err(Error::InvalidInput { field: "prompt", .. })));
    let ancestral = Request { sampler: SamplerKind::EulerAncestral, ..plain };
    assert!(matches!(beside(&ancestral), Err(Error::InvalidInput { field: "sampler", .. })));
}
