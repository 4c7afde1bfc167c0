//! Attention over tokens `[N, T, C]`, a block of queries at a time: the scores of a whole map are never kept.

use super::gemm::{Onto, Out, Rows, TILES, by_blocks, multiply};
use super::matrix::Matrix;
use super::simd::{self, F4};
use super::threads;

/// What the score of a hidden key becomes: finite, so that a row of them stays numbers.
const MASKED: f32 = -1e30;

/// Columns of a tensor of tokens: one head's queries, keys or values begin in them.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub values: &'a [f32],
    /// Channels of a token.
    pub width: usize,
    /// The first that is read.
    pub column: usize,
}

/// How many there are of everything.
#[derive(Clone, Copy)]
pub struct Counts {
    pub images: usize,
    /// Rows of keys and values: as many as images, or fewer, each of which as many neighbouring images share.
    pub shared: usize,
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    /// Channels of a head.
    pub size: usize,
    /// A query sees no keys behind its own.
    pub causal: bool,
}

impl Counts {
    /// The row of keys and values that an image reads.
    pub fn row(&self, image: usize) -> usize {
        image * self.shared / self.images.max(1)
    }
}

/// `softmax(q · kᵀ / √d) · v`, `[N, T, heads · d]`. Keys are not seen where `hidden` `[rows, keys]` is not 0; it may be empty.
pub fn attention(counts: Counts, [q, k, v]: [Part; 3], hidden: &[u32], out: &mut [f32]) {
    let Counts { queries, keys, heads, size, .. } = counts;
    let channels = heads * size;
    for (image, out) in out.chunks_exact_mut((queries * channels).max(1)).enumerate() {
        let row = counts.row(image);
        let hidden = hidden.chunks_exact(keys.max(1)).nth(row).unwrap_or(&[]);
        let heads: Vec<[Matrix; 2]> = threads::map(heads, |head| {
            let value = |i: usize, column: usize| {
                v.values[(row * keys + i) * v.width + v.column + head * size + column]
            };
            [keys_of(counts, k, row, head), Matrix::pack(keys, size, value)]
        });
        by_blocks(out, channels, TILES, |first, block| {
            let rows = block.len() / channels;
            let offsets: Vec<usize> = (0..rows).map(|row| row * keys).collect();
            let mut scores = vec![0.0; rows * keys];
            for (head, [keys_of_head, values]) in heads.iter().enumerate() {
                probabilities(counts, q, [image, head, first], (keys_of_head, hidden), &mut scores);
                let (first, runs) = (0, 1);
                let rows = Rows { values: &scores, offsets: &offsets, first, runs, run: keys, run_stride: 0 };
                let onto = Onto::Nothing;
                let mut to = Out { values: block, stride: channels, column: head * size, onto };
                multiply(rows, values, None, &mut to);
            }
        });
    }
}

/// Where each query looks: its probabilities `[N, T, keys]`, the mean over the heads.
pub fn attention_map(counts: Counts, [q, k]: [Part; 2], out: &mut [f32]) {
    let Counts { queries, keys, heads, .. } = counts;
    for (image, out) in out.chunks_exact_mut((queries * keys).max(1)).enumerate() {
        out.fill(0.0);
        for head in 0..heads {
            let keys_of_head = keys_of(counts, k, counts.row(image), head);
            by_blocks(out, keys, TILES, |first, block| {
                let mut scores = vec![0.0; block.len()];
                probabilities(counts, q, [image, head, first], (&keys_of_head, &[]), &mut scores);
                block.iter_mut().zip(&scores).for_each(|(sum, p)| *sum += p / heads as f32);
            });
        }
    }
}

/// A head's keys as columns, scaled.
pub fn keys_of(Counts { keys, size, .. }: Counts, k: Part, row: usize, head: usize) -> Matrix {
    let scale = 1.0 / (size as f32).sqrt();
    let at = |c: usize, i: usize| k.values[(row * keys + i) * k.width + k.column + head * size + c] * scale;
    Matrix::pack(size, keys, at)
}

/// The probabilities of some queries of a head, from the `first` on: as many as there is room for. `hidden` is of each key, or empty.
pub fn probabilities(
    counts: Counts,
    q: Part,
    [image, head, first]: [usize; 3],
    (keys_of_head, hidden): (&Matrix, &[u32]),
    scores: &mut [f32],
) {
    let Counts { queries, keys, size, causal, .. } = counts;
    let at = |row: usize| (image * queries + row) * q.width + q.column + head * size;
    let offsets: Vec<usize> = (first..first + scores.len() / keys.max(1)).map(at).collect();
    let rows = Rows { values: q.values, offsets: &offsets, first: 0, runs: 1, run: size, run_stride: 0 };
    multiply(
        rows,
        keys_of_head,
        None,
        &mut Out { values: scores, stride: keys, column: 0, onto: Onto::Nothing },
    );
    for (i, row) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
        let seen = if causal { keys.min(first + i + 1) } else { keys };
        row.iter_mut().zip(hidden).filter(|(_, hidden)| **hidden != 0).for_each(|(score, _)| *score = MASKED);
        softmax(&mut row[..seen]);
        row[seen..].fill(0.0);
    }
}

/// Scores to probabilities, in place.
fn softmax(row: &mut [f32]) {
    let largest = F4::splat(simd::largest(row));
    simd::map(row, |x| (x - largest).exp());
    let by = F4::splat(1.0 / simd::sum(row));
    simd::map(row, |x| x * by);
}
