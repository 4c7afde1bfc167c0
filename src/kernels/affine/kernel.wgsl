// Elementwise map of a selection of channels, with conversion between f32 and the activations' type.
{% include "common/elem.wgsl" %}

struct Params {
    pixels: u32,
    input_channels: u32,
    input_offset: u32,
    output_channels: u32,
    channels: u32,
    scale: f32,
    shift: f32,
}

{% set types = {"Single": "f32", "Elem": "elem"} %}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<{{ types[input] }}>; // [N, HW, Cin]
@group(0) @binding(2) var<storage, read_write> output: array<{{ types[output] }}>; // [N, HW, Cout]

{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    if (index >= params.pixels * params.output_channels) {
        return;
    }
    let channel = index % params.output_channels;
    var y = 0.0;
    if (channel < params.channels) {
        let pixel = index / params.output_channels;
        y = f32(input[pixel * params.input_channels + params.input_offset + channel]) * params.scale + params.shift;
{% if op == "TanhClamp" %}
        y = tanh(clamp(y / 3.0, -10.0, 10.0)) * 3.0;
{% endif %}
    }
    output[index] = {{ types[output] }}(y);
}
