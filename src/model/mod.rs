//! CLIP, UNet, VAE and TAESD written as graphs: configuration and weight path in, plan nodes out.
//!
//! No device, no weights, no async. Field names, path segments and checkpoint keys are the same words.

pub mod clip;
mod resnet;
mod streamed;
pub mod taesd;
pub mod unet;
pub mod vae;

use crate::config::{ModelConfig, TaesdConfig};
use crate::plan::{Graph, WeightDecl};

/// Every weight of a model, in the order in which its files are written.
pub fn weight_decls(config: &ModelConfig) -> Vec<WeightDecl> {
    // Declarations do not depend on sizes: the smallest do.
    let scale = config.vae.scale();
    let tokens = config.text.max_position_embeddings;
    declared(vec![
        clip::text_encoder(&config.text, 1, 0),
        unet::text_keys_values(&config.unet, 1, tokens),
        unet::unet(&config.unet, 1, 8, 8, tokens),
        vae::decoder(&config.vae, 1, 8, 8),
        vae::encoder(&config.vae, 1, 8 * scale, 8 * scale),
    ])
}

/// Every weight of a tiny autoencoder.
pub fn taesd_weight_decls(config: &TaesdConfig) -> Vec<WeightDecl> {
    declared(vec![taesd::decoder(config, 1, 8, 8), taesd::encoder(config, 1, 64, 64)])
}

fn declared(graphs: Vec<Graph>) -> Vec<WeightDecl> {
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
