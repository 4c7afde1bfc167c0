//! Low-rank products, forwards and back: all are products of rows with a small matrix that is packed each time, because it
//! changes with every step.

use super::super::convolution::Geometry;
use super::super::gemm::{Lines, Onto, Out, Rows, TILES, by_blocks, multiply};
use super::super::matrix::Matrix;
use crate::plan::{Conv, Shape};

/// A value as a matrix, row-major.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub values: &'a [f32],
    pub columns: usize,
}

impl Pair<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

/// A map that is read by rows: as it is, or by patches, with zeros around it.
pub struct Side<'a> {
    values: std::borrow::Cow<'a, [f32]>,
    width: usize,
    patches: Option<Geometry>,
}

impl<'a> Side<'a> {
    /// A map of one shape, of which a product makes one of another.
    pub fn new(values: &'a [f32], from: Shape, to: Shape, conv: Option<Conv>) -> Side<'a> {
        let Some(conv) = conv else { return Side { values: values.into(), width: from.c, patches: None } };
        let geometry = Geometry::new(conv, from, to);
        let mut map = vec![0.0; geometry.padded_len() as usize];
        geometry.surround(values, &mut map);
        Side { values: map.into(), width: from.c, patches: Some(geometry) }
    }

    /// Rows times a matrix.
    fn multiply(&self, matrix: &Matrix, out: &mut [f32]) {
        by_blocks(out, matrix.n, TILES, |first, block| match &self.patches {
            None => {
                let lines = Lines { values: &self.values, width: self.width, first: 0 };
                lines.multiply(first, matrix, None, Onto::Nothing, block);
            }
            Some(patches) => patches.multiply(&self.values, first, matrix, None, Onto::Nothing, block),
        });
    }

    /// The rows as a matrix of so many.
    fn matrix(&self, rows: usize, columns: usize) -> Matrix {
        Matrix::from_rows(rows, columns, |row, to| match &self.patches {
            None => to.copy_from_slice(&self.values[row * self.width..][..columns]),
            Some(patches) => {
                let (offset, [_, run, stride]) = patches.patch(row);
                for (line, to) in to.chunks_exact_mut(run.max(1)).enumerate() {
                    to.copy_from_slice(&self.values[offset + line * stride..][..run]);
                }
            }
        })
    }
}

/// `x · downᵀ`.
pub fn down(x: Side, down: Pair, out: &mut [f32]) {
    let row = |n: usize, to: &mut [f32]| to.copy_from_slice(down.row(n));
    x.multiply(&Matrix::from_columns(down.columns, down.rows(), row), out);
}

/// `grad · down`, or over patches with the kernel turned by half.
pub fn down_grad(grad: Side, down: Pair, out: &mut [f32]) {
    let rank = down.rows();
    let taps = if let Some(patches) = &grad.patches { patches.patch(0).1[0].pow(2) } else { 1 };
    let inputs = down.columns / taps;
    let row = |k: usize, to: &mut [f32]| {
        to.copy_from_slice(&down.row(k % rank)[(taps - 1 - k / rank) * inputs..][..inputs]);
    };
    grad.multiply(&Matrix::from_rows(taps * rank, inputs, row), out);
}

/// Adds `scale · x · upᵀ` to columns of rows of so many values.
pub fn up(x: &[f32], up: Pair, (width, column, scale): (usize, usize, f32), out: &mut [f32]) {
    let rank = up.columns;
    let matrix = Matrix::from_columns(rank, up.rows(), |n, to| scaled(up.row(n), scale, to));
    by_blocks(out, width, TILES, |first, block| {
        let offsets: Vec<usize> = (first..first + block.len() / width).map(|row| row * rank).collect();
        let rows = Rows { values: x, offsets: &offsets, first: 0, runs: 1, run: rank, run_stride: 0 };
        multiply(rows, &matrix, None, &mut Out { values: block, stride: width, column, onto: Onto::Stored });
    });
}

/// `scale · grad[first ..] · up`, of rows of so many values.
pub fn up_grad(grad: &[f32], up: Pair, (width, column, scale): (usize, usize, f32), out: &mut [f32]) {
    let (outputs, rank) = (up.rows(), up.columns);
    let matrix = Matrix::from_rows(outputs, rank, |k, to| scaled(up.row(k), scale, to));
    by_blocks(out, rank, TILES, |first, block| {
        let offsets: Vec<usize> =
            (first..first + block.len() / rank).map(|row| row * width + column).collect();
        let rows = Rows { values: grad, offsets: &offsets, first: 0, runs: 1, run: outputs, run_stride: 0 };
        multiply(
            rows,
            &matrix,
            None,
            &mut Out { values: block, stride: rank, column: 0, onto: Onto::Nothing },
        );
    });
}

/// Adds `scale · grad[first ..]ᵀ · x`.
pub fn up_sum((grad, (width, column, scale)): (&[f32], (usize, usize, f32)), x: Pair, out: &mut [f32]) {
    let (rows, rank) = (x.rows(), x.columns);
    let outputs = out.len() / rank;
    let mut left = turned(rows, outputs, |row| &grad[row * width + column..][..outputs]);
    left.iter_mut().for_each(|value| *value *= scale);
    add(&left, &Matrix::from_rows(rows, rank, |row, to| to.copy_from_slice(x.row(row))), out);
}

/// Adds `gradᵀ · patches(x)`.
pub fn down_sum(grad: Pair, x: Side, out: &mut [f32]) {
    let (rows, rank) = (grad.rows(), grad.columns);
    let left = turned(rows, rank, |at| grad.row(at));
    add(&left, &x.matrix(rows, out.len() / rank), out);
}

/// A multiple of values.
pub fn scaled(values: &[f32], scale: f32, to: &mut [f32]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to = value * scale);
}

/// A matrix with its rows as columns.
pub fn turned<'a>(rows: usize, columns: usize, row: impl Fn(usize) -> &'a [f32]) -> Vec<f32> {
    let mut turned = vec![0.0; rows * columns];
    for at in 0..rows {
        row(at).iter().enumerate().for_each(|(column, value)| turned[column * rows + at] = *value);
    }
    turned
}

/// Adds rows times a matrix.
pub fn add(left: &[f32], matrix: &Matrix, out: &mut [f32]) {
    let lines = Lines { values: left, width: matrix.k, first: 0 };
    by_blocks(out, matrix.n, TILES, |first, block| lines.multiply(first, matrix, None, Onto::Stored, block));
}
