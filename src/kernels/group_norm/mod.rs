//! GroupNorm with optional SiLU over one tensor, a run of its channels, or the concatenation of two tensors.
//!
//! One workgroup per (image, group) does it in one dispatch, and reads memory once where its invocations can hold the
//! group. For groups that would keep one workgroup busy for long, two dispatches share the work among many:
//! [`Pass::Stats`], then [`Pass::Apply`]. An image that lies in several bands of rows has [`Pass::Stats`] of each, whose
//! chunks stand side by side, before the first is applied.

pub mod cpu;

use std::fmt;

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
    /// Normalises with what [`Pass::Stats`] found.
    Apply,
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pass::Whole => "whole",
            Pass::Stats => "stats",
            Pass::Apply => "apply",
        })
    }
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
    /// Lanes of `width` channels that an invocation holds, with [`Pass::Whole`]; 0 where the group is read twice.
    pub held: u32,
    /// A workgroup of [`Pass::Stats`] or [`Pass::Apply`] takes several groups side by side, which lie in memory in longer
    /// runs; otherwise one.
    pub sliced: bool,
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
        /// Parts each image is cut into, row-wise, for its moments; 1 with [`Pass::Whole`]
        pub chunks: u32,
        /// Parts it is cut into to apply them, in slices
        pub parts: u32,
        /// Groups of a slice; divides `groups`
        pub span: u32,
        /// Which of all chunks is the first of these rows, where they are a band of an image
        pub first_chunk: u32,
        /// How many chunks the image's other bands have
        pub other_chunks: u32,
        pub eps: f32,
    }
}

impl Params {
    /// All channels of one tensor, or of two (`channels2` > 0), in one chunk.
    pub fn new(batch: u32, rows: u32, [channels1, channels2]: [u32; 2], groups: u32, eps: f32) -> Params {
        let [stride1, chunks, parts, span] = [channels1, 1, 1, 1];
        let [first1, first_affine] = [0, 0];
        Params {
            batch,
            rows,
            channels1,
            channels2,
            stride1,
            first1,
            first_affine,
            groups,
            chunks,
            parts,
            span,
            first_chunk: 0,
            other_chunks: 0,
            eps,
        }
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
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    let parts = if spec.sliced && spec.pass == Pass::Apply { params.parts } else { params.chunks };
    grid::fold(params.batch * params.groups / params.span * parts)
}

/// Floats that [`Pass::Stats`] finds, of all bands, `[N, groups, chunks, 4]`: mean, sum of squared deviations, count, unused.
pub fn partial_len(params: &Params) -> usize {
    4 * params.batch as usize * params.groups as usize * (params.chunks + params.other_chunks) as usize
}

/// Bytes of a group that an invocation may hold in registers.
const MOST_HELD_BYTES: u32 = 256;
/// Loads that each invocation then has under way at once.
const MOST_HELD: u32 = 32;
/// Bytes that a slice should have of a row: a few times what memory hands out at once.
const SLICE_BYTES: u32 = 128;
/// Rows that an invocation of a slice takes at least, where there are as many.
const SLICE_ROWS: u32 = 16;
/// The most chunks of a slice, since everyone who applies moments reads those of all chunks; more where there are so few
/// slices that a large GPU would have nothing to do.
const MOST_CHUNKS: u32 = 64;
/// Workgroups that keep one busy.
const ENOUGH_WORKGROUPS: u32 = 256;
/// The most parts in which they are applied.
const MOST_PARTS: u32 = 1024;

/// How a GPU normalises: `whole` and `params` for one dispatch, completed with what it holds, or for two with how they are
/// cut. Afterwards `params.chunks` tells which.
pub fn for_gpu(whole: &mut Spec, params: &mut Params) {
    let group_channels = (params.channels1 + params.channels2) / params.groups;
    let group_lanes = group_channels / whole.width;
    let lanes = params.rows * group_lanes;
    whole.threads = if lanes <= 1024 { 64 } else { 256 };
    let held = lanes.div_ceil(whole.threads).next_power_of_two();
    if held <= MOST_HELD && held * whole.width * whole.elem.size() as u32 <= MOST_HELD_BYTES {
        whole.held = held;
        return;
    }
    in_slices(whole, params);
}

/// How a GPU shares a group among workgroups: `params.chunks` is 1 where it cannot.
pub fn in_slices(whole: &mut Spec, params: &mut Params) {
    let group_channels = (params.channels1 + params.channels2) / params.groups;
    let group_lanes = group_channels / whole.width;
    whole.threads = 256;
    let enough = |span: &u32| span * group_channels * whole.elem.size() as u32 >= SLICE_BYTES;
    let spans = (1..=params.groups)
        .filter(|span| params.groups.is_multiple_of(*span) && span * group_lanes <= whole.threads);
    // A group wider than a workgroup has lanes is nothing that models have; it is read twice by one workgroup.
    let Some(span) = spans.clone().find(enough).or(spans.max()) else { return };
    let rows_at_once = whole.threads / (span * group_lanes);
    let parts = params.rows.div_ceil(SLICE_ROWS * rows_at_once).max(2);
    whole.sliced = true;
    params.span = span;
    let slices = params.batch * params.groups / span;
    params.chunks = parts.min(MOST_CHUNKS.max(ENOUGH_WORKGROUPS / slices));
    params.parts = parts.min(MOST_PARTS);
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for width in [1, 2, 4] {
            // by group: whole, of a CPU's four invocations; sliced; held
            let mut ways = vec![(Pass::Whole, 4, 0, false), (Pass::Whole, 256, 0, false)];
            ways.extend([(Pass::Stats, 4, 0, false), (Pass::Apply, 4, 0, false)]);
            ways.extend([(Pass::Stats, 256, 0, true), (Pass::Apply, 256, 0, true)]);
            for threads in [64, 256] {
                let held = (0..6).map(|power| 1 << power);
                let fitting = held.filter(|held| held * width * elem.size() as u32 <= MOST_HELD_BYTES);
                ways.extend(fitting.map(|held| (Pass::Whole, threads, held, false)));
            }
            for (pass, threads, held, sliced) in ways {
                let plain = Spec {
                    elem,
                    pass,
                    width,
                    threads,
                    concat: false,
                    silu: false,
                    held,
                    sliced,
                    in_place: false,
                };
                for concat in [false, true] {
                    specs.push(Spec { concat, ..plain.clone() });
                    if pass != Pass::Stats {
                        specs.push(Spec { concat, silu: true, ..plain.clone() });
                    }
                }
                if pass != Pass::Stats {
                    specs.push(Spec { silu: true, in_place: true, ..plain });
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
