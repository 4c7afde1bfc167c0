//! Runs that begin from a picture: what diffusers makes of it.

use opengen::pipeline::{Pipeline, Request, Tiling};
use opengen::sample::SamplerKind;
use opengen::weights::{LayoutOptions, load};
use pollster::block_on;

use crate::common::F32;
use crate::common::families::Family;
use crate::common::pictures::{
    PictureRun, ROUNDED, assert_drawn_on, assert_gone_on, assert_seamless, compare_encoded, compare_part,
    compare_picture, compare_second, drawn, picture_cases,
};
use crate::common::report::Report;
use crate::engine::{Packed, Tier, own_tiers};
use crate::left_out;

fn pipeline(tier: &Tier, model: &str) -> Pipeline {
    let (manifest, slabs) = match model {
        "inpainting" => {
            let out = tempfile::tempdir().expect("a folder");
            let [_, folder] = Family::of(model).open(out.path());
            let decls = opengen::model::weight_decls(folder.config());
            load(&folder, &decls, LayoutOptions::default()).expect("weights")
        }
        _ => {
            let packed = Packed::open(model, None);
            (packed.manifest, packed.slabs)
        }
    };
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), manifest)).expect("pipeline");
    for (slab, bytes) in slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    pipeline
}

/// The first step is of first order; the processor holds every sampler (`golden_cpu`).
fn chosen(run: &PictureRun) -> bool {
    left_out::everything() || ["ddim", "lms", "dpm++-2m"].contains(&run.sampler.as_str())
}

/// Whole runs in f32; what is encoded in every tier.
#[test]
fn from_a_picture() {
    for (index, tier) in own_tiers().enumerate() {
        let mut report = tier.report();
        for case in picture_cases("img2img") {
            let (mut pipeline, golden) = (pipeline(tier, &case.model), case.golden());
            for run in case.runs.iter().filter(|run| index == 0 && chosen(run)) {
                let (_, dump) = drawn(&mut pipeline, &case.request_from(run, &golden));
                let what = format!("{} {} {}", tier.name, case.model, run.run);
                compare_picture(&mut report, &what, run, &dump, &golden);
            }
            compare_encoded(&mut report, &case, &mut pipeline);
        }
        report.finish();
    }
}

/// Runs that begin from latents; the processor holds every sampler.
#[test]
fn from_latents() {
    let Some(tier) = own_tiers().next() else { return };
    let case = &picture_cases("img2img")[0];
    let mut pipeline = pipeline(tier, &case.model);
    assert_gone_on(
        case,
        &mut pipeline,
        &[SamplerKind::Euler, SamplerKind::EulerAncestral, SamplerKind::DpmPlusPlus2M],
    );
    assert_drawn_on(case, &mut pipeline);
}

/// Drawn small, enlarged, and drawn on; the processor holds every upscaler (`golden_cpu`).
#[test]
fn a_second_pass_at_a_larger_size() {
    let Some(tier) = own_tiers().next() else { return };
    let [mut latents, mut pictures] = [tier.report(), Report::new(ROUNDED)];
    for case in picture_cases("hires") {
        let (mut pipeline, golden) = (pipeline(tier, &case.model), case.golden());
        for (report, runs) in [&mut latents, &mut pictures].into_iter().zip(case.by_what_is_enlarged()) {
            let few = ["latent/ddim", "lanczos/ddim", "latent-bicubic/euler-a"];
            let chosen = |run: &&&PictureRun| left_out::everything() || few.contains(&run.run.as_str());
            for run in runs.iter().filter(chosen) {
                let made = drawn(&mut pipeline, &case.request_of_both(run));
                compare_second(report, &format!("{} {}", case.model, run.run), run, &made, &golden);
            }
        }
    }
    latents.finish();
    pictures.finish();
}

/// Tiles without seams: whole runs in f32, moved ones in every tier.
#[test]
fn tiles_without_seams() {
    for (index, tier) in own_tiers().enumerate() {
        let (mut report, mut moved) = (Report::new(F32), tier.report());
        for case in picture_cases("tiling").into_iter().filter(|case| index == 0 || case.model == "sd1") {
            let (mut pipeline, golden) = (pipeline(tier, &case.model), case.golden());
            for run in case.runs.iter().filter(|_| index == 0) {
                let (_, dump) = drawn(&mut pipeline, &case.request_of_tile(run, &golden));
                compare_picture(&mut report, &format!("{} {}", case.model, run.run), run, &dump, &golden);
            }
            if case.model == "sd1" {
                let request = case.request(&case.runs[0]);
                let request = Request { width: 64, height: 64, tiling: Tiling::Both, ..request };
                assert_seamless(&mut moved, &request, &mut pipeline);
            }
        }
        if index == 0 {
            report.finish();
        }
        moved.finish();
    }
}

/// By any UNet, and by one that reads the mask.
#[test]
fn a_part_of_a_picture() {
    let Some(tier) = own_tiers().next() else { return };
    let mut report = tier.report();
    for case in picture_cases("inpaint") {
        let (mut pipeline, golden) = (pipeline(tier, &case.model), case.golden());
        for run in case.runs.iter().filter(|run| chosen(run)) {
            let made = drawn(&mut pipeline, &case.request_from(run, &golden));
            compare_part(&mut report, &format!("{} {}", case.model, run.run), run, &made, &golden);
        }
    }
    report.finish();
}
