//! Linear layers and convolutions: one tiled matrix product with fused epilogues, over any weight type.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, WeightType, template};

/// Rows and columns of a workgroup's tile in the tiled variant.
const TILE: u32 = 64;

/// How the product is cut into threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Registers only: `tm` rows × `tn` columns a thread, no workgroup memory.
    Direct { tm: u32, tn: u32 },
    /// 64 × 64 tiles in workgroup memory.
    Tiled,
}

impl Variant {
    /// What a CPU adapter gets: long sums in registers, as few loads a sum as still compile quickly.
    pub const REGISTERS: Variant = Variant::Direct { tm: 4, tn: 8 };
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
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    pub elem: Elem,
    pub weight: WeightType,
    pub variant: Variant,
    pub source: Source,
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
        pub out_h: u32,
        pub out_w: u32,
        pub kernel_w: u32,
        /// kernel_h · kernel_w
        pub taps: u32,
        pub stride: u32,
        pub pad_top: u32,
        pub pad_left: u32,
        /// out_h · out_w
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
    }
}

/// The template's view of a [`Spec`].
#[derive(Serialize)]
struct Context {
    elem: Elem,
    weight: WeightType,
    quantized: bool,
    tiled: bool,
    tm: u32,
    tn: u32,
    conv: bool,
    upsample: bool,
    concat: bool,
    bias: bool,
    time: bool,
    residual: bool,
    accumulate: bool,
    act: Act,
    act_last: bool,
    geglu: bool,
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        let (tiled, tm, tn) = match self.variant {
            Variant::Direct { tm, tn } => (false, tm, tn),
            Variant::Tiled => (true, 4, 4),
        };
        let context = Context {
            elem: self.elem,
            weight: self.weight,
            quantized: self.weight.is_quantized(),
            tiled,
            tm,
            tn,
            conv: matches!(self.source, Source::Conv | Source::ConvUpsample),
            upsample: self.source == Source::ConvUpsample,
            concat: self.source == Source::Concat,
            bias: self.bias,
            time: self.time,
            residual: self.residual,
            accumulate: self.accumulate,
            act: self.act,
            act_last: self.act_last,
            geglu: self.geglu,
        };
        template::render("gemm", include_str!("kernel.wgsl"), &context)
    }

    /// A plain matrix product of this element and weight type.
    pub fn plain(elem: Elem, weight: WeightType, variant: Variant, source: Source) -> Spec {
        Spec {
            elem,
            weight,
            variant,
            source,
            bias: false,
            time: false,
            residual: false,
            accumulate: false,
            act: Act::None,
            act_last: false,
            geglu: false,
        }
    }
}

/// How many workgroups to dispatch; rows fold into z where y would pass 65,535.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    const MAX: u32 = 65_535;
    let (rows, columns) = match spec.variant {
        Variant::Direct { tm, tn } => (8 * tm, 8 * tn),
        Variant::Tiled => (TILE, TILE),
    };
    let (x, y) = (params.n.div_ceil(columns), params.m.div_ceil(rows));
    let z = y.div_ceil(MAX);
    [x, y.div_ceil(z), z]
}

/// The variants the planner may choose from.
pub const VARIANTS: [Variant; 3] = [Variant::REGISTERS, Variant::Direct { tm: 1, tn: 4 }, Variant::Tiled];

/// Every specialisation that can occur: the epilogues the models use, over all element and weight types.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for weight in [WeightType::F32, WeightType::F16, WeightType::Q8, WeightType::Q4] {
            for variant in VARIANTS {
                specs.extend(epilogues(elem, weight, variant));
            }
        }
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
        specs.push(Spec { bias, act: Act::Relu, ..plain(Source::Conv) });
        specs.push(Spec { bias, residual: true, act: Act::Relu, act_last: true, ..plain(Source::Conv) });
        specs.push(Spec { bias, time: true, ..plain(Source::Conv) });
        for source in [Source::Rows, Source::Conv] {
            specs.push(Spec { bias, accumulate: true, ..plain(source) });
        }
    }
    specs.push(Spec { bias: true, geglu: true, ..plain(Source::Rows) });
    specs
}
