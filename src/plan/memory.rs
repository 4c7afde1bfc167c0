//! Where values live: first-fit placement in a few slabs, never an operand and a result of one dispatch in the same.
//!
//! WebGPU forbids a buffer to be read and written by one dispatch, even in disjoint ranges. So a result is placed
//! in a slab that holds none of the dispatch's operands; two to four slabs are enough for every model here.

use crate::error::{Error, Result};

/// WebGPU's default `minStorageBufferOffsetAlignment`.
pub const ALIGNMENT: u64 = 256;

/// A range of a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub slab: usize,
    pub offset: u64,
    pub len: u64,
}

/// What the adapter allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of one storage binding (`maxStorageBufferBindingSize`).
    pub binding: u64,
    /// Bytes of one buffer (`maxBufferSize`).
    pub buffer: u64,
}

impl MemoryLimits {
    /// What no adapter passes: a plan within it shows what is needed, the adapter decides what is possible.
    pub const WIDEST: MemoryLimits = MemoryLimits { binding: 2 << 30, buffer: 2 << 30 };
    /// Ordinary memory: what fits, fits, so that nothing is cut into pieces that need not be.
    pub const NONE: MemoryLimits = MemoryLimits { binding: u64::MAX, buffer: u64::MAX };

    /// Refuses a value of `bytes` that cannot be bound as a whole.
    pub fn check(&self, bytes: u64, what: &str) -> Result<()> {
        if bytes <= self.binding {
            return Ok(());
        }
        Err(Error::InvalidInput {
            field: "size",
            message: format!(
                "{what} takes {} MiB, this adapter binds at most {} MiB at once; choose a smaller picture",
                bytes >> 20,
                self.binding >> 20
            ),
        })
    }
}

impl Default for MemoryLimits {
    /// WebGPU's guaranteed limits: 128 MiB and 256 MiB.
    fn default() -> Self {
        MemoryLimits { binding: 128 << 20, buffer: 256 << 20 }
    }
}

/// Places values in slabs as they come to life and go.
#[derive(Debug)]
pub struct Arena {
    limits: MemoryLimits,
    slabs: Vec<Slab>,
}

/// One buffer: its size so far and the free ranges in it, by offset.
#[derive(Debug, Default)]
struct Slab {
    size: u64,
    free: Vec<(u64, u64)>,
}

impl Arena {
    /// An arena without slabs.
    pub fn new(limits: MemoryLimits) -> Arena {
        Arena { limits, slabs: Vec::new() }
    }

    /// The bytes of every slab.
    pub fn sizes(&self) -> Vec<u64> {
        self.slabs.iter().map(|slab| slab.size).collect()
    }

    /// A place of `len` bytes in a slab that is not in `avoid`.
    pub fn place(&mut self, len: u64, avoid: &[usize], what: &str) -> Result<Place> {
        self.limits.check(len, what)?;
        let needed = len.next_multiple_of(ALIGNMENT);
        let allowed = |slab: &usize| !avoid.contains(slab);
        let fits = (0..self.slabs.len())
            .filter(allowed)
            .filter_map(|slab| self.slabs[slab].best_hole(needed).map(|(size, hole)| (size, slab, hole)))
            .min();
        if let Some((_, slab, hole)) = fits {
            let offset = self.slabs[slab].take(hole, needed);
            return Ok(Place { slab, offset, len });
        }
        let grown = (0..self.slabs.len())
            .filter(allowed)
            .map(|slab| (self.slabs[slab].growth(needed), slab))
            .filter(|(growth, slab)| self.slabs[*slab].size + growth <= self.limits.buffer)
            .min();
        let slab = match grown {
            Some((_, slab)) => slab,
            None => {
                self.slabs.push(Slab::default());
                self.slabs.len() - 1
            }
        };
        let offset = self.slabs[slab].grow(needed);
        Ok(Place { slab, offset, len })
    }

    /// Gives a place back.
    pub fn free(&mut self, place: Place) {
        self.slabs[place.slab].release(place.offset, place.len.next_multiple_of(ALIGNMENT));
    }
}

impl Slab {
    /// Size and index of the smallest hole that holds `needed` bytes.
    fn best_hole(&self, needed: u64) -> Option<(u64, usize)> {
        let holes = self.free.iter().enumerate();
        holes.filter(|(_, (_, len))| *len >= needed).map(|(i, (_, len))| (*len, i)).min()
    }

    fn take(&mut self, hole: usize, needed: u64) -> u64 {
        let (offset, len) = self.free[hole];
        if len == needed {
            self.free.remove(hole);
        } else {
            self.free[hole] = (offset + needed, len - needed);
        }
        offset
    }

    /// The free range at the end, which growing extends.
    fn tail(&self) -> Option<(u64, u64)> {
        self.free.last().copied().filter(|(offset, len)| offset + len == self.size)
    }

    fn growth(&self, needed: u64) -> u64 {
        needed - self.tail().map_or(0, |(_, len)| len)
    }

    fn grow(&mut self, needed: u64) -> u64 {
        let growth = self.growth(needed);
        let offset = match self.tail() {
            Some((offset, _)) => {
                self.free.pop();
                offset
            }
            None => self.size,
        };
        self.size += growth;
        offset
    }

    fn release(&mut self, offset: u64, len: u64) {
        let at = self.free.partition_point(|(o, _)| *o < offset);
        self.free.insert(at, (offset, len));
        if at + 1 < self.free.len() && self.free[at].0 + self.free[at].1 == self.free[at + 1].0 {
            self.free[at].1 += self.free.remove(at + 1).1;
        }
        if at > 0 && self.free[at - 1].0 + self.free[at - 1].1 == self.free[at].0 {
            self.free[at - 1].1 += self.free.remove(at).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_avoid_the_slabs_of_operands_and_holes_are_reused() {
        let mut arena = Arena::new(MemoryLimits::default());
        let a = arena.place(1000, &[], "a").unwrap();
        let b = arena.place(1000, &[a.slab], "b").unwrap();
        assert_ne!(a.slab, b.slab);
        arena.free(a);
        let c = arena.place(500, &[b.slab], "c").unwrap();
        assert_eq!((c.slab, c.offset), (a.slab, 0));
        assert_eq!(arena.sizes(), vec![1024, 1024]);
    }

    #[test]
    fn neighbouring_holes_merge_and_the_tail_grows() {
        let mut arena = Arena::new(MemoryLimits::default());
        let places: Vec<_> = (0..3).map(|_| arena.place(256, &[], "x").unwrap()).collect();
        for i in [0, 2, 1] {
            arena.free(places[i]);
        }
        let whole = arena.place(1024, &[], "whole").unwrap();
        assert_eq!(whole.offset, 0);
        assert_eq!(arena.sizes(), vec![1024]);
    }

    #[test]
    fn a_value_beyond_the_binding_limit_is_refused_by_name() {
        let mut arena = Arena::new(MemoryLimits::default());
        let error = arena.place(129 << 20, &[], "vae.decoder.conv_out").unwrap_err().to_string();
        assert!(
            error.contains("vae.decoder.conv_out") && error.contains("129 MiB") && error.contains("128 MiB")
        );
    }
}
