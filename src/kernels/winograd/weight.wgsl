{% include "gemm/weight.wgsl" %}
@group(0) @binding({{ b.i }}) var<storage, read_write> out: array<vec4f>; // [{{ t * t }}, C / 4, columns]

// Four channels of a tap.
fn weight_of(tap: u32, c: u32, column: u32) -> vec4f {
    let k4 = tap * params.weight_c4 + params.first_c4 + c;
{% if quantized %}
    return load_weight(k4, column) * load_scale(k4, column);
{% else %}
    return load_weight(k4, column);
{% endif %}
}

// The transform of the weights along one side, G g.
fn along(g: array<vec4f, 3>) -> array<vec4f, {{ t }}> {
{% if s == 4 %}
    let ends = g[0] + g[2];
    let wide = g[0] + 4.0 * g[2];
    return array<vec4f, {{ t }}>(
        g[0] / 4.0,
        (ends + g[1]) / -6.0,
        (ends - g[1]) / -6.0,
        (wide + 2.0 * g[1]) / 24.0,
        (wide - 2.0 * g[1]) / 24.0,
        g[2],
    );
{% else %}
    let ends = g[0] + g[2];
    return array<vec4f, {{ t }}>(g[0], (ends + g[1]) / 2.0, (ends - g[1]) / 2.0, g[2]);
{% endif %}
}

// An invocation transforms four channels of a column.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = linear_workgroup(group, groups) * 64u + thread;
    if (at >= params.c4 * params.columns) { return; }
    let c = at / params.columns;
    let column = params.first_column + params.column + at % params.columns;
{% for x in range(3) %}
    let column{{ x }} = along(array<vec4f, 3>(
{% for y in range(3) %}
        weight_of({{ 3 * y + x }}u, c, column),
{% endfor %}
    ));
{% endfor %}
{% for j in range(t) %}
    let row{{ j }} = along(array<vec4f, 3>(column0[{{ j }}], column1[{{ j }}], column2[{{ j }}]));
{% for i in range(t) %}
    out[at + {{ j * t + i }}u * params.c4 * params.columns] = row{{ j }}[{{ i }}];
{% endfor %}
{% endfor %}
}
