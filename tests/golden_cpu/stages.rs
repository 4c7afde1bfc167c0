//! Each network by itself.

use opengen::cpu::Weights;
use opengen::kernels::WeightType;
use opengen::pipeline::stages::Stages;
use opengen::weights::{LayoutOptions, ModelSource};
use opengen::{model, weights};
use pollster::block_on;

use crate::common::report::Report;
use crate::common::{AttentionCase, F32, Golden, TextCase, UnetCase, VaeCase, cases, mini, packed_taesd};
use crate::models::{MODELS, Model};

/// What a large model's products unpack a panel at a time is what a small model's weights are unpacked to at once: no bit of any
/// answer differs. Of every type by the text encoder; of one by every network, and by the decoder in slices of channels, whose
/// matrices are sections.
#[test]
fn weights_that_stay_packed_are_those_that_are_unpacked() {
    let noise = |len: usize| -> Vec<f32> { (0..len).map(|i| (i as f32 * 0.37).sin()).collect() };
    let source = ModelSource::open(&mini()).expect("a model");
    let decls = model::weight_decls(source.config());
    for kind in [WeightType::F16, WeightType::Q8, WeightType::Q5, WeightType::Q4] {
        let options = LayoutOptions { matrix_type: Some(kind), ..LayoutOptions::default() };
        let (manifest, slabs) = weights::load(&source, &decls, options).expect("weights");
        let (config, channels) = (&manifest.config, manifest.config.vae.latent_channels());
        let (tokens, shape) = (config.chunk_tokens(), [1, channels, 8, 8]);
        let latents = noise(shape.iter().product());
        let answers = [Weights::new, Weights::packed].map(|kept| {
            let weights = kept(&manifest, slabs.clone()).expect("weights");
            let stages = Stages::on_cpu(&weights);
            let text = block_on(stages.text_embeddings(config, &[vec![1; tokens]], 0)).expect("text");
            if kind != WeightType::Q8 {
                return vec![text];
            }
            let step = block_on(stages.unet(config, &latents, shape, 500.0, &text)).expect("a step");
            let whole = block_on(stages.vae_decode(config, &latents, shape)).expect("a picture");
            let sliced = block_on(stages.vae_decode_streamed(config, &latents, shape, 1 << 12));
            vec![text, step, whole, sliced.expect("a picture")]
        });
        assert!(answers[0].iter().flatten().all(|value| value.is_finite()));
        assert!(answers[0] == answers[1], "{kind:?}");
    }
}

#[test]
fn text_embeddings() {
    let mut report = Report::new(F32);
    for case in cases::<TextCase>("text") {
        let model = Model::open(&case.model);
        let golden = Golden::open(&case.file);
        let ids = &golden.tokens("tokens")[..case.embedded];
        let embed = |ids: &[Vec<u32>], clip_skip| {
            block_on(model.stages().text_embeddings(&model.config, ids, clip_skip)).expect("embeddings")
        };
        let got = embed(ids, 0);
        for (i, got) in got.chunks(got.len() / ids.len()).enumerate() {
            let name = format!("text_embeddings.{i}");
            report.compare(&format!("{} {name}", case.model), got, &golden.values(&name));
        }
        // The penultimate layer's, of the second prompt.
        let name = "text_embeddings.clip_skip_1";
        report.compare(&format!("{} {name}", case.model), &embed(&ids[1..2], 1), &golden.values(name));
    }
    report.finish();
}

#[test]
fn unet() {
    let mut report = Report::new(F32);
    for case in cases::<UnetCase>("unet") {
        let model = Model::open(&case.model);
        let golden = Golden::open(&case.file);
        let embeddings = golden.values("embeddings");
        for (i, call) in case.cases.iter().enumerate() {
            let name = format!("latents.{i}");
            let (latents, shape) = (golden.values(&name), golden.shape(&name));
            let stages = model.stages();
            let got = stages.unet(&model.config, &latents, shape, call.timestep, &embeddings);
            let what = format!("{} unet {}x{} t {}", case.model, call.height, call.width, call.timestep);
            report.compare(&what, &block_on(got).expect("UNet"), &golden.values(&format!("output.{i}")));
        }
    }
    report.finish();
}

/// Maps as they are, and in slices of channels down to one norm group: what is made for devices runs here too.
#[test]
fn vae() {
    let mut report = Report::new(F32);
    for case in cases::<VaeCase>("vae").iter().filter(|case| MODELS.contains(&case.model.as_str())) {
        let model = Model::open(&case.model);
        let (stages, config) = (model.stages(), &model.config);
        let golden = Golden::open(&case.file);
        for (i, call) in case.cases.iter().enumerate() {
            let what = |way| format!("{} vae {way} {}x{}", case.model, call.height, call.width);
            let name = format!("latents.{i}");
            let scale = config.vae.scaling_factor() as f32;
            let latents: Vec<f32> = golden.values(&name).iter().map(|value| value * scale).collect();
            let (shape, decoded) = (golden.shape(&name), golden.values(&format!("decoded.{i}")));
            let got = block_on(stages.vae_decode(config, &latents, shape)).expect("decode");
            report.compare(&what("decode"), &got, &decoded);
            let got = block_on(stages.vae_decode_streamed(config, &latents, shape, 1)).expect("decode");
            report.compare(&what("decode in slices"), &got, &decoded);

            let name = format!("image.{i}");
            let (image, shape) = (golden.values(&name), golden.shape(&name));
            let encoded = golden.values(&format!("encoded.{i}"));
            let got = block_on(stages.vae_encode(config, &image, shape)).expect("encode");
            report.compare(&what("encode"), &got, &encoded);
            let got = block_on(stages.vae_encode_streamed(config, &image, shape, 1)).expect("encode");
            report.compare(&what("encode in slices"), &got, &encoded);
        }
    }
    report.finish();
}

#[test]
fn taesd() {
    let (config, manifest, slabs) = packed_taesd();
    let weights = Weights::new(&manifest, slabs).expect("weights");
    let stages = Stages::on_cpu(&weights);
    let mut report = Report::new(F32);
    for case in cases::<VaeCase>("vae").iter().filter(|case| case.model == "taesd") {
        let golden = Golden::open(&case.file);
        for (i, call) in case.cases.iter().enumerate() {
            let what = |way| format!("taesd {way} {}x{}", call.height, call.width);
            let name = format!("latents.{i}");
            let (latents, shape) = (golden.values(&name), golden.shape(&name));
            let decoded = stages.taesd_decode(&config, &latents, shape);
            let expected = golden.values(&format!("decoded.{i}"));
            report.compare(&what("decode"), &block_on(decoded).expect("decode"), &expected);
            let name = format!("image.{i}");
            let (image, shape) = (golden.values(&name), golden.shape(&name));
            let encoded = stages.taesd_encode(&config, &image, shape);
            let expected = golden.values(&format!("encoded.{i}"));
            report.compare(&what("encode"), &block_on(encoded).expect("encode"), &expected);
        }
    }
    report.finish();
}

#[test]
fn attention_looks_where_diffusers_does() {
    let mut report = Report::new(F32);
    for case in cases::<AttentionCase>("attention") {
        let model = Model::open(&case.model);
        let golden = Golden::open(&case.file);
        // Latents and embeddings are those of the seams.
        let seams = Golden::open(&format!("{}.seams.safetensors", case.model));
        let both = Golden::open(&format!("{}.unet.safetensors", case.model)).values("embeddings");
        let embeddings = &both[both.len() / 2..];
        let (latents, shape) = (seams.values("latents"), seams.shape("latents"));
        for layer in &case.layers {
            let (stages, config, path) = (model.stages(), &model.config, format!("unet.{layer}"));
            let map = stages.attention_map(config, &latents, shape, case.timestep, embeddings, &path);
            let what = format!("{} {layer}", case.model);
            report.compare(&what, &block_on(map).expect("a map"), &golden.values(layer));
        }
    }
    report.finish();
}
