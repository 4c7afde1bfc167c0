//! The ways back through norms. Moments are computed again.

use super::super::gemm::{TILES, by_blocks};
use super::super::norm::{Channels, Group, by_channels, each_row, moments, statistics};
use super::super::simd::{self, F4};
use super::slope;
use crate::kernels::gemm::Act;

/// Four values each.
fn fours(values: &[f32]) -> &[[f32; 4]] {
    values.as_chunks().0
}

/// The gradient of what a group norm reads, with SiLU if that follows, for maps that stand side by side.
pub fn group_norm_grad(norm: Group, sources: &[Channels], pixels: usize, grad: &[f32], out: &mut [f32]) {
    let c = norm.gamma.len();
    let len = (pixels * c).max(1);
    let (gamma, beta) = (fours(norm.gamma), fours(norm.beta));
    for (image, (out, grad)) in out.chunks_exact_mut(len).zip(grad.chunks_exact(len)).enumerate() {
        let begin = image * pixels;
        let groups = statistics(norm, sources, image, pixels);
        let mean = spread(&groups, c, |[mean, _]| *mean);
        let inverse = spread(&groups, c, |[_, deviation]| 1.0 / deviation);
        let normal = |x: &[f32; 4], i: usize| (F4::load(*x) - F4::load(mean[i])) * F4::load(inverse[i]);
        // The gradient of what was normalised, where the result will stand.
        by_blocks(out, c, TILES, |first, block| {
            each_row(sources, begin + first, c, block, |x, channels, row, out| {
                let grad = fours(&grad[(first + row) * c + channels.start..]);
                let numbers = channels.start / 4..;
                for (((i, x), grad), out) in numbers.zip(fours(x)).zip(grad).zip(out.as_chunks_mut().0) {
                    let gamma = F4::load(gamma[i]);
                    let mut way = F4::load(*grad) * gamma;
                    if norm.silu {
                        way = way * slope(Act::Silu, normal(x, i) * gamma + F4::load(beta[i]));
                    }
                    *out = way.to_array();
                }
            });
        });
        let shares = shares(out, (sources, begin), &mean, &groups);
        let (sum, product) =
            (spread(&shares, c, |[sum, _]| *sum), spread(&shares, c, |[_, product]| *product));
        by_blocks(out, c, TILES, |first, block| {
            each_row(sources, begin + first, c, block, |x, channels, _, out| {
                for ((i, x), out) in (channels.start / 4..).zip(fours(x)).zip(out.as_chunks_mut().0) {
                    let way = F4::load(*out) - F4::load(sum[i]) - normal(x, i) * F4::load(product[i]);
                    *out = (F4::load(inverse[i]) * way).to_array();
                }
            });
        });
    }
}

/// A value of each group, for each of its channels.
fn spread(groups: &[[f64; 2]], c: usize, value: impl Fn(&[f64; 2]) -> f64) -> Vec<[f32; 4]> {
    let width = c / groups.len().max(1);
    let channel = |i: usize| value(&groups[i / width]) as f32;
    (0..c / 4).map(|four| std::array::from_fn(|i| channel(4 * four + i))).collect()
}

/// Of each group the means of the gradients of what was normalised, `way`, and of their products with that.
fn shares(
    way: &[f32],
    (sources, begin): (&[Channels], usize),
    mean: &[[f32; 4]],
    groups: &[[f64; 2]],
) -> Vec<[f64; 2]> {
    let c = 4 * mean.len();
    let pixels = way.len() / c;
    let (mut sums, mut products) = (Vec::with_capacity(c), Vec::with_capacity(c));
    for source in sources {
        let from = sums.len();
        let parts = by_channels(source.count, |part| {
            let first = from + part.start;
            let channels = Channels { first: source.first + part.start, count: part.len(), ..*source };
            let ways = way.chunks_exact(c).map(|way| &way[first..][..part.len()]);
            let pixels = ways.zip(channels.of(begin..begin + pixels)).map(|(way, x)| [way, x]);
            moments(pixels, part.len(), |four, way, x| way * (x - F4::load(mean[first / 4 + four])))
        });
        for (sum, product) in parts {
            sums.extend(sum);
            products.extend(product);
        }
    }
    let width = c / groups.len();
    let count = (pixels * width) as f64;
    let share = |((sums, products), [_, deviation]): ((&[f64], &[f64]), &[f64; 2])| {
        [sums.iter().sum::<f64>() / count, products.iter().sum::<f64>() / deviation / count]
    };
    sums.chunks(width).zip(products.chunks(width)).zip(groups).map(share).collect()
}

/// The gradient of what a layer norm reads, of a multiple of 4 channels.
pub fn layer_norm_grad((x, gamma, eps): (&[f32], &[f32], f32), grad: &[f32], out: &mut [f32]) {
    let c = gamma.len();
    let all = |sum: F4| F4::splat(sum.to_array().iter().sum::<f32>() / c as f32);
    by_blocks(out, c, TILES, |first, block| {
        let rows = x[first * c..].chunks_exact(c).zip(grad[first * c..].chunks_exact(c));
        for (out, (x, grad)) in block.chunks_exact_mut(c).zip(rows) {
            let mean = F4::splat(simd::sum(x) / c as f32);
            let off = |x: &[f32; 4]| F4::load(*x) - mean;
            let squares = fours(x).iter().fold(F4::splat(0.0), |sum, x| sum + off(x) * off(x));
            let variance = squares.to_array().iter().sum::<f32>() / c as f32;
            let inverse = F4::splat(1.0 / (variance + eps).sqrt());
            let (mut sum, mut product) = (F4::splat(0.0), F4::splat(0.0));
            let ways = fours(grad).iter().zip(fours(gamma));
            for ((x, (grad, gamma)), out) in fours(x).iter().zip(ways).zip(out.as_chunks_mut().0) {
                let way = F4::load(*grad) * F4::load(*gamma);
                sum = sum + way;
                product = product + way * off(x) * inverse;
                *out = way.to_array();
            }
            let (sum, product) = (all(sum), all(product));
            for (x, out) in fours(x).iter().zip(out.as_chunks_mut().0) {
                let way = F4::load(*out) - sum - off(x) * inverse * product;
                *out = (inverse * way).to_array();
            }
        }
    });
}
