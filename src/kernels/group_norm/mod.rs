//! GroupNorm with optional SiLU over one tensor or the concatenation of two, one workgroup per (image, group).
//!
//! For images so large that a group keeps one workgroup busy for long, [`group_norm_stats`](super::group_norm_stats)
//! and [`group_norm_apply`](super::group_norm_apply) do the same in two dispatches.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Channels read at once, see [`width`].
    pub width: u32,
    /// Invocations per workgroup: 256, or 64 where groups are small.
    pub threads: u32,
    /// Whether a second tensor follows the first along C.
    pub concat: bool,
    pub silu: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N
        pub batch: u32,
        /// H · W
        pub rows: u32,
        /// C of the first tensor, a multiple of 4
        pub channels1: u32,
        /// C of the second tensor, a multiple of 4; 0 without one
        pub channels2: u32,
        /// Divides the sum of both
        pub groups: u32,
        pub eps: f32,
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
    grid::fold(params.batch * params.groups)
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for width in [1, 2, 4] {
            for threads in [64, 256] {
                for (concat, silu) in [(false, false), (false, true), (true, false), (true, true)] {
                    specs.push(Spec { elem, width, threads, concat, silu });
                }
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
