// Each workgroup takes one (image, group, chunk of rows).

{% include "common/workgroup_moments.wgsl" %}

{% if pass != "apply" %}
// What invocation `local` of {{ threads }} sees of rows [first_row, end_row) of a group that starts at `first_lane`.
fn slice_moments(local: u32, first_row: u32, end_row: u32, first_lane: u32, row_lanes: u32) -> Moments {
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    var row = first_row + local / row_lanes;
    var lane = local % row_lanes;
    while (row < end_row) {
        let x = Lanes(read_lanes(row, first_lane + lane));
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
    let affine = params.first_affine / {{ width }}u + first_lane;
    var row = first_row + local / row_lanes;
    var lane = local % row_lanes;
    while (row < end_row) {
        let x = Lanes(read_lanes(row, first_lane + lane));
        write_lanes(row, first_lane + lane, (x - mean) * scale * gamma[affine + lane] + beta[affine + lane]);
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
{% if pass != "whole" %}
    let all_chunks = params.chunks + params.other_chunks;
    let partials = (image * params.groups + group) * all_chunks;
{% endif %}
{% if pass == "apply" %}
    var own = Moments(0.0);
    for (var i = local; i < all_chunks; i += {{ threads }}u) {
        own = combine(own, partial[partials + i].xyz);
    }
{% else %}
    let own = slice_moments(local, first_row, end_row, first_lane, row_lanes);
{% endif %}
    let moments = combine_workgroup(local, own);
{% if pass == "stats" %}
    if (local == 0u) {
        partial[partials + params.first_chunk + chunk] = vec4<f32>(moments, 0.0);
    }
{% else %}
    apply_to_slice(local, first_row, end_row, first_lane, row_lanes, moments);
{% endif %}
}
