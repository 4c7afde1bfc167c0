//! The autoencoders, both ways, at even and odd latent sizes.

use std::collections::BTreeMap;

use opengen::config::Autoencoder;
use opengen::kernels::{Circular, Elem, Kernel, WeightType};
use opengen::model::{Whole, autoencoder, vae};
use opengen::pipeline::stages::Stages;
use opengen::plan::{Graph, MemoryLimits, Path, Plan, Target, lower};
use opengen::sample::NoiseSource;
use pollster::block_on;

use crate::common::report::Report;
use crate::common::{Golden, VaeCase, cases};
use crate::engine::{Engine, Packed, Taesd, Tier, tiers, tiers_for_parts};

#[test]
fn autoencoder_kl() {
    for tier in tiers() {
        let mut report = tier.report();
        for case in cases::<VaeCase>("vae").iter().filter(|case| case.model != "taesd") {
            let engine = Engine::new(tier, &Packed::open(&case.model, None));
            let (stages, config) = (engine.stages(), &engine.config);
            let golden = Golden::open(&case.file);
            for (i, call) in case.cases.iter().enumerate() {
                let what =
                    |way| format!("{} {} vae {way} {}x{}", tier.name, case.model, call.height, call.width);
                // The engine's decoder takes scaled latents, as the denoising loop leaves them.
                let name = format!("latents.{i}");
                let scale = config.vae.scaling_factor() as f32;
                let latents: Vec<f32> = golden.values(&name).iter().map(|value| value * scale).collect();
                let decoded =
                    block_on(stages.vae_decode(config, &latents, golden.shape(&name))).expect("decode");
                report.compare(&what("decode"), &decoded, &golden.values(&format!("decoded.{i}")));
                let name = format!("image.{i}");
                let values = golden.values(&name);
                let encoded = stages.vae_encode(config, &values, golden.shape(&name));
                let encoded = block_on(encoded).expect("encode");
                report.compare(&what("encode"), &encoded, &golden.values(&format!("encoded.{i}")));
            }
        }
        report.finish();
    }
}

/// Wide maps in slices of channels: down to one norm group a slice, and where only some maps are wide.
#[test]
fn autoencoder_kl_in_slices() {
    for tier in tiers_for_parts() {
        let mut report = tier.report();
        for case in cases::<VaeCase>("vae").iter().filter(|case| case.model != "taesd") {
            let engine = Engine::new(tier, &Packed::open(&case.model, None));
            let (stages, config) = (engine.stages(), &engine.config);
            let Autoencoder::Kl(vae) = &config.vae else { panic!("{}: another autoencoder", case.model) };
            let golden = Golden::open(&case.file);
            for (i, call) in case.cases.iter().enumerate() {
                let latents = golden.values(&format!("latents.{i}"));
                let scaled: Vec<f32> =
                    latents.iter().map(|v| v * config.vae.scaling_factor() as f32).collect();
                let shape = golden.shape(&format!("latents.{i}"));
                let image = golden.values(&format!("image.{i}"));
                let image_shape = golden.shape(&format!("image.{i}"));
                let pixels = image_shape[0] * image_shape[2] * image_shape[3];
                for whole in [1, pixels * vae.block_out_channels[0] - 1] {
                    let what = |way| {
                        let (name, model) = (tier.name, &case.model);
                        format!("{name} {model} vae {way} {}x{} above {whole}", call.height, call.width)
                    };
                    let decoded = stages.vae_decode_streamed(config, &scaled, shape, whole);
                    let decoded = block_on(decoded).expect("decode");
                    report.compare(&what("decode"), &decoded, &golden.values(&format!("decoded.{i}")));
                    let encoded = stages.vae_encode_streamed(config, &image, image_shape, whole);
                    let encoded = block_on(encoded).expect("encode");
                    report.compare(&what("encode"), &encoded, &golden.values(&format!("encoded.{i}")));
                }
            }
        }
        report.finish();
    }
}

/// What a device of these limits computes is what one without gives, however many bands that makes of a map.
#[test]
fn autoencoder_kl_in_bands() {
    // The widest map has 52 rows of 4096 bytes, or 36 in each of two pictures: two bands of 26 rows, 18 + 18 + 16, and five
    // of 12 or less where two more are a neighbour's.
    const CASES: [([usize; 4], u64, usize); 4] = [
        ([1, 4, 13, 16], 114_688, 2),
        ([1, 4, 13, 16], 81_920, 3),
        ([1, 4, 13, 16], 61_440, 5),
        ([2, 4, 9, 16], 90_112, 2),
    ];
    let packed = Packed::open("sd1", None);
    let on_cpu = opengen::cpu::Weights::new(&packed.manifest, packed.slabs.clone()).expect("weights");
    let on_cpu = || Stages::on_cpu(&on_cpu);
    for tier in tiers_for_parts().filter(|tier| tier.context.target().elem == Elem::F32) {
        let (mut report, mut twin) = (Report::new(1e-5), tier.report());
        let engine = Engine::new(tier, &packed);
        let config = &engine.config;
        for ((shape, binding, bands), circular) in CASES
            .into_iter()
            .flat_map(|case| [Circular::NONE, Circular { x: true, y: true }].map(|circular| (case, circular)))
        {
            let [n, _, h, w] = shape;
            let around = if circular.any() { ", a ring" } else { "" };
            let what = |way| format!("{} sd1 {way} {n}x{h}x{w} in bands of {binding}{around}", tier.name);
            let limits = MemoryLimits { binding, ..MemoryLimits::default() };
            let whole_stages = || engine.stages().circular(circular);
            let narrow = whole_stages().within(limits);

            let Autoencoder::Kl(vae) = &config.vae else { panic!("another autoencoder") };
            let root = Path::root(Autoencoder::ROOT);
            let graph = vae::decoder(vae, &root, [n, h, w], Whole::UpTo(usize::MAX)).circular(circular);
            assert!(pieces(&plan(tier, &graph, limits), limits) >= n * bands, "{}", what("decode"));
            let latents = NoiseSource::default().noise(7, shape);
            let whole = block_on(whole_stages().vae_decode(config, &latents, shape)).expect("a decode");
            let cut = narrow.vae_decode_streamed(config, &latents, shape, usize::MAX);
            report.compare(&what("decode"), &block_on(cut).expect("a decode"), &whole);
            let both = block_on(narrow.vae_decode(config, &latents, shape)).expect("a decode");
            report.compare(&what("decode, slices"), &both, &whole);
            let processor =
                block_on(on_cpu().circular(circular).vae_decode(config, &latents, shape)).expect("a decode");
            twin.compare(&what("decode, processor"), &both, &processor);

            let shape = [n, 3, 4 * h, 4 * w];
            let image = NoiseSource::default().noise(8, [n, 4, 4 * h, 4 * w]);
            let image = &image[..shape.iter().product()];
            let whole = block_on(whole_stages().vae_encode(config, image, shape)).expect("latents");
            let cut = narrow.vae_encode_streamed(config, image, shape, usize::MAX);
            report.compare(&what("encode"), &block_on(cut).expect("latents"), &whole);
            let both = block_on(narrow.vae_encode(config, image, shape)).expect("latents");
            report.compare(&what("encode, slices"), &both, &whole);
        }
        report.finish();
        twin.finish();
    }
}

#[test]
fn taesd_in_bands() {
    const SHAPE: [usize; 4] = [1, 4, 5, 8];
    for tier in tiers_for_parts().filter(|tier| tier.context.target().elem == Elem::F32) {
        let mut report = Report::new(1e-5);
        let model = Taesd::new(tier);
        let config = &model.config;
        let latents = NoiseSource::default().noise(7, SHAPE);
        let image = NoiseSource::default().noise(8, [1, 3, 40, 64]);
        let decoded = block_on(model.stages().taesd_decode(config, &latents, SHAPE)).expect("a decode");
        let encoded = block_on(model.stages().taesd_encode(config, &image, [1, 3, 40, 64])).expect("latents");
        // The last map has 40 rows of 2048 bytes; a band has room for one of each neighbour beside its own.
        for (rows, bands) in [(20, 2), (18, 3)] {
            let limits = MemoryLimits { binding: (rows + 2) * 2048, ..MemoryLimits::default() };
            let graph = autoencoder::decoder(&Autoencoder::Tiny(config.clone()), 1, 5, 8, limits);
            assert_eq!(pieces(&plan(tier, &graph, limits), limits), bands);
            let narrow = || model.stages().within(limits);
            let what = |way| format!("{} taesd {way} in {bands} bands", tier.name);
            let cut = block_on(narrow().taesd_decode(config, &latents, SHAPE)).expect("a decode");
            report.compare(&what("decode"), &cut, &decoded);
            let cut = block_on(narrow().taesd_encode(config, &image, [1, 3, 40, 64])).expect("latents");
            report.compare(&what("encode"), &cut, &encoded);
        }
        report.finish();
    }
}

fn plan(tier: &Tier, graph: &Graph, limits: MemoryLimits) -> Plan {
    lower(graph, Target { limits, ..tier.context.target() }, &|_| WeightType::F32).expect("a plan")
}

/// Into how many products the layer is taken apart that is taken apart most; no binding passes the limit.
fn pieces(plan: &Plan, limits: MemoryLimits) -> usize {
    let mut layers: BTreeMap<&str, usize> = BTreeMap::new();
    assert!(plan.widest_value() <= limits.binding, "{}", plan.totals());
    for dispatch in &plan.dispatches {
        if matches!(dispatch.kernel, Kernel::Gemm(_)) {
            *layers.entry(&dispatch.label).or_default() += 1;
        }
    }
    layers.into_values().max().unwrap_or(0)
}

#[test]
fn taesd() {
    for tier in tiers() {
        let mut report = tier.report();
        let model = Taesd::new(tier);
        let (stages, config) = (model.stages(), &model.config);
        for case in cases::<VaeCase>("vae").iter().filter(|case| case.model == "taesd") {
            let golden = Golden::open(&case.file);
            for (i, call) in case.cases.iter().enumerate() {
                let what = |way| format!("{} taesd {way} {}x{}", tier.name, call.height, call.width);
                let name = format!("latents.{i}");
                let values = golden.values(&name);
                let decoded = stages.taesd_decode(config, &values, golden.shape(&name));
                let decoded = block_on(decoded).expect("decode");
                report.compare(&what("decode"), &decoded, &golden.values(&format!("decoded.{i}")));
                let name = format!("image.{i}");
                let values = golden.values(&name);
                let encoded = stages.taesd_encode(config, &values, golden.shape(&name));
                let encoded = block_on(encoded).expect("encode");
                report.compare(&what("encode"), &encoded, &golden.values(&format!("encoded.{i}")));
            }
        }
        report.finish();
    }
}
