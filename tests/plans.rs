//! Plans as data: what Stable Diffusion's stages cost, and the printed plans themselves.

use std::collections::{BTreeMap, HashSet};

use opengen::config::{
    BUILTIN, CompactConfig, ControlNetConfig, Denoiser, ModelConfig, RrdbConfig, UnetConfig, UpscalerConfig,
};
use opengen::kernels::winograd::{self, Pass};
use opengen::kernels::{Circular, Elem, Kernel, WeightType, gemm};
use opengen::model::autoencoder;
use opengen::model::upscaler::Part;
use opengen::pipeline::graphs::Controls;
use opengen::pipeline::plans::{Plans, Shape, of_builtin};
use opengen::plan::{
    Binding, Graph, MemoryLimits, Outside, Plan, Target, Tuning, lower, scales_bytes, shared_slabs,
    stored_type, values_bytes,
};

const WIDE: MemoryLimits = MemoryLimits::WIDEST;
/// A guided picture of 512×512 with the general default sampler.
const GUIDED: Shape = Shape {
    batch: 1,
    copies: 2,
    composed: false,
    h: 64,
    w: 64,
    chunks: 1,
    states: 1,
    vectors: 0,
    hides: false,
    skipped: 0,
    ancestral: false,
    history: 1,
    maps: false,
    previews: true,
    encodes: false,
    masked: false,
    controls: Controls::NONE,
    circular: Circular::NONE,
    windows: None,
};

fn plans(model: &str, size: usize, elem: Elem, copies: usize) -> Plans {
    plans_within(model, size, elem, copies, WIDE)
}

fn plans_within(model: &str, size: usize, elem: Elem, copies: usize, limits: MemoryLimits) -> Plans {
    plans_on(model, size, copies, Target { elem, tuning: Tuning::GPU, subgroup: 0, limits })
}

fn plans_on(model: &str, size: usize, copies: usize, target: Target) -> Plans {
    let config = ModelConfig::builtin(model).unwrap();
    let side = size / config.vae.scale();
    let shape = Shape { copies, h: side, w: side, ..GUIDED };
    Plans::without_weights(&config, shape, target, WeightType::Q8).unwrap()
}

/// A stage by itself within WebGPU's default limits.
fn stage(graph: &Graph, elem: Elem) -> Plan {
    let target = Target { elem, tuning: Tuning::GPU, subgroup: 0, limits: MemoryLimits::default() };
    lower(graph, target, &|decl| stored_type(decl, WeightType::Q8)).unwrap()
}

fn text(plan: &Plan) -> String {
    plan.to_string()
}

/// These two are also what `tests/web/plan.test.mjs` expects of the page's module, where sizes have 32 bits.
#[test]
fn sd15_is_planned_as_before() {
    insta::assert_snapshot!("sd15-512", of_builtin("sd15", 512, 512).unwrap().to_string());
}

#[test]
fn sd15_is_planned_as_before_at_1024() {
    insta::assert_snapshot!("sd15-1024", of_builtin("sd15", 1024, 1024).unwrap().to_string());
}

#[test]
fn work_beyond_32_bits_is_counted_whole() {
    let unet = of_builtin("sd15", 512, 512).unwrap().denoiser;
    let beyond = unet.dispatches.iter().filter(|dispatch| dispatch.flops > u64::from(u32::MAX)).count();
    assert_eq!(beyond, 64, "dispatches of the UNet whose work passes 32 bits");
    assert!(unet.flops() > 1_000_000_000_000, "{}", unet.flops());
}

/// What attention reads is not cut.
#[test]
fn a_value_of_four_gibibytes_is_refused() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let shape = Shape { batch: 2, copies: 2, h: 512, w: 512, ..GUIDED };
    let target = Target { elem: Elem::F32, tuning: Tuning::GPU, subgroup: 0, limits: WIDE };
    let error = Plans::without_weights(&config, shape, target, WeightType::Q8).err().unwrap().to_string();
    assert!(error.starts_with("size: ") && error.contains("2048 MiB"), "{error}");
    assert!(error.contains("unet.down_blocks.0.attentions.0"), "{error}");
}

#[test]
fn sd15_decoder_is_planned_as_before() {
    insta::assert_snapshot!(text(&plans("sd15", 512, Elem::F16, 2).decoder));
}

#[test]
fn sd15_keeps_its_memory_budget_within_default_limits() {
    let config = ModelConfig::builtin("sd15").unwrap();
    for (elem, budget) in [(Elem::F32, 410_000_000), (Elem::F16, 260_000_000)] {
        for limits in [MemoryLimits::default(), WIDE] {
            let plans = plans_within("sd15", 512, elem, 2, limits);
            let encoder =
                stage(&autoencoder::encoder(&config.vae, 1, 512, 512, MemoryLimits::default()), elem);
            for plan in plans.all().into_iter().chain([&encoder]) {
                println!("{elem:?} {}: {}", plan.name, plan.totals());
                assert!(plan.widest_value() <= 128 << 20, "{}: {}", plan.name, plan.totals());
                assert!(plan.slabs.iter().all(|slab| *slab <= limits.buffer), "{}", plan.totals());
            }
            for all in [plans.all().to_vec(), vec![&encoder]] {
                let arena: u64 = shared_slabs(&all).iter().sum();
                assert!(arena <= budget, "{elem:?}: {arena} bytes");
            }
        }
    }
}

/// Weights are packed once for all sizes: a plan whose maps are taken in slices reads the same ones.
#[test]
fn slices_read_the_weights_of_the_whole() {
    let config = ModelConfig::builtin("sd15").unwrap().vae;
    let weights = |graph: Graph| {
        let mut weights = graph.weights;
        weights.sort_by(|a, b| a.name.cmp(&b.name));
        weights
    };
    let decoder = |side| weights(autoencoder::decoder(&config, 1, side, side, MemoryLimits::default()));
    let encoder = |side| weights(autoencoder::encoder(&config, 1, side, side, MemoryLimits::default()));
    assert_eq!(decoder(8), decoder(64));
    assert_eq!(encoder(64), encoder(512));
}

/// What passes the limits of an adapter and cannot be cut is refused by name, with both numbers.
#[test]
fn a_picture_too_large_for_the_adapter_is_refused() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let shape = Shape { h: 192, w: 192, ..GUIDED };
    let target =
        Target { elem: Elem::F32, tuning: Tuning::GPU, subgroup: 0, limits: MemoryLimits::default() };
    let error = Plans::without_weights(&config, shape, target, WeightType::Q8).err().unwrap().to_string();
    assert!(error.contains("unet.down_blocks.0.attentions.0") && error.contains("128 MiB"), "{error}");
}

/// What a dispatch binds of the arena and of what lives outside, and where: the buffer, the first byte and how many.
fn bound<'a>(plan: &'a Plan, binding: &'a Binding) -> Option<((bool, usize), u64, u64)> {
    match binding {
        Binding::Arena(place) => Some(((true, place.slab), place.offset, place.len)),
        Binding::External(index) => Some(((false, *index), 0, plan.externals[*index].bytes)),
        Binding::Part { external, offset, len } => Some(((false, *external), *offset, *len)),
        Binding::Weight(_) | Binding::Scales(_) => None,
    }
}

/// Larger pictures keep to WebGPU's default limits too: in every dispatch, and so that what it writes lies in no buffer
/// that it reads.
#[test]
fn large_pictures_are_planned_within_default_limits() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let limits = MemoryLimits::default();
    let mut printed = String::new();
    for (width, height) in [(768, 512), (1024, 1024)] {
        for elem in [Elem::F32, Elem::F16] {
            let shape = Shape { h: height / 8, w: width / 8, ..GUIDED };
            let target = Target { elem, tuning: Tuning::GPU, subgroup: 0, limits };
            let plans = Plans::without_weights(&config, shape, target, WeightType::Q8).unwrap();
            let encoder =
                lower(&autoencoder::encoder(&config.vae, 1, height, width, limits), target, &|decl| {
                    stored_type(decl, WeightType::Q8)
                })
                .unwrap();
            for plan in plans.all().into_iter().chain([&encoder]) {
                assert!(plan.slabs.iter().all(|slab| *slab <= limits.buffer), "{}", plan.totals());
                for dispatch in &plan.dispatches {
                    let values: Vec<_> =
                        dispatch.bindings.iter().filter_map(|binding| bound(plan, binding)).collect();
                    let Some(((written, ..), read)) = values.split_last() else { continue };
                    for (_, offset, len) in &values {
                        assert!(*len <= limits.binding && offset % 256 == 0, "{}", dispatch.label);
                    }
                    let apart = plan.name == "step" || read.iter().all(|(buffer, ..)| buffer != written);
                    assert!(apart, "{}: {:?}", dispatch.label, dispatch.bindings);
                }
                if plan.arena_bytes() > 0 {
                    printed += &format!("{width}x{height} {elem:?} {}: {}\n", plan.name, plan.totals());
                }
            }
        }
    }
    insta::assert_snapshot!("sd15-large", printed);
}

/// A decoder in bands does the work of one whose maps are whole.
#[test]
fn bands_add_no_work() {
    let [whole, cut] = [WIDE, MemoryLimits::default()]
        .map(|limits| plans_within("sd15", 1024, Elem::F32, 2, limits))
        .map(|plans| [plans.denoiser, plans.decoder].map(|plan| (plan.flops(), plan.widest_value())));
    for ((whole, widest), (cut, narrow)) in whole.into_iter().zip(cut) {
        assert_eq!(whole, cut);
        assert!(widest > 128 << 20 && narrow <= 128 << 20, "{widest}, then {narrow}");
    }
}

#[test]
fn sd15_unet_keeps_its_budget() {
    let unet = plans("sd15", 512, Elem::F32, 2).denoiser;
    // What takes several dispatches where one would do takes less time by them.
    let mut labels: Vec<&String> = unet.dispatches.iter().map(|dispatch| &dispatch.label).collect();
    labels.dedup();
    assert!(labels.len() <= 400, "{} layers", labels.len());
    assert!(unet.dispatches.len() <= 900, "{} dispatches", unet.dispatches.len());
    let config = ModelConfig::builtin("sd15").unwrap();
    let decls = opengen::model::weight_decls(&config);
    let unet = decls.iter().filter(|decl| decl.name.starts_with("unet."));
    let bytes: u64 = unet
        .map(|decl| {
            let stored = stored_type(decl, WeightType::Q8);
            values_bytes(decl, stored) + scales_bytes(decl, stored)
        })
        .sum();
    assert!(bytes <= 950_000_000, "{bytes} bytes");
}

/// Independent counts: 0.803 TFLOP for one UNet evaluation, 2.51 for a decode (two per multiply-add).
#[test]
fn work_is_what_the_architecture_says() {
    let direct = Tuning { winograd: None, ..Tuning::GPU };
    let on = |tuning| plans_on("sd15", 512, 1, Target { elem: Elem::F32, tuning, subgroup: 0, limits: WIDE });
    let plans = on(direct);
    let near = |flops: u64, expected: f64| (flops as f64 / expected - 1.0).abs() < 0.01;
    assert!(near(plans.denoiser.flops() + plans.keys_values.flops(), 0.803e12), "{}", plans.denoiser.flops());
    assert!(near(plans.decoder.flops(), 2.51e12), "{}", plans.decoder.flops());
    // Minimal filtering leaves so much of it.
    let fewer = on(Tuning::GPU);
    let [denoiser, decoder] = [(&fewer.denoiser, &plans.denoiser), (&fewer.decoder, &plans.decoder)]
        .map(|(fewer, whole)| fewer.flops() as f64 / whole.flops() as f64);
    assert!(denoiser < 0.8 && decoder < 0.55, "{denoiser:.3} of the denoiser, {decoder:.3} of the decoder");
}

/// By minimal filtering an input is transformed, multiplied by transformed weights, and what comes of it transformed back:
/// all of it in the arena, every output once.
#[test]
fn transformed_convolutions_write_every_output_once() {
    for elem in [Elem::F32, Elem::F16] {
        let plans = plans("sd15", 512, elem, 2);
        for plan in [&plans.denoiser, &plans.decoder] {
            let mut written: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
            let mut sums = None;
            for dispatch in &plan.dispatches {
                match &dispatch.kernel {
                    Kernel::Gemm(spec) if spec.split => sums = dispatch.bindings.last(),
                    Kernel::Winograd(winograd::Spec { tile, pass: Pass::Output(_), .. }) => {
                        assert_eq!(dispatch.bindings.first(), sums, "{}", dispatch.label);
                        let params: &winograd::Params = bytemuck::from_bytes(&dispatch.params);
                        let Some(Binding::Arena(output)) = dispatch.bindings.last() else {
                            panic!("{}: written outside", dispatch.label)
                        };
                        let of_tile = u64::from(tile.outputs() * tile.outputs());
                        let values = u64::from(params.tiles) * u64::from(params.columns) * of_tile;
                        let layer = written.entry(&dispatch.label).or_default();
                        *layer = (layer.0 + values, output.len / elem.size() as u64);
                    }
                    _ => {}
                }
            }
            assert!(written.len() > 15, "{}: {} layers", plan.name, written.len());
            for (label, (values, len)) in written {
                // Of 64, 32, 16 and so on all tiles are whole; a layer in slices is several.
                assert!(values % len == 0 && values > 0, "{label}: {values} of {len}");
            }
        }
    }
}

/// WebGPU's rule that shapes the arena: one dispatch never reads and writes the same buffer.
#[test]
fn no_dispatch_reads_and_writes_one_slab() {
    for (model, size) in [("sd15", 256), ("sd15", 512), ("sd21", 256), ("sd-turbo", 256)] {
        for plan in plans(model, size, Elem::F32, 2).all() {
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

/// Where K is cut, the sums of the cuts are f32, lie in the arena, and are added by the next dispatch.
#[test]
fn sums_of_cuts_have_a_place_until_they_are_added() {
    let plan = plans("sd15", 512, Elem::F16, 2).denoiser;
    let mut cuts = 0;
    for pair in plan.dispatches.windows(2) {
        let Kernel::Gemm(spec) = &pair[0].kernel else { continue };
        if !spec.split {
            continue;
        }
        let params: &gemm::Params = bytemuck::from_bytes(&pair[0].params);
        if matches!(pair[1].kernel, Kernel::Winograd(_)) {
            continue; // these are no cuts of one sum
        }
        let [x, y, z] = pair[0].workgroups;
        assert!(z > 1 && x * y * z <= 640, "{}: {x}x{y}x{z}", pair[0].label);
        let Some(Binding::Arena(sums)) = pair[0].bindings.last() else { panic!("{}", pair[0].label) };
        assert_eq!(sums.len, u64::from(z) * u64::from(params.m) * u64::from(params.n) * 4);
        assert!(matches!(pair[1].kernel, Kernel::GemmSum(_)), "{}", pair[1].label);
        assert_eq!(pair[1].bindings[0], Binding::Arena(*sums), "{}", pair[1].label);
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts} products in cuts");
}

/// In halves and nowhere else; what has rows for no tile, or channels that are no whole blocks, keeps the kernels of any GPU.
#[test]
fn products_in_halves_go_to_matrix_units() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let counts = |elem| {
        let target = Target { elem, tuning: Tuning::MATRICES, subgroup: 32, limits: WIDE };
        let plans = Plans::without_weights(&config, GUIDED, target, WeightType::F16).unwrap();
        [&plans.denoiser, &plans.decoder].map(|plan| {
            let products = plan.dispatches.iter().filter(|d| matches!(d.kernel, Kernel::Gemm(_)));
            let (units, rest): (Vec<_>, Vec<_>) = products.partition(|d| d.kernel.uses_matrices());
            [units, rest].map(|products| (products.len(), products.iter().map(|d| d.flops).sum::<u64>()))
        })
    };
    for [units, (_, rest)] in counts(Elem::F16) {
        assert!(rest * 1000 < units.1, "{rest} operations outside of matrix units, {} by them", units.1);
    }
    assert!(counts(Elem::F32).iter().all(|[units, _]| units.0 == 0));
}

/// What kernels are tested in (`Kernel::all`) is all that plans can ask for.
#[test]
fn plans_use_no_specialisation_that_is_not_tested() {
    let tested: HashSet<Kernel> = Kernel::all().into_iter().collect();
    for model in BUILTIN {
        let mut config = ModelConfig::builtin(model).unwrap();
        let Denoiser::Unet(unet) = config.denoiser.clone();
        config.controls.push(ControlNetConfig {
            name: "canny".to_string(),
            unet: UnetConfig { up_block_types: Vec::new(), ..unet },
            conditioning_channels: 3,
            conditioning_embedding_out_channels: vec![16, 32, 96, 256],
        });
        config.check().unwrap();
        let steered = Shape { controls: Controls::of([0]), ..GUIDED };
        for elem in Elem::ALL {
            for tuning in Tuning::ALL {
                for (subgroup, wanted) in [(0, WeightType::F16), (8, WeightType::F16), (32, WeightType::Q8)] {
                    let target = Target { elem, tuning, subgroup, limits: WIDE };
                    let plans = Plans::without_weights(&config, steered, target, wanted).unwrap();
                    for dispatch in plans.all().into_iter().flat_map(|plan| &plan.dispatches) {
                        assert!(tested.contains(&dispatch.kernel), "{model}: {:?}", dispatch.kernel);
                    }
                }
            }
        }
    }
}

/// Real-ESRGAN's networks and those of its videos: Real-ESRGAN x4, x2, its anime one, and a compact one.
fn upscalers() -> [UpscalerConfig; 4] {
    let rrdb = |blocks, unshuffle| RrdbConfig { width: 64, growth: 32, blocks, doublings: 2, unshuffle };
    [
        UpscalerConfig::Rrdb(rrdb(23, 1)),
        UpscalerConfig::Rrdb(rrdb(23, 2)),
        UpscalerConfig::Rrdb(rrdb(6, 1)),
        UpscalerConfig::Compact(CompactConfig { width: 64, convolutions: 16, scale: 4 }),
    ]
}

#[test]
fn upscalers_use_no_specialisation_that_is_not_tested() {
    let tested: HashSet<Kernel> = Kernel::all().into_iter().collect();
    for part in upscalers().iter().flat_map(Part::of) {
        for (elem, tuning) in Elem::ALL.into_iter().flat_map(|elem| Tuning::ALL.map(|tuning| (elem, tuning)))
        {
            for (wanted, subgroup) in [(WeightType::F32, 0), (WeightType::F16, 32)] {
                let target = Target { elem, tuning, subgroup, limits: WIDE };
                let plan = lower(&part.graph(64, 72), target, &|decl| stored_type(decl, wanted)).unwrap();
                for dispatch in &plan.dispatches {
                    assert!(tested.contains(&dispatch.kernel), "{part:?}: {:?}", dispatch.kernel);
                }
            }
        }
    }
}

/// What a part says that it takes for each pixel, by which tiles are as large as there is room, is what its plan takes.
#[test]
fn tiles_of_upscalers_take_what_is_said() {
    let mut within = true;
    for part in upscalers().iter().flat_map(Part::of) {
        let side = 96;
        for (elem, limits) in
            Elem::ALL.into_iter().flat_map(|elem| [(elem, WIDE), (elem, MemoryLimits::default())])
        {
            let target = Target { elem, tuning: Tuning::CPU, subgroup: 0, limits };
            let plan =
                lower(&part.graph(side, side), target, &|decl| stored_type(decl, WeightType::F16)).unwrap();
            let taken =
                plan.slabs.iter().chain(plan.externals.iter().map(|external| &external.bytes)).sum::<u64>();
            let said = (part.values() * side * side * elem.size()) as u64;
            let share = taken as f64 / said as f64;
            println!("{part:?} in {elem:?}: {share:.2} of {said} bytes");
            within &= (0.5..=1.1).contains(&share);
        }
    }
    assert!(within, "a part takes another share of what it says than 0.5 to 1.1");
}

/// Multiplications too: the share of the work that a tile is told to be.
#[test]
fn upscalers_do_the_work_that_is_said() {
    for part in upscalers().iter().flat_map(Part::of) {
        let target = Target { elem: Elem::F32, tuning: Tuning::CPU, subgroup: 0, limits: WIDE };
        let plan = lower(&part.graph(32, 32), target, &|decl| stored_type(decl, WeightType::F16)).unwrap();
        let done: u64 = plan.dispatches.iter().map(|dispatch| dispatch.flops).sum();
        let share = done as f64 / (2 * part.work() * 32 * 32) as f64;
        assert!((0.97..=1.05).contains(&share), "{part:?}: {share} of what is said");
    }
}

/// Sizes that do not halve evenly lose a row on the way down and find it again on the way up.
#[test]
fn odd_sizes_are_planned() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let limits = MemoryLimits::default();
    let target = Target { elem: Elem::F32, tuning: Tuning::CPU, subgroup: 0, limits };
    let shape = Shape { h: 27, w: 45, chunks: 3, ancestral: true, ..GUIDED };
    let plans = Plans::without_weights(&config, shape, target, WeightType::Q4).unwrap();
    let out = plans.denoiser.externals.iter().find(|e| e.outside == Outside::Prediction).unwrap();
    assert_eq!(out.bytes, 2 * 27 * 45 * 4 * 4);
}

/// Which weights are on a device of an iPhone's class when: four and five bits stay within its gibibyte, eight in f32 do not.
#[test]
fn stable_diffusion_within_a_gibibyte_is_planned_as_before() {
    let mut printed = String::new();
    for (kept, elem) in ["q4", "small", "q8"].into_iter().flat_map(|kept| [(kept, "f32"), (kept, "f16")]) {
        let command = ["plan", "--model", "sd15", "--size", "512x512", "--summary", "--memory", "1GiB"];
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_opengen"));
        let output = run.args(command).args(["--type", kept, "--elem", elem]).output().expect("runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let (_, residency) = text.split_once("\nresidency ").expect("a residency");
        printed += &format!("{kept}, {elem}: {residency}\n");
    }
    insta::assert_snapshot!("sd15-gibibyte", printed);
}
