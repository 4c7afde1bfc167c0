// Attention probabilities, the mean over the heads: one invocation per (image, query), which goes over the keys twice
// per head, first for the softmax's denominator, then for the probabilities.
{% include "common/elem.wgsl" %}

// strides and offsets in elements, all multiples of 4
struct Params {
    batch: u32,
    heads: u32,
    head_dim: u32,
    queries: u32,
    keys: u32,
    q_stride: u32,
    q_offset: u32,
    kv_stride: u32,
    kv_batch_stride: u32,
    kv_images: u32,
    k_offset: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<elem>>; // [N, Tq, q_stride]
@group(0) @binding(2) var<storage, read> kv: array<vec4<elem>>; // [N, Tk, kv_stride]
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // [N, Tq, Tk]

{% include "common/linear.wgsl" %}

// The scaled product of a query's and a key's head, by where their first four values lie.
fn score(q_at: u32, k_at: u32) -> f32 {
    var sum = 0.0;
    for (var lane = 0u; lane < params.head_dim / 4u; lane += 1u) {
        sum += dot(vec4<f32>(q[q_at + lane]), vec4<f32>(kv[k_at + lane]));
    }
    return sum * params.scale;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local; // image · Tq + query
    if (index >= params.batch * params.queries) {
        return;
    }
    let image = index / params.queries;
    let lanes = params.head_dim / 4u;
    let share = 1.0 / f32(params.heads);
    for (var head = 0u; head < params.heads; head += 1u) {
        let q_at = (index * params.q_stride + params.q_offset) / 4u + head * lanes;
        let k_at = (image / params.kv_images * params.kv_batch_stride + params.k_offset) / 4u + head * lanes;
        var largest = score(q_at, k_at);
        var total = 1.0;
        for (var key = 1u; key < params.keys; key += 1u) {
            let found = score(q_at, k_at + key * params.kv_stride / 4u);
            let before = largest;
            largest = max(largest, found);
            total = total * exp(before - largest) + exp(found - largest);
        }
        for (var key = 0u; key < params.keys; key += 1u) {
            let p = exp(score(q_at, k_at + key * params.kv_stride / 4u) - largest) / total * share;
            let at = index * params.keys + key;
            if (head == 0u) {
                output[at] = p;
            } else {
                output[at] += p;
            }
        }
    }
}
