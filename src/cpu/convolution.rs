//! Convolutions over maps with zeros around them, whose patches are read in place.

use super::gemm::{BLOCK, Columns, Matrix, Onto, Out, Rows, by_blocks, multiply};
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
    /// From a map of one shape to one of another.
    pub fn new(conv: Conv, from: Shape, to: Shape) -> Geometry {
        let along = |size: usize| (size.max(1) - 1) * conv.stride + conv.kernel;
        Geometry { from, to, conv, tall: along(to.h), wide: along(to.w) }
    }

    /// Values of the map with what surrounds it.
    pub fn padded_len(&self) -> u64 {
        [self.from.n, self.tall, self.wide, self.from.c].into_iter().map(|size| size as u64).product()
    }

    /// The map, enlarged by its nearest pixels where the convolution wants that, with zeros around it.
    pub fn surround(&self, x: &[f32], map: &mut [f32]) {
        let Geometry { from: Shape { n, h: from_h, w: from_w, c }, conv, tall, wide, .. } = *self;
        let (h, w) = conv.upsample.unwrap_or((from_h, from_w));
        let enlarged = conv.upsample.is_some();
        let (top, left) = (conv.pad_top, conv.pad_left);
        let (h, w) = (h.min(tall - top), w.min(wide - left));
        let len = n * tall * wide * c;
        by_blocks(&mut map[..len], wide * c, [1, BLOCK], |first, lines| {
            for (i, map) in lines.chunks_exact_mut((wide * c).max(1)).enumerate() {
                let (image, y) = ((first + i) / tall, (first + i) % tall);
                let Some(y) = y.checked_sub(top).filter(|y| *y < h) else {
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
        let Geometry { from, to, conv, tall, wide } = *self;
        let offset = |pixel: usize| {
            let (image, y, x) = (pixel / (to.h * to.w), pixel / to.w % to.h, pixel % to.w);
            ((image * tall + y * conv.stride) * wide + x * conv.stride) * from.c
        };
        let offsets: Vec<usize> = (first..first + out.len() / matrix.n.max(1)).map(offset).collect();
        let (run, run_stride) = (conv.kernel * from.c, wide * from.c);
        let rows = Rows { values: map, offsets: &offsets, first: 0, runs: conv.kernel, run, run_stride };
        multiply(rows, matrix, bias, &mut Out { values: out, stride: matrix.n, column: 0, onto });
    }
}
