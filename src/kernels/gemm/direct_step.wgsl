{% if transposed %}
{% for j in range(0, tn, 4) %}
            let w{{ j }} = load_weights(k4 + column{{ j }} / 4u, c * 4u);
{% for q in range(4) %}{% for i in range(tm) %}
            sum{{ i }}_{{ j + q }} += dot(a{{ i }}, w{{ j }}[{{ q }}]);
{% endfor %}{% endfor %}{% endfor %}
{% else %}
{% if quantized %}
            if ((k4 & 7u) == 0u || c == 0u) {
{% for j in range(tn) %}
                scale{{ j }} = load_scale(k4, column{{ j }});
{% endfor %}
            }
{% endif %}
{% for j in range(tn) %}
            let w{{ j }} = load_weight(k4, column{{ j }}){% if quantized %} * scale{{ j }}{% endif %};
{% for i in range(tm) %}
            sum{{ i }}_{{ j }} += dot(a{{ i }}, w{{ j }});
{% endfor %}{% endfor %}
{% endif %}
