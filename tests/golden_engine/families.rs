//! The families around Stable Diffusion 1 and 2: what diffusers draws with them.

use opengen::pipeline::{Cancel, Dump, Pipeline};
use opengen::weights::{LayoutOptions, load};
use pollster::block_on;

use crate::common::families::{FAMILIES, Family};
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
