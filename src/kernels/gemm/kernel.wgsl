// C[m, n] = epilogue(sum over k of A[m, k] * W[n, k]): linear layers and convolutions as implicit GEMM.
//
// A is NHWC, so a row m is a pixel (or a token) and k runs over (ky, kx, channel). For a convolution the row's
// address is computed from the pixel and the tap; padding reads as zero, or as the other end of the map; `upsample` reads each input pixel twice
// in both directions (nearest neighbour), so that no enlarged tensor is ever stored. With `concat` the channels
// come from two tensors, one after the other. W is packed as [K/4, N] groups of four k values (see weights::packed);
// A may hold a run of the layer's channels only, and the output a run of its columns. With `transposed` k runs over
// (tap, column of W) and n over its channels, kernels turned by half: the way back through a layer.
{% if shape == "matrices" %}
enable wgpu_cooperative_matrix;
{% endif %}
{% include "common/elem.wgsl" %}

struct Params {
    m: u32,            // output rows: batch * out_h * out_w
    n: u32,            // output columns (packed rows of W)
    k4: u32,           // K / 4
    a_c4: u32,         // channels of A / 4
    a2_c4: u32,        // channels of the second tensor / 4 (concat)
    in_h: u32,
    in_w: u32,
    out_h: u32,        // of the enlarged input, where it is read enlarged
    out_w: u32,
    kernel_w: u32,
    taps: u32,         // kernel_h * kernel_w
    stride: u32,
    pad_top: i32,      // negative where rows above are skipped
    pad_left: u32,
    rows_per_image: u32, // pixels of an image of the output
    time_offset: u32,  // first column of this layer in the merged time projection
    weight_n: u32,     // columns of the whole layer
    first_column: u32, // which of them is column 0 here
    weight_c4: u32,    // channels of the whole layer / 4, per tap
    first_c4: u32,     // which of them is the first of A / 4
    cut_k4: u32,       // k values of one of the cuts that K is divided into / 4 (split)
    a_row4: u32,       // from one row of A to the next / 4 (window)
    a_first4: u32,     // the first column of A that is read / 4 (window)
    out_row: u32,      // from one row of the output to the next (window)
    out_first: u32,    // the output's column that is column 0 here (window)
    scale: f32,        // of the sums (window)
}

@group(0) @binding(0) var<uniform> params: Params;
{% set b = namespace(i=1, access="read") %}
{% if matrices and matrices.unit == 2 %}
@group(0) @binding({{ b.i }}) var<storage, read> a: array<array<vec4<elem>, 2>>; // [M, a_c] or [N, H, W, a_c]
{% else %}
@group(0) @binding({{ b.i }}) var<storage, read> a: array<vec4<elem>>; // [M, a_c] or [N, H, W, a_c]
{% endif %}
{% set b.i = b.i + 1 %}
{% if concat %}
{% if matrices and matrices.unit == 2 %}
@group(0) @binding({{ b.i }}) var<storage, read> skip: array<array<vec4<elem>, 2>>; // [M, a2_c]
{% else %}
@group(0) @binding({{ b.i }}) var<storage, read> skip: array<vec4<elem>>; // [M, a2_c]
{% endif %}
{% set b.i = b.i + 1 %}
{% endif %}
{% if shape == "outer" or transposed %}
{% include "gemm/weight_block.wgsl" %}
{% elif shape == "matrices" %}
{% include "gemm/weight_half.wgsl" %}
{% else %}
{% include "gemm/weight.wgsl" %}
{% endif %}
{% if split %}
@group(0) @binding({{ b.i }}) var<storage, read_write> out: array<vec4f>; // [cuts, M, N]
{% else %}
{% include "gemm/epilogue.wgsl" %}
{% endif %}

{% if conv %}
// The output pixel of a row: image index, and the input coordinates of the first tap.
struct Pixel { image: u32, y: i32, x: i32 }

fn pixel_of(row: u32) -> Pixel {
    let image = row / params.rows_per_image;
    let rest = row % params.rows_per_image;
    let y = rest / params.out_w;
    let x = rest % params.out_w;
    return Pixel(image, i32(y * params.stride) - params.pad_top, i32(x * params.stride) - i32(params.pad_left));
}

// Index of the first channel group of the pixel that this tap reads; -1 in the padding.
fn tap_base(p: Pixel, tap: u32) -> i32 {
    var y = p.y + i32(tap / params.kernel_w);
    var x = p.x + i32(tap % params.kernel_w);
{% set h = "i32(params.out_h)" if upsample else "i32(params.in_h)" %}
{% set w = "i32(params.out_w)" if upsample else "i32(params.in_w)" %}
{% if circular.y %}
    y = (y + {{ h }}) % {{ h }};
{% endif %}
{% if circular.x %}
    x = (x + {{ w }}) % {{ w }};
{% endif %}
    if (y < 0 || x < 0 || y >= {{ h }} || x >= {{ w }}) { return -1; }
{% if upsample %}
    return i32(((p.image * params.in_h + u32(y) / 2u) * params.in_w + u32(x) / 2u) * params.a_c4);
{% else %}
    return i32(((p.image * params.in_h + u32(y)) * params.in_w + u32(x)) * params.a_c4);
{% endif %}
}
{% endif %}

{% if transposed %}
// Where the taps of the way back begin in W: the last one first.
fn turned_k4(tap: u32) -> u32 {
    return (params.taps - 1u - tap) * params.weight_c4;
}

{% endif %}
{% include "gemm/" ~ shape ~ ".wgsl" %}
