//! How a workgroup of [`Variant::Blocked`](super::Variant::Blocked) cuts its work, and which cuts there are.

use std::fmt;

use serde::Serialize;

use super::super::Elem;

/// WebGPU's default limit of workgroup memory, which every cut keeps.
const WORKGROUP_BYTES: u32 = 16 << 10;
/// The most sums an invocation keeps in registers.
const MAX_SUMS: u32 = 128;

/// A workgroup's queries, keys and tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Tile {
    /// Invocations along the queries
    pub down: u32,
    /// Invocations along the keys, then along the output's columns; each takes four keys at a time
    pub across: u32,
    /// Queries of an invocation, 4 or 8
    pub own: u32,
    /// Channels of keys (and of queries that are not resident) that are staged at once; divides the head's
    pub channels: u32,
    /// Keys whose values are staged at once; divides [`Tile::keys`]
    pub values: u32,
    /// All channels of the queries are staged once and stay.
    pub resident: bool,
    /// Keys and values have a tile each and are staged together, all channels of all keys of a step; otherwise they
    /// take turns in one.
    pub apart: bool,
    /// Softmax numerators are f32 where activations are f16, too; otherwise they are rounded as activations are.
    pub single: bool,
    /// Invocations of a row exchange maxima and sums by subgroup shuffles; otherwise through workgroup memory.
    pub shuffles: bool,
}

impl Tile {
    /// Queries of a workgroup.
    pub fn queries(&self) -> u32 {
        self.down * self.own
    }

    /// Keys of a step.
    pub fn keys(&self) -> u32 {
        4 * self.across
    }

    /// Bytes of workgroup memory with heads of so many channels.
    pub fn bytes(&self, head_dim: u32, elem: Elem) -> u32 {
        let queries = self.queries() * if self.resident { head_dim } else { self.channels };
        let keys = self.keys() * self.channels;
        let values = self.values * self.columns(head_dim) * self.across;
        let both = if self.apart { keys + values } else { keys.max(values) };
        let weights = self.keys() * self.queries() * if self.single { 4 } else { elem.size() as u32 };
        let rows = if self.shuffles { 0 } else { self.queries() * self.across };
        (queries + both) * elem.size() as u32 + weights + rows * 4
    }

    /// Columns of the output that an invocation has.
    fn columns(&self, head_dim: u32) -> u32 {
        head_dim.div_ceil(self.across)
    }

    /// Whether it keeps the limits.
    fn fits(&self, head_dim: u32, elem: Elem) -> bool {
        self.bytes(head_dim, elem) <= WORKGROUP_BYTES && self.own * self.columns(head_dim) <= MAX_SUMS
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tile { down, across, own, channels, values, resident, apart, single, shuffles } = self;
        write!(f, "{}q {}k, {down}x{across} of {own}, {channels} channels", self.queries(), self.keys())?;
        write!(f, ", {values} values")?;
        for (is, word) in
            [(resident, "resident"), (apart, "apart"), (single, "single"), (shuffles, "shuffles")]
        {
            if *is {
                write!(f, ", {word}")?;
            }
        }
        Ok(())
    }
}

/// Invocations down and across, and the queries of each.
const SHAPES: [[u32; 3]; 4] = [[8, 8, 8], [8, 8, 4], [8, 16, 4], [4, 16, 4]];

/// Every cut that fits heads of so many channels: the best for each shape first, then the others.
pub fn candidates(head_dim: u32, elem: Elem, shuffles: bool) -> Vec<Tile> {
    let mut first = Vec::new();
    let mut others = Vec::new();
    for shape in SHAPES {
        for exact in [true, false] {
            let mut ways = ways(shape, head_dim, elem, shuffles, exact).into_iter();
            first.extend(ways.next());
            others.extend(ways);
        }
    }
    first.extend(others);
    first
}

/// The cut for heads of so many channels, where a subgroup has at least `subgroup` invocations (0 without subgroups);
/// `None` where none fits. In order of what an NVIDIA H200 measured; on other GPUs unmeasured.
pub fn choose(head_dim: u32, elem: Elem, subgroup: u32) -> Option<Tile> {
    let preferred: &[[u32; 3]] = match (head_dim, elem) {
        (0..=64, _) | (65..=128, Elem::F32) => &[[8, 8, 8], [8, 8, 4]],
        (65..=128, Elem::F16) => &[[8, 8, 4]],
        // of such heads there are few, and few queries
        (129..=256, _) => &[[4, 16, 4]],
        _ => &[[8, 16, 4], [4, 16, 4]],
    };
    let best = |shape: &[u32; 3]| ways(*shape, head_dim, elem, shape[1] <= subgroup, true).into_iter().next();
    preferred.iter().find_map(best)
}

/// The ways to stage with one shape, at most one of a kind, the best first: the less workgroup memory, the more
/// workgroups run side by side, which gains more than the barriers cost that keys and values in turns have.
/// With `exact` numerators, or with such as activations are, which is only a way of its own where that is less.
fn ways([down, across, own]: [u32; 3], head_dim: u32, elem: Elem, shuffles: bool, exact: bool) -> Vec<Tile> {
    if !exact && elem == Elem::F32 {
        return Vec::new();
    }
    let single = exact && elem == Elem::F16;
    let keys = 4 * across;
    let whole = Tile {
        down,
        across,
        own,
        channels: head_dim,
        values: keys,
        resident: true,
        apart: true,
        single,
        shuffles,
    };
    let mut ways = vec![Tile { apart: false, ..whole }];
    for resident in [true, false] {
        let channels = (4..=40.min(head_dim)).rev().filter(|c| c % 4 == 0 && head_dim.is_multiple_of(*c));
        let part = channels.flat_map(|channels| {
            let values = (4..=keys).rev().filter(|v| v % 4 == 0 && keys.is_multiple_of(*v));
            values.map(move |values| Tile { channels, values, resident, apart: false, ..whole })
        });
        let fitting = part.filter(|tile| tile.fits(head_dim, elem));
        let rounds = |tile: &Tile| head_dim / tile.channels + keys / tile.values;
        ways.extend(fitting.min_by_key(|tile| (rounds(tile), tile.bytes(head_dim, elem))));
    }
    ways.push(whole);
    let mut kept: Vec<Tile> = Vec::new();
    for way in ways {
        if way.fits(head_dim, elem) && !kept.contains(&way) {
            kept.push(way);
        }
    }
    kept
}
