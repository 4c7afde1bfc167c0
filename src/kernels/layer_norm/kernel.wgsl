// LayerNorm over the channels of each row.
{% set width = 4 %}
{% set threads = 64 %}
{% include "common/elem.wgsl" %}

struct Params {
    rows: u32,
    channels: u32,
    eps: f32,
}

{% include "common/moments.wgsl" %}
{% include "common/lanes.wgsl" %}
{% if cooperative %}
{% include "common/workgroup_moments.wgsl" %}
{% endif %}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<ElemLanes>; // [rows, C]
@group(0) @binding(2) var<storage, read> gamma: array<Lanes>; // [C]
@group(0) @binding(3) var<storage, read> beta: array<Lanes>; // [C]
@group(0) @binding(4) var<storage, read_write> output: array<ElemLanes>; // [rows, C]

{% include "common/linear.wgsl" %}

// The moments of every `stride`-th lane from `begin` on.
fn lanes_moments(begin: u32, end: u32, stride: u32) -> Moments {
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    for (var i = begin; i < end; i += stride) {
        let x = Lanes(input[i]);
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
    }
    return combine_lanes(mean, squares, count);
}

fn apply_to_lanes(row: u32, begin: u32, stride: u32, moments: Moments) {
    let lanes = params.channels / 4u;
    let mean = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    for (var c = begin; c < lanes; c += stride) {
        let x = Lanes(input[row * lanes + c]);
        output[row * lanes + c] = ElemLanes((x - mean) * scale * gamma[c] + beta[c]);
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lanes = params.channels / 4u;
{% if cooperative %}
    // one workgroup per row
    let row = linear_workgroup(workgroup, grid);
    if (row >= params.rows) {
        return;
    }
    let own = lanes_moments(row * lanes + local, (row + 1u) * lanes, 64u);
    apply_to_lanes(row, local, 64u, combine_workgroup(local, own));
{% else %}
    // one invocation per row
    let row = linear_workgroup(workgroup, grid) * 64u + local;
    if (row < params.rows) {
        apply_to_lanes(row, 0u, 1u, lanes_moments(row * lanes, (row + 1u) * lanes, 1u));
    }
{% endif %}
}
