//! A model's own autoencoder, whichever of the kinds it is.

use super::streamed::Whole;
use super::taesd::{self, Ends};
use super::vae;
use crate::config::Autoencoder;
use crate::plan::{Graph, MemoryLimits, Outside, Path};

/// Latents of `h` × `w` to pictures: from [`Outside::Latents`] to [`Outside::Image`] and [`Outside::Rgba`].
pub fn decoder(config: &Autoencoder, batch: usize, h: usize, w: usize, limits: MemoryLimits) -> Graph {
    let root = Path::root(Autoencoder::ROOT);
    match config {
        Autoencoder::Kl(config) => vae::decoder(config, &root, [batch, h, w], Whole::Within(limits)),
        Autoencoder::Tiny(config) => taesd::decoder(config, &root, Ends::PICTURE, batch, h, w),
    }
}

/// Pictures of `h` × `w` from [`Outside::Pixels`] to what [`encoded`] says.
pub fn encoder(config: &Autoencoder, batch: usize, h: usize, w: usize, limits: MemoryLimits) -> Graph {
    let root = Path::root(Autoencoder::ROOT);
    match config {
        Autoencoder::Kl(config) => vae::encoder(config, &root, [batch, h, w], Whole::Within(limits)),
        Autoencoder::Tiny(config) => taesd::encoder(config, &root, batch, h, w),
    }
}

/// Where an encoder's latents are, and how many channels that has; the first are the latents, unscaled.
pub fn encoded(config: &Autoencoder) -> (Outside, usize) {
    match config {
        Autoencoder::Kl(config) => (Outside::Moments, 2 * config.latent_channels),
        Autoencoder::Tiny(config) => (Outside::Encoded, config.latent_channels),
    }
}
