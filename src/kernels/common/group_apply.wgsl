// Normalises rows [first_row, end_row) of a group that starts at `first_lane`, with {{ threads }} invocations.
fn apply_to_slice(local: u32, first_row: u32, end_row: u32, first_lane: u32, row_lanes: u32, moments: Moments) {
    let mean = Lanes(moments.x);
    let scale = inverseSqrt(moments.y / moments.z + params.eps);
    let all_lanes = (params.channels1 + params.channels2) / {{ width }}u;
    var row = first_row + local / row_lanes;
    var lane = local % row_lanes;
    while (row < end_row) {
        let channel = first_lane + lane;
        var y = (read_lanes(row, channel) - mean) * scale * gamma[channel] + beta[channel];
        {% if silu %}
        y = silu(y);
        {% endif %}
        output[row * all_lanes + channel] = ElemLanes(y);
        row += {{ threads }}u / row_lanes;
        lane += {{ threads }}u % row_lanes;
        if (lane >= row_lanes) {
            lane -= row_lanes;
            row += 1u;
        }
    }
}
