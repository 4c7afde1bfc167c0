//! A model's denoiser, whichever of the kinds it is.

use super::unet;
use crate::config::{Denoiser, ModelConfig};
use crate::plan::{Graph, Outside, Path, Shape};

/// The network on latents `[batch, h, w]` and texts `[rows, tokens]`, of which each row serves as many neighbouring latents:
/// from `Outside::Sample`, `Outside::Time`, [`text_keys_values`] and what so many control networks give
/// ([`controlnet`](super::controlnet)) to `Outside::Prediction`.
pub fn denoiser(config: &Denoiser, latents: [usize; 3], texts: [usize; 2], controls: usize) -> Graph {
    let root = Path::root(config.root());
    match config {
        Denoiser::Unet(config) => unet::unet(config, &root, latents, texts, controls),
    }
}

/// What the network wants of the text, computed once per prompt from the states of all text encoders.
pub fn text_keys_values(config: &ModelConfig, batch: usize, tokens: usize) -> Graph {
    let root = Path::root(config.denoiser.root());
    let widths: Vec<usize> = config.texts.iter().map(|text| text.hidden_size).collect();
    match &config.denoiser {
        Denoiser::Unet(unet) => {
            unet::text_keys_values(unet, &root, [batch, tokens], &widths, Outside::KeysValues)
        }
    }
}

/// Makes where every cross attention looks an output; paths and shapes, in order.
pub fn expose_cross_attentions(graph: &mut Graph, config: &Denoiser) -> Vec<(String, Shape)> {
    let root = Path::root(config.root());
    match config {
        Denoiser::Unet(config) => unet::expose_cross_attentions(graph, config, &root),
    }
}
