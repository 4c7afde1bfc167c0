// Each workgroup takes one (image, group), of which each invocation holds {{ held }} lanes: memory is read once.

{% include "common/workgroup_moments.wgsl" %}

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
    let row_lanes = (params.channels1 + params.channels2) / params.groups / {{ width }}u;
    let first_lane = index % params.groups * row_lanes;
    let first_row = index / params.groups * params.rows;
    let all = params.rows * row_lanes;

    // beyond the last one, the last one
    {% for i in range(held) %}
    let at{{ i }} = min(local + {{ i * threads }}u, all - 1u);
    let x{{ i }} = read_lanes(first_row + at{{ i }} / row_lanes, first_lane + at{{ i }} % row_lanes);
    {% endfor %}
    let count = min((all + {{ threads - 1 }}u - min(local, all)) / {{ threads }}u, {{ held }}u);
    var mean = Lanes(0.0);
    {% for i in range(held) %}
    mean += select(Lanes(0.0), Lanes(x{{ i }}), {{ i }}u < count);
    {% endfor %}
    mean /= max(f32(count), 1.0);
    var squares = Lanes(0.0);
    {% for i in range(held) %}
    let delta{{ i }} = select(Lanes(0.0), Lanes(x{{ i }}) - mean, {{ i }}u < count);
    squares += delta{{ i }} * delta{{ i }};
    {% endfor %}
    let moments = combine_workgroup(local, combine_lanes(mean, squares, f32(count)));

    let center = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    let affine = params.first_affine / {{ width }}u + first_lane;
    {% for i in range(held) %}
    if ({{ i }}u < count) {
        let lane = at{{ i }} % row_lanes;
        let y = (Lanes(x{{ i }}) - center) * scale * gamma[affine + lane] + beta[affine + lane];
        write_lanes(first_row + at{{ i }} / row_lanes, first_lane + lane, y);
    }
    {% endfor %}
}
