// The packed weight, four neighbouring columns at a time: column j of `load_weights(k4, n)` is
// W[n .. n + 4, 4 * k4 + j]; n is a multiple of 4.
{% if weight == "F32" %}
@group(0) @binding({{ b.i }}) var<storage, read> weight: array<vec4f>; // [K/4, weight_n]
{% elif weight == "F16" %}
@group(0) @binding({{ b.i }}) var<storage, read> weight: array<vec4u>; // [K/4, weight_n / 2], two halves a word
{% elif weight == "Q8" %}
@group(0) @binding({{ b.i }}) var<storage, read> weight: array<vec4u>; // [K/4, weight_n / 4], four signed bytes a word
{% elif weight == "Q5" %}
@group(0) @binding({{ b.i }}) var<storage, read> weight: array<vec4u>; // [K/32, 5, weight_n / 4]: nibbles as of Q4, then the fifth bits
{% else %}
@group(0) @binding({{ b.i }}) var<storage, read> weight: array<vec4u>; // [K/8, weight_n / 4], eight nibbles a word
{% endif %}
{% set b.i = b.i + 1 %}
{% if quantized %}
@group(0) @binding({{ b.i }}) var<storage, read> scales: array<vec2u>; // [K/32, weight_n / 4], two halves a word
{% set b.i = b.i + 1 %}

// The columns' scales in the block of 32 values that k4 lies in.
fn load_scales(k4: u32, n: u32) -> vec4f {
    let pairs = scales[((k4 / 8u) * params.weight_n + n) / 4u];
    return vec4f(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
}
{% elif weight == "F16" %}
fn halves(words: vec2u) -> vec4f {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}
{% endif %}

fn load_weights(k4: u32, n: u32) -> mat4x4f {
{% if weight == "F32" %}
    let at = k4 * params.weight_n + n;
    return transpose(mat4x4f(weight[at], weight[at + 1u], weight[at + 2u], weight[at + 3u]));
{% elif weight == "F16" %}
    let at = (k4 * params.weight_n + n) / 2u;
    let left = weight[at];
    let right = weight[at + 1u];
    return transpose(mat4x4f(halves(left.xy), halves(left.zw), halves(right.xy), halves(right.zw)));
{% elif weight == "Q8" %}
    let words = bitcast<vec4i>(weight[(k4 * params.weight_n + n) / 4u]);
    let scale = load_scales(k4, n);
    return mat4x4f(
        vec4f((words << vec4u(24u)) >> vec4u(24u)) * scale,
        vec4f((words << vec4u(16u)) >> vec4u(24u)) * scale,
        vec4f((words << vec4u(8u)) >> vec4u(24u)) * scale,
        vec4f(words >> vec4u(24u)) * scale,
    );
{% elif weight == "Q5" %}
    let block = k4 / 8u * 5u;
    let low = weight[((block + k4 % 8u / 2u) * params.weight_n + n) / 4u] >> vec4u((k4 & 1u) * 16u);
    let high = weight[((block + 4u) * params.weight_n + n) / 4u] >> vec4u((k4 & 7u) * 4u);
    let scale = load_scales(k4, n);
    return mat4x4f(
        (vec4f((low & vec4u(15u)) | ((high & vec4u(1u)) << vec4u(4u))) - 16.0) * scale,
        (vec4f(((low >> vec4u(4u)) & vec4u(15u)) | ((high & vec4u(2u)) << vec4u(3u))) - 16.0) * scale,
        (vec4f(((low >> vec4u(8u)) & vec4u(15u)) | ((high & vec4u(4u)) << vec4u(2u))) - 16.0) * scale,
        (vec4f(((low >> vec4u(12u)) & vec4u(15u)) | ((high & vec4u(8u)) << vec4u(1u))) - 16.0) * scale,
    );
{% else %}
    let words = weight[((k4 / 2u) * params.weight_n + n) / 4u] >> vec4u((k4 & 1u) * 16u);
    let scale = load_scales(k4, n);
    return mat4x4f(
        (vec4f(words & vec4u(15u)) - 8.0) * scale,
        (vec4f((words >> vec4u(4u)) & vec4u(15u)) - 8.0) * scale,
        (vec4f((words >> vec4u(8u)) & vec4u(15u)) - 8.0) * scale,
        (vec4f((words >> vec4u(12u)) & vec4u(15u)) - 8.0) * scale,
    );
{% endif %}
}
