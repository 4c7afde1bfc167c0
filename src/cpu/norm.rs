//! Norms over channels that lie last: groups of them over a whole image, or each token's.

use std::ops::Range;

use super::gemm::{TILES, by_blocks};
use super::simd::{self, F4};
use super::threads;

/// A group norm's parameters, of just the channels that are normalised.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub groups: usize,
    pub eps: f32,
    /// SiLU follows.
    pub silu: bool,
}

/// Some neighbouring channels of a map.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    pub values: &'a [f32],
    /// Channels of a pixel.
    pub width: usize,
    pub first: usize,
    pub count: usize,
}

impl<'a> Channels<'a> {
    /// The channels of each of these pixels.
    pub fn of(self, pixels: Range<usize>) -> impl Iterator<Item = &'a [f32]> {
        let pixels = &self.values[pixels.start * self.width..pixels.end * self.width];
        pixels.chunks_exact(self.width.max(1)).map(move |pixel| &pixel[self.first..][..self.count])
    }
}

/// Normalises images of so many pixels by groups of neighbouring channels of `sources`, which stand side by side.
pub fn group_norm(norm: Group, sources: &[Channels], pixels: usize, out: &mut [f32]) {
    let c = norm.gamma.len();
    for (image, out) in out.chunks_exact_mut((pixels * c).max(1)).enumerate() {
        let (scale, shift) = scale_and_shift(norm, sources, image, pixels);
        by_blocks(out, c, TILES, |first, block| {
            each_row(sources, image * pixels + first, c, block, |x, channels, _, out| {
                normalise(x, &scale[channels.clone()], &shift[channels], norm.silu, out);
            });
        });
    }
}

/// Does something with the channels of each source, and their numbers, in each row of `block`, counted from its beginning, which are
/// the pixels from `first` on.
pub fn each_row(
    sources: &[Channels],
    first: usize,
    c: usize,
    block: &mut [f32],
    mut work: impl FnMut(&[f32], Range<usize>, usize, &mut [f32]),
) {
    let mut from = 0;
    for source in sources {
        let channels = from..from + source.count;
        let inputs = source.of(first..first + block.len() / c);
        for (row, (x, pixel)) in inputs.zip(block.chunks_exact_mut(c)).enumerate() {
            work(x, channels.clone(), row, &mut pixel[channels.clone()]);
        }
        from = channels.end;
    }
}

/// The same over all channels of a map, in place.
pub fn group_norm_in_place(norm: Group, pixels: usize, map: &mut [f32]) {
    let c = norm.gamma.len();
    for image in map.chunks_exact_mut((pixels * c).max(1)) {
        let (scale, shift) =
            scale_and_shift(norm, &[Channels { values: image, width: c, first: 0, count: c }], 0, pixels);
        by_blocks(image, c, TILES, |_, block| {
            for pixel in block.chunks_exact_mut(c) {
                for ((x, scale), shift) in pixel.iter_mut().zip(&scale).zip(&shift) {
                    *x = *x * scale + shift;
                }
            }
            if norm.silu {
                simd::map(block, F4::silu);
            }
        });
    }
}

/// One pixel's channels, a multiple of 4 of them.
#[inline(always)]
fn normalise(x: &[f32], scale: &[f32], shift: &[f32], silu: bool, out: &mut [f32]) {
    let [(x, _), (scale, _), (shift, _)] = [x, scale, shift].map(<[f32]>::as_chunks::<4>);
    for (((x, scale), shift), out) in x.iter().zip(scale).zip(shift).zip(out.as_chunks_mut::<4>().0) {
        let y = F4::load(*x) * F4::load(*scale) + F4::load(*shift);
        *out = if silu { y.silu() } else { y }.to_array();
    }
}

/// What each channel of an image is multiplied by, and what is added then.
fn scale_and_shift(norm: Group, sources: &[Channels], image: usize, pixels: usize) -> (Vec<f32>, Vec<f32>) {
    let groups = statistics(norm, sources, image, pixels);
    let width = norm.gamma.len() / norm.groups;
    let channel = |i: usize| {
        let [mean, deviation] = groups[i / width];
        let by = f64::from(norm.gamma[i]) / deviation;
        (by as f32, (f64::from(norm.beta[i]) - mean * by) as f32)
    };
    (0..norm.gamma.len()).map(channel).unzip()
}

/// Of each group of an image the mean and the deviation.
pub fn statistics(norm: Group, sources: &[Channels], image: usize, pixels: usize) -> Vec<[f64; 2]> {
    let c = norm.gamma.len();
    let (mut sums, mut squares) = (Vec::with_capacity(c), Vec::with_capacity(c));
    for source in sources {
        let parts = by_channels(source.count, |part| {
            let channels = Channels { first: source.first + part.start, count: part.len(), ..*source };
            let pixels = channels.of(image * pixels..(image + 1) * pixels);
            moments(pixels.map(|x| [x, x]), part.len(), |_, x, _| x * x)
        });
        for (sum, square) in parts {
            sums.extend(sum);
            squares.extend(square);
        }
    }
    let width = c / norm.groups;
    let count = (pixels * width) as f64;
    let group = |(sums, squares): (&[f64], &[f64])| {
        let mean = sums.iter().sum::<f64>() / count;
        let variance = (squares.iter().sum::<f64>() / count - mean * mean).max(0.0);
        [mean, (variance + f64::from(norm.eps)).sqrt()]
    };
    sums.chunks(width).zip(squares.chunks(width)).map(group).collect()
}

/// What each part of so many channels comes to, by all threads.
pub fn by_channels<T: Send>(count: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let each = count.div_ceil(threads::count()).next_multiple_of(LINE);
    threads::map(count.div_ceil(each), |part| work(part * each..count.min((part + 1) * each)))
}

/// Values of a cache's line, which one thread reads.
const LINE: usize = 16;

/// The sums, over pixels, of each of `c` channels of a first map and of what `second` makes of four channels, by which they are, of
/// the first map and of a second one. `c` is a multiple of 4.
#[inline(always)]
pub fn moments<'a>(
    pixels: impl Iterator<Item = [&'a [f32]; 2]>,
    c: usize,
    second: impl Fn(usize, F4, F4) -> F4,
) -> (Vec<f64>, Vec<f64>) {
    /// Pixels that are added up in f32, before their sum goes to the f64 one.
    const PIXELS: usize = 64;
    let mut totals = [vec![0f64; c], vec![0f64; c]];
    let mut sums = vec![[[0f32; 4]; 2]; c / 4]; // of four channels
    let mut flush = |sums: &mut [[[f32; 4]; 2]]| {
        for (i, totals) in totals.iter_mut().enumerate() {
            for (totals, sums) in totals.chunks_exact_mut(4).zip(&*sums) {
                totals.iter_mut().zip(sums[i]).for_each(|(total, sum)| *total += f64::from(sum));
            }
        }
        sums.fill([[0.0; 4]; 2]);
    };
    for (i, pixel) in pixels.enumerate() {
        let [x, y] = pixel.map(|values| values.as_chunks::<4>().0);
        for (four, ((x, y), [sum, other])) in x.iter().zip(y).zip(&mut sums).enumerate() {
            let x = F4::load(*x);
            *sum = (F4::load(*sum) + x).to_array();
            *other = (F4::load(*other) + second(four, x, F4::load(*y))).to_array();
        }
        if i % PIXELS == PIXELS - 1 {
            flush(&mut sums);
        }
    }
    flush(&mut sums);
    totals.into()
}

/// Normalises each token over its channels, a multiple of 4 of them.
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    let c = gamma.len();
    let fours = |values| <[f32]>::as_chunks::<4>(values).0;
    by_blocks(out, c, TILES, |first, block| {
        for (x, out) in x[first * c..].chunks_exact(c.max(1)).zip(block.chunks_exact_mut(c.max(1))) {
            let mean = F4::splat(simd::sum(x) / c as f32);
            let square = |sum: F4, x: &[f32; 4]| {
                let off = F4::load(*x) - mean;
                sum + off * off
            };
            let squares = fours(x).iter().fold(F4::splat(0.0), square);
            let variance = squares.to_array().iter().sum::<f32>() / c as f32;
            let by = F4::splat(1.0 / (variance + eps).sqrt());
            let affine = fours(gamma).iter().zip(fours(beta));
            for ((x, (gamma, beta)), out) in fours(x).iter().zip(affine).zip(out.as_chunks_mut::<4>().0) {
                let y = (F4::load(*x) - mean) * by * F4::load(*gamma) + F4::load(*beta);
                *out = y.to_array();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{group_norm, layer_norm};

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed * 11) % 23) as f32 * 0.3 - 3.0).collect()
    }

    fn assert_near(got: &[f32], expected: &[f32]) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4, "{got} instead of {expected}");
        }
    }

    /// Two maps side by side, whose border lies within a group; more pixels than are added up in f32.
    #[test]
    fn groups_of_two_maps_agree_with_the_kernels_twin() {
        let (images, pixels, counts, groups) = (2, 150, [8, 4], 2);
        let (first, second) = (values(images * pixels * 8, 1), values(images * pixels * 4, 2));
        let (gamma, beta) = (values(12, 3), values(12, 4));
        for silu in [false, true] {
            let params = group_norm::Params::new(2, pixels as u32, [8, 4], groups, 1e-5);
            let input = group_norm::cpu::Input { first: &first, second: &second };
            let expected = group_norm::cpu::whole(&params, silu, input, &gamma, &beta);
            let norm = Group { gamma: &gamma, beta: &beta, groups: groups as usize, eps: 1e-5, silu };
            let of = |values, i: usize| Channels { values, width: counts[i], first: 0, count: counts[i] };
            let mut out = vec![f32::NAN; images * pixels * 12];
            super::group_norm(norm, &[of(&first, 0), of(&second, 1)], pixels, &mut out);
            assert_near(&out, &expected);
        }
    }

    /// Some channels of a wider map, and the same in place where they are alone.
    #[test]
    fn some_channels_are_normalised_as_if_alone() {
        let wide = values(2 * 10 * 16, 1);
        let alone: Vec<f32> = wide.chunks_exact(16).flat_map(|pixel| &pixel[4..12]).copied().collect();
        let (gamma, beta) = (values(8, 3), values(8, 4));
        let norm = Group { gamma: &gamma, beta: &beta, groups: 4, eps: 1e-5, silu: true };
        let mut out = vec![f32::NAN; 2 * 10 * 8];
        super::group_norm(norm, &[Channels { values: &wide, width: 16, first: 4, count: 8 }], 10, &mut out);
        let mut map = alone;
        group_norm_in_place(norm, 10, &mut map);
        assert_near(&map, &out);
    }

    #[test]
    fn tokens_agree_with_the_kernels_twin() {
        let (x, gamma, beta) = (values(100 * 12, 1), values(12, 2), values(12, 3));
        let params = layer_norm::Params { rows: 100, channels: 12, eps: 1e-5 };
        let mut out = vec![f32::NAN; x.len()];
        super::layer_norm(&x, &gamma, &beta, 1e-5, &mut out);
        assert_near(&out, &layer_norm::cpu::layer_norm(&params, &x, &gamma, &beta));
    }
}
