// Attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): no matrix of scores is stored.
{% set lanes = head_dim // 4 %}
{% include "common/elem.wgsl" %}
{% set tile = variant.Blocked if variant is mapping else none %}
{% if browser and tile and tile.shuffles %}
enable subgroups;
{% endif %}

{% include "attention/params.wgsl" %}

@group(0) @binding(0) var<uniform> params: Params;
{% if shared_qkv %}
@group(0) @binding(1) var<storage, read> qkv: array<vec4<elem>>; // [N, T, q_stride], merged projections
{% else %}
@group(0) @binding(1) var<storage, read> q: array<vec4<elem>>; // [N, Tq, q_stride]
@group(0) @binding(2) var<storage, read> kv: array<vec4<elem>>; // [N, Tk, kv_stride]
{% endif %}
{% if hides %}
@group(0) @binding({{ 3 - shared_qkv }}) var<storage, read> hidden: array<u32>; // [N, Tk]
{% endif %}
@group(0) @binding({{ 3 - shared_qkv + hides }}) var<storage, read_write> output: array<vec4<elem>>; // [N, Tq, heads · D]

{% include "common/linear.wgsl" %}

// What a masked score becomes: finite, so that differences of two stay finite.
const MASKED = -1.0e30;

{% if not tile %}
fn read_q(index: u32) -> vec4<f32> {
    return vec4<f32>({{ "qkv" if shared_qkv else "q" }}[index]);
}

fn read_kv(index: u32) -> vec4<f32> {
    return vec4<f32>({{ "qkv" if shared_qkv else "kv" }}[index]);
}

{% endif %}
// Where the first four values of a query's head lie.
fn q_start(image: u32, query: u32, head: u32) -> u32 {
    return ((image * params.queries + query) * params.q_stride + params.q_offset) / 4u + head * {{ lanes }}u;
}

// Where the first four values of a head of key or value 0 lie.
fn kv_start(image: u32, offset: u32, head: u32) -> u32 {
    return (image / params.kv_images * params.kv_batch_stride + offset) / 4u + head * {{ lanes }}u;
}

{% if hides %}
// Whether a key, of those before `end`, is seen at all.
fn is_seen(image: u32, key: u32, end: u32) -> bool {
    return hidden[image / params.kv_images * params.keys + min(key, end - 1u)] == 0u;
}

{% endif %}
{% if tile %}
{% include "attention/blocked.wgsl" %}
{% elif variant == "Rows" %}
{% include "attention/rows.wgsl" %}
{% else %}
{% include "attention/tiled.wgsl" %}
{% endif %}
