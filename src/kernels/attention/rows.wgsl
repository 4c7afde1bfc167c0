// One invocation per (image, head, query); everything in registers, a few keys at a time: fewer where heads are large,
// since adapters on a CPU take seconds to compile long shaders.
{% set at_once = 4 if lanes <= 6 else (2 if lanes <= 16 else 1) %}
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local; // (image · heads + head) · Tq + query
    if (index >= params.batch * params.heads * params.queries) {
        return;
    }
    let query = index % params.queries;
    let head = index / params.queries % params.heads;
    let image = index / params.queries / params.heads;
    let q_at = q_start(image, query, head);
    let k_at = kv_start(image, params.k_offset, head);
    let v_at = kv_start(image, params.v_offset, head);
    let kv_lanes = params.kv_stride / 4u;
    let end = {% if causal %}min(params.keys, query + 1u){% else %}params.keys{% endif %};

    {% for i in range(lanes) %}
    let q{{ i }} = read_q(q_at + {{ i }}u) * params.scale;
    var acc{{ i }} = vec4<f32>(0.0);
    {% endfor %}
    var largest = MASKED;
    var total = 0.0;
    for (var key = 0u; key < end; key += {{ at_once }}u) {
        {% for j in range(at_once) %}
        let row{{ j }} = min(key + {{ j }}u, end - 1u) * kv_lanes;
        let k{{ j }} = k_at + row{{ j }};
        let v{{ j }} = v_at + row{{ j }};
        var score{{ j }} = 0.0;
        {% for i in range(lanes) %}
        score{{ j }} += dot(q{{ i }}, read_kv(k{{ j }} + {{ i }}u));
        {% endfor %}
        score{{ j }} = select(MASKED, score{{ j }}, key + {{ j }}u < end{{ " && is_seen(image, key + " ~ j ~ "u, end)" if hides }});
        {% endfor %}
        let before = largest;
        {% for j in range(at_once) %}
        largest = max(largest, score{{ j }});
        {% endfor %}
        let keep = exp(before - largest);
        total *= keep;
        {% for j in range(at_once) %}
        let p{{ j }} = exp(score{{ j }} - largest);
        total += p{{ j }};
        {% endfor %}
        {% for i in range(lanes) %}
        acc{{ i }} *= keep;
        {% for j in range(at_once) %}
        acc{{ i }} += p{{ j }} * read_kv(v{{ j }} + {{ i }}u);
        {% endfor %}
        {% endfor %}
    }

    let out_at = ((image * params.queries + query) * params.heads + head) * {{ lanes }}u;
    {% for i in range(lanes) %}
    output[out_at + {{ i }}u] = vec4<elem>(acc{{ i }} / total);
    {% endfor %}
}
