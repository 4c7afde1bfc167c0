{% if geglu or act == "gelu" %}
// The error function to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
fn erf(x: vec4f) -> vec4f {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - poly * exp(-x * x));
}

fn gelu(x: vec4f) -> vec4f {
    return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
}
{% endif %}
{% if act == "prelu" %}
fn activate(x: vec4f, slope: vec4f) -> vec4f {
    return max(x, vec4f(0.0)) + slope * min(x, vec4f(0.0));
}
{% elif act != "none" %}
// Exponentials are kept from overflowing: WGSL lets an implementation assume that there are no infinities.
fn activate(x: vec4f) -> vec4f {
{% if act == "silu" %}
    return x / (1.0 + exp(min(-x, vec4f(80.0))));
{% elif act == "gelu" %}
    return gelu(x);
{% elif act == "quick_gelu" %}
    return x / (1.0 + exp(min(-1.702 * x, vec4f(80.0))));
{% elif act == "leaky_relu" %}
    return max(x, 0.2 * x);
{% else %}
    return max(x, vec4f(0.0));
{% endif %}
}
{% endif %}
