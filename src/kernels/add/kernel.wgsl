// x + factor * y of two maps, four values at a time; the second map may be of one image for all.
{% include "common/elem.wgsl" %}

struct Params {
    groups: u32,       // of four values, in the output
    image_groups: u32, // of one image
    images: u32,       // of y
    first: u32,        // the first image's factor
    factor: f32,       // that of all, where images have none
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<elem>>; // [N, HW, C / 4]
@group(0) @binding(2) var<storage, read> y: array<vec4<elem>>; // [images, HW, C / 4]
{% if scaled %}
@group(0) @binding(3) var<storage, read> factors: array<f32>; // an image's at first + its number
@group(0) @binding(4) var<storage, read_write> output: array<vec4<elem>>; // [N, HW, C / 4]
{% else %}
@group(0) @binding(3) var<storage, read_write> output: array<vec4<elem>>; // [N, HW, C / 4]
{% endif %}

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
    let image = index / params.image_groups;
    let other = (image % params.images) * params.image_groups + index % params.image_groups;
    var sum = vec4<f32>(x[index]);
{% if scaled %}
    // What is not wanted is not read: it may hold anything.
    let factor = factors[params.first + image];
    if (factor != 0.0) {
        sum += factor * vec4<f32>(y[other]);
    }
{% else %}
    sum += params.factor * vec4<f32>(y[other]);
{% endif %}
    output[index] = vec4<elem>(sum);
}
