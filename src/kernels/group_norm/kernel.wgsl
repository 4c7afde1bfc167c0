// GroupNorm with optional SiLU: each workgroup takes one (image, group, chunk of rows).
{% if pass == "whole" %}
// Moments in one pass over the group, then a second one to apply them; there is one chunk.
{% elif pass == "stats" %}
// The first half for large images: the moments of each chunk.
{% else %}
// The second half for large images: normalises each chunk with the moments of all chunks of its group.
{% endif %}
{% include "common/elem.wgsl" %}

struct Params {
    batch: u32,
    rows: u32,
    channels1: u32,
    channels2: u32,
    stride1: u32,
    first1: u32,
    first_affine: u32,
    groups: u32,
    chunks: u32,
    eps: f32,
}

{% include "common/moments.wgsl" %}
{% include "common/lanes.wgsl" %}
{% include "common/workgroup_moments.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
{% set b = namespace(i=1) %}
{% if not in_place %}
@group(0) @binding({{ b.i }}) var<storage, read> input1: array<ElemLanes>; // [N, HW, stride1]
{% set b.i = b.i + 1 %}
{% endif %}
{% if concat %}
@group(0) @binding({{ b.i }}) var<storage, read> input2: array<ElemLanes>; // [N, HW, C2]
{% set b.i = b.i + 1 %}
{% endif %}
{% if pass == "stats" %}
@group(0) @binding({{ b.i }}) var<storage, read_write> partial: array<vec4<f32>>; // [N, groups, chunks]
{% else %}
{% if pass == "apply" %}
@group(0) @binding({{ b.i }}) var<storage, read> partial: array<vec4<f32>>; // [N, groups, chunks]
{% set b.i = b.i + 1 %}
{% endif %}
@group(0) @binding({{ b.i }}) var<storage, read> gamma: array<Lanes>; // [channels of the layer]
@group(0) @binding({{ b.i + 1 }}) var<storage, read> beta: array<Lanes>; // [channels of the layer]
@group(0) @binding({{ b.i + 2 }}) var<storage, read_write> output: array<ElemLanes>; // [N, HW, C1 + C2]
{% endif %}

{% include "common/linear.wgsl" %}
{% if silu %}
{% include "common/silu.wgsl" %}
{% endif %}

// All positions below count lanes, that is {{ width }} channels; lane 0 is the first channel that is read.
fn read_lanes(row: u32, lane: u32) -> Lanes {
{% if in_place %}
    return Lanes(output[row * (params.channels1 / {{ width }}u) + lane]);
{% else %}
{% if concat %}
    if (lane >= params.channels1 / {{ width }}u) {
        let lanes2 = params.channels2 / {{ width }}u;
        return Lanes(input2[row * lanes2 + lane - params.channels1 / {{ width }}u]);
    }
{% endif %}
    return Lanes(input1[(row * params.stride1 + params.first1) / {{ width }}u + lane]);
{% endif %}
}

{% if pass != "apply" %}
// What invocation `local` of {{ threads }} sees of rows [first_row, end_row) of a group that starts at `first_lane`.
fn slice_moments(local: u32, first_row: u32, end_row: u32, first_lane: u32, row_lanes: u32) -> Moments {
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    var row = first_row + local / row_lanes;
    var lane = local % row_lanes;
    while (row < end_row) {
        let x = read_lanes(row, first_lane + lane);
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
        row += {{ threads }}u / row_lanes;
        lane += {{ threads }}u % row_lanes;
        if (lane >= row_lanes) {
            lane -= row_lanes;
            row += 1u;
        }
    }
    return combine_lanes(mean, squares, count);
}
{% endif %}

{% if pass != "stats" %}
// Normalises what invocation `local` of {{ threads }} sees of rows [first_row, end_row) of a group; the same elements
// as in `slice_moments`, so that in place each invocation overwrites only what it alone has read.
fn apply_to_slice(local: u32, first_row: u32, end_row: u32, first_lane: u32, row_lanes: u32, moments: Moments) {
    let mean = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    let all_lanes = (params.channels1 + params.channels2) / {{ width }}u;
    let affine = params.first_affine / {{ width }}u + first_lane;
    var row = first_row + local / row_lanes;
    var lane = local % row_lanes;
    while (row < end_row) {
        var y = (read_lanes(row, first_lane + lane) - mean) * scale * gamma[affine + lane] + beta[affine + lane];
        {% if silu %}
        y = silu(y);
        {% endif %}
        output[row * all_lanes + first_lane + lane] = ElemLanes(y);
        row += {{ threads }}u / row_lanes;
        lane += {{ threads }}u % row_lanes;
        if (lane >= row_lanes) {
            lane -= row_lanes;
            row += 1u;
        }
    }
}
{% endif %}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid); // (image · groups + group) · chunks + chunk
    if (index >= params.batch * params.groups * params.chunks) {
        return;
    }
    let chunk = index % params.chunks;
    let group = index / params.chunks % params.groups;
    let image = index / params.chunks / params.groups;
    let row_lanes = (params.channels1 + params.channels2) / params.groups / {{ width }}u;
    let first_lane = group * row_lanes;
    let chunk_rows = (params.rows + params.chunks - 1u) / params.chunks;
    let first_row = image * params.rows + min(chunk * chunk_rows, params.rows);
    let end_row = image * params.rows + min((chunk + 1u) * chunk_rows, params.rows);
{% if pass == "apply" %}
    var own = Moments(0.0);
    for (var i = local; i < params.chunks; i += {{ threads }}u) {
        own = combine(own, partial[index - chunk + i].xyz);
    }
{% else %}
    let own = slice_moments(local, first_row, end_row, first_lane, row_lanes);
{% endif %}
    let moments = combine_workgroup(local, own);
{% if pass == "stats" %}
    if (local == 0u) {
        partial[index] = vec4<f32>(moments, 0.0);
    }
{% else %}
    apply_to_slice(local, first_row, end_row, first_lane, row_lanes, moments);
{% endif %}
}
