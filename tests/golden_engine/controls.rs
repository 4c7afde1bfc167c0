//! What ControlNets steer, on the device: what diffusers makes of it, within a limit of memory too.

use opengen::gpu::Weights;
use opengen::pipeline::engine::{Engine, Network};
use opengen::pipeline::stages::Stages;
use opengen::pipeline::stock::Files;
use opengen::pipeline::{Cancel, Control, Pipeline, Request};
use opengen::weights::{Component, LayoutOptions, ModelSource};
use pollster::block_on;

use crate::common::controls::{ControlCase, Form, MODELS, value};
use crate::common::model_folder;
use crate::common::pictures::{drawn, rgba};
use crate::engine::{Packed, Tier, own_tiers, tiers};
use crate::residence::device;

/// On a device of its own, whose counters nobody else counts with.
fn pipeline(tier: &Tier, case: &ControlCase) -> Pipeline {
    let (manifest, slabs) = case.packed(Form::Folder);
    let mut pipeline = block_on(Pipeline::new(device(tier), manifest)).expect("pipeline");
    for (slab, bytes) in slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    pipeline
}

/// One call of each network, in every tier.
#[test]
fn residuals() {
    for tier in tiers() {
        let mut report = tier.report();
        for case in MODELS.map(ControlCase::of) {
            let (manifest, slabs) = case.packed(Form::Folder);
            let weights = Weights::new(&tier.context, &manifest);
            for (slab, bytes) in slabs.iter().enumerate() {
                weights.write(slab, 0, &bytes.into()).expect("weights written");
            }
            case.compare_residuals(&mut report, &Stages::on_gpu(&tier.context, &weights), &manifest.config);
        }
        report.finish();
    }
}

/// Whole runs in f32; the processor holds all of them (`controls`).
#[test]
fn whole_runs() {
    let Some(tier) = own_tiers().next() else { return };
    let mut report = tier.report();
    for case in MODELS.map(ControlCase::of) {
        let chosen = ["one", "two", "important two", "a part"];
        case.compare_runs(&mut report, &mut pipeline(tier, &case), |run| chosen.contains(&run.run.as_str()));
    }
    report.finish();
}

/// Another map, another strength, another time to begin: nothing is planned or bound again.
#[test]
fn nothing_is_prepared_again_for_another_map_or_strength() {
    let Some(tier) = own_tiers().next() else { return };
    let case = ControlCase::of("sd1");
    let golden = case.golden();
    let mut pipeline = pipeline(tier, &case);
    let mut run = |map: &str, strength: f64, start: f64| {
        let control = Control { start, ..Control::new(0, rgba(&golden, map), strength) };
        let request = Request { controls: vec![control], ..case.request() };
        let output =
            block_on(pipeline.generate(&request, &mut |_| {}, &Cancel::default())).expect("a picture");
        assert_eq!((output.stats.new_buffers_per_step, output.stats.new_bind_groups_per_step), (0.0, 0.0));
        let Engine::Gpu(engine) = pipeline.engine() else { panic!("not on the device") };
        (engine.built().clone(), output.images)
    };
    let (first, images) = run("map.a", 1.0, 0.0);
    assert_eq!((first[&Network::Control(0)], first[&Network::Hint(0)]), ([1, 1], [1, 1]));
    let (second, others) = run("map.b", 0.4, 0.3);
    assert_eq!(second, first);
    assert!(images[0].pixels != others[0].pixels);
}

/// Where there is no room for all, phases are prepared one after the other, and ControlNets come from files of their own; what
/// leaves for what, `residency` tells from sizes.
#[test]
fn within_a_limit_of_memory() {
    let Some(tier) = own_tiers().next() else { return };
    let case = ControlCase::of("sd1");
    let golden = case.golden();
    let run = case.runs.iter().find(|run| run.run == "two").expect("a run");
    let request = case.request_of(run, &golden);
    let (wanted, _) = drawn(&mut self::pipeline(tier, &case), &request);

    let out = tempfile::tempdir().expect("a folder");
    let limited = |bytes: u64| {
        let source = ModelSource::open(&model_folder("sd1")).expect("a model");
        let decls = opengen::model::weight_decls(source.config());
        let own = source.manifest(&decls, LayoutOptions::default()).expect("a manifest");
        let (manifest, parts) = case.joined(&source, Form::File, out.path());
        let stock = Box::new(Files::new(source, own, parts));
        Pipeline::within(device(tier), manifest, bytes, stock).expect("a pipeline")
    };
    // The least is what a limit of nothing is too low by.
    let least = |request: &Request| {
        let mut none = limited(0);
        let refused = block_on(none.generate(request, &mut |_| {}, &Cancel::default()));
        let told = refused.map(|_| ()).expect_err("too low").to_string();
        let megabytes = told.split("too low by ").nth(1).and_then(|rest| rest.split(' ').next());
        (megabytes.expect("a number").parse::<f64>().expect("a number") * 1e6 + 1e5) as u64
    };
    let mut pipeline = limited(least(&request));
    for _ in 0..2 {
        let (output, dump) = drawn(&mut pipeline, &request);
        assert!(output.images[0].pixels == wanted.images[0].pixels);
        assert_eq!(value(&dump, "control.1").len(), 3 * 40 * 32);
    }
    let Engine::Gpu(engine) = pipeline.engine() else { panic!("not on the device") };
    let residency = engine.residency().expect("phases");
    let names: Vec<&str> = residency.phases.iter().map(|phase| phase.stage.name.as_str()).collect();
    assert_eq!(names, ["control maps", "text", "steps", "decode"]);
    for phase in
        residency.phases.iter().filter(|phase| ["control maps", "steps"].contains(&phase.stage.name.as_str()))
    {
        assert!([0, 1].into_iter().all(|i| phase.resident.contains(Component::Control(i))), "{residency}");
    }

    // A run that nothing steers keeps a lower limit, within which one that is steered is refused.
    let alone = case.request();
    let mut lower = limited(least(&alone));
    let refused = block_on(lower.generate(&request, &mut |_| {}, &Cancel::default())).map(|_| ());
    assert!(refused.expect_err("too low").to_string().contains("memory limit"));
    drawn(&mut lower, &alone);
    let Engine::Gpu(engine) = lower.engine() else { panic!("not on the device") };
    let residency = engine.residency().expect("phases");
    let there = |component| residency.phases.iter().any(|phase| phase.resident.contains(component));
    assert!(![0, 1].into_iter().any(|i| there(Component::Control(i))), "{residency}");
}

/// Tiles, each with its part of the map, whose hint is read among the steps.
#[test]
fn windows_see_their_part_of_the_map() {
    let Some(tier) = own_tiers().next() else { return };
    let mut report = tier.report();
    let case = ControlCase::of("sd1");
    case.compare_windows(&mut report, &mut pipeline(tier, &case));
    report.finish();
}

/// What there is no way for within a limit is said.
#[test]
fn none_joins_within_a_limit_of_memory() {
    let Some(tier) = own_tiers().next() else { return };
    let case = ControlCase::of("sd1");
    let source = ModelSource::open(&model_folder("sd1")).expect("a model");
    let decls = opengen::model::weight_decls(source.config());
    let own = source.manifest(&decls, LayoutOptions::default()).expect("a manifest");
    let stock = Box::new(Files::new(source, own.clone(), Vec::new()));
    let mut pipeline = Pipeline::within(device(tier), own, 1 << 30, stock).expect("a pipeline");
    let (whole, _) = case.packed(Form::Folder);
    let told = block_on(pipeline.make_room(&whole)).expect_err("refused").to_string();
    assert!(told.contains("a ControlNet for a model that was loaded within a limit of memory"), "{told}");
    assert!(told.contains("load the model without a limit, or draw without the ControlNet"), "{told}");
    drawn(&mut pipeline, &case.request());
}

/// One that comes when the model has drawn already steers as one that came with it; one that breaks off leaves nothing.
#[test]
fn a_control_network_joins_a_model_in_use() {
    let Some(tier) = own_tiers().next() else { return };
    let case = ControlCase::of("sd1");
    let golden = case.golden();
    let request = case.request_of(case.runs.iter().find(|run| run.run == "two").expect("a run"), &golden);
    let (wanted, _) = drawn(&mut pipeline(tier, &case), &request);
    let (whole, slabs) = case.packed(Form::Folder);
    let plain = Packed::open("sd1", None);
    let context = device(tier);
    let mut later = block_on(Pipeline::new(context.clone(), plain.manifest.clone())).expect("pipeline");
    for (slab, bytes) in plain.slabs.iter().enumerate() {
        later.write(slab, 0, bytes).expect("weights written");
    }
    let (before, _) = drawn(&mut later, &case.request());
    let used = context.counters().bytes;
    block_on(later.make_room(&whole)).expect("room");
    assert!(context.counters().bytes > used);
    block_on(later.make_room(&plain.manifest)).expect("none again");
    assert_eq!(context.counters().bytes, used, "what broke off is gone");
    block_on(later.make_room(&whole)).expect("room");
    for (slab, bytes) in slabs.iter().enumerate().skip(plain.slabs.len()) {
        later.write(slab, 0, bytes).expect("weights written");
    }
    later.joined(whole.into());
    assert!(drawn(&mut later, &request).0.images[0].pixels == wanted.images[0].pixels);
    assert!(drawn(&mut later, &case.request()).0.images[0].pixels == before.images[0].pixels);
}
