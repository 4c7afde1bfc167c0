// What becomes of a sum: `store` is where a product ends, whether one kernel computes it or several.
{% include "gemm/activation.wgsl" %}
{% if bias %}
@group(0) @binding({{ b.i }}) var<storage, read> bias: array<vec4f>; // [weight_n / 4]
{% set b.i = b.i + 1 %}
{% endif %}
{% if act == "prelu" %}
@group(0) @binding({{ b.i }}) var<storage, read> slope: array<vec4f>; // [weight_n / 4]
{% set b.i = b.i + 1 %}
{% endif %}
{% if time %}
@group(0) @binding({{ b.i }}) var<storage, read> time: array<elem>; // [sum of all layers' N]
{% set b.i = b.i + 1 %}
{% endif %}
{% if residual %}
@group(0) @binding({{ b.i }}) var<storage, read> residual: array<vec4<elem>>; // like out
{% set b.i = b.i + 1 %}
{% endif %}
{% if geglu %}
@group(0) @binding({{ b.i }}) var<storage, read_write> out: array<vec2<elem>>; // [M, N / 2]
{% else %}
@group(0) @binding({{ b.i }}) var<storage, read_write> out: array<vec4<elem>>; // [M, N]
{% endif %}

{% set slopes = ", slope[(params.first_column + column) / 4u]" if act == "prelu" else "" %}
// Writes four neighbouring columns of one row; the first is a multiple of 4.
fn store(row: u32, column: u32, sum: vec4f) {
{% if window %}
    var v = params.scale * sum;
    let at = (row * params.out_row + params.out_first + column) / 4u;
{% else %}
    var v = sum;
    let at = (row * params.n + column) / 4u;
{% endif %}
{% if bias %}
    v += bias[(params.first_column + column) / 4u];
{% endif %}
{% if time %}
    let t = params.time_offset + column;
    v += vec4f(f32(time[t]), f32(time[t + 1u]), f32(time[t + 2u]), f32(time[t + 3u]));
{% endif %}
{% if geglu %}
    let gate = gelu(v);
    out[at] = vec2<elem>(v.xz * gate.yw);
{% else %}
{% if act != "none" and not act_last %}
    v = activate(v{{ slopes }});
{% endif %}
{% if residual %}
    v += vec4f(residual[at]);
{% endif %}
{% if accumulate %}
    v += vec4f(out[at]);
{% endif %}
{% if act != "none" and act_last %}
    v = activate(v{{ slopes }});
{% endif %}
    out[at] = vec4<elem>(v);
{% endif %}
}
