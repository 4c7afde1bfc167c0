//! The ways back through norms. Moments are computed again.

use super::super::gemm::{TILES, by_blocks};
use super::super::norm::{Channels, Group};
use super::super::simd::F4;
use super::super::threads;
use super::slope;
use crate::kernels::gemm::Act;

/// The gradient of what a group norm reads, with SiLU if that follows, for maps that stand side by side.
pub fn group_norm_grad(norm: Group, sources: &[Channels], pixels: usize, grad: &[f32], out: &mut [f32]) {
    let c = norm.gamma.len();
    let width = c / norm.groups.max(1);
    let images = out.len() / (pixels * c).max(1);
    // Where each channel lies.
    let places: Vec<(usize, usize)> = sources
        .iter()
        .enumerate()
        .flat_map(|(s, source)| (0..source.count).map(move |at| (s, source.first + at)))
        .collect();
    let at = |image: usize, pixel: usize, channel: usize| {
        let (source, place) = places[channel];
        let source = &sources[source];
        source.values[(image * pixels + pixel) * source.width + place]
    };
    let count = (pixels * width) as f64;
    for image in 0..images {
        let moments = |group: usize| {
            let (mut sum, mut squares) = (0f64, 0f64);
            for pixel in 0..pixels {
                for channel in group * width..(group + 1) * width {
                    let x = f64::from(at(image, pixel, channel));
                    sum += x;
                    squares += x * x;
                }
            }
            let mean = sum / count;
            let inverse = 1.0 / ((squares / count - mean * mean).max(0.0) + f64::from(norm.eps)).sqrt();
            [mean as f32, inverse as f32]
        };
        let moments = threads::map(norm.groups, moments);
        // The gradient of what was normalised, where the result will stand.
        let image_out = &mut out[image * pixels * c..][..pixels * c];
        let image_grad = &grad[image * pixels * c..][..pixels * c];
        by_blocks(image_out, c, TILES, |first, block| {
            for (pixel, block) in block.chunks_exact_mut(c).enumerate() {
                let pixel = first + pixel;
                let grad = &image_grad[pixel * c..][..c];
                for channel in (0..c).step_by(4) {
                    let each = |i: usize| {
                        let [mean, inverse] = moments[(channel + i) / width];
                        (at(image, pixel, channel + i) - mean) * inverse
                    };
                    let normal = F4::load(std::array::from_fn(each));
                    let gamma = F4::load(std::array::from_fn(|i| norm.gamma[channel + i]));
                    let mut way = F4::load(std::array::from_fn(|i| grad[channel + i])) * gamma;
                    if norm.silu {
                        let beta = F4::load(std::array::from_fn(|i| norm.beta[channel + i]));
                        way = way * slope(Act::Silu, normal * gamma + beta);
                    }
                    block[channel..channel + 4].copy_from_slice(&way.to_array());
                }
            }
        });
        let way = &*image_out;
        let sums = threads::map(norm.groups, |group| {
            let [mean, inverse] = moments[group];
            let (mut sum, mut product) = (0f64, 0f64);
            for pixel in 0..pixels {
                for channel in group * width..(group + 1) * width {
                    let value = way[pixel * c + channel];
                    sum += f64::from(value);
                    product += f64::from(value) * f64::from((at(image, pixel, channel) - mean) * inverse);
                }
            }
            [(sum / count) as f32, (product / count) as f32]
        });
        by_blocks(image_out, c, TILES, |first, block| {
            for (pixel, block) in block.chunks_exact_mut(c).enumerate() {
                for (channel, value) in block.iter_mut().enumerate() {
                    let ([mean, inverse], [sum, product]) = (moments[channel / width], sums[channel / width]);
                    let normal = (at(image, first + pixel, channel) - mean) * inverse;
                    *value = inverse * (*value - sum - normal * product);
                }
            }
        });
    }
}

/// The gradient of what a layer norm reads.
pub fn layer_norm_grad((x, gamma, eps): (&[f32], &[f32], f32), grad: &[f32], out: &mut [f32]) {
    let c = gamma.len();
    let count = c as f64;
    by_blocks(out, c, TILES, |first, block| {
        let rows = x[first * c..].chunks_exact(c).zip(grad[first * c..].chunks_exact(c));
        for (out, (x, grad)) in block.chunks_exact_mut(c).zip(rows) {
            let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
            let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
            let inverse = 1.0 / (variance + f64::from(eps)).sqrt();
            let normal = |i: usize| ((f64::from(x[i]) - mean) * inverse) as f32;
            let (mut sum, mut product) = (0f64, 0f64);
            for i in 0..c {
                out[i] = grad[i] * gamma[i];
                sum += f64::from(out[i]);
                product += f64::from(out[i] * normal(i));
            }
            let (sum, product) = ((sum / count) as f32, (product / count) as f32);
            for (i, out) in out.iter_mut().enumerate() {
                *out = inverse as f32 * (*out - sum - normal(i) * product);
            }
        }
    });
}
