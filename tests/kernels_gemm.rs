//! The GEMM kernel against its CPU twin on a real adapter: every source, weight type, variant and epilogue, odd shapes.

mod common_gpu;

use std::ops::Range;

use common_gpu::products::{Shape, around, conv, linear, pack, params, strided, upsampled};
use common_gpu::{Gpu, Random, Report, decode, encode, gpu, left_out};
use opengen::kernels::gemm::cpu::{Epilogue, gemm as twin};
use opengen::kernels::gemm::{
    Act, MATRIX_VARIANTS, Params, Source, Spec, VARIANTS, Variant, cut_k4, workgroups,
};
use opengen::kernels::{Circular, Elem, WeightType, gemm_sum, low_rank_merge};

/// The two sources side by side, as the twin reads them.
fn concatenated(a: &[f32], b: &[f32], shape: Shape) -> Vec<f32> {
    if shape.second == 0 {
        return a.to_vec();
    }
    let rows = a.chunks(shape.channels).zip(b.chunks(shape.second));
    rows.flat_map(|(a, b)| a.iter().chain(b).copied().collect::<Vec<_>>()).collect()
}

/// What a product leaves on the adapter, from what it reads and what its epilogue does; with more than one of `cuts` in
/// two launches, as the planner makes them.
fn product(
    gpu: &Gpu,
    spec: &Spec,
    params: Params,
    mut operands: Vec<Vec<u8>>,
    epilogue: Vec<Vec<u8>>,
    cuts: u32,
) -> Vec<u8> {
    if cuts == 1 {
        operands.extend(epilogue);
        return gpu.run(spec.clone(), workgroups(spec, &params), params.bytes(), &operands, 1).remove(0);
    }
    let params = Params { cut_k4: cut_k4(spec.variant, params.k4, cuts), ..params };
    let split = Spec {
        split: true,
        circular: spec.circular,
        ..Spec::plain(spec.elem, spec.weight, spec.variant, spec.source)
    };
    let grid = workgroups(&split, &params);
    // What a cut does not write is no number.
    let unwritten = vec![f32::NAN; grid[2] as usize * params.m as usize * params.n as usize];
    operands.push(encode(Elem::F32, &unwritten));
    let mut buffers = gpu.run(split, grid, params.bytes(), &operands, 1);
    buffers.extend(epilogue);
    let (spec, params) = (gemm_sum::Spec::of(spec), gemm_sum::Params::of(&params));
    gpu.run(spec.clone(), gemm_sum::workgroups(&spec, &params), params.bytes(), &buffers, 1).remove(0)
}

/// Runs one case on the adapter and on the twin.
fn check(report: &mut Report, random: &mut Random, spec: &Spec, shape: Shape) {
    check_cut(report, random, spec, shape, 1);
}

/// The same with K in several cuts.
fn check_cut(report: &mut Report, random: &mut Random, spec: &Spec, shape: Shape, cuts: u32) {
    const TIME_OFFSET: usize = 12;
    let Some(gpu) = gpu() else { return };
    let g = shape.geometry;
    let (m, k) = (g.batch * g.out_h * g.out_w, g.kernel * g.kernel * shape.channels + shape.second);
    let pixels = g.batch * g.in_h * g.in_w;
    let a = random.values(spec.elem, pixels * shape.channels, 0.1, 1.0);
    let a2 = random.values(spec.elem, pixels * shape.second, 0.0, 1.0);
    let weights = random.values(Elem::F32, shape.n * k, 0.0, 1.0 / (k as f32).sqrt());
    let packed = pack(spec.weight, &weights, shape.n, k);
    let bias = random.values(Elem::F32, shape.n, 0.0, 0.5);
    let slope = random.values(Elem::F32, shape.n, 0.0, 0.5);
    let time = random.values(spec.elem, TIME_OFFSET + shape.n + 8, 0.0, 0.5);
    let residual = random.values(spec.elem, m * shape.n, 0.0, 1.0);

    let params = params(shape, TIME_OFFSET);
    let mut operands = vec![encode(spec.elem, &a)];
    operands.extend((shape.second > 0).then(|| encode(spec.elem, &a2)));
    operands.push(packed.words);
    operands.extend(packed.scales);
    let mut buffers = Vec::new();
    buffers.extend(spec.bias.then(|| encode(Elem::F32, &bias)));
    buffers.extend((spec.act == Act::Prelu).then(|| encode(Elem::F32, &slope)));
    buffers.extend(spec.time.then(|| encode(spec.elem, &time)));
    buffers.extend(spec.residual.then(|| encode(spec.elem, &residual)));
    let columns = if spec.geglu { shape.n / 2 } else { shape.n };
    buffers.push(encode(spec.elem, &vec![0.0; m * columns]));

    let epilogue = Epilogue {
        bias: spec.bias.then_some(bias.as_slice()),
        time: spec.time.then_some(&time[TIME_OFFSET..TIME_OFFSET + shape.n]),
        residual: spec.residual.then_some(residual.as_slice()),
        act: spec.act,
        slope: (spec.act == Act::Prelu).then_some(slope.as_slice()),
        act_last: spec.act_last,
        geglu: spec.geglu,
    };
    let input = concatenated(&a, &a2, shape);
    let expected = twin(&input, &packed.values, shape.n, shape.channels + shape.second, g, epilogue);
    let found = product(gpu, spec, params, operands, buffers, cuts);
    report.check(spec.elem, (spec, shape, cuts), &decode(spec.elem, &found), &expected);
}

/// Sources and the shapes they are tried on; K is a multiple of 32 so that every weight type applies.
fn shapes() -> Vec<(Source, Shape)> {
    vec![
        (Source::Rows, linear(1, 64, 32, 0)),
        (Source::Rows, linear(77, 36, 96, 0)),
        (Source::Rows, linear(130, 132, 64, 0)),
        (Source::Concat, linear(67, 64, 96, 64)),
        (Source::Concat, linear(5, 20, 32, 32)),
        (Source::Conv, conv(2, (5, 7), 36, 32)),
        (Source::Conv, conv(1, (13, 9), 68, 32)),
        (Source::Conv, strided(conv(2, (7, 10), 32, 32), 1)),
        (Source::Conv, strided(conv(1, (8, 6), 32, 32), 0)),
        (Source::ConvUpsample, upsampled(conv(2, (3, 5), 32, 32), 0)),
        (Source::ConvUpsample, upsampled(conv(1, (4, 3), 36, 32), 1)),
    ]
}

/// The shapes for a weight type. How weights are read has nothing to do with where inputs come from, so F16 and Q8, which models
/// have most, are tried with every source, the others with rows and a convolution.
fn shapes_for(weight: WeightType) -> Vec<(Source, Shape)> {
    if left_out::everything() || matches!(weight, WeightType::F16 | WeightType::Q8) {
        return shapes();
    }
    vec![(Source::Rows, linear(77, 36, 96, 0)), (Source::Conv, conv(1, (13, 9), 68, 32))]
}

/// The variants for a weight and an element type. The largest tile is the next smaller one with other numbers, and compiles
/// three times as long: it is tried with F16 weights in f32 and Q8 in f16.
fn variants_for(elem: Elem, weight: WeightType) -> impl Iterator<Item = Variant> {
    let largest = matches!((elem, weight), (Elem::F32, WeightType::F16) | (Elem::F16, WeightType::Q8));
    VARIANTS
        .into_iter()
        .filter(move |&variant| left_out::everything() || largest || variant != Variant::OUTER_WIDE)
}

/// The element types for a weight type: how weights are read has nothing to do with these either.
fn elems_for(gpu: &Gpu, weight: WeightType) -> impl Iterator<Item = Elem> {
    let both = left_out::everything() || matches!(weight, WeightType::F16 | WeightType::Q8);
    gpu.elems().iter().copied().filter(move |&elem| both || elem == Elem::F32)
}

/// Whether a product has a bias: some of a kind do and some don't, or one kind has it and another not.
fn has_bias(source: Source, shape: Shape) -> bool {
    if left_out::everything() { shape.n.is_multiple_of(8) } else { source != Source::Rows }
}

/// Every epilogue, over plain products of one kind.
fn epilogues(plain: &dyn Fn(Source) -> Spec) -> Vec<(Spec, Shape)> {
    let acts = [Act::Silu, Act::Gelu, Act::QuickGelu, Act::Relu];
    let mut cases: Vec<_> =
        acts.into_iter().map(|act| (Spec { act, ..plain(Source::Rows) }, linear(19, 36, 32, 0))).collect();
    let relu = Spec { act: Act::Relu, act_last: true, residual: true, ..plain(Source::Conv) };
    cases.push((relu, conv(1, (5, 6), 32, 32)));
    for act in [Act::LeakyRelu, Act::Prelu] {
        cases.push((Spec { act, ..plain(Source::Conv) }, conv(1, (5, 6), 36, 32)));
    }
    let enlarged = Spec { act: Act::LeakyRelu, ..plain(Source::ConvUpsample) };
    cases.push((enlarged, upsampled(conv(1, (4, 3), 36, 32), 0)));
    cases.push((Spec { time: true, ..plain(Source::Conv) }, conv(2, (4, 5), 36, 32)));
    cases.push((Spec { residual: true, ..plain(Source::Concat) }, linear(9, 68, 32, 32)));
    cases.push((Spec { geglu: true, ..plain(Source::Rows) }, linear(21, 72, 32, 0)));
    cases
}

/// Every source and variant with one weight type; a test each, for a software adapter compiles most of a minute for one.
fn every_source_and_variant(name: &'static str, weight: WeightType) {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new(name);
    let mut random = Random::new(11);
    for elem in elems_for(gpu, weight) {
        for variant in variants_for(elem, weight) {
            for (source, shape) in shapes_for(weight) {
                let bias = has_bias(source, shape);
                let spec = Spec { bias, ..Spec::plain(elem, weight, variant, source) };
                check(&mut report, &mut random, &spec, shape);
            }
        }
    }
}

const _: () = assert!(WeightType::ALL.len() == 5, "each has its test here");

#[test]
fn every_source_and_variant_in_f32_is_its_twin() {
    every_source_and_variant("gemm, F32", WeightType::F32);
}

#[test]
fn every_source_and_variant_in_f16_is_its_twin() {
    every_source_and_variant("gemm, F16", WeightType::F16);
}

#[test]
fn every_source_and_variant_in_q8_is_its_twin() {
    every_source_and_variant("gemm, Q8", WeightType::Q8);
}

#[test]
fn every_source_and_variant_in_q5_is_its_twin() {
    every_source_and_variant("gemm, Q5", WeightType::Q5);
}

#[test]
fn every_source_and_variant_in_q4_is_its_twin() {
    every_source_and_variant("gemm, Q4", WeightType::Q4);
}

/// Sums that are no whole blocks of the tiles, taps of fewer channels than a block has, and edges of tiles.
#[test]
fn shapes_that_fill_no_tile_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm edges");
    let mut random = Random::new(14);
    let shapes = [
        (Source::Rows, linear(64, 64, 4, 0)),
        (Source::Rows, linear(129, 4, 36, 0)),
        (Source::Rows, linear(200, 260, 52, 0)),
        (Source::Concat, linear(66, 68, 20, 12)),
        (Source::Concat, linear(30, 136, 4, 40)),
        (Source::Conv, conv(2, (6, 5), 20, 4)),
        (Source::Conv, conv(1, (12, 11), 132, 12)),
        (Source::Conv, conv(3, (1, 1), 8, 20)),
        (Source::Conv, strided(conv(2, (9, 8), 64, 20), 1)),
        (Source::ConvUpsample, upsampled(conv(2, (7, 5), 68, 12), 1)),
    ];
    for &elem in gpu.elems() {
        for variant in variants_for(elem, WeightType::F16) {
            for (source, shape) in shapes {
                let bias = has_bias(source, shape);
                let spec = Spec { bias, ..Spec::plain(elem, WeightType::F16, variant, source) };
                check(&mut report, &mut random, &spec, shape);
            }
        }
    }
}

/// K in cuts: of every source and weight type, more and fewer than K has blocks for, with every epilogue.
#[test]
fn products_in_cuts_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm in cuts");
    let mut random = Random::new(15);
    for &elem in gpu.elems() {
        for weight in
            WeightType::ALL.into_iter().filter(|&weight| elems_for(gpu, weight).any(|one| one == elem))
        {
            for ((source, shape), cuts) in
                shapes_for(weight).into_iter().zip([2, 3, 5, 40].into_iter().cycle())
            {
                let spec =
                    Spec { bias: shape.n % 8 == 0, ..Spec::plain(elem, weight, Variant::OUTER, source) };
                check_cut(&mut report, &mut random, &spec, shape, cuts);
            }
        }
        let plain =
            |source| Spec { bias: true, ..Spec::plain(elem, WeightType::F16, Variant::OUTER, source) };
        for (spec, shape) in epilogues(&plain) {
            check_cut(&mut report, &mut random, &spec, shape, 2);
        }
    }
}

#[test]
fn every_epilogue_is_its_twin() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm epilogues");
    let mut random = Random::new(12);
    for &elem in gpu.elems() {
        for variant in variants_for(elem, WeightType::F16) {
            let plain = |source| Spec { bias: true, ..Spec::plain(elem, WeightType::F16, variant, source) };
            for (spec, shape) in epilogues(&plain) {
                check(&mut report, &mut random, &spec, shape);
            }
        }
    }
}

const NO_MATRICES: &str = "this adapter has no matrix units that kernels could use";

/// Matrix units: every source, weight type and epilogue, whole and in cuts, and edges of tiles.
#[test]
fn products_of_matrix_units_are_their_twins() {
    if !gpu().is_some_and(Gpu::has_matrices) {
        left_out::wholly(NO_MATRICES);
        return;
    }
    let mut report = Report::new("gemm, matrices");
    let mut random = Random::new(16);
    let edges = [
        (Source::Rows, linear(200, 260, 64, 0)),
        (Source::Concat, linear(66, 68, 128, 64)),
        (Source::Conv, conv(1, (12, 11), 132, 64)),
        (Source::Conv, strided(conv(2, (19, 8), 64, 128), 1)),
        (Source::ConvUpsample, upsampled(conv(2, (7, 5), 68, 64), 1)),
    ];
    for variant in MATRIX_VARIANTS {
        let plain = |weight, source| Spec { bias: true, ..Spec::plain(Elem::F16, weight, variant, source) };
        for weight in WeightType::ALL {
            let cases = shapes().into_iter().chain(edges);
            let fitting = cases.filter(|(_, shape)| variant.fits(&params(*shape, 0)));
            for ((source, shape), cuts) in fitting.zip([2, 3, 5, 40].into_iter().cycle()) {
                check(&mut report, &mut random, &plain(weight, source), shape);
                check_cut(&mut report, &mut random, &plain(weight, source), shape, cuts);
            }
        }
        let cases = epilogues(&|source| plain(WeightType::F16, source));
        for (spec, shape) in cases.into_iter().filter(|(_, shape)| variant.fits(&params(*shape, 0))) {
            check(&mut report, &mut random, &spec, shape);
            check_cut(&mut report, &mut random, &spec, shape, 2);
        }
    }
}

/// Maps that go on at their other end along one axis or both: same size, halved, enlarged, of one pixel, whole and in cuts. In f16
/// a variant is tried that loads as f32 does, for what is read has nothing to do with how wide it is.
#[test]
fn convolutions_of_rings_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm, circular");
    let mut random = Random::new(17);
    let [x, y, both] = [(true, false), (false, true), (true, true)].map(|(x, y)| Circular { x, y });
    let shapes = [
        (Source::Conv, conv(2, (5, 7), 36, 32), both),
        (Source::Conv, conv(1, (1, 1), 32, 32), both),
        (Source::Conv, strided(conv(2, (7, 10), 32, 64), 1), x),
        (Source::ConvUpsample, upsampled(conv(1, (4, 3), 36, 64), 1), y),
    ];
    let units = if gpu.has_matrices() { &MATRIX_VARIANTS[..] } else { &[] };
    if units.is_empty() {
        left_out::partly(NO_MATRICES);
    }
    for &elem in gpu.elems() {
        let units = units.iter().copied().filter(|_| elem == Elem::F16);
        let others = variants_for(elem, WeightType::Q8)
            .filter(|&variant| elem == Elem::F32 || left_out::everything() || variant == Variant::OUTER);
        for variant in others.chain(units) {
            let fitting = shapes.into_iter().filter(|(_, shape, _)| variant.fits(&params(*shape, 0)));
            for (source, shape, circular) in fitting {
                let spec = Spec { circular, ..Spec::plain(elem, WeightType::F16, variant, source) };
                check(&mut report, &mut random, &spec, around(shape, circular));
                if variant == Variant::OUTER || MATRIX_VARIANTS.contains(&variant) {
                    check_cut(&mut report, &mut random, &spec, around(shape, circular), 3);
                }
            }
        }
    }
}

/// The rows `outputs` of `[n, taps, channels]`, of each tap the channels `inputs`.
fn section(
    weight: &[f32],
    channels: usize,
    taps: usize,
    outputs: Range<usize>,
    inputs: Range<usize>,
) -> Vec<f32> {
    let rows = weight.chunks(taps * channels).skip(outputs.start).take(outputs.len());
    rows.flat_map(|row| row.chunks(channels).flat_map(|tap| &tap[inputs.clone()])).copied().collect()
}

/// Parts of a layer: a run of its outputs, or what a run of its inputs adds to sums that are there already.
#[test]
fn sections_of_a_layer_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut report = Report::new("gemm sections");
    let mut random = Random::new(13);
    let shapes = [
        (Source::Rows, linear(67, 68, 96, 0)),
        (Source::Conv, conv(2, (5, 7), 36, 96)),
        (Source::ConvUpsample, upsampled(conv(1, (4, 3), 68, 64), 1)),
    ];
    let units = if gpu.has_matrices() { &MATRIX_VARIANTS[..] } else { &[] };
    if units.is_empty() {
        left_out::partly(NO_MATRICES);
    }
    for &elem in gpu.elems() {
        for weight in
            WeightType::ALL.into_iter().filter(|&weight| elems_for(gpu, weight).any(|one| one == elem))
        {
            let units_here = units.iter().copied().filter(|_| elem == Elem::F16);
            for variant in variants_for(elem, weight).chain(units_here) {
                let known: Vec<_> = shapes_for(weight).into_iter().map(|(source, _)| source).collect();
                for (source, whole) in shapes.into_iter().filter(|(source, _)| known.contains(source)) {
                    let (g, channels) = (whole.geometry, whole.channels);
                    let taps = g.kernel * g.kernel;
                    let k = taps * channels;
                    let weights = random.values(Elem::F32, whole.n * k, 0.0, 1.0 / (k as f32).sqrt());
                    let packed = pack(weight, &weights, whole.n, k);
                    let bias = random.values(Elem::F32, whole.n, 0.0, 0.5);
                    // Inputs from within a block of quantized weights on, and to within one; matrix units take whole ones.
                    let some = if units.contains(&variant) { 32..64 } else { 12..56 };
                    for (outputs, inputs) in [(8..36, 0..channels), (0..whole.n, some)] {
                        let shape = Shape { n: outputs.len(), channels: inputs.len(), ..whole };
                        let params = Params {
                            weight_n: whole.n as u32,
                            first_column: outputs.start as u32,
                            weight_c4: (channels / 4) as u32,
                            first_c4: (inputs.start / 4) as u32,
                            ..params(shape, 0)
                        };
                        if !variant.fits(&params) {
                            continue;
                        }
                        let a = random.values(elem, g.batch * g.in_h * g.in_w * shape.channels, 0.1, 1.0);
                        let sums = random.values(elem, params.m as usize * shape.n, 0.0, 1.0);
                        let accumulate = source != Source::ConvUpsample;
                        let spec =
                            Spec { accumulate, bias: true, ..Spec::plain(elem, weight, variant, source) };
                        let mut operands = vec![encode(elem, &a), packed.words.clone()];
                        operands.extend(packed.scales.clone());
                        let buffers = vec![encode(Elem::F32, &bias), encode(elem, &sums)];
                        let epilogue = Epilogue {
                            bias: Some(&bias[outputs.clone()]),
                            time: None,
                            residual: accumulate.then_some(sums.as_slice()),
                            act: Act::None,
                            slope: None,
                            act_last: false,
                            geglu: false,
                        };
                        let part = section(&packed.values, channels, taps, outputs, inputs);
                        let expected = twin(&a, &part, shape.n, shape.channels, g, epilogue);
                        let cut = variant == Variant::OUTER || units.contains(&variant);
                        let cuts = if cut { &[1, 3][..] } else { &[1] };
                        for &cuts in cuts {
                            let (operands, buffers) = (operands.clone(), buffers.clone());
                            let found = product(gpu, &spec, params, operands, buffers, cuts);
                            report.check(
                                elem,
                                (&spec, shape, params, cuts),
                                &decode(elem, &found),
                                &expected,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Rows of a packed weight that a product is added to: all of them, some, and those of two halves by turns. In blocks a sum that
/// is rounded otherwise may fall on another code, and seldom does.
#[test]
fn products_merged_into_packed_weights_are_their_twins() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random::new(41);
    for weight in WeightType::ALL {
        let spec = low_rank_merge::Spec { weight };
        let (mut values, mut apart) = (0, 0);
        let mut compare = |case: &str, found: &[u8], expected: &[u8]| {
            match weight {
                WeightType::F32 => {
                    let [found, expected] = [found, expected].map(|bytes| decode(Elem::F32, bytes));
                    Report::new("low_rank_merge").check(Elem::F32, case, &found, &expected);
                }
                _ => apart += found.iter().zip(expected).filter(|(a, b)| a != b).count(),
            }
            values += expected.len();
        };
        for (weight_n, k, rank, [first, rows, half]) in
            [(36, 96, 5, [0, 36, 0]), (36, 96, 1, [8, 14, 0]), (140, 64, 8, [0, 140, 70])]
        {
            let [n, k4] = [weight_n, k / 4].map(|size| size as u32);
            let params = low_rank_merge::Params { rows, first, weight_n: n, k4, rank, half, seed: 7 };
            let packed = pack(weight, &random.values(Elem::F32, weight_n * k, 0.0, 1.0), weight_n, k);
            let left = random.values(Elem::F32, (rank * rows) as usize, 0.0, 0.3);
            let right = random.values(Elem::F32, rank as usize * k, 0.0, 0.3);
            let mut buffers = vec![encode(Elem::F32, &left), encode(Elem::F32, &right), packed.words];
            buffers.extend(packed.scales);
            let grid = low_rank_merge::workgroups(&spec, &params);
            let outputs = buffers.len() - 2;
            let found = gpu.run(spec.clone(), grid, params.bytes(), &buffers, outputs);
            let (mut words, mut scales) = (buffers[2].clone(), buffers.get(3).cloned().unwrap_or_default());
            low_rank_merge::cpu::low_rank_merge(&spec, &params, [&left, &right], [&mut words, &mut scales]);
            assert!(words != buffers[2], "{weight:?} is not changed");
            let case = format!("{weight:?} {params:?}");
            compare(&case, &found[0], &words);
            if let Some(found) = found.get(1) {
                compare(&case, found, &scales);
            }
        }
        assert!(apart * 500 <= values, "{weight:?}: {apart} of {values} bytes");
        eprintln!("low_rank_merge {weight:?}: {apart} of {values} bytes are others");
    }
}
