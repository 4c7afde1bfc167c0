//! Runs that begin from a picture or from latents, and second passes.

use opengen::pipeline::{Cancel, Event, Hires, Pipeline, Request, Tiling, Upscaler};
use opengen::sample::SamplerKind;
use opengen::weights::LayoutOptions;
use opengen::{Error, model, weights};
use pollster::block_on;

use crate::common::families::Family;
use crate::common::pictures::{
    ROUNDED, assert_batches, assert_drawn_on, assert_gone_on, assert_seamless, assert_seamless_between,
    compare_encoded, compare_part, compare_picture, compare_second, drawn, picture_cases,
};
use crate::common::report::Report;
use crate::common::{F32, model_folder};
use crate::models::pipeline;

/// Whole runs that begin from a picture: every sampler, several strengths.
#[test]
fn from_a_picture() {
    let mut report = Report::new(F32);
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
    let mut report = Report::new(F32);
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
    let (mut report, mut moved) = (Report::new(F32), Report::new(1e-4));
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
    let [mut latents, mut pictures] = [F32, ROUNDED].map(Report::new);
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
