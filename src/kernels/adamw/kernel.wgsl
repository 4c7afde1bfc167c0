// A step of AdamW, four values at a time. Gradients are zeros behind it.
struct Params {
    first: u32,
    groups: u32,
    share: f32,
    beta1: f32,
    beta2: f32,
    rate: f32,
    square_scale: f32,
    eps: f32,
    kept: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> squares: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> values: array<vec4f>;

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
    let at = params.first + index;
    let gradient = params.share * gradients[at];
    let mean = params.beta1 * means[at] + (1.0 - params.beta1) * gradient;
    let square = params.beta2 * squares[at] + (1.0 - params.beta2) * gradient * gradient;
    means[at] = mean;
    squares[at] = square;
    values[at] = params.kept * values[at] - params.rate * mean / (sqrt(params.square_scale * square) + params.eps);
    gradients[at] = vec4f(0.0);
}
