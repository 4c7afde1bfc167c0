//! The twin of the kernel of attentions' gradients.

use super::Params;

/// The gradients of the tensor that holds the queries and of the one that holds keys and values, each with zeros where it holds
/// something else; `grad` is `[N, Tq, heads · D]`.
pub fn attention_grad(
    params: &Params,
    (head_dim, causal): (u32, bool),
    [q, kv]: [&[f32]; 2],
    grad: &[f32],
) -> [Vec<f32>; 2] {
    let [batch, heads, queries, keys, dim] =
        [params.batch, params.heads, params.queries, params.keys, head_dim].map(|n| n as usize);
    let (mut to_q, mut to_kv) = (vec![0.0; q.len()], vec![0.0; kv.len()]);
    for (image, head) in (0..batch).flat_map(|image| (0..heads).map(move |head| (image, head))) {
        let q_at = |query: usize| {
            (image * queries + query) * params.q_stride as usize + params.q_offset as usize + head * dim
        };
        let kv_at = |key: usize, offset: u32| {
            let row = image / params.kv_images as usize * params.kv_batch_stride as usize;
            row + key * params.kv_stride as usize + offset as usize + head * dim
        };
        for query in 0..queries {
            let seen = if causal { keys.min(query + 1) } else { keys };
            let from = &q[q_at(query)..][..dim];
            let way = &grad[((image * queries + query) * heads + head) * dim..][..dim];
            let dot =
                |a: &[f32], at: usize| a.iter().zip(&kv[at..]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let scores: Vec<f64> = (0..seen)
                .map(|key| dot(from, kv_at(key, params.k_offset)) * f64::from(params.scale))
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
            let shares: Vec<f64> = scores.iter().map(|score| (score - largest).exp() / total).collect();
            let ways: Vec<f64> = (0..seen).map(|key| dot(way, kv_at(key, params.v_offset))).collect();
            let mean: f64 = shares.iter().zip(&ways).map(|(p, way)| p * way).sum();
            for key in 0..seen {
                let of_score = (shares[key] * (ways[key] - mean)) as f32 * params.scale;
                for c in 0..dim {
                    to_q[q_at(query) + c] += of_score * kv[kv_at(key, params.k_offset) + c];
                    to_kv[kv_at(key, params.k_offset) + c] += of_score * from[c];
                    to_kv[kv_at(key, params.v_offset) + c] += shares[key] as f32 * way[c];
                }
            }
        }
    }
    [to_q, to_kv]
}
