//! 3×3 convolutions of stride 1 by minimal filtering: F(4×4, 3×3) or F(2×2, 3×3) of Winograd.
//!
//! A tile of `s × s` outputs depends on `t × t` inputs, t = s + 2. Both sides of the convolution are transformed tile by
//! tile, `U = G g Gᵀ` and `V = Bᵀ d B`, and their elements multiplied: as many matrix products as a tile has elements, each
//! over all channels, which [`gemm`](super::gemm) computes as one product whose K is cut ([`Spec`](super::gemm::Spec)`::split`).
//! `Aᵀ M A` are the outputs. So an output takes t² / s² multiplications a channel instead of nine: 2.25, or 4. What is
//! transformed is kept in f32, whatever activations are: the transforms of F(4×4) lose digits that f16 does not have.
//!
//! Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015 (arXiv 1509.09308), section 4.

pub mod cpu;

use std::fmt;

use serde::Serialize;

use super::gemm::{self, Source};
use super::params::params;
use super::{Circular, Elem, WeightType, gemm_sum, grid, template};

/// Invocations of a workgroup.
const THREADS: u32 = 64;

/// Outputs along a side of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    Two,
    Four,
}

impl Tile {
    /// The one with fewest multiplications first.
    pub const ALL: [Tile; 2] = [Tile::Four, Tile::Two];

    /// s, outputs along a side.
    pub fn outputs(self) -> u32 {
        match self {
            Tile::Two => 2,
            Tile::Four => 4,
        }
    }

    /// t, inputs along a side.
    pub fn inputs(self) -> u32 {
        self.outputs() + 2
    }

    /// How many products there are: elements of a transformed tile.
    pub fn products(self) -> u32 {
        self.inputs() * self.inputs()
    }
}

/// What is transformed, and from what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// The layer's weights, packed as `gemm` has them: to `[t², C / 4, columns]` groups of four channels, in f32.
    Weight(WeightType),
    /// Tiles of the input, `[N, H, W, C]`: to `[tiles, t², C]`, in f32.
    Input {
        /// The input is read as if enlarged twice, by nearest neighbour.
        upsample: bool,
        /// Where its map goes on at the other end.
        circular: Circular,
    },
    /// Sums `[t², tiles, columns]`, in f32: to the outputs of the tiles, with `gemm`'s epilogue.
    Output(gemm_sum::Spec),
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Element type of activations; of no account for weights, where it is f32.
    pub elem: Elem,
    pub tile: Tile,
    pub pass: Pass,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Tiles of this dispatch.
        pub tiles: u32,
        /// Which of all images' tiles is the first of them.
        pub first_tile: u32,
        /// Tiles beside each other in an image.
        pub tiles_x: u32,
        /// Tiles of an image.
        pub tiles_per_image: u32,
        /// C / 4, channels of the input.
        pub c4: u32,
        /// Columns of the output, a multiple of 4.
        pub n: u32,
        /// How many of them this dispatch is about, a multiple of 4; transformed weights and sums have these alone.
        pub columns: u32,
        /// The first of them, a multiple of 4.
        pub column: u32,
        pub in_h: u32,
        pub in_w: u32,
        /// Rows of the enlarged input, where it is read enlarged.
        pub out_h: u32,
        pub out_w: u32,
        /// Rows of an output image.
        pub rows: u32,
        /// Rows of zeros above the input; negative where so many of its rows lie above the first that is read.
        pub pad_top: i32,
        pub pad_left: u32,
        /// Packed rows of the weight: columns of the whole layer, a multiple of 4.
        pub weight_n: u32,
        /// The first of them that is computed, a multiple of 4.
        pub first_column: u32,
        /// Channels of the whole layer / 4.
        pub weight_c4: u32,
        /// The first of them that the input holds / 4.
        pub first_c4: u32,
        /// First column of this layer in the merged time projection.
        pub time_offset: u32,
    }
}

impl Params {
    /// For all tiles of a convolution; [`fits`] says of which.
    pub fn of(params: &gemm::Params, tile: Tile) -> Params {
        let rows = params.rows_per_image / params.out_w;
        let [tiles_x, tiles_y] = [params.out_w, rows].map(|size| size.div_ceil(tile.outputs()));
        Params {
            tiles: params.m / params.rows_per_image * tiles_x * tiles_y,
            first_tile: 0,
            tiles_x,
            tiles_per_image: tiles_x * tiles_y,
            c4: params.a_c4,
            n: params.n,
            columns: params.n,
            column: 0,
            in_h: params.in_h,
            in_w: params.in_w,
            out_h: params.out_h,
            out_w: params.out_w,
            rows,
            pad_top: params.pad_top,
            pad_left: params.pad_left,
            weight_n: params.weight_n,
            first_column: params.first_column,
            weight_c4: params.weight_c4,
            first_c4: params.first_c4,
            time_offset: params.time_offset,
        }
    }

    /// The products between the transforms: `[tiles, t², C]` by `[t², C, columns]`, each of t² in a cut of its own.
    pub fn product(&self, tile: Tile) -> gemm::Params {
        let k4 = tile.products() * self.c4;
        gemm::Params {
            m: self.tiles,
            n: self.columns,
            k4,
            a_c4: k4,
            weight_n: self.columns,
            weight_c4: k4,
            cut_k4: self.c4,
            kernel_w: 1,
            taps: 1,
            stride: 1,
            in_h: 1,
            in_w: self.tiles,
            out_h: 1,
            out_w: self.tiles,
            rows_per_image: self.tiles,
            ..gemm::Params::default()
        }
    }
}

/// Whether a convolution can be computed this way: 3×3, stride 1, whole blocks of channels.
pub fn fits(source: Source, params: &gemm::Params) -> bool {
    matches!(source, Source::Conv | Source::ConvUpsample)
        && (params.kernel_w, params.taps, params.stride) == (3, 9, 1)
        && params.a_c4 == gemm::cut_k4(gemm::Variant::OUTER, params.a_c4, 1)
}

/// The template's view of a [`Spec`].
#[derive(Serialize)]
struct Context<'a> {
    elem: Elem,
    /// Outputs and inputs along a side of a tile.
    s: u32,
    t: u32,
    pass: &'static str,
    weight: Option<WeightType>,
    quantized: bool,
    upsample: bool,
    circular: Circular,
    #[serde(flatten)]
    epilogue: Option<&'a gemm_sum::Spec>,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pass = match self.pass {
            Pass::Weight(_) => "weights",
            Pass::Input { .. } => "input",
            Pass::Output(_) => "output",
        };
        write!(f, "{pass}, tiles of {s}x{s}", s = self.tile.outputs())
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        let (s, t) = (self.tile.outputs(), self.tile.inputs());
        let of = |pass| Context {
            elem: self.elem,
            s,
            t,
            pass,
            weight: None,
            quantized: false,
            upsample: false,
            circular: Circular::NONE,
            epilogue: None,
        };
        let context = match &self.pass {
            Pass::Weight(weight) => {
                Context { weight: Some(*weight), quantized: weight.is_quantized(), ..of("weight") }
            }
            Pass::Input { upsample, circular } => {
                Context { upsample: *upsample, circular: *circular, ..of("input") }
            }
            Pass::Output(epilogue) => Context { epilogue: Some(epilogue), ..of("output") },
        };
        template::render("winograd", include_str!("kernel.wgsl"), &context)
    }
}

/// How many workgroups to dispatch: an invocation takes four channels or columns of a tile, or four channels of a column.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    let invocations = match spec.pass {
        Pass::Weight(_) => params.c4 * params.columns,
        Pass::Input { .. } => params.tiles * params.c4,
        Pass::Output(_) => params.tiles * (params.columns / 4),
    };
    grid::fold(invocations.div_ceil(THREADS))
}

/// Every specialisation that can occur: the epilogues of [`gemm::all_specs`]' convolutions.
pub fn all_specs() -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for tile in Tile::ALL {
        let mut passes = Vec::new();
        for weight in WeightType::ALL {
            passes.push((Elem::F32, Pass::Weight(weight)));
        }
        for elem in Elem::ALL {
            for upsample in [false, true] {
                passes.extend(Circular::ALL.map(|circular| (elem, Pass::Input { upsample, circular })));
            }
        }
        for spec in gemm::all_specs().iter().filter(|spec| spec.is_conv() && !spec.split) {
            passes.push((spec.elem, Pass::Output(gemm_sum::Spec::of(spec))));
        }
        for (elem, pass) in passes {
            let spec = Spec { elem, tile, pass };
            if !specs.contains(&spec) {
                specs.push(spec);
            }
        }
    }
    specs
}
