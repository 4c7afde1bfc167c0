// A workgroup of 256 computes a tile of 64 rows x 64 columns: 16 k values of both tiles at a time go through
// workgroup memory (weights dequantized on the way), each thread keeps 4 x 4 sums in registers.
var<workgroup> a_tile: array<vec4f, 256>; // [4 groups of k, 64 rows]
var<workgroup> w_tile: array<vec4f, 256>; // [4 groups of k, 64 columns]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile_row = (group.y + group.z * groups.y) * 64u;
    let tile_column = group.x * 64u;
    // What this thread carries into workgroup memory: one row of A, one column of W, one group of k.
    let lane_k = thread / 64u;
    let lane = thread % 64u;
    let load_row = min(tile_row + lane, params.m - 1u);
    let load_column = params.first_column + min(tile_column + lane, params.n - 1u);
{% if conv %}
    let pixel = pixel_of(load_row);
{% endif %}
    // What it computes: rows thread_row .. + 4, columns thread_column .. + 4.
    let thread_row = (thread / 16u) * 4u;
    let thread_column = (thread % 16u) * 4u;
{% for i in range(4) %}
    var sum{{ i }} = vec4f(0.0);
{% endfor %}

    for (var start = 0u; start < params.k4; start += 4u) {
        let k4 = start + lane_k;
        var value = vec4f(0.0);
        var w = vec4f(0.0);
        if (k4 < params.k4) {
{% if conv %}
            let tap = k4 / params.a_c4;
            let c = k4 % params.a_c4;
            let base = tap_base(pixel, tap);
            if (base >= 0) { value = vec4f(a[u32(base) + c]); }
            let weight_k4 = tap * params.weight_c4 + params.first_c4 + c;
{% elif concat %}
            if (k4 < params.a_c4) {
                value = vec4f(a[load_row * params.a_c4 + k4]);
            } else {
                value = vec4f(skip[load_row * params.a2_c4 + k4 - params.a_c4]);
            }
{% else %}
            value = vec4f(a[load_row * params.a_c4 + k4]);
{% endif %}
{% if not conv %}
            let weight_k4 = params.first_c4 + k4;
{% endif %}
            w = load_weight(weight_k4, load_column){% if quantized %} * load_scale(weight_k4, load_column){% endif %};
        }
        workgroupBarrier();
        a_tile[thread] = value;
        w_tile[thread] = w;
        workgroupBarrier();
{% for k in range(4) %}
        {
            let w0 = w_tile[{{ k * 64 }}u + thread_column];
            let w1 = w_tile[{{ k * 64 }}u + thread_column + 1u];
            let w2 = w_tile[{{ k * 64 }}u + thread_column + 2u];
            let w3 = w_tile[{{ k * 64 }}u + thread_column + 3u];
{% for i in range(4) %}
            let a{{ i }} = a_tile[{{ k * 64 }}u + thread_row + {{ i }}u];
            sum{{ i }} += vec4f(dot(a{{ i }}, w0), dot(a{{ i }}, w1), dot(a{{ i }}, w2), dot(a{{ i }}, w3));
{% endfor %}
        }
{% endfor %}
    }

    let column = tile_column + thread_column;
    if (column < params.n) {
{% for i in range(4) %}
        if (tile_row + thread_row + {{ i }}u < params.m) { store(tile_row + thread_row + {{ i }}u, column, sum{{ i }}); }
{% endfor %}
    }
}
