{% if elem == "F16" %}
enable f16;
alias elem = f16;
{% else %}
alias elem = f32;
{% endif %}
