//! What one pass over a file may put together: as many chunks as memory holds while their parts arrive.
//!
//! Where a record lies is decided by when the file completes it, so that one chunk fills after the other, and what waits
//! is mostly records whose parts lie apart. The header tells how much that will be before a byte of data has come.

use std::collections::HashMap;

use super::chunks::ChunkMap;
use crate::weights::{Header, Manifest};

/// The part of the work that one pass does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// By chunk: whether this pass completes it.
    pub chunks: Vec<bool>,
    /// By record: whether some of it lies in such a chunk.
    pub records: Vec<bool>,
    /// The most bytes that wait between two tensors: records some parts of which have come, and chunks half full.
    pub waiting: u64,
}

/// The first pass for the `missing` chunks in which at most `most` bytes wait: all of them where that is possible, else as
/// many as do from the first one on, and at least as far as the records in that one reach.
pub fn next(manifest: &Manifest, header: &Header, map: &ChunkMap, missing: &[bool], most: u64) -> Pass {
    let work = Work::new(manifest, header, map);
    let wanted: Vec<usize> = (0..map.len()).filter(|&chunk| missing[chunk]).collect();
    let up_to = |count: usize| {
        let mut chunks = vec![false; map.len()];
        wanted[..count].iter().for_each(|&chunk| chunks[chunk] = true);
        work.pass(chunks)
    };
    let whole = up_to(wanted.len());
    if whole.waiting <= most {
        return whole;
    }
    // More chunks never wait in less memory: the largest count that fits is found by halving.
    let (mut fits, mut too_many) = (work.reach(&wanted), wanted.len());
    while fits + 1 < too_many {
        let middle = fits.midpoint(too_many);
        if up_to(middle).waiting <= most { fits = middle } else { too_many = middle }
    }
    up_to(fits)
}

/// The pass that completes these chunks.
pub fn of(manifest: &Manifest, header: &Header, map: &ChunkMap, chunks: Vec<bool>) -> Pass {
    Work::new(manifest, header, map).pass(chunks)
}

/// A model's records by the tensors of a file.
struct Work<'a> {
    manifest: &'a Manifest,
    map: &'a ChunkMap,
    /// Record bytes that make each chunk whole.
    wanted: Vec<u64>,
    /// By tensor: the records whose first part it has, and those whose last.
    begins: Vec<Vec<usize>>,
    ends: Vec<Vec<usize>>,
}

impl<'a> Work<'a> {
    fn new(manifest: &'a Manifest, header: &Header, map: &'a ChunkMap) -> Work<'a> {
        let tensors = header.tensors.iter().enumerate();
        let place: HashMap<&str, usize> = tensors.map(|(place, info)| (info.name.as_str(), place)).collect();
        let mut begins = vec![Vec::new(); header.tensors.len()];
        let mut ends = begins.clone();
        for (index, record) in manifest.records.iter().enumerate() {
            let places = record.decl.parts.iter().filter_map(|part| place.get(part.name.as_str()));
            if let (Some(&first), Some(&last)) = (places.clone().min(), places.max()) {
                begins[first].push(index);
                ends[last].push(index);
            }
        }
        Work { manifest, map, wanted: map.record_bytes(manifest), begins, ends }
    }

    /// How many of the `wanted` chunks the records in the first of them reach over.
    fn reach(&self, wanted: &[usize]) -> usize {
        let Some(&first) = wanted.first() else { return 0 };
        let over = self
            .manifest
            .records
            .iter()
            .map(|record| self.map.overlapping(record.slab, record.values.offset, record.len()));
        let end = over.filter(|chunks| chunks.contains(&first)).map(|chunks| chunks.end).max();
        wanted.iter().filter(|&&chunk| chunk < end.unwrap_or(first + 1)).count()
    }

    /// The pass that completes these chunks, followed from tensor to tensor.
    fn pass(&self, chunks: Vec<bool>) -> Pass {
        let records = self.map.records_in(self.manifest, &chunks);
        let mut filled: HashMap<usize, u64> = HashMap::new();
        let (mut pending, mut open, mut waiting) = (0, 0, 0);
        for (begins, ends) in self.begins.iter().zip(&self.ends) {
            let bytes = |of: &[usize]| -> u64 {
                of.iter()
                    .filter(|&&record| records[record])
                    .map(|&record| self.manifest.records[record].len())
                    .sum()
            };
            pending += bytes(begins);
            pending -= bytes(ends);
            for &record in ends.iter().filter(|&&record| records[record]) {
                open = self.place(record, &chunks, &mut filled, open);
            }
            waiting = waiting.max(pending + open);
        }
        Pass { chunks, records, waiting }
    }

    /// Bytes of half-filled chunks once a record has been put into its own.
    fn place(&self, record: usize, chunks: &[bool], filled: &mut HashMap<usize, u64>, mut open: u64) -> u64 {
        let record = &self.manifest.records[record];
        let (from, end) = (record.values.offset, record.end());
        for index in self.map.overlapping(record.slab, from, record.len()).filter(|&index| chunks[index]) {
            let Some(chunk) = self.map.get(index) else { continue };
            let had = filled.entry(index).or_default();
            if *had == 0 {
                open += chunk.len;
            }
            *had += end.min(chunk.offset + chunk.len) - from.max(chunk.offset);
            if *had == self.wanted[index] {
                open -= chunk.len;
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;

    use super::*;
    use crate::config::ModelConfig;
    use crate::plan::{Part, WeightDecl};
    use crate::store::chunks::chunk_bytes;
    use crate::weights::{Source, SourceType, TensorInfo, layout};

    /// What a file's tensors are, in some order; nothing of their values.
    fn header_of(decls: &[WeightDecl], order: impl Fn(&mut Vec<Part>)) -> Header {
        let mut seen = HashSet::new();
        let parts = decls.iter().flat_map(|decl| &decl.parts).filter(|part| seen.insert(&part.name));
        let mut parts: Vec<Part> = parts.map(Part::tensor).collect();
        order(&mut parts);
        let mut offset = 0;
        let tensors = parts.into_iter().map(|Part { name, shape, .. }| {
            let len = 2 * shape.iter().product::<usize>() as u64;
            offset += len;
            TensorInfo { name, dtype: SourceType::F16, shape, offset: offset - len, len }
        });
        let tensors = tensors.collect();
        Header {
            file: "m".into(),
            tensors,
            others: Vec::new(),
            metadata: Default::default(),
            data_start: 0,
            lengths: 0..=u64::MAX,
            is_single: false,
        }
    }

    /// Stable Diffusion 1.5 in f16, 2.1 GB, its tensors in any order: what waits stays within the bound in every pass, and in
    /// the orders in which files come there is one.
    #[test]
    fn any_order_of_a_large_file_fits_in_memory() {
        const MOST: u64 = super::super::import::MAX_WAITING_BYTES;
        let config = ModelConfig::builtin("sd15").unwrap();
        let decls = crate::model::weight_decls(&config);
        let passes = |order: &dyn Fn(&mut Vec<Part>)| {
            let header = header_of(&decls, order);
            assert!(header.tensors.iter().map(|tensor| tensor.len).sum::<u64>() > 2_100_000_000);
            let manifest = layout("sd15", &config, "", &decls, &header, Source::default()).unwrap();
            let map = ChunkMap::new(&manifest.slabs, chunk_bytes(manifest.bytes()));
            let mut missing = vec![true; map.len()];
            let mut peaks = Vec::new();
            while missing.contains(&true) {
                let pass = next(&manifest, &header, &map, &missing, MOST);
                assert!(pass.chunks.iter().zip(&missing).all(|(now, missing)| *missing || !now));
                missing.iter_mut().zip(&pass.chunks).for_each(|(missing, now)| *missing &= !now);
                peaks.push(pass.waiting);
            }
            peaks
        };
        let by_name = |parts: &mut Vec<Part>| parts.sort_by(|a, b| a.name.cmp(&b.name));
        let backwards = |parts: &mut Vec<Part>| parts.reverse();
        for (what, order) in [
            ("as declared", &(|_: &mut Vec<Part>| ()) as &dyn Fn(&mut Vec<Part>)),
            ("by name", &by_name),
            ("backwards", &backwards),
        ] {
            let peaks = passes(order);
            println!("{what}: {} MB wait", peaks[0] / 1_000_000);
            assert!(peaks.len() == 1 && peaks[0] <= MOST, "{what}: {peaks:?}");
        }
        for seed in 0..4 {
            let shuffled = move |parts: &mut Vec<Part>| parts.shuffle(&mut StdRng::seed_from_u64(seed));
            let peaks = passes(&shuffled);
            println!(
                "shuffled: {} passes, at most {} MB wait",
                peaks.len(),
                peaks.iter().max().unwrap() / 1_000_000
            );
            // A pass whose first record alone is too large goes as far as that reaches.
            assert!(peaks.iter().all(|peak| *peak <= 2 * MOST) && peaks.len() < 24, "{peaks:?}");
        }
    }
}
