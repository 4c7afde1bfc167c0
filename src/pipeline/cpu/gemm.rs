//! Rows times matrix, the one product that everything here is made of.
//!
//! The matrix is packed once into panels of eight columns. A row is a few runs of neighbouring values: one for a linear
//! layer, one per line of the kernel for a convolution over a padded map, whose patches are never copied out.

use super::simd::F4;

/// Columns of a panel: two vectors.
const PANEL: usize = 8;
/// Rows of a tile: with a panel's two columns of vectors twelve sums, which stay in sixteen registers.
const TILE: usize = 6;
/// Rows that share a panel while it is in the nearest cache.
pub const BLOCK: usize = 16 * TILE;

/// A matrix `[k, n]` in panels of eight columns, `[n/8][k][8]`, and what is added to each column.
pub struct Matrix {
    panels: Vec<[f32; PANEL]>,
    bias: Vec<[f32; PANEL]>,
    pub k: usize,
    pub n: usize,
}

impl Matrix {
    /// Packs the matrix of which `at(k, n)` is an element.
    pub fn pack(k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Matrix {
        let mut panels = Vec::with_capacity(n.div_ceil(PANEL) * k);
        for first in (0..n).step_by(PANEL) {
            let element = |row, i| if first + i < n { at(row, first + i) } else { 0.0 };
            panels.extend((0..k).map(|row| std::array::from_fn(|i| element(row, i))));
        }
        Matrix { panels, bias: vec![[0.0; PANEL]; n.div_ceil(PANEL)], k, n }
    }

    /// The same with a bias.
    pub fn with_bias(self, bias: &[f32]) -> Matrix {
        let column = |i: usize| bias.get(i).copied().unwrap_or(0.0);
        let bias = (0..self.n.div_ceil(PANEL)).map(|p| std::array::from_fn(|i| column(p * PANEL + i)));
        Matrix { bias: bias.collect(), ..self }
    }

    /// The bias with something added.
    pub fn bias_plus(&self, more: &[f32]) -> Vec<[f32; PANEL]> {
        let mut sum = self.bias.clone();
        for (b, x) in sum.as_flattened_mut().iter_mut().zip(more) {
            *b += x;
        }
        sum
    }

    /// The bias as it is.
    pub fn bias(&self) -> &[[f32; PANEL]] {
        &self.bias
    }
}

/// Rows of `runs · run` values: run r of a row begins `r · run_stride` behind the row's offset.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub offsets: &'a [usize],
    pub runs: usize,
    pub run: usize,
    pub run_stride: usize,
}

/// Where the product goes: row `i` to `values[i · stride + column ..]`, onto what `add` holds at the same place.
pub struct Out<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub column: usize,
    pub add: Option<&'a [f32]>,
}

/// `rows · matrix + bias`; at most a block of rows at once is best.
pub fn multiply(rows: Rows, matrix: &Matrix, bias: &[[f32; PANEL]], out: &mut Out) {
    let k = rows.runs * rows.run;
    for (p, (panel, bias)) in matrix.panels.chunks_exact(k.max(1)).zip(bias).enumerate() {
        let mut row = 0;
        while row < rows.offsets.len() {
            row += match rows.offsets.len() - row {
                1 => tile::<1>(rows, row, panel, bias).store(out, row, p, matrix.n),
                2 => tile::<2>(rows, row, panel, bias).store(out, row, p, matrix.n),
                3 => tile::<3>(rows, row, panel, bias).store(out, row, p, matrix.n),
                4 => tile::<4>(rows, row, panel, bias).store(out, row, p, matrix.n),
                5 => tile::<5>(rows, row, panel, bias).store(out, row, p, matrix.n),
                _ => tile::<TILE>(rows, row, panel, bias).store(out, row, p, matrix.n),
            };
        }
    }
}

/// `R` rows of a panel's columns.
struct Tile<const R: usize>([[F4; 2]; R]);

/// The innermost loops: per value of `k` one panel row is loaded, and one value of each row.
#[inline(always)]
fn tile<const R: usize>(rows: Rows, row: usize, panel: &[[f32; PANEL]], bias: &[f32; PANEL]) -> Tile<R> {
    let mut sums = [F4::load8(bias); R];
    for r in 0..rows.runs {
        let weights = &panel[r * rows.run..][..rows.run];
        let lines: [&[f32]; R] =
            std::array::from_fn(|i| &rows.values[rows.offsets[row + i] + r * rows.run_stride..][..rows.run]);
        for k in 0..rows.run {
            let [w0, w1] = F4::load8(&weights[k]);
            for i in 0..R {
                let a = F4::splat(lines[i][k]);
                sums[i][0] = sums[i][0] + a * w0;
                sums[i][1] = sums[i][1] + a * w1;
            }
        }
    }
    Tile(sums)
}

impl<const R: usize> Tile<R> {
    /// Writes the columns that there are; gives how many rows that were.
    #[inline(always)]
    fn store(self, out: &mut Out, row: usize, p: usize, n: usize) -> usize {
        let columns = PANEL.min(n - p * PANEL);
        for (i, sums) in self.0.iter().enumerate() {
            let mut values: [f32; PANEL] = bytemuck::cast(sums.map(F4::to_array));
            let at = (row + i) * out.stride + out.column + p * PANEL;
            if let Some(add) = out.add {
                for (value, x) in values.iter_mut().zip(&add[at..][..columns]) {
                    *value += x;
                }
            }
            out.values[at..][..columns].copy_from_slice(&values[..columns]);
        }
        R
    }
}

/// Does something with each block of rows of a matrix of `width` columns: natively by all cores.
pub fn by_blocks(values: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let block = BLOCK * width.max(1);
    #[cfg(target_arch = "wasm32")]
    values.chunks_mut(block).enumerate().for_each(|(i, rows)| work(i * BLOCK, rows));
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        values.par_chunks_mut(block).enumerate().for_each(|(i, rows)| work(i * BLOCK, rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every remainder of rows and columns, against the plainest code.
    #[test]
    fn tiles_of_every_size_agree_with_the_plain_product() {
        for (m, n, runs, run) in [(1, 1, 1, 1), (5, 7, 1, 12), (6, 8, 3, 5), (13, 20, 2, 9), (19, 3, 3, 4)] {
            let k = runs * run;
            let (run_stride, row_stride) = (run + 3, 2);
            let value = |i: usize| ((i * 37 + 11) % 17) as f32 - 8.0;
            let left: Vec<f32> = (0..m * row_stride + runs * run_stride).map(value).collect();
            let at = |k: usize, n: usize| value(k * 5 + n * 3);
            let bias: Vec<f32> = (0..n).map(value).collect();
            let matrix = Matrix::pack(k, n, at).with_bias(&bias);
            let offsets: Vec<usize> = (0..m).map(|i| i * row_stride).collect();
            let rows = Rows { values: &left, offsets: &offsets, runs, run, run_stride };
            let mut got = vec![0.0; m * n];
            let add = vec![1.0; m * n];
            let mut out = Out { values: &mut got, stride: n, column: 0, add: Some(&add) };
            multiply(rows, &matrix, matrix.bias(), &mut out);
            for (i, got) in got.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let product = |k: usize| left[offsets[row] + k / run * run_stride + k % run] * at(k, column);
                let expected: f32 = (0..k).map(product).sum::<f32>() + bias[column] + 1.0;
                assert_eq!(*got, expected, "{m}x{n}x{k} at {row}, {column}");
            }
        }
    }
}
