//! One UNet call, at sizes that halve evenly and at sizes that do not.

use std::collections::BTreeSet;

use opengen::config::Denoiser;
use opengen::kernels::{Kernel, WeightType};
use opengen::model::denoiser;
use opengen::plan::{WeightDecl, lower, stored_type};
use pollster::block_on;

use crate::common::report::difference;
use crate::common::{Golden, SeamCase, UnetCase, cases};
use crate::engine::{Engine, Packed, Tier, tiers};

/// The outputs of every call of a case.
fn outputs(tier: &Tier, case: &UnetCase, weights: Option<WeightType>) -> Vec<Vec<f32>> {
    let engine = Engine::new(tier, &Packed::open(&case.model, weights));
    let golden = Golden::open(&case.file);
    let embeddings = golden.values("embeddings");
    let call = |(i, call): (usize, &crate::common::UnetCall)| {
        let name = format!("latents.{i}");
        let (latents, shape) = (golden.values(&name), golden.shape(&name));
        let stages = engine.stages();
        block_on(stages.unet(&engine.config, &latents, shape, call.timestep, &embeddings)).expect("UNet")
    };
    case.cases.iter().enumerate().map(call).collect()
}

#[test]
fn one_call() {
    for tier in tiers() {
        let mut report = tier.report();
        for case in cases::<UnetCase>("unet") {
            let golden = Golden::open(&case.file);
            for ((i, call), got) in case.cases.iter().enumerate().zip(outputs(tier, &case, None)) {
                let size = format!("{}x{} t {}", call.height, call.width, call.timestep);
                let what = format!("{} {} unet {size}", tier.name, case.model);
                report.compare(&what, &got, &golden.values(&format!("output.{i}")));
            }
        }
        report.finish();
    }
}

/// The tiers that stand for a GPU are no others under another name: of every variant of a product there is one.
#[test]
fn tiers_as_on_a_gpu_take_every_variant() {
    let config = Packed::open("sd1", None).config;
    let graph = denoiser::denoiser(&config.denoiser, [2, 8, 8], [2, config.chunk_tokens()], 0);
    for tier in tiers().iter().filter(|tier| tier.name.contains("GPU")) {
        let stored = |decl: &WeightDecl| stored_type(decl, WeightType::F16);
        let plan = lower(&graph, tier.context.target(), &stored).expect("a plan");
        let taken: BTreeSet<_> = plan.dispatches.iter().map(|dispatch| dispatch.kernel.variant()).collect();
        let of_outer = [
            "conv, outer 64x64",
            "conv, outer 64x64, k cut",
            "rows, outer 64x64",
            "rows, outer 64x64, k cut",
            "rows, outer 128x128",
            "weights, tiles of 4x4",
            "input, tiles of 4x4",
            "output, tiles of 4x4",
        ];
        let of_matrices = [
            "conv, matrices 128x128, k cut",
            "conv, matrices 64x64, k cut",
            "rows, matrices 64x64",
            "rows, matrices 64x64, k cut",
        ];
        let units = tier.context.target().tuning.matrices.is_some();
        for wanted in if units { &of_matrices[..] } else { &of_outer[..] } {
            assert!(taken.contains(*wanted), "{}: {wanted} is not among {taken:?}", tier.name);
        }
        assert!(plan.dispatches.iter().any(|dispatch| matches!(dispatch.kernel, Kernel::GemmSum(_))));
        let attentions: Vec<_> = taken.iter().filter(|variant| variant.contains("heads of")).collect();
        let shuffles = tier.context.capabilities().subgroup >= 8;
        assert!(!attentions.is_empty());
        for variant in attentions {
            assert_eq!(variant.contains("shuffles"), shuffles, "{}: {variant}", tier.name);
        }
    }
}

/// What leaves each block on the way: says where a wrong UNet goes wrong.
#[test]
fn seams() {
    let Some(tier) = tiers().first() else { return };
    let mut report = tier.report();
    for case in cases::<SeamCase>("seams") {
        let engine = Engine::new(tier, &Packed::open(&case.model, None));
        let golden = Golden::open(&case.file);
        // The embeddings are the second row of the UNet calls'.
        let both = Golden::open(&format!("{}.unet.safetensors", case.model)).values("embeddings");
        let embeddings = &both[both.len() / 2..];
        let (latents, shape) = (golden.values("latents"), golden.shape("latents"));
        let Denoiser::Unet(unet) = &engine.config.denoiser;
        let blocks = unet.block_out_channels.len();
        let mut seams = vec![("conv_in".to_string(), "unet.conv_in".to_string())];
        let between = 0..blocks - 1; // the last block of each way keeps its size
        seams.extend(
            between
                .clone()
                .map(|i| (format!("down_blocks.{i}"), format!("unet.down_blocks.{i}.downsamplers.0.conv"))),
        );
        seams.push(("mid_block".to_string(), "unet.mid_block.resnets.1.conv2".to_string()));
        seams.extend(
            between.map(|i| (format!("up_blocks.{i}"), format!("unet.up_blocks.{i}.upsamplers.0.conv"))),
        );
        for (name, path) in seams {
            let (stages, config) = (engine.stages(), &engine.config);
            let got = stages.unet_at(config, &latents, shape, case.timestep, embeddings, &path);
            report.compare(
                &format!("{} {name}", case.model),
                &block_on(got).expect("seam"),
                &golden.values(&name),
            );
        }
    }
    report.finish();
}

/// What quantizing costs: reported, and held to be no accident.
#[test]
fn quantized_weights() {
    const SANE: [(WeightType, f64); 3] =
        [(WeightType::Q8, 0.03), (WeightType::Q5, 0.25), (WeightType::Q4, 0.5)];
    let Some(tier) = tiers().first() else { return };
    let case = cases::<UnetCase>("unet").into_iter().find(|case| case.model == "sd1").expect("an sd1 case");
    let full = outputs(tier, &case, None);
    for (weight_type, sane) in SANE {
        let quantized = outputs(tier, &case, Some(weight_type));
        for ((call, got), want) in case.cases.iter().zip(&quantized).zip(&full) {
            let off = difference(got, want);
            let size = format!("{}x{}", call.height, call.width);
            println!(
                "{weight_type:?} against F16, sd1 unet {size}: relative {:.2e}  peak {:.2e}",
                off.relative, off.peak
            );
            assert!(off.relative < sane, "{weight_type:?} {size}: {off:?}");
            assert!(off.relative > 1e-6, "{weight_type:?} changed nothing: was anything quantized?");
        }
    }
}
