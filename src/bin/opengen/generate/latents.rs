//! Latents and noise out of files, as `--dump` and others write them.

use std::path::Path;

use opengen::config::ModelConfig;
use opengen::error::{Error, Result};
use opengen::pipeline::Entry;
use safetensors::{Dtype, SafeTensors};

use super::io;

/// What programs call the tensor.
const NAME: &str = "latents";

/// The latents of a file that enter a run so, `[B, C, h, w]`, and the width and height of a picture of them.
pub fn read(path: &Path, entry: Entry, config: &ModelConfig) -> Result<(Vec<f32>, [usize; 2])> {
    let bytes = std::fs::read(path).map_err(|e| io(path, &e))?;
    let file = opened(path, &bytes)?;
    let numbered = |name: &str| name.strip_prefix("latents.")?.parse::<usize>().ok();
    let step = match entry {
        Entry::Step(step) => Some(step),
        Entry::Clean { .. } => file.names().into_iter().filter_map(numbered).max(),
    };
    let of_dump = format!("{NAME}.{}", step.unwrap_or(0));
    let name = [NAME, &of_dump].into_iter().find(|name| file.names().contains(name));
    let name = name.ok_or_else(|| bad(path, format!("has no tensor `{NAME}`, and no `{of_dump}`")))?;
    let (values, shape) = tensor(path, &file, name)?;
    let (channels, scale) = (config.vae.latent_channels(), config.vae.scale());
    match shape[..] {
        [_, c, h, w] if c == channels && h * w > 0 => Ok((values, [w * scale, h * scale])),
        _ => Err(bad(
            path,
            format!("`{name}` is {shape:?}, expected [B, {channels}, h, w], the latents of {}", config.name),
        )),
    }
}

/// Refuses a size that is not that of the latents.
pub fn check_size(asked: [usize; 2], [width, height]: [usize; 2]) -> Result<()> {
    if asked == [width, height] {
        return Ok(());
    }
    let [wide, high] = asked;
    let message = format!(
        "they are those of {width}×{height} pixels, {wide}×{high} asked for; leave the size out, or ask for theirs"
    );
    Err(Error::InvalidInput { field: NAME, message })
}

/// The unit noise of a file, for so many pictures of that height and width.
pub fn read_noise(path: &Path, [batch, height, width]: [usize; 3], config: &ModelConfig) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).map_err(|e| io(path, &e))?;
    let (values, shape) = tensor(path, &opened(path, &bytes)?, NAME)?;
    let scale = config.vae.scale();
    let expected = [batch, config.vae.latent_channels(), height / scale, width / scale];
    if shape != expected {
        return Err(bad(path, format!("`{NAME}` is {shape:?}, expected {expected:?}")));
    }
    Ok(values)
}

fn opened<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|e| bad(path, e.to_string()))
}

fn tensor(path: &Path, file: &SafeTensors<'_>, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
    let tensor = file.tensor(name).map_err(|_| bad(path, format!("has no tensor `{name}`")))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(bad(path, format!("`{name}` is {:?}, expected F32", tensor.dtype())));
    }
    let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok((values.collect(), tensor.shape().to_vec()))
}

fn bad(path: &Path, message: String) -> Error {
    Error::BadFile { file: path.display().to_string(), message }
}
