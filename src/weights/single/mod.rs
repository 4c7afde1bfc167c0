//! A whole model in one file without a configuration: a checkpoint of Stable Diffusion 1 or 2 as A1111, Civitai, ComfyUI and
//! stable-diffusion.cpp keep it.
//!
//! Its tensors get their canonical names as soon as the header is read, so that nobody behind it knows of the others; what
//! the model is, [`infer::config`] tells from their shapes. The names are those of the reference implementations:
//! <https://github.com/CompVis/stable-diffusion> (UNet, autoencoder, CLIP), <https://github.com/mlfoundations/open_clip>
//! (the text encoder of Stable Diffusion 2), and what <https://github.com/leejet/stable-diffusion.cpp> makes of them.

mod autoencoder;
mod control;
pub(super) mod infer;
mod text;
mod tiny;
mod unet;

use std::collections::{BTreeMap, HashSet};

use super::header::{Header, TensorInfo, bad};
use super::names;
use crate::config::ControlNetConfig;
use crate::error::Result;
use unet::Blocks;

/// What wrappers of training put in front of every name.
const WRAPPER: &str = "state_dict.";
/// What the networks are called: by CompVis and all who followed, by diffusers, and a tiny autoencoder by
/// stable-diffusion.cpp.
const UNET: [&str; 2] = ["model.diffusion_model.", "unet."];
const AUTOENCODER: [&str; 3] = ["first_stage_model.", "vae.", "tae."];
const TEXT: [&str; 3] = ["cond_stage_model.", "text_encoder.", "te."];

/// Whether a file's names are those of a whole model in one file.
pub(super) fn is_single<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut parts = [false; 2];
    names.for_each(|name| note_parts(unwrapped(name), &mut parts));
    parts == [true; 2]
}

/// Notes whether a name is one of a UNet, or of a text encoder: what has both is a whole model.
pub(super) fn note_parts(name: &str, parts: &mut [bool; 2]) {
    parts[0] |= behind(&UNET, name).is_some();
    parts[1] |= behind(&TEXT, name).is_some();
}

/// A name without what a wrapper put in front of it.
pub(super) fn unwrapped(name: &str) -> &str {
    name.strip_prefix(WRAPPER).unwrap_or(name)
}

/// What follows one of several starts.
fn behind<'a>(starts: &[&str], name: &'a str) -> Option<&'a str> {
    starts.iter().find_map(|start| name.strip_prefix(start))
}

/// Gives the tensors of a model in one file their canonical names and shapes; several layers that lie in one tensor become
/// several. What has no such name keeps its own, and with it the place among what is not read.
pub(super) fn canonical(header: &mut Header) -> Result<()> {
    let names = Names::of(header);
    let mut taken = HashSet::new();
    let mut tensors = Vec::with_capacity(header.tensors.len());
    for info in std::mem::take(&mut header.tensors) {
        for info in names.of_tensor(info) {
            if !taken.insert(info.name.clone()) {
                return Err(bad(&header.file, format!("tensor {} appears twice", info.name)));
            }
            tensors.push(info);
        }
    }
    header.tensors = tensors;
    for other in &mut header.others {
        if let Some((component, name)) = names.canonical(&other.name) {
            other.name = names::canonical_name(component, name);
        }
    }
    Ok(())
}

/// How the canonical names of an autoencoder begin.
pub(super) const VAE: &str = "vae.";

/// The tensors of an autoencoder in a file of its own, or of the one in a checkpoint, under their canonical names.
pub(super) fn autoencoder_of(header: Header) -> Result<Vec<TensorInfo>> {
    let bare = |name: &str| behind(&AUTOENCODER, unwrapped(name)).unwrap_or(unwrapped(name)).to_string();
    let mut tensors = header.tensors;
    if !header.is_single {
        let all: Vec<String> = tensors.iter().map(|info| bare(&info.name)).collect();
        let stages = autoencoder::Stages::of(all.iter().map(String::as_str));
        for (info, name) in tensors.iter_mut().zip(&all) {
            if let Some(name) = stages.canonical(name) {
                info.name = name;
                names::canonical("vae", info);
            }
        }
    }
    tensors.retain(|info| info.name.starts_with(VAE));
    if tensors.is_empty() {
        return Err(bad(&header.file, "no autoencoder: none of its tensors has a name of one".to_string()));
    }
    Ok(tensors)
}

/// Whether names are those of a ControlNet.
pub(super) fn is_control<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    control::is_control(names)
}

/// Gives the tensors of a ControlNet their canonical names, as those of a model's first.
pub(super) fn rename_control(header: &mut Header) -> Result<()> {
    let all: Vec<String> = header.tensors.iter().map(|info| info.name.clone()).collect();
    let names = control::Names::of(all.iter().map(String::as_str));
    let root = ControlNetConfig::root(0);
    let mut taken = HashSet::new();
    for info in &mut header.tensors {
        let Some(name) = names.canonical(&info.name) else { continue };
        info.name = format!("{root}.{name}");
        if !taken.insert(info.name.clone()) {
            return Err(bad(&header.file, format!("tensor {} appears twice", info.name)));
        }
    }
    Ok(())
}

/// The same, and what the ControlNet is, told from their shapes.
pub(super) fn control(name: &str, header: &mut Header) -> Result<ControlNetConfig> {
    rename_control(header)?;
    infer::control(name, &header.file, &header.tensors)
}

/// What the names of one file are told by.
struct Names {
    unet: unet::Blocks,
    stages: autoencoder::Stages,
    /// Whether the transformers of the UNet begin and end with linear maps, as in Stable Diffusion 2, not with convolutions:
    /// as values they are the same, and some writers give one the shape of the other.
    is_linear: bool,
    /// stable-diffusion.cpp puts an autoencoder that it was given beside the one inside: it is the one meant.
    has_own_vae: bool,
}

impl Names {
    fn of(header: &Header) -> Names {
        let all = || header.tensors.iter().map(|info| unwrapped(&info.name));
        let projected = |info: &TensorInfo| info.name.ends_with(".proj_in.weight") && info.shape.len() == 2;
        let own =
            |name: &str| name.strip_prefix(AUTOENCODER[1]).is_some_and(|rest| rest.starts_with("decoder."));
        Names {
            has_own_vae: all().any(own),
            unet: unet::Blocks::of(all().filter_map(|name| behind(&UNET, name))),
            // Both autoencoders have as many, as both take the same latents.
            stages: {
                let names: Vec<&str> = all().filter_map(|name| behind(&AUTOENCODER, name)).collect();
                autoencoder::Stages::of(names.iter().copied())
            },
            is_linear: all().filter_map(|name| behind(&TEXT, name)).any(text::is_open_clip)
                || header.tensors.iter().any(projected),
        }
    }

    /// The component that a tensor belongs to, and its name in it as diffusers has it.
    fn canonical(&self, name: &str) -> Option<(&'static str, String)> {
        let name = unwrapped(name);
        if let Some(rest) = behind(&UNET, name) {
            return Some(("unet", self.unet.canonical(rest)?));
        }
        if self.has_own_vae && name.starts_with(AUTOENCODER[0]) {
            return None;
        }
        if let Some(rest) = behind(&AUTOENCODER, name) {
            return Some(("vae", self.stages.canonical(rest)?));
        }
        Some(("text_encoder", text::canonical(behind(&TEXT, name)?)?))
    }

    /// What one tensor of the file is here.
    fn of_tensor(&self, mut info: TensorInfo) -> Vec<TensorInfo> {
        let Some((component, name)) = self.canonical(&info.name) else { return vec![info] };
        if component == "unet" && (name.ends_with(".proj_in.weight") || name.ends_with(".proj_out.weight")) {
            info.shape = match *info.shape {
                [n, k, 1, 1] if self.is_linear => vec![n, k],
                [n, k] if !self.is_linear => vec![n, k, 1, 1],
                _ => info.shape,
            };
        }
        let parts = match name.contains(text::FUSED) {
            true => thirds(&info).map(|parts| parts.into_iter().zip(text::THREE).collect()),
            false => None,
        };
        let parts: Vec<_> = parts.unwrap_or_else(|| vec![(info, text::FUSED)]);
        let renamed = parts.into_iter().map(|(mut info, part)| {
            info.name = name.replace(text::FUSED, part);
            names::canonical(component, &mut info);
            info
        });
        renamed.collect()
    }
}

/// A tensor's rows in three equal parts, one behind the other in the file.
fn thirds(info: &TensorInfo) -> Option<[TensorInfo; 3]> {
    let (&rows, inner) = info.shape.split_first()?;
    let values = inner.iter().try_fold(rows / 3, |product, dim| product.checked_mul(*dim))?;
    let whole =
        rows.is_multiple_of(3) && info.len.is_multiple_of(3) && values.is_multiple_of(info.dtype.block_len());
    let part = |i: u64| TensorInfo {
        name: String::new(),
        dtype: info.dtype,
        shape: [&[rows / 3], inner].concat(),
        offset: info.offset + i * (info.len / 3),
        len: info.len / 3,
    };
    whole.then(|| [part(0), part(1), part(2)])
}

/// Puts another start in a name's place, by the first line of a table that fits.
fn replaced(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(old, new)| Some(format!("{new}{}", name.strip_prefix(old)?)))
}

/// A name cut behind a number: `("input_blocks.", "input_blocks.4.1.norm")` gives `(4, "1.norm")`.
fn numbered<'a>(start: &str, name: &'a str) -> Option<(usize, &'a str)> {
    let (number, rest) = name.strip_prefix(start)?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// By number: what is there.
type Numbered<T> = BTreeMap<usize, T>;
