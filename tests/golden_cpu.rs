//! The CPU path against diffusers: each stage, whole runs, steps looked into, attention maps.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::families::Family;
use common::pictures::{
    ROUNDED, assert_batches, assert_drawn_on, assert_gone_on, assert_seamless, assert_seamless_between,
    compare_encoded, compare_part, compare_picture, compare_second, drawn, picture_cases,
};
use common::report::Report;
use common::twice::{two_encoders, two_encoders_folder};
use common::{
    AttentionCase, DenoiseCase, Golden, TextCase, UnetCase, VaeCase, answer, assert_previews_decode,
    assert_previews_show, assert_steps_told, cases, compare_run, mini, mini_request, model_folder,
    packed_taesd, request, scheduler_of, thresholded,
};
use opengen::Error;
use opengen::config::ModelConfig;
use opengen::cpu::Weights;
use opengen::image::Rgba;
use opengen::kernels::WeightType;
use opengen::model;
use opengen::pipeline::engine::{Engine, Network, Pause};
use opengen::pipeline::stages::Stages;
use opengen::pipeline::study::{self, Start};
use opengen::pipeline::{Cancel, Dump, Event, Hires, Mask, Picture, Pipeline, Request, Tiling, Upscaler};
use opengen::sample::SamplerKind;
use opengen::weights::{self, LayoutOptions, Manifest, ModelSource};
use pollster::block_on;

/// The tiny models: of Stable Diffusion 1's shape, and of 2's, with GELU and linear projections.
const MODELS: [&str; 2] = ["sd1", "sd2"];

/// A model's packed weights.
fn packed(path: &Path) -> (Manifest, Vec<Vec<u8>>) {
    let source = ModelSource::open(path).expect("a model");
    let decls = model::weight_decls(source.config());
    weights::load(&source, &decls, LayoutOptions::default()).expect("weights")
}

fn pipeline(path: &Path) -> Pipeline {
    let (manifest, slabs) = packed(path);
    Pipeline::on_cpu(manifest, slabs).expect("pipeline")
}

/// A model ready for single stages.
struct Model {
    config: ModelConfig,
    weights: Weights,
}

impl Model {
    fn open(name: &str) -> Model {
        let (manifest, slabs) = packed(&model_folder(name));
        Model { weights: Weights::new(&manifest, slabs).expect("weights"), config: manifest.config }
    }

    fn stages(&self) -> Stages<'_> {
        Stages::on_cpu(&self.weights)
    }
}

/// What a large model's products unpack a panel at a time is what a small model's weights are unpacked to at once: no bit of any
/// answer differs. Of every type by the text encoder; of one by every network, and by the decoder in slices of channels, whose
/// matrices are sections.
#[test]
fn weights_that_stay_packed_are_those_that_are_unpacked() {
    let noise = |len: usize| -> Vec<f32> { (0..len).map(|i| (i as f32 * 0.37).sin()).collect() };
    let source = ModelSource::open(&mini()).expect("a model");
    let decls = model::weight_decls(source.config());
    for kind in [WeightType::F16, WeightType::Q8, WeightType::Q5, WeightType::Q4] {
        let options = LayoutOptions { matrix_type: Some(kind), ..LayoutOptions::default() };
        let (manifest, slabs) = weights::load(&source, &decls, options).expect("weights");
        let (config, channels) = (&manifest.config, manifest.config.vae.latent_channels());
        let (tokens, shape) = (config.chunk_tokens(), [1, channels, 8, 8]);
        let latents = noise(shape.iter().product());
        let answers = [Weights::new, Weights::packed].map(|kept| {
            let weights = kept(&manifest, slabs.clone()).expect("weights");
            let stages = Stages::on_cpu(&weights);
            let text = block_on(stages.text_embeddings(config, &[vec![1; tokens]], 0)).expect("text");
            if kind != WeightType::Q8 {
                return vec![text];
            }
            let step = block_on(stages.unet(config, &latents, shape, 500.0, &text)).expect("a step");
            let whole = block_on(stages.vae_decode(config, &latents, shape)).expect("a picture");
            let sliced = block_on(stages.vae_decode_streamed(config, &latents, shape, 1 << 12));
            vec![text, step, whole, sliced.expect("a picture")]
        });
        assert!(answers[0].iter().flatten().all(|value| value.is_finite()));
        assert!(answers[0] == answers[1], "{kind:?}");
    }
}

#[test]
fn text_embeddings() {
    let mut report = Report::new(common::F32);
    for case in cases::<TextCase>("text") {
        let model = Model::open(&case.model);
        let golden = Golden::open(&case.file);
        let ids = &golden.tokens("tokens")[..case.embedded];
        let embed = |ids: &[Vec<u32>], clip_skip| {
            block_on(model.stages().text_embeddings(&model.config, ids, clip_skip)).expect("embeddings")
        };
        let got = embed(ids, 0);
        for (i, got) in got.chunks(got.len() / ids.len()).enumerate() {
            let name = format!("text_embeddings.{i}");
            report.compare(&format!("{} {name}", case.model), got, &golden.values(&name));
        }
        // The penultimate layer's, of the second prompt.
        let name = "text_embeddings.clip_skip_1";
        report.compare(&format!("{} {name}", case.model), &embed(&ids[1..2], 1), &golden.values(name));
    }
    report.finish();
}

#[test]
fn unet() {
    let mut report = Report::new(common::F32);
    for case in cases::<UnetCase>("unet") {
        let model = Model::open(&case.model);
        let golden = Golden::open(&case.file);
        let embeddings = golden.values("embeddings");
        for (i, call) in case.cases.iter().enumerate() {
            let name = format!("latents.{i}");
            let (latents, shape) = (golden.values(&name), golden.shape(&name));
            let stages = model.stages();
            let got = stages.unet(&model.config, &latents, shape, call.timestep, &embeddings);
            let what = format!("{} unet {}x{} t {}", case.model, call.height, call.width, call.timestep);
            report.compare(&what, &block_on(got).expect("UNet"), &golden.values(&format!("output.{i}")));
        }
    }
    report.finish();
}

/// Maps as they are, and in slices of channels down to one norm group: what is made for devices runs here too.
#[test]
fn vae() {
    let mut report = Report::new(common::F32);
    for case in cases::<VaeCase>("vae").iter().filter(|case| MODELS.contains(&case.model.as_str())) {
        let model = Model::open(&case.model);
        let (stages, config) = (model.stages(), &model.config);
        let golden = Golden::open(&case.file);
        for (i, call) in case.cases.iter().enumerate() {
            let what = |way| format!("{} vae {way} {}x{}", case.model, call.height, call.width);
            let name = format!("latents.{i}");
            let scale = config.vae.scaling_factor() as f32;
            let latents: Vec<f32> = golden.values(&name).iter().map(|value| value * scale).collect();
            let (shape, decoded) = (golden.shape(&name), golden.values(&format!("decoded.{i}")));
            let got = block_on(stages.vae_decode(config, &latents, shape)).expect("decode");
            report.compare(&what("decode"), &got, &decoded);
            let got = block_on(stages.vae_decode_streamed(config, &latents, shape, 1)).expect("decode");
            report.compare(&what("decode in slices"), &got, &decoded);

            let name = format!("image.{i}");
            let (image, shape) = (golden.values(&name), golden.shape(&name));
            let encoded = golden.values(&format!("encoded.{i}"));
            let got = block_on(stages.vae_encode(config, &image, shape)).expect("encode");
            report.compare(&what("encode"), &got, &encoded);
            let got = block_on(stages.vae_encode_streamed(config, &image, shape, 1)).expect("encode");
            report.compare(&what("encode in slices"), &got, &encoded);
        }
    }
    report.finish();
}

#[test]
fn taesd() {
    let (config, manifest, slabs) = packed_taesd();
    let weights = Weights::new(&manifest, slabs).expect("weights");
    let stages = Stages::on_cpu(&weights);
    let mut report = Report::new(common::F32);
    for case in cases::<VaeCase>("vae").iter().filter(|case| case.model == "taesd") {
        let golden = Golden::open(&case.file);
        for (i, call) in case.cases.iter().enumerate() {
            let what = |way| format!("taesd {way} {}x{}", call.height, call.width);
            let name = format!("latents.{i}");
            let (latents, shape) = (golden.values(&name), golden.shape(&name));
            let decoded = stages.taesd_decode(&config, &latents, shape);
            let expected = golden.values(&format!("decoded.{i}"));
            report.compare(&what("decode"), &block_on(decoded).expect("decode"), &expected);
            let name = format!("image.{i}");
            let (image, shape) = (golden.values(&name), golden.shape(&name));
            let encoded = stages.taesd_encode(&config, &image, shape);
            let expected = golden.values(&format!("encoded.{i}"));
            report.compare(&what("encode"), &block_on(encoded).expect("encode"), &expected);
        }
    }
    report.finish();
}

#[test]
fn attention_looks_where_diffusers_does() {
    let mut report = Report::new(common::F32);
    for case in cases::<AttentionCase>("attention") {
        let model = Model::open(&case.model);
        let golden = Golden::open(&case.file);
        // Latents and embeddings are those of the seams.
        let seams = Golden::open(&format!("{}.seams.safetensors", case.model));
        let both = Golden::open(&format!("{}.unet.safetensors", case.model)).values("embeddings");
        let embeddings = &both[both.len() / 2..];
        let (latents, shape) = (seams.values("latents"), seams.shape("latents"));
        for layer in &case.layers {
            let (stages, config, path) = (model.stages(), &model.config, format!("unet.{layer}"));
            let map = stages.attention_map(config, &latents, shape, case.timestep, embeddings, &path);
            let what = format!("{} {layer}", case.model);
            report.compare(&what, &block_on(map).expect("a map"), &golden.values(layer));
        }
    }
    report.finish();
}

/// What a case's run gives on the way, from packed weights.
fn run_of(case: &DenoiseCase, (mut manifest, slabs): (Manifest, Vec<Vec<u8>>)) -> Dump {
    manifest.config.scheduler = scheduler_of(case);
    let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
    let (mut dump, cancel) = (Dump::default(), Cancel::default());
    let (request, mut events) = (request(case), Vec::new());
    let mut listen = |event| events.push(event);
    let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
    let output = block_on(run).expect("a picture");
    assert_steps_told(&events, case.steps);
    assert_eq!((output.images[0].width, output.images[0].height), (case.width, case.height));
    dump
}

/// Two text encoders side by side, whose halves make up one: the same run, from the same weights in a folder too.
#[test]
fn two_text_encoders() {
    let mut report = Report::new(common::F32);
    for case in cases::<DenoiseCase>("denoise").iter().filter(|case| ["d", "e"].contains(&case.case.as_str()))
    {
        let mut dump = run_of(case, two_encoders(&case.model));
        let folder = tempfile::tempdir().expect("a folder");
        two_encoders_folder(&case.model, folder.path());
        assert!(run_of(case, packed(folder.path())).0 == dump.0, "{}: from a folder", case.model);
        let (shape, both) = dump.0.remove("text_embeddings").expect("embeddings");
        let width = shape[2] / 2;
        let first: Vec<f32> = both.chunks(2 * width).flat_map(|row| row[..width].to_vec()).collect();
        let second: Vec<f32> = both.chunks(2 * width).flat_map(|row| row[width..].to_vec()).collect();
        assert_eq!(first, second);
        dump.insert("text_embeddings", &[shape[0], shape[1], width], first);
        compare_run(
            &mut report,
            &format!("{} twice", case.model),
            case,
            &dump,
            &Golden::open(&case.file),
            None,
        );
    }
    report.finish();
}

/// A model that brings a tiny autoencoder shows what that makes of each step's clean estimate.
#[test]
fn previews_by_the_tiny_autoencoder() {
    let case = cases::<DenoiseCase>("denoise").into_iter().find(|case| case.model == "deep").expect("deep");
    let (mut manifest, slabs) = packed(&model_folder(&case.model));
    manifest.config.scheduler = scheduler_of(&case);
    let weights = Weights::new(&manifest, slabs.clone()).expect("weights");
    let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
    let mut dump = Dump::default();
    let request = Request { preview_every: 1, ..request(&case) };
    let mut previews = Vec::new();
    let mut listen = |event| {
        if let Event::Step { preview, .. } = event {
            previews.extend(preview);
        }
    };
    let cancel = Cancel::default();
    let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
    block_on(run).expect("a picture");
    let decode = |latents: &[f32], shape| {
        let tiny = pipeline.config().preview.clone().expect("a tiny autoencoder");
        block_on(Stages::on_cpu(&weights).taesd_decode(&tiny, latents, shape)).expect("decoded")
    };
    assert_previews_decode(&request, &case, &previews, &dump, decode);
}

/// Whole runs.
#[test]
fn denoise() {
    let mut report = Report::new(common::F32);
    for case in cases::<DenoiseCase>("denoise") {
        let dump = run_of(&case, packed(&model_folder(&case.model)));
        let what = format!("{} {} {}", case.case, case.sampler, case.schedule);
        compare_run(&mut report, &what, &case, &dump, &Golden::open(&case.file), None);
    }
    report.finish();
}

/// How whole runs end by the samplers and schedules that the manifest has not, each by its own origin's code.
#[test]
fn samplers_end_as_their_origins_do() {
    let path = common::folder().join("samplers/runs.json");
    let text = std::fs::read_to_string(&path).expect("tests/golden/samplers/runs.json");
    let runs: serde_json::Value = serde_json::from_str(&text).expect("runs.json");
    let cases: Vec<DenoiseCase> = serde_json::from_value(runs["runs"].clone()).expect("cases");
    let golden = Golden::open(&cases[0].file);
    let mut report = Report::new(1e-4);
    for case in &cases {
        let dump = run_of(case, packed(&model_folder(&case.model)));
        let what = format!("{} {} {} {}", case.model, case.sampler, case.schedule, case.steps);
        let latents = &dump.0[&format!("latents.{}", case.steps)].1;
        // Seven Karras levels, far apart, with this model: a millionth of what its UNet sees moves the end by 6e-5.
        let sensitive = case.model == "sd2" && case.schedule == "karras" && case.sampler.contains("m-sde");
        report.compare_with(&what, latents, &golden.values(&case.case), if sensitive { 1e-4 } else { 0.0 });
    }
    let told: std::collections::BTreeSet<_> = cases.iter().map(|case| &case.sampler).collect();
    assert!(told.len() >= SamplerKind::ALL.len() - 2, "{told:?}"); // DDIM and LCM are the manifest's and the families'
    report.finish();
}

/// Dynamic thresholding as diffusers' classes have it; without it they end elsewhere.
#[test]
fn thresholded_runs_end_as_diffusers() {
    let cases = thresholded();
    let golden = Golden::open(&cases[0].0.file);
    let mut pipeline = pipeline(&model_folder(&cases[0].0.model));
    let mut report = Report::new(1e-4);
    for (case, sampling) in cases {
        let (_, plain) = drawn(&mut pipeline, &request(&case));
        let (_, dump) = drawn(&mut pipeline, &Request { sampling, ..request(&case) });
        let last = format!("latents.{}", case.steps);
        let what = format!("{} {:?} {}", case.sampler, sampling.thresholding(), case.guidance);
        // Guided and bounded, a millionth of what this model's UNet answers moves diffusers' own end by 8e-5.
        let sensitive = if case.guided() { 6e-4 } else { 0.0 };
        report.compare_with(&what, &dump.0[&last].1, &golden.values(&case.case), sensitive);
        assert_ne!(dump.0[&last].1, plain.0[&last].1, "{what}");
    }
    report.finish();
}

/// Whole runs that begin from a picture: every sampler, several strengths.
#[test]
fn from_a_picture() {
    let mut report = Report::new(common::F32);
    for case in picture_cases("img2img") {
        let (mut pipeline, golden) = (pipeline(&model_folder(&case.model)), case.golden());
        for run in &case.runs {
            let (_, dump) = drawn(&mut pipeline, &case.request_from(run, &golden));
            compare_picture(&mut report, &format!("{} {}", case.model, run.run), run, &dump, &golden);
        }
        compare_encoded(&mut report, &case, &mut pipeline);
    }
    report.finish();
    let mut report = Report::new(1e-5);
    let case = &picture_cases("img2img")[0];
    assert_batches(&mut report, case, &mut pipeline(&model_folder(&case.model)));
    report.finish();
}

/// Runs that begin from latents: what was left is gone on with, what is finished is drawn on.
#[test]
fn from_latents() {
    let case = &picture_cases("img2img")[0];
    let mut pipeline = pipeline(&model_folder(&case.model));
    assert_gone_on(case, &mut pipeline, &SamplerKind::ALL);
    assert_drawn_on(case, &mut pipeline);
}

/// A part of a picture drawn anew: by any UNet with every sampler, and by one that reads the mask.
#[test]
fn a_part_of_a_picture() {
    let mut report = Report::new(common::F32);
    for case in picture_cases("inpaint") {
        let out = tempfile::tempdir().expect("a folder");
        let mut pipeline = match case.model.as_str() {
            "inpainting" => {
                let [_, folder] = Family::of("inpainting").open(out.path());
                let decls = model::weight_decls(folder.config());
                let (manifest, slabs) =
                    weights::load(&folder, &decls, LayoutOptions::default()).expect("weights");
                Pipeline::on_cpu(manifest, slabs).expect("pipeline")
            }
            name => pipeline(&model_folder(name)),
        };
        let golden = case.golden();
        for run in &case.runs {
            let made = drawn(&mut pipeline, &case.request_from(run, &golden));
            compare_part(&mut report, &format!("{} {}", case.model, run.run), run, &made, &golden);
        }
    }
    report.finish();
    let mut report = Report::new(1e-5);
    let case = &picture_cases("inpaint")[0];
    assert_batches(&mut report, case, &mut pipeline(&model_folder(&case.model)));
    report.finish();
}

/// Tiles without seams, from noise and from pictures, along both axes and along one.
#[test]
fn tiles_without_seams() {
    let (mut report, mut moved) = (Report::new(common::F32), Report::new(1e-4));
    for case in picture_cases("tiling") {
        let (mut pipeline, golden) = (pipeline(&model_folder(&case.model)), case.golden());
        for run in &case.runs {
            let (_, dump) = drawn(&mut pipeline, &case.request_of_tile(run, &golden));
            compare_picture(&mut report, &format!("{} {}", case.model, run.run), run, &dump, &golden);
        }
        let side = if case.model == "small" { 128 } else { 64 };
        for tiling in [Tiling::Both, Tiling::X, Tiling::Y] {
            let request = Request { width: side, height: side, tiling, ..case.request(&case.runs[0]) };
            assert_seamless(&mut moved, &request, &mut pipeline);
        }
    }
    report.finish();
    moved.finish();
}

/// Drawn small, enlarged, and drawn on; each picture of a batch as alone.
#[test]
fn a_second_pass_at_a_larger_size() {
    let [mut latents, mut pictures] = [common::F32, ROUNDED].map(Report::new);
    let cases = picture_cases("hires");
    for case in &cases {
        let (mut pipeline, golden) = (pipeline(&model_folder(&case.model)), case.golden());
        for (report, runs) in [&mut latents, &mut pictures].into_iter().zip(case.by_what_is_enlarged()) {
            for run in runs {
                let made = drawn(&mut pipeline, &case.request_of_both(run));
                compare_second(report, &format!("{} {}", case.model, run.run), run, &made, &golden);
            }
        }
    }
    let case = picture_cases("tiling").remove(0);
    // Pixels are encoded with noise of their own, which is not moved: `resize_tile` has its own test.
    for upscaler in [Upscaler::LatentBicubic, Upscaler::Latent] {
        let hires = Hires { scale: 1.5, strength: 0.5, steps: Some(1), upscaler };
        let side = if case.model == "small" { 128 } else { 64 };
        let request =
            Request { width: side, height: side, hires: Some(hires), ..case.request(&case.runs[0]) };
        assert_seamless_between(&mut latents, &request, &mut pipeline(&model_folder(&case.model)));
    }
    latents.finish();
    pictures.finish();

    let mut report = Report::new(1e-5);
    let mut pipeline = pipeline(&model_folder(&cases[0].model));
    let run = cases[0].runs.iter().find(|run| run.run == "lanczos/ddim").expect("a run");
    let alone = Request { seed: 11, ..cases[0].request_of_both(run) };
    let last = format!("hires.latents.{}", run.taken);
    let (output, both) = drawn(&mut pipeline, &Request { batch: 2, ..alone.clone() });
    assert_eq!(output.images.len(), 2);
    let both = &both.0[&last].1;
    for (i, together) in both.chunks(both.len() / 2).enumerate() {
        let (_, dump) = drawn(&mut pipeline, &Request { seed: alone.seed + i as u64, ..alone.clone() });
        report.compare(&format!("picture {i}"), together, &dump.0[&last].1);
    }
    report.finish();
}

/// Previews and steps are told over both passes, and what is cancelled in the second stops there.
#[test]
fn a_second_pass_is_shown_and_cancelled() {
    let case = picture_cases("hires").swap_remove(0);
    let mut pipeline = pipeline(&model_folder(&case.model));
    let request = Request { preview_every: 1, ..case.request_of_both(&case.runs[0]) };
    let (first, cancel) = (request.taken().count(), Cancel::default());
    let mut sizes = Vec::new();
    let mut listen = |event| {
        if let Event::Step { step, steps, preview } = event {
            assert_eq!(steps, first + case.runs[0].taken);
            sizes.extend(preview.map(|preview| [preview.width, preview.height]));
            if step == first + 2 {
                cancel.cancel();
            }
        }
    };
    let result = block_on(pipeline.generate(&request, &mut listen, &cancel));
    assert!(matches!(result, Err(Error::Aborted)), "{:?}", result.map(|output| output.notices));
    assert_eq!(sizes[..first], vec![[10, 8]; first]);
    assert_eq!(sizes[first..], [[14, 12]; 2]);
}

/// A cancelled run stops between steps.
#[test]
fn cancelled() {
    let mut pipeline = pipeline(&model_folder("sd1"));
    let (case, cancel) = (&cases::<DenoiseCase>("denoise")[0], Cancel::default());
    let mut steps = 0;
    let mut listen = |event| {
        if let Event::Step { .. } = event {
            steps += 1;
            cancel.cancel();
        }
    };
    let result = block_on(pipeline.generate(&request(case), &mut listen, &cancel));
    assert!(matches!(result, Err(Error::Aborted)), "{:?}", result.map(|output| output.notices));
    assert_eq!(steps, 1);
}

/// And between the evaluations of one step: whoever has to let messages in does so there too.
#[test]
fn cancelled_within_a_step() {
    let mut pipeline = pipeline(&model_folder("sd1"));
    let cancel = Cancel::default();
    let heun = Request { sampler: SamplerKind::Heun, ..request(&cases::<DenoiseCase>("denoise")[0]) };
    let pauses = Arc::new(AtomicUsize::new(0));
    let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
    let (count, cancelling) = (pauses.clone(), cancel.clone());
    let pause: Pause = Box::new(move || {
        // The first is behind the text, the second in the middle of the first step.
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            cancelling.cancel();
        }
        Box::pin(std::future::ready(()))
    });
    engine.set_pause(pause, Duration::MAX);
    let (mut steps, mut dump) = (0, Dump::default());
    let mut listen = |event| steps += usize::from(matches!(event, Event::Step { .. }));
    let result = block_on(pipeline.generate_with(&heun, &mut listen, &cancel, Some(&mut dump)));
    assert!(matches!(result, Err(Error::Aborted)), "{:?}", result.map(|output| output.notices));
    assert_eq!((steps, pauses.load(Ordering::Relaxed)), (0, 2));
    let kept = |name: &str| dump.0.contains_key(name);
    assert!(kept("noise_pred.0") && !kept("noise_pred.0.1"), "{:?}", dump.0.keys());
}

/// And within a network, of which a large model's takes a minute: it goes on after each pause until it is cancelled there, and
/// what pauses did not end is the picture that there is without them.
#[test]
fn cancelled_within_a_network() {
    let request = Request { steps: 1, ..request(&cases::<DenoiseCase>("denoise")[0]) };
    let drawn = |cancelled_at: usize| {
        let mut pipeline = pipeline(&model_folder("sd1"));
        let (cancel, pauses) = (Cancel::default(), Arc::new(AtomicUsize::new(0)));
        let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
        let (count, cancelling) = (pauses.clone(), cancel.clone());
        let pause: Pause = Box::new(move || {
            if count.fetch_add(1, Ordering::Relaxed) + 1 == cancelled_at {
                cancelling.cancel();
            }
            Box::pin(std::future::ready(()))
        });
        engine.set_pause(pause, if cancelled_at > 0 { Duration::ZERO } else { Duration::MAX });
        let output = block_on(pipeline.generate(&request, &mut |_| {}, &cancel));
        (output.map(|output| output.images), pauses.load(Ordering::Relaxed))
    };
    let (whole, few) = drawn(0);
    let (paused, many) = drawn(usize::MAX);
    assert!(many > few + 100, "{many} pauses, between networks alone {few}");
    assert_eq!(paused.expect("a picture"), whole.expect("a picture"));
    let (cancelled, pauses) = drawn(many / 2);
    assert!(matches!(cancelled, Err(Error::Aborted)), "{cancelled:?}");
    assert_eq!(pauses, many / 2);
}

#[test]
fn previews_show_the_picture() {
    let mut pipeline = pipeline(&mini());
    let mut previews = Vec::new();
    let mut listen = |event| {
        if let Event::Step { preview, .. } = event {
            previews.extend(preview);
        }
    };
    let (request, cancel) = (mini_request(), Cancel::default());
    let output = block_on(pipeline.generate(&request, &mut listen, &cancel)).expect("a picture");
    assert_previews_show(&previews, &output.images[0]);
}

/// A run taken apart gives what diffusers' run gives.
#[test]
fn steps_taken_alone() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    let mut pipeline = pipeline(&model_folder("sd1"));
    let (golden, request, cancel) = (Golden::open(&case.file), request(case), Cancel::default());
    let mut report = Report::new(common::F32);
    for i in 0..case.steps {
        let latents = golden.values(&format!("latents.{i}"));
        let trace = block_on(pipeline.study_step(&request, i, &latents, false, &cancel));
        let trace = trace.expect("a step");
        report.compare(&format!("step {i}"), &trace.next, &golden.values(&format!("latents.{}", i + 1)));
        let answer = answer(&trace, pipeline.config().scheduler.prediction_type);
        report.compare(&format!("answer {i}"), &answer, &golden.values(&format!("noise_pred.{i}")));
    }
    report.finish();

    // Asking for maps changes nothing of the step, and their rows are probabilities.
    let latents = golden.values("latents.0");
    let trace = block_on(pipeline.study_step(&request, 0, &latents, true, &cancel)).expect("maps");
    let mut report = Report::new(common::F32);
    report.compare("with maps", &trace.next, &golden.values("latents.1"));
    report.finish();
    let tokens = pipeline.study_tokens(&request.prompt, &request.reading()).expect("tokens").len();
    assert!(!trace.maps.is_empty());
    for map in &trace.maps {
        assert_eq!((map.tokens, map.values.len()), (tokens, map.h * map.w * tokens), "{}", map.layer);
        for row in map.values.chunks_exact(map.tokens) {
            let sum: f32 = row.iter().sum();
            assert!(sum > 0.0 && sum <= 1.0 + 1e-4, "{}: a row sums to {sum}", map.layer);
        }
    }
}

/// A missing weight is an error that names it, not a panic.
#[test]
fn names_a_missing_weight() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    for missing in ["unet.mid_block.resnets.0.conv1", "vae.decoder.mid_block.attentions.0.to_qkv"] {
        let (mut manifest, slabs) = packed(&model_folder("sd1"));
        manifest.records.retain(|record| record.decl.name != missing);
        let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
        let result = block_on(pipeline.generate(&request(case), &mut |_| {}, &Cancel::default()));
        let error = result.expect_err("an error").to_string();
        assert!(error.contains(missing), "{error}");
    }
}

/// Several pictures at once are what each is alone.
#[test]
fn batches_are_independent() {
    let case =
        cases::<DenoiseCase>("denoise").into_iter().find(|case| case.sampler == "euler-a" && case.guided());
    let alone = request(&case.expect("a guided ancestral case"));
    let mut pipeline = pipeline(&model_folder("sd1"));
    let mut run = |request: &Request| {
        let mut dump = Dump::default();
        let run = block_on(pipeline.generate_with(request, &mut |_| {}, &Cancel::default(), Some(&mut dump)));
        run.expect("pictures");
        dump.0["image"].1.clone()
    };
    let both = run(&Request { batch: 2, ..alone.clone() });
    let mut report = Report::new(1e-5);
    for (i, row) in both.chunks(both.len() / 2).enumerate() {
        let expected = run(&Request { seed: alone.seed + i as u64, ..alone.clone() });
        report.compare(&format!("picture {i}"), row, &expected);
    }
    report.finish();
}

/// What is no number is refused where it comes in, by name, and where it comes out.
#[test]
fn no_numbers_are_no_picture() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    let (mut manifest, mut slabs) = packed(&model_folder("sd1"));
    let mut pipeline = Pipeline::on_cpu(manifest.clone(), slabs.clone()).expect("pipeline");
    let draw = |pipeline: &mut Pipeline, request: &Request| {
        let made = block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()))?;
        Ok::<_, Error>(made.images[0].pixels.clone())
    };
    let plain = request(case);
    let before = draw(&mut pipeline, &plain).expect("a picture");

    let mut latents = vec![0.0; plain.latents_len(pipeline.config())];
    latents[3] = f32::NAN;
    let given = Request { noise: Some(latents.clone()), ..plain.clone() };
    let error = draw(&mut pipeline, &given).expect_err("given latents").to_string();
    assert!(error.starts_with("noise: value 4 of") && error.contains("NaN"), "{error}");
    let step = block_on(pipeline.study_step(&plain, 0, &latents, false, &Cancel::default()));
    assert!(matches!(step, Err(Error::InvalidInput { field: "latents", .. })));
    let [_, c, h, w] = plain.latents_shape(pipeline.config());
    let decoded = block_on(pipeline.study_decode(&latents[..c * h * w], h, w));
    assert!(matches!(decoded, Err(Error::InvalidInput { field: "latents", .. })));
    let begun = study::begin(pipeline.config(), &plain, &Start::Noised { clean: latents.clone(), t: 5 });
    assert!(matches!(begun, Err(Error::InvalidInput { field: "latents", .. })));

    // Latents that overflow on the way: the error belongs to that run alone.
    let huge = Request { noise: Some(vec![3e38; latents.len()]), ..plain.clone() };
    assert!(matches!(draw(&mut pipeline, &huge), Err(Error::NoNumbers)));
    assert_eq!(draw(&mut pipeline, &plain).expect("a picture after it"), before);

    // A damaged checkpoint.
    let record = manifest.records.iter_mut().find(|record| record.decl.name == "vae.decoder.conv_out.bias");
    let record = record.expect("the last bias");
    slabs[record.slab][record.values.offset as usize..][..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let mut damaged = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
    assert!(matches!(draw(&mut damaged, &plain), Err(Error::NoNumbers)));
    let zeros = vec![0.0; c * h * w];
    assert!(matches!(block_on(damaged.study_decode(&zeros, h, w)), Err(Error::NoNumbers)));
}

/// What changes from run to run is prepared anew, and nothing else.
#[test]
fn only_what_changed_is_prepared_again() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    let mut pipeline = pipeline(&model_folder("deep"));
    let first = Request { preview_every: 0, sampler: SamplerKind::Euler, ..request(case) };
    let previews = Request { preview_every: 1, ..first.clone() };
    let ancestral = Request { sampler: SamplerKind::EulerAncestral, ..previews.clone() };
    let longer = Request { prompt: "a BREAK b".to_string(), ..ancestral.clone() };
    let batch = Request { batch: 2, ..longer.clone() };
    let [from, from_another] = [(90, 0.5), (7, 1.0)].map(|(grey, strength)| {
        let image = Rgba::new(9, 5, vec![grey; 9 * 5 * 4]).expect("a picture");
        Request { picture: Some(Picture::new(image, strength)), ..batch.clone() }
    });
    let mask = Mask::new(Rgba::new(1, 1, vec![255; 4]).expect("white"));
    let part = Picture { mask: Some(mask), ..from.picture.clone().expect("a picture") };
    let part = Request { picture: Some(part), ..from.clone() };
    use Network::*;
    for (what, request, built) in [
        ("the first", &first, vec![Text(0), KeysValues, Denoiser, Decoder]),
        ("with previews", &previews, vec![Preview]),
        ("another sampler", &ancestral, vec![]),
        ("one chunk more", &longer, vec![Text(0), KeysValues, Denoiser]),
        ("two pictures", &batch, vec![Denoiser, Decoder]),
        ("the same", &batch, vec![]),
        ("from a picture", &from, vec![Encoder]),
        ("from another picture, less of it", &from_another, vec![]),
        ("a part of it", &part, vec![]),
    ] {
        let before = built_so_far(&mut pipeline);
        block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default())).expect("a picture");
        let mut after = built_so_far(&mut pipeline);
        after.retain(|network, count| before.get(network) != Some(count));
        assert_eq!(after.into_keys().collect::<Vec<_>>(), built, "{what}");
    }
}

fn built_so_far(pipeline: &mut Pipeline) -> std::collections::BTreeMap<Network, usize> {
    let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
    engine.built().clone()
}
