//! The twin of the attention map kernel.

use super::Params;

/// `[N, Tq, Tk]` from the tensor that holds the queries and the one that holds the keys.
pub fn attention_map(params: &Params, q: &[f32], kv: &[f32]) -> Vec<f32> {
    let [batch, heads, dim, queries, keys] =
        [params.batch, params.heads, params.head_dim, params.queries, params.keys].map(|n| n as usize);
    let mut output = vec![0.0; batch * queries * keys];
    for image in 0..batch {
        for query in 0..queries {
            let row = image * queries + query;
            for head in 0..heads {
                let start = row * params.q_stride as usize + params.q_offset as usize + head * dim;
                let q = &q[start..][..dim];
                let scores: Vec<f32> = (0..keys)
                    .map(|key| {
                        let at = image / params.kv_images as usize * params.kv_batch_stride as usize
                            + key * params.kv_stride as usize;
                        let k = &kv[at + params.k_offset as usize + head * dim..][..dim];
                        q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() * params.scale
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let total: f32 = scores.iter().map(|score| (score - largest).exp()).sum();
                for (out, score) in output[row * keys..][..keys].iter_mut().zip(scores) {
                    *out += (score - largest).exp() / total / heads as f32;
                }
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::attention;

    #[test]
    fn heads_are_averaged_and_a_row_sums_to_one() {
        let params = Params { scale: 1.0, ..Params::of(&attention::Params::cross(1, 1, 2, 2, 4), 4) };
        // The first head matches the second key, the second head neither.
        let q = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let mut kv = [0.0; 32];
        kv[16 + 1] = 90.0;
        assert_eq!(attention_map(&params, &q, &kv), [0.25, 0.75]);
    }
}
