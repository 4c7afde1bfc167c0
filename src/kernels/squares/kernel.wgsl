// Sums of squares: each of 64 workgroups takes every 64th run of 64 groups of four values.
struct Params {
    groups: u32, // of four values
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [64]

var<workgroup> shared_sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var at = workgroup.x * 64u + local; at < params.groups; at += 4096u) {
        sum += dot(values[at], values[at]);
    }
    shared_sums[local] = sum;
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (local < reach) {
            shared_sums[local] += shared_sums[local + reach];
        }
    }
    if (local == 0u) {
        sums[workgroup.x] = shared_sums[0];
    }
}
