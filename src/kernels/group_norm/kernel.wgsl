// GroupNorm with optional SiLU.
{% if pass == "whole" %}
// Moments, then their application, in one dispatch; there is one chunk.
{% elif pass == "stats" %}
// The first half for large images: the moments of each chunk of a group's rows.
{% else %}
// The second half for large images: normalises with the moments of all chunks of a group.
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
    parts: u32,
    span: u32,
    first_chunk: u32,
    other_chunks: u32,
    eps: f32,
}

{% include "common/moments.wgsl" %}
{% include "common/lanes.wgsl" %}

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
@group(0) @binding({{ b.i }}) var<storage, read_write> partial: array<vec4<f32>>; // [N, groups, all chunks]
{% else %}
{% if pass == "apply" %}
@group(0) @binding({{ b.i }}) var<storage, read> partial: array<vec4<f32>>; // [N, groups, all chunks]
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
fn read_lanes(row: u32, lane: u32) -> ElemLanes {
{% if in_place %}
    return output[row * (params.channels1 / {{ width }}u) + lane];
{% else %}
{% if concat %}
    if (lane >= params.channels1 / {{ width }}u) {
        let lanes2 = params.channels2 / {{ width }}u;
        return input2[row * lanes2 + lane - params.channels1 / {{ width }}u];
    }
{% endif %}
    return input1[(row * params.stride1 + params.first1) / {{ width }}u + lane];
{% endif %}
}

{% if pass != "stats" %}
fn write_lanes(row: u32, lane: u32, y: Lanes) {
    output[row * ((params.channels1 + params.channels2) / {{ width }}u) + lane] = ElemLanes({{ "silu(y)" if silu else "y" }});
}
{% endif %}

{% if held > 0 %}
{% include "group_norm/held.wgsl" %}
{% elif sliced %}
{% include "group_norm/by_slice.wgsl" %}
{% else %}
{% include "group_norm/by_group.wgsl" %}
{% endif %}
