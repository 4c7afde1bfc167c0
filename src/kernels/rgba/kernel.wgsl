// Decoder output in [-1, 1] to RGBA8, one invocation per pixel.
{% include "common/elem.wgsl" %}

struct Params {
    pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<elem>>; // [N, HW, 4], the fourth is padding
@group(0) @binding(2) var<storage, read_write> output: array<u32>; // [N, HW], R in the low byte

{% include "common/linear.wgsl" %}
{% include "common/rgba8.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let pixel = linear_workgroup(workgroup, grid) * 64u + local;
    if (pixel < params.pixels) {
        output[pixel] = rgba8(vec4<f32>(input[pixel]).xyz);
    }
}
