//! Convolutions of 3×3 over maps that are enlarged twice by their nearest pixels.
//!
//! Of the three pixels that a kernel's line reads, two are the same one of the map. So an output pixel is a convolution of
//! 2×2 over the map itself, whose weights are sums of the kernel's: one matrix for each parity of its row and column. That
//! is four ninths of the products, and the enlarged map is never there (Aitken et al. 2017, <https://arxiv.org/abs/1707.02937>,
//! on resize convolution as sub-pixel convolution).

use super::convolution::Geometry;
use super::gemm::{BLOCK, Blocks, Columns, Matrix, Onto, Out, Rows, multiply};
use crate::plan::{Conv, Shape};

/// Such a convolution at one size.
pub struct Enlarged {
    geometry: Geometry,
    from: Shape,
    /// By the parity of the output's row, then of its column.
    matrices: [[Matrix; 2]; 2],
}

impl Enlarged {
    /// None where the convolution is of another kind, or the output one short of twice the size, whose last pixels then
    /// see the border earlier.
    pub fn new(conv: Conv, from: Shape, to: Shape, matrix: &Matrix) -> Option<Enlarged> {
        let twice = Some((2 * from.h, 2 * from.w));
        if conv.upsample != twice || conv != Conv::upsample(to.h, to.w) || matrix.k != 9 * from.c {
            return None;
        }
        let matrices = [0, 1].map(|row| [0, 1].map(|column| summed(matrix, from.c, row, column)));
        let same = Shape { c: to.c, ..from };
        Some(Enlarged { geometry: Geometry::new(Conv::same(), from, same), from, matrices })
    }

    /// The map with its border, which is what is read.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Pixels of the output that are computed together: a line's, and how many at most.
    pub fn block(&self) -> Blocks {
        [self.line(), BLOCK]
    }

    fn line(&self) -> usize {
        2 * self.from.w
    }

    /// The lines of output from the pixel `first` on, as many as `out` has room for; `onto` lies as `out` does.
    pub fn multiply(&self, map: &[f32], first: usize, bias: Option<&Columns>, onto: Onto, out: &mut [f32]) {
        let Shape { h, w, c, .. } = self.from;
        let n = self.matrices[0][0].n;
        let wide = w + 2;
        let lines = out.len() / (self.line() * n).max(1);
        for line in 0..lines {
            let (image, y) = ((first / self.line() + line) / (2 * h), (first / self.line() + line) % (2 * h));
            let top = image * (h + 2) + y / 2 + y % 2;
            for (column, matrix) in self.matrices[y % 2].iter().enumerate() {
                for left in (0..w).step_by(BLOCK) {
                    let pixels = left..w.min(left + BLOCK);
                    let offsets: Vec<usize> = pixels.map(|x| (top * wide + x + column) * c).collect();
                    let (run, run_stride) = (2 * c, wide * c);
                    let rows = Rows { values: map, offsets: &offsets, first: 0, runs: 2, run, run_stride };
                    let begin = (line * self.line() + 2 * left + column) * n;
                    let out = &mut Out { values: &mut *out, stride: 2 * n, column: begin, onto };
                    multiply(rows, matrix, bias, out);
                }
            }
        }
    }
}

/// The kernel's lines (or columns) that read the first and the second of two neighbouring pixels, by the parity of where
/// the output lies.
const TAPS: [[&[usize]; 2]; 2] = [[&[0], &[1, 2]], [&[0, 1], &[2]]];

/// The matrix of output pixels in rows and columns of this parity, for maps of `c` channels.
fn summed(matrix: &Matrix, c: usize, row: usize, column: usize) -> Matrix {
    Matrix::pack(4 * c, matrix.n, |k, n| {
        let (tap, channel) = (k / c, k % c);
        let pairs =
            TAPS[row][tap / 2].iter().flat_map(|y| TAPS[column][tap % 2].iter().map(move |x| y * 3 + x));
        pairs.map(|tap| matrix.at(tap * c + channel, n)).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images, wider than a block, onto what is there, against the convolution that reads the enlarged map.
    #[test]
    fn the_output_is_that_of_the_enlarged_map() {
        for (n, h, w, c, out_channels) in [(2, 3, 5, 4, 7), (1, 1, 1, 3, 8), (1, 2, BLOCK + 1, 2, 3)] {
            let value = |i: usize| ((i * 37 + 11) % 17) as f32 - 8.0;
            let (from, to) = (Shape::image(n, h, w, c), Shape::image(n, 2 * h, 2 * w, out_channels));
            let conv = Conv::upsample(2 * h, 2 * w);
            let matrix = Matrix::pack(9 * c, out_channels, |k, n| value(k * 5 + n * 3));
            let x: Vec<f32> = (0..from.len() as usize).map(value).collect();
            let bias = super::super::gemm::columns(&(0..out_channels).map(value).collect::<Vec<_>>());
            let add: Vec<f32> = (0..to.len() as usize).map(|i| value(i * 7)).collect();

            let plain = Geometry::new(conv, from, to);
            let mut map = vec![f32::NAN; plain.padded_len() as usize];
            plain.surround(&x, &mut map);
            let mut expected = vec![f32::NAN; add.len()];
            plain.multiply(&map, 0, &matrix, Some(&bias), Onto::These(&add), &mut expected);

            let enlarged = Enlarged::new(conv, from, to, &matrix).expect("this kind");
            let mut map = vec![f32::NAN; enlarged.geometry().padded_len() as usize];
            enlarged.geometry().surround(&x, &mut map);
            let mut got = vec![f32::NAN; add.len()];
            let line = enlarged.line() * out_channels;
            for (i, out) in got.chunks_mut(line).enumerate() {
                let onto = Onto::These(&add[i * line..][..line]);
                enlarged.multiply(&map, i * enlarged.line(), Some(&bias), onto, out);
            }
            assert_eq!(got, expected, "{n}x{h}x{w}x{c}"); // small whole numbers: no rounding
        }
    }

    #[test]
    fn a_map_one_short_of_twice_the_size_is_of_another_kind() {
        let matrix = Matrix::pack(18, 2, |_, _| 1.0);
        let from = Shape::image(1, 2, 2, 2);
        let to = |h, w| Enlarged::new(Conv::upsample(h, w), from, Shape::image(1, h, w, 2), &matrix);
        assert!(to(4, 4).is_some());
        assert!(to(3, 4).is_none() && to(4, 3).is_none());
    }
}
