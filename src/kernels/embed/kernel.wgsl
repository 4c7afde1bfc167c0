// Token and position embeddings: row `token` of one table plus row t of the other, four channels per invocation.
{% include "common/elem.wgsl" %}

struct Params {
    batch: u32,
    tokens: u32,
    channels: u32,
    vocabulary: u32,
    own: u32,
}

// four neighbouring values of a table: f32, or two pairs of f16
alias Four_F32 = vec4<f32>;
alias Four_F16 = vec2<u32>;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [N, T]
@group(0) @binding(2) var<storage, read> token_table: array<Four_{{ tokens }}>; // [V, C]
@group(0) @binding(3) var<storage, read> position_table: array<Four_{{ positions }}>; // [T, C]
{% if own %}
@group(0) @binding(4) var<storage, read> own_table: array<vec4<f32>>; // [E, C]
{% endif %}
@group(0) @binding({{ 4 + own }}) var<storage, read_write> output: array<vec4<elem>>; // [N, T, C]

{% include "common/linear.wgsl" %}

fn unpack_F32(four: Four_F32) -> vec4<f32> {
    return four;
}

fn unpack_F16(four: Four_F16) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(four.x), unpack2x16float(four.y));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_workgroup(workgroup, grid) * 64u + local;
    let lanes = params.channels / 4u;
    if (index >= params.batch * params.tokens * lanes) {
        return;
    }
    let lane = index % lanes;
    let id = ids[index / lanes];
    let position = index / lanes % params.tokens;
    var token = unpack_{{ tokens }}(token_table[min(id, params.vocabulary - 1u) * lanes + lane]);
{% if own %}
    if ((id & 0x80000000u) != 0u) {
        token = own_table[min(id & 0x7fffffffu, params.own - 1u) * lanes + lane];
    }
{% endif %}
    output[index] = vec4<elem>(token + unpack_{{ positions }}(position_table[position * lanes + lane]));
}
