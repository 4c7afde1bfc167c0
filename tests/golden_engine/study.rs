//! A run taken apart gives what diffusers' run gives; attention looks where diffusers' does.

use opengen::Error;
use opengen::image::psnr;
use opengen::pipeline::study::StepTrace;
use opengen::pipeline::study::{self, Start};
use opengen::pipeline::{Cancel, Pipeline, Request, Walk};
use pollster::block_on;

use crate::common::report::Report;
use crate::common::{
    self, AttentionCase, DenoiseCase, Golden, answer, assert_whole_step, cases, request, scheduler_of,
};
use crate::engine::{Engine, Packed, Tier, own_tiers, tiers};

fn pipeline(tier: &Tier, case: &DenoiseCase) -> Pipeline {
    let mut packed = Packed::open(&case.model, None);
    packed.manifest.config.scheduler = scheduler_of(case);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    pipeline
}

fn step(
    pipeline: &mut Pipeline,
    request: &Request,
    i: usize,
    latents: &[f32],
    maps: bool,
) -> Result<StepTrace, Error> {
    block_on(pipeline.study_step(request, i, latents, maps, &Cancel::default()))
}

/// Each step is taken alone, from the latents that entered it in diffusers.
#[test]
fn steps_taken_alone() {
    let Some(tier) = tiers().first() else { return };
    let mut report = tier.report();
    for case in cases::<DenoiseCase>("denoise") {
        if !request(&case).sampler.is_alone() || case.schedule != "default" {
            continue; // multistep samplers cannot be taken apart
        }
        let golden = Golden::open(&case.file);
        let (mut pipeline, request) = (pipeline(tier, &case), request(&case));
        for i in 0..case.steps {
            let what = format!("{} {} step {i}", case.case, case.sampler);
            let latents = golden.values(&format!("latents.{i}"));
            let trace = step(&mut pipeline, &request, i, &latents, false).expect("a step");
            report.compare(&what, &trace.next, &golden.values(&format!("latents.{}", i + 1)));
            let answer = answer(&trace, pipeline.config().scheduler.prediction_type);
            assert_whole_step(&mut report, &what, &trace.step, &golden, i);
            report.compare(&format!("{what} answer"), &answer, &golden.values(&format!("noise_pred.{i}")));
            // What went in is made of its parts.
            let again = trace.shares.mix(&trace.clean, &trace.noise);
            report.compare(&format!("{what} shares"), &again, &trace.input);
            assert!(trace.maps.is_empty(), "maps were not asked for");
        }
        let start = study::begin(pipeline.config(), &request, &Start::Noise).expect("a path");
        report.compare(&format!("{} start", case.case), &start.latents, &golden.values("latents.0"));
    }
    report.finish();
}

/// Asking for maps changes nothing of the step, and their rows are probabilities.
#[test]
fn maps_come_with_a_step_when_asked() {
    let Some(tier) = tiers().first() else { return };
    let case = &cases::<DenoiseCase>("denoise")[0];
    let (golden, mut pipeline, request) = (Golden::open(&case.file), pipeline(tier, case), request(case));
    let latents = golden.values("latents.0");
    let trace =
        block_on(pipeline.study_step(&request, 0, &latents, true, &Cancel::default())).expect("a step");
    let mut report = tier.report();
    report.compare("with maps", &trace.next, &golden.values("latents.1"));
    report.finish();
    let tokens = pipeline.study_tokens(&request.prompt, &request.reading()).expect("tokens");
    assert!(tokens.len() > 2 && tokens[1].text.chars().all(char::is_alphanumeric), "{tokens:?}");
    assert!(!trace.maps.is_empty());
    for map in &trace.maps {
        assert_eq!(
            (map.tokens, map.values.len()),
            (tokens.len(), map.h * map.w * map.tokens),
            "{}",
            map.layer
        );
        for row in map.values.chunks_exact(map.tokens) {
            let sum: f32 = row.iter().sum();
            assert!(sum > 0.0 && sum <= 1.0 + 1e-4, "{}: a row sums to {sum}", map.layer);
        }
    }
}

/// Through the autoencoder and back, and from a noised picture on.
#[test]
fn from_a_picture_to_latents_and_on() {
    let Some(tier) = tiers().first() else { return };
    let case = &cases::<DenoiseCase>("denoise")[0];
    let (mut pipeline, request) = (pipeline(tier, case), request(case));
    let [_, c, h, w] = request.latents_shape(pipeline.config());
    let made = block_on(pipeline.generate(&request, &mut |_| {}, &Cancel::default())).expect("a picture");
    let clean = block_on(pipeline.study_encode(&made.images[0])).expect("latents");
    assert_eq!(clean.len(), c * h * w);
    let decoded = block_on(pipeline.study_decode(&clean, h, w)).expect("a picture");
    assert_eq!((decoded.width, decoded.height), (case.width, case.height));

    let config = pipeline.config();
    let at = |t| study::begin(config, &request, &Start::Noised { clean: clean.clone(), t });
    let first = |t| at(t).expect("a path").first;
    assert_eq!(first(1000), 0);
    assert!(first(500) > 0 && first(500) < case.steps, "{}", first(500));
    assert_eq!(first(0), case.steps - 1, "the least noise a step can begin with");
    assert!(matches!(at(1001), Err(Error::InvalidInput { field: "t", .. })));
    let short = Start::Noised { clean: clean[1..].to_vec(), t: 500 };
    assert!(matches!(
        study::begin(config, &request, &short),
        Err(Error::InvalidInput { field: "latents", .. })
    ));
    let beyond = step(&mut pipeline, &request, case.steps, &clean, false);
    assert!(matches!(beyond, Err(Error::InvalidInput { field: "step", .. })));
}

#[test]
fn a_multistep_sampler_cannot_be_taken_apart() {
    let Some(tier) = tiers().first() else { return };
    let all = cases::<DenoiseCase>("denoise");
    for sampler in ["dpm++-2m", "lms"] {
        let case = all.iter().find(|case| case.sampler == sampler).expect("a case");
        let golden = Golden::open(&case.file);
        let mut pipeline = pipeline(tier, case);
        let latents = golden.values("latents.1");
        let alone = step(&mut pipeline, &request(case), 1, &latents, false).unwrap_err().to_string();
        assert!(alone.starts_with(&format!("sampler: {sampler} remembers")), "{alone}");
        let (_, instead) = alone.split_once("; use ").expect("what can be taken instead");
        assert!(instead.starts_with("ddim, euler, euler-a, heun,") && !instead.contains("lms"), "{alone}");
    }
}

#[test]
fn attention_looks_where_diffusers_does() {
    for tier in own_tiers() {
        let mut report = Report::new(tier.tolerance.max(common::F32));
        for case in cases::<AttentionCase>("attention") {
            let engine = Engine::new(tier, &Packed::open(&case.model, None));
            let golden = Golden::open(&case.file);
            // Latents and embeddings are those of the seams.
            let seams = Golden::open(&format!("{}.seams.safetensors", case.model));
            let both = Golden::open(&format!("{}.unet.safetensors", case.model)).values("embeddings");
            let embeddings = &both[both.len() / 2..];
            let (latents, shape) = (seams.values("latents"), seams.shape("latents"));
            for layer in &case.layers {
                let (stages, config, path) = (engine.stages(), &engine.config, format!("unet.{layer}"));
                let map = stages.attention_map(config, &latents, shape, case.timestep, embeddings, &path);
                let what = format!("{} {} {layer}", tier.name, case.model);
                report.compare(&what, &block_on(map).expect("a map"), &golden.values(layer));
            }
        }
        report.finish();
    }
}

/// A walk begins at the request's own picture and ends at the other prompt's and seed's.
#[test]
fn a_walk_leads_from_one_picture_to_another() {
    let Some(tier) = tiers().first() else { return };
    let case = &cases::<DenoiseCase>("denoise")[0];
    let (mut pipeline, from) = (pipeline(tier, case), Request { steps: 2, ..request(case) });
    let to = Request { prompt: "a blue (dog:1.3)".to_string(), seed: 7, ..from.clone() };
    let mut made = |request: &Request| {
        let output = block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()));
        output.map(|output| output.images[0].clone())
    };
    let walk = |share| {
        let walk = Walk { prompt: Some(to.prompt.clone()), seed: Some(to.seed), share };
        Request { walk: Some(walk), ..from.clone() }
    };
    let ends = [made(&from), made(&to)].map(|made| made.expect("a picture"));
    let [begin, middle, end] = [0.0, 0.5, 1.0].map(|share| made(&walk(share)).expect("a picture"));
    assert!(psnr(&begin, &ends[0]) > 50.0, "{} dB at the beginning", psnr(&begin, &ends[0]));
    assert!(psnr(&end, &ends[1]) > 50.0, "{} dB at the end", psnr(&end, &ends[1]));
    assert!(ends.iter().all(|other| psnr(&middle, other) < 40.0), "the middle is another picture");

    assert!(matches!(made(&walk(1.5)), Err(Error::InvalidInput { field: "walk", .. })));
    let long = Walk { prompt: Some("dog ".repeat(100)), seed: None, share: 0.5 };
    let refused = made(&Request { walk: Some(long), ..from.clone() });
    assert!(matches!(refused, Err(Error::InvalidInput { field: "walk", .. })), "one part against two");
}
