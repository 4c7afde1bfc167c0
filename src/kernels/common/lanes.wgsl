// {{ width }} neighbouring channels are read at once.
{% if width == 1 %}
alias Lanes = f32;
alias ElemLanes = elem;
{% else %}
alias Lanes = vec{{ width }}<f32>;
alias ElemLanes = vec{{ width }}<elem>;
{% endif %}

// The moments of all lanes, each of which saw `count` values.
fn combine_lanes(mean: Lanes, squares: Lanes, count: f32) -> Moments {
{% if width == 1 %}
    return Moments(mean, squares, count);
{% else %}
    var all = Moments(mean.x, squares.x, count);
    {% for lane in ["y", "z", "w"][:width - 1] %}
    all = combine(all, Moments(mean.{{ lane }}, squares.{{ lane }}, count));
    {% endfor %}
    return all;
{% endif %}
}
