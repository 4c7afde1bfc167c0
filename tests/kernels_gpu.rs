//! Every kernel against its CPU twin on a real adapter, over random and odd shapes, in f32 and f16.

mod common_gpu;

use common_gpu::{Gpu, Random, Report, decode, encode, gpu, left_out, words};
use opengen::kernels::attention::Tile;
use opengen::kernels::group_norm::Pass;
use opengen::kernels::*;

/// (batch, rows, channels1, channels2, groups, centre, spread) of a GroupNorm.
const NORMS: [(u32, u32, u32, u32, u32, f32, f32); 8] = [
    (1, 1, 4, 0, 4, 0.0, 1.0),
    (2, 35, 64, 0, 32, 0.5, 1.0),
    (2, 63, 96, 0, 32, 0.0, 1.0),
    (1, 64, 320, 0, 32, -2.0, 0.1),
    (2, 17, 160, 96, 32, 0.0, 3.0),
    (1, 30, 128, 64, 16, 700.0, 100.0),
    (1, 1001, 8, 4, 2, 1000.0, 1.0),
    (3, 9, 20, 0, 4, 0.0, 1e-3),
];

/// A GroupNorm's specialisation and parameters on this element type, and its operands: both inputs, gamma, beta.
struct Norm {
    spec: group_norm::Spec,
    params: group_norm::Params,
    operands: [Vec<f32>; 4],
}

/// Every case of [`NORMS`]; those of one input over all its channels and over a run of its groups.
fn norms(random: &mut Random, elem: Elem) -> Vec<Norm> {
    let mut norms = Vec::new();
    for (case, (batch, rows, channels1, channels2, groups, center, spread)) in NORMS.into_iter().enumerate() {
        let channels = channels1 + channels2;
        let spec = group_norm::Spec {
            elem,
            pass: Pass::Whole,
            width: group_norm::width(channels, groups),
            threads: 4,
            concat: channels2 > 0,
            silu: case % 3 == 0,
            held: 0,
            sliced: false,
            in_place: false,
        };
        let params = group_norm::Params::new(batch, rows, [channels1, channels2], groups, 1e-5);
        let operands = [
            random.values(elem, (batch * rows * channels1) as usize, center, spread),
            random.values(elem, (batch * rows * channels2) as usize, center, spread),
            random.values(Elem::F32, channels as usize, 1.0, 0.3),
            random.values(Elem::F32, channels as usize, 0.0, 1.0),
        ];
        let group = channels / groups;
        if !spec.concat && groups > 4 {
            let (first1, groups) = (4 * group, groups - 4);
            let params = group_norm::Params {
                channels1: groups * group,
                first1,
                first_affine: first1,
                groups,
                ..params
            };
            norms.push(Norm { spec: spec.clone(), params, operands: operands.clone() });
        }
        norms.push(Norm { spec, params, operands });
    }
    norms
}

impl Norm {
    fn input(&self) -> group_norm::cpu::Input<'_> {
        group_norm::cpu::Input { first: &self.operands[0], second: &self.operands[1] }
    }

    /// The inputs as they are bound.
    fn buffers(&self) -> Vec<Vec<u8>> {
        let count = if self.spec.concat { 2 } else { 1 };
        self.operands[..count].iter().map(|values| encode(self.spec.elem, values)).collect()
    }

    /// Runs the pass that writes the output on the device; what it holds before is `output`.
    fn run(&self, gpu: &Gpu, spec: group_norm::Spec, mut buffers: Vec<Vec<u8>>, output: &[f32]) -> Vec<f32> {
        let [_, _, gamma, beta] = &self.operands;
        buffers.extend([gamma, beta].map(|values| encode(Elem::F32, values)));
        buffers.push(encode(spec.elem, output));
        let grid = group_norm::workgroups(&spec, &self.params);
        let (elem, params) = (spec.elem, self.params.bytes());
        decode(elem, &gpu.run(spec, grid, params, &buffers, 1)[0])
    }
}

#[test]
fn group_norm_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("group_norm");
    let mut random = Random::new(1);
    for &elem in gpu.elems() {
        for norm in norms(&mut random, elem) {
            let [_, _, gamma, beta] = &norm.operands;
            let (spec, params) = (norm.spec.clone(), norm.params);
            let expected = group_norm::cpu::whole(&params, spec.silu, norm.input(), gamma, beta);
            let read_twice = [64, 256].map(|threads| group_norm::Spec { threads, ..spec.clone() });
            let lanes = params.rows * (params.channels1 + params.channels2) / params.groups / spec.width;
            let held = [64, 256].map(|threads| {
                let held = lanes.div_ceil(threads).next_power_of_two();
                group_norm::Spec { threads, held, ..spec.clone() }
            });
            for spec in read_twice.into_iter().chain(held) {
                let found = norm.run(gpu, spec.clone(), norm.buffers(), &vec![0.0; expected.len()]);
                report.check(elem, (&spec, params), &found, &expected);
                if !spec.concat && params.channels1 == params.stride1 {
                    let spec = group_norm::Spec { in_place: true, ..spec };
                    let found = norm.run(gpu, spec.clone(), Vec::new(), &norm.operands[0]);
                    report.check(elem, (&spec, params), &found, &expected);
                }
            }
        }
    }
}

#[test]
fn group_norm_in_two_halves_is_its_twins() {
    let Some(gpu) = gpu() else { return };
    let mut stats_report = Report::new("group_norm stats");
    let mut apply_report = Report::new("group_norm apply");
    let mut random = Random::new(2);
    for &elem in gpu.elems() {
        for (case, mut norm) in norms(&mut random, elem).into_iter().enumerate() {
            norm.params.chunks = [1, 3, 8, 300][case % 4];
            // A band among others of its image, which have no rows here.
            norm.params.first_chunk = [0, 2][case % 2];
            norm.params.other_chunks = [0, 3][case % 2];
            norm.spec.sliced = case % 3 > 0;
            norm.spec.threads = if norm.spec.sliced { 256 } else { 4 };
            if norm.spec.sliced {
                norm.params.parts = [5, 1, 70][case % 3];
                let groups = norm.params.groups;
                norm.params.span = [groups, 1, groups / 2][case % 3];
            }
            let (params, [_, _, gamma, beta]) = (norm.params, &norm.operands);
            let partial = group_norm::cpu::stats(&params, norm.input());
            assert_eq!(partial.len(), group_norm::partial_len(&params));
            let spec = group_norm::Spec { pass: Pass::Stats, silu: false, ..norm.spec.clone() };
            let mut buffers = norm.buffers();
            buffers.push(encode(Elem::F32, &vec![0.0; partial.len()]));
            let grid = group_norm::workgroups(&spec, &params);
            let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1);
            let found = decode(Elem::F32, &found[0]);
            for column in 0..4 {
                let of = |values: &[f32]| values.iter().skip(column).step_by(4).copied().collect::<Vec<_>>();
                stats_report.check(Elem::F32, (column, &spec, params), &of(&found), &of(&partial));
            }

            let spec = group_norm::Spec { pass: Pass::Apply, ..norm.spec.clone() };
            let expected = group_norm::cpu::apply(&params, spec.silu, norm.input(), &partial, gamma, beta);
            let partial = encode(Elem::F32, &partial);
            let buffers = [norm.buffers(), vec![partial.clone()]].concat();
            let found = norm.run(gpu, spec.clone(), buffers, &vec![0.0; expected.len()]);
            apply_report.check(elem, (&spec, params), &found, &expected);
            if !spec.concat && params.channels1 == params.stride1 {
                let spec = group_norm::Spec { in_place: true, ..spec };
                let found = norm.run(gpu, spec.clone(), vec![partial], &norm.operands[0]);
                apply_report.check(elem, (&spec, params), &found, &expected);
            }
        }
    }
}

#[test]
fn layer_norm_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("layer_norm");
    let mut random = Random::new(3);
    for &elem in gpu.elems() {
        for (rows, channels, center, spread) in [
            (1, 4, 0.0, 1.0),
            (5, 2052, 0.0, 1.0),
            (77, 768, 0.3, 1.0),
            (65, 100, 500.0, 30.0),
            (3, 1280, 0.0, 1e-3),
            (130, 320, -9.0, 2.0),
        ] {
            let params = layer_norm::Params { rows, channels, eps: 1e-5 };
            let x = random.values(elem, (rows * channels) as usize, center, spread);
            let gamma = random.values(Elem::F32, channels as usize, 1.0, 0.3);
            let beta = random.values(Elem::F32, channels as usize, 0.0, 1.0);
            let expected = layer_norm::cpu::layer_norm(&params, &x, &gamma, &beta);
            for spec in [
                layer_norm::Spec::new(elem, channels, true),
                layer_norm::Spec::new(elem, channels, false),
                layer_norm::Spec { elem, across: 64, held: 0 },
                layer_norm::Spec { elem, across: 64, held: channels.div_ceil(256) },
            ] {
                let mut buffers = vec![encode(elem, &x), encode(Elem::F32, &gamma), encode(Elem::F32, &beta)];
                buffers.push(encode(elem, &vec![0.0; expected.len()]));
                let grid = layer_norm::workgroups(&spec, &params);
                let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1);
                report.check(elem, (&spec, params), &decode(elem, &found[0]), &expected);
            }
        }
    }
}

/// (batch, queries, keys, heads, head_dim); keys 0: self-attention over a merged tensor.
const ATTENTIONS: [(u32, u32, u32, u32, u32); 14] = [
    (1, 1, 0, 1, 4),
    (2, 33, 0, 3, 8),
    (2, 64, 77, 2, 40),
    (1, 100, 0, 2, 40),
    (2, 77, 0, 2, 64),
    (1, 49, 5, 2, 12),
    (2, 16, 1, 2, 20),
    (1, 35, 77, 1, 80),
    (1, 20, 0, 1, 160),
    (1, 67, 0, 1, 512),
    (1, 300, 231, 5, 32),
    (1, 129, 0, 1, 40),
    (1, 65, 77, 2, 160),
    (1, 18, 77, 1, 512),
];

#[test]
fn attention_by_rows_is_its_twin() {
    attention_is_its_twin(Report::new("attention rows"), |_, _, _| vec![attention::Variant::Rows]);
}

#[test]
fn attention_by_tiles_is_its_twin() {
    attention_is_its_twin(Report::new("attention tiled"), |_, _, _| vec![attention::Variant::Tiled]);
}

#[test]
fn attention_by_blocks_is_its_twin() {
    attention_is_its_twin(Report::new("attention blocked"), |_, elem, head_dim| {
        blocked(elem, head_dim, 0, |tile| !tile.shuffles)
    });
}

#[test]
fn attention_by_blocks_with_shuffles_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    if gpu.subgroup() < 8 {
        left_out::partly("attention with shuffles: this adapter has no subgroups of at least 8");
        return;
    }
    attention_is_its_twin(Report::new("attention shuffled"), |gpu, elem, head_dim| {
        let subgroup = gpu.subgroup();
        blocked(elem, head_dim, subgroup, |tile| tile.shuffles && tile.across <= subgroup)
    });
}

/// What plans take on adapters with such subgroups; in `cargo xtask full`, for one small head size and a large one, every cut
/// that is `allowed` (a software adapter compiles seconds for each).
fn blocked(
    elem: Elem,
    head_dim: u32,
    subgroup: u32,
    allowed: impl Fn(&Tile) -> bool,
) -> Vec<attention::Variant> {
    let cuts = [true, false].map(|shuffles| attention::candidates(head_dim, elem, shuffles)).concat();
    match head_dim {
        12 | 160 if left_out::everything() => {
            cuts.into_iter().filter(allowed).map(attention::Variant::Blocked).collect()
        }
        _ => attention::Variant::choose(head_dim, elem, false, subgroup).into_iter().collect(),
    }
}

fn attention_is_its_twin(mut report: Report, variants: fn(&Gpu, Elem, u32) -> Vec<attention::Variant>) {
    let Some(gpu) = gpu() else { return };
    let mut random = Random::new(4);
    for &elem in gpu.elems() {
        for (batch, queries, keys, heads, head_dim) in ATTENTIONS {
            let shared_qkv = keys == 0;
            let params = match shared_qkv {
                true => attention::Params::merged(batch, queries, heads, head_dim),
                false => attention::Params::cross(batch, queries, keys, heads, head_dim),
            };
            let q = random.values(elem, (batch * queries * params.q_stride) as usize, 0.0, 1.5);
            let kv = random.values(elem, (batch * params.kv_batch_stride) as usize, 0.2, 1.5);
            let kv = if shared_qkv { &q } else { &kv };
            let masked = shared_qkv && if left_out::everything() { head_dim <= 64 } else { head_dim == 40 };
            let masks: &[_] =
                if masked { &[(false, false), (true, false), (true, true)] } else { &[(false, false)] };
            let mut hidden = random.words((batch * params.keys) as usize, 2);
            hidden.iter_mut().step_by(params.keys as usize).for_each(|first| *first = 0);
            for variant in variants(gpu, elem, head_dim) {
                // the larger the head, the longer a CPU adapter compiles
                let slow =
                    elem == Elem::F16 && head_dim > 80 && !matches!(variant, attention::Variant::Blocked(_));
                // of the blocked ones f16 differs in how values are stored, for all sizes of heads alike
                let seldom = elem == Elem::F16 && !matches!(head_dim, 40 | 160) && !left_out::everything();
                let slow = slow || (seldom && matches!(variant, attention::Variant::Blocked(_)));
                if head_dim > variant.max_head_dim() || slow {
                    continue;
                }
                for &(causal, hides) in masks {
                    let spec = attention::Spec { elem, variant, head_dim, causal, shared_qkv, hides };
                    let expected = attention::cpu::attention(&spec, &params, [&q, kv], &hidden);
                    let mut buffers = vec![encode(elem, &q)];
                    if !shared_qkv {
                        buffers.push(encode(elem, kv));
                    }
                    buffers.extend(hides.then(|| words(&hidden)));
                    buffers.push(encode(elem, &vec![0.0; expected.len()]));
                    let grid = attention::workgroups(&spec, &params);
                    let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1);
                    report.check(elem, (&spec, params), &decode(elem, &found[0]), &expected);
                }
            }
        }
    }
}

#[test]
fn attention_map_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("attention_map");
    let mut random = Random::new(14);
    for &elem in gpu.elems() {
        for (batch, queries, keys, heads, head_dim) in ATTENTIONS {
            if keys == 0 {
                continue; // maps are of cross attentions
            }
            let attention = attention::Params::cross(batch, queries, keys, heads, head_dim);
            let kv_images = if batch.is_multiple_of(2) { 2 } else { 1 };
            let attention = attention::Params { kv_images, ..attention };
            let params = attention_map::Params::of(&attention, head_dim);
            let q = random.values(elem, (batch * queries * params.q_stride) as usize, 0.0, 1.5);
            let kv = random.values(elem, (batch * params.kv_batch_stride) as usize, 0.2, 1.5);
            let expected = attention_map::cpu::attention_map(&params, &q, &kv);
            let mut buffers = vec![encode(elem, &q), encode(elem, &kv)];
            buffers.push(encode(Elem::F32, &vec![0.0; expected.len()]));
            let spec = attention_map::Spec { elem };
            let grid = attention_map::workgroups(&spec, &params);
            let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1);
            report.check(Elem::F32, (&spec, params), &decode(Elem::F32, &found[0]), &expected);
        }
    }
}

/// Queries at an offset in their rows, and keys and values that pairs of images share.
#[test]
fn attention_reads_by_stride_and_offset() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("attention strides");
    let mut random = Random::new(5);
    let blocked = attention::candidates(12, Elem::F32, false).into_iter().map(attention::Variant::Blocked);
    for variant in [attention::Variant::Rows, attention::Variant::Tiled].into_iter().chain(blocked) {
        let params = attention::Params {
            q_stride: 40,
            q_offset: 12,
            kv_stride: 100,
            kv_batch_stride: 41 * 100,
            kv_images: 2,
            k_offset: 60,
            v_offset: 8,
            ..attention::Params::cross(4, 19, 41, 2, 12)
        };
        let (elem, head_dim) = (Elem::F32, 12);
        let spec =
            attention::Spec { elem, variant, head_dim, causal: false, shared_qkv: false, hides: false };
        let q = random.values(Elem::F32, 4 * 19 * 40, 0.0, 9.0);
        let kv = random.values(Elem::F32, 2 * 41 * 100, 0.0, 9.0);
        let expected = attention::cpu::attention(&spec, &params, [&q, &kv], &[]);
        let buffers = [&q, &kv, &vec![0.0; expected.len()]].map(|values| encode(Elem::F32, values));
        let found = gpu.run(spec.clone(), attention::workgroups(&spec, &params), params.bytes(), &buffers, 1);
        report.check(Elem::F32, (&spec, params), &decode(Elem::F32, &found[0]), &expected);
    }
}

#[test]
fn embed_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("embed");
    let mut random = Random::new(6);
    let params = embed::Params { batch: 2, tokens: 77, channels: 20, vocabulary: 101, own: 3 };
    for spec in embed::all_specs().into_iter().filter(|spec| gpu.elems().contains(&spec.elem)) {
        let stored = |weight| if weight == WeightType::F16 { Elem::F16 } else { Elem::F32 };
        let (of_tokens, of_positions) = (stored(spec.tokens), stored(spec.positions));
        let mut ids = random.words(2 * 77, 101);
        ids[5] = 4_000_000; // beyond the table: its last row
        if spec.own {
            [ids[7], ids[80], ids[81]] = [embed::OWN | 2, embed::OWN, embed::OWN | 9];
        }
        let own = random.values(Elem::F32, 3 * 20, 0.0, 1.0);
        let table = random.values(of_tokens, 101 * 20, 0.0, 1.0);
        let positions = random.values(of_positions, 77 * 20, 0.0, 0.1);
        let expected = embed::cpu::embed(&params, &ids, [&table, &positions, &own]);
        let mut buffers = vec![words(&ids), encode(of_tokens, &table), encode(of_positions, &positions)];
        if spec.own {
            buffers.push(encode(Elem::F32, &own));
        }
        buffers.push(encode(spec.elem, &vec![0.0; expected.len()]));
        let found = gpu.run(spec.clone(), embed::workgroups(&spec, &params), params.bytes(), &buffers, 1);
        report.check(spec.elem, &spec, &decode(spec.elem, &found[0]), &expected);
    }
}

#[test]
fn prepare_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("prepare");
    let mut random = Random::new(7);
    for &elem in gpu.elems() {
        for (pixels, copies, latent_channels, input_channels) in
            [(1, 1, 4, 4), (221, 2, 4, 4), (65, 2, 8, 12)]
        {
            let params = prepare::Params { pixels, copies, latent_channels, input_channels, scale: 0.07 };
            let spec = prepare::Spec { elem };
            let latents = random.values(Elem::F32, (pixels * latent_channels) as usize, 0.0, 14.0);
            let mut expected = random.values(elem, (copies * pixels * input_channels) as usize, 0.0, 1.0);
            let buffers = [encode(Elem::F32, &latents), encode(elem, &expected)];
            prepare::cpu::prepare(&params, &latents, &mut expected);
            let found =
                gpu.run(spec.clone(), prepare::workgroups(&spec, &params), params.bytes(), &buffers, 1);
            report.check(elem, params, &decode(elem, &found[0]), &expected);
        }
    }
}

#[test]
fn step_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("step");
    let mut random = Random::new(8);
    for spec in step::all_specs().into_iter().filter(|spec| gpu.elems().contains(&spec.elem)) {
        // The last of them has no share for noise and the last value of the history, which then may hold anything.
        for (pixels, latent_channels, model_channels, input_channels, share) in
            [(1, 4, 4, 4, 1.0), (391, 4, 4, 4, 1.0), (70, 4, 8, 12, 1.0), (70, 4, 8, 12, 0.0)]
        {
            let elem = spec.elem;
            let last = |h: usize| if h == spec.history { share } else { 1.0 };
            let params = step::Params {
                pixels,
                latent_channels,
                model_channels,
                input_channels,
                prompts: if spec.composed { 3 } else { 1 },
                guidance: 7.5,
                next_x: 0.9,
                next_model: -0.3,
                next_h1: 0.2 * last(1),
                next_h2: -0.6 * last(2),
                next_h3: 0.35 * last(3),
                next_noise: 0.15 * share,
                keep1_x: 1.1,
                keep1_model: -0.4,
                keep1_h1: 0.3 * last(1),
                keep1_h2: 0.7 * last(2),
                keep1_h3: -0.2 * last(3),
                keep2_x: 0.0,
                keep2_model: 0.5,
                keep2_h1: 1.0 * last(1),
                keep2_h2: -0.9 * last(2),
                keep2_h3: 0.1 * last(3),
                keep3_x: -0.8,
                keep3_model: 0.0,
                keep3_h1: -0.25 * last(1),
                keep3_h2: 1.0 * last(2),
                keep3_h3: 0.45 * last(3),
                denoised_x: 1.3,
                denoised_model: -0.7,
                input_scale_next: 0.6,
            };
            let copies = if spec.guided { 1 + params.prompts } else { 1 };
            let model = random.values(elem, (copies * pixels * model_channels) as usize, 0.0, 1.0);
            let count = (pixels * latent_channels) as usize;
            let [mut noise, latents] = [(); 2].map(|()| random.values(Elem::F32, count, 0.0, 2.0));
            let mut history = random.values(Elem::F32, spec.history * count, 0.0, 2.0);
            if share == 0.0 {
                noise.fill(f32::NAN);
                history.iter_mut().rev().take(count).for_each(|value| *value = f32::NAN);
            }
            let mut state = step::cpu::State { latents, history, denoised: vec![0.0; count] };
            let mut buffers = vec![encode(elem, &model)];
            if spec.noise {
                buffers.push(encode(Elem::F32, &noise));
            }
            buffers.push(encode(Elem::F32, &state.latents));
            if spec.history > 0 {
                buffers.push(encode(Elem::F32, &state.history));
            }
            buffers.push(encode(Elem::F32, &state.denoised));
            let mut input = random.values(elem, (copies * pixels * input_channels) as usize, 0.0, 1.0);
            buffers.push(encode(elem, &input));
            let kept = random.values(Elem::F32, count, 0.0, 2.0);
            let mask: Vec<f32> = random
                .values(Elem::F32, pixels as usize, 0.5, 1.0)
                .iter()
                .map(|m| m.clamp(0.0, 1.0))
                .collect();
            let shares = random.values(Elem::F32, (params.prompts * pixels) as usize, 0.5, 1.0);
            if spec.masked {
                buffers.push(encode(Elem::F32, &kept));
            }
            let masks = [(spec.masked, &mask), (spec.composed, &shares)];
            let masks = masks.into_iter().filter(|(read, _)| *read).flat_map(|(_, values)| values).copied();
            let masks: Vec<f32> = masks.collect();
            if !masks.is_empty() {
                buffers.push(encode(Elem::F32, &masks));
            }
            let read = step::cpu::Read {
                model_output: &model,
                noise: &noise,
                kept: &kept,
                mask: &mask,
                shares: &shares,
            };
            step::cpu::step(&spec, &params, read, &mut state, &mut input);
            let changed = [&state.latents, &state.history, &state.denoised];
            assert!(changed.iter().all(|values| values.iter().all(|value| value.is_finite())), "{spec:?}");
            let changed = changed.into_iter().filter(|values| !values.is_empty()).collect::<Vec<_>>();
            let results = changed.len() + 1;
            // What is kept, the mask and shares are bound behind them.
            let last = results + usize::from(spec.masked) + usize::from(spec.masked || spec.composed);
            let found =
                gpu.run(spec.clone(), step::workgroups(&spec, &params), params.bytes(), &buffers, last);
            for (found, expected) in found.iter().zip(&changed) {
                report.check(Elem::F32, (&spec, params), &decode(Elem::F32, found), expected);
            }
            report.check(elem, (&spec, params), &decode(elem, &found[results - 1]), &input);
        }
    }
}

#[test]
fn affine_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("affine");
    let mut random = Random::new(9);
    for spec in affine::all_specs().into_iter().filter(|spec| gpu.elems().contains(&spec.elem)) {
        for (pixels, input_channels, input_offset, output_channels, channels) in
            [(1, 4, 0, 4, 4), (221, 8, 0, 4, 4), (35, 8, 4, 12, 4), (64, 4, 0, 4, 3)]
        {
            let params = affine::Params {
                pixels,
                input_channels,
                input_offset,
                output_channels,
                channels,
                scale: 1.0 / 0.18215,
                shift: -0.5,
            };
            let of = |precision| if precision == affine::Precision::Elem { spec.elem } else { Elem::F32 };
            let input = random.values(of(spec.input), (pixels * input_channels) as usize, 0.0, 1.0);
            let expected = affine::cpu::affine(spec.op, &params, &input);
            let buffers =
                [encode(of(spec.input), &input), encode(of(spec.output), &vec![0.0; expected.len()])];
            let found =
                gpu.run(spec.clone(), affine::workgroups(&spec, &params), params.bytes(), &buffers, 1);
            report.check(of(spec.output), (&spec, params), &decode(of(spec.output), &found[0]), &expected);
        }
    }
}

#[test]
fn add_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("add");
    let mut random = Random::new(31);
    for spec in add::all_specs().into_iter().filter(|spec| gpu.elems().contains(&spec.elem)) {
        for (images, others, image_len, first) in
            [(1, 1, 4, 0), (4, 4, 52, 3), (4, 2, 260, 1), (3, 1, 1028, 0)]
        {
            let params = add::Params::new((images * image_len) as u64, [images, others]);
            let params = add::Params { first: first as u32, factor: 0.2, ..params };
            let x = random.values(spec.elem, images * image_len, 0.0, 1.0);
            let mut y = random.values(spec.elem, others * image_len, 0.0, 1.0);
            let mut factors = random.values(Elem::F32, first + images, 0.0, 1.0);
            if others == images {
                // What does not count may be anything.
                factors[first] = 0.0;
                if spec.scaled {
                    y[..image_len].fill(f32::INFINITY);
                }
            }
            let mut expected = vec![0.0; x.len()];
            let scales = spec.scaled.then_some(factors.as_slice());
            add::cpu::add(&params, &x, &y, scales, &mut expected);
            let mut buffers = vec![encode(spec.elem, &x), encode(spec.elem, &y)];
            buffers.extend(scales.map(|factors| encode(Elem::F32, factors)));
            buffers.push(encode(spec.elem, &vec![0.0; x.len()]));
            let grid = add::workgroups(&spec, &params);
            let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1);
            report.check(spec.elem, (&spec, params), &decode(spec.elem, &found[0]), &expected);
        }
    }
}

/// Bytes of two pictures differ by one level at most: a result on the edge may round either way.
fn assert_same_picture(found: &[u8], expected: &[u32]) {
    let expected = words(expected);
    assert_eq!(found.len(), expected.len());
    assert!(
        found.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 1),
        "a channel is more than one level off"
    );
    let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert!(differing * 200 <= found.len(), "{differing} of {} channels differ", found.len());
}

#[test]
fn rgba_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random::new(10);
    for &elem in gpu.elems() {
        for pixels in [1, 63, 17 * 23 * 2] {
            let (spec, params) = (rgba::Spec { elem }, rgba::Params { pixels });
            let input = random.values(elem, 4 * pixels as usize, 0.0, 0.8);
            let buffers = [encode(elem, &input), words(&vec![0; pixels as usize])];
            let found = gpu.run(spec.clone(), rgba::workgroups(&spec, &params), params.bytes(), &buffers, 1);
            assert_same_picture(&found[0], &rgba::cpu::rgba(&input));
        }
    }
}

#[test]
fn pixel_shuffle_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let (mut report, mut random) = (Report::new("pixel shuffle"), Random::new(12));
    for spec in pixel_shuffle::all_specs().into_iter().filter(|spec| gpu.elems().contains(&spec.elem)) {
        for (images, height, width, factor) in
            [(1u32, 1u32, 1u32, 1u32), (2, 3, 5, 2), (1, 7, 9, 4), (1, 4, 3, 3)]
        {
            let channels = (3 * factor * factor).next_multiple_of(4);
            let params = pixel_shuffle::Params { images, height, width, channels, factor };
            let size = [images, height, width, channels].map(|size| size as usize);
            let pixels = (images * height * width) as usize;
            let [small, large] = [pixels * channels as usize, pixels * (factor * factor * 4) as usize];
            let (from, to) = if spec.back { (large, small) } else { (small, large) };
            let input = random.values(spec.elem, from, 0.0, 1.0);
            let base = random.values(spec.elem, pixels * 4, 0.0, 1.0);
            let mut expected = vec![0.0; to];
            match spec.back {
                true => pixel_shuffle::cpu::unshuffle_into(&input, size, factor as usize, &mut expected),
                false => {
                    let base = spec.base.then_some(base.as_slice());
                    pixel_shuffle::cpu::shuffle_into(&input, base, size, factor as usize, &mut expected);
                    // The fourth channel of what is added is nobody's.
                    expected.iter_mut().skip(3).step_by(4).for_each(|value| *value = 0.0);
                }
            }
            let mut buffers = vec![encode(spec.elem, &input)];
            buffers.extend(spec.base.then(|| encode(spec.elem, &base)));
            buffers.push(encode(spec.elem, &vec![0.0; to]));
            let found =
                gpu.run(spec.clone(), pixel_shuffle::workgroups(&spec, &params), params.bytes(), &buffers, 1);
            let mut found = decode(spec.elem, &found[0]);
            if !spec.back {
                found.iter_mut().skip(3).step_by(4).for_each(|value| *value = 0.0);
            }
            report.check(spec.elem, (&spec, params), &found, &expected);
        }
    }
}

#[test]
fn preview_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random::new(11);
    let bias = [0.1, -0.05, 0.02];
    for (pixels, channels) in [(1, 4), (100, 8), (4099, 4), (77, 16)] {
        let values = random.values(Elem::F32, 3 * channels, 0.0, 0.3);
        let factors: Vec<[f32; 3]> = values.chunks_exact(3).map(|row| [row[0], row[1], row[2]]).collect();
        let latents = random.values(Elem::F32, channels * pixels, 0.0, 1.0);
        let (spec, params) =
            (preview::Spec {}, preview::Params { pixels: pixels as u32, channels: channels as u32 });
        let colours = preview::colours(&factors, bias);
        let buffers = [encode(Elem::F32, &latents), encode(Elem::F32, &colours), words(&vec![0; pixels])];
        let found = gpu.run(spec.clone(), preview::workgroups(&spec, &params), params.bytes(), &buffers, 1);
        assert_same_picture(&found[0], &preview::cpu::preview(&factors, bias, &latents));
    }
}

/// More workgroups than one dimension holds.
#[test]
fn a_grid_folded_into_two_dimensions_covers_everything() {
    let Some(gpu) = gpu() else { return };
    let (spec, params) = (rgba::Spec { elem: Elem::F32 }, rgba::Params { pixels: 65536 * 64 + 5 });
    let grid = rgba::workgroups(&spec, &params);
    assert!(grid[1] > 1);
    let input = vec![1.0; 4 * params.pixels as usize];
    let buffers = [encode(Elem::F32, &input), vec![0; 4 * params.pixels as usize]];
    let found = gpu.run(spec, grid, params.bytes(), &buffers, 1);
    assert!(found[0].iter().all(|&byte| byte == 255));
}
