// The gradient of what a GroupNorm reads: with n what is normalised, g its gradient times gamma (through SiLU, if that follows)
// and s one over the deviation, s * (g - mean(g) - n * mean(g * n)) over each group of an image. A workgroup a group.
{% include "common/elem.wgsl" %}

struct Params {
    batch: u32,
    rows: u32,
    channels1: u32,
    channels2: u32,
    groups: u32,
    eps: f32,
}

{% include "common/moments.wgsl" %}
{% include "common/lanes.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
{% set b = namespace(i=1) %}
@group(0) @binding({{ b.i }}) var<storage, read> input1: array<ElemLanes>; // [N, HW, C1]
{% set b.i = b.i + 1 %}
{% if concat %}
@group(0) @binding({{ b.i }}) var<storage, read> input2: array<ElemLanes>; // [N, HW, C2]
{% set b.i = b.i + 1 %}
{% endif %}
@group(0) @binding({{ b.i }}) var<storage, read> gamma: array<Lanes>; // [C]
{% set b.i = b.i + 1 %}
{% if silu %}
@group(0) @binding({{ b.i }}) var<storage, read> beta: array<Lanes>; // [C]
{% set b.i = b.i + 1 %}
{% endif %}
@group(0) @binding({{ b.i }}) var<storage, read> grad: array<ElemLanes>; // [N, HW, C1 + C2]
@group(0) @binding({{ b.i + 1 }}) var<storage, read_write> output: array<ElemLanes>; // [N, HW, C1 + C2]

{% include "common/linear.wgsl" %}
{% include "common/workgroup_moments.wgsl" %}

var<workgroup> shared_sums: array<vec2f, {{ threads }}>;

// The sum of all lanes.
fn total(x: Lanes) -> f32 {
    return {{ "x" if width == 1 else "dot(x, Lanes(1.0))" }};
}

// All positions count lanes, that is {{ width }} channels.
fn read_lanes(row: u32, lane: u32) -> Lanes {
{% if concat %}
    let lanes1 = params.channels1 / {{ width }}u;
    if (lane >= lanes1) {
        return Lanes(input2[row * (params.channels2 / {{ width }}u) + lane - lanes1]);
    }
{% endif %}
    return Lanes(input1[row * (params.channels1 / {{ width }}u) + lane]);
}

// The gradient of what is normalised, from what is normalised.
fn way_at(row: u32, lane: u32, normal: Lanes) -> Lanes {
    let all = (params.channels1 + params.channels2) / {{ width }}u;
    var way = Lanes(grad[row * all + lane]);
{% if silu %}
    let x = normal * gamma[lane] + beta[lane];
    let sigmoid = Lanes(1.0) / (Lanes(1.0) + exp(min(-x, Lanes(80.0))));
    way *= sigmoid + x * sigmoid * (Lanes(1.0) - sigmoid);
{% endif %}
    return way * gamma[lane];
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid); // image · groups + group
    if (index >= params.batch * params.groups) {
        return;
    }
    let image = index / params.groups;
    let row_lanes = (params.channels1 + params.channels2) / params.groups / {{ width }}u;
    let first_lane = index % params.groups * row_lanes;
    let all = params.rows * row_lanes;
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    for (var at = local; at < all; at += {{ threads }}u) {
        let x = read_lanes(image * params.rows + at / row_lanes, first_lane + at % row_lanes);
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
    }
    let moments = combine_workgroup(local, combine_lanes(mean, squares, count));
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    var sums = vec2f(0.0);
    for (var at = local; at < all; at += {{ threads }}u) {
        let row = image * params.rows + at / row_lanes;
        let lane = first_lane + at % row_lanes;
        let normal = (read_lanes(row, lane) - moments.x) * scale;
        let way = way_at(row, lane, normal);
        sums += vec2f(total(way), total(way * normal));
    }
    shared_sums[local] = sums;
    for (var reach = {{ threads // 2 }}u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (local < reach) {
            shared_sums[local] += shared_sums[local + reach];
        }
    }
    workgroupBarrier();
    let means = shared_sums[0] / moments.z;
    let lanes = (params.channels1 + params.channels2) / {{ width }}u;
    for (var at = local; at < all; at += {{ threads }}u) {
        let row = image * params.rows + at / row_lanes;
        let lane = first_lane + at % row_lanes;
        let normal = (read_lanes(row, lane) - moments.x) * scale;
        output[row * lanes + lane] = ElemLanes(scale * (way_at(row, lane, normal) - means.x - normal * means.y));
    }
}
