@group(0) @binding(1) var<storage, read> sums: array<vec4f>; // [{{ t * t }}, tiles, columns]
{% set b.i = 2 %}
{% set window = false %}
{% include "gemm/epilogue.wgsl" %}

// The transform of the sums along one side, transposed(A) m.
fn along(m: array<vec4f, {{ t }}>) -> array<vec4f, {{ s }}> {
{% if s == 4 %}
    let near = m[1] + m[2];
    let across = m[1] - m[2];
    let far = m[3] + m[4];
    let beyond = m[3] - m[4];
    return array<vec4f, {{ s }}>(
        m[0] + near + far,
        across + 2.0 * beyond,
        near + 4.0 * far,
        across + 8.0 * beyond + m[5],
    );
{% else %}
    return array<vec4f, {{ s }}>(m[0] + m[1] + m[2], m[1] - m[2] - m[3]);
{% endif %}
}

// An invocation computes four columns of the outputs of a tile.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = linear_workgroup(group, groups) * 64u + thread;
    let n4 = params.columns / 4u;
    let tile = at / n4;
    if (tile >= params.tiles) { return; }
    let whole = params.first_tile + tile;
    let image = whole / params.tiles_per_image;
    let rest = whole % params.tiles_per_image;
    let y = rest / params.tiles_x * {{ s }}u;
    let x = rest % params.tiles_x * {{ s }}u;
    let step = params.tiles * n4;
    let column = params.column + at % n4 * 4u;
{% for i in range(t) %}
    let across{{ i }} = along(array<vec4f, {{ t }}>(
{% for j in range(t) %}
        sums[at + {{ j * t + i }}u * step],
{% endfor %}
    ));
{% endfor %}
{% for j in range(s) %}
    if (y + {{ j }}u < params.rows) {
        let row = (image * params.rows + y + {{ j }}u) * params.out_w + x;
        let values = along(array<vec4f, {{ t }}>(
{%- for i in range(t) %}across{{ i }}[{{ j }}], {% endfor -%}
        ));
{% for i in range(s) %}
        if (x + {{ i }}u < params.out_w) { store(row + {{ i }}u, column, values[{{ i }}]); }
{% endfor %}
    }
{% endfor %}
}
