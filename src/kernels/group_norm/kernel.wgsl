// GroupNorm with optional SiLU, one workgroup per (image, group): moments in one pass, then a second one to apply.
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
{% include "common/workgroup_moments.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input1: array<ElemLanes>; // [N, HW, C1]
{% if concat %}
@group(0) @binding(2) var<storage, read> input2: array<ElemLanes>; // [N, HW, C2]
{% endif %}
@group(0) @binding({{ 2 + concat }}) var<storage, read> gamma: array<Lanes>; // [C1 + C2]
@group(0) @binding({{ 3 + concat }}) var<storage, read> beta: array<Lanes>; // [C1 + C2]
@group(0) @binding({{ 4 + concat }}) var<storage, read_write> output: array<ElemLanes>; // [N, HW, C1 + C2]

{% include "common/linear.wgsl" %}
{% include "common/group_rows.wgsl" %}
{% if silu %}
{% include "common/silu.wgsl" %}
{% endif %}
{% include "common/group_apply.wgsl" %}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid);
    if (index >= params.batch * params.groups) {
        return;
    }
    let row_lanes = (params.channels1 + params.channels2) / params.groups / {{ width }}u;
    let first_lane = index % params.groups * row_lanes;
    let first_row = index / params.groups * params.rows;
    let end_row = first_row + params.rows;
    let own = slice_moments(local, first_row, end_row, first_lane, row_lanes);
    let moments = combine_workgroup(local, own);
    apply_to_slice(local, first_row, end_row, first_lane, row_lanes, moments);
}
