//! The twins of the transforms: the matrices as they are printed.

use super::Tile;
use crate::kernels::gemm::cpu::{Epilogue, Geometry};

/// Bᵀ, G and Aᵀ of a tile, row after row.
fn matrices(tile: Tile) -> [Vec<Vec<f32>>; 3] {
    let rows = |rows: &[&[f32]]| rows.iter().map(|row| row.to_vec()).collect();
    match tile {
        Tile::Two => [
            rows(&[
                &[1.0, 0.0, -1.0, 0.0],
                &[0.0, 1.0, 1.0, 0.0],
                &[0.0, -1.0, 1.0, 0.0],
                &[0.0, 1.0, 0.0, -1.0],
            ]),
            rows(&[&[1.0, 0.0, 0.0], &[0.5, 0.5, 0.5], &[0.5, -0.5, 0.5], &[0.0, 0.0, 1.0]]),
            rows(&[&[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, -1.0, -1.0]]),
        ],
        Tile::Four => [
            rows(&[
                &[4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
                &[0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
                &[0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
                &[0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
                &[0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
                &[0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
            ]),
            rows(&[
                &[1.0 / 4.0, 0.0, 0.0],
                &[-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
                &[-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
                &[1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
                &[1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
                &[0.0, 0.0, 1.0],
            ]),
            rows(&[
                &[1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
                &[0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
                &[0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
                &[0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
            ]),
        ],
    }
}

/// `m · x · mᵀ` of a square x, row after row.
fn both_sides(m: &[Vec<f32>], x: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut out = Vec::new();
    for left in m {
        for right in m {
            let mut sum = 0.0;
            for (j, l) in left.iter().enumerate() {
                sum += l * right.iter().enumerate().map(|(i, r)| x(j, i) * r).sum::<f32>();
            }
            out.push(sum);
        }
    }
    out
}

/// `[t², C / 4, N, 4]` from `[N, 3, 3, C]`.
pub fn weight(tile: Tile, weight: &[f32], n: usize, channels: usize) -> Vec<f32> {
    let [_, g, _] = matrices(tile);
    let mut out = vec![0.0; tile.products() as usize * n * channels];
    for column in 0..n {
        for c in 0..channels {
            let of = |y: usize, x: usize| weight[((column * 3 + y) * 3 + x) * channels + c];
            for (t, value) in both_sides(&g, of).into_iter().enumerate() {
                out[((t * channels / 4 + c / 4) * n + column) * 4 + c % 4] = value;
            }
        }
    }
    out
}

/// Rows and columns of the tiles of an image.
fn tiles(tile: Tile, g: Geometry) -> [usize; 2] {
    [g.out_h, g.out_w].map(|size| size.div_ceil(tile.outputs() as usize))
}

/// `[tiles, t², C]` from `[batch, in_h, in_w, C]`.
pub fn input(tile: Tile, a: &[f32], channels: usize, g: Geometry) -> Vec<f32> {
    let [b, _, _] = matrices(tile);
    let [down, across] = tiles(tile, g);
    let mut out = Vec::new();
    for (image, ty) in (0..g.batch).flat_map(|image| (0..down).map(move |ty| (image, ty))) {
        for tx in 0..across {
            let first = out.len();
            out.resize(first + tile.products() as usize * channels, 0.0);
            for c in 0..channels {
                let pixel = |j: usize, i: usize| {
                    let side = tile.outputs() as usize;
                    let Some([y, x]) = g.pixel(ty * side + j, tx * side + i) else { return 0.0 };
                    a[((image * g.in_h + y) * g.in_w + x) * channels + c]
                };
                for (t, value) in both_sides(&b, pixel).into_iter().enumerate() {
                    out[first + t * channels + c] = value;
                }
            }
        }
    }
    out
}

/// `[batch, out_h, out_w, n]` from `[t², tiles, n]`.
pub fn output(tile: Tile, sums: &[f32], n: usize, g: Geometry, epilogue: Epilogue) -> Vec<f32> {
    let [_, _, a] = matrices(tile);
    let [down, across] = tiles(tile, g);
    let (side, t) = (tile.outputs() as usize, tile.inputs() as usize);
    let step = g.batch * down * across * n;
    let mut out = Vec::new();
    for row in 0..g.batch * g.out_h * g.out_w {
        let (image, y, x) = (row / (g.out_h * g.out_w), row / g.out_w % g.out_h, row % g.out_w);
        let at = ((image * down + y / side) * across + x / side) * n;
        let value = |column: usize| {
            let of = |j: usize, i: usize| sums[(j * t + i) * step + at + column];
            both_sides(&a, of)[y % side * side + x % side]
        };
        epilogue.append(&mut out, row, (0..n).map(value).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Circular;
    use crate::kernels::gemm::{Act, cpu::gemm};

    /// Transforms, products and transform back are the convolution, at sizes that are no whole tiles.
    #[test]
    fn all_together_are_the_convolution() {
        let numbers = |count: usize, step: f32| -> Vec<f32> {
            (0..count).map(|i| ((i as f32 * step).sin() * 7.0).fract()).collect()
        };
        let kinds =
            [false, true].into_iter().flat_map(|upsample| Circular::ALL.map(|circular| (upsample, circular)));
        for (tile, (upsample, circular)) in
            Tile::ALL.into_iter().flat_map(|tile| kinds.clone().map(move |kind| (tile, kind)))
        {
            let (n, channels) = (3, 4);
            let scale = 1 + usize::from(upsample);
            let g = Geometry {
                batch: 2,
                in_h: 5,
                in_w: 6,
                out_h: 5 * scale,
                out_w: 6 * scale,
                kernel: 3,
                stride: 1,
                pad_top: 1,
                pad_left: 1,
                upsample,
                circular,
            };
            let a = numbers(2 * 5 * 6 * channels, 1.7);
            let w = numbers(n * 9 * channels, 2.3);
            let bias = numbers(n, 0.9);
            let residual = numbers(2 * g.out_h * g.out_w * n, 0.3);
            let epilogue = Epilogue {
                bias: Some(&bias),
                time: None,
                residual: Some(&residual),
                act: Act::Silu,
                slope: None,
                act_last: false,
                geglu: false,
            };
            let (u, v) = (weight(tile, &w, n, channels), input(tile, &a, channels, g));
            let products = tile.products() as usize;
            let count = v.len() / products / channels;
            let mut sums = Vec::new();
            for t in 0..products {
                for at in 0..count {
                    sums.extend((0..n).map(|column| {
                        let of = |c: usize| u[((t * channels / 4 + c / 4) * n + column) * 4 + c % 4];
                        (0..channels).map(|c| v[(at * products + t) * channels + c] * of(c)).sum::<f32>()
                    }));
                }
            }
            let expected = gemm(&a, &w, n, channels, g, epilogue);
            // Tiles of four lose a digit by their larger factors.
            let bound = if tile == Tile::Two { 3e-6 } else { 3e-5 };
            for (found, expected) in output(tile, &sums, n, g, epilogue).iter().zip(&expected) {
                assert!((found - expected).abs() < bound, "{tile:?}: {found} for {expected}");
            }
        }
    }
}
