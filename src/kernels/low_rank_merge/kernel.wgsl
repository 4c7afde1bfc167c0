// W[n, k] += the sum over r of left[r, n] * right[r, k], in place. An invocation takes {{ rows }} neighbouring rows and {{ 4 * groups }} values
// along K of each.
struct Params {
    rows: u32,
    first: u32,
    weight_n: u32,
    k4: u32,
    rank: u32,
    half: u32,
    seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> left: array<f32>; // [rank, rows]
@group(0) @binding(2) var<storage, read> right: array<vec4f>; // [rank, K/4]
{% set b = namespace(i=3, access="read_write") %}
{% include "gemm/weight.wgsl" %}

{% include "common/linear.wgsl" %}

// The nearest half of a value, a tie's even one, whatever the device's own way is; as bits.
fn half_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let sign = (bits >> 16u) & 0x8000u;
    let size = bits & 0x7fffffffu;
    if (size >= 0x47800000u) {
        return sign | 0x7c00u;
    }
    if (size < 0x38800000u) {
        return sign | u32(round(bitcast<f32>(size) * 16777216.0)); // a subnormal's steps are 2^-24
    }
    return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u);
}

{% if quantized %}
// A number from 0 to below 1 that looks like chance.
fn chance(place: u32) -> f32 {
    var x = place;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return f32((x ^ (x >> 16u)) >> 8u) / 16777216.0;
}

// The value that is furthest from zero.
fn largest(values: array<vec4f, 8>) -> f32 {
    var most = 0.0;
    for (var j = 0u; j < 8u; j++) {
        let four = values[j];
        for (var i = 0u; i < 4u; i++) {
            most = select(most, four[i], abs(four[i]) > abs(most));
        }
    }
    return most;
}

// The bits of a block's scale.
fn scale_of(values: array<vec4f, 8>) -> u32 {
    let most = largest(values);
{% if weight == "Q8" %}
    return half_bits(abs(most) / 127.0);
{% else %}
    if (most == 0.0) {
        return 0u;
    }
    var best = 0.0;
    var scale = most / -{{ zero }}.0;
    for (var step = 0u; step < 3u; step++) {
        let inverse = -({{ zero }}.0 + 0.5 * f32(step)) / most;
        var qx = 0.0;
        var qq = 0.0;
        for (var j = 0u; j < 8u; j++) {
            let codes = round(clamp(values[j] * inverse, vec4f(-{{ zero }}.0), vec4f({{ zero - 1 }}.0)));
            qx += dot(codes, values[j]);
            qq += dot(codes, codes);
        }
        if (qx * qx > best * qq) {
            best = qx * qx / qq;
            scale = qx / qq;
        }
    }
    return half_bits(scale);
{% endif %}
}

// Four codes, up or down by chance; what is on a code stays there.
fn codes_of(values: vec4f, inverse: f32, seed: u32) -> vec4u {
    let code = clamp(values * inverse + {{ zero }}.0, vec4f({{ low }}.0), vec4f({{ 2 * zero - 1 }}.0));
    let near = round(code);
    let by = vec4f(chance(seed), chance(seed + 1u), chance(seed + 2u), chance(seed + 3u));
    let moved = min(floor(code + by), vec4f({{ 2 * zero - 1 }}.0));
    return vec4u(select(moved, near, abs(code - near) < vec4f(0.001)));
}

fn store_codes(block: u32, n: u32, codes: array<vec4u, 8>) {
{% if weight == "Q8" %}
    for (var j = 0u; j < 8u; j++) {
        let bytes = (codes[j] - 128u) & vec4u(255u);
        weight[(block * 8u + j) * params.weight_n + n] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
    }
{% else %}
    {% set words = 5 if weight == "Q5" else 4 %}
    var high = 0u;
    for (var word = 0u; word < 4u; word++) {
        var low = 0u;
        for (var part = 0u; part < 2u; part++) {
            let four = codes[2u * word + part];
            for (var i = 0u; i < 4u; i++) {
                low |= (four[i] & 15u) << (16u * part + 4u * i);
                high |= (four[i] >> 4u) << (8u * word + 4u * part + i);
            }
        }
        weight[(block * {{ words }}u + word) * params.weight_n + n] = low;
    }
{% if weight == "Q5" %}
    weight[(block * 5u + 4u) * params.weight_n + n] = high;
{% endif %}
{% endif %}
}
{% endif %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    let runs = params.rows / {{ rows }}u;
    let first4 = index / runs * {{ groups }}u;
    if (first4 >= params.k4) {
        return;
    }
    let first = index % runs * {{ rows }}u;
{% if quantized %}
    var scale_bits = 0u;
{% endif %}
    for (var q = 0u; q < {{ rows }}u; q++) {
        let row = first + q;
        let n = params.first + row;
        var values: array<vec4f, {{ groups }}>;
        for (var j = 0u; j < {{ groups }}u; j++) {
            values[j] = load_weight(first4 + j, n){{ " * load_scale(first4, n)" if quantized else "" }};
        }
        for (var r = 0u; r < params.rank; r++) {
            let by = left[r * params.rows + row];
            for (var j = 0u; j < {{ groups }}u; j++) {
                values[j] += by * right[r * params.k4 + first4 + j];
            }
        }
{% if weight == "F32" %}
        weight[first4 * params.weight_n + n] = values[0];
{% elif weight == "F16" %}
        let four = values[0];
        weight[first4 * params.weight_n + n] = vec2u(
            half_bits(four.x) | (half_bits(four.y) << 16u),
            half_bits(four.z) | (half_bits(four.w) << 16u),
        );
{% else %}
        let bits = scale_of(values);
        let scale = unpack2x16float(bits).x;
        let inverse = select(1.0 / scale, 0.0, scale == 0.0);
        let in_tensor = select(row / 2u + row % 2u * params.half, row, params.half == 0u);
        let seed = params.seed + (in_tensor * params.k4 + first4) * 4u;
        var codes: array<vec4u, 8>;
        for (var j = 0u; j < 8u; j++) {
            codes[j] = codes_of(values[j], inverse, seed + 4u * j);
        }
        store_codes(first4 / 8u, n, codes);
        scale_bits |= bits << (16u * q);
{% endif %}
    }
{% if quantized %}
    scales[(first4 / 8u * params.weight_n + params.first + first) / 2u] = scale_bits;
{% endif %}
}
