// Latents to a small RGBA8 picture through a linear map, one invocation per pixel.
struct Params {
    pixels: u32,
    r0: f32,
    r1: f32,
    r2: f32,
    r3: f32,
    r_bias: f32,
    g0: f32,
    g1: f32,
    g2: f32,
    g3: f32,
    g_bias: f32,
    b0: f32,
    b1: f32,
    b2: f32,
    b3: f32,
    b_bias: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> latents: array<vec4<f32>>; // [N, HW, 4]
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
        let x = latents[pixel];
        let r = dot(x, vec4<f32>(params.r0, params.r1, params.r2, params.r3)) + params.r_bias;
        let g = dot(x, vec4<f32>(params.g0, params.g1, params.g2, params.g3)) + params.g_bias;
        let b = dot(x, vec4<f32>(params.b0, params.b1, params.b2, params.b3)) + params.b_bias;
        output[pixel] = rgba8(vec3<f32>(r, g, b));
    }
}
