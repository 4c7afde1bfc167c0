//! Whole runs from noise, previews and single steps among them.

use opengen::cpu::Weights;
use opengen::pipeline::stages::Stages;
use opengen::pipeline::{Cancel, Dump, Event, Pipeline, Request};
use opengen::sample::SamplerKind;
use pollster::block_on;

use crate::common::pictures::drawn;
use crate::common::report::Report;
use crate::common::twice::{two_encoders, two_encoders_folder};
use crate::common::{
    DenoiseCase, F32, Golden, answer, assert_previews_decode, cases, compare_run, model_folder, request,
    scheduler_of, thresholded,
};
use crate::models::{packed, pipeline, run_of};

/// Two text encoders side by side, whose halves make up one: the same run, from the same weights in a folder too.
#[test]
fn two_text_encoders() {
    let mut report = Report::new(F32);
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
    let mut report = Report::new(F32);
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
    let path = crate::common::folder().join("samplers/runs.json");
    let text = std::fs::read_to_string(&path).expect("tests/golden/samplers/runs.json");
    let runs: serde_json::Value = serde_json::from_str(&text).expect("runs.json");
    let cases: Vec<DenoiseCase> = serde_json::from_value(runs["runs"].clone()).expect("cases");
    let golden = Golden::open(&cases[0].file);
    let mut report = Report::new(1e-4);
    for case in &cases {
        let dump = run_of(case, packed(&model_folder(&case.model)));
        let what = format!("{} {} {} {}", case.model, case.sampler, case.schedule, case.steps);
        let latents = &dump.0[&format!("latents.{}", case.steps)].1;
        report.compare(&what, latents, &golden.values(&case.case));
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

/// A run taken apart gives what diffusers' run gives.
#[test]
fn steps_taken_alone() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    let mut pipeline = pipeline(&model_folder("sd1"));
    let (golden, request, cancel) = (Golden::open(&case.file), request(case), Cancel::default());
    let mut report = Report::new(F32);
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
    let mut report = Report::new(F32);
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
