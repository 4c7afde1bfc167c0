// The denoiser's first input: the latents scaled, once per copy (two copies when guided).
{% include "common/elem.wgsl" %}

struct Params {
    pixels: u32,
    copies: u32,
    latent_channels: u32,
    input_channels: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> latents: array<vec4<f32>>; // [N, HW, C]
@group(0) @binding(2) var<storage, read_write> model_input: array<vec4<elem>>; // [copies · N, HW, Cin], Cin >= C

{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    let lanes = params.latent_channels / 4u;
    if (index >= params.pixels * lanes) {
        return;
    }
    let scaled = vec4<elem>(latents[index] * params.scale);
    let input_lanes = params.input_channels / 4u;
    let pixel = index / lanes;
    for (var copy = 0u; copy < params.copies; copy += 1u) {
        model_input[(copy * params.pixels + pixel) * input_lanes + index % lanes] = scaled;
    }
}
