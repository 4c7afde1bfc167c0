//! Convolutions of 3×3 over maps that are enlarged twice by their nearest pixels.
//!
//! Of the three pixels that a kernel's line reads, two are the same one of the map. Along a line, with a kernel (a, b, c) and
//! its sum s, the two outputs that lie over the pixel d(i) are s·d(i) - a·(d(i) - d(i-1)) and s·d(i) + c·(d(i+1) - d(i)):
//! three products for both. So it is down the columns, which makes nine products for four outputs, where the enlarged map,
//! which is never there, would want 36. The nine matrices are sums of the kernel's taps and take as much room as it does; those of
//! a packed matrix are made a panel at a time.

use super::convolution::Geometry;
use super::gemm::{Blocks, Columns, Onto, PANEL, TILE, multiply_planes};
use super::matrix::Matrix;
use super::simd::F4;
use super::threads;
use crate::plan::{Conv, Shape};

/// Products of a pixel of the map: those of its value and its differences to both neighbours, across and down.
const PRODUCTS: usize = 9;

/// Pixels of the map that are multiplied at once.
const PIXELS: usize = 11 * TILE;

/// Such a convolution at one size.
pub struct Enlarged {
    geometry: Geometry,
    from: Shape,
    /// The nine matrices one under the other, for sum, first and last along columns, then along lines, `[9 · C, N]`; none where
    /// the kernel's is packed.
    kept: Option<Matrix>,
}

impl Enlarged {
    /// None where the convolution is of another kind, or the output one short of twice the size, whose last pixels then
    /// see the border earlier.
    pub fn new(conv: Conv, from: Shape, to: Shape, matrix: &Matrix) -> Option<Enlarged> {
        let twice = Some((2 * from.h, 2 * from.w));
        let circular = conv.circular;
        let other = conv.upsample != twice || conv != Conv { circular, ..Conv::upsample(to.h, to.w) };
        if other || matrix.k != PRODUCTS * from.c || !from.c.is_multiple_of(4) {
            return None;
        }
        let same = Shape { c: to.c, ..from };
        let geometry = Geometry::new(Conv { circular, ..Conv::same() }, from, same);
        let kept = (!matrix.is_packed()).then(|| {
            let mut panels = vec![[0.0; PANEL]; matrix.n.div_ceil(PANEL) * matrix.k];
            let all = panels.chunks_exact_mut(matrix.k.max(1));
            all.enumerate().for_each(|(p, sums)| summed(matrix.panel(p, &mut []), from.c, sums));
            Matrix::of_panels(panels, matrix.k, matrix.n)
        });
        Some(Enlarged { geometry, from, kept })
    }

    /// The map with its border, which is what is read.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Pixels of the output that are computed together: two lines', and how many at most.
    pub fn block(&self) -> Blocks {
        [4 * self.from.w, 4 * PIXELS]
    }

    /// The pairs of lines of output from the pixel `first` on, as many as `out` has room for; `onto` lies as `out` does.
    pub fn multiply(
        &self,
        map: &[f32],
        matrix: &Matrix,
        first: usize,
        bias: Option<&Columns>,
        onto: Onto,
        out: &mut [f32],
    ) {
        let Shape { h, w, c, .. } = self.from;
        let n = matrix.n;
        let (map, wide) = (map.as_chunks::<4>().0, w + 2);
        let (first, count) = (first / 4, out.len() / (4 * n).max(1));
        let pixels: Vec<Pixel> = (0..count)
            .map(|i| {
                let (line, x) = ((first + i) / w, (first + i) % w);
                let input = (line / h * (h + 2) + line % h + 1) * wide + x + 1;
                Pixel { input, output: (i / w * 4 * w + 2 * x) * n }
            })
            .collect();
        threads::with_room(PRODUCTS * PIXELS * (c + PANEL) + 2 * matrix.room(), |room| {
            let (inputs, room) = room.split_at_mut(PRODUCTS * PIXELS * c);
            let (sums, room) = room.split_at_mut(PRODUCTS * PIXELS * PANEL);
            let (unpacked, made) = room.split_at_mut(matrix.room());
            for pixels in pixels.chunks(PIXELS) {
                for (pixel, inputs) in pixels.iter().zip(inputs.chunks_exact_mut(PRODUCTS * c)) {
                    let (fours, inputs) = (c / 4, inputs.as_chunks_mut::<4>().0);
                    differences(map, pixel.input * fours, [fours, wide * fours], inputs);
                }
                for p in 0..n.div_ceil(PANEL) {
                    let weights = if let Some(kept) = &self.kept {
                        kept.panel(p, &mut [])
                    } else {
                        let made = made.as_chunks_mut::<PANEL>().0;
                        summed(matrix.panel(p, unpacked), c, made);
                        made
                    };
                    multiply_planes::<PIXELS>((inputs, pixels.len(), c), weights.chunks_exact(c), sums);
                    let bias = bias.map_or(&[0.0; PANEL], |bias| &bias[p]);
                    let sums = sums.as_chunks::<PANEL>().0;
                    for (i, pixel) in pixels.iter().enumerate() {
                        let columns = PANEL.min(n - p * PANEL);
                        let outputs = outputs(sums, i, bias);
                        for (y, line) in outputs.iter().enumerate() {
                            for (x, values) in line.iter().enumerate() {
                                let at = pixel.output + (y * 2 * w + x) * n + p * PANEL;
                                onto.store(*values, out, at, columns);
                            }
                        }
                    }
                }
            }
        });
    }
}

/// Where a pixel of the map lies.
struct Pixel {
    /// Its place in the map with its border.
    input: usize,
    /// The first value of the four outputs over it in what is computed at once.
    output: usize,
}

/// A pixel's value and its differences to the neighbours before and behind it, across and down, `[3, 3, C]`; all in fours.
fn differences(map: &[[f32; 4]], at: usize, [across, down]: [usize; 2], to: &mut [[f32; 4]]) {
    let c = across;
    let corner = at - down - across;
    let taps: [[&[[f32; 4]]; 3]; 3] =
        std::array::from_fn(|y| std::array::from_fn(|x| &map[corner + y * down + x * across..][..c]));
    for four in 0..c {
        let along = |[before, here, behind]: [F4; 3]| [here, here - before, behind - here];
        let lines = taps.map(|line| along(line.map(|tap| F4::load(tap[four]))));
        for x in 0..3 {
            let column = along(std::array::from_fn(|y| lines[y][x]));
            for (y, value) in column.into_iter().enumerate() {
                to[(y * 3 + x) * c + four] = value.to_array();
            }
        }
    }
}

/// The outputs over a pixel, of its products `[9, PIXELS]`.
#[inline(always)]
fn outputs(sums: &[[f32; PANEL]], index: usize, bias: &[f32; PANEL]) -> [[[F4; 2]; 2]; 2] {
    let bias = F4::load8(bias);
    let of = |half: usize| {
        let sum = |y: usize, x: usize| F4::load8(&sums[(y * 3 + x) * PIXELS + index])[half];
        let columns: [[F4; 2]; 3] = std::array::from_fn(|x| {
            let whole = sum(0, x);
            [whole + sum(1, x), whole + sum(2, x)]
        });
        let [whole, before, behind] = columns;
        [0, 1].map(|y| {
            let whole = whole[y] + bias[half];
            [whole + before[y], whole + behind[y]]
        })
    };
    let halves = [of(0), of(1)];
    [0, 1].map(|y| [0, 1].map(|x| halves.map(|half| half[y][x])))
}

/// The kernel's taps that each product sums, and their sign.
const TAPS: [(&[usize], f32); 3] = [(&[0, 1, 2], 1.0), (&[0], -1.0), (&[2], 1.0)];

/// A panel of the matrices of the nine products, `[9 · C]`, of one of the kernel, of maps of `c` channels.
fn summed(panel: &[[f32; PANEL]], c: usize, sums: &mut [[f32; PANEL]]) {
    for (product, sums) in sums.chunks_exact_mut(c.max(1)).enumerate() {
        let ((lines, down), (columns, across)) = (TAPS[product / 3], TAPS[product % 3]);
        sums.fill([0.0; PANEL]);
        for tap in lines.iter().flat_map(|y| columns.iter().map(move |x| y * 3 + x)) {
            for (sums, weights) in sums.iter_mut().zip(&panel[tap * c..]) {
                *sums = std::array::from_fn(|i| sums[i] + down * across * weights[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gemm::by_blocks;
    use super::*;
    use crate::kernels::Circular;

    /// Two images, wider than a block, onto what is there, against the convolution that reads the enlarged map.
    #[test]
    fn the_output_is_that_of_the_enlarged_map() {
        let sizes = [(2, 3, 5, 4, 7), (1, 1, 1, 12, 8), (1, 2, PIXELS + 1, 8, 3)];
        let all = sizes.into_iter().flat_map(|size| Circular::ALL.map(|circular| (size, circular)));
        for ((n, h, w, c, out_channels), circular) in all {
            let value = |i: usize| ((i * 37 + 11) % 17) as f32 - 8.0;
            let (from, to) = (Shape::image(n, h, w, c), Shape::image(n, 2 * h, 2 * w, out_channels));
            let conv = Conv { circular, ..Conv::upsample(2 * h, 2 * w) };
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
            by_blocks(&mut got, out_channels, enlarged.block(), |first, out| {
                let onto = Onto::These(&add[first * out_channels..][..out.len()]);
                enlarged.multiply(&map, &matrix, first, Some(&bias), onto, out);
            });
            assert_eq!(got, expected, "{n}x{h}x{w}x{c} {circular:?}"); // small whole numbers: no rounding
        }
    }

    #[test]
    fn a_map_one_short_of_twice_the_size_is_of_another_kind() {
        let matrix = Matrix::pack(36, 2, |_, _| 1.0);
        let from = Shape::image(1, 2, 2, 4);
        let to = |h, w| Enlarged::new(Conv::upsample(h, w), from, Shape::image(1, h, w, 2), &matrix);
        assert!(to(4, 4).is_some());
        assert!(to(3, 4).is_none() && to(4, 3).is_none());
    }
}
