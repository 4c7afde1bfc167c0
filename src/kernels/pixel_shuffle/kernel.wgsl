// Channels to pixels (an invocation makes a pixel), or pixels to channels (an invocation makes a channel of one).
{% include "common/elem.wgsl" %}

struct Params {
    images: u32,
    height: u32,   // of the small map
    width: u32,
    channels: u32, // of the small map, padded
    factor: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<elem>;
{% if base %}
@group(0) @binding(2) var<storage, read> base: array<vec4<elem>>; // [N, h, w, 4]
{% endif %}
{% if back %}
@group(0) @binding(2) var<storage, read_write> output: array<elem>; // [N, h, w, C]
{% else %}
@group(0) @binding({{ 3 if base else 2 }}) var<storage, read_write> output: array<vec4<elem>>; // [N, h · factor, w · factor, 4]
{% endif %}

{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    let wide = params.width * params.factor;
    let tall = params.height * params.factor;
    let area = params.factor * params.factor;
{% if back %}
    if (index >= params.images * params.height * params.width * params.channels) { return; }
    let channel = index % params.channels;
    let pixel = index / params.channels;
    let x = pixel % params.width;
    let y = pixel / params.width % params.height;
    let image = pixel / (params.width * params.height);
    let color = channel / area;
    let within = channel % area;
    var value = elem(0.0);
    if (color < 3u) {
        let row = image * tall + y * params.factor + within / params.factor;
        value = input[(row * wide + x * params.factor + within % params.factor) * 4u + color];
    }
    output[index] = value;
{% else %}
    if (index >= params.images * tall * wide) { return; }
    let x = index % wide;
    let y = index / wide % tall;
    let image = index / (wide * tall);
    let small = (image * params.height + y / params.factor) * params.width + x / params.factor;
    let first = small * params.channels + y % params.factor * params.factor + x % params.factor;
    var value = vec4f(f32(input[first]), f32(input[first + area]), f32(input[first + 2u * area]), 0.0);
{% if base %}
    value += vec4f(base[small]);
{% endif %}
    output[index] = vec4<elem>(value);
{% endif %}
}
