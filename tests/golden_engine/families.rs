//! The families around Stable Diffusion 1 and 2: what diffusers draws with them.

use opengen::config::PredictionType;
use opengen::pipeline::stock::Files;
use opengen::pipeline::{Cancel, Dump, Pipeline, Request};
use opengen::weights::{LayoutOptions, ModelSource, load};
use pollster::block_on;

use crate::common::families::{FAMILIES, Family};
use crate::common::single::{Entry, write};
use crate::common::{compare_run, request};
use crate::engine::tiers;

#[test]
fn each_draws_what_diffusers_draws() {
    let Some(tier) = tiers().first() else { return };
    let mut report = tier.report();
    for name in FAMILIES {
        let (family, out) = (Family::of(name), tempfile::tempdir().expect("a folder"));
        let [_, folder] = family.open(out.path());
        let decls = opengen::model::weight_decls(folder.config());
        let (manifest, slabs) = load(&folder, &decls, LayoutOptions::default()).expect("weights");
        let mut pipeline = block_on(Pipeline::new(tier.context.clone(), manifest)).expect("pipeline");
        for (slab, bytes) in slabs.iter().enumerate() {
            pipeline.write(slab, 0, bytes).expect("weights written");
        }
        let (case, mut dump) = (family.case(), Dump::default());
        let (request, cancel, mut listen) = (request(&case), Cancel::default(), |_| {});
        let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
        block_on(run).expect("a picture");
        compare_run(&mut report, name, &case, &dump, &family.golden(), None);
    }
    report.finish();
}

/// As on the processor, within a limit of memory too: the question has to bring the UNet's weights.
#[test]
fn a_unet_is_asked_what_it_predicts() {
    let Some(tier) = tiers().first() else { return };
    let (family, out) = (Family::of("bk-v2-tiny"), tempfile::tempdir().expect("a folder"));
    let path = out.path().join("m.safetensors");
    let mut entries = family.entries();
    entries.insert("model.diffusion_model.out.2.bias".to_string(), Entry::f16(&[4], &[-2.0; 4]));
    write(&entries, &path);
    let source = ModelSource::open(&path).expect("opens");
    let decls = opengen::model::weight_decls(source.config());
    let manifest = source.manifest(&decls, LayoutOptions::default()).expect("a manifest");
    let stock = Box::new(Files::new(source, manifest.clone(), Vec::new()));
    let mut pipeline = Pipeline::within(tier.context.clone(), manifest, 64 << 20, stock).expect("a pipeline");
    let request = Request { steps: 1, ..request(&family.case()) };
    let made = block_on(pipeline.generate(&request, &mut |_| {}, &Cancel::default())).expect("a picture");
    assert!(made.notices.iter().any(|notice| notice.contains("the velocity (v)")), "{:?}", made.notices);
    assert_eq!(pipeline.config().scheduler.prediction_type, PredictionType::VPrediction);
}
