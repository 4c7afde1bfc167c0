//! A model's components: which weights belong together, and how they lie on a device so that each can leave it alone.

use std::fmt;

use super::packed::{ALIGN, MAX_SLAB, PackedRecord, Packing};
use crate::config::{
    Autoencoder, ControlNetConfig, MAX_CONTROLS, MAX_TEXT_ENCODERS, ModelConfig, TaesdConfig,
};

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
    /// A ControlNet, counted in the model's order.
    Control(usize),
}

impl Component {
    /// How many there may be.
    pub const COUNT: usize = MAX_TEXT_ENCODERS + 4 + MAX_CONTROLS;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Component> {
        let others = [Component::Denoiser, Component::Decoder, Component::Encoder, Component::Preview];
        let controls = (0..MAX_CONTROLS).map(Component::Control);
        (0..MAX_TEXT_ENCODERS).map(Component::Text).chain(others).chain(controls)
    }

    /// Its place among all of them.
    pub fn index(self) -> usize {
        match self {
            Component::Text(index) => index.min(MAX_TEXT_ENCODERS - 1),
            Component::Denoiser => MAX_TEXT_ENCODERS,
            Component::Decoder => MAX_TEXT_ENCODERS + 1,
            Component::Encoder => MAX_TEXT_ENCODERS + 2,
            Component::Preview => MAX_TEXT_ENCODERS + 3,
            Component::Control(index) => MAX_TEXT_ENCODERS + 4 + index.min(MAX_CONTROLS - 1),
        }
    }

    /// Whether it is a half of the model's own autoencoder.
    pub fn is_autoencoder(self) -> bool {
        matches!(self, Component::Decoder | Component::Encoder)
    }

    /// The one that a weight belongs to, by its declaration's name.
    pub fn of(name: &str) -> Component {
        let (root, rest) = name.split_once('.').unwrap_or((name, ""));
        if let Some(index) = (0..MAX_TEXT_ENCODERS).find(|index| ModelConfig::text_root(*index) == root) {
            return Component::Text(index);
        }
        if let Some(index) = (0..MAX_CONTROLS).find(|index| ControlNetConfig::root(*index) == root) {
            return Component::Control(index);
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
            Component::Control(0) => "ControlNet",
            Component::Control(index) => return write!(f, "ControlNet {}", index + 1),
        })
    }
}

/// Some components.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Components(u16);

impl Components {
    pub fn contains(self, component: Component) -> bool {
        self.0 & (1 << component.index()) != 0
    }

    pub fn insert(&mut self, component: Component) {
        self.0 |= 1 << component.index();
    }

    /// Those that are not among `others`.
    pub fn without(self, others: Components) -> Components {
        Components(self.0 & !others.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many they are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Each of them, text encoders first.
    pub fn iter(self) -> impl Iterator<Item = Component> {
        Component::all().filter(move |component| self.contains(*component))
    }
}

impl FromIterator<Component> for Components {
    fn from_iter<I: IntoIterator<Item = Component>>(components: I) -> Components {
        let mut all = Components::default();
        components.into_iter().for_each(|component| all.insert(component));
        all
    }
}

impl fmt::Display for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, component) in self.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(f, "{between}{component}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// Bytes of each component on a device; 0 for those that a model has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes([u64; Component::COUNT]);

impl Sizes {
    /// Those of records, each given as its name and the bytes of its values and its scales.
    pub fn of_records<'a>(records: impl IntoIterator<Item = (&'a str, u64, u64)>) -> Sizes {
        let mut sizes = Sizes::default();
        for (name, values, scales) in records {
            sizes.add(Component::of(name), values.next_multiple_of(ALIGN) + scales.next_multiple_of(ALIGN));
        }
        sizes
    }

    /// That of a component.
    pub fn of(&self, component: Component) -> u64 {
        self.0[component.index()]
    }

    /// The components that have weights.
    pub fn components(&self) -> Components {
        Component::all().filter(|component| self.of(*component) > 0).collect()
    }

    /// Those of these and of others beside them.
    pub fn and(mut self, others: &Sizes) -> Sizes {
        self.0.iter_mut().zip(others.0).for_each(|(bytes, more)| *bytes += more);
        self
    }

    /// Of all components.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, component: Component, bytes: u64) {
        self.0[component.index()] += bytes;
    }
}

/// Where a packed model's records lie on a device: each buffer belongs to one component, whatever the slabs that the model
/// is stored in hold. Those are filled in the order of its file.
#[derive(Debug, Default)]
pub struct Placement {
    /// The component and the bytes of each buffer.
    pub buffers: Vec<(Component, u64)>,
    /// The records, with a buffer's index for their slab and their offsets inside it.
    pub records: Vec<PackedRecord>,
    /// What becomes of each slab.
    runs: Vec<Vec<Run>>,
}

/// Records of one component that follow each other in a slab.
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
    /// That of packed weights.
    pub fn of<'a>(packing: impl Into<Packing<'a>>) -> Placement {
        let packing = packing.into();
        let mut placement = Placement::default();
        placement.runs.resize_with(packing.slabs.len(), Vec::new);
        let mut last = [None; Component::COUNT];
        let place = |record: &PackedRecord| (record.slab, Component::of(&record.decl.name));
        let follows = |a: &PackedRecord, b: &PackedRecord| place(a) == place(b) && a.end() <= b.values.offset;
        for records in packing.records.chunk_by(follows) {
            let (Some(first), Some(end)) = (records.first(), records.last()) else { continue };
            let from = first.values.offset;
            let len = end.end().next_multiple_of(ALIGN) - from;
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
        last: &mut [Option<usize>; Component::COUNT],
    ) -> (usize, u64) {
        let fits = |index: &usize| self.buffers[*index].1 + len <= MAX_SLAB;
        let index = last[component.index()].filter(fits).unwrap_or_else(|| {
            self.buffers.push((component, 0));
            self.buffers.len() - 1
        });
        last[component.index()] = Some(index);
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
    pub fn sizes(&self) -> Sizes {
        let mut sizes = Sizes::default();
        self.buffers.iter().for_each(|(component, bytes)| sizes.add(*component, *bytes));
        sizes
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
    use super::super::packed::{Manifest, Source, Span};
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
            record("unet.a", 0, 0, 256),
            record("vae.decoder.a", 0, 256, 100),
            record("unet.b", 0, 512, 300),
            record("vae.decoder.b", 0, 1024, 256),
            record("unet.c", 1, 0, 16),
        ];
        Placement::of(&manifest(vec![1280, 256], records))
    }

    #[test]
    fn a_buffer_belongs_to_one_component_whatever_its_slab_holds() {
        let placement = mixed();
        assert_eq!(placement.buffers, [(Component::Denoiser, 1024), (Component::Decoder, 512)]);
        let mut ends = [0; 2];
        for record in &placement.records {
            assert_eq!(placement.buffers[record.slab].0, Component::of(&record.decl.name));
            assert!(record.values.offset >= ends[record.slab], "{record:?}");
            assert_eq!(record.values.offset % ALIGN, 0);
            ends[record.slab] = record.end();
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

    /// As a file of another hand may list them.
    #[test]
    fn records_may_be_listed_in_any_order() {
        let records = vec![
            record("unet.c", 0, 1024, 256),
            record("unet.a", 0, 0, 256),
            record("unet.d", 0, 1280, 256),
            record("vae.decoder.a", 0, 512, 256),
        ];
        let placement = Placement::of(&manifest(vec![1536], records.clone()));
        for record in records {
            let placed = placement.records.iter().find(|placed| placed.decl.name == record.decl.name);
            let placed = placed.expect("placed");
            let goes = placement.pieces(0, record.values.offset, record.values.len).unwrap();
            let here = |piece: &Piece| (piece.buffer, piece.to) == (placed.slab, placed.values.offset);
            assert_eq!(goes.filter(here).map(|piece| piece.len).sum::<u64>(), 256, "{}", record.decl.name);
        }
    }

    #[test]
    fn sets_of_components() {
        let mut some: Components = [Component::Preview, Component::Text(1)].into_iter().collect();
        assert_eq!((some.len(), some.to_string().as_str()), (2, "text encoder 2, preview decoder"));
        assert!(some.contains(Component::Text(1)) && !some.contains(Component::Text(0)));
        some = some.without([Component::Text(1), Component::Denoiser].into_iter().collect());
        assert_eq!(some.iter().collect::<Vec<_>>(), [Component::Preview]);
        assert!(some.without(some).is_empty());
        let indices: Vec<usize> = Component::all().map(Component::index).collect();
        assert_eq!(indices, (0..Component::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn a_component_has_as_many_buffers_as_it_needs() {
        let long = MAX_SLAB - 256;
        let records = vec![record("unet.a", 0, 0, long), record("unet.b", 1, 0, 512)];
        let placement = Placement::of(&manifest(vec![long, 512], records));
        assert_eq!(placement.buffers, [(Component::Denoiser, long), (Component::Denoiser, 512)]);
        let sizes = placement.sizes();
        assert_eq!((sizes.of(Component::Denoiser), sizes.total()), (MAX_SLAB + 256, MAX_SLAB + 256));
    }
}
