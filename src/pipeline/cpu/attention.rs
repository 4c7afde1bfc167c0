//! Attention over tokens `[N, T, C]`, a block of queries at a time: the scores of a whole map are never kept.

use candle_core::{Device, Result, Tensor, bail};

use super::gemm::{Matrix, Out, Rows, by_blocks, multiply};
use super::layers::Values;
use super::simd::{self, F4};

/// Columns of a tensor of tokens: one head's queries, keys or values begin in them.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub tokens: &'a Tensor,
    pub column: usize,
}

/// Where each query looked: probabilities `[N, T, keys]`, the mean over the heads.
pub type Looks = Vec<f32>;

/// `softmax(q · kᵀ / √d) · v` in `heads` heads of `channels` together, `[N, T, channels]`. With `looks`, where each query
/// looked is added there.
pub fn attention(
    [q, k, v]: [Part; 3],
    channels: usize,
    heads: usize,
    looks: Option<&mut Looks>,
) -> Result<Tensor> {
    let (batch, queries, q_width) = q.tokens.dims3()?;
    let (keys, k_width, v_width) = (k.tokens.dim(1)?, k.tokens.dim(2)?, v.tokens.dim(2)?);
    let size = channels / heads;
    let fits = |part: Part, width: usize| part.column + channels <= width;
    if !fits(q, q_width) || !fits(k, k_width) || !fits(v, v_width) || k.tokens.dim(0)? != batch {
        bail!("attention of {channels} channels over {:?} and {:?}", q.tokens.shape(), k.tokens.shape())
    }
    let borrowed = [Values::of(q.tokens)?, Values::of(k.tokens)?, Values::of(v.tokens)?];
    let [q_values, k_values, v_values] = [borrowed[0].slice()?, borrowed[1].slice()?, borrowed[2].slice()?];
    let scale = 1.0 / (size as f32).sqrt();
    let mut out = vec![0.0; batch * queries * channels];
    let mut looked = looks.map(|looks| {
        *looks = vec![0.0; batch * queries * keys];
        looks
    });
    for (image, out) in out.chunks_exact_mut((queries * channels).max(1)).enumerate() {
        let packed: Vec<[Matrix; 2]> = (0..heads)
            .map(|head| {
                let key = |row: usize, i: usize| {
                    k_values[(image * keys + i) * k_width + k.column + head * size + row] * scale
                };
                let value = |i: usize, column: usize| {
                    v_values[(image * keys + i) * v_width + v.column + head * size + column]
                };
                [Matrix::pack(size, keys, key), Matrix::pack(keys, size, value)]
            })
            .collect();
        let scores = |head: usize, first: usize, rows: usize| {
            let at = |row: usize| (image * queries + row) * q_width + q.column + head * size;
            let offsets: Vec<usize> = (first..first + rows).map(at).collect();
            let rows = Rows { values: q_values, offsets: &offsets, runs: 1, run: size, run_stride: 0 };
            let mut scores = vec![0.0; offsets.len() * keys];
            let keys_of_head = &packed[head][0];
            let mut to = Out { values: &mut scores, stride: keys, column: 0, add: None };
            multiply(rows, keys_of_head, keys_of_head.bias(), &mut to);
            scores.chunks_exact_mut(keys).for_each(softmax);
            scores
        };
        by_blocks(out, channels, |first, block| {
            let rows = block.len() / channels;
            let offsets: Vec<usize> = (0..rows).map(|row| row * keys).collect();
            for (head, [_, values]) in packed.iter().enumerate() {
                let scores = scores(head, first, rows);
                let rows = Rows { values: &scores, offsets: &offsets, runs: 1, run: keys, run_stride: 0 };
                let mut to = Out { values: block, stride: channels, column: head * size, add: None };
                multiply(rows, values, values.bias(), &mut to);
            }
        });
        // Only when asked: the probabilities once more.
        if let Some(looked) = &mut looked {
            let looked = &mut looked[image * queries * keys..][..queries * keys];
            for head in 0..heads {
                let scores = scores(head, 0, queries);
                looked.iter_mut().zip(&scores).for_each(|(sum, p)| *sum += p / heads as f32);
            }
        }
    }
    Tensor::from_vec(out, (batch, queries, channels), &Device::Cpu)
}

/// Scores to probabilities, in place.
fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = F4::splat(largest);
    simd::map(row, |x| (x - largest).exp());
    let by = 1.0 / row.iter().sum::<f32>();
    row.iter_mut().for_each(|x| *x *= by);
}
