//! Plans as data: what Stable Diffusion's stages cost, and the printed plans themselves.

use opengen::config::ModelConfig;
use opengen::kernels::{Elem, WeightType};
use opengen::pipeline::plans::{Plans, Shape};
use opengen::plan::{Binding, MemoryLimits, Plan, Target, scales_bytes, stored_type, values_bytes};

fn plans(model: &str, size: usize, elem: Elem, copies: usize) -> Plans {
    let config = ModelConfig::builtin(model).unwrap();
    let side = size / config.vae.scale();
    let shape = Shape { batch: 1, copies, h: side, w: side, chunks: 1, ancestral: false, maps: false };
    let limits = MemoryLimits { binding: 2 << 30, buffer: 2 << 30 };
    Plans::without_weights(&config, shape, Target { elem, cpu: false, limits }, WeightType::Q8).unwrap()
}

fn text(plan: &Plan) -> String {
    plan.to_string()
}

#[test]
fn sd15_text_encoder_is_planned_as_before() {
    insta::assert_snapshot!(text(&plans("sd15", 512, Elem::F32, 2).text));
}

#[test]
fn sd15_unet_is_planned_as_before() {
    insta::assert_snapshot!(text(&plans("sd15", 512, Elem::F32, 2).unet));
}

#[test]
fn sd15_decoder_is_planned_as_before() {
    insta::assert_snapshot!(text(&plans("sd15", 512, Elem::F16, 2).decoder));
}

#[test]
fn sd15_unet_keeps_its_budget() {
    let unet = plans("sd15", 512, Elem::F32, 2).unet;
    assert!(unet.dispatches.len() <= 400, "{} dispatches", unet.dispatches.len());
    assert!(unet.arena_bytes() <= 400_000_000, "{} bytes", unet.arena_bytes());
    let half = plans("sd15", 512, Elem::F16, 2).unet;
    assert!(half.arena_bytes() <= 200_000_000, "{} bytes", half.arena_bytes());
    let config = ModelConfig::builtin("sd15").unwrap();
    let decls = opengen::model::weight_decls(&config);
    let unet = decls.iter().filter(|decl| decl.name.starts_with("unet."));
    let bytes: u64 = unet
        .map(|decl| {
            let stored = stored_type(decl.kind, WeightType::Q8);
            values_bytes(decl, stored) + scales_bytes(decl, stored)
        })
        .sum();
    assert!(bytes <= 950_000_000, "{bytes} bytes");
}

/// Independent counts: 0.803 TFLOP for one UNet evaluation, 2.51 for a decode (two per multiply-add).
#[test]
fn work_is_what_the_architecture_says() {
    let plans = plans("sd15", 512, Elem::F32, 1);
    let near = |flops: u64, expected: f64| (flops as f64 / expected - 1.0).abs() < 0.01;
    assert!(near(plans.unet.flops() + plans.keys_values.flops(), 0.803e12), "{}", plans.unet.flops());
    assert!(near(plans.decoder.flops(), 2.51e12), "{}", plans.decoder.flops());
}

/// WebGPU's rule that shapes the arena: one dispatch never reads and writes the same buffer.
#[test]
fn no_dispatch_reads_and_writes_one_slab() {
    for model in ["sd15", "sd21", "sd-turbo"] {
        for plan in plans(model, 256, Elem::F32, 2).all() {
            for dispatch in &plan.dispatches {
                let places: Vec<_> = dispatch
                    .bindings
                    .iter()
                    .filter_map(|binding| match binding {
                        Binding::Arena(place) => Some(place),
                        _ => None,
                    })
                    .collect();
                let Some((written, read)) = places.split_last() else { continue };
                let ends_outside = !matches!(dispatch.bindings.last(), Some(Binding::Arena(_)));
                if ends_outside {
                    continue;
                }
                assert!(
                    read.iter().all(|place| place.slab != written.slab),
                    "{model} {}: {:?}",
                    dispatch.label,
                    dispatch.bindings
                );
            }
        }
    }
}

/// Sizes that do not halve evenly lose a row on the way down and find it again on the way up.
#[test]
fn odd_sizes_are_planned() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let limits = MemoryLimits::default();
    let target = Target { elem: Elem::F32, cpu: true, limits };
    let shape = Shape { batch: 1, copies: 2, h: 27, w: 45, chunks: 3, ancestral: true, maps: false };
    let plans = Plans::without_weights(&config, shape, target, WeightType::Q4).unwrap();
    let out = plans.unet.externals.iter().find(|e| e.name == "unet.output").unwrap();
    assert_eq!(out.bytes, 2 * 27 * 45 * 4 * 4);
}
