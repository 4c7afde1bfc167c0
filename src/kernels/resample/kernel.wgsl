{% if pool %}
// The sum of the pixels that enlargement makes of one: up to two by two.
{% else %}
// Every pixel at twice its place, zeros between them.
{% endif %}
{% include "common/elem.wgsl" %}

struct Params {
    groups: u32, // of four values of the output
    c4: u32,
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<elem>>; // [N, in_h, in_w, C / 4]
@group(0) @binding(2) var<storage, read_write> output: array<vec4<elem>>; // [N, out_h, out_w, C / 4]

{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    if (index >= params.groups) {
        return;
    }
    let lane = index % params.c4;
    let pixel = index / params.c4;
    let x = pixel % params.out_w;
    let y = pixel / params.out_w % params.out_h;
    let image = pixel / params.out_w / params.out_h;
    var value = vec4f(0.0);
{% if pool %}
    for (var down = 0u; down < 2u; down += 1u) {
        for (var right = 0u; right < 2u; right += 1u) {
            let row = 2u * y + down;
            let column = 2u * x + right;
            if (row < params.in_h && column < params.in_w) {
                value += vec4f(input[((image * params.in_h + row) * params.in_w + column) * params.c4 + lane]);
            }
        }
    }
{% else %}
    if (x % 2u == 0u && y % 2u == 0u && x / 2u < params.in_w && y / 2u < params.in_h) {
        value = vec4f(input[((image * params.in_h + y / 2u) * params.in_w + x / 2u) * params.c4 + lane]);
    }
{% endif %}
    output[index] = vec4<elem>(value);
}
