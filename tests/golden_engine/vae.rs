//! The autoencoders, both ways, at even and odd latent sizes.

use opengen::config::Autoencoder;
use pollster::block_on;

use crate::common::{Golden, VaeCase, cases};
use crate::engine::{Engine, Packed, Taesd, tiers};

#[test]
fn autoencoder_kl() {
    for tier in tiers() {
        let mut report = tier.report();
        for case in cases::<VaeCase>("vae").iter().filter(|case| case.model != "taesd") {
            let engine = Engine::new(tier, &Packed::open(&case.model, None));
            let (stages, config) = (engine.stages(), &engine.config);
            let golden = Golden::open(&case.file);
            for (i, call) in case.cases.iter().enumerate() {
                let what =
                    |way| format!("{} {} vae {way} {}x{}", tier.name, case.model, call.height, call.width);
                // The engine's decoder takes scaled latents, as the denoising loop leaves them.
                let name = format!("latents.{i}");
                let scale = config.vae.scaling_factor() as f32;
                let latents: Vec<f32> = golden.values(&name).iter().map(|value| value * scale).collect();
                let decoded =
                    block_on(stages.vae_decode(config, &latents, golden.shape(&name))).expect("decode");
                report.compare(&what("decode"), &decoded, &golden.values(&format!("decoded.{i}")));
                let name = format!("image.{i}");
                let values = golden.values(&name);
                let encoded = stages.vae_encode(config, &values, golden.shape(&name));
                let encoded = block_on(encoded).expect("encode");
                report.compare(&what("encode"), &encoded, &golden.values(&format!("encoded.{i}")));
            }
        }
        report.finish();
    }
}

/// Wide maps in slices of channels: down to one norm group a slice, and where only some maps are wide.
#[test]
fn autoencoder_kl_in_slices() {
    for tier in tiers() {
        let mut report = tier.report();
        for case in cases::<VaeCase>("vae").iter().filter(|case| case.model != "taesd") {
            let engine = Engine::new(tier, &Packed::open(&case.model, None));
            let (stages, config) = (engine.stages(), &engine.config);
            let Autoencoder::Kl(vae) = &config.vae else { panic!("{}: another autoencoder", case.model) };
            let golden = Golden::open(&case.file);
            for (i, call) in case.cases.iter().enumerate() {
                let latents = golden.values(&format!("latents.{i}"));
                let scaled: Vec<f32> =
                    latents.iter().map(|v| v * config.vae.scaling_factor() as f32).collect();
                let shape = golden.shape(&format!("latents.{i}"));
                let image = golden.values(&format!("image.{i}"));
                let image_shape = golden.shape(&format!("image.{i}"));
                let pixels = image_shape[0] * image_shape[2] * image_shape[3];
                for whole in [1, pixels * vae.block_out_channels[0] - 1] {
                    let what = |way| {
                        let (name, model) = (tier.name, &case.model);
                        format!("{name} {model} vae {way} {}x{} above {whole}", call.height, call.width)
                    };
                    let decoded = stages.vae_decode_streamed(config, &scaled, shape, whole);
                    let decoded = block_on(decoded).expect("decode");
                    report.compare(&what("decode"), &decoded, &golden.values(&format!("decoded.{i}")));
                    let encoded = stages.vae_encode_streamed(config, &image, image_shape, whole);
                    let encoded = block_on(encoded).expect("encode");
                    report.compare(&what("encode"), &encoded, &golden.values(&format!("encoded.{i}")));
                }
            }
        }
        report.finish();
    }
}

#[test]
fn taesd() {
    for tier in tiers() {
        let mut report = tier.report();
        let model = Taesd::new(tier);
        let (stages, config) = (model.stages(), &model.config);
        for case in cases::<VaeCase>("vae").iter().filter(|case| case.model == "taesd") {
            let golden = Golden::open(&case.file);
            for (i, call) in case.cases.iter().enumerate() {
                let what = |way| format!("{} taesd {way} {}x{}", tier.name, call.height, call.width);
                let name = format!("latents.{i}");
                let values = golden.values(&name);
                let decoded = stages.taesd_decode(config, &values, golden.shape(&name));
                let decoded = block_on(decoded).expect("decode");
                report.compare(&what("decode"), &decoded, &golden.values(&format!("decoded.{i}")));
                let name = format!("image.{i}");
                let values = golden.values(&name);
                let encoded = stages.taesd_encode(config, &values, golden.shape(&name));
                let encoded = block_on(encoded).expect("encode");
                report.compare(&what("encode"), &encoded, &golden.values(&format!("encoded.{i}")));
            }
        }
        report.finish();
    }
}
