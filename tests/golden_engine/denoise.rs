//! Whole runs: every sampler, three settings, from prompt and seed to the picture.

use opengen::gpu::{Context, Options};
use opengen::pipeline::{Cancel, Dump, Pipeline, Request};
use pollster::block_on;

use crate::common::{DenoiseCase, F16_RUN, Golden, Report, cases, compare_run, request, scheduler_of};
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
    let request = request(case);
    let output = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
    let output = block_on(output).expect("a picture");
    assert_eq!(output.images.len(), 1, "pictures");
    assert_eq!((output.images[0].width, output.images[0].height), (case.width, case.height));
    dump
}

/// On a device of its own: the counters are the device's, and tests run side by side.
#[test]
fn the_steady_state_allocates_nothing() {
    let Some(tier) = tiers().first() else { return };
    let options = Options { f16: Some(tier.context.capabilities().f16) };
    let context = block_on(Context::new(&options)).expect("a device");
    let case = &cases::<DenoiseCase>("denoise")[0];
    let packed = Packed::open(&case.model, None);
    let mut pipeline = Pipeline::new(context, packed.manifest).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let request = Request { previews: true, ..request(case) };
    let (cancel, mut listen) = (Cancel::default(), |_| {});
    let run = pipeline.generate(&request, &mut listen, &cancel);
    let stats = block_on(run).expect("a picture").stats;
    assert_eq!((stats.new_buffers_per_step, stats.new_bind_groups_per_step), (0.0, 0.0));
    assert!(stats.dispatches_per_step > 0 && stats.gpu_bytes > 0, "{stats:?}");
}

fn hold(sampler: &str) {
    for tier in tiers() {
        let f32 = !tier.context.capabilities().f16;
        let mut report = if f32 { tier.report() } else { Report::new(F16_RUN) };
        for case in cases::<DenoiseCase>("denoise").iter().filter(|case| case.sampler == sampler) {
            let what = format!("{} {} {} {}", tier.name, case.case, case.sampler, case.schedule);
            compare_run(&mut report, &what, case, &run(tier, case), &Golden::open(&case.file), f32);
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
