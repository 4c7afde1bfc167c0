//! 3×3 convolutions by minimal filtering: where they pay, and their launches.

use super::graph::{ElemKind, Node, Shape};
use super::lower::{Lowering, Operand, push};
use super::tuning::Winograd;
use crate::kernels::gemm::{self, Source};
use crate::kernels::winograd::{self, Params, Pass, Spec, Tile};
use crate::kernels::{Elem, WeightType, gemm_sum};

/// Bytes of a transformed value, which is f32.
const BYTES: u64 = 4;

/// The tile by which a convolution takes least, if that is less than by itself.
pub fn choose(tuning: &Winograd, source: Source, params: &gemm::Params) -> Option<Tile> {
    if !winograd::fits(source, params) {
        return None;
    }
    let [m, n, channels] = [params.m, params.n, 4 * params.a_c4].map(u64::from);
    let cost = |tile: &Tile| {
        let tiles = u64::from(Params::of(params, *tile).tiles);
        let products = u64::from(tile.products());
        let rows = tiles.next_multiple_of(u64::from(tuning.variant.tile()[0]));
        // Whatever is transformed is written and read.
        let bytes = 2 * BYTES * products * (channels * n + tiles * (channels + n));
        (2 * products * rows * n * channels + bytes * tuning.flops_per_byte, *tile)
    };
    let best = tuning.tiles.iter().map(cost).min_by_key(|(cost, _)| *cost);
    let most = (2 * m * n * 9 * channels / 100).saturating_mul(tuning.percent);
    best.filter(|(cost, _)| *cost <= most).map(|(_, tile)| tile)
}

/// The launches: band by band of tiles the input's transform, then for so many columns at once the weights', the products,
/// and the outputs'. Where all columns are taken at once, the weights are transformed once.
///
/// `input`, `weight` and `epilogue` are the operands of the convolution `whole` without the binding of its sums.
pub fn launches(
    l: &mut Lowering,
    node: &Node,
    tile: Tile,
    tuning: &Winograd,
    (whole, params): (&gemm::Spec, &gemm::Params),
    (input, weight, epilogue): (Operand, Vec<Operand>, Vec<Operand>),
) {
    let all = Params::of(params, tile);
    let products = u64::from(tile.products());
    let channels = 4 * all.c4;
    let [tile_rows, tile_columns] = tuning.variant.tile().map(u64::from);
    // How many fit, in whole tiles of the products.
    let whole_tiles = |bytes: u64, of_one: u64, side: u64| (bytes / of_one / side * side).max(side) as u32;
    let columns =
        whole_tiles(tuning.weights, BYTES * products * u64::from(channels), tile_columns).min(all.n);
    let of_tile = BYTES * products * u64::from(channels.max(columns));
    let band = whole_tiles(tuning.scratch, of_tile, tile_rows).min(all.tiles);
    let scratch = |l: &mut Lowering, rows: u32, columns: u32| {
        let shape = Shape::image(1, tile.products() as usize, rows as usize, columns as usize);
        l.scratch(shape, ElemKind::F32)
    };
    let weights = scratch(l, channels, columns);
    let (inputs, sums) = (scratch(l, band, channels), scratch(l, band, columns));

    let transform = |l: &mut Lowering, elem, pass, params: &Params, operands| {
        let spec = Spec { elem, tile, pass };
        let workgroups = winograd::workgroups(&spec, params);
        push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
    };
    let reading = Pass::Input { upsample: whole.source == Source::ConvUpsample, circular: whole.circular };
    let product = gemm::Spec {
        split: true,
        ..gemm::Spec::plain(Elem::F32, WeightType::F32, tuning.variant, Source::Rows)
    };
    for first_tile in (0..all.tiles).step_by(band as usize) {
        let of_band = Params { first_tile, tiles: band.min(all.tiles - first_tile), ..all };
        transform(l, whole.elem, reading.clone(), &of_band, vec![input, Operand::Write(inputs)]);
        for column in (0..all.n).step_by(columns as usize) {
            let params = Params { column, columns: columns.min(all.n - column), ..of_band };
            if first_tile == 0 || columns < all.n {
                let operands = weight.iter().copied().chain([Operand::Write(weights)]).collect();
                transform(l, Elem::F32, Pass::Weight(whole.weight), &params, operands);
            }
            let between = params.product(tile);
            let operands = vec![Operand::Read(inputs), Operand::Read(weights), Operand::Write(sums)];
            let workgroups = gemm::workgroups(&product, &between);
            let flops =
                2 * products * u64::from(params.tiles) * u64::from(params.columns) * u64::from(channels);
            push(l, node, product.clone().into(), between.bytes(), workgroups, operands, flops);
            let operands = [Operand::Read(sums)].into_iter().chain(epilogue.iter().copied()).collect();
            transform(l, whole.elem, Pass::Output(gemm_sum::Spec::of(whole)), &params, operands);
        }
    }
}
