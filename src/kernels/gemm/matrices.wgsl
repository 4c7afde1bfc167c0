{% set m = matrices %}
{% set stride = m.groups + 2 %}
{% set lanes_k = m.groups // m.unit %}
{% set row_step = m.threads // lanes_k %}
{% set a_runs = m.rows // row_step %}
{% set k_step = m.threads // m.columns %}
{% set w_runs = lanes_k // k_step %}
{% set fm = m.fragments[0] %}
{% set fn = m.fragments[1] %}
{% set first_of = "[0]" if m.unit == 2 else "" %}
{# Whatever WGSL calls matrix units is spelled here, and in the one `enable` of kernel.wgsl; T means row after row. #}
{% set fragment_of_sums = "coop_mat16x16<f32, C>" %}
{% set load_rows = "coopLoadT<coop_mat16x16<f16, A>>(&a_tile[AT]" ~ first_of ~ ", " ~ stride ~ "u)" %}
{% set load_columns = "coopLoad<coop_mat16x16<f16, B>>(&w_tile[AT]" ~ first_of ~ ", " ~ stride ~ "u)" %}
{% set multiply_add = "coopMultiplyAdd(ROWS, COLUMNS, SUM)" %}
{% set store_rows = "coopStoreT(SUM, &c_tile[AT], 20u)" %}
// A workgroup of {{ m.threads }} computes a tile of {{ m.rows }} rows x {{ m.columns }} columns by the adapter's matrix units: {{ m.subgroups[0] }} x {{ m.subgroups[1] }} subgroups of
// 32, each with {{ fm }} x {{ fn }} fragments of 16 x 16 sums in f32. {{ m.groups * 4 }} k values of both sides at a time lie in workgroup memory in
// halves (weights dequantized on the way), row by row and column by column; a row is 8 halves longer than that, so that
// the loads of a fragment do not meet in the banks.
{% if m.unit == 2 %}
alias Run = array<vec4<f16>, 2>;
{% else %}
alias Run = vec4<f16>;
{% endif %}
var<workgroup> a_tile: array<Run, {{ m.rows * stride // m.unit }}>; // [rows][{{ stride }} groups of k]
var<workgroup> w_tile: array<Run, {{ m.columns * stride // m.unit }}>; // [columns][{{ stride }} groups of k]
var<workgroup> c_tile: array<f32, {{ m.subgroups[0] * m.subgroups[1] * 320 }}>; // [subgroups][16 rows][20 columns]

{% set moved = upsample or circular.x or circular.y %}
{% if conv and not moved %}
// Where the first tap's channels lie, in runs; only used where the tap is inside.
fn center(p: Pixel) -> i32 {
    return ((i32(p.image * params.in_h) + p.y) * i32(params.in_w) + p.x) * i32(params.a_c4 / {{ m.unit }}u);
}

// Bit `tap` says that it lies inside.
fn taps_inside(p: Pixel) -> u32 {
    var columns = 0u;
    for (var x = 0u; x < params.kernel_w; x++) {
        let at = p.x + i32(x);
        columns |= select(0u, 1u << x, at >= 0 && at < i32(params.in_w));
    }
    var inside = 0u;
    for (var y = 0u; y * params.kernel_w < params.taps; y++) {
        let at = p.y + i32(y);
        inside |= select(0u, columns << (y * params.kernel_w), at >= 0 && at < i32(params.in_h));
    }
    return inside;
}
{% endif %}

@compute @workgroup_size({{ m.threads }})
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile_column = group.x * {{ m.columns }}u;
{% if split %}
    let tile_row = group.y * {{ m.rows }}u;
    let first = group.z * params.cut_k4;
    let last = min(first + params.cut_k4, params.k4);
{% else %}
    let tile_row = (group.y + group.z * groups.y) * {{ m.rows }}u;
    let first = 0u;
    let last = params.k4;
{% endif %}
    // What this thread carries into workgroup memory: runs of {{ m.unit * 4 }} k values of {{ a_runs }} rows and of one column.
    let lane_k = thread % {{ lanes_k }}u;
    let lane_row = thread / {{ lanes_k }}u;
    let lane_column = thread % {{ m.columns }}u;
    let column_k = thread / {{ m.columns }}u;
    let load_column = params.first_column + min(tile_column + lane_column, params.n - 1u);
{% for j in range(a_runs) %}
    let row{{ j }} = min(tile_row + lane_row + {{ j * row_step }}u, params.m - 1u);
{% if conv %}
    let pixel{{ j }} = pixel_of(row{{ j }});
{% if moved %}
    var base{{ j }} = 0;
{% else %}
    let from{{ j }} = center(pixel{{ j }}) + i32(lane_k);
    let inside{{ j }} = taps_inside(pixel{{ j }});
{% endif %}
{% else %}
    let from{{ j }} = row{{ j }} * (params.a_c4 / {{ m.unit }}u) + lane_k;
{% if concat %}
    let second{{ j }} = row{{ j }} * (params.a2_c4 / {{ m.unit }}u) + lane_k;
{% endif %}
{% endif %}
    var value{{ j }}: Run;
{% endfor %}
{% for j in range(w_runs) %}
    var w{{ j }}: Run;
{% endfor %}
    // The position of the block that is read next.
    var next = first;
{% if conv %}
    var tap = first / params.a_c4;
    var c = first % params.a_c4;
    var fresh = true;
{% if not moved %}
    var tap_start = 0;
{% endif %}
{% endif %}
    // What it computes.
    let subgroup = thread / 32u;
    let lane = thread % 32u;
    let sub_row = (subgroup / {{ m.subgroups[1] }}u) * {{ fm * 16 }}u;
    let sub_column = (subgroup % {{ m.subgroups[1] }}u) * {{ fn * 16 }}u;
{% for i in range(fm) %}{% for j in range(fn) %}
    var sum{{ i }}_{{ j }}: {{ fragment_of_sums }};
{%- endfor %}{% endfor %}


{% if m.ahead %}
    {
{% include "gemm/matrices_load.wgsl" %}
    }
{% endif %}
    for (var start = first; start < last; start += {{ m.groups }}u) {
{% if not m.ahead %}
{% include "gemm/matrices_load.wgsl" %}
{% endif %}
        workgroupBarrier();
{% for j in range(a_runs) %}
        a_tile[(lane_row + {{ j * row_step }}u) * {{ stride // m.unit }}u + lane_k] = value{{ j }};
{% endfor %}
{% for j in range(w_runs) %}
        w_tile[lane_column * {{ stride // m.unit }}u + column_k + {{ j * k_step }}u] = w{{ j }};
{% endfor %}
        workgroupBarrier();
{% if m.ahead %}
        if (next < last) {
{% include "gemm/matrices_load.wgsl" %}
        }
{% endif %}
{% for k in range(m.groups // 4) %}
        {
{% for i in range(fm) %}
{% set at = "(sub_row + " ~ i * 16 ~ "u) * " ~ stride // m.unit ~ "u + " ~ k * 4 // m.unit ~ "u" %}
            let a{{ i }} = {{ load_rows | replace("AT", at) }};
{% endfor %}
{% for j in range(fn) %}
{% set at = "(sub_column + " ~ j * 16 ~ "u) * " ~ stride // m.unit ~ "u + " ~ k * 4 // m.unit ~ "u" %}
            let b{{ j }} = {{ load_columns | replace("AT", at) }};
{% for i in range(fm) %}
{% set sum = "sum" ~ i ~ "_" ~ j %}
            {{ sum }} = {{ multiply_add | replace("ROWS", "a" ~ i) | replace("COLUMNS", "b" ~ j) | replace("SUM", sum) }};
{% endfor %}
{% endfor %}
        }
{% endfor %}
    }

    // Sums leave through workgroup memory, a fragment of each subgroup at a time: what becomes of them is ordinary code.
    let c_at = subgroup * 320u;
    let lane_c = (lane % 4u) * 4u;
{% for i in range(fm) %}{% for j in range(fn) %}
    {{ store_rows | replace("SUM", "sum" ~ i ~ "_" ~ j) | replace("AT", "c_at + 0u") }};
    workgroupBarrier();
    for (var r = lane / 4u; r < 16u; r += 8u) {
        let at = c_at + r * 20u + lane_c;
        let row = tile_row + sub_row + {{ i * 16 }}u + r;
        let column = tile_column + sub_column + {{ j * 16 }}u + lane_c;
        if (row < params.m && column < params.n) {
            let sum = vec4f(c_tile[at], c_tile[at + 1u], c_tile[at + 2u], c_tile[at + 3u]);
{% if split %}
            out[((group.z * params.m + row) * params.n + column) / 4u] = sum;
{% else %}
            store(row, column, sum);
{% endif %}
        }
    }
    workgroupBarrier();
{% endfor %}{% endfor %}
}
