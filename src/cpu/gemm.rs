//! Rows times matrix, the one product that everything here is made of.
//!
//! The matrix is packed once into panels of eight columns. A row is a few runs of neighbouring values: one for a linear
//! layer, one per line of the kernel for a convolution over a padded map, whose patches are never copied out.

use super::matrix::Matrix;
use super::simd::F4;
use super::threads;

/// Columns of a panel: two vectors.
pub const PANEL: usize = 8;
/// Rows of a tile: with a panel's two columns of vectors twelve sums, which stay in sixteen registers.
pub const TILE: usize = 6;
/// Rows that share a panel while it is in the nearest cache.
pub const BLOCK: usize = 16 * TILE;

/// What is added to each column, in panels.
pub type Columns = Vec<[f32; PANEL]>;

/// Values of columns in panels.
pub fn columns(values: &[f32]) -> Columns {
    let panel = |some: &[f32]| std::array::from_fn(|i| some.get(i).copied().unwrap_or(0.0));
    values.chunks(PANEL).map(panel).collect()
}

/// Rows of `runs · run` values: run r of a row begins `r · run_stride` behind the row's offset.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub offsets: &'a [usize],
    /// The row of the matrix that belongs to a row's first value.
    pub first: usize,
    pub runs: usize,
    pub run: usize,
    pub run_stride: usize,
}

/// Where the product goes: row `i` to `values[i · stride + column ..]`.
pub struct Out<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub column: usize,
    pub onto: Onto<'a>,
}

/// What the product is added to where it is stored.
#[derive(Clone, Copy)]
pub enum Onto<'a> {
    Nothing,
    /// What lies at the same place here.
    These(&'a [f32]),
    /// What is stored there already.
    Stored,
}

impl Onto<'_> {
    /// Stores the first `columns` values of a panel's row from `at` on, with what they are added to.
    #[inline(always)]
    pub fn store(self, values: [F4; 2], out: &mut [f32], at: usize, columns: usize) {
        if columns == PANEL {
            // Of a length that is known: as two vectors, not by a call that copies memory.
            let onto = match self {
                Onto::Nothing => None,
                Onto::These(these) => these[at..].first_chunk().map(F4::load8),
                Onto::Stored => out[at..].first_chunk().map(F4::load8),
            };
            let sum = onto.map_or(values, |onto| [values[0] + onto[0], values[1] + onto[1]]);
            out[at..][..PANEL].copy_from_slice(&F4::to_array8(sum));
            return;
        }
        let values = F4::to_array8(values);
        for (i, value) in values.into_iter().enumerate().take(columns) {
            out[at + i] = value
                + match self {
                    Onto::Nothing => 0.0,
                    Onto::These(these) => these[at + i],
                    Onto::Stored => out[at + i],
                };
        }
    }
}

/// `rows · matrix + bias`; at most a block of rows at once is best.
pub fn multiply(rows: Rows, matrix: &Matrix, bias: Option<&Columns>, out: &mut Out) {
    let first = out.column;
    matrix.each_panel(|p, panel| {
        let bias = bias.map_or(&[0.0; PANEL], |bias| &bias[p]);
        out.column = first + p * PANEL;
        multiply_panel(rows, panel, bias, out, PANEL.min(matrix.n - p * PANEL));
    });
}

/// `rows · panel + bias`, of a panel's first `columns` columns.
pub fn multiply_panel(
    rows: Rows,
    panel: &[[f32; PANEL]],
    bias: &[f32; PANEL],
    out: &mut Out,
    columns: usize,
) {
    let panel = &panel[rows.first..][..rows.runs * rows.run];
    let mut row = 0;
    while row < rows.offsets.len() {
        row += match rows.offsets.len() - row {
            1 => tile::<1>(rows, row, panel, bias).store(out, row, columns),
            2 => tile::<2>(rows, row, panel, bias).store(out, row, columns),
            3 => tile::<3>(rows, row, panel, bias).store(out, row, columns),
            4 => tile::<4>(rows, row, panel, bias).store(out, row, columns),
            5 => tile::<5>(rows, row, panel, bias).store(out, row, columns),
            _ => tile::<TILE>(rows, row, panel, bias).store(out, row, columns),
        };
    }
}

/// A product for each of several planes, as transformed maps have them: of `count` rows, at most `ROWS`, whose plane `t` is
/// `values[(row · planes + t) · k ..]`, by the plane's panel. Sums go to `[planes, ROWS]`.
pub fn multiply_planes<'a, const ROWS: usize>(
    (values, count, k): (&[f32], usize, usize),
    panels: impl ExactSizeIterator<Item = &'a [[f32; PANEL]]>,
    sums: &mut [f32],
) {
    let planes = panels.len();
    for ((t, panel), sums) in panels.enumerate().zip(sums.chunks_exact_mut(ROWS * PANEL)) {
        let offsets: [usize; ROWS] = std::array::from_fn(|row| (row * planes + t) * k);
        let rows = Rows { values, offsets: &offsets[..count], first: 0, runs: 1, run: k, run_stride: 0 };
        let mut out = Out { values: sums, stride: PANEL, column: 0, onto: Onto::Nothing };
        multiply_panel(rows, panel, &[0.0; PANEL], &mut out, PANEL);
    }
}

/// Rows that follow each other, as a linear layer reads them.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    pub values: &'a [f32],
    pub width: usize,
    /// The row of the matrix that belongs to a row's first value.
    pub first: usize,
}

impl Lines<'_> {
    /// The product of the rows from `row` on, as many as `out` has room for.
    pub fn multiply(self, row: usize, matrix: &Matrix, bias: Option<&Columns>, onto: Onto, out: &mut [f32]) {
        let count = out.len() / matrix.n.max(1);
        let offsets: Vec<usize> = (row..row + count).map(|row| row * self.width).collect();
        let Lines { values, width, first } = self;
        let rows = Rows { values, offsets: &offsets, first, runs: 1, run: width, run_stride: 0 };
        multiply(rows, matrix, bias, &mut Out { values: out, stride: matrix.n, column: 0, onto });
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
    fn store(self, out: &mut Out, row: usize, columns: usize) -> usize {
        for (i, sums) in self.0.into_iter().enumerate() {
            out.onto.store(sums, out.values, (row + i) * out.stride + out.column, columns);
        }
        R
    }
}

/// How rows are divided: into multiples of the first number of them, none much larger than the second.
pub type Blocks = [usize; 2];

/// Of tiles, as many as share a panel.
pub const TILES: Blocks = [TILE, BLOCK];

/// Does something with each block of rows of a matrix of `width` columns, by all threads. What a row becomes does not depend
/// on its block.
pub fn by_blocks(values: &mut [f32], width: usize, blocks: Blocks, work: impl Fn(usize, &mut [f32]) + Sync) {
    let width = width.max(1);
    let rows = block(values.len().div_ceil(width), blocks, threads::count());
    threads::by_chunks(values, rows * width, |i, block| work(i * rows, block));
}

/// Rows of a block: so few that each thread has as many as the others.
fn block(rows: usize, [whole, most]: Blocks, threads: usize) -> usize {
    let whole = whole.max(1);
    let most = (most / whole).max(1) * whole;
    let rounds = rows.div_ceil(most * threads).max(1);
    rows.div_ceil(rounds * threads).next_multiple_of(whole).clamp(whole, most)
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
            let matrix = Matrix::pack(k, n, at);
            let offsets: Vec<usize> = (0..m).map(|i| i * row_stride).collect();
            let rows = Rows { values: &left, offsets: &offsets, first: 0, runs, run, run_stride };
            let mut got = vec![0.0; m * n];
            let add = vec![1.0; m * n];
            let mut out = Out { values: &mut got, stride: n, column: 0, onto: Onto::These(&add) };
            multiply(rows, &matrix, Some(&columns(&bias)), &mut out);
            for (i, got) in got.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let product = |k: usize| left[offsets[row] + k / run * run_stride + k % run] * at(k, column);
                let expected: f32 = (0..k).map(product).sum::<f32>() + bias[column] + 1.0;
                assert_eq!(*got, expected, "{m}x{n}x{k} at {row}, {column}");
            }
        }
    }

    /// The columns of two maps side by side: the second adds to what the first stored.
    #[test]
    fn a_product_in_two_parts_is_that_of_the_whole() {
        let value = |i: usize| ((i * 37 + 11) % 17) as f32 - 8.0;
        let matrix = Matrix::pack(7, 9, |k, n| value(k * 5 + n * 3));
        let left: Vec<f32> = (0..14).map(value).collect();
        let product = |parts: &[[usize; 2]]| {
            let mut got = vec![0.0; 18];
            for (i, [first, run]) in parts.iter().copied().enumerate() {
                let offsets = [first, 7 + first];
                let rows = Rows { values: &left, offsets: &offsets, first, runs: 1, run, run_stride: 0 };
                let onto = if i == 0 { Onto::Nothing } else { Onto::Stored };
                multiply(rows, &matrix, None, &mut Out { values: &mut got, stride: 9, column: 0, onto });
            }
            got
        };
        assert_eq!(product(&[[0, 3], [3, 4]]), product(&[[0, 7]]));
    }
}
