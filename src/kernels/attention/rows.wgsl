// One invocation per (image, head, query); everything in registers, four keys at a time.
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
    for (var key = 0u; key < end; key += 4u) {
        {% for j in range(4) %}
        let row{{ j }} = min(key + {{ j }}u, end - 1u) * kv_lanes;
        let k{{ j }} = k_at + row{{ j }};
        let v{{ j }} = v_at + row{{ j }};
        var score{{ j }} = 0.0;
        {% for i in range(lanes) %}
        score{{ j }} += dot(q{{ i }}, read_kv(k{{ j }} + {{ i }}u));
        {% endfor %}
        score{{ j }} = select(MASKED, score{{ j }}, key + {{ j }}u < end);
        {% endfor %}
        let before = largest;
        largest = max(max(max(score0, score1), max(score2, score3)), before);
        let keep = exp(before - largest);
        let p = exp(vec4<f32>(score0, score1, score2, score3) - largest);
        total = total * keep + p.x + p.y + p.z + p.w;
        {% for i in range(lanes) %}
        acc{{ i }} = acc{{ i }} * keep + p.x * read_kv(v0 + {{ i }}u) + p.y * read_kv(v1 + {{ i }}u)
            + p.z * read_kv(v2 + {{ i }}u) + p.w * read_kv(v3 + {{ i }}u);
        {% endfor %}
    }

    let out_at = ((image * params.queries + query) * params.heads + head) * {{ lanes }}u;
    {% for i in range(lanes) %}
    output[out_at + {{ i }}u] = vec4<elem>(acc{{ i }} / total);
    {% endfor %}
}
