// weights * (x - y), four values at a time.
{% include "common/elem.wgsl" %}

struct Params {
    groups: u32, // of four values
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<elem>>;
@group(0) @binding(2) var<storage, read> y: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4<elem>>;

{% include "common/linear.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    if (index < params.groups) {
        output[index] = vec4<elem>(weights[index] * (vec4f(x[index]) - y[index]));
    }
}
