// The gradient of what a LayerNorm reads: with n the normalised row, g its gradient times gamma and s one over the deviation,
// s * (g - mean(g) - n * mean(g * n)). 4 rows a workgroup, 16 invocations a row.
{% set width = 4 %}
{% include "common/elem.wgsl" %}

struct Params {
    rows: u32,
    channels: u32,
    eps: f32,
}

{% include "common/moments.wgsl" %}
{% include "common/lanes.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<ElemLanes>; // [rows, C]
@group(0) @binding(2) var<storage, read> gamma: array<Lanes>; // [C]
@group(0) @binding(3) var<storage, read> grad: array<ElemLanes>; // [rows, C]
@group(0) @binding(4) var<storage, read_write> output: array<ElemLanes>; // [rows, C]

{% include "common/linear.wgsl" %}

var<workgroup> shared_values: array<vec3f, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lanes = params.channels / 4u;
    let row = linear_workgroup(workgroup, grid) * 4u + local / 16u;
    let column = local % 16u;
    // beyond the last row, the last one
    let at = min(row, params.rows - 1u) * lanes;
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    for (var lane = column; lane < lanes; lane += 16u) {
        let x = Lanes(input[at + lane]);
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
    }
    shared_values[local] = combine_lanes(mean, squares, count);
    for (var reach = 8u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (column < reach) {
            shared_values[local] = combine(shared_values[local], shared_values[local + reach]);
        }
    }
    workgroupBarrier();
    let moments = shared_values[local - column];
    workgroupBarrier();
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    var sums = vec2f(0.0);
    for (var lane = column; lane < lanes; lane += 16u) {
        let way = Lanes(grad[at + lane]) * gamma[lane];
        let normal = (Lanes(input[at + lane]) - moments.x) * scale;
        sums += vec2f(dot(way, Lanes(1.0)), dot(way, normal));
    }
    shared_values[local] = vec3f(sums, 0.0);
    for (var reach = 8u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (column < reach) {
            shared_values[local] += shared_values[local + reach];
        }
    }
    workgroupBarrier();
    let means = shared_values[local - column].xy / f32(params.channels);
    if (row < params.rows) {
        for (var lane = column; lane < lanes; lane += 16u) {
            let way = Lanes(grad[at + lane]) * gamma[lane];
            let normal = (Lanes(input[at + lane]) - moments.x) * scale;
            output[at + lane] = ElemLanes(scale * (way - means.x - normal * means.y));
        }
    }
}
