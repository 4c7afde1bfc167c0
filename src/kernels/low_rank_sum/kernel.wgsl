// scale * sum over rows of narrow[row, r] * wide[row, k], a cut of the rows at a time. A workgroup takes four ranks and 64 columns of
// a cut: 16 invocations side by side a group of four columns each, 16 below each other every 16th row.
{% include "common/elem.wgsl" %}

struct Params {
    rows: u32,
    rank4: u32,
    wide4: u32,
    row4: u32,
    first4: u32,
    cut: u32,
    scale: f32,
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
    full_h: u32,
    full_w: u32,
    kernel_w: u32,
    stride: u32,
    pad_top: u32,
    pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> narrow: array<vec4<elem>>; // [M, rank / 4]
@group(0) @binding(2) var<storage, read> wide: array<vec4<elem>>; // [M, row4] or [N, in_h, in_w, row4]
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>; // [cuts, {{ "rank / 4, wide" if by_rank else "wide / 4, rank" }}]

{% include "common/linear.wgsl" %}

var<workgroup> shared_sums: array<vec4f, 256>;

// Four columns of a row of the wide side.
fn wide_at(row: u32, column4: u32) -> vec4f {
{% if conv %}
    let tap = column4 / params.row4;
    let x = i32(row % params.out_w * params.stride + tap % params.kernel_w) - i32(params.pad_left);
    let y = i32(row / params.out_w % params.out_h * params.stride + tap / params.kernel_w) - i32(params.pad_top);
    if (x < 0 || y < 0 || x >= i32(params.full_w) || y >= i32(params.full_h)) {
        return vec4f(0.0);
    }
    let image = row / (params.out_w * params.out_h);
{% if upsample %}
    let pixel = (image * params.in_h + u32(y) / 2u) * params.in_w + u32(x) / 2u;
{% else %}
    let pixel = (image * params.in_h + u32(y)) * params.in_w + u32(x);
{% endif %}
    return vec4f(wide[pixel * params.row4 + column4 % params.row4]);
{% else %}
    return vec4f(wide[row * params.row4 + params.first4 + column4]);
{% endif %}
}

// The sum of what the invocations below each other have; in the uppermost ones.
fn added(local: u32, own: vec4f) -> vec4f {
    workgroupBarrier();
    shared_sums[local] = own;
    for (var reach = 128u; reach >= 16u; reach /= 2u) {
        workgroupBarrier();
        if (local < reach) {
            shared_sums[local] += shared_sums[local + reach];
        }
    }
    return shared_sums[local];
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let blocks = (params.wide4 + 15u) / 16u;
    let index = linear_workgroup(workgroup, grid); // (cut · ranks / 4 + rank / 4) · blocks + block
    let cut = index / blocks / params.rank4;
    let first = cut * params.cut;
    if (first >= params.rows) {
        return;
    }
    let rank = index / blocks % params.rank4;
    let column = index % blocks * 16u + local % 16u;
    let last = min(first + params.cut, params.rows);
    var sum0 = vec4f(0.0);
    var sum1 = vec4f(0.0);
    var sum2 = vec4f(0.0);
    var sum3 = vec4f(0.0);
    for (var row = first + local / 16u; row < last; row += 16u) {
        let by = vec4f(narrow[row * params.rank4 + rank]);
        let value = wide_at(row, min(column, params.wide4 - 1u));
        sum0 += by.x * value;
        sum1 += by.y * value;
        sum2 += by.z * value;
        sum3 += by.w * value;
    }
    let all = params.scale * mat4x4f(added(local, sum0), added(local, sum1), added(local, sum2), added(local, sum3));
    if (local >= 16u || column >= params.wide4) {
        return;
    }
    let start = cut * 4u * params.rank4 * params.wide4;
{% if by_rank %}
    let by_column = transpose(all);
    let at = start + rank * 4u * params.wide4 + 4u * column;
{% for i in range(4) %}
    sums[at + {{ i }}u] = by_column[{{ i }}];
{% endfor %}
{% else %}
    let at = start + (column * params.rank4 + rank) * 4u;
{% for i in range(4) %}
    sums[at + {{ i }}u] = all[{{ i }}];
{% endfor %}
{% endif %}
}
