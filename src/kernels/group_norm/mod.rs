//! GroupNorm with optional SiLU over one tensor, a run of its channels, or the concatenation of two tensors.
//!
//! One workgroup per (image, group) does it in one dispatch. For images so large that a group would keep one
//! workgroup busy for long, two dispatches share each group among several: [`Pass::Stats`], then [`Pass::Apply`].

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// Which part of the work a dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// All of it.
    Whole,
    /// Mean and spread of each (image, group, chunk of rows).
    Stats,
    /// Normalises each (image, group, chunk of rows) with what [`Pass::Stats`] found.
    Apply,
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    pub pass: Pass,
    /// Channels read at once, see [`width`].
    pub width: u32,
    /// Invocations per workgroup: 256, 64 where groups are small, 4 on a CPU adapter.
    pub threads: u32,
    /// Whether a second tensor follows the first along C.
    pub concat: bool,
    pub silu: bool,
    /// The output is the input, too; not with [`Pass::Stats`] and not with `concat`.
    pub in_place: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N
        pub batch: u32,
        /// H · W
        pub rows: u32,
        /// C1: channels that are read of the first tensor, a multiple of 4
        pub channels1: u32,
        /// C2: channels of the second tensor, a multiple of 4; 0 without one
        pub channels2: u32,
        /// Channels that the first tensor has, a multiple of 4
        pub stride1: u32,
        /// The first of them that is read, on a group's border
        pub first1: u32,
        /// Index of the first channel in gamma and beta, on a group's border
        pub first_affine: u32,
        /// Groups of C1 + C2, which they divide
        pub groups: u32,
        /// Parts each image is cut into, row-wise; 1 with [`Pass::Whole`]
        pub chunks: u32,
        pub eps: f32,
    }
}

impl Params {
    /// All channels of one tensor, or of two (`channels2` > 0), in one chunk.
    pub fn new(batch: u32, rows: u32, [channels1, channels2]: [u32; 2], groups: u32, eps: f32) -> Params {
        let (stride1, chunks) = (channels1, 1);
        Params { batch, rows, channels1, channels2, stride1, groups, chunks, eps, ..Params::default() }
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("group_norm", include_str!("kernel.wgsl"), self)
    }
}

/// The most channels (1, 2 or 4) that can be read at once without crossing a group's border.
pub fn width(channels: u32, groups: u32) -> u32 {
    1 << (channels / groups.max(1)).trailing_zeros().min(2)
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.batch * params.groups * params.chunks)
}

/// Floats that [`Pass::Stats`] finds, `[N, groups, chunks, 4]`: mean, sum of squared deviations, count, unused.
pub fn partial_len(params: &Params) -> usize {
    4 * params.batch as usize * params.groups as usize * params.chunks as usize
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for width in [1, 2, 4] {
            let whole = [4, 64, 256].map(|threads| (Pass::Whole, threads));
            for (pass, threads) in whole.into_iter().chain([(Pass::Apply, 4), (Pass::Apply, 256)]) {
                for (concat, silu) in [(false, false), (false, true), (true, false), (true, true)] {
                    specs.push(Spec { elem, pass, width, threads, concat, silu, in_place: false });
                }
                let (concat, silu) = (false, true);
                specs.push(Spec { elem, pass, width, threads, concat, silu, in_place: true });
            }
            for (concat, threads) in [(false, 4), (true, 4), (false, 256), (true, 256)] {
                let pass = Pass::Stats;
                specs.push(Spec { elem, pass, width, threads, concat, silu: false, in_place: false });
            }
        }
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_divides_the_groups_channels() {
        assert_eq!(width(320, 32), 2);
        assert_eq!(width(640, 32), 4);
        assert_eq!(width(96, 32), 1);
        assert_eq!(width(1920, 32), 4);
        assert_eq!(width(32, 32), 1);
    }
}
