//! Writing a GGUF: every weight of a model in the type asked for, with configuration and tokenizer inside.
//!
//! Matrices whose rows are whole blocks of 32 get the type, 3×3 convolutions included; others become F16. Vectors stay
//! F32; embedding tables become F16 unless F32 is asked for. Quantized models are of several
//! [`Types`], the autoencoder's the widest. Convolution weights are stored as
//! `[O, kh·kw·I]` in the order (ky, kx, i), which quantizes along the axis the kernels read; the metadata says so.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::blocks::Rounding;
use super::convert::{NewTensor, convert, new_tensor};
use super::disk::io;
use super::finite::NonFinite;
use super::gguf::ALIGNMENT;
use super::gguf_write::header_bytes;
use super::header::{Header, bad};
use super::packed::check_against;
use super::source::ModelSource;
use super::types::{KEPT, SourceType};
use crate::error::{Error, Result};
use crate::kernels::WeightType;
use crate::plan::{Types, WeightDecl};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub tensors: usize,
    /// Tensors of each type, widest type first.
    pub by_type: Vec<(SourceType, usize)>,
    pub bytes: u64,
    pub source_bytes: u64,
}

/// Writes a diffusers folder as a GGUF, matrices as `ty`. See [`quantize_source`].
pub fn quantize_folder(
    folder: &Path,
    decls: &[WeightDecl],
    ty: WeightType,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary> {
    let source = ModelSource::open(folder)?;
    quantize_source(&source, decls, Types::of(ty), Rounding::Fitted, out, progress)
}

/// Writes a model as a GGUF.
///
/// `progress` gets bytes read and in all. Memory is bounded by the largest tensor; the file appears under its name only
/// when it is complete.
pub fn quantize_source(
    source: &ModelSource,
    decls: &[WeightDecl],
    types: Types,
    rounding: Rounding,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary> {
    let header = source.header();
    let index: HashMap<&str, usize> =
        header.tensors.iter().enumerate().map(|(i, info)| (info.name.as_str(), i)).collect();
    let found = header.tensors.iter().map(|info| (info.name.as_str(), info)).collect();
    check_against(decls, header, &found, source.leaves_extra())?;
    let mut written = HashSet::new();
    let mut tensors = Vec::new();
    for (decl, part) in decls.iter().flat_map(|decl| decl.parts.iter().map(move |part| (decl, part))) {
        if written.insert(&part.name) {
            let wanted = types.of_matrix(decl);
            let whole = part.tensor();
            let tensor = new_tensor(decl, &whole, wanted);
            tensors.push((whole, tensor));
        }
    }
    let partial = out.with_extension("gguf.part");
    let result = (|| {
        let mut file = Output::create(&partial)?;
        let list: Vec<NewTensor> = tensors.iter().map(|(_, tensor)| tensor.clone()).collect();
        file.write(&header_bytes(&metadata_refs(&metadata(source)?), &list))?;
        let total = header.tensors.iter().map(|info| info.len).sum();
        let (mut done, mut buffer, mut broken) = (0, Vec::new(), NonFinite::default());
        for (part, tensor) in &tensors {
            let at = index.get(part.name.as_str()).copied();
            let at = at.ok_or_else(|| bad(&header.file, format!("no tensor {}", part.name)))?;
            source.read(at, &mut buffer)?;
            let changed = source.changed(at, &buffer, &part.shape)?;
            let own = header.tensors[at].dtype;
            broken.look(&part.name, own, &buffer);
            let (dtype, values, rounding) = match &changed {
                Some(values) if own == tensor.dtype => {
                    (SourceType::F32, bytemuck::cast_slice(values), Rounding::of_changed(own, &part.name))
                }
                Some(values) => (SourceType::F32, bytemuck::cast_slice(values), rounding),
                None => (own, buffer.as_slice(), rounding),
            };
            let bytes = convert(part, dtype, values, header.is_ohwi(), tensor, rounding);
            file.write(&bytes)?;
            file.pad()?;
            done += buffer.len() as u64;
            progress(done, total);
        }
        if !source.allows_non_finite() {
            broken.check(&header.file)?;
        }
        file.finish(out)
    })();
    let bytes = result.inspect_err(|_| _ = std::fs::remove_file(&partial))?;
    let mut by_type: Vec<(SourceType, usize)> = Vec::new();
    for kind in KEPT.map(|(.., kind)| kind) {
        let count = tensors.iter().filter(|(_, tensor)| tensor.dtype == kind).count();
        by_type.extend((count > 0).then_some((kind, count)));
    }
    Ok(Summary { tensors: tensors.len(), by_type, bytes, source_bytes: source.source().bytes })
}

/// What the file says of itself.
fn metadata(source: &ModelSource) -> Result<Vec<(&'static str, String)>> {
    let config = serde_json::to_string(source.config())
        .map_err(|error| Error::Json { file: Header::CONFIG.to_string(), message: error.to_string() })?;
    let origin = Path::new(&source.header().file).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut metadata = vec![
        ("general.architecture", "opengen".to_string()),
        ("general.name", source.config().name.clone()),
        (Header::CONFIG, config),
        (Header::TOKENIZER, source.tokenizer().to_string()),
        (Header::SOURCE, origin.unwrap_or_default()),
        (Header::CONV_LAYOUT, "ohwi".to_string()),
    ];
    metadata.extend(source.license().map(|license| license.metadata()).unwrap_or_default());
    Ok(metadata)
}

fn metadata_refs<'a>(metadata: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    metadata.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// The file being written, under another name until it is complete.
struct Output {
    path: std::path::PathBuf,
    file: BufWriter<File>,
    position: u64,
}

impl Output {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| io(&path.display().to_string(), &error))?;
        Ok(Output { path: path.to_path_buf(), file: BufWriter::with_capacity(1 << 20, file), position: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.position += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| io(&self.path.display().to_string(), &error))
    }

    /// Zeros up to where the next tensor begins.
    fn pad(&mut self) -> Result<()> {
        let gap = self.position.next_multiple_of(ALIGNMENT) - self.position;
        self.write(&[0; ALIGNMENT as usize][..gap as usize])
    }

    /// Flushes, renames, and gives back the length.
    fn finish(mut self, out: &Path) -> Result<u64> {
        let done = self.file.flush().and_then(|()| std::fs::rename(&self.path, out));
        done.map_err(|error| io(&out.display().to_string(), &error))?;
        Ok(self.position)
    }
}
