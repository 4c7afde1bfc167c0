//! Whole runs: every sampler, three settings, from prompt and seed to the picture.

use opengen::pipeline::{Cancel, Dump, Pipeline};
use pollster::block_on;

use crate::common::{DenoiseCase, Golden, cases, compare_run, request, scheduler_of};
use crate::engine::{Packed, Tier, tiers};

/// Runs a case as a caller would, keeping what goes on inside.
fn run(tier: &Tier, case: &DenoiseCase) -> Dump {
    let mut packed = Packed::open(&case.model, None);
    packed.manifest.config.scheduler = scheduler_of(case);
    let mut pipeline = Pipeline::new(tier.context.clone(), packed.manifest).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let mut dump = Dump::default();
    let (cancel, mut events) = (Cancel::default(), Vec::new());
    let mut listen = |event| events.push(event);
    let output = pipeline.generate_with(&request(case), &mut listen, &cancel, Some(&mut dump));
    let output = block_on(output).expect("a picture");
    assert_eq!(output.images.len(), 1, "pictures");
    assert_eq!((output.images[0].width, output.images[0].height), (case.width, case.height));
    assert_eq!(output.stats.new_buffers_per_step, 0.0, "buffers allocated in the steady state");
    dump
}

fn hold(sampler: &str) {
    for tier in tiers() {
        let mut report = tier.report();
        for case in cases::<DenoiseCase>("denoise").iter().filter(|case| case.sampler == sampler) {
            let what = format!("{} {} {} {}", tier.name, case.case, case.sampler, case.schedule);
            compare_run(&mut report, &what, case, &run(tier, case), &Golden::open(&case.file));
        }
        report.finish();
    }
}

#[test]
fn ddim() {
    hold("ddim");
}

#[test]
fn euler() {
    hold("euler");
}

#[test]
fn euler_ancestral() {
    hold("euler-a");
}

#[test]
fn dpm_plus_plus_2m() {
    hold("dpm++-2m");
}
