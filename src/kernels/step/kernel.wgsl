// One sampler step with guidance, elementwise: every sampler is a linear combination whose coefficients the host
// works out. Four channels of a pixel per invocation.
{% include "common/elem.wgsl" %}

struct Params {
    pixels: u32,
    latent_channels: u32,
    model_channels: u32,
    input_channels: u32,
    guidance: f32,
    next_x: f32,
    next_model: f32,
    next_history: f32,
    next_noise: f32,
    history_x: f32,
    history_model: f32,
    denoised_x: f32,
    denoised_model: f32,
    input_scale_next: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> model_output: array<vec4<elem>>; // [N or 2N, HW, Cout], uncond then cond
{% if noise %}
@group(0) @binding(2) var<storage, read> noise: array<vec4<f32>>; // [N, HW, C]
{% endif %}
@group(0) @binding({{ 2 + noise }}) var<storage, read_write> latents: array<vec4<f32>>; // [N, HW, C]
@group(0) @binding({{ 3 + noise }}) var<storage, read_write> history: array<vec4<f32>>; // [N, HW, C]
@group(0) @binding({{ 4 + noise }}) var<storage, read_write> denoised: array<vec4<f32>>; // [N, HW, C]
@group(0) @binding({{ 5 + noise }}) var<storage, read_write> model_input: array<vec4<elem>>; // [N or 2N, HW, Cin]

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
    let pixel = index / lanes;
    let lane = index % lanes;
    let model_lanes = params.model_channels / 4u;
    var model = vec4<f32>(model_output[pixel * model_lanes + lane]);
{% if guided %}
    let conditioned = vec4<f32>(model_output[(params.pixels + pixel) * model_lanes + lane]);
    model += params.guidance * (conditioned - model);
{% endif %}
    let x = latents[index];
    var next = params.next_x * x + params.next_model * model;
    // What has no share is not read: 0 times what is no number would be no number.
    if (params.next_history != 0.0) {
        next += params.next_history * history[index];
    }
{% if noise %}
    if (params.next_noise != 0.0) {
        next += params.next_noise * noise[index];
    }
{% endif %}
    latents[index] = next;
    history[index] = params.history_x * x + params.history_model * model;
    denoised[index] = params.denoised_x * x + params.denoised_model * model;

    let input_lanes = params.input_channels / 4u;
    let scaled = vec4<elem>(next * params.input_scale_next);
    model_input[pixel * input_lanes + lane] = scaled;
{% if guided %}
    model_input[(params.pixels + pixel) * input_lanes + lane] = scaled;
{% endif %}
}
