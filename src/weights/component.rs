//! A model's components: which weights belong together, and how they lie on a device so that each can leave it alone.

use std::collections::BTreeMap;
use std::fmt;

use super::packed::{ALIGN, MAX_SLAB, Manifest, PackedRecord};
use crate::config::{Autoencoder, MAX_TEXT_ENCODERS, ModelConfig, TaesdConfig};

/// Weights that are used together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// A text encoder, counted in the model's order.
    Text(usize),
    /// With what makes keys and values of the text.
    Denoiser,
    /// Of the model's own autoencoder.
    Decoder,
    /// Of the model's own autoencoder; pictures from words do without.
    Encoder,
    /// The tiny autoencoder that decodes previews.
    Preview,
}

impl Component {
    /// The one that a weight belongs to, by its declaration's name.
    pub fn of(name: &str) -> Component {
        let (root, rest) = name.split_once('.').unwrap_or((name, ""));
        if let Some(index) = (0..MAX_TEXT_ENCODERS).find(|index| ModelConfig::text_root(*index) == root) {
            return Component::Text(index);
        }
        let encodes = ["encoder.", "quant_conv"].iter().any(|start| rest.starts_with(start));
        match root {
            Autoencoder::ROOT if encodes => Component::Encoder,
            Autoencoder::ROOT => Component::Decoder,
            TaesdConfig::ROOT => Component::Preview,
            _ => Component::Denoiser,
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Component::Text(0) => "text encoder",
            Component::Text(index) => return write!(f, "text encoder {}", index + 1),
            Component::Denoiser => "denoiser",
            Component::Decoder => "decoder",
            Component::Encoder => "encoder",
            Component::Preview => "preview decoder",
        })
    }
}

/// Bytes of records on a device, each given as its name and the bytes of its values and its scales.
pub fn component_bytes<'a>(
    records: impl IntoIterator<Item = (&'a str, u64, u64)>,
) -> BTreeMap<Component, u64> {
    let mut bytes = BTreeMap::new();
    for (name, values, scales) in records {
        *bytes.entry(Component::of(name)).or_default() +=
            values.next_multiple_of(ALIGN) + scales.next_multiple_of(ALIGN);
    }
    bytes
}

/// Where a packed model's records lie on a device: each buffer belongs to one component, whatever the slabs that the model
/// is stored in hold. Those are filled in the order of its file.
#[derive(Debug, Default)]
pub struct Placement {
    /// The component and the bytes of each buffer.
    pub buffers: Vec<(Component, u64)>,
    /// The records, with a buffer's index for their slab and their offsets inside it.
    pub records: Vec<PackedRecord>,
    /// What becomes of each slab, by offset.
    runs: Vec<Vec<Run>>,
}

/// Neighbouring records of one component.
#[derive(Debug)]
struct Run {
    from: u64,
    len: u64,
    buffer: usize,
    to: u64,
}

/// Bytes of a slab and where they go.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first byte, counted in what was given.
    pub from: u64,
    pub len: u64,
    pub buffer: usize,
    pub to: u64,
}

impl Placement {
    /// That of a manifest.
    pub fn of(manifest: &Manifest) -> Placement {
        let mut records = manifest.records.clone();
        records.sort_by_key(|record| (record.slab, record.values.offset));
        let mut placement = Placement::default();
        placement.runs.resize_with(manifest.slabs.len(), Vec::new);
        let mut last = BTreeMap::new();
        let place = |record: &PackedRecord| (record.slab, Component::of(&record.decl.name));
        for records in records.chunk_by(|a, b| place(a) == place(b)) {
            let Some(first) = records.first() else { continue };
            let from = first.values.offset;
            let end = records.iter().map(PackedRecord::end).max().unwrap_or(from);
            let len = end.next_multiple_of(ALIGN) - from;
            let (slab, component) = place(first);
            let (buffer, to) = placement.room(component, len, &mut last);
            if slab >= placement.runs.len() {
                placement.runs.resize_with(slab + 1, Vec::new);
            }
            placement.runs[slab].push(Run { from, len, buffer, to });
            placement.records.extend(records.iter().map(|record| moved(record, buffer, from, to)));
        }
        placement
    }

    /// A buffer of a component, and where in it are `len` bytes more.
    fn room(
        &mut self,
        component: Component,
        len: u64,
        last: &mut BTreeMap<Component, usize>,
    ) -> (usize, u64) {
        let fits = |index: &usize| self.buffers[*index].1 + len <= MAX_SLAB;
        let index = last.get(&component).copied().filter(fits).unwrap_or_else(|| {
            self.buffers.push((component, 0));
            self.buffers.len() - 1
        });
        last.insert(component, index);
        let to = self.buffers[index].1;
        self.buffers[index].1 += len;
        (index, to)
    }

    /// Where `len` bytes at `offset` of a slab go; `None` where there is no such slab. What lies between records goes nowhere.
    pub fn pieces(&self, slab: usize, offset: u64, len: u64) -> Option<impl Iterator<Item = Piece>> {
        let end = offset.saturating_add(len);
        let piece = move |run: &Run| {
            let (from, to) = (run.from.max(offset), (run.from + run.len).min(end));
            let len = to.checked_sub(from).filter(|len| *len > 0)?;
            Some(Piece { from: from - offset, len, buffer: run.buffer, to: run.to + (from - run.from) })
        };
        Some(self.runs.get(slab)?.iter().filter_map(piece))
    }

    /// Bytes of each component.
    pub fn bytes(&self) -> BTreeMap<Component, u64> {
        let mut all = BTreeMap::new();
        for (component, bytes) in &self.buffers {
            *all.entry(*component).or_default() += bytes;
        }
        all
    }
}

/// A record of a run that goes from `from` of its slab to `to` of a buffer.
fn moved(record: &PackedRecord, buffer: usize, from: u64, to: u64) -> PackedRecord {
    let mut record = record.clone();
    record.slab = buffer;
    for span in [Some(&mut record.values), record.scales.as_mut()].into_iter().flatten() {
        span.offset = span.offset - from + to;
    }
    record
}

#[cfg(test)]
mod tests {
    use super::super::packed::{Source, Span};
    use super::*;
    use crate::kernels::WeightType;
    use crate::plan::{WeightDecl, WeightKind};

    fn record(name: &str, slab: usize, offset: u64, len: u64) -> PackedRecord {
        let decl = WeightDecl { name: name.into(), kind: WeightKind::Vector { len: 4 }, parts: Vec::new() };
        let values = Span { offset, len };
        PackedRecord { decl, weight_type: WeightType::F32, slab, values, scales: None }
    }

    fn manifest(slabs: Vec<u64>, records: Vec<PackedRecord>) -> Manifest {
        Manifest {
            format: super::super::PACKED_FORMAT,
            name: "mixed".into(),
            config: ModelConfig::builtin("sd15").unwrap(),
            tokenizer: String::new(),
            slabs,
            records,
            source: Source::default(),
        }
    }

    /// Two components by turns in one slab, and one of them in another.
    fn mixed() -> Placement {
        let records = vec![
            record("unet.b", 0, 512, 300),
            record("unet.a", 0, 0, 256),
            record("vae.decoder.a", 0, 256, 100),
            record("vae.decoder.b", 0, 1024, 256),
            record("unet.c", 1, 0, 16),
        ];
        Placement::of(&manifest(vec![1280, 256], records))
    }

    #[test]
    fn a_buffer_belongs_to_one_component_whatever_its_slab_holds() {
        let placement = mixed();
        assert_eq!(placement.buffers, [(Component::Denoiser, 1024), (Component::Decoder, 512)]);
        let mut ends: BTreeMap<usize, u64> = BTreeMap::new();
        for record in &placement.records {
            assert_eq!(placement.buffers[record.slab].0, Component::of(&record.decl.name));
            assert!(record.values.offset >= *ends.get(&record.slab).unwrap_or(&0), "{record:?}");
            assert_eq!(record.values.offset % ALIGN, 0);
            ends.insert(record.slab, record.end());
        }
    }

    #[test]
    fn every_byte_of_a_record_goes_where_the_record_is() {
        let placement = mixed();
        let pieces = |slab, offset, len| placement.pieces(slab, offset, len).unwrap().collect::<Vec<_>>();
        let piece = |from, len, buffer, to| Piece { from, len, buffer, to };
        assert_eq!(
            pieces(0, 0, 1280),
            [piece(0, 256, 0, 0), piece(256, 256, 1, 0), piece(512, 512, 0, 256), piece(1024, 256, 1, 256)]
        );
        assert_eq!(pieces(0, 300, 300), [piece(0, 212, 1, 44), piece(212, 88, 0, 256)]);
        assert_eq!(pieces(1, 0, 256), [piece(0, 256, 0, 768)]);
        assert_eq!(pieces(1, 256, 4), []);
        assert!(placement.pieces(2, 0, 4).is_none());
    }

    #[test]
    fn a_component_has_as_many_buffers_as_it_needs() {
        let long = MAX_SLAB - 256;
        let records = vec![record("unet.a", 0, 0, long), record("unet.b", 1, 0, 512)];
        let placement = Placement::of(&manifest(vec![long, 512], records));
        assert_eq!(placement.buffers, [(Component::Denoiser, long), (Component::Denoiser, 512)]);
        assert_eq!(placement.bytes(), BTreeMap::from([(Component::Denoiser, MAX_SLAB + 256)]));
    }
}
