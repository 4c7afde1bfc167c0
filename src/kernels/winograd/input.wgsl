@group(0) @binding(1) var<storage, read> a: array<vec4<elem>>; // [N, H, W, C]
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>; // [tiles, {{ t * t }}, C]

// Four channels of a pixel; outside of the input zero, or the other end of it.
fn pixel(image: u32, row: i32, column: i32, c: u32) -> vec4f {
{% set h = "i32(params.out_h)" if upsample else "i32(params.in_h)" %}
{% set w = "i32(params.out_w)" if upsample else "i32(params.in_w)" %}
    let y = {% if circular.y %}(row + {{ h }}) % {{ h }}{% else %}row{% endif %};
    let x = {% if circular.x %}(column + {{ w }}) % {{ w }}{% else %}column{% endif %};
    if (y < 0 || x < 0 || y >= {{ h }} || x >= {{ w }}) { return vec4f(0.0); }
{% if upsample %}
    return vec4f(a[((image * params.in_h + u32(y) / 2u) * params.in_w + u32(x) / 2u) * params.c4 + c]);
{% else %}
    return vec4f(a[((image * params.in_h + u32(y)) * params.in_w + u32(x)) * params.c4 + c]);
{% endif %}
}

// The transform of the input along one side, transposed(B) d.
fn along(d: array<vec4f, {{ t }}>) -> array<vec4f, {{ t }}> {
{% if s == 4 %}
    let even = d[4] - 4.0 * d[2];
    let odd = d[3] - 4.0 * d[1];
    let near = d[4] - d[2];
    let twice = 2.0 * (d[3] - d[1]);
    return array<vec4f, {{ t }}>(
        4.0 * d[0] - 5.0 * d[2] + d[4],
        even + odd,
        even - odd,
        near + twice,
        near - twice,
        4.0 * d[1] - 5.0 * d[3] + d[5],
    );
{% else %}
    return array<vec4f, {{ t }}>(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
{% endif %}
}

// An invocation transforms four channels of a tile.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = linear_workgroup(group, groups) * 64u + thread;
    let c = at % params.c4;
    let tile = at / params.c4;
    if (tile >= params.tiles) { return; }
    let whole = params.first_tile + tile;
    let image = whole / params.tiles_per_image;
    let rest = whole % params.tiles_per_image;
    let y = i32(rest / params.tiles_x * {{ s }}u) - params.pad_top;
    let x = i32(rest % params.tiles_x * {{ s }}u) - i32(params.pad_left);
{% for i in range(t) %}
    let column{{ i }} = along(array<vec4f, {{ t }}>(
{% for j in range(t) %}
        pixel(image, y + {{ j }}, x + {{ i }}, c),
{% endfor %}
    ));
{% endfor %}
    let to = tile * {{ t * t }}u * params.c4 + c;
{% for j in range(t) %}
    let row{{ j }} = along(array<vec4f, {{ t }}>(
{%- for i in range(t) %}column{{ i }}[{{ j }}], {% endfor -%}
    ));
{% for i in range(t) %}
    out[to + {{ j * t + i }}u * params.c4] = row{{ j }}[{{ i }}];
{% endfor %}
{% endfor %}
}
