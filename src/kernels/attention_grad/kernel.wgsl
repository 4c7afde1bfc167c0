// The way back through attention. With s the scaled scores of a query, l the logarithm of the sum of their exponentials, g the
// gradient of what the query puts out and D the sum over keys of p * (g . v): p = exp(s - l), the gradient of a score is
// ds = p * (g . v - D), that of a query the sum over keys of scale * ds * k, that of a key the sum over queries of scale * ds * q,
// that of a value the sum over queries of p * g.
//
// A workgroup of 256 takes blocks of 16 queries x 16 keys: a score an invocation, which reads both vectors from memory. What is
// summed up over blocks stays in registers, a lane of four channels of one row in each.
{% set lanes = head_dim // 4 %}
{% set slots = (16 * lanes + 255) // 256 %}
{% include "common/elem.wgsl" %}

{% include "attention/params.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<elem>>; // [N, Tq, q_stride]
{% set b = namespace(i=2) %}
{% if shared_qkv %}
{% set kv = "q" %}
{% else %}
{% set kv = "kv" %}
@group(0) @binding(2) var<storage, read> kv: array<vec4<elem>>; // [N, Tk, kv_stride]
{% set b.i = 3 %}
{% endif %}
@group(0) @binding({{ b.i }}) var<storage, read> grad: array<vec4<elem>>; // [N, Tq, heads · D]
{% if pass == "sums" %}
@group(0) @binding({{ b.i + 1 }}) var<storage, read_write> sums: array<vec2f>; // [N, heads, Tq]: l and D
{% else %}
@group(0) @binding({{ b.i + 1 }}) var<storage, read> sums: array<vec2f>; // [N, heads, Tq]: l and D
@group(0) @binding({{ b.i + 2 }}) var<storage, read_write> output: array<vec4<elem>>; // like {{ "q" if pass == "queries" else kv }}
{% endif %}

{% include "common/linear.wgsl" %}

const MASKED = -1.0e30;

// Where the first four values of a query's head lie, and of what it puts out.
fn q_start(image: u32, query: u32, head: u32) -> u32 {
    return ((image * params.queries + query) * params.q_stride + params.q_offset) / 4u + head * {{ lanes }}u;
}

fn grad_start(image: u32, query: u32, head: u32) -> u32 {
    return ((image * params.queries + query) * params.heads + head) * {{ lanes }}u;
}

// Where the first four values of a head of a key or a value lie.
fn kv_start(row: u32, key: u32, offset: u32, head: u32) -> u32 {
    return (row * params.kv_batch_stride + key * params.kv_stride + offset) / 4u + head * {{ lanes }}u;
}

// The scaled score of a query and a key, and the product of the query's gradient and the key's value.
fn pair(q_at: u32, k_at: u32, grad_at: u32, v_at: u32) -> vec2f {
    var score = 0.0;
    var way = 0.0;
    for (var lane = 0u; lane < {{ lanes }}u; lane += 1u) {
        score += dot(vec4f(q[q_at + lane]), vec4f({{ kv }}[k_at + lane]));
        way += dot(vec4f(grad[grad_at + lane]), vec4f({{ kv }}[v_at + lane]));
    }
    return vec2f(score * params.scale, way);
}

{% if pass == "sums" %}
// Of the keys that an invocation has seen: the largest score, the sum of exponentials, and that of them times the products.
var<workgroup> shared_sums: array<vec3f, 256>;

fn both(a: vec3f, b: vec3f) -> vec3f {
    let largest = max(a.x, b.x);
    return vec3f(largest, a.yz * exp(a.x - largest) + b.yz * exp(b.x - largest));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let blocks = (params.queries + 15u) / 16u;
    let index = linear_workgroup(workgroup, grid);
    if (index >= params.batch * params.heads * blocks) {
        return;
    }
    let head = index / blocks % params.heads;
    let image = index / blocks / params.heads;
    let row = image / params.kv_images;
    let query = index % blocks * 16u + local / 16u;
    let held = min(query, params.queries - 1u);
    let q_at = q_start(image, held, head);
    let grad_at = grad_start(image, held, head);
    var own = vec3f(MASKED, 0.0, 0.0);
    for (var key = local % 16u; key < params.keys; key += 16u) {
{% if causal %}
        if (key > query) {
            break;
        }
{% endif %}
        let found = pair(q_at, kv_start(row, key, params.k_offset, head), grad_at, kv_start(row, key, params.v_offset, head));
        own = both(own, vec3f(found.x, 1.0, found.y));
    }
    shared_sums[local] = own;
    for (var reach = 8u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (local % 16u < reach) {
            shared_sums[local] = both(shared_sums[local], shared_sums[local + reach]);
        }
    }
    if (local % 16u == 0u && query < params.queries) {
        let all = shared_sums[local];
        sums[(image * params.heads + head) * params.queries + query] = vec2f(all.x + log(all.y), all.z / all.y);
    }
}
{% else %}
var<workgroup> ways: array<f32, 256>; // ds, [{{ "query, key" if pass == "queries" else "key, query" }}]
{% if pass == "keys" %}
var<workgroup> shares: array<f32, 256>; // p, [key, query]
{% endif %}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
{% if pass == "queries" %}
    let blocks = (params.queries + 15u) / 16u;
    let images = params.batch;
{% else %}
    let blocks = (params.keys + 15u) / 16u;
    let images = params.batch / params.kv_images;
{% endif %}
    let index = linear_workgroup(workgroup, grid);
    if (index >= images * params.heads * blocks) {
        return;
    }
    let head = index / blocks % params.heads;
    let first = index % blocks * 16u;
{% for slot in range(slots) %}
    var sum{{ slot }} = vec4f(0.0);
{% if pass == "keys" %}
    var value{{ slot }} = vec4f(0.0);
{% endif %}
{% endfor %}
{% if pass == "queries" %}
    let image = index / blocks / params.heads;
    let row = image / params.kv_images;
    let query = first + local / 16u;
    let held = min(query, params.queries - 1u);
    let q_at = q_start(image, held, head);
    let grad_at = grad_start(image, held, head);
    let all = sums[(image * params.heads + head) * params.queries + held];
    for (var start = 0u; start < params.keys; start += 16u) {
        let key = start + local % 16u;
        let to = min(key, params.keys - 1u);
        let found = pair(q_at, kv_start(row, to, params.k_offset, head), grad_at, kv_start(row, to, params.v_offset, head));
        let seen = key < params.keys{{ " && key <= query" if causal }};
        workgroupBarrier();
        ways[local] = select(0.0, exp(found.x - all.x) * (found.y - all.y), seen);
        workgroupBarrier();
        let count = min(16u, params.keys - start);
{% for slot in range(slots) %}
        {
            let slot = local + {{ slot * 256 }}u;
            if (slot < {{ 16 * lanes }}u) {
                let k_at = kv_start(row, start, params.k_offset, head) + slot % {{ lanes }}u;
                for (var i = 0u; i < count; i += 1u) {
                    sum{{ slot }} += ways[slot / {{ lanes }}u * 16u + i] * vec4f({{ kv }}[k_at + i * (params.kv_stride / 4u)]);
                }
            }
        }
{% endfor %}
    }
{% for slot in range(slots) %}
    {
        let slot = local + {{ slot * 256 }}u;
        let to = first + slot / {{ lanes }}u;
        if (slot < {{ 16 * lanes }}u && to < params.queries) {
            output[q_start(image, to, head) + slot % {{ lanes }}u] = vec4<elem>(params.scale * sum{{ slot }});
        }
    }
{% endfor %}
{% else %}
    let row = index / blocks / params.heads;
    let key = first + local / 16u;
    let held = min(key, params.keys - 1u);
    let k_at = kv_start(row, held, params.k_offset, head);
    let v_at = kv_start(row, held, params.v_offset, head);
    for (var image = row * params.kv_images; image < (row + 1u) * params.kv_images; image += 1u) {
        for (var start = 0u; start < params.queries; start += 16u) {
            let query = start + local % 16u;
            let to = min(query, params.queries - 1u);
            let found = pair(q_start(image, to, head), k_at, grad_start(image, to, head), v_at);
            let all = sums[(image * params.heads + head) * params.queries + to];
            let seen = query < params.queries{{ " && key <= query" if causal }};
            let share = select(0.0, exp(found.x - all.x), seen);
            workgroupBarrier();
            shares[local] = share;
            ways[local] = share * (found.y - all.y);
            workgroupBarrier();
            let count = min(16u, params.queries - start);
{% for slot in range(slots) %}
            {
                let slot = local + {{ slot * 256 }}u;
                if (slot < {{ 16 * lanes }}u) {
                    let line = slot / {{ lanes }}u * 16u;
                    let q_at = q_start(image, start, head) + slot % {{ lanes }}u;
                    let grad_at = grad_start(image, start, head) + slot % {{ lanes }}u;
                    for (var i = 0u; i < count; i += 1u) {
                        sum{{ slot }} += ways[line + i] * vec4f(q[q_at + i * (params.q_stride / 4u)]);
                        value{{ slot }} += shares[line + i] * vec4f(grad[grad_at + i * params.heads * {{ lanes }}u]);
                    }
                }
            }
{% endfor %}
        }
    }
{% for slot in range(slots) %}
    {
        let slot = local + {{ slot * 256 }}u;
        let to = first + slot / {{ lanes }}u;
        if (slot < {{ 16 * lanes }}u && to < params.keys) {
            output[kv_start(row, to, params.k_offset, head) + slot % {{ lanes }}u] = vec4<elem>(params.scale * sum{{ slot }});
            output[kv_start(row, to, params.v_offset, head) + slot % {{ lanes }}u] = vec4<elem>(value{{ slot }});
        }
    }
{% endfor %}
{% endif %}
}
{% endif %}
