//! The CPU path against diffusers: each stage, whole runs, steps looked into, attention maps.

mod common;

use candle_core::{Device, Tensor};
use common::{
    AttentionCase, DenoiseCase, Golden, Report, answer, assert_previews_show, cases, compare_run,
    compare_text, compare_unet, compare_vae, folder_tensors, mini, mini_request, model_folder, request,
    scheduler_of, values,
};
use opengen::Error;
use opengen::config::{self, Activation};
use opengen::pipeline::cpu::CpuModel;
use opengen::pipeline::{Cancel, CpuPipeline, Dump, Event};
use opengen::weights::{self, LayoutOptions, ModelSource};

/// The tiny model whose text encoder candle can run: it has QuickGELU.
const MODEL: &str = "sd1";
/// The others' UNet and autoencoder run too, beside a text encoder that is not looked at.
const MODELS: [&str; 2] = [MODEL, "sd2"];

fn model(name: &str) -> CpuModel {
    let folder = model_folder(name);
    let mut config = config::from_folder(&folder).expect("configuration");
    config.text.hidden_act = Activation::QuickGelu;
    CpuModel::new(&config, folder_tensors(&folder)).expect("model")
}

#[test]
fn text_embeddings() {
    let model = model(MODEL);
    let mut report = Report::new(common::F32);
    compare_text(&mut report, MODEL, |ids| model.text_embeddings(ids));
    report.finish();
}

#[test]
fn unet() {
    let mut report = Report::new(common::F32);
    for name in MODELS {
        let model = model(name);
        compare_unet(&mut report, name, |latents, t, embeddings| model.unet(latents, t, embeddings));
    }
    report.finish();
}

#[test]
fn vae() {
    let mut report = Report::new(common::F32);
    for name in MODELS {
        let model = model(name);
        compare_vae(&mut report, name, |latents| model.vae_decode(latents), |image| model.vae_encode(image));
    }
    report.finish();
}

#[test]
fn attention_looks_where_diffusers_does() {
    let mut report = Report::new(common::F32);
    for case in cases::<AttentionCase>("attention") {
        let model = model(&case.model);
        let golden = Golden::open(&case.file);
        // Latents and embeddings are those of the seams.
        let seams = Golden::open(&format!("{}.seams.safetensors", case.model));
        let both = Golden::open(&format!("{}.unet.safetensors", case.model));
        let embeddings = both.tensor("embeddings").narrow(0, 1, 1).expect("the second row");
        let mut maps = Vec::new();
        let latents = seams.tensor("latents");
        model.unet_looking(latents, case.timestep, &embeddings, Some(&mut maps)).expect("UNet");
        for layer in &case.layers {
            let path = format!("unet.{layer}");
            let map = maps.iter().find(|map| map.layer == path).expect("a map of the layer");
            report.compare(&format!("{} {layer}", case.model), &map.looks, &golden.values(layer));
        }
    }
    report.finish();
}

/// Whole runs of the CPU pipeline, from packed weights.
#[test]
fn denoise() {
    let source = ModelSource::open(&model_folder(MODEL)).expect("model folder");
    let decls = opengen::model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let mut report = Report::new(common::F32);
    for case in cases::<DenoiseCase>("denoise").iter().filter(|case| case.model == MODEL) {
        let mut manifest = manifest.clone();
        manifest.config.scheduler = scheduler_of(case);
        let mut pipeline = CpuPipeline::new(manifest, slabs.clone()).expect("pipeline");
        let (mut dump, cancel) = (Dump::default(), Cancel::default());
        let request = request(case);
        let mut ignore = |_| ();
        let run = pipeline.generate_with(&request, &mut ignore, &cancel, Some(&mut dump));
        let output = pollster::block_on(run).expect("a picture");
        assert_eq!((output.images[0].width, output.images[0].height), (case.width, case.height));
        let what = format!("{} {} {}", case.case, case.sampler, case.schedule);
        compare_run(&mut report, &what, case, &dump, &Golden::open(&case.file), true);
    }
    report.finish();
}

/// A cancelled run stops between steps.
#[test]
fn cancelled() {
    let source = ModelSource::open(&model_folder(MODEL)).expect("model folder");
    let decls = opengen::model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let mut pipeline = CpuPipeline::new(manifest, slabs).expect("pipeline");
    let (case, cancel) = (&cases::<DenoiseCase>("denoise")[0], Cancel::default());
    let mut steps = 0;
    let mut listen = |event| {
        if let Event::Step { .. } = event {
            steps += 1;
            cancel.cancel();
        }
    };
    let result = pollster::block_on(pipeline.generate(&request(case), &mut listen, &cancel));
    assert!(matches!(result, Err(Error::Aborted)), "{:?}", result.map(|output| output.notices));
    assert_eq!(steps, 1);
}

#[test]
fn previews_show_the_picture() {
    let source = ModelSource::open(&mini()).expect("the embedded model");
    let decls = opengen::model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let mut pipeline = CpuPipeline::new(manifest, slabs).expect("pipeline");
    let mut previews = Vec::new();
    let mut listen = |event| {
        if let Event::Step { preview, .. } = event {
            previews.extend(preview);
        }
    };
    let (request, cancel) = (mini_request(), Cancel::default());
    let output = pollster::block_on(pipeline.generate(&request, &mut listen, &cancel)).expect("a picture");
    assert_previews_show(&previews, &output.images[0]);
}

/// A run taken apart gives what diffusers' run gives.
#[test]
fn steps_taken_alone() {
    let source = ModelSource::open(&model_folder(MODEL)).expect("model folder");
    let decls = opengen::model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let case = &cases::<DenoiseCase>("denoise")[0];
    let mut pipeline = CpuPipeline::new(manifest, slabs).expect("pipeline");
    let (golden, request, cancel) = (Golden::open(&case.file), request(case), Cancel::default());
    let mut report = Report::new(common::F32);
    for i in 0..case.steps {
        let latents = golden.values(&format!("latents.{i}"));
        let trace = pollster::block_on(pipeline.study_step(&request, i, &latents, false, &cancel));
        let trace = trace.expect("a step");
        report.compare(&format!("step {i}"), &trace.next, &golden.values(&format!("latents.{}", i + 1)));
        let answer = answer(&trace, source.config().scheduler.prediction_type);
        report.compare(&format!("answer {i}"), &answer, &golden.values(&format!("noise_pred.{i}")));
    }
    report.finish();

    // Asking for maps changes nothing of the step, and their rows are probabilities.
    let latents = golden.values("latents.0");
    let trace = pollster::block_on(pipeline.study_step(&request, 0, &latents, true, &cancel)).expect("maps");
    let mut report = Report::new(common::F32);
    report.compare("with maps", &trace.next, &golden.values("latents.1"));
    report.finish();
    let tokens = pipeline.study_tokens(&request.prompt).expect("tokens").len();
    assert!(!trace.maps.is_empty());
    for map in &trace.maps {
        assert_eq!((map.tokens, map.values.len()), (tokens, map.h * map.w * tokens), "{}", map.layer);
        for row in map.values.chunks_exact(map.tokens) {
            let sum: f32 = row.iter().sum();
            assert!(sum > 0.0 && sum <= 1.0 + 1e-4, "{}: a row sums to {sum}", map.layer);
        }
    }
}

/// What candle's text encoder cannot run is refused with the reason, before any tensor is looked at.
#[test]
fn refuses_what_candle_cannot_run() {
    let config = config::from_folder(&model_folder("sd2")).expect("configuration");
    let Err(Error::Unsupported { what, message }) = CpuModel::new(&config, Default::default()) else {
        panic!("sd2 has GELU");
    };
    assert!(what.contains("hidden_act gelu"), "{what}: {message}");
}

/// A missing tensor is an error, not a panic.
#[test]
fn names_a_missing_tensor() {
    let folder = model_folder(MODEL);
    let config = config::from_folder(&folder).expect("configuration");
    for missing in ["unet.mid_block.resnets.0.conv1.weight", "vae.decoder.mid_block.attentions.0.to_k.weight"]
    {
        let mut tensors = folder_tensors(&folder);
        assert!(tensors.remove(missing).is_some(), "{missing}");
        let error = CpuModel::new(&config, tensors).err().expect("an error").to_string();
        assert!(error.contains(missing), "{error}");
    }
}

/// Several rows at once give what each gives alone.
#[test]
fn batches_are_independent() {
    let model = model(MODEL);
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
