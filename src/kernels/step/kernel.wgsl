// What a sampler makes of one evaluation, with guidance, elementwise: linear combinations whose coefficients the host
// works out. Four channels of a pixel per invocation.
{% include "common/elem.wgsl" %}

struct Params {
    pixels: u32,
    latent_channels: u32,
    model_channels: u32,
    input_channels: u32,
    prompts: u32,
    guidance: f32,
    next_x: f32,
    next_model: f32,
    next_h1: f32,
    next_h2: f32,
    next_h3: f32,
    next_noise: f32,
    keep1_x: f32,
    keep1_model: f32,
    keep1_h1: f32,
    keep1_h2: f32,
    keep1_h3: f32,
    keep2_x: f32,
    keep2_model: f32,
    keep2_h1: f32,
    keep2_h2: f32,
    keep2_h3: f32,
    keep3_x: f32,
    keep3_model: f32,
    keep3_h1: f32,
    keep3_h2: f32,
    keep3_h3: f32,
    denoised_x: f32,
    denoised_model: f32,
    input_scale_next: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> model_output: array<vec4<elem>>; // [N or (1 + prompts) N, HW, Cout], uncond first
{% if noise %}
@group(0) @binding(2) var<storage, read> noise: array<vec4<f32>>; // [N, HW, C]
{% endif %}
@group(0) @binding({{ 2 + noise }}) var<storage, read_write> latents: array<vec4<f32>>; // [N, HW, C]
{% if history %}
@group(0) @binding({{ 3 + noise }}) var<storage, read_write> history: array<vec4<f32>>; // [{{ history }}, N, HW, C]
{% endif %}
{% set after = 3 + noise + (1 if history else 0) %}
@group(0) @binding({{ after }}) var<storage, read_write> denoised: array<vec4<f32>>; // [N, HW, C]
@group(0) @binding({{ after + 1 }}) var<storage, read_write> model_input: array<vec4<elem>>; // [N or (1 + prompts) N, HW, Cin]
{% if masked %}
@group(0) @binding({{ after + 2 }}) var<storage, read> kept: array<vec4<f32>>; // [N, HW, C]
{% endif %}
{% if masked or composed %}
@group(0) @binding({{ after + 2 + masked }}) var<storage, read> masks: array<f32>; // [masks, N, HW], what is drawn anew first
{% endif %}

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
{% if composed %}
    let unconditioned = model;
    for (var prompt = 0u; prompt < params.prompts; prompt += 1u) {
        let conditioned = vec4<f32>(model_output[((prompt + 1u) * params.pixels + pixel) * model_lanes + lane]);
        model += params.guidance * masks[(prompt + {{ masked|int }}u) * params.pixels + pixel] * (conditioned - unconditioned);
    }
{% elif guided %}
    let conditioned = vec4<f32>(model_output[(params.pixels + pixel) * model_lanes + lane]);
    model += params.guidance * (conditioned - model);
{% endif %}
    let x = latents[index];
    var next = params.next_x * x + params.next_model * model;
    // What has no share is not read: 0 times what is no number would be no number.
{% for h in range(history) %}
    var h{{ h + 1 }} = vec4<f32>();
    if (params.next_h{{ h + 1 }} != 0.0{% for k in range(history) %} || params.keep{{ k + 1 }}_h{{ h + 1 }} != 0.0{% endfor %}) {
        h{{ h + 1 }} = history[{{ h }}u * params.pixels * lanes + index];
    }
    next += params.next_h{{ h + 1 }} * h{{ h + 1 }};
{% endfor %}
{% if noise %}
    if (params.next_noise != 0.0) {
        next += params.next_noise * noise[index];
    }
{% endif %}
{% if masked %}
    next = mix(kept[index], next, masks[pixel]);
{% endif %}
    latents[index] = next;
{% for k in range(history) %}
    history[{{ k }}u * params.pixels * lanes + index] = params.keep{{ k + 1 }}_x * x + params.keep{{ k + 1 }}_model * model
        {% for h in range(history) %} + params.keep{{ k + 1 }}_h{{ h + 1 }} * h{{ h + 1 }}{% endfor %};
{% endfor %}
    denoised[index] = params.denoised_x * x + params.denoised_model * model;

    let input_lanes = params.input_channels / 4u;
    let scaled = vec4<elem>(next * params.input_scale_next);
    model_input[pixel * input_lanes + lane] = scaled;
{% if composed %}
    for (var prompt = 1u; prompt <= params.prompts; prompt += 1u) {
        model_input[(prompt * params.pixels + pixel) * input_lanes + lane] = scaled;
    }
{% elif guided %}
    model_input[(params.pixels + pixel) * input_lanes + lane] = scaled;
{% endif %}
}
