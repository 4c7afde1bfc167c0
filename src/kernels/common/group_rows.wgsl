// A group's slice of an activation [N, HW, C1 + C2]: rows of `group_channels` neighbouring channels, read from the
// one or two tensors that make it up. All positions count lanes, that is {{ width }} channels.
fn read_lanes(row: u32, lane: u32) -> Lanes {
{% if concat %}
    if (lane >= params.channels1 / {{ width }}u) {
        let lanes2 = params.channels2 / {{ width }}u;
        return Lanes(input2[row * lanes2 + lane - params.channels1 / {{ width }}u]);
    }
{% endif %}
    return Lanes(input1[row * (params.channels1 / {{ width }}u) + lane]);
}

// What invocation `local` of {{ threads }} sees of rows [first_row, end_row) of a group that starts at `first_lane`.
fn slice_moments(local: u32, first_row: u32, end_row: u32, first_lane: u32, row_lanes: u32) -> Moments {
    var mean = Lanes(0.0);
    var squares = Lanes(0.0);
    var count = 0.0;
    var row = first_row + local / row_lanes;
    var lane = local % row_lanes;
    while (row < end_row) {
        let x = read_lanes(row, first_lane + lane);
        let delta = x - mean;
        count += 1.0;
        mean += delta / count;
        squares += delta * (x - mean);
        row += {{ threads }}u / row_lanes;
        lane += {{ threads }}u % row_lanes;
        if (lane >= row_lanes) {
            lane -= row_lanes;
            row += 1u;
        }
    }
    return combine_lanes(mean, squares, count);
}
