// One of the three transforms of a 3 × 3 convolution by minimal filtering, F({{ s }} × {{ s }}, 3 × 3): tiles of {{ t }} × {{ t }} inputs
// become tiles of {{ s }} × {{ s }} outputs. What is transformed is f32.
{% include "common/elem.wgsl" %}

struct Params {
    tiles: u32,
    first_tile: u32,
    tiles_x: u32,
    tiles_per_image: u32,
    c4: u32,           // channels of the input / 4
    n: u32,            // columns of the output
    columns: u32,      // of them here
    column: u32,       // the first of those
    in_h: u32,
    in_w: u32,
    out_h: u32,        // of the enlarged input, where it is read enlarged
    out_w: u32,
    rows: u32,         // of an output image
    pad_top: i32,      // negative where rows above are skipped
    pad_left: u32,
    weight_n: u32,     // columns of the whole layer
    first_column: u32, // which of them is column 0 here
    weight_c4: u32,    // channels of the whole layer / 4
    first_c4: u32,     // which of them is the first of the input / 4
    time_offset: u32,  // first column of this layer in the merged time projection
}

@group(0) @binding(0) var<uniform> params: Params;
{% set b = namespace(i=1, access="read") %}
{% include "common/linear.wgsl" %}
{% include "winograd/" ~ pass ~ ".wgsl" %}
