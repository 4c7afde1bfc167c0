//! The values that graphs, run one after the other, share: what lives outside them, and the buffers of what does not.

use std::collections::HashMap;

use super::Executable;
use crate::error::{Error, Result};
use crate::plan::{ElemKind, Outside};

/// Values of one tensor.
#[derive(Debug)]
pub(super) enum Values {
    F32(Vec<f32>),
    U32(Vec<u32>),
}

/// Memory for several graphs.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) externals: HashMap<Outside, Values>,
    pub(super) buffers: Vec<Vec<f32>>,
    /// Of texts that take turns the one whose keys and values are in the place of the first one's, which are then in its.
    text: usize,
}

impl Memory {
    /// Room for each of `graphs`: one value for each that lives outside them, and no intermediates yet.
    pub fn new(graphs: &[&Executable]) -> Memory {
        let mut memory = Memory::default();
        graphs.iter().flat_map(|graph| graph.externals()).for_each(|(outside, len)| memory.add(outside, len));
        memory
    }

    /// Adds an external value of zeros, or makes the one that is there as long.
    pub fn add(&mut self, outside: Outside, len: usize) {
        let empty = match outside.kind() {
            ElemKind::U32 => Values::U32(Vec::new()),
            ElemKind::Activation | ElemKind::F32 => Values::F32(Vec::new()),
        };
        match self.externals.entry(outside).or_insert(empty) {
            Values::F32(values) => values.resize(len.max(values.len()), 0.0),
            Values::U32(values) => values.resize(len.max(values.len()), 0),
        }
    }

    /// Gives the keys and values of a text the place where they are made and read.
    pub fn turn_to(&mut self, text: usize) {
        for text in [std::mem::replace(&mut self.text, text), text].into_iter().filter(|text| *text > 0) {
            let pairs: Vec<_> = self
                .externals
                .keys()
                .filter_map(|outside| Some((*outside, outside.waiting(text)?)))
                .collect();
            for (first, own) in pairs {
                if let [Some(first), Some(own)] = self.externals.get_disjoint_mut([&first, &own]) {
                    std::mem::swap(first, own);
                }
            }
        }
    }

    /// An external value.
    pub fn read(&self, outside: Outside) -> Result<&[f32]> {
        match self.externals.get(&outside) {
            Some(Values::F32(values)) => Ok(values),
            _ => Err(missing(outside)),
        }
    }

    /// An external value of ids or pixels.
    pub fn read_ids(&self, outside: Outside) -> Result<&[u32]> {
        match self.externals.get(&outside) {
            Some(Values::U32(values)) => Ok(values),
            _ => Err(missing(outside)),
        }
    }

    /// Fills an external value.
    pub fn write(&mut self, outside: Outside, values: &[f32]) -> Result<()> {
        match self.externals.get_mut(&outside) {
            Some(Values::F32(held)) if held.len() == values.len() => held.copy_from_slice(values),
            Some(Values::F32(held)) => return Err(length(outside, held.len(), values.len())),
            _ => return Err(missing(outside)),
        }
        Ok(())
    }

    /// Fills the beginning of an external value, of which other graphs read more.
    #[cfg(feature = "train")]
    pub fn write_first(&mut self, outside: Outside, values: &[f32]) -> Result<()> {
        match self.externals.get_mut(&outside) {
            Some(Values::F32(held)) if held.len() >= values.len() => {
                held[..values.len()].copy_from_slice(values);
            }
            Some(Values::F32(held)) => return Err(length(outside, held.len(), values.len())),
            _ => return Err(missing(outside)),
        }
        Ok(())
    }

    /// Sets an external value to zeros.
    pub fn clear(&mut self, outside: Outside) -> Result<()> {
        match self.externals.get_mut(&outside) {
            Some(Values::F32(held)) => held.fill(0.0),
            _ => return Err(missing(outside)),
        }
        Ok(())
    }

    /// Fills an external value of ids.
    pub fn write_ids(&mut self, outside: Outside, ids: &[u32]) -> Result<()> {
        match self.externals.get_mut(&outside) {
            Some(Values::U32(held)) if held.len() == ids.len() => held.copy_from_slice(ids),
            Some(Values::U32(held)) => return Err(length(outside, held.len(), ids.len())),
            _ => return Err(missing(outside)),
        }
        Ok(())
    }

    /// Takes a buffer of at least so many values out, to be written and put back.
    pub(super) fn take(&mut self, buffer: usize, len: usize) -> Result<Vec<f32>> {
        if self.buffers.len() <= buffer {
            self.buffers.resize_with(buffer + 1, Vec::new);
        }
        let mut values = std::mem::take(&mut self.buffers[buffer]);
        if values.len() < len {
            values = Vec::new(); // the old one goes before there is a larger one
            if values.try_reserve_exact(len).is_err() {
                let message = format!("no {} MiB in one piece; choose a smaller picture", len >> 18);
                return Err(Error::OutOfMemory { message });
            }
            values.resize(len, 0.0);
        }
        Ok(values)
    }
}

fn missing(outside: Outside) -> Error {
    Error::Cpu { message: format!("no {outside} in memory") }
}

fn length(outside: Outside, held: usize, given: usize) -> Error {
    Error::Cpu { message: format!("{given} values of {outside}, which has {held}") }
}
