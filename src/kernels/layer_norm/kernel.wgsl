// LayerNorm over the channels of each row.
{% set width = 4 %}
{% set threads = 64 %}
{% set rows = threads // across %}
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
@group(0) @binding(3) var<storage, read> beta: array<Lanes>; // [C]
@group(0) @binding(4) var<storage, read_write> output: array<ElemLanes>; // [rows, C]

{% include "common/linear.wgsl" %}
{% if across > 1 %}

var<workgroup> shared_moments: array<Moments, {{ threads }}>;

// The moments of all invocations of a row together; every invocation must call it.
fn combine_row(local: u32, own: Moments) -> Moments {
    shared_moments[local] = own;
    let column = local % {{ across }}u;
    for (var reach = {{ across // 2 }}u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (column < reach) {
            shared_moments[local] = combine(shared_moments[local], shared_moments[local + reach]);
        }
    }
    workgroupBarrier();
    return shared_moments[local - column];
}
{% endif %}

// {{ rows }} rows a workgroup, {{ across }} invocations a row.
@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lanes = params.channels / 4u;
    let first_row = linear_workgroup(workgroup, grid) * {{ rows }}u;
    if (first_row >= params.rows) {
        return;
    }
    let row = first_row + local / {{ across }}u;
    let column = local % {{ across }}u;
    // beyond the last row, the last one
    let at = min(row, params.rows - 1u) * lanes;
{% if held > 0 %}
    // every invocation holds {{ held }} lanes, beyond the last one the last one
    {% for i in range(held) %}
    let x{{ i }} = input[at + min(column + {{ across * i }}u, lanes - 1u)];
    {% endfor %}
    let count = min((lanes + {{ across - 1 }}u - min(column, lanes)) / {{ across }}u, {{ held }}u);
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
    let moments = combine_row(local, combine_lanes(mean, squares, f32(count)));
    let center = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    {% for i in range(held) %}
    if (row < params.rows && {{ i }}u < count) {
        let lane = column + {{ across * i }}u;
        output[at + lane] = ElemLanes((Lanes(x{{ i }}) - center) * scale * gamma[lane] + beta[lane]);
    }
    {% endfor %}
{% else %}
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    for (var lane = column; lane < lanes; lane += {{ across }}u) {
        let x = Lanes(input[at + lane]);
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
    }
    let own = combine_lanes(mean, squares, count);
    let moments = {{ "combine_row(local, own)" if across > 1 else "own" }};
    let center = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    if (row < params.rows) {
        for (var lane = column; lane < lanes; lane += {{ across }}u) {
            output[at + lane] = ElemLanes((Lanes(input[at + lane]) - center) * scale * gamma[lane] + beta[lane]);
        }
    }
{% endif %}
}
