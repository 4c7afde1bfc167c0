// C[m, n] = epilogue(sum over the cuts of K): a thread adds the sums of four neighbouring columns, always in the same
// order, so that a product is the same in every run.
{% include "common/elem.wgsl" %}

struct Params {
    m: u32,
    n: u32,            // columns of the sums
    cuts: u32,
    time_offset: u32,  // first column of this layer in the merged time projection
    first_column: u32, // which of the layer's columns is column 0 here
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>; // [cuts, M, N / 4]
{% set b = namespace(i=2) %}
{% set window = false %}
{% include "gemm/epilogue.wgsl" %}
{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let n4 = params.n / 4u;
    let count = params.m * n4;
    let at = linear_workgroup(group, groups) * 64u + thread;
    if (at >= count) { return; }
    var sum = sums[at];
    for (var cut = 1u; cut < params.cuts; cut++) { sum += sums[cut * count + at]; }
    store(at / n4, at % n4 * 4u, sum);
}
