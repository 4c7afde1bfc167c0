//! Networks that enlarge pictures, each in a file of its own that says nothing of itself: what it is, its tensors' names and
//! shapes tell, as spandrel does (<https://github.com/chaiNNer-org/spandrel>).
//!
//! RRDBNet comes under three namings: ESRGAN's first (`model.1.sub.0.RDB1.conv1.0.weight`), BSRGAN's and RealSR's
//! (`RRDB_trunk.0.RDB1.conv1.weight`), and Real-ESRGAN's (`body.0.rdb1.conv1.weight`), which is the one here.

use std::collections::{BTreeSet, HashSet};

use super::header::{Header, Parse, TensorInfo, bad, incomplete};
use super::marks;
use super::pack::Packer;
use super::packed::{LayoutOptions, PackedRecord, Packing, placed};
use crate::config::{CompactConfig, RrdbConfig, UpscalerConfig};
use crate::error::{Error, Result};
use crate::plan::WeightDecl;

/// What training puts in front of every name; where there are two of these, the average is meant.
const WRAPPERS: [&str; 4] = ["params_ema.", "params.", "state_dict.", "module."];
/// What is read.
const NEEDED: &str =
    "an upscaler is needed here: ESRGAN, Real-ESRGAN (RRDBNet) or SRVGGNetCompact, as safetensors";

/// A network's file, recognised; its tensors have their canonical names.
#[derive(Debug)]
pub struct UpscalerFile<'a> {
    pub config: UpscalerConfig,
    header: Header,
    bytes: &'a [u8],
}

/// A network's packed weights.
#[derive(Debug, Clone)]
pub struct PackedUpscaler {
    sizes: Vec<u64>,
    records: Vec<PackedRecord>,
    pub slabs: Vec<Vec<u8>>,
}

impl PackedUpscaler {
    /// What lies where.
    pub fn packing(&self) -> Packing<'_> {
        Packing { slabs: &self.sizes, records: &self.records }
    }
}

impl<'a> UpscalerFile<'a> {
    /// Reads the header of a whole file, and says what network it is; `file` is its name.
    ///
    /// Fails with what the file is instead where it is none that is known.
    pub fn read(file: &str, bytes: &'a [u8]) -> Result<UpscalerFile<'a>> {
        let len = bytes.len() as u64;
        let mut header = match Header::parse(file, bytes, len).map_err(needed)? {
            Parse::Done(header) => header,
            Parse::NeedMore(more) => {
                let detail = format!("its header has {more} bytes");
                return Err(incomplete(file, len, more as u64, detail));
            }
        };
        if header.is_single {
            return Err(needed(header.other_model()));
        }
        let found = header.tensors.iter().map(|info| info.name.as_str());
        let kind = marks::kind(&header.metadata, found).map(|(_, what)| what);
        unwrap(&mut header.tensors);
        let Some(config) = config(&mut header)? else { return Err(unknown(&header, kind)) };
        config.check(file)?;
        for info in &mut header.tensors {
            info.name = format!("{}.{}", UpscalerConfig::ROOT, info.name);
        }
        Ok(UpscalerFile { config, header, bytes })
    }

    /// Its weights, packed as declared; all that is missing, extra or of another shape is told at once.
    pub fn packed(&self, decls: &[WeightDecl]) -> Result<PackedUpscaler> {
        let (sizes, records) = placed(decls, &self.header, LayoutOptions::default())?;
        let mut slabs: Vec<Vec<u8>> = sizes.iter().map(|len| vec![0; *len as usize]).collect();
        let mut packer = Packer::new(Packing { slabs: &sizes, records: &records }, &self.header);
        for info in self.header.tensors.iter() {
            if !packer.wants(&info.name) {
                continue;
            }
            let cut = || bad(&self.header.file, format!("tensor {} lies outside the file", info.name));
            let data =
                self.bytes.get(info.offset as usize..(info.offset + info.len) as usize).ok_or_else(cut)?;
            for piece in packer.push(&info.name, data)? {
                let place = slabs.get_mut(piece.slab).and_then(|slab| slab.get_mut(piece.offset as usize..));
                let place = place.and_then(|slab| slab.get_mut(..piece.bytes.len())).ok_or_else(cut)?;
                place.copy_from_slice(&piece.bytes);
            }
        }
        packer.check_finite()?;
        packer.finish()?;
        Ok(PackedUpscaler { sizes, records, slabs })
    }
}

/// What a file is instead, with what would be needed.
fn needed(error: Error) -> Error {
    match error {
        Error::OtherFile { file, what, .. } => {
            // A whole checkpoint is no part of one.
            let what = what.strip_prefix("a part of ").map_or(what.clone(), str::to_string);
            Error::OtherFile { file, what, advice: NEEDED.to_string(), kind: None }
        }
        other => other,
    }
}

/// The error for a network that is none of those that are known: what is known of it, and by what its tensors are called.
fn unknown(header: &Header, kind: Option<String>) -> Error {
    let first = header
        .tensors
        .first()
        .map_or("no tensor at all".to_string(), |info| format!("{} {:?}", info.name, info.shape));
    let what = kind.unwrap_or_else(|| "no upscaler that is known here".to_string());
    let what = format!("{what}, whose {} tensors begin with {first}", header.tensors.len());
    Error::OtherFile { file: header.file.clone(), what, advice: NEEDED.to_string(), kind: None }
}

/// Takes away what wraps all names; of weights and their average the average stays.
fn unwrap(tensors: &mut Vec<TensorInfo>) {
    while let Some(wrapper) =
        WRAPPERS.iter().find(|wrapper| tensors.iter().any(|info| info.name.starts_with(**wrapper)))
    {
        tensors.retain_mut(|info| match info.name.strip_prefix(wrapper) {
            Some(rest) => {
                info.name = rest.to_string();
                true
            }
            None => false,
        });
    }
}

/// What the names and shapes say; names are canonical then. `None` where they are of no network that is known.
fn config(header: &mut Header) -> Result<Option<UpscalerConfig>> {
    let has = |header: &Header, name: &str| header.tensors.iter().any(|info| info.name == name);
    if has(header, "model.0.weight") && has(header, "model.1.sub.0.RDB1.conv1.0.weight") {
        rename(&mut header.tensors, old_names);
    } else if has(header, "RRDB_trunk.0.RDB1.conv1.weight") {
        rename(&mut header.tensors, trunk_names);
    }
    if has(header, "conv_first.weight") && has(header, "body.0.rdb1.conv1.weight") {
        return rrdb(header).map(|config| Some(UpscalerConfig::Rrdb(config)));
    }
    if has(header, "body.0.weight") && has(header, "body.1.weight") {
        return compact(header).map(|config| Some(UpscalerConfig::Compact(config)));
    }
    Ok(None)
}

/// The canonical name of a name; `None` where it is one already.
type Names = Box<dyn Fn(&str) -> Option<String>>;

fn rename(tensors: &mut [TensorInfo], names: impl FnOnce(&[TensorInfo]) -> Names) {
    let names = names(tensors);
    for info in tensors {
        info.name = names(&info.name).unwrap_or_else(|| std::mem::take(&mut info.name));
    }
}

/// ESRGAN's first names, a sequence in which activations and enlargings count: the first convolution, the blocks with one
/// behind them, one for each doubling, and the last two.
fn old_names(tensors: &[TensorInfo]) -> Names {
    let numbers: BTreeSet<usize> =
        tensors.iter().filter_map(|info| number("model.", &info.name)).map(|(n, _)| n).collect();
    let behind: Vec<usize> = numbers.into_iter().filter(|number| *number > 1).collect();
    let doublings = behind.len().saturating_sub(2);
    Box::new(move |name| {
        let (layer, rest) = number("model.", name)?;
        if layer == 1 {
            let (block, rest) = number("sub.", rest)?;
            let Some((dense, rest)) = number("RDB", rest) else { return Some(format!("conv_body.{rest}")) };
            let (conv, rest) = number("conv", rest)?;
            return Some(format!("body.{block}.rdb{dense}.conv{conv}.{}", rest.strip_prefix("0.")?));
        }
        let place = behind.iter().position(|number| *number == layer);
        Some(match place {
            None if layer == 0 => format!("conv_first.{rest}"),
            None => return None,
            Some(at) if at < doublings => format!("conv_up{}.{rest}", at + 1),
            Some(at) if at == doublings => format!("conv_hr.{rest}"),
            Some(_) => format!("conv_last.{rest}"),
        })
    })
}

/// BSRGAN's and RealSR's names.
fn trunk_names(_: &[TensorInfo]) -> Names {
    Box::new(|name| {
        if let Some((block, rest)) = number("RRDB_trunk.", name) {
            return Some(format!("body.{block}.{}", rest.replace("RDB", "rdb")));
        }
        for (old, new) in [("trunk_conv.", "conv_body."), ("upconv", "conv_up"), ("HRconv.", "conv_hr.")] {
            if let Some(rest) = name.strip_prefix(old) {
                return Some(format!("{new}{rest}"));
            }
        }
        None
    })
}

/// A name cut behind a number: `("sub.", "sub.4.weight")` gives `(4, "weight")`.
fn number<'a>(start: &str, name: &'a str) -> Option<(usize, &'a str)> {
    let (number, rest) = name.strip_prefix(start)?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// A size of a tensor.
fn dim(header: &Header, name: &str, dim: usize) -> Result<usize> {
    let info = header.tensors.iter().find(|info| info.name == name);
    let size = info.and_then(|info| info.shape.get(dim)).copied();
    size.ok_or_else(|| bad(&header.file, format!("no tensor {name} with {} dimensions", dim + 1)))
}

/// How many numbers follow each other from 0, or `first`, on.
fn count(header: &Header, first: usize, name: impl Fn(usize) -> String) -> usize {
    let names: HashSet<&str> = header.tensors.iter().map(|info| info.name.as_str()).collect();
    (first..).take_while(|number| names.contains(name(*number).as_str())).count()
}

fn rrdb(header: &Header) -> Result<RrdbConfig> {
    if let Some(plus) = header.tensors.iter().find(|info| info.name.contains(".conv1x1")) {
        let what = format!("an upscaler (ESRGAN+, which has a tensor {})", plus.name);
        return Err(Error::OtherFile {
            file: header.file.clone(),
            what,
            advice: NEEDED.to_string(),
            kind: None,
        });
    }
    let (inputs, outputs) = (dim(header, "conv_first.weight", 1)?, dim(header, "conv_last.weight", 0)?);
    let unshuffle = match (inputs, outputs) {
        (3, 3) => 1,
        (12, 3) => 2,
        (48, 3) => 4,
        _ => return Err(channels(header, inputs, outputs)),
    };
    let doublings = count(header, 1, |number| format!("conv_up{number}.weight"));
    if doublings > 3 || 1 << doublings < unshuffle {
        let message = format!("a picture shrunk {unshuffle} times and doubled {doublings} times is not read");
        return Err(bad(&header.file, message));
    }
    Ok(RrdbConfig {
        width: dim(header, "conv_first.weight", 0)?,
        growth: dim(header, "body.0.rdb1.conv1.weight", 0)?,
        blocks: count(header, 0, |block| format!("body.{block}.rdb1.conv1.weight")),
        doublings,
        unshuffle,
    })
}

fn compact(header: &Header) -> Result<CompactConfig> {
    let convolutions = count(header, 0, |layer| format!("body.{}.weight", 2 * layer));
    let slopes = count(header, 0, |layer| format!("body.{}.weight", 2 * layer + 1));
    if slopes + 1 != convolutions {
        let message = format!(
            "{convolutions} convolutions with {slopes} slopes between them, expected one fewer than those"
        );
        return Err(bad(&header.file, message));
    }
    let last = format!("body.{}.weight", 2 * slopes);
    let (inputs, outputs) = (dim(header, "body.0.weight", 1)?, dim(header, &last, 0)?);
    let scale = (1..=8).find(|scale| 3 * scale * scale == outputs);
    match scale.filter(|_| inputs == 3) {
        Some(scale) => {
            Ok(CompactConfig { width: dim(header, "body.0.weight", 0)?, convolutions: slopes - 1, scale })
        }
        None => Err(channels(header, inputs, outputs)),
    }
}

fn channels(header: &Header, inputs: usize, outputs: usize) -> Error {
    let message =
        format!("it reads {inputs} channels and makes {outputs}; upscalers of colour pictures are read here");
    bad(&header.file, message)
}
