// One workgroup per (image, head, {{ tile.down * tile.own }} queries), {{ 4 * tile.across }} keys at a time. Invocation (down, across) of {{ tile.down }} × {{ tile.across }} owns
// {{ tile.own }} queries: first their scores for four keys, then their output's columns across, across + {{ tile.across }}, …
// Every tile is read as four neighbours at once: queries and keys channel by channel, numerators and values key by key.
{% set vectors = tile.own // 4 %}
{% set quads = tile.down * vectors %}
{% set keys = 4 * tile.across %}
{% set invocations = tile.down * tile.across %}
{% set columns = (head_dim + tile.across - 1) // tile.across %}
{% set value_rows = tile.values // 4 * columns %}
{% set value_tile = "value_tile" if tile.apart else "key_tile" %}
{% set whole = tile.channels == head_dim %}
{# Long shaders leave the instruction cache: from heads of 64 on the steps are loops. #}
{% set step = tile.channels if head_dim < 64 else (8 if tile.channels % 8 == 0 else 4) %}
{% set reaches = [1, 2, 4, 8, 16] %}
alias Quad = vec4<elem>;
alias Numerators = vec4<{{ "f32" if tile.single else "elem" }}>;

// [channel, query / 4]
var<workgroup> query_tile: array<array<Quad, {{ quads }}>, {{ head_dim if tile.resident else tile.channels }}>;
{% if tile.apart %}
// [channel, key / 4]
var<workgroup> key_tile: array<array<Quad, {{ tile.across }}>, {{ tile.channels }}>;
// [key / 4, column / {{ tile.across }}][column % {{ tile.across }}], values of four keys
var<workgroup> value_tile: array<array<Quad, {{ tile.across }}>, {{ value_rows }}>;
{% else %}
// keys as [channel, key / 4]; then values of four keys as [key / 4, column / {{ tile.across }}][column % {{ tile.across }}]
var<workgroup> key_tile: array<array<Quad, {{ tile.across }}>, {{ [tile.channels, value_rows]|max }}>;
{% endif %}
// [key, query / 4], softmax numerators; in the end [column, query / 4], the output
var<workgroup> weight_tile: array<array<Numerators, {{ quads }}>, {{ keys }}>;
{% if not tile.shuffles %}
// [query / 4, across], maxima and sums of four queries
var<workgroup> shared_rows: array<array<vec4<f32>, {{ tile.across }}>, {{ quads }}>;
{% endif %}

// A lane of four queries from `first` on, turned: four channels of four queries. Beyond the last one, the last one's.
fn read_queries(image: u32, head: u32, first: u32, lane: u32) -> mat4x4<elem> {
    let last = params.queries - 1u;
    return transpose(mat4x4<elem>(
        {% for r in range(4) %}
        {{ "qkv" if shared_qkv else "q" }}[q_start(image, min(first + {{ r }}u, last), head) + lane],
        {% endfor %}
    ));
}

// The same of keys or values before `end`; `at` is that lane of the first of all.
fn read_keys(at: u32, first: u32, end: u32) -> mat4x4<elem> {
    let lanes = params.kv_stride / 4u;
    return transpose(mat4x4<elem>(
        {% for r in range(4) %}
        {{ "qkv" if shared_qkv else "kv" }}[at + min(first + {{ r }}u, end - 1u) * lanes],
        {% endfor %}
    ));
}

// Lane and quad number `i` of the keys from `start` on; `at` is the first lane of the first of all.
fn stage_keys(i: u32, at: u32, start: u32, end: u32) {
    let quad = i % {{ tile.across }}u;
    let lane = i / {{ tile.across }}u;
    let turned = read_keys(at + lane, start + 4u * quad, end);
    {% for r in range(4) %}
    key_tile[4u * lane + {{ r }}u][quad] = turned[{{ r }}];
    {% endfor %}
}

// The same of {{ tile.values }} values.
fn stage_values(i: u32, at: u32, start: u32, end: u32) {
    let quad = i % {{ tile.values // 4 }}u;
    let lane = i / {{ tile.values // 4 }}u;
    let turned = read_keys(at + lane, start + 4u * quad, end);
    let row = quad * {{ columns }}u + 4u * lane / {{ tile.across }}u;
    let column = 4u * lane % {{ tile.across }}u;
    {% for r in range(4) %}
    {{ value_tile }}[row][column + {{ r }}u] = turned[{{ r }}];
    {% endfor %}
}

// {{ head_dim if tile.resident else tile.channels }} channels of the queries, from `lane` on.
fn stage_queries(local: u32, image: u32, head: u32, first_query: u32, first_lane: u32) {
    for (var i = local; i < {{ quads * (head_dim if tile.resident else tile.channels) // 4 }}u; i += {{ invocations }}u) {
        let quad = i % {{ quads }}u;
        let lane = i / {{ quads }}u;
        let turned = read_queries(image, head, first_query + 4u * quad, first_lane + lane);
        {% for r in range(4) %}
        query_tile[4u * lane + {{ r }}u][quad] = turned[{{ r }}];
        {% endfor %}
    }
}

@compute @workgroup_size({{ invocations }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid); // (image · heads + head) · tiles + tile
    let tiles = (params.queries + {{ 4 * quads - 1 }}u) / {{ 4 * quads }}u;
    if (index >= params.batch * params.heads * tiles) {
        return;
    }
    let first_query = index % tiles * {{ 4 * quads }}u;
    let head = index / tiles % params.heads;
    let image = index / tiles / params.heads;
    let down = local / {{ tile.across }}u;
    let across = local % {{ tile.across }}u;
    let k_at = kv_start(image, params.k_offset, head);
    let v_at = kv_start(image, params.v_offset, head);
    let end = {% if causal %}min(params.keys, first_query + {{ 4 * quads }}u){% else %}params.keys{% endif %};
    let scale = params.scale * 1.4426950408889634; // for powers of two

    {% for v in range(vectors) %}
    {% if causal %}
    let query{{ v }} = vec4<u32>(0u, 1u, 2u, 3u) + (first_query + 4u * (down + {{ tile.down * v }}u));
    {% endif %}
    var largest{{ v }} = vec4<f32>(MASKED);
    var total{{ v }} = vec4<f32>(0.0); // of this invocation's keys alone
    {% for c in range(columns) %}
    var sum{{ v }}_{{ c }} = vec4<f32>(0.0);
    {% endfor %}
    {% endfor %}
    {% if tile.resident %}
    stage_queries(local, image, head, first_query, 0u);
    {% endif %}

    for (var start = 0u; start < end; start += {{ keys }}u) {
        // the scores of four keys
        {% for k in range(4) %}
        {% for v in range(vectors) %}
        var score{{ k }}_{{ v }} = vec4<f32>(0.0);
        {% endfor %}
        {% endfor %}
        {% if whole %}
        {
            const base = 0u;
        {% else %}
        for (var base = 0u; base < {{ head_dim }}u; base += {{ tile.channels }}u) {
        {% endif %}
            workgroupBarrier();
            {% if not tile.resident %}
            stage_queries(local, image, head, first_query, base / 4u);
            {% endif %}
            {% set of_keys = keys * tile.channels // 16 %}
            {% set of_values = tile.values * head_dim // 16 %}
            {% if tile.apart %}
            for (var i = local; i < {{ of_keys + of_values }}u; i += {{ invocations }}u) {
                if (i < {{ of_keys }}u) {
                    stage_keys(i, k_at, start, end);
                } else {
                    stage_values(i - {{ of_keys }}u, v_at, start, end);
                }
            }
            {% else %}
            for (var i = local; i < {{ of_keys }}u; i += {{ invocations }}u) {
                stage_keys(i, k_at + base / 4u, start, end);
            }
            {% endif %}
            workgroupBarrier();
            {% if step == tile.channels %}
            {
                const channel = 0u;
            {% else %}
            for (var channel = 0u; channel < {{ tile.channels }}u; channel += {{ step }}u) {
            {% endif %}
                {% for d in range(step) %}
                let keys{{ d }} = vec4<f32>(key_tile[channel + {{ d }}u][across]);
                {% for v in range(vectors) %}
                let queries{{ d }}_{{ v }} = vec4<f32>(query_tile[{{ "base + " if tile.resident }}channel + {{ d }}u][down + {{ tile.down * v }}u]);
                {% for k, lane in [(0, "x"), (1, "y"), (2, "z"), (3, "w")] %}
                score{{ k }}_{{ v }} += keys{{ d }}.{{ lane }} * queries{{ d }}_{{ v }};
                {% endfor %}
                {% endfor %}
                {% endfor %}
            }
        }
        {% for k in range(4) %}
        let key{{ k }} = start + 4u * across + {{ k }}u;
        let seen{{ k }} = key{{ k }} < end{{ " && is_seen(image, key" ~ k ~ ", end)" if hides }};
        {% for v in range(vectors) %}
        {% if causal %}
        let visible{{ k }}_{{ v }} = (vec4<u32>(key{{ k }}) <= query{{ v }}) & vec4<bool>(seen{{ k }});
        {% else %}
        let visible{{ k }}_{{ v }} = vec4<bool>(seen{{ k }});
        {% endif %}
        score{{ k }}_{{ v }} = select(vec4<f32>(MASKED), score{{ k }}_{{ v }} * scale, visible{{ k }}_{{ v }});
        {% endfor %}
        {% endfor %}

        // the largest score of each query so far; what was summed up is scaled to it
        {% for v in range(vectors) %}
        var now{{ v }} = max(max(score0_{{ v }}, score1_{{ v }}), max(score2_{{ v }}, score3_{{ v }}));
        {% endfor %}
        {% if tile.shuffles %}
        {% for reach in reaches if reach < tile.across %}
        {% for v in range(vectors) %}
        now{{ v }} = max(now{{ v }}, subgroupShuffleXor(now{{ v }}, {{ reach }}u));
        {% endfor %}
        {% endfor %}
        {% else %}
        {% for v in range(vectors) %}
        shared_rows[down + {{ tile.down * v }}u][across] = now{{ v }};
        {% endfor %}
        workgroupBarrier();
        {% for v in range(vectors) %}
        {% for i in range(tile.across) %}
        now{{ v }} = max(now{{ v }}, shared_rows[down + {{ tile.down * v }}u][{{ i }}]);
        {% endfor %}
        {% endfor %}
        {% endif %}
        {% for v in range(vectors) %}
        now{{ v }} = max(now{{ v }}, largest{{ v }});
        let keep{{ v }} = exp2(largest{{ v }} - now{{ v }});
        largest{{ v }} = now{{ v }};
        total{{ v }} *= keep{{ v }};
        {% for k in range(4) %}
        let weight{{ k }}_{{ v }} = exp2(score{{ k }}_{{ v }} - now{{ v }});
        total{{ v }} += weight{{ k }}_{{ v }};
        weight_tile[4u * across + {{ k }}u][down + {{ tile.down * v }}u] = Numerators(weight{{ k }}_{{ v }});
        {% endfor %}
        {% for c in range(columns) %}
        sum{{ v }}_{{ c }} *= keep{{ v }};
        {% endfor %}
        {% endfor %}

        // the values, weighted
        {% if tile.values == keys %}
        {
            const first = 0u;
        {% else %}
        let count = min({{ keys }}u, end - start);
        for (var first = 0u; first < count; first += {{ tile.values }}u) {
        {% endif %}
            workgroupBarrier();
            {% if not tile.apart %}
            for (var i = local; i < {{ of_values }}u; i += {{ invocations }}u) {
                stage_values(i, v_at, start + first, end);
            }
            workgroupBarrier();
            {% endif %}
            {% set at_once = tile.values // 4 if step == tile.channels else 1 %}
            {% if 4 * at_once == tile.values %}
            {
                const quad = 0u;
            {% else %}
            for (var quad = 0u; quad < {{ tile.values // 4 }}u; quad += {{ at_once }}u) {
            {% endif %}
                {% for i in range(at_once) %}
                {% for k in range(4) %}
                {% for v in range(vectors) %}
                let weights{{ i }}_{{ k }}_{{ v }} = vec4<f32>(weight_tile[first + 4u * quad + {{ 4 * i + k }}u][down + {{ tile.down * v }}u]);
                {% endfor %}
                {% endfor %}
                {% for c in range(columns) %}
                let values{{ i }}_{{ c }} = vec4<f32>({{ value_tile }}[quad * {{ columns }}u + {{ i * columns + c }}u][across]);
                {% for k, lane in [(0, "x"), (1, "y"), (2, "z"), (3, "w")] %}
                {% for v in range(vectors) %}
                sum{{ v }}_{{ c }} += values{{ i }}_{{ c }}.{{ lane }} * weights{{ i }}_{{ k }}_{{ v }};
                {% endfor %}
                {% endfor %}
                {% endfor %}
                {% endfor %}
            }
        }
    }

    {% if tile.shuffles %}
    {% for reach in reaches if reach < tile.across %}
    {% for v in range(vectors) %}
    total{{ v }} += subgroupShuffleXor(total{{ v }}, {{ reach }}u);
    {% endfor %}
    {% endfor %}
    {% else %}
    {% for v in range(vectors) %}
    shared_rows[down + {{ tile.down * v }}u][across] = total{{ v }};
    {% endfor %}
    workgroupBarrier();
    {% for v in range(vectors) %}
    total{{ v }} = vec4<f32>(0.0);
    {% for i in range(tile.across) %}
    total{{ v }} += shared_rows[down + {{ tile.down * v }}u][{{ i }}];
    {% endfor %}
    {% endfor %}
    {% endif %}

    // the output, {{ keys }} columns at a time, turned in what held the numerators
    {% for batch in range((columns + 3) // 4) %}
    workgroupBarrier();
    {% for c in range(4) if 4 * batch + c < columns %}
    {% for v in range(vectors) %}
    weight_tile[across + {{ tile.across * c }}u][down + {{ tile.down * v }}u] = Numerators(sum{{ v }}_{{ 4 * batch + c }} / total{{ v }});
    {% endfor %}
    {% endfor %}
    workgroupBarrier();
    {% set left = [tile.across, lanes - batch * tile.across]|min %}
    for (var i = local; i < {{ 4 * quads * left }}u; i += {{ invocations }}u) {
        let lane = i % {{ left }}u;
        let query = i / {{ left }}u;
        if (first_query + query < params.queries) {
            let row = (image * params.queries + first_query + query) * params.heads + head;
            output[row * {{ lanes }}u + {{ batch * tile.across }}u + lane] = Quad(Numerators(
                {% for r in range(4) %}
                weight_tile[4u * lane + {{ r }}u][query / 4u][query % 4u],
                {% endfor %}
            ));
        }
    }
    {% endfor %}
}
