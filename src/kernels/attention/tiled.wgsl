// One workgroup per (image, head, 16 queries), 32 keys at a time. Invocation (quad, column) of 4 × 16 owns queries
// 4 · quad … 4 · quad + 3: the scores of two keys, then the output's lanes column, column + 16, …
{% set staged = head_dim <= 160 %}
{% set columns = (lanes + 15) // 16 %}
{% if staged %}
var<workgroup> q_tile: array<vec4<f32>, {{ 16 * lanes }}>; // [query, lane]
{% endif %}
var<workgroup> p_tile: array<vec4<f32>, 128>; // [key, quad], softmax numerators of four queries
var<workgroup> shared_rows: array<vec4<f32>, 64>; // [quad, column], maxima and sums of four queries

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid); // (image · heads + head) · tiles + tile
    let tiles = (params.queries + 15u) / 16u;
    if (index >= params.batch * params.heads * tiles) {
        return;
    }
    let first_query = index % tiles * 16u;
    let head = index / tiles % params.heads;
    let image = index / tiles / params.heads;
    let quad = local / 16u;
    let column = local % 16u;
    let last_query = params.queries - 1u;
    let k_at = kv_start(image, params.k_offset, head);
    let v_at = kv_start(image, params.v_offset, head);
    let kv_lanes = params.kv_stride / 4u;
    let end = {% if causal %}min(params.keys, first_query + 16u){% else %}params.keys{% endif %};
    let query = first_query + 4u * quad;
    {% if causal %}
    let queries = vec4<u32>(query, query + 1u, query + 2u, query + 3u);
    {% endif %}

    {% if staged %}
    for (var i = local; i < {{ 16 * lanes }}u; i += 64u) {
        let row = min(first_query + i / {{ lanes }}u, last_query);
        q_tile[i] = read_q(q_start(image, row, head) + i % {{ lanes }}u);
    }
    workgroupBarrier();
    {% endif %}
    {% for r in range(4) %}
    {% if staged %}
    let q_at{{ r }} = (4u * quad + {{ r }}u) * {{ lanes }}u;
    {% else %}
    let q_at{{ r }} = q_start(image, min(query + {{ r }}u, last_query), head);
    {% endif %}
    {% for c in range(columns) %}
    var acc{{ r }}_{{ c }} = vec4<f32>(0.0);
    {% endfor %}
    {% endfor %}

    var largest = vec4<f32>(MASKED);
    var total = vec4<f32>(0.0); // of this invocation's keys alone
    for (var start = 0u; start < end; start += 32u) {
        // the scores of two keys
        let key0 = start + column;
        let key1 = start + column + 16u;
        let k0 = k_at + min(key0, params.keys - 1u) * kv_lanes;
        let k1 = k_at + min(key1, params.keys - 1u) * kv_lanes;
        var score0 = vec4<f32>(0.0);
        var score1 = vec4<f32>(0.0);
        for (var lane = 0u; lane < {{ lanes }}u; lane += 1u) {
            let key_lane0 = read_kv(k0 + lane);
            let key_lane1 = read_kv(k1 + lane);
            {% for r in range(4) %}
            let q{{ r }} = {% if staged %}q_tile[q_at{{ r }} + lane]{% else %}read_q(q_at{{ r }} + lane){% endif %};
            {% endfor %}
            score0 += vec4<f32>(dot(q0, key_lane0), dot(q1, key_lane0), dot(q2, key_lane0), dot(q3, key_lane0));
            score1 += vec4<f32>(dot(q0, key_lane1), dot(q1, key_lane1), dot(q2, key_lane1), dot(q3, key_lane1));
        }
        {% for i in range(2) %}
        let seen{{ i }} = key{{ i }} < end{{ " && is_seen(image, key" ~ i ~ ", end)" if hides }};
        let visible{{ i }} = {{ "(vec4<u32>(key" ~ i ~ ") <= queries) & " if causal }}vec4<bool>(seen{{ i }});
        {% endfor %}
        score0 = select(vec4<f32>(MASKED), score0 * params.scale, visible0);
        score1 = select(vec4<f32>(MASKED), score1 * params.scale, visible1);

        // the largest score of each query so far; what was summed up is scaled to it
        shared_rows[local] = max(score0, score1);
        workgroupBarrier();
        let before = largest;
        for (var i = 0u; i < 16u; i += 1u) {
            largest = max(largest, shared_rows[quad * 16u + i]);
        }
        let keep = exp(before - largest);
        let p0 = exp(score0 - largest);
        let p1 = exp(score1 - largest);
        total = total * keep + p0 + p1;
        p_tile[column * 4u + quad] = p0;
        p_tile[(column + 16u) * 4u + quad] = p1;
        {% for c in range(columns) %}
        acc0_{{ c }} *= keep.x;
        acc1_{{ c }} *= keep.y;
        acc2_{{ c }} *= keep.z;
        acc3_{{ c }} *= keep.w;
        {% endfor %}
        workgroupBarrier();

        // the values, weighted
        let count = min(32u, end - start);
        for (var i = 0u; i < count; i += 1u) {
            let p = p_tile[i * 4u + quad];
            let v = v_at + (start + i) * kv_lanes;
            {% for c in range(columns) %}
            let value{{ c }} = read_kv(v + min(column + {{ 16 * c }}u, {{ lanes - 1 }}u));
            acc0_{{ c }} += p.x * value{{ c }};
            acc1_{{ c }} += p.y * value{{ c }};
            acc2_{{ c }} += p.z * value{{ c }};
            acc3_{{ c }} += p.w * value{{ c }};
            {% endfor %}
        }
    }

    shared_rows[local] = total;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < 16u; i += 1u) {
        sum += shared_rows[quad * 16u + i];
    }
    {% for r, of_row in [(0, "x"), (1, "y"), (2, "z"), (3, "w")] %}
    if (query + {{ r }}u < params.queries) {
        let out_at = ((image * params.queries + query + {{ r }}u) * params.heads + head) * {{ lanes }}u;
        {% for c in range(columns) %}
        if (column + {{ 16 * c }}u < {{ lanes }}u) {
            output[out_at + column + {{ 16 * c }}u] = vec4<elem>(acc{{ r }}_{{ c }} / sum.{{ of_row }});
        }
        {% endfor %}
    }
    {% endfor %}
}
