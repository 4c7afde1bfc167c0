// Adds up the gradients of all tokens that read a row of the run's own table, four channels of a row per invocation.
{% include "common/elem.wgsl" %}

struct Params {
    tokens: u32,
    c4: u32,
    own: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [N, T]
@group(0) @binding(2) var<storage, read> grad: array<vec4<elem>>; // [N, T, C]
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>; // [E, C], added to

{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    if (index >= params.own * params.c4) {
        return;
    }
    let row = index / params.c4;
    let lane = index % params.c4;
    var sum = vec4f(0.0);
    for (var token = 0u; token < params.tokens; token++) {
        let id = ids[token];
        if ((id & 0x80000000u) != 0u && min(id & 0x7fffffffu, params.own - 1u) == row) {
            sum += vec4f(grad[token * params.c4 + lane]);
        }
    }
    output[index] += sum;
}
