{% set m = matrices %}
{% set lanes_k = m.groups // m.unit %}
{% set row_step = m.threads // lanes_k %}
{# Whether taps of a pixel lie elsewhere than a fixed way from its first. #}
{% set moved = upsample or circular.x or circular.y %}
{% set k_step = m.threads // m.columns %}
{% if conv %}
            if (fresh) {
{% if moved %}
{% for j in range(m.rows // row_step) %}
                base{{ j }} = tap_base(pixel{{ j }}, tap);
{% endfor %}
{% else %}
                tap_start = i32(((tap / params.kernel_w) * params.in_w + tap % params.kernel_w) * (params.a_c4 / {{ m.unit }}u));
{% endif %}
            }
{% for j in range(m.rows // row_step) %}
            value{{ j }} = Run();
{% if moved %}
            if (base{{ j }} >= 0) { value{{ j }} = a[(u32(base{{ j }}) + c) / {{ m.unit }}u + lane_k]; }
{% else %}
            if (((inside{{ j }} >> tap) & 1u) != 0u) { value{{ j }} = a[u32(from{{ j }} + tap_start + i32(c / {{ m.unit }}u))]; }
{% endif %}
{% endfor %}
            let weight_k4 = tap * params.weight_c4 + params.first_c4 + c;
            c += {{ m.groups }}u;
            fresh = c >= params.a_c4;
            if (fresh) {
                c = 0u;
                tap += 1u;
            }
{% elif concat %}
            if (next < params.a_c4) {
{% for j in range(m.rows // row_step) %}
                value{{ j }} = a[from{{ j }} + next / {{ m.unit }}u];
{% endfor %}
            } else {
{% for j in range(m.rows // row_step) %}
                value{{ j }} = skip[second{{ j }} + (next - params.a_c4) / {{ m.unit }}u];
{% endfor %}
            }
            let weight_k4 = next;
{% else %}
{% for j in range(m.rows // row_step) %}
            value{{ j }} = a[from{{ j }} + next / {{ m.unit }}u];
{% endfor %}
            let weight_k4 = params.first_c4 + next;
{% endif %}
{% if quantized %}
{% for half in range(m.groups // 8) %}
            let scale{{ half }} = load_scale(weight_k4 + {{ half * 8 }}u, load_column);
{% endfor %}
{% endif %}
{% for j in range(lanes_k // k_step) %}
{% set scale = "scale" ~ (j * k_step * m.unit // 8) if quantized else "1.0" %}
{% if m.unit == 2 %}
            w{{ j }}[0] = load_half(weight_k4 + (column_k + {{ j * k_step }}u) * 2u, load_column, {{ scale }});
            w{{ j }}[1] = load_half(weight_k4 + (column_k + {{ j * k_step }}u) * 2u + 1u, load_column, {{ scale }});
{% else %}
            w{{ j }} = load_half(weight_k4 + column_k + {{ j * k_step }}u, load_column, {{ scale }});
{% endif %}
{% endfor %}
            next += {{ m.groups }}u;
