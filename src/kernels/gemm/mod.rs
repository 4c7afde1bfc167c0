//! Linear layers and convolutions: one tiled matrix product with fused epilogues, over any weight type.

pub mod cpu;

use std::fmt;

use serde::Serialize;

use super::params::params;
use super::{Circular, Elem, WeightType, grid, template};

/// Rows and columns of a workgroup's tile in the tiled variant.
const TILE: u32 = 64;
/// k values that the outer products take at a time, / 4: cuts of K are whole multiples of them.
const BLOCK_K4: u32 = 4;

/// How the product is cut into threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Registers only: `tm` rows × `tn` columns a thread, no workgroup memory.
    Direct { tm: u32, tn: u32 },
    /// 64 × 64 tiles in workgroup memory, dot products of 4 × 4 a thread.
    Tiled,
    /// Outer products of square tiles that lie k by k in workgroup memory: `tile` / 8 rows × 8 columns a thread.
    Outer { tile: u32 },
    /// Fragments of 16 × 16 halves by the adapter's matrix units, summed in f32.
    Matrices(Matrices),
}

/// How a product is cut for the adapter's matrix units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matrices {
    /// Rows and columns of a workgroup's square tile.
    pub tile: u32,
    /// k values at a time, a multiple of 32.
    pub block: u32,
    /// Subgroups of a workgroup along rows and columns.
    pub subgroups: [u32; 2],
    /// Groups of four k values that a thread moves at once.
    pub unit: u32,
    /// The next block is read while this one is multiplied.
    pub ahead: bool,
}

/// The workgroup memory that the largest of [`MATRIX_VARIANTS`] takes: with less than that an adapter counts as without units.
pub const MATRICES_WORKGROUP_BYTES: u32 = 46 << 10;

impl Matrices {
    /// Invocations of a subgroup.
    pub const SUBGROUP: u32 = 32;
}

impl Variant {
    /// One row a thread: for vectors.
    pub const VECTOR: Variant = Variant::Direct { tm: 1, tn: 4 };
    /// What a CPU adapter gets: long sums in registers, as few loads a sum as still compile quickly.
    pub const REGISTERS: Variant = Variant::Direct { tm: 4, tn: 8 };
    /// What a GPU gets: small tiles, so that there are many of them.
    pub const OUTER: Variant = Variant::Outer { tile: 64 };
    /// Half as many loads a sum, in 16 KiB of workgroup memory: where there are tiles enough.
    pub const OUTER_WIDE: Variant = Variant::Outer { tile: 128 };
    /// What a GPU's matrix units get where there are few tiles.
    pub const MATRICES: Variant =
        Variant::Matrices(Matrices { tile: 64, block: 32, subgroups: [2, 2], unit: 1, ahead: false });
    /// And where sums are long and there are tiles enough, or cuts.
    pub const MATRICES_WIDE: Variant =
        Variant::Matrices(Matrices { tile: 128, block: 64, subgroups: [2, 4], unit: 2, ahead: true });

    /// Rows and columns that a workgroup computes.
    pub fn tile(self) -> [u32; 2] {
        match self {
            Variant::Direct { tm, tn } => [8 * tm, 8 * tn],
            Variant::Tiled => [TILE; 2],
            Variant::Outer { tile } => [tile; 2],
            Variant::Matrices(matrices) => [matrices.tile; 2],
        }
    }

    /// How many k values / 4 it takes at a time: cuts of K are whole multiples of them.
    fn block_k4(self) -> u32 {
        match self {
            Variant::Matrices(matrices) => matrices.block / 4,
            _ => BLOCK_K4,
        }
    }

    /// Whether it can compute a product at all: matrix units take whole blocks of one tap's channels.
    pub fn fits(self, params: &Params) -> bool {
        let Variant::Matrices(matrices) = self else { return true };
        let whole = |c4: u32| c4.is_multiple_of(matrices.block / 4);
        params.taps <= 32
            && [params.a_c4, params.a2_c4, params.weight_c4, params.first_c4].into_iter().all(whole)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variant::Direct { tm, tn } => write!(f, "direct {tm}x{tn}"),
            Variant::Tiled => write!(f, "tiled {TILE}x{TILE}"),
            Variant::Outer { tile } => write!(f, "outer {tile}x{tile}"),
            Variant::Matrices(Matrices { tile, .. }) => write!(f, "matrices {tile}x{tile}"),
        }
    }
}

/// An activation function of the epilogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    None,
    Silu,
    /// x · Φ(x), the exact form.
    Gelu,
    /// x · sigmoid(1.702 x), OpenAI CLIP's.
    QuickGelu,
    Relu,
    /// x, a fifth of it below 0: ESRGAN's.
    LeakyRelu,
    /// x, below 0 times a slope of its column, which is a weight.
    Prelu,
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    pub elem: Elem,
    pub weight: WeightType,
    pub variant: Variant,
    pub source: Source,
    /// Of a convolution: where its map goes on at the other end.
    pub circular: Circular,
    pub bias: bool,
    /// Adds this layer's slice of the merged time projection to every row.
    pub time: bool,
    pub residual: bool,
    /// Adds to what the output holds instead of overwriting it.
    pub accumulate: bool,
    pub act: Act,
    /// The activation comes after the residual instead of before.
    pub act_last: bool,
    /// Columns alternate value and gate; half as many come out.
    pub geglu: bool,
    /// Each z of the grid sums a cut of K into f32 values of its own, `[cuts, m, n]`, which
    /// [`gemm_sum`](super::gemm_sum) adds up; for outer products without an epilogue.
    pub split: bool,
    /// The weight is read the other way, from its rows to its channels, and kernels turned by half: the way back through
    /// a layer. By outer products or in registers.
    pub transposed: bool,
    /// A and the output are columns of wider matrices, and sums are multiplied by a factor; of [`Source::Rows`].
    pub window: bool,
}

/// Where a row of A comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A row of a matrix.
    Rows,
    /// A row of two matrices, side by side.
    Concat,
    /// The neighbourhood of a pixel.
    Conv,
    /// The same in the input enlarged twice.
    ConvUpsample,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Output rows: batch · out_h · out_w.
        pub m: u32,
        /// Output columns, a multiple of 4 (packed rows of the weight).
        pub n: u32,
        /// K / 4.
        pub k4: u32,
        /// Channels of A / 4.
        pub a_c4: u32,
        /// Channels of the second tensor / 4.
        pub a2_c4: u32,
        pub in_h: u32,
        pub in_w: u32,
        /// Rows of the output; where the input is read enlarged, of the enlarged input.
        pub out_h: u32,
        pub out_w: u32,
        pub kernel_w: u32,
        /// kernel_h · kernel_w
        pub taps: u32,
        pub stride: u32,
        /// Rows of zeros above the input; negative where so many of its rows lie above the first that is read.
        pub pad_top: i32,
        pub pad_left: u32,
        /// Pixels of an image of the output
        pub rows_per_image: u32,
        /// First column of this layer in the merged time projection.
        pub time_offset: u32,
        /// Packed rows of the weight: columns of the whole layer, a multiple of 4.
        pub weight_n: u32,
        /// The first of them that is computed, a multiple of 4.
        pub first_column: u32,
        /// Channels of the whole layer / 4, per tap; linear layers have one tap.
        pub weight_c4: u32,
        /// The first of them that A holds / 4; 0 with [`Source::Concat`].
        pub first_c4: u32,
        /// k values of one cut / 4, where K is cut.
        pub cut_k4: u32,
        /// From one row of A to the next / 4, and where its first column is / 4: of a [`Spec::window`].
        pub a_row4: u32,
        pub a_first4: u32,
        /// The same of the output, in columns.
        pub out_row: u32,
        pub out_first: u32,
        /// By what its sums are multiplied.
        pub scale: f32,
    }
}

/// How many k values / 4 each of about `cuts` cuts has: whole blocks of the variant, so that there may be fewer cuts.
pub fn cut_k4(variant: Variant, k4: u32, cuts: u32) -> u32 {
    k4.div_ceil(cuts).next_multiple_of(variant.block_k4())
}

/// The template's view of a [`Spec`].
#[derive(Serialize)]
struct Context {
    elem: Elem,
    weight: WeightType,
    quantized: bool,
    /// Whose file of WGSL it is.
    shape: &'static str,
    tile: u32,
    tm: u32,
    tn: u32,
    matrices: Option<Fragments>,
    conv: bool,
    upsample: bool,
    circular: Circular,
    concat: bool,
    bias: bool,
    time: bool,
    residual: bool,
    accumulate: bool,
    act: Act,
    act_last: bool,
    geglu: bool,
    split: bool,
    transposed: bool,
    window: bool,
}

/// The template's view of [`Matrices`].
#[derive(Serialize)]
struct Fragments {
    rows: u32,
    columns: u32,
    /// Invocations of a workgroup.
    threads: u32,
    /// Groups of four k values of a block.
    groups: u32,
    subgroups: [u32; 2],
    /// Fragments of a subgroup along rows and columns.
    fragments: [u32; 2],
    unit: u32,
    ahead: bool,
}

impl Fragments {
    fn of(m: Matrices) -> Fragments {
        Fragments {
            rows: m.tile,
            columns: m.tile,
            threads: m.subgroups[0] * m.subgroups[1] * Matrices::SUBGROUP,
            groups: m.block / 4,
            subgroups: m.subgroups,
            fragments: m.subgroups.map(|subgroups| m.tile / subgroups / 16),
            unit: m.unit,
            ahead: m.ahead,
        }
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        let (shape, tile, tm, tn) = match self.variant {
            Variant::Direct { tm, tn } => ("direct", 0, tm, tn),
            Variant::Tiled => ("tiled", TILE, 4, 4),
            Variant::Outer { tile } => ("outer", tile, tile / 8, 8),
            Variant::Matrices(_) => ("matrices", 0, 0, 0),
        };
        let matrices = match self.variant {
            Variant::Matrices(matrices) => Some(Fragments::of(matrices)),
            _ => None,
        };
        let context = Context {
            elem: self.elem,
            weight: self.weight,
            quantized: self.weight.is_quantized(),
            shape,
            tile,
            tm,
            tn,
            matrices,
            conv: self.is_conv(),
            upsample: self.source == Source::ConvUpsample,
            circular: self.circular,
            concat: self.source == Source::Concat,
            bias: self.bias,
            time: self.time,
            residual: self.residual,
            accumulate: self.accumulate,
            act: self.act,
            act_last: self.act_last,
            geglu: self.geglu,
            split: self.split,
            transposed: self.transposed,
            window: self.window,
        };
        template::render("gemm", include_str!("kernel.wgsl"), &context)
    }

    /// Whether rows of A are neighbourhoods of pixels.
    pub fn is_conv(&self) -> bool {
        matches!(self.source, Source::Conv | Source::ConvUpsample)
    }

    /// A plain matrix product of this element and weight type.
    pub fn plain(elem: Elem, weight: WeightType, variant: Variant, source: Source) -> Spec {
        Spec {
            elem,
            weight,
            variant,
            source,
            circular: Circular::NONE,
            bias: false,
            time: false,
            residual: false,
            accumulate: false,
            act: Act::None,
            act_last: false,
            geglu: false,
            split: false,
            transposed: false,
            window: false,
        }
    }
}

/// How many workgroups to dispatch; z counts the cuts of K, else rows fold into it where y would pass 65,535.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    let [rows, columns] = spec.variant.tile();
    let (x, y) = (params.n.div_ceil(columns), params.m.div_ceil(rows));
    if spec.split {
        return [x, y, params.k4.div_ceil(params.cut_k4)];
    }
    let z = y.div_ceil(grid::MAX_PER_DIMENSION);
    [x, y.div_ceil(z), z]
}

/// The variants the planner may choose from.
pub const VARIANTS: [Variant; 5] =
    [Variant::REGISTERS, Variant::VECTOR, Variant::Tiled, Variant::OUTER, Variant::OUTER_WIDE];

/// Those that take a weight the other way.
pub const WAYS_BACK: [Variant; 4] =
    [Variant::REGISTERS, Variant::VECTOR, Variant::OUTER, Variant::OUTER_WIDE];

/// Those that only some adapters have, with f16 activations.
pub const MATRIX_VARIANTS: [Variant; 2] = [Variant::MATRICES, Variant::MATRICES_WIDE];

/// Every specialisation that can occur: the epilogues the models use, over all element and weight types.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    // Units that multiply f32 would do it in fewer bits: they take halves only.
    for weight in WeightType::ALL {
        for variant in MATRIX_VARIANTS {
            specs.extend(epilogues(Elem::F16, weight, variant));
            for source in [Source::Rows, Source::Concat, Source::Conv, Source::ConvUpsample] {
                specs.push(Spec { split: true, ..Spec::plain(Elem::F16, weight, variant, source) });
            }
        }
    }
    for elem in Elem::ALL {
        #[cfg(feature = "train")]
        specs.extend(of_learning(elem));
        for weight in WeightType::ALL {
            for variant in VARIANTS {
                specs.extend(epilogues(elem, weight, variant));
            }
            for variant in [Variant::OUTER, Variant::OUTER_WIDE] {
                for source in [Source::Rows, Source::Concat, Source::Conv, Source::ConvUpsample] {
                    specs.push(Spec { split: true, ..Spec::plain(elem, weight, variant, source) });
                }
            }
        }
    }
    specs
}

/// Those of ways back, and of low-rank matrices, which are f32.
#[cfg(feature = "train")]
fn of_learning(elem: Elem) -> Vec<Spec> {
    let mut specs = Vec::new();
    for variant in WAYS_BACK {
        for source in [Source::Rows, Source::Conv] {
            for weight in WeightType::ALL {
                let back = Spec { transposed: true, ..Spec::plain(elem, weight, variant, source) };
                if matches!(variant, Variant::Outer { .. }) {
                    specs.push(Spec { split: true, ..back.clone() });
                }
                specs.push(back);
            }
        }
        let window = Spec { window: true, ..Spec::plain(elem, WeightType::F32, variant, Source::Rows) };
        specs.push(Spec { accumulate: true, ..window.clone() });
        specs.push(Spec { transposed: true, ..window });
    }
    specs
}

fn epilogues(elem: Elem, weight: WeightType, variant: Variant) -> Vec<Spec> {
    let plain = |source| Spec::plain(elem, weight, variant, source);
    let mut specs = Vec::new();
    for bias in [false, true] {
        for source in [Source::Rows, Source::Concat, Source::Conv, Source::ConvUpsample] {
            for residual in [false, true] {
                specs.push(Spec { bias, residual, ..plain(source) });
            }
        }
        for act in [Act::Silu, Act::Gelu, Act::QuickGelu, Act::Relu] {
            specs.push(Spec { bias, act, ..plain(Source::Rows) });
        }
        for act in [Act::Relu, Act::Silu] {
            specs.push(Spec { bias, act, ..plain(Source::Conv) });
        }
        specs.push(Spec { bias, residual: true, act: Act::Relu, act_last: true, ..plain(Source::Conv) });
        specs.push(Spec { bias, time: true, ..plain(Source::Conv) });
        // Upscalers: convolutions over maps side by side are sums, whose activation is the last one's.
        specs.push(Spec { bias, act: Act::LeakyRelu, ..plain(Source::Conv) });
        specs.push(Spec { bias, act: Act::LeakyRelu, ..plain(Source::ConvUpsample) });
        let last =
            Spec { bias, accumulate: true, act: Act::LeakyRelu, act_last: true, ..plain(Source::Conv) };
        specs.push(last);
        specs.push(Spec { bias, act: Act::Prelu, ..plain(Source::Conv) });
        for source in [Source::Rows, Source::Conv] {
            specs.push(Spec { bias, accumulate: true, ..plain(source) });
        }
    }
    specs.push(Spec { bias: true, geglu: true, ..plain(Source::Rows) });
    // What is read has nothing to do with what becomes of the sums: each reading is listed with the plainest epilogue.
    for circular in Circular::ALL.into_iter().filter(|circular| circular.any()) {
        for source in [Source::Conv, Source::ConvUpsample] {
            specs.push(Spec { bias: true, circular, ..plain(source) });
        }
    }
    specs
}
