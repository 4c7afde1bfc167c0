// One thread computes {{ tm }} rows x {{ tn }} columns in registers and reads A and W straight from memory: the
// variant for adapters whose workgroup memory is ordinary memory (SwiftShader, lavapipe), and for thin matrices.
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let column = id.x * {{ tn }}u;
    let row = (id.y + id.z * groups.y * 8u) * {{ tm }}u;
    if (row >= params.m || column >= params.n) { return; }
{% for i in range(tm) %}
    let row{{ i }} = min(row + {{ i }}u, params.m - 1u);
{% endfor %}
{% for j in range(tn) %}
    let column{{ j }} = params.first_column + min(column + {{ j }}u, params.n - 1u);
{% endfor %}
{% for i in range(tm) %}{% for j in range(tn) %}
    var sum{{ i }}_{{ j }} = 0.0;
{%- endfor %}{% endfor %}
{% if quantized and not transposed %}{% for j in range(tn) %}
    var scale{{ j }} = 0.0;
{%- endfor %}{% endif %}

{% if conv %}
{% for i in range(tm) %}
    let pixel{{ i }} = pixel_of(row{{ i }});
{% endfor %}
    for (var tap = 0u; tap < params.taps; tap++) {
{% for i in range(tm) %}
        let base{{ i }} = tap_base(pixel{{ i }}, tap);
        let from{{ i }} = u32(max(base{{ i }}, 0));
        let inside{{ i }} = select(0.0, 1.0, base{{ i }} >= 0);
{% endfor %}
        for (var c = 0u; c < params.a_c4; c++) {
{% if transposed %}
            let k4 = turned_k4(tap);
{% else %}
            let k4 = tap * params.weight_c4 + params.first_c4 + c;
{% endif %}
{% for i in range(tm) %}
            let a{{ i }} = vec4f(a[from{{ i }} + c]) * inside{{ i }};
{% endfor %}
{% include "gemm/direct_step.wgsl" %}
        }
    }
{% else %}
{% for i in range(tm) %}
    let from{{ i }} = {{ "row" ~ i ~ " * params.a_row4 + params.a_first4" if window else "row" ~ i ~ " * params.a_c4" }};
{% endfor %}
    for (var c = 0u; c < params.a_c4; c++) {
        let k4 = {{ "0u" if transposed else "params.first_c4 + c" }};
{% for i in range(tm) %}
        let a{{ i }} = vec4f(a[from{{ i }} + c]);
{% endfor %}
{% include "gemm/direct_step.wgsl" %}
    }
{% if concat %}
{% for i in range(tm) %}
    let second{{ i }} = row{{ i }} * params.a2_c4;
{% endfor %}
    for (var c = 0u; c < params.a2_c4; c++) {
        let k4 = params.a_c4 + c;
{% for i in range(tm) %}
        let a{{ i }} = vec4f(skip[second{{ i }} + c]);
{% endfor %}
{% include "gemm/direct_step.wgsl" %}
    }
{% endif %}
{% endif %}

{% for i in range(tm) %}
    if (row + {{ i }}u < params.m) {
{% for j in range(0, tn, 4) %}
        if (column + {{ j }}u < params.n) {
            store(row + {{ i }}u, column + {{ j }}u, vec4f(sum{{ i }}_{{ j }}, sum{{ i }}_{{ j + 1 }}, sum{{ i }}_{{ j + 2 }}, sum{{ i }}_{{ j + 3 }}));
        }
{% endfor %}
    }
{% endfor %}
}
