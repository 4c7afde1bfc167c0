//! The networks written as graphs: configuration and weight path in, plan nodes out.
//!
//! [`clip`], [`unet`], [`controlnet`], [`vae`] and [`taesd`] each write one kind of network, with its weights at any root;
//! [`denoiser`] and [`autoencoder`] choose by the model's configuration; [`upscaler`] is a model by itself. No device, no weights, no async. Field names,
//! path segments and checkpoint keys are the same words.

pub mod autoencoder;
pub mod clip;
pub mod controlnet;
pub mod denoiser;
mod resnet;
mod streamed;
pub mod taesd;
pub mod unet;
pub mod upscaler;
pub mod vae;

pub use clip::Reads;
pub use streamed::Whole;

use crate::config::{ControlNetConfig, ModelConfig, TaesdConfig};
use crate::plan::{Graph, MemoryLimits, Outside, Path, WeightDecl};
use crate::weights::Component;

/// A model's text encoder number `index` over `batch` chunks; `None` where it has no such encoder.
pub fn text_encoder(config: &ModelConfig, index: usize, batch: usize, reads: Reads) -> Option<Graph> {
    let root = Path::root(&ModelConfig::text_root(index));
    let text = config.texts.get(index)?;
    Some(clip::text_encoder(text, &root, Outside::Embeddings(index), batch, reads))
}

/// What a model's first text encoder reads of a chunk, and beside it of one whose tokens are the run's own one vector: embeddings with
/// positions, under the name of its states.
#[cfg(feature = "train")]
pub fn embedded_text(config: &ModelConfig) -> Option<Graph> {
    Some(clip::embedded(
        config.texts.first()?,
        &Path::root(&ModelConfig::text_root(0)),
        Outside::Embeddings(0),
        (2, 1),
    ))
}

/// The decoder of previews, of one picture, where the model brings one.
pub fn preview(config: &ModelConfig, h: usize, w: usize) -> Option<Graph> {
    let root = Path::root(TaesdConfig::ROOT);
    let preview = config.preview.as_ref()?;
    Some(taesd::decoder(preview, &root, taesd::Ends::PREVIEW, 1, h, w))
}

/// Every weight of a model, in the order in which its files are written.
pub fn weight_decls(config: &ModelConfig) -> Vec<WeightDecl> {
    // Declarations do not depend on sizes: the smallest do.
    let scale = config.vae.scale();
    let (tokens, limits) = (config.chunk_tokens(), MemoryLimits::default());
    let texts = (0..config.texts.len()).filter_map(|index| text_encoder(config, index, 1, Reads::default()));
    let networks = [
        denoiser::text_keys_values(config, 1, tokens),
        denoiser::denoiser(&config.denoiser, [1, 8, 8], [1, tokens], 0),
        autoencoder::decoder(&config.vae, 1, 8, 8, limits),
        autoencoder::encoder(&config.vae, 1, 8 * scale, 8 * scale, limits),
    ];
    declared(texts.chain(networks).chain(preview(config, 8, 8)))
}

/// Every weight of a model's own autoencoder, both ways.
pub fn autoencoder_decls(config: &ModelConfig) -> Vec<WeightDecl> {
    let own = |decl: &WeightDecl| Component::of(&decl.name).is_autoencoder();
    weight_decls(config).into_iter().filter(own).collect()
}

/// Every weight of a tiny autoencoder by itself, both ways.
pub fn taesd_weight_decls(config: &TaesdConfig) -> Vec<WeightDecl> {
    let root = Path::root(TaesdConfig::ROOT);
    let decoder = taesd::decoder(config, &root, taesd::Ends::PICTURE, 1, 8, 8);
    declared([decoder, taesd::encoder(config, &root, 1, 64, 64)])
}

/// Every weight of a ControlNet, as a model's first.
pub fn control_decls(config: &ControlNetConfig) -> Vec<WeightDecl> {
    let slot = controlnet::Slot { control: 0, model: 0 };
    let width = [config.unet.cross_attention_dim];
    declared([
        controlnet::hint(config, slot, [8, 8]),
        controlnet::text_keys_values(config, slot, [1, 8], &width),
        controlnet::controlnet(config, slot, [1, 8, 8], config.unet.in_channels, [1, 8]),
    ])
}

fn declared(graphs: impl IntoIterator<Item = Graph>) -> Vec<WeightDecl> {
    graphs.into_iter().flat_map(|graph| graph.weights).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::packed::DECLARED;

    #[test]
    fn declarations_are_those_that_models_are_stored_with() {
        let found = DECLARED.map(|(name, _)| {
            let decls = weight_decls(&ModelConfig::builtin(name).unwrap());
            (name, crc32fast::hash(&serde_json::to_vec(&decls).unwrap()))
        });
        assert_eq!(found, DECLARED, "see weights::packed::DECLARED: what changes for stored models?");
    }
}
