// Each workgroup takes some rows of `span` neighbouring groups, so that memory is read in long runs. An invocation stays
// with one lane of them.

var<workgroup> shared_moments: array<Moments, {{ threads }}>;

// Leaves in `shared_moments[column]` the moments of a column of invocations, `columns` of which stand side by side in
// `rows`; every invocation must call it.
fn combine_columns(local: u32, own: Moments, columns: u32, rows: u32) {
    shared_moments[local] = own;
    var left = rows;
    while (left > 1u) {
        let half = (left + 1u) / 2u;
        workgroupBarrier();
        if (local < (left - half) * columns) {
            shared_moments[local] = combine(shared_moments[local], shared_moments[local + half * columns]);
        }
        left = half;
    }
    workgroupBarrier();
}

{% if pass == "stats" %}
// The moments of lane `lane` in every `step`-th row from `first` on.
fn lane_moments(lane: u32, first: u32, end: u32, step: u32) -> Moments {
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    var row = first;
    for (; row + 3u * step < end; row += 4u * step) {
        {% for i in range(4) %}
        let x{{ i }} = Lanes(read_lanes(row + {{ i }}u * step, lane));
        {% endfor %}
        let four = (x0 + x1 + x2 + x3) * 0.25;
        let delta = four - mean;
        let before = count;
        count += 4.0;
        mean += delta * (4.0 / count);
        squares += delta * delta * (4.0 * before / count);
        {% for i in range(4) %}
        squares += (x{{ i }} - four) * (x{{ i }} - four);
        {% endfor %}
    }
    for (; row < end; row += step) {
        let x = Lanes(read_lanes(row, lane));
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
    }
    return combine_lanes(mean, squares, count);
}
{% endif %}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // (image · slices + slice) · parts + part
    let index = linear_workgroup(workgroup, grid);
    let slices = params.groups / params.span;
    let parts = params.{{ "chunks" if pass == "stats" else "parts" }};
    if (index >= params.batch * slices * parts) {
        return;
    }
    let part = index % parts;
    let first_group = index / parts % slices * params.span;
    let image = index / parts / slices;
    let group_lanes = (params.channels1 + params.channels2) / params.groups / {{ width }}u;
    let lanes = params.span * group_lanes;
    let at_once = {{ threads }}u / lanes; // rows
    let part_rows = (params.rows + parts - 1u) / parts;
    let end = image * params.rows + min((part + 1u) * part_rows, params.rows);
    // those left over have no rows
    let first = select(image * params.rows + part * part_rows + local / lanes, end, local >= at_once * lanes);
    let lane = first_group * group_lanes + local % lanes;
    let all_chunks = params.chunks + params.other_chunks;
    let partials = (image * params.groups + first_group) * all_chunks;
{% if pass == "stats" %}
    combine_columns(local, lane_moments(lane, first, end, at_once), lanes, at_once);
    if (local < params.span) {
        var moments = shared_moments[local * group_lanes];
        for (var i = 1u; i < group_lanes; i += 1u) {
            moments = combine(moments, shared_moments[local * group_lanes + i]);
        }
        partial[partials + local * all_chunks + params.first_chunk + part] = vec4<f32>(moments, 0.0);
    }
{% else %}
    let readers = {{ threads }}u / params.span; // of the chunks of one group
    var own = Moments(0.0);
    if (local < readers * params.span) {
        for (var chunk = local / params.span; chunk < all_chunks; chunk += readers) {
            own = combine(own, partial[partials + local % params.span * all_chunks + chunk].xyz);
        }
    }
    combine_columns(local, own, params.span, readers);
    let moments = shared_moments[local % lanes / group_lanes];
    let affine = params.first_affine / {{ width }}u + lane;
    let mean = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps) * gamma[affine];
    let shift = beta[affine];
    var row = first;
    for (; row + 3u * at_once < end; row += 4u * at_once) {
        {% for i in range(4) %}
        let x{{ i }} = Lanes(read_lanes(row + {{ i }}u * at_once, lane));
        {% endfor %}
        {% for i in range(4) %}
        write_lanes(row + {{ i }}u * at_once, lane, (x{{ i }} - mean) * scale + shift);
        {% endfor %}
    }
    for (; row < end; row += at_once) {
        write_lanes(row, lane, (Lanes(read_lanes(row, lane)) - mean) * scale + shift);
    }
{% endif %}
}
