//! The packed form of a model: which record lies where in which GPU buffer, decided from a header alone.
//!
//! A matrix `[N, K]` is stored for each group of four (Q4: eight) values along K, for each n: F32 16 bytes, F16 8,
//! Q8 4, Q4 4 at index `group · N + n`. Q5 has for each block of 32 values along K five words, at index
//! `(5 · block + word) · N + n`: the lower four bits as Q4 has them, and last the fifth bits of all, the first value's lowest.
//! Scales of Q8, Q5 and Q4 are f16 at index `block · N + n`, from the next multiple of 256 bytes after the values. Vectors are
//! f32, tables row-major.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::component::Component;
use super::header::{Header, OtherTensor, TensorInfo, bad};
use super::names;
use super::types::SourceType;
use crate::config::{ControlNetConfig, ModelConfig};
use crate::error::{Error, Result, TensorProblem};
use crate::kernels::{BLOCK, WeightType};
use crate::plan::{Part, Types, WeightDecl, WeightKind};

/// The version of this layout. Stored models of another one are packed anew at their next use, by way of
/// [`unpack`](super::unpack()), as are those whose records are declared otherwise.
pub const PACKED_FORMAT: u32 = 1;
/// CRC-32 of the declarations of the built-in configurations, as JSON: a test notices where they change, which stored models
/// are packed anew for. Where records with the same declaration would be read otherwise, [`PACKED_FORMAT`] has to change.
#[cfg(test)]
pub(crate) const DECLARED: [(&str, u32); 3] =
    [("sd15", 3_185_075_294), ("sd21", 3_936_468_103), ("sd-turbo", 3_936_468_103)];
/// The versions that [`unpack`](super::unpack()) reads; stored models of others are fetched again.
pub const READABLE_FORMATS: RangeInclusive<u32> = 1..=PACKED_FORMAT;
/// The largest GPU buffer: WebGPU's default limit of a storage binding, in bytes.
pub const MAX_SLAB: u64 = 128 << 20;
/// Where records and scales begin, in bytes: WebGPU's default storage offset alignment.
pub const ALIGN: u64 = 256;
/// f32 tables beyond this many bytes become f16; CLIP's token table would be 152 MB.
const MAX_F32_TABLE: u64 = 120 << 20;

/// A packed model's table of contents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`PACKED_FORMAT`] at the time of packing.
    pub format: u32,
    pub name: String,
    pub config: ModelConfig,
    /// The text of `tokenizer.json`, which may be megabytes; none where it is written elsewhere
    /// ([`Manifest::without_tokenizer`]).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tokenizer: String,
    /// Bytes of each GPU buffer, at most [`MAX_SLAB`].
    pub slabs: Vec<u64>,
    pub records: Vec<PackedRecord>,
    pub source: Source,
}

/// Packed weights, whatever they are of.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// Bytes of each slab.
    pub slabs: &'a [u64],
    pub records: &'a [PackedRecord],
}

impl<'a> From<&'a Manifest> for Packing<'a> {
    fn from(manifest: &'a Manifest) -> Packing<'a> {
        Packing { slabs: &manifest.slabs, records: &manifest.records }
    }
}

/// One packed weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedRecord {
    pub decl: WeightDecl,
    /// F32 for vectors.
    pub weight_type: WeightType,
    /// Index into [`Manifest::slabs`].
    pub slab: usize,
    pub values: Span,
    /// The scales of quantized types.
    pub scales: Option<Span>,
}

/// Bytes inside a slab; the offset is a multiple of [`ALIGN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub offset: u64,
    pub len: u64,
}

/// Where the weights came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source {
    /// File name, URL or folder.
    pub file: String,
    pub bytes: u64,
    pub sha256: Option<String>,
}

/// Choices at import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayoutOptions {
    /// Forces the type of every matrix that can have it; otherwise each keeps its file's type.
    pub matrix_type: Option<WeightType>,
    /// The types that matrices in wider ones are rounded to; those that are in blocks already stay as they are.
    pub narrowed: Option<Types>,
    /// Tensors that the model does not read are left out instead of refused, whatever they are.
    pub leave_extra: bool,
}

impl Manifest {
    /// Bytes of all slabs.
    pub fn bytes(&self) -> u64 {
        self.slabs.iter().sum()
    }

    /// Whether it is packed as this version of the engine reads it, with these declarations in any order.
    pub fn is_current(&self, decls: &[WeightDecl]) -> bool {
        let mut ours: Vec<&WeightDecl> = self.records.iter().map(|record| &record.decl).collect();
        let mut theirs: Vec<&WeightDecl> = decls.iter().collect();
        for decls in [&mut ours, &mut theirs] {
            decls.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self.format == PACKED_FORMAT && ours == theirs
    }

    /// The same without its tokenizer, for where that is written beside it.
    pub fn without_tokenizer(&self) -> Manifest {
        let Manifest { format, name, config, tokenizer: _, slabs, records, source } = self;
        Manifest {
            format: *format,
            name: name.clone(),
            config: config.clone(),
            tokenizer: String::new(),
            slabs: slabs.clone(),
            records: records.clone(),
            source: source.clone(),
        }
    }

    /// The same with the autoencoder that `part` has in place of its own: its slabs follow the model's. Refused where that one
    /// knows other latents.
    pub fn with_autoencoder(&self, part: &Manifest) -> Result<Manifest> {
        let own = |record: &&PackedRecord| Component::of(&record.decl.name).is_autoencoder();
        if !part.config.vae.stands_for(&self.config.vae) {
            let message = format!("the autoencoder {} does not fit it: other latents", part.name);
            return Err(bad(&self.name, message));
        }
        let first = self.slabs.len();
        let moved = |record: &PackedRecord| PackedRecord { slab: first + record.slab, ..record.clone() };
        let kept = self.records.iter().filter(|record| !own(record)).cloned();
        let records = kept.chain(part.records.iter().filter(own).map(moved)).collect();
        let slabs = self.slabs.iter().chain(&part.slabs).copied().collect();
        let config = ModelConfig { vae: part.config.vae.clone(), ..self.config.clone() };
        config.check()?;
        Ok(Manifest { slabs, records, config, ..self.clone() })
    }

    /// The same with a ControlNet more, whose records are declared as those of a model's first: its slabs follow the model's.
    /// Refused where it was made for another family.
    pub fn with_control(&self, part: &Manifest, control: &ControlNetConfig) -> Result<Manifest> {
        let (first, index) = (self.slabs.len(), self.config.controls.len());
        let mut config = self.config.clone();
        config.controls.push(control.clone());
        config.check()?;
        let [own, other] = [ControlNetConfig::root(index), ControlNetConfig::root(0)];
        let named =
            |name: &str| name.strip_prefix(&other).map_or(name.to_string(), |rest| format!("{own}{rest}"));
        let moved = |record: &PackedRecord| {
            let mut record = PackedRecord { slab: first + record.slab, ..record.clone() };
            record.decl.name = named(&record.decl.name);
            record
        };
        let records = self.records.iter().cloned().chain(part.records.iter().map(moved)).collect();
        let slabs = self.slabs.iter().chain(&part.slabs).copied().collect();
        Ok(Manifest { slabs, records, config, ..self.clone() })
    }

    /// The type that most of its bytes are in.
    pub fn most(&self) -> Option<SourceType> {
        let mut bytes: HashMap<WeightType, u64> = HashMap::new();
        for record in &self.records {
            *bytes.entry(record.weight_type).or_default() += record.len();
        }
        bytes.into_iter().max_by_key(|&(_, bytes)| bytes).map(|(kind, _)| SourceType::of(kind))
    }

    /// A record by its declaration's name.
    pub fn record(&self, name: &str) -> Option<&PackedRecord> {
        self.records.iter().find(|record| record.decl.name == name)
    }
}

impl PackedRecord {
    /// The end of the record in its slab.
    pub fn end(&self) -> u64 {
        let last = self.scales.unwrap_or(self.values);
        last.offset + last.len
    }

    /// Bytes from the first value to the last scale, the gap included.
    pub fn len(&self) -> u64 {
        self.end() - self.values.offset
    }

    /// Whether the record has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same at the beginning of a slab of its own.
    pub fn alone(&self) -> PackedRecord {
        let from = self.values.offset;
        let moved = |span: Span| Span { offset: span.offset - from, ..span };
        PackedRecord { slab: 0, values: moved(self.values), scales: self.scales.map(moved), ..self.clone() }
    }

    /// Packed rows and columns `(N, K)`, padding included; `None` for vectors and tables.
    pub fn matrix(&self) -> Option<(usize, usize)> {
        matrix_dims(&self.decl)
    }
}

/// A matrix part: rows of `taps` kernel positions of `cin` channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub rows: usize,
    /// Input channels in the checkpoint.
    pub cin: usize,
    /// kh · kw; 1 for linear maps.
    pub taps: usize,
}

impl Geometry {
    pub fn of(part: &Part) -> Option<Self> {
        match *part.shape {
            [rows, cin] => Some(Geometry { rows, cin, taps: 1 }),
            [rows, cin, kh, kw] => Some(Geometry { rows, cin, taps: kh * kw }),
            _ => None,
        }
    }

    /// Input channels after padding.
    pub fn cin_padded(&self) -> usize {
        self.cin.next_multiple_of(4)
    }

    /// Values per checkpoint row.
    pub fn k_source(&self) -> usize {
        self.taps * self.cin
    }

    /// Values per packed row.
    pub fn k(&self) -> usize {
        self.taps * self.cin_padded()
    }

    /// Whether rows are whole quantization blocks, in file and in memory.
    pub fn is_blocked(&self) -> bool {
        self.cin.is_multiple_of(4) && self.k().is_multiple_of(BLOCK)
    }
}

/// Packed `(N, K)` of a matrix declaration.
fn matrix_dims(decl: &WeightDecl) -> Option<(usize, usize)> {
    let (WeightKind::Matrix { n, .. } | WeightKind::Geglu { n, .. }) = decl.kind else { return None };
    let k = Geometry::of(decl.parts.first()?)?.k();
    Some((n.next_multiple_of(4), k))
}

/// Decides where every record goes, each matrix in its file's type. See [`layout_with`].
pub fn layout(
    name: &str,
    config: &ModelConfig,
    tokenizer: &str,
    decls: &[WeightDecl],
    header: &Header,
    source: Source,
) -> Result<Manifest> {
    layout_with(name, config, tokenizer, decls, header, source, LayoutOptions::default())
}

/// Decides from the header alone where every record goes, or reports all missing, extra and mis-shaped tensors.
pub fn layout_with(
    name: &str,
    config: &ModelConfig,
    tokenizer: &str,
    decls: &[WeightDecl],
    header: &Header,
    source: Source,
    options: LayoutOptions,
) -> Result<Manifest> {
    let (slabs, records) = placed(decls, header, options)?;
    Ok(Manifest {
        format: PACKED_FORMAT,
        name: name.to_string(),
        config: config.clone(),
        tokenizer: tokenizer.to_string(),
        slabs,
        records,
        source,
    })
}

/// Where every record goes: bytes of each slab, and the records.
pub(super) fn placed(
    decls: &[WeightDecl],
    header: &Header,
    options: LayoutOptions,
) -> Result<(Vec<u64>, Vec<PackedRecord>)> {
    let found: HashMap<&str, &TensorInfo> =
        header.tensors.iter().map(|info| (info.name.as_str(), info)).collect();
    check_against(decls, header, &found, options.leave_extra)?;
    let mut slabs: Vec<u64> = Vec::new();
    let mut records = Vec::new();
    for decl in by_completion(decls, header) {
        check_decl(decl)?;
        let wanted = wanted_type(decl, &found, options);
        let (weight_type, values, scales) = sized(decl, wanted)?;
        let len = scales.map_or(values, |scales| values.next_multiple_of(ALIGN) + scales);
        if slabs.last().is_none_or(|used| used + len > MAX_SLAB) {
            slabs.push(0);
        }
        let slab = slabs.len() - 1;
        let offset = slabs[slab];
        slabs[slab] = (offset + len).next_multiple_of(ALIGN);
        let scales = scales.map(|len| Span { offset: (offset + values).next_multiple_of(ALIGN), len });
        records.push(PackedRecord {
            decl: decl.clone(),
            weight_type,
            slab,
            values: Span { offset, len: values },
            scales,
        });
    }
    Ok((slabs, records))
}

/// Declarations in the order in which the file completes them, so that what is packed fills one place after the other,
/// whatever the order of the tensors.
fn by_completion<'a>(decls: &'a [WeightDecl], header: &Header) -> Vec<&'a WeightDecl> {
    let tensors = header.tensors.iter().enumerate();
    let place: HashMap<&str, usize> = tensors.map(|(place, info)| (info.name.as_str(), place)).collect();
    let last = |decl: &&WeightDecl| {
        decl.parts.iter().filter_map(|part| place.get(part.name.as_str())).max().copied()
    };
    let mut ordered: Vec<&WeightDecl> = decls.iter().collect();
    ordered.sort_by_key(last);
    ordered
}

/// Every part is there in its shape and of a type that can be read; what is there beside them is known to be, or left out.
pub(super) fn check_against(
    decls: &[WeightDecl],
    header: &Header,
    found: &HashMap<&str, &TensorInfo>,
    leave_extra: bool,
) -> Result<()> {
    let others: HashMap<&str, &str> =
        header.others.iter().map(|other| (other.name.as_str(), other.dtype.as_str())).collect();
    let mut problems = Vec::new();
    let mut wanted: HashSet<&str> = HashSet::new();
    for part in decls.iter().flat_map(|decl| &decl.parts) {
        if !wanted.insert(&part.name) {
            continue;
        }
        let (name, expected) = (part.name.clone(), part.tensor().shape);
        match (found.get(part.name.as_str()), others.get(part.name.as_str())) {
            (Some(info), _) if !header.fits(info, &expected) => {
                problems.push(TensorProblem::Shape { name, expected, found: info.shape.clone() });
            }
            (Some(_), _) => {}
            (None, Some(dtype)) => {
                problems.push(TensorProblem::Type { name, found: (*dtype).to_string() });
            }
            (None, None) => problems.push(TensorProblem::Missing { name, expected }),
        }
    }
    let extra = |name: &str| !leave_extra && !wanted.contains(name) && !names::is_leftover(name);
    for info in header.tensors.iter().filter(|info| extra(&info.name)) {
        problems.push(TensorProblem::Extra { name: info.name.clone(), found: info.shape.clone() });
    }
    for OtherTensor { name, dtype, .. } in header.others.iter().filter(|other| extra(&other.name)) {
        problems.push(TensorProblem::Type { name: name.clone(), found: dtype.clone() });
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Tensors { file: header.file.clone(), problems }) }
}

/// A declaration's kind agrees with its parts; a mistake here is one of `model`, not of the file.
fn check_decl(decl: &WeightDecl) -> Result<()> {
    let values = || decl.parts.iter().map(|part| part.shape.iter().product::<usize>()).sum::<usize>();
    let rows = || decl.parts.iter().map(|part| part.shape.first().copied().unwrap_or(0)).sum::<usize>();
    let fits = |n: usize, k: usize| {
        let parts = decl.parts.iter().map(Geometry::of).collect::<Option<Vec<_>>>().unwrap_or_default();
        let same = parts.windows(2).all(|pair| (pair[0].cin, pair[0].taps) == (pair[1].cin, pair[1].taps));
        let k_fits = parts.first().is_some_and(|part| k == part.k_source() || k == part.k());
        let inside = |part: &Part| {
            let taken = part.shape.first().copied().unwrap_or(0);
            part.rows.is_none_or(|rows| rows.first.checked_add(taken).is_some_and(|end| end <= rows.of))
        };
        same && k_fits && decl.parts.iter().all(inside) && (rows()..=rows().next_multiple_of(4)).contains(&n)
    };
    let sound = match decl.kind {
        WeightKind::Vector { len } => values() <= len,
        WeightKind::GegluVector { len } => decl.parts.len() == 1 && values() == len && len.is_multiple_of(2),
        WeightKind::Table { rows, cols } => decl.parts.len() == 1 && decl.parts[0].shape == [rows, cols],
        WeightKind::Matrix { n, k } => fits(n, k),
        WeightKind::Geglu { n, k } => {
            decl.parts.len() == 1 && rows() == n && n.is_multiple_of(4) && fits(n, k)
        }
    };
    if sound {
        return Ok(());
    }
    Err(bad(
        &decl.name,
        format!("weight declaration {:?} does not fit its parts {:?}", decl.kind, decl.parts),
    ))
}

/// The type a record should have: that of its widest part, unless an option says otherwise.
fn wanted_type(decl: &WeightDecl, found: &HashMap<&str, &TensorInfo>, options: LayoutOptions) -> WeightType {
    let parts = decl.parts.iter().filter_map(|part| found.get(part.name.as_str()));
    // The types' order is from wide to narrow.
    let widest = parts.map(|info| info.dtype.weight_type()).min().unwrap_or(WeightType::F32);
    let narrowed = options.narrowed.map(|types| types.narrowed(decl, widest));
    let wanted = options.matrix_type.or(narrowed).unwrap_or(widest);
    match decl.kind {
        WeightKind::Vector { .. } | WeightKind::GegluVector { .. } => WeightType::F32,
        WeightKind::Table { .. } => match wanted.max(widest) {
            WeightType::F32 => WeightType::F32,
            _ => WeightType::F16,
        },
        WeightKind::Matrix { .. } | WeightKind::Geglu { .. } => wanted,
    }
}

/// The type a record can have, and the bytes of its values and scales.
fn sized(decl: &WeightDecl, wanted: WeightType) -> Result<(WeightType, u64, Option<u64>)> {
    let result = match decl.kind {
        WeightKind::Vector { len } | WeightKind::GegluVector { len } => {
            (WeightType::F32, 4 * len.next_multiple_of(4) as u64, None)
        }
        WeightKind::Table { rows, cols } => {
            let count = rows as u64 * cols as u64;
            match wanted {
                WeightType::F32 if 4 * count <= MAX_F32_TABLE => (WeightType::F32, 4 * count, None),
                _ => (WeightType::F16, (2 * count).next_multiple_of(4), None),
            }
        }
        WeightKind::Matrix { .. } | WeightKind::Geglu { .. } => {
            let (n, k) = matrix_dims(decl).unwrap_or_default();
            let blocked = decl.parts.first().and_then(Geometry::of).is_some_and(|part| part.is_blocked());
            let count = n as u64 * k as u64;
            let weight_type = match wanted {
                quantized if quantized.is_quantized() && !blocked => WeightType::F16,
                WeightType::F32 if 4 * count > MAX_SLAB => WeightType::F16,
                other => other,
            };
            let values = count * weight_type.bits() as u64 / 8;
            (weight_type, values, weight_type.is_quantized().then_some(count / BLOCK as u64 * 2))
        }
    };
    let (_, values, scales) = result;
    let len = values.next_multiple_of(ALIGN) + scales.unwrap_or(0);
    if len > MAX_SLAB {
        return Err(Error::Unsupported {
            what: format!("weight {} of {len} bytes", decl.name),
            message: format!("a GPU buffer holds at most {MAX_SLAB} bytes"),
        });
    }
    Ok(result)
}
