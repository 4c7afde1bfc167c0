//! The plan itself: dispatches with everything decided that can be decided without a device.

use std::collections::HashMap;
use std::fmt;

use super::memory::Place;
use super::outside::Outside;
use crate::kernels::Kernel;

/// A stage of a model, ready for any device that allows its limits.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub name: String,
    pub dispatches: Vec<Dispatch>,
    /// Bytes of the arena's buffers, the largest first, so that plans share them well.
    pub slabs: Vec<u64>,
    /// Values that live outside the arena.
    pub externals: Vec<External>,
    /// Of these, by index, what is set to zeros before the first dispatch: state that the run would otherwise take over
    /// from the one before it.
    pub clears: Vec<usize>,
}

/// A value that outlives the plan: an input, an output or state shared between plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct External {
    pub outside: Outside,
    pub bytes: u64,
}

/// One kernel launch.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The module path it computes.
    pub label: String,
    pub kernel: Kernel,
    /// The bytes of the kernel's `Params`.
    pub params: Vec<u8>,
    pub workgroups: [u32; 3],
    /// Storage bindings from 1 on, in the kernel's order.
    pub bindings: Vec<Binding>,
    /// Floating point operations, two per multiply-add.
    pub flops: u64,
    /// Bytes bound, an upper bound of what is read and written once.
    pub bytes: u64,
}

/// What a storage binding points to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Binding {
    Arena(Place),
    /// Index into [`Plan::externals`].
    External(usize),
    /// Some bytes of one of [`Plan::externals`], by its index.
    Part {
        external: usize,
        offset: u64,
        len: u64,
    },
    /// A packed record's values.
    Weight(String),
    /// A packed record's scales.
    Scales(String),
}

impl Dispatch {
    /// A launch over values outside the arena: the first so many of its plan's.
    pub fn over(
        label: &str,
        kernel: Kernel,
        params: &[u8],
        workgroups: [u32; 3],
        externals: &[External],
    ) -> Dispatch {
        Dispatch {
            label: label.to_string(),
            kernel,
            params: params.to_vec(),
            workgroups,
            bindings: (0..externals.len()).map(Binding::External).collect(),
            flops: 0,
            bytes: externals.iter().map(|external| external.bytes).sum(),
        }
    }
}

impl Plan {
    /// Floating point operations of one run.
    pub fn flops(&self) -> u64 {
        self.dispatches.iter().map(|d| d.flops).sum()
    }

    /// Bytes bound by all dispatches of one run.
    pub fn bytes(&self) -> u64 {
        self.dispatches.iter().map(|d| d.bytes).sum()
    }

    /// The totals of one run in a line.
    pub fn totals(&self) -> String {
        format!(
            "{} dispatches, {:.3} GFLOP, {:.1} MB bound, arena {:.1} MB in {} buffers, widest value {:.1} MB",
            self.dispatches.len(),
            self.flops() as f64 / 1e9,
            self.bytes() as f64 / 1e6,
            self.arena_bytes() as f64 / 1e6,
            self.slabs.len(),
            self.widest_value() as f64 / 1e6
        )
    }

    /// Bytes of the largest binding into the arena.
    pub fn widest_value(&self) -> u64 {
        let bindings = self.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
        let places = bindings.filter_map(|binding| match binding {
            Binding::Arena(place) => Some(place.len),
            _ => None,
        });
        places.max().unwrap_or(0)
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> u64 {
        self.slabs.iter().sum()
    }
}

/// Bytes of the buffers of one arena that serves all `plans`, run one after the other.
pub fn shared_slabs(plans: &[&Plan]) -> Vec<u64> {
    let mut slabs: Vec<u64> = Vec::new();
    for plan in plans {
        slabs.resize(slabs.len().max(plan.slabs.len()), 0);
        for (size, needed) in slabs.iter_mut().zip(&plan.slabs) {
            *size = (*size).max(*needed);
        }
    }
    slabs
}

/// The buffers of plans that share them, run one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Bytes of the arena's.
    pub slabs: Vec<u64>,
    /// What lives outside the arena, and how many bytes it has where most are needed.
    pub externals: HashMap<Outside, u64>,
}

impl Shared {
    /// Those of `plans`.
    pub fn of(plans: &[&Plan]) -> Shared {
        let mut externals: HashMap<Outside, u64> = HashMap::new();
        for External { outside, bytes } in plans.iter().flat_map(|plan| &plan.externals) {
            let size = externals.entry(*outside).or_default();
            *size = (*size).max(*bytes);
        }
        Shared { slabs: shared_slabs(plans), externals }
    }
}

impl fmt::Display for Plan {
    /// A line per dispatch, then the totals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for External { outside, bytes } in self.clears.iter().map(|index| &self.externals[*index]) {
            writeln!(f, "      clear {outside}, {:.1} KiB", *bytes as f64 / 1024.0)?;
        }
        for (i, d) in self.dispatches.iter().enumerate() {
            let [x, y, z] = d.workgroups;
            writeln!(
                f,
                "{i:4}  {:<18} {:>14} {:>10.3} MFLOP {:>9.1} KiB  {}",
                d.kernel.name(),
                format!("{x}x{y}x{z}"),
                d.flops as f64 / 1e6,
                d.bytes as f64 / 1024.0,
                d.label
            )?;
        }
        writeln!(f, "      {}", self.totals())
    }
}
