// An activation by itself, four values at a time{{ ", or its gradient" if back }}.
{% set geglu = gated %}
{% set act_last = false %}
{% include "common/elem.wgsl" %}

struct Params {
    groups: u32, // of four values that were activated
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<elem>>; // what is activated{{ "; values and gates in turns" if gated }}
{% if back %}
@group(0) @binding(2) var<storage, read> grad: array<vec4<elem>>; // like what was activated
@group(0) @binding(3) var<storage, read_write> output: array<vec4<elem>>; // like x
{% else %}
@group(0) @binding(2) var<storage, read_write> output: array<vec4<elem>>;
{% endif %}

{% include "common/linear.wgsl" %}
{% if not back or gated %}
{% include "gemm/activation.wgsl" %}
{% elif act == "gelu" %}
{% include "gemm/activation.wgsl" %}
{% endif %}
{% if back %}

fn slope(x: vec4f) -> vec4f {
{% if act == "silu" or act == "quick_gelu" %}
    // d/dx x · σ(a · x) = σ + a · x · σ · (1 − σ); the exponential is kept from overflowing
    let scaled = {{ "1.702" if act == "quick_gelu" else "1.0" }} * x;
    let sigmoid = 1.0 / (1.0 + exp(min(-scaled, vec4f(80.0))));
    return sigmoid + scaled * sigmoid * (1.0 - sigmoid);
{% elif act == "gelu" %}
    // Φ(x) + x · φ(x), of the normal distribution
    return 0.5 * (1.0 + erf(x * 0.7071067811865476)) + x * exp(-0.5 * x * x) * 0.3989422804014327;
{% elif act == "relu" %}
    return select(vec4f(0.0), vec4f(1.0), x > vec4f(0.0));
{% else %}
    return select(vec4f(0.2), vec4f(1.0), x > vec4f(0.0));
{% endif %}
}
{% endif %}

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
{% if gated %}
    let left = vec4f(x[2u * index]);
    let right = vec4f(x[2u * index + 1u]);
    let value = vec4f(left.xz, right.xz);
    let gate = vec4f(left.yw, right.yw);
{% if back %}
    let way = vec4f(grad[index]);
    let to_value = way * gelu(gate);
    let to_gate = way * value * slope(gate);
    output[2u * index] = vec4<elem>(vec4f(to_value.x, to_gate.x, to_value.y, to_gate.y));
    output[2u * index + 1u] = vec4<elem>(vec4f(to_value.z, to_gate.z, to_value.w, to_gate.w));
{% else %}
    output[index] = vec4<elem>(value * gelu(gate));
{% endif %}
{% elif back %}
    output[index] = vec4<elem>(vec4f(grad[index]) * slope(vec4f(x[index])));
{% else %}
    output[index] = vec4<elem>(activate(vec4f(x[index])));
{% endif %}
}
