//! The way back through attention, a block of queries at a time: with P the probabilities and G the gradient of what is put out,
//! dV = Pᵀ·G, dS = P ∘ (G·Vᵀ − rows' sums of (G·Vᵀ ∘ P)), dQ = dS·K and dK = dSᵀ·Q, both scaled (Dao et al. 2022,
//! <https://arxiv.org/abs/2205.14135>, appendix B).

use super::super::attention::{Counts, Part, keys_of, probabilities};
use super::super::gemm::{Lines, Onto, Out, Rows, multiply};
use super::super::matrix::Matrix;
use super::super::threads;
use super::products::{add, scaled, turned};

/// Queries whose scores are held at once.
const QUERIES: usize = 128;

/// What one head gets: of queries, keys and values `[tokens, size]`.
struct Head {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

/// The gradient of a map of `width` channels in which queries, keys or values begin at `wanted`; `grad` is that of the output,
/// `[N, T, heads · size]`.
pub fn attention_grad(
    counts: Counts,
    parts: [Part; 3],
    grad: &[f32],
    wanted: [Option<usize>; 3],
    width: usize,
    out: &mut [f32],
) {
    let Counts { images, queries, keys, heads, size, .. } = counts;
    out.fill(0.0);
    let found = threads::map(images * heads, |at| head(counts, parts, grad, [at / heads, at % heads]));
    for (at, head) in found.iter().enumerate() {
        let (image, index) = (at / heads, at % heads);
        let kinds = [
            (&head.q, queries, image),
            (&head.k, keys, counts.row(image)),
            (&head.v, keys, counts.row(image)),
        ];
        for ((values, tokens, row), offset) in kinds.into_iter().zip(wanted) {
            let Some(offset) = offset else { continue };
            for (token, values) in values.chunks_exact(size).enumerate() {
                let to = (row * tokens + token) * width + offset + index * size;
                // Several images may share a row of keys and values.
                out[to..to + size].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}

fn head(counts: Counts, [q, k, v]: [Part; 3], grad: &[f32], [image, head]: [usize; 2]) -> Head {
    let Counts { queries, keys, heads, size, .. } = counts;
    let row = counts.row(image);
    let scale = 1.0 / (size as f32).sqrt();
    let channels = heads * size;
    let token = |part: Part, at: usize| at * part.width + part.column + head * size;
    let keys_of_head = keys_of(counts, k, row, head);
    // Columns: values of a key; rows: channels.
    let value = |i: usize, to: &mut [f32]| to.copy_from_slice(&v.values[token(v, row * keys + i)..][..size]);
    let values = Matrix::from_columns(size, keys, value);
    let key = |i: usize, to: &mut [f32]| scaled(&k.values[token(k, row * keys + i)..][..size], scale, to);
    let keys_back = Matrix::from_rows(keys, size, key);
    let mut found =
        Head { q: vec![0.0; queries * size], k: vec![0.0; keys * size], v: vec![0.0; keys * size] };
    for first in (0..queries).step_by(QUERIES) {
        let count = QUERIES.min(queries - first);
        let mut scores = vec![0.0; count * keys];
        probabilities(counts, q, [image, head, first], (&keys_of_head, &[]), &mut scores);
        let grads: Vec<usize> =
            (first..first + count).map(|row| (image * queries + row) * channels + head * size).collect();
        let rows = Rows { values: grad, offsets: &grads, first: 0, runs: 1, run: size, run_stride: 0 };
        let mut ways = vec![0.0; count * keys];
        multiply(
            rows,
            &values,
            None,
            &mut Out { values: &mut ways, stride: keys, column: 0, onto: Onto::Nothing },
        );
        let way = |i: usize, to: &mut [f32]| to.copy_from_slice(&grad[grads[i]..][..size]);
        sums(&scores, keys, &Matrix::from_rows(count, size, way), &mut found.v);
        for (ways, scores) in ways.chunks_exact_mut(keys.max(1)).zip(scores.chunks_exact(keys.max(1))) {
            let mean: f32 = ways.iter().zip(scores).map(|(way, p)| way * p).sum();
            ways.iter_mut().zip(scores).for_each(|(way, p)| *way = p * (*way - mean));
        }
        let lines = Lines { values: &ways, width: keys, first: 0 };
        lines.multiply(0, &keys_back, None, Onto::Nothing, &mut found.q[first * size..][..count * size]);
        let query = |i: usize, to: &mut [f32]| {
            scaled(&q.values[token(q, image * queries + first + i)..][..size], scale, to);
        };
        sums(&ways, keys, &Matrix::from_rows(count, size, query), &mut found.k);
    }
    found
}

/// Adds `leftᵀ · matrix`, where `left` has `columns` columns.
fn sums(left: &[f32], columns: usize, matrix: &Matrix, out: &mut [f32]) {
    add(&turned(matrix.k, columns, |row| &left[row * columns..][..columns]), matrix, out);
}
