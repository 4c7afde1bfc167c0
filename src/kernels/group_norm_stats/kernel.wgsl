// The first half of a GroupNorm over large images: the moments of each (image, group, chunk of rows).
{% include "common/elem.wgsl" %}

struct Params {
    batch: u32,
    rows: u32,
    channels1: u32,
    channels2: u32,
    groups: u32,
    chunks: u32,
}

{% include "common/moments.wgsl" %}
{% include "common/lanes.wgsl" %}
{% include "common/workgroup_moments.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input1: array<ElemLanes>; // [N, HW, C1]
{% if concat %}
@group(0) @binding(2) var<storage, read> input2: array<ElemLanes>; // [N, HW, C2]
{% endif %}
@group(0) @binding({{ 2 + concat }}) var<storage, read_write> partial: array<vec4<f32>>; // [N, groups, chunks]

{% include "common/linear.wgsl" %}
{% include "common/group_rows.wgsl" %}

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
    let chunk_rows = (params.rows + params.chunks - 1u) / params.chunks;
    let first_row = image * params.rows + min(chunk * chunk_rows, params.rows);
    let end_row = image * params.rows + min((chunk + 1u) * chunk_rows, params.rows);
    let own = slice_moments(local, first_row, end_row, group * row_lanes, row_lanes);
    let moments = combine_workgroup(local, own);
    if (local == 0u) {
        partial[index] = vec4<f32>(moments, 0.0);
    }
}
