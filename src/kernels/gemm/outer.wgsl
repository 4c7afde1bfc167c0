// A workgroup of {{ tile }} computes a tile of {{ tile }} rows x {{ tile }} columns as a sum of outer products. 16 k values of both sides
// at a time lie in workgroup memory k by k, four rows or columns a vector (weights dequantized on the way), so that
// a step along k is {{ tm // 4 + 2 }} loads for {{ tm * 8 }} sums a thread, and neighbouring threads read neighbouring vectors. The steps are
// written out: a constant first index needs no clamp, and the rest of the address is the same in all of them.
var<workgroup> a_tile: array<array<vec4f, {{ tile // 4 }}>, 16>; // [k][four rows]
var<workgroup> w_tile: array<array<vec4f, {{ tile // 4 }}>, 16>; // [k][four columns]

@compute @workgroup_size({{ tile }})
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile_column = group.x * {{ tile }}u;
{% if split %}
    let tile_row = group.y * {{ tile }}u;
    let first = group.z * params.cut_k4;
    let last = min(first + params.cut_k4, params.k4);
{% else %}
    let tile_row = (group.y + group.z * groups.y) * {{ tile }}u;
    let first = 0u;
    let last = params.k4;
{% endif %}
    // What this thread carries into workgroup memory: of four rows of A and of four columns of W one group of k.
    let lane_k = (thread / 8u) % 4u;
    let lane = thread % 8u + (thread / 32u) * 8u;
    let load_column = params.first_column + min(tile_column + lane * 4u, params.n - 4u);
{% for i in range(4) %}
    let row{{ i }} = min(tile_row + lane * 4u + {{ i }}u, params.m - 1u);
{% endfor %}
{% if conv %}
    // Addresses change with the tap only.
    var tap = (first + lane_k) / params.a_c4;
    var c = (first + lane_k) % params.a_c4;
{% for i in range(4) %}
    let pixel{{ i }} = pixel_of(row{{ i }});
    var base{{ i }} = tap_base(pixel{{ i }}, tap);
{% endfor %}
{% endif %}
    // What it computes: four rows of every 32 of the tile, and four columns of each of its halves.
    let thread_row = thread / {{ tile // 8 }}u;
    let thread_column = thread % {{ tile // 8 }}u;
{% for i in range(tm) %}
    var sum{{ i }}_0 = vec4f(0.0);
    var sum{{ i }}_1 = vec4f(0.0);
{% endfor %}

    for (var start = first; start < last; start += 4u) {
        let k4 = start + lane_k;
{% for i in range(4) %}
        var value{{ i }} = vec4f(0.0);
{% endfor %}
        var w = mat4x4f();
        if (k4 < last) {
{% if conv %}
            if (c >= params.a_c4) {
                tap += c / params.a_c4;
                c %= params.a_c4;
{% for i in range(4) %}
                base{{ i }} = tap_base(pixel{{ i }}, tap);
{% endfor %}
            }
{% for i in range(4) %}
            if (base{{ i }} >= 0) { value{{ i }} = vec4f(a[u32(base{{ i }}) + c]); }
{% endfor %}
{% if transposed %}
            w = transpose(load_weights(turned_k4(tap) + load_column / 4u, c * 4u));
{% else %}
            w = load_weights(tap * params.weight_c4 + params.first_c4 + c, load_column);
{% endif %}
            c += 4u;
{% elif concat %}
            if (k4 < params.a_c4) {
{% for i in range(4) %}
                value{{ i }} = vec4f(a[row{{ i }} * params.a_c4 + k4]);
{% endfor %}
            } else {
{% for i in range(4) %}
                value{{ i }} = vec4f(skip[row{{ i }} * params.a2_c4 + k4 - params.a_c4]);
{% endfor %}
            }
            w = load_weights(k4, load_column);
{% else %}
{% for i in range(4) %}
            value{{ i }} = vec4f(a[{{ "row" ~ i ~ " * params.a_row4 + params.a_first4" if window else "row" ~ i ~ " * params.a_c4" }} + k4]);
{% endfor %}
{% if transposed %}
            w = transpose(load_weights(load_column / 4u, k4 * 4u));
{% else %}
            w = load_weights(params.first_c4 + k4, load_column);
{% endif %}
{% endif %}
        }
        let values = transpose(mat4x4f(value0, value1, value2, value3));
        workgroupBarrier();
{% for k in range(4) %}
        a_tile[lane_k * 4u + {{ k }}u][lane] = values[{{ k }}];
        w_tile[lane_k * 4u + {{ k }}u][lane] = w[{{ k }}];
{% endfor %}
        workgroupBarrier();
{% for k in range(16) %}
        {
{% for i in range(tm // 4) %}
            let a{{ i }} = a_tile[{{ k }}][thread_row + {{ i * 8 }}u];
{% endfor %}
            let w0 = w_tile[{{ k }}][thread_column];
            let w1 = w_tile[{{ k }}][thread_column + {{ tile // 8 }}u];
{% for i in range(tm) %}
            sum{{ i }}_0 += a{{ i // 4 }}.{{ ["x", "y", "z", "w"][i % 4] }} * w0;
            sum{{ i }}_1 += a{{ i // 4 }}.{{ ["x", "y", "z", "w"][i % 4] }} * w1;
{% endfor %}
        }
{% endfor %}
    }

{% for i in range(tm) %}
    {
        let row = tile_row + (thread_row + {{ i // 4 * 8 }}u) * 4u + {{ i % 4 }}u;
        if (row < params.m) {
{% for j in range(2) %}
            let column{{ j }} = tile_column + (thread_column + {{ j * tile // 8 }}u) * 4u;
            if (column{{ j }} < params.n) {
{% if split %}
                out[((group.z * params.m + row) * params.n + column{{ j }}) / 4u] = sum{{ i }}_{{ j }};
{% else %}
                store(row, column{{ j }}, sum{{ i }}_{{ j }});
{% endif %}
            }
{% endfor %}
        }
    }
{% endfor %}
}
