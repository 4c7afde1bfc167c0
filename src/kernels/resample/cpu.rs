//! The twin of the resample kernel.

use super::Params;

/// Each pixel of `[N, in_h, in_w, C]` at twice its place in `[N, out_h, out_w, C]`.
pub fn spread(params: &Params, input: &[f32]) -> Vec<f32> {
    through(params, |image, y, x, c| {
        let inside = y % 2 == 0 && x % 2 == 0;
        if inside { at(params, input, [image, y / 2, x / 2], c) } else { 0.0 }
    })
}

/// The sums of blocks of two by two pixels, of which the last ones may be narrower.
pub fn pool(params: &Params, input: &[f32]) -> Vec<f32> {
    through(params, |image, y, x, c| {
        let block = [[0, 0], [0, 1], [1, 0], [1, 1]];
        block.iter().map(|[down, right]| at(params, input, [image, 2 * y + down, 2 * x + right], c)).sum()
    })
}

fn at(params: &Params, input: &[f32], [image, y, x]: [usize; 3], c: usize) -> f32 {
    let [h, w, channels] = [params.in_h, params.in_w, 4 * params.c4].map(|n| n as usize);
    if y < h && x < w { input[((image * h + y) * w + x) * channels + c] } else { 0.0 }
}

fn through(params: &Params, value: impl Fn(usize, usize, usize, usize) -> f32) -> Vec<f32> {
    let [h, w, channels] = [params.out_h, params.out_w, 4 * params.c4].map(|n| n as usize);
    let of = |i: usize| {
        let (pixel, c) = (i / channels, i % channels);
        value(pixel / w / h, pixel / w % h, pixel % w, c)
    };
    (0..4 * params.groups as usize).map(of).collect()
}
