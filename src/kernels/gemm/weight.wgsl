// The packed weight: `load_weight(k4, n)` gives W[n, 4 * k4 .. 4 * k4 + 4].
{% if weight == "F32" %}
@group(0) @binding({{ b.i }}) var<storage, {{ b.access }}> weight: array<vec4f>; // [K/4, weight_n]
{% elif weight == "F16" %}
@group(0) @binding({{ b.i }}) var<storage, {{ b.access }}> weight: array<vec2u>; // [K/4, weight_n], two halves a word
{% elif weight == "Q8" %}
@group(0) @binding({{ b.i }}) var<storage, {{ b.access }}> weight: array<u32>; // [K/4, weight_n], four signed bytes a word
{% elif weight == "Q5" %}
@group(0) @binding({{ b.i }}) var<storage, {{ b.access }}> weight: array<u32>; // [K/32, 5, weight_n]: nibbles as of Q4, then the fifth bits
{% else %}
@group(0) @binding({{ b.i }}) var<storage, {{ b.access }}> weight: array<u32>; // [K/8, weight_n], eight nibbles a word
{% endif %}
{% set b.i = b.i + 1 %}
{% if quantized %}
@group(0) @binding({{ b.i }}) var<storage, {{ b.access }}> scales: array<u32>; // [K/32, weight_n] halves, two a word
{% set b.i = b.i + 1 %}

// The scale of the block of 32 values that k4 lies in.
fn load_scale(k4: u32, n: u32) -> f32 {
    let at = (k4 / 8u) * params.weight_n + n;
    let pair = unpack2x16float(scales[at / 2u]);
    return select(pair.x, pair.y, (at & 1u) == 1u);
}
{% endif %}

fn load_weight(k4: u32, n: u32) -> vec4f {
{% if weight == "F32" %}
    return weight[k4 * params.weight_n + n];
{% elif weight == "F16" %}
    let word = weight[k4 * params.weight_n + n];
    return vec4f(unpack2x16float(word.x), unpack2x16float(word.y));
{% elif weight == "Q8" %}
    let word = bitcast<i32>(weight[k4 * params.weight_n + n]);
    return vec4f(vec4i(word << 24u, word << 16u, word << 8u, word) >> vec4u(24u));
{% elif weight == "Q5" %}
    let block = k4 / 8u * 5u;
    let low = weight[(block + k4 % 8u / 2u) * params.weight_n + n] >> ((k4 & 1u) * 16u);
    let high = weight[(block + 4u) * params.weight_n + n] >> ((k4 & 7u) * 4u);
    let codes = ((vec4u(low) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u)) | (((vec4u(high) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(1u)) << vec4u(4u));
    return vec4f(codes) - 16.0;
{% else %}
    let word = weight[(k4 / 2u) * params.weight_n + n] >> ((k4 & 1u) * 16u);
    return vec4f((vec4u(word) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u)) - 8.0;
{% endif %}
}
