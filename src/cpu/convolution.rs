//! Convolutions over maps with zeros or with their other ends around them, whose patches are read in place.

use std::ops::Range;

use super::gemm::{BLOCK, Columns, Onto, Out, Rows, by_blocks, multiply};
use super::matrix::Matrix;
use crate::plan::{Conv, Shape};

/// A convolution at one size.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    from: Shape,
    to: Shape,
    conv: Conv,
    /// Height and width of the map with what surrounds it.
    tall: usize,
    wide: usize,
}

impl Geometry {
    /// Where the patch of a pixel begins in the map with what surrounds it, and its lines: how many, of how many values, and
    /// how far apart.
    #[cfg(feature = "train")]
    pub fn patch(&self, pixel: usize) -> (usize, [usize; 3]) {
        let c = self.from.c;
        (self.offset(pixel), [self.conv.kernel, self.conv.kernel * c, self.wide * c])
    }

    fn offset(&self, pixel: usize) -> usize {
        let Geometry { from, to, conv, tall, wide } = *self;
        let (image, y, x) = (pixel / (to.h * to.w), pixel / to.w % to.h, pixel % to.w);
        ((image * tall + y * conv.stride) * wide + x * conv.stride) * from.c
    }

    /// From a map of one shape to one of another.
    pub fn new(conv: Conv, from: Shape, to: Shape) -> Geometry {
        let along = |size: usize| (size.max(1) - 1) * conv.stride + conv.kernel;
        Geometry { from, to, conv, tall: along(to.h), wide: along(to.w) }
    }

    /// Values of the map with what surrounds it.
    pub fn padded_len(&self) -> u64 {
        [self.from.n, self.tall, self.wide, self.from.c].into_iter().map(|size| size as u64).product()
    }

    /// The map, enlarged by its nearest pixels where the convolution wants that, with zeros around it, or its other end where
    /// it is padded circularly.
    pub fn surround(&self, x: &[f32], map: &mut [f32]) {
        let Geometry { from: Shape { n, h: from_h, w: from_w, c }, conv, tall, wide, .. } = *self;
        let (h, w) = conv.upsample.unwrap_or((from_h, from_w));
        let enlarged = conv.upsample.is_some();
        let (top, left) = (conv.pad_top, conv.pad_left);
        let row_of = |y: usize| match conv.circular.y {
            true => Some((y + h - top) % h),
            false => y.checked_sub(top).filter(|y| *y < h),
        };
        let (all, w) = (w, w.min(wide - left));
        let len = n * tall * wide * c;
        by_blocks(&mut map[..len], wide * c, [1, BLOCK], |first, lines| {
            for (i, map) in lines.chunks_exact_mut((wide * c).max(1)).enumerate() {
                let (image, y) = ((first + i) / tall, (first + i) % tall);
                let Some(y) = row_of(y) else {
                    map.fill(0.0);
                    continue;
                };
                let y = if enlarged { y / 2 } else { y };
                let from = &x[(image * from_h + y) * from_w * c..][..from_w * c];
                let (before, rest) = map.split_at_mut(left * c);
                let (middle, after) = rest.split_at_mut(w * c);
                before.fill(0.0);
                after.fill(0.0);
                if enlarged {
                    for (i, pixel) in middle.chunks_exact_mut(c).enumerate() {
                        pixel.copy_from_slice(&from[i / 2 * c..][..c]);
                    }
                } else {
                    middle.copy_from_slice(&from[..w * c]);
                }
                if conv.circular.x {
                    around(map, c, left..left + w, all);
                }
            }
        });
    }

    /// The product of the patches of the pixels from `first` on, as many as `out` has room for.
    pub fn multiply(
        &self,
        map: &[f32],
        first: usize,
        matrix: &Matrix,
        bias: Option<&Columns>,
        onto: Onto,
        out: &mut [f32],
    ) {
        let Geometry { from, conv, wide, .. } = *self;
        let pixels = first..first + out.len() / matrix.n.max(1);
        let offsets: Vec<usize> = pixels.map(|pixel| self.offset(pixel)).collect();
        let (run, run_stride) = (conv.kernel * from.c, wide * from.c);
        let rows = Rows { values: map, offsets: &offsets, first: 0, runs: conv.kernel, run, run_stride };
        multiply(rows, matrix, bias, &mut Out { values: out, stride: matrix.n, column: 0, onto });
    }
}

/// Fills a line of pixels of `c` channels beside those that are there with pixels of the other end of a ring of `size`.
fn around(line: &mut [f32], c: usize, there: Range<usize>, size: usize) {
    let pixels = line.len() / c.max(1);
    for x in (0..there.start).rev() {
        line.copy_within((x + size) * c..(x + size + 1) * c, x * c);
    }
    for x in there.end..pixels {
        line.copy_within((x - size) * c..(x - size + 1) * c, x * c);
    }
}

#[cfg(test)]
mod tests {
    use super::super::gemm::columns;
    use super::*;
    use crate::kernels::gemm::{Act, cpu};
    use crate::kernels::{Circular, gemm};

    /// Against the kernel's twin, whatever is around the map: same size, halved on all sides or at the end only, enlarged.
    #[test]
    fn patches_are_those_of_the_twin() {
        let kinds = [
            (Conv::same(), (5, 7)),
            (Conv::downsample(), (7, 10)),
            (Conv::downsample_asymmetric(), (8, 6)),
            (Conv::upsample(7, 6), (4, 3)),
            (Conv::same(), (1, 1)),
        ];
        for ((conv, (h, w)), circular) in
            kinds.into_iter().flat_map(|kind| Circular::ALL.map(|circular| (kind, circular)))
        {
            let conv = Conv { circular, ..conv };
            let (n, c, out_channels) = (2, 4, 5);
            let value = |i: usize| ((i * 37 + 11) % 17) as f32 - 8.0;
            let (to_h, to_w) = conv.output_size(h, w);
            let (from, to) = (Shape::image(n, h, w, c), Shape::image(n, to_h, to_w, out_channels));
            let weight = |k: usize, column: usize| value(k * 5 + column * 3);
            let matrix = Matrix::pack(9 * c, out_channels, weight);
            let x: Vec<f32> = (0..from.len() as usize).map(value).collect();
            let geometry = Geometry::new(conv, from, to);
            let mut map = vec![f32::NAN; geometry.padded_len() as usize];
            geometry.surround(&x, &mut map);
            let mut got = vec![f32::NAN; to.len() as usize];
            geometry.multiply(&map, 0, &matrix, Some(&columns(&[0.0; 5])), Onto::Nothing, &mut got);

            let weights: Vec<f32> =
                (0..out_channels).flat_map(|column| (0..9 * c).map(move |k| weight(k, column))).collect();
            let twin = gemm::cpu::Geometry {
                batch: n,
                in_h: h,
                in_w: w,
                out_h: to_h,
                out_w: to_w,
                kernel: 3,
                stride: conv.stride,
                pad_top: conv.pad_top,
                pad_left: conv.pad_left,
                upsample: conv.upsample.is_some(),
                circular,
            };
            let epilogue = cpu::Epilogue {
                bias: None,
                time: None,
                residual: None,
                act: Act::None,
                slope: None,
                act_last: false,
                geglu: false,
            };
            assert_eq!(got, cpu::gemm(&x, &weights, out_channels, c, twin, epilogue), "{conv:?}"); // whole numbers
        }
    }
}
