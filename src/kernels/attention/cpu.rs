//! The twin of the attention kernel.

use super::{Params, Spec};

/// `[N, Tq, heads · D]` from the tensor that holds the queries and the one that holds keys and values; `hidden` is read where the
/// spec says so.
pub fn attention(spec: &Spec, params: &Params, [q, kv]: [&[f32]; 2], hidden: &[u32]) -> Vec<f32> {
    let dim = spec.head_dim as usize;
    let [batch, heads, queries, keys] =
        [params.batch, params.heads, params.queries, params.keys].map(|n| n as usize);
    let [k_offset, v_offset] = [params.k_offset, params.v_offset].map(|n| n as usize);
    let mut output = vec![0.0; batch * queries * heads * dim];
    for image in 0..batch {
        for query in 0..queries {
            for head in 0..heads {
                let start = (image * queries + query) * params.q_stride as usize + params.q_offset as usize;
                let q = &q[start + head * dim..][..dim];
                let at = |key: usize, offset: usize| {
                    let row = image / params.kv_images as usize * params.kv_batch_stride as usize
                        + key * params.kv_stride as usize;
                    &kv[row + offset + head * dim..][..dim]
                };
                let visible = if spec.causal { keys.min(query + 1) } else { keys };
                let score = |key| {
                    let unseen = spec.hides && hidden[image / params.kv_images as usize * keys + key] != 0;
                    if unseen { f32::NEG_INFINITY } else { dot(q, at(key, k_offset)) * params.scale }
                };
                let weights = softmax((0..visible).map(score).collect());
                let out = &mut output[((image * queries + query) * heads + head) * dim..][..dim];
                for (key, weight) in weights.into_iter().enumerate() {
                    for (out, v) in out.iter_mut().zip(at(key, v_offset)) {
                        *out += weight * v;
                    }
                }
            }
        }
    }
    output
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn softmax(scores: Vec<f32>) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let numerators: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
    let total: f32 = numerators.iter().sum();
    numerators.into_iter().map(|numerator| numerator / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Elem;
    use crate::kernels::attention::Variant;

    fn spec(causal: bool) -> Spec {
        Spec { elem: Elem::F32, variant: Variant::Rows, head_dim: 4, causal, shared_qkv: false, hides: false }
    }

    #[test]
    fn equal_scores_average_the_values() {
        let params = Params::cross(1, 1, 2, 1, 4);
        let kv = [1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 6.0, 8.0, 1.0, 1.0, 1.0, 1.0, 4.0, 8.0, 2.0, 0.0];
        assert_eq!(attention(&spec(false), &params, [&[1.0; 4], &kv], &[]), [3.0, 6.0, 4.0, 4.0]);
    }

    #[test]
    fn a_query_that_matches_one_key_takes_its_value() {
        let params = Params { scale: 1.0, ..Params::cross(1, 1, 2, 1, 4) };
        let kv = [90.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 90.0, 0.0, 0.0, 5.0, 6.0, 7.0, 8.0];
        assert_eq!(attention(&spec(false), &params, [&[0.0, 1.0, 0.0, 0.0], &kv], &[]), [5.0, 6.0, 7.0, 8.0]);
    }

    #[test]
    fn a_hidden_key_is_not_seen() {
        let params = Params::cross(1, 1, 2, 1, 4);
        let kv = [90.0, 1.0, 1.0, 1.0, 2.0, 4.0, 6.0, 8.0, 1.0, 1.0, 1.0, 1.0, 4.0, 8.0, 2.0, 0.0];
        let hides = Spec { hides: true, ..spec(false) };
        assert_eq!(attention(&hides, &params, [&[1.0; 4], &kv], &[1, 0]), [4.0, 8.0, 2.0, 0.0]);
    }

    #[test]
    fn a_causal_first_query_sees_the_first_key_alone() {
        let params = Params::merged(1, 2, 1, 4);
        let qkv: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let y = attention(&spec(true), &params, [&qkv, &qkv], &[]);
        assert_eq!(y[..4], qkv[8..12]);
    }
}
