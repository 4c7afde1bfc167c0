// Latents to a small RGBA8 picture through a linear map, one invocation per pixel.
struct Params {
    pixels: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> latents: array<vec4<f32>>; // [N, HW, C]
@group(0) @binding(2) var<storage, read> colours: array<vec4<f32>>; // [C + 1], RGB of each channel, then what is added
@group(0) @binding(3) var<storage, read_write> output: array<u32>; // [N, HW], R in the low byte

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
        var colour = colours[params.channels];
        let lanes = params.channels / 4u;
        for (var lane = 0u; lane < lanes; lane += 1u) {
            let x = latents[pixel * lanes + lane];
            let row = 4u * lane;
            colour += x.x * colours[row] + x.y * colours[row + 1u] + x.z * colours[row + 2u] + x.w * colours[row + 3u];
        }
        output[pixel] = rgba8(colour.xyz);
    }
}
