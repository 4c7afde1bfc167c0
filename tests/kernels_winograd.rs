//! The transforms of minimal filtering against their twins on a real adapter, and a convolution through all of them.

mod common_gpu;

use common_gpu::products::{Packed, Shape, around, conv, pack, params, upsampled};
use common_gpu::{Gpu, Random, Report, decode, encode, gpu};
use opengen::kernels::gemm::cpu::{Epilogue, gemm};
use opengen::kernels::gemm::{self, Act, Source, Variant};
use opengen::kernels::winograd::{self, Params, Pass, Spec, Tile, cpu};
use opengen::kernels::{Circular, Elem, WeightType, gemm_sum};

const TIME_OFFSET: usize = 12;

/// Sizes that are whole tiles and such as are not, from maps of one tile on.
fn shapes() -> [Shape; 7] {
    let [x, y, both] = [(true, false), (false, true), (true, true)].map(|(x, y)| Circular { x, y });
    [
        conv(2, (5, 7), 36, 32),
        conv(1, (8, 12), 64, 48),
        conv(2, (2, 3), 32, 32),
        upsampled(conv(2, (4, 3), 36, 32), 1),
        around(conv(1, (5, 7), 32, 32), both),
        around(conv(1, (4, 9), 32, 32), x),
        around(upsampled(conv(1, (4, 3), 36, 32), 1), y),
    ]
}

/// Runs a transform into a buffer of so many values that are no numbers before.
fn transform(
    gpu: &Gpu,
    (tile, pass, elem): (Tile, Pass, Elem),
    params: &Params,
    mut buffers: Vec<Vec<u8>>,
    (to, len): (Elem, usize),
) -> Vec<f32> {
    buffers.push(encode(to, &vec![f32::NAN; len]));
    let spec = Spec { elem, tile, pass };
    let workgroups = winograd::workgroups(&spec, params);
    decode(to, &gpu.run(spec, workgroups, params.bytes(), &buffers, 1).remove(0))
}

fn buffers_of(packed: &Packed) -> Vec<Vec<u8>> {
    [Some(packed.words.clone()), packed.scales.clone()].into_iter().flatten().collect()
}

#[test]
fn transformed_weights_are_their_twin() {
    let Some(gpu) = gpu() else { return };
    let (mut report, mut random) = (Report::new("winograd weights"), Random::new(21));
    let (n, channels) = (36, 64);
    let weights = random.values(Elem::F32, n * 9 * channels, 0.0, 0.1);
    for (tile, weight) in Tile::ALL.into_iter().flat_map(|tile| WeightType::ALL.map(|weight| (tile, weight)))
    {
        let packed = pack(weight, &weights, n, 9 * channels);
        // All of a layer, and of some columns some channels: from column 4 of a part of the layer that begins with its fourth.
        for (columns, inputs) in [(0..n, 0..channels), (8..28, 16..48)] {
            let shape = conv(1, (4, 4), columns.len(), inputs.len());
            let mut params = Params::of(&params(shape, 0), tile);
            params.weight_n = n as u32;
            params.column = columns.start as u32 / 2;
            params.first_column = columns.start as u32 / 2;
            params.weight_c4 = (channels / 4) as u32;
            params.first_c4 = (inputs.start / 4) as u32;
            let rows = packed.values.chunks(9 * channels).skip(columns.start).take(columns.len());
            let part: Vec<f32> = rows
                .flat_map(|row| row.chunks(channels).flat_map(|tap| &tap[inputs.clone()]))
                .copied()
                .collect();
            let expected = cpu::weight(tile, &part, columns.len(), inputs.len());
            let found = transform(
                gpu,
                (tile, Pass::Weight(weight), Elem::F32),
                &params,
                buffers_of(&packed),
                (Elem::F32, expected.len()),
            );
            report.check(Elem::F32, (tile, weight, params), &found, &expected);
        }
    }
}

#[test]
fn transformed_inputs_are_their_twin() {
    let Some(gpu) = gpu() else { return };
    let (mut report, mut random) = (Report::new("winograd input"), Random::new(22));
    for (tile, shape) in Tile::ALL.into_iter().flat_map(|tile| shapes().map(|shape| (tile, shape))) {
        let (g, channels) = (shape.geometry, shape.channels);
        let all = Params::of(&params(shape, 0), tile);
        for &elem in gpu.elems() {
            let a = random.values(elem, g.batch * g.in_h * g.in_w * channels, 0.1, 1.0);
            let expected = cpu::input(tile, &a, channels, g);
            let of_tile = tile.products() as usize * channels;
            // All tiles at once, and all but the first ones.
            for first in [0, all.tiles / 3] {
                let part = Params { first_tile: first, tiles: all.tiles - first, ..all };
                let expected = &expected[first as usize * of_tile..];
                let found = transform(
                    gpu,
                    (tile, Pass::Input { upsample: g.upsample, circular: g.circular }, elem),
                    &part,
                    vec![encode(elem, &a)],
                    (Elem::F32, expected.len()),
                );
                report.check(Elem::F32, (tile, elem, shape, first), &found, expected);
            }
        }
    }
}

/// The epilogue of a layer and what it reads.
fn epilogues(elem: Elem) -> Vec<gemm::Spec> {
    let plain = gemm::Spec::plain(elem, WeightType::F32, Variant::OUTER, Source::Conv);
    let bias = gemm::Spec { bias: true, ..plain.clone() };
    vec![
        plain,
        gemm::Spec { time: true, ..bias.clone() },
        gemm::Spec { residual: true, ..bias.clone() },
        gemm::Spec { accumulate: true, ..bias.clone() },
        gemm::Spec { act: Act::Prelu, ..bias.clone() },
        gemm::Spec { accumulate: true, act: Act::LeakyRelu, act_last: true, ..bias.clone() },
        gemm::Spec { residual: true, act: Act::Relu, act_last: true, ..bias },
    ]
}

#[test]
fn transformed_outputs_are_their_twin() {
    let Some(gpu) = gpu() else { return };
    let (mut report, mut random) = (Report::new("winograd output"), Random::new(23));
    for (tile, shape) in Tile::ALL.into_iter().flat_map(|tile| shapes().map(|shape| (tile, shape))) {
        let (g, n) = (shape.geometry, shape.n);
        let all = Params::of(&params(shape, TIME_OFFSET), tile);
        let products = tile.products() as usize;
        let sums = random.values(Elem::F32, products * all.tiles as usize * n, 0.1, 1.0);
        let len = g.batch * g.out_h * g.out_w * n;
        for (&elem, spec) in
            gpu.elems().iter().flat_map(|elem| epilogues(*elem).into_iter().map(move |s| (elem, s)))
        {
            let bias = random.values(Elem::F32, n, 0.0, 0.5);
            let slope = random.values(Elem::F32, n, 0.0, 0.5);
            let time = random.values(elem, TIME_OFFSET + n + 8, 0.0, 0.5);
            let other = random.values(elem, len, 0.0, 1.0);
            let epilogue = Epilogue {
                bias: spec.bias.then_some(bias.as_slice()),
                time: spec.time.then_some(&time[TIME_OFFSET..TIME_OFFSET + n]),
                residual: (spec.residual || spec.accumulate).then_some(other.as_slice()),
                act: spec.act,
                slope: (spec.act == Act::Prelu).then_some(slope.as_slice()),
                act_last: spec.act_last,
                geglu: false,
            };
            let expected = cpu::output(tile, &sums, n, g, epilogue);
            let before = if spec.accumulate { other.clone() } else { vec![f32::NAN; len] };
            let mut out = encode(elem, &before);
            // In two bands and two runs of columns, which together write every output once.
            let half = all.tiles.div_ceil(2);
            let bands = [0..half, half..all.tiles];
            let parts = bands.iter().flat_map(|band| [(band.clone(), 0..20), (band.clone(), 20..n)]);
            for (tiles, columns) in parts.filter(|(tiles, _)| !tiles.is_empty()) {
                let rows = sums
                    .chunks(all.tiles as usize * n)
                    .flat_map(|product| product.chunks(n).skip(tiles.start as usize).take(tiles.len()));
                let band: Vec<f32> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
                let mut buffers = vec![encode(Elem::F32, &band)];
                buffers.extend(spec.bias.then(|| encode(Elem::F32, &bias)));
                buffers.extend((spec.act == Act::Prelu).then(|| encode(Elem::F32, &slope)));
                buffers.extend(spec.time.then(|| encode(elem, &time)));
                buffers.extend(spec.residual.then(|| encode(elem, &other)));
                buffers.push(out);
                let params = Params {
                    first_tile: tiles.start,
                    tiles: tiles.len() as u32,
                    column: columns.start as u32,
                    columns: columns.len() as u32,
                    ..all
                };
                let pass = Spec { elem, tile, pass: Pass::Output(gemm_sum::Spec::of(&spec)) };
                let workgroups = winograd::workgroups(&pass, &params);
                out = gpu.run(pass, workgroups, params.bytes(), &buffers, 1).remove(0);
            }
            report.check(elem, (tile, &spec, shape), &decode(elem, &out), &expected);
        }
    }
}

/// Weights, inputs, products and outputs one after the other are the convolution itself.
#[test]
fn all_together_are_the_convolution() {
    let Some(gpu) = gpu() else { return };
    let (mut report, mut random) = (Report::new("winograd"), Random::new(24));
    for (tile, shape) in Tile::ALL.into_iter().flat_map(|tile| shapes().map(|shape| (tile, shape))) {
        let (g, n, channels) = (shape.geometry, shape.n, shape.channels);
        let of = params(shape, 0);
        let source = if g.upsample { Source::ConvUpsample } else { Source::Conv };
        assert!(winograd::fits(source, &of));
        let all = Params::of(&of, tile);
        let products = tile.products() as usize;
        let weights = random.values(Elem::F32, n * 9 * channels, 0.0, 0.1);
        let packed = pack(WeightType::F16, &weights, n, 9 * channels);
        let a = random.values(Elem::F32, g.batch * g.in_h * g.in_w * channels, 0.1, 1.0);
        let plain = gemm::Spec::plain(Elem::F32, WeightType::F32, Variant::OUTER, Source::Rows);
        let f32 = |len: usize| (Elem::F32, len);
        let u = transform(
            gpu,
            (tile, Pass::Weight(WeightType::F16), Elem::F32),
            &all,
            buffers_of(&packed),
            f32(products * channels * n),
        );
        let v = transform(
            gpu,
            (tile, Pass::Input { upsample: g.upsample, circular: g.circular }, Elem::F32),
            &all,
            vec![encode(Elem::F32, &a)],
            f32(all.tiles as usize * products * channels),
        );
        let product = gemm::Spec { split: true, ..plain.clone() };
        let between = all.product(tile);
        let unwritten = vec![f32::NAN; products * all.tiles as usize * n];
        let buffers = [&v, &u, &unwritten].map(|values| encode(Elem::F32, values));
        let grid = gemm::workgroups(&product, &between);
        let sums = gpu.run(product, grid, between.bytes(), &buffers, 1).remove(0);
        let found = transform(
            gpu,
            (tile, Pass::Output(gemm_sum::Spec::of(&plain)), Elem::F32),
            &all,
            vec![sums],
            f32(g.batch * g.out_h * g.out_w * n),
        );
        let epilogue = Epilogue {
            bias: None,
            time: None,
            residual: None,
            act: Act::None,
            slope: None,
            act_last: false,
            geglu: false,
        };
        let expected = gemm(&a, &packed.values, n, channels, g, epilogue);
        report.check(Elem::F32, (tile, shape), &found, &expected);
    }
}
