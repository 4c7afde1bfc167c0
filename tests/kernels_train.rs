//! The kernels of learning against their CPU twins on a real adapter, over random and odd shapes, in f32 and f16.

mod common_gpu;

use common_gpu::products::{Shape, conv, linear, pack, params, strided, upsampled};
use common_gpu::{Gpu, Random, Report, decode, encode, gpu, left_out, words};
use opengen::kernels::attention_grad::Pass;
use opengen::kernels::gemm::cpu::{Epilogue, gemm as product_twin};
use opengen::kernels::gemm::{Act, Source, Variant};
use opengen::kernels::*;

/// Zeros to be written over: what is left of them would show.
fn unwritten(elem: Elem, len: usize) -> Vec<u8> {
    encode(elem, &vec![f32::NAN; len])
}

#[test]
fn activations_and_their_slopes_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("activation");
    let mut random = Random::new(31);
    for &elem in gpu.elems() {
        for spec in activation::all_specs().into_iter().filter(|spec| spec.elem == elem) {
            let len = 4 * 77;
            let x = random.values(elem, if spec.gated { 2 * len } else { len }, 0.0, 2.0);
            let grad = random.values(elem, len, 0.0, 1.0);
            let expected = match (spec.gated, spec.back) {
                (false, false) => activation::cpu::forward(spec.act, &x),
                (false, true) => activation::cpu::back(spec.act, &x, &grad),
                (true, false) => activation::cpu::gated(&x),
                (true, true) => activation::cpu::gated_back(&x, &grad),
            };
            let params = activation::Params { groups: len as u32 / 4 };
            let mut buffers = vec![encode(elem, &x)];
            buffers.extend(spec.back.then(|| encode(elem, &grad)));
            buffers.push(unwritten(elem, expected.len()));
            let grid = activation::workgroups(&spec, &params);
            let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1).remove(0);
            report.check(elem, &spec, &decode(elem, &found), &expected);
        }
    }
}

#[test]
fn differences_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("difference");
    let mut random = Random::new(32);
    for &elem in gpu.elems() {
        let x = random.values(elem, 4 * 100, 0.0, 1.0);
        let y = random.values(Elem::F32, 4 * 100, 0.0, 1.0);
        let (spec, params) = (difference::Spec { elem }, difference::Params { groups: 100 });
        let weights = random.values(Elem::F32, 4 * 100, 0.0, 1.0);
        let buffers =
            [encode(elem, &x), encode(Elem::F32, &y), encode(Elem::F32, &weights), unwritten(elem, 400)];
        let grid = difference::workgroups(&spec, &params);
        let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1).remove(0);
        report.check(elem, &spec, &decode(elem, &found), &difference::cpu::difference(&x, &y, &weights));
    }
}

#[test]
fn gradients_of_a_words_vectors_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("embed_grad");
    let mut random = Random::new(40);
    for &elem in gpu.elems() {
        let params = embed_grad::Params { tokens: 2 * 77, c4: 5, own: 3 };
        let mut ids = random.words(2 * 77, 101);
        // One is read twice, one of them from beyond the table, which is its last row; one never.
        [ids[0], ids[7], ids[80], ids[153]] = [embed::OWN, embed::OWN | 2, embed::OWN | 9, 4_000_000];
        let grad = random.values(elem, 2 * 77 * 20, 0.0, 1.0);
        let before = random.values(Elem::F32, 3 * 20, 0.0, 1.0);
        let mut expected = before.clone();
        embed_grad::cpu::embed_grad(&params, &ids, &grad, &mut expected);
        assert_eq!(expected[20..40], before[20..40]);
        let spec = embed_grad::Spec { elem };
        let buffers = [words(&ids), encode(elem, &grad), encode(Elem::F32, &before)];
        let grid = embed_grad::workgroups(&spec, &params);
        let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1).remove(0);
        report.check(elem, &spec, &decode(Elem::F32, &found), &expected);
    }
}

#[test]
fn spread_and_pooled_maps_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("resample");
    let mut random = Random::new(33);
    for &elem in gpu.elems() {
        for (small, large) in [([4, 3], [8, 6]), ([4, 3], [7, 5]), ([1, 9], [2, 17])] {
            for pool in [false, true] {
                let ([in_h, in_w], [out_h, out_w]) = if pool { (large, small) } else { (small, large) };
                let (images, c4) = (2, 3);
                let groups = images * out_h * out_w * c4;
                let params = resample::Params { groups, c4, in_h, in_w, out_h, out_w };
                let spec = resample::Spec { elem, pool };
                let input = random.values(elem, (images * in_h * in_w * 4 * c4) as usize, 0.0, 1.0);
                let twin = if pool { resample::cpu::pool } else { resample::cpu::spread };
                let expected = twin(&params, &input);
                let buffers = [encode(elem, &input), unwritten(elem, expected.len())];
                let grid = resample::workgroups(&spec, &params);
                let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1).remove(0);
                report.check(elem, (&spec, params), &decode(elem, &found), &expected);
            }
        }
    }
}

#[test]
fn layer_norms_gradients_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("layer_norm_grad");
    let mut random = Random::new(34);
    for &elem in gpu.elems() {
        for (rows, channels, center) in
            [(1, 4, 0.0), (5, 20, 1.0), (9, 96, -3.0), (3, 320, 0.0), (6, 1280, 0.5)]
        {
            let params = layer_norm_grad::Params { rows, channels, eps: 1e-5 };
            let len = (rows * channels) as usize;
            let input = random.values(elem, len, center, 1.0);
            let gamma = random.values(Elem::F32, channels as usize, 1.0, 0.3);
            let grad = random.values(elem, len, 0.0, 1.0);
            let expected = layer_norm_grad::cpu::layer_norm_grad(&params, &input, &gamma, &grad);
            let buffers =
                [encode(elem, &input), encode(Elem::F32, &gamma), encode(elem, &grad), unwritten(elem, len)];
            let spec = layer_norm_grad::Spec { elem };
            let grid = layer_norm_grad::workgroups(&spec, &params);
            let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1).remove(0);
            report.check(elem, (&spec, params), &decode(elem, &found), &expected);
        }
    }
}

#[test]
fn group_norms_gradients_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("group_norm_grad");
    let mut random = Random::new(35);
    let cases =
        [(1, 1, 8, 0, 4), (2, 35, 64, 0, 32), (1, 64, 320, 0, 32), (2, 17, 160, 96, 32), (1, 1001, 8, 4, 2)];
    for &elem in gpu.elems() {
        for (batch, rows, channels1, channels2, groups) in cases {
            let params = group_norm_grad::Params { batch, rows, channels1, channels2, groups, eps: 1e-5 };
            let channels = channels1 + channels2;
            let first = random.values(elem, (batch * rows * channels1) as usize, 0.5, 1.0);
            let second = random.values(elem, (batch * rows * channels2) as usize, 0.0, 2.0);
            let gamma = random.values(Elem::F32, channels as usize, 1.0, 0.3);
            let beta = random.values(Elem::F32, channels as usize, 0.0, 1.0);
            let grad = random.values(elem, (batch * rows * channels) as usize, 0.0, 1.0);
            let input = group_norm::cpu::Input { first: &first, second: &second };
            for (silu, threads) in [(false, 256), (true, 256), (true, 4)] {
                let width = group_norm::width(channels, groups);
                let concat = channels2 > 0;
                let spec = group_norm_grad::Spec { elem, width, threads, concat, silu };
                let affine = [gamma.as_slice(), beta.as_slice()];
                let expected = group_norm_grad::cpu::group_norm_grad(&params, silu, input, affine, &grad);
                let mut buffers = vec![encode(elem, &first)];
                buffers.extend(concat.then(|| encode(elem, &second)));
                buffers.push(encode(Elem::F32, &gamma));
                buffers.extend(silu.then(|| encode(Elem::F32, &beta)));
                buffers.extend([encode(elem, &grad), unwritten(elem, expected.len())]);
                let grid = group_norm_grad::workgroups(&spec, &params);
                let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, 1).remove(0);
                report.check(elem, (&spec, params), &decode(elem, &found), &expected);
            }
        }
    }
}

#[test]
fn attentions_gradients_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("attention_grad");
    let mut random = Random::new(36);
    // Heads of so many channels; images, of which each run of `shared` reads one row of keys; queries, keys.
    let cases = [
        (8, 2, 3, 1, 21, 21, true, false),
        (8, 2, 1, 1, 33, 33, true, true),
        (40, 2, 2, 1, 17, 9, false, false),
        (16, 1, 4, 2, 16, 40, false, false),
        (160, 1, 1, 1, 20, 18, true, false),
    ];
    for &elem in gpu.elems() {
        for (head_dim, heads, images, shared, queries, keys, merged, causal) in cases {
            let params = match merged {
                true => attention_grad::Params::merged(images, queries, heads, head_dim),
                false => attention_grad::Params {
                    kv_images: shared,
                    ..attention_grad::Params::cross(images, queries, keys, heads, head_dim)
                },
            };
            let inner = (heads * head_dim) as usize;
            let rows = (images * queries) as usize;
            let q = random.values(elem, rows * if merged { 3 * inner } else { inner }, 0.0, 0.7);
            let kv = random.values(elem, (images / shared * keys) as usize * 2 * inner, 0.0, 0.7);
            let grad = random.values(elem, rows * inner, 0.0, 1.0);
            let from = [&q[..], if merged { &q[..] } else { &kv[..] }];
            let [mut to_q, to_kv] =
                attention_grad::cpu::attention_grad(&params, (head_dim, causal), from, &grad);
            let spec = |pass| attention_grad::Spec { elem, pass, head_dim, causal, shared_qkv: merged };
            let mut operands = vec![encode(elem, &q)];
            operands.extend((!merged).then(|| encode(elem, &kv)));
            operands.push(encode(elem, &grad));
            let run = |pass, last: Vec<Vec<u8>>| {
                let buffers: Vec<Vec<u8>> = operands.iter().cloned().chain(last).collect();
                let spec = spec(pass);
                gpu.run(spec.clone(), attention_grad::workgroups(&spec, &params), params.bytes(), &buffers, 1)
                    .remove(0)
            };
            let sums = run(Pass::Sums, vec![encode(Elem::F32, &vec![f32::NAN; 2 * rows * heads as usize])]);
            let found_q = run(Pass::Queries, vec![sums.clone(), encode(elem, &vec![0.0; q.len()])]);
            if merged {
                to_q.iter_mut().zip(to_kv).for_each(|(all, more)| *all += more);
                let both = run(Pass::Keys, vec![sums, found_q]);
                report.check(elem, (spec(Pass::Keys), params), &decode(elem, &both), &to_q);
            } else {
                report.check(elem, (spec(Pass::Queries), params), &decode(elem, &found_q), &to_q);
                let found_kv = run(Pass::Keys, vec![sums, unwritten(elem, kv.len())]);
                report.check(elem, (spec(Pass::Keys), params), &decode(elem, &found_kv), &to_kv);
            }
        }
    }
}

/// The plain product of a layer's weights, `[n, taps, channels]`, read the other way: `[channels, taps, n]`, the last tap first.
fn turned(weights: &[f32], [n, taps, channels]: [usize; 3]) -> Vec<f32> {
    let places =
        (0..channels).flat_map(|c| (0..taps).flat_map(move |tap| (0..n).map(move |row| [c, tap, row])));
    places.map(|[c, tap, row]| weights[(row * taps + taps - 1 - tap) * channels + c]).collect()
}

fn nothing() -> Epilogue<'static> {
    Epilogue {
        bias: None,
        time: None,
        residual: None,
        act: Act::None,
        slope: None,
        act_last: false,
        geglu: false,
    }
}

#[test]
fn products_with_a_weight_the_other_way_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm, back");
    let mut random = Random::new(37);
    // What comes in has as many channels as the layer has outputs, what comes out as many columns as it has inputs.
    let shapes =
        [linear(37, 8, 96, 0), linear(70, 160, 64, 0), conv(2, (5, 7), 40, 32), conv(1, (9, 4), 96, 36)];
    for &elem in gpu.elems() {
        for shape in shapes {
            let g = shape.geometry;
            let taps = g.kernel * g.kernel;
            for weight in WeightType::ALL {
                let k = taps * shape.n;
                if weight.is_quantized() && !k.is_multiple_of(BLOCK) {
                    continue;
                }
                let a = random.values(elem, g.batch * g.in_h * g.in_w * shape.channels, 0.0, 1.0);
                // The layer has rows of so many values: taps times the channels that come out here.
                let values =
                    random.values(Elem::F32, shape.channels * k, 0.0, 1.0 / (taps * shape.channels) as f32);
                let packed = pack(weight, &values, shape.channels, k);
                let way = turned(&packed.values, [shape.channels, taps, shape.n]);
                let expected = product_twin(&a, &way, shape.n, shape.channels, g, nothing());
                for variant in gemm::WAYS_BACK {
                    for cuts in [1, 3] {
                        // What a software adapter takes long to compile; how weights are read is the same in all variants.
                        if !left_out::everything()
                            && !matches!(weight, WeightType::F32 | WeightType::Q8)
                            && variant != Variant::OUTER
                        {
                            continue;
                        }
                        if cuts > 1 && !matches!(variant, Variant::Outer { .. }) {
                            continue;
                        }
                        let found = back(
                            gpu,
                            (elem, weight, variant),
                            shape,
                            (&a, &packed.words, &packed.scales),
                            cuts,
                        );
                        report.check(elem, (weight, variant, cuts, shape), &found, &expected);
                    }
                }
            }
        }
    }
}

fn back(
    gpu: &Gpu,
    (elem, weight, variant): (Elem, WeightType, Variant),
    shape: Shape,
    (a, words, scales): (&[f32], &[u8], &Option<Vec<u8>>),
    cuts: u32,
) -> Vec<f32> {
    let g = shape.geometry;
    let source = if g.kernel == 1 { Source::Rows } else { Source::Conv };
    let spec = gemm::Spec { transposed: true, ..gemm::Spec::plain(elem, weight, variant, source) };
    let own = params(shape, 0);
    let own = gemm::Params {
        weight_n: shape.channels as u32,
        weight_c4: (shape.n / 4) as u32,
        cut_k4: gemm::cut_k4(variant, own.k4, cuts),
        ..own
    };
    let mut buffers = vec![encode(elem, a), words.to_vec()];
    buffers.extend(scales.clone());
    let len = (own.m * own.n) as usize;
    if cuts == 1 {
        buffers.push(unwritten(elem, len));
        let grid = gemm::workgroups(&spec, &own);
        return decode(elem, &gpu.run(spec, grid, own.bytes(), &buffers, 1).remove(0));
    }
    let split = gemm::Spec { split: true, ..spec.clone() };
    let grid = gemm::workgroups(&split, &own);
    buffers.push(unwritten(Elem::F32, grid[2] as usize * len));
    let mut sums = gpu.run(split, grid, own.bytes(), &buffers, 1);
    sums.push(unwritten(elem, len));
    let (spec, params) = (gemm_sum::Spec::of(&spec), gemm_sum::Params::of(&own));
    let grid = gemm_sum::workgroups(&spec, &params);
    decode(elem, &gpu.run(spec, grid, params.bytes(), &sums, 1).remove(0))
}

#[test]
fn products_over_windows_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm, windows");
    let mut random = Random::new(38);
    let (rows, wide, first, outputs, rank, scale) = (45, 100, 12, 40, 8, 0.37);
    for &elem in gpu.elems() {
        let up = random.values(Elem::F32, outputs * rank, 0.0, 0.5);
        let packed = pack(WeightType::F32, &up, outputs, rank).words;
        let x = random.values(elem, rows * rank, 0.0, 1.0);
        let map = random.values(elem, rows * wide, 0.0, 1.0);
        let window: Vec<f32> =
            map.chunks(wide).flat_map(|row| row[first..first + outputs].to_vec()).collect();
        for variant in gemm::WAYS_BACK {
            let plain = gemm::Spec::plain(elem, WeightType::F32, variant, Source::Rows);
            let base = gemm::Params {
                weight_n: outputs as u32,
                weight_c4: rank as u32 / 4,
                scale,
                ..params(linear(rows, outputs, rank, 0), 0)
            };

            let spec = gemm::Spec { window: true, accumulate: true, ..plain.clone() };
            let own = gemm::Params {
                a_row4: rank as u32 / 4,
                out_row: wide as u32,
                out_first: first as u32,
                ..base
            };
            let sums =
                product_twin(&x, &up, outputs, rank, linear(rows, outputs, rank, 0).geometry, nothing());
            let mut expected = map.clone();
            for (row, sums) in expected.chunks_mut(wide).zip(sums.chunks(outputs)) {
                row[first..].iter_mut().zip(sums).for_each(|(out, sum)| *out += scale * sum);
            }
            let buffers = [encode(elem, &x), packed.clone(), encode(elem, &map)];
            let found =
                gpu.run(spec.clone(), gemm::workgroups(&spec, &own), own.bytes(), &buffers, 1).remove(0);
            report.check(elem, (&spec, own), &decode(elem, &found), &expected);

            let spec = gemm::Spec { window: true, transposed: true, ..plain };
            let own = gemm::Params {
                n: rank as u32,
                k4: outputs as u32 / 4,
                a_c4: outputs as u32 / 4,
                a_row4: wide as u32 / 4,
                a_first4: first as u32 / 4,
                out_row: rank as u32,
                ..base
            };
            let way = turned(&up, [outputs, 1, rank]);
            let expected: Vec<f32> = product_twin(
                &window,
                &way,
                rank,
                outputs,
                linear(rows, rank, outputs, 0).geometry,
                nothing(),
            )
            .into_iter()
            .map(|sum| scale * sum)
            .collect();
            let buffers = [encode(elem, &map), packed.clone(), unwritten(elem, rows * rank)];
            let found =
                gpu.run(spec.clone(), gemm::workgroups(&spec, &own), own.bytes(), &buffers, 1).remove(0);
            report.check(elem, (&spec, own), &decode(elem, &found), &expected);
        }
    }
}

#[test]
fn low_rank_gradients_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("low_rank_sum");
    let mut random = Random::new(39);
    let square = conv(2, (6, 9), 8, 12);
    let maps = [square, strided(square, 1), strided(square, 0), upsampled(square, 0), upsampled(square, 1)];
    for &elem in gpu.elems() {
        for (case, shape) in maps.into_iter().enumerate() {
            let g = shape.geometry;
            let full = if g.upsample { [g.out_h, g.out_w] } else { [g.in_h, g.in_w] };
            let own = low_rank_sum::Params {
                rows: (g.batch * g.out_h * g.out_w) as u32,
                rank4: 2,
                wide4: 27,
                row4: 3,
                cut: [7, 50, 300][case % 3],
                scale: 0.7,
                in_h: g.in_h as u32,
                in_w: g.in_w as u32,
                out_h: g.out_h as u32,
                out_w: g.out_w as u32,
                full_h: full[0] as u32,
                full_w: full[1] as u32,
                kernel_w: 3,
                stride: g.stride as u32,
                pad_top: g.pad_top as u32,
                pad_left: g.pad_left as u32,
                ..Default::default()
            };
            let spec = low_rank_sum::Spec { elem, conv: true, upsample: g.upsample, by_rank: false };
            let wide = random.values(elem, g.batch * g.in_h * g.in_w * 12, 0.0, 1.0);
            summed(gpu, &mut report, &mut random, (&spec, own), &wide);
        }
        for (rows, rank4, wide4, row4, first4, by_rank) in [
            (300, 2, 80, 80, 0, false),
            (65, 1, 20, 60, 20, true),
            (1000, 4, 5, 9, 3, true),
            (3, 1, 1, 1, 0, false),
        ] {
            let own = low_rank_sum::Params {
                rows,
                rank4,
                wide4,
                row4,
                first4,
                cut: 256,
                scale: 1.3,
                ..Default::default()
            };
            let spec = low_rank_sum::Spec { elem, conv: false, upsample: false, by_rank };
            let wide = random.values(elem, (rows * row4 * 4) as usize, 0.0, 1.0);
            summed(gpu, &mut report, &mut random, (&spec, own), &wide);
        }
    }
}

/// The sums of all cuts, added to what is there.
fn summed(
    gpu: &Gpu,
    report: &mut Report,
    random: &mut Random,
    (spec, own): (&low_rank_sum::Spec, low_rank_sum::Params),
    wide: &[f32],
) {
    let narrow = random.values(spec.elem, (own.rows * own.rank4 * 4) as usize, 0.0, 1.0);
    let before = random.values(Elem::F32, own.len() as usize, 0.0, 1.0);
    let sums = low_rank_sum::cpu::low_rank_sum(spec, &own, &narrow, wide);
    let expected: Vec<f32> = before.iter().zip(sums).map(|(before, sum)| before + sum).collect();
    let partial = unwritten(Elem::F32, (own.cuts() * own.len()) as usize);
    let buffers = [encode(spec.elem, &narrow), encode(spec.elem, wide), partial];
    let mut buffers = gpu.run(spec.clone(), low_rank_sum::workgroups(spec, &own), own.bytes(), &buffers, 1);
    buffers.push(encode(Elem::F32, &before));
    let plain = gemm::Spec::plain(Elem::F32, WeightType::F32, Variant::OUTER, Source::Rows);
    let adding = gemm_sum::Spec::of(&gemm::Spec { accumulate: true, ..plain });
    let params = gemm_sum::Params { m: 1, n: own.len(), cuts: own.cuts(), time_offset: 0, first_column: 0 };
    let grid = gemm_sum::workgroups(&adding, &params);
    let found = gpu.run(adding, grid, params.bytes(), &buffers, 1).remove(0);
    report.check(spec.elem, (spec, own), &decode(Elem::F32, &found), &expected);
}

#[test]
fn steps_of_adamw_and_sums_of_squares_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("adamw, squares");
    let mut random = Random::new(40);
    let len = 4 * 5000;
    let mut values = random.values(Elem::F32, len, 0.0, 1.0);
    let (mut means, mut squares) = (vec![0.0; len], vec![0.0; len]);
    for step in 1..4u32 {
        let gradients = random.values(Elem::F32, len, 0.0, 1.0);
        let lack = |beta: f32| 1.0 - beta.powi(step as i32);
        let params = adamw::Params {
            first: 10,
            groups: 4900,
            share: 0.5,
            beta1: 0.9,
            beta2: 0.999,
            rate: 1e-2 / lack(0.9),
            square_scale: 1.0 / lack(0.999),
            eps: 1e-8,
            kept: 0.999,
        };
        let spec = adamw::Spec {};
        let buffers = [&means, &squares, &gradients, &values].map(|values| encode(Elem::F32, values));
        let found = gpu.run(spec.clone(), adamw::workgroups(&spec, &params), params.bytes(), &buffers, 4);
        adamw::cpu::adamw(&params, &gradients, [&mut values, &mut means, &mut squares]);
        let mut gone = gradients.clone();
        gone[40..40 + 4 * 4900].fill(0.0);
        for (found, expected) in found.iter().zip([&means, &squares, &gone, &values]) {
            report.check(Elem::F32, step, &decode(Elem::F32, found), expected);
        }

        let (spec, params) = (squares::Spec {}, squares::Params { groups: len as u32 / 4 });
        let buffers = [encode(Elem::F32, &gradients), unwritten(Elem::F32, squares::SUMS as usize)];
        let found =
            gpu.run(spec.clone(), squares::workgroups(&spec, &params), params.bytes(), &buffers, 1).remove(0);
        report.check(Elem::F32, step, &decode(Elem::F32, &found), &squares::cpu::squares(&gradients));
    }
}
