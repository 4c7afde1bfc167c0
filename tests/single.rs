//! Checkpoints of Stable Diffusion in one file: what diffusers makes of the same file, in tensors and in pictures.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use common::report::{Report, difference};
use common::single::{Entries, Entry, Facts, weight, write};
use common::{Golden, compare_run, request};
use opengen::config::{ModelConfig, PredictionType, Suggested, TimestepSpacing};
use opengen::cpu::Weights;
use opengen::kernels::WeightType;
use opengen::model::{autoencoder_decls, weight_decls};
use opengen::pipeline::stages::Stages;
use opengen::pipeline::{Cancel, Dump, Pipeline};
use opengen::prompt::{Dialect, Tokenizer};
use opengen::weights::{
    Family, FoundAutoencoder, Given, LayoutOptions, Manifest, ModelSource, OpenOptions, Rounding, Unused,
    autoencoder_in, load, quantize_source, unpack,
};
use pollster::block_on;
use safetensors::tensor::Dtype;

const MODELS: [&str; 2] = ["sd1", "sd2"];

/// Every weight of a model by canonical name.
fn unpacked(source: &ModelSource) -> HashMap<String, Vec<f32>> {
    let decls = weight_decls(source.config());
    let (manifest, slabs) = load(source, &decls, LayoutOptions::default()).expect("a whole model");
    let parts =
        manifest.records.iter().flat_map(|record| unpack(record, &slabs[record.slab]).expect("packed"));
    parts.map(|(name, _, values)| (name, values)).collect()
}

fn written(entries: &Entries, folder: &Path) -> ModelSource {
    let path = folder.join("model.safetensors");
    write(entries, &path);
    ModelSource::open(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn error_of(entries: &Entries) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    write(entries, &path);
    let source = match ModelSource::open(&path) {
        Ok(source) => source,
        Err(error) => return error.to_string(),
    };
    source
        .manifest(&weight_decls(source.config()), LayoutOptions::default())
        .map(drop)
        .unwrap_err()
        .to_string()
}

/// Names, shapes, rows of what OpenCLIP keeps as one, and the configuration that no file says: all as diffusers has it.
#[test]
fn a_checkpoint_is_the_folder_that_diffusers_makes_of_it() {
    for model in MODELS {
        let facts = Facts::of(model);
        let out = tempfile::tempdir().expect("a folder");
        let file = written(&facts.entries(), out.path());
        facts.write_folder(&out.path().join("folder"), file.tokenizer());
        let folder = ModelSource::open(&out.path().join("folder")).expect("opens");
        assert_eq!(file.family(), Family::Single);
        // The class of a folder's scheduler says which sampler to take; a file says nothing of it.
        let same = ModelConfig {
            name: "model".to_string(),
            suggested: Suggested::default(),
            // Nor of what its UNet predicts, which here is what it is taken for.
            asks_prediction: model == "sd2",
            ..folder.config().clone()
        };
        assert_eq!(*file.config(), same, "{model}");
        assert!(unpacked(&file) == unpacked(&folder), "{model}: the same values under the same names");
        assert_eq!(file.tokenizer(), folder.tokenizer());
    }
}

/// What `opengen import` writes of a checkpoint says all of itself: the same model without any of the guesses.
#[test]
fn a_checkpoint_becomes_a_gguf_of_ours() {
    for model in MODELS {
        let out = tempfile::tempdir().expect("a folder");
        let source = written(&Facts::of(model).entries(), out.path());
        let (decls, file) = (weight_decls(source.config()), out.path().join("m.gguf"));
        quantize_source(
            &source,
            &decls,
            opengen::plan::Types::of(WeightType::F32),
            Rounding::Fitted,
            &file,
            &mut |_, _| {},
        )
        .expect("written");
        let gguf = ModelSource::open(&file).expect("opens");
        assert_eq!((gguf.family(), gguf.assumed()), (Family::Opengen, None));
        assert_eq!((gguf.config(), gguf.tokenizer()), (source.config(), source.tokenizer()));
        assert!(unpacked(&gguf) == unpacked(&source), "{model}");
        quantize_source(
            &source,
            &decls,
            opengen::plan::Types::of(WeightType::Q8),
            Rounding::Fitted,
            &file,
            &mut |_, _| {},
        )
        .expect("written");
        let (small, large) = (unpacked(&ModelSource::open(&file).expect("opens")), unpacked(&source));
        for (name, values) in &small {
            let off = difference(values, &large[name]).relative;
            assert!(off < 1e-2, "{model} {name}: {off}");
        }
    }
}

/// As merges that went wrong leave them, in each type: named, with how many, wherever they are read; taken by who says so.
#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    let facts = Facts::of("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let [first, second] =
        ["model.diffusion_model.out.0.weight", "model.diffusion_model.input_blocks.0.0.weight"];
    let mut entries = facts.entries();
    let infinite = half::f16::INFINITY.to_le_bytes();
    for (name, count) in [(first, 1), (second, 3)] {
        let entry = entries.get_mut(name).expect(name);
        assert_eq!(entry.dtype, Dtype::F16);
        entry.bytes[..2 * count].copy_from_slice(&infinite.repeat(count));
    }
    let source = written(&entries, out.path());
    let decls = weight_decls(source.config());
    let import = |source: &ModelSource| {
        let (types, file) = (opengen::plan::Types::of(WeightType::Q8), out.path().join("m.gguf"));
        quantize_source(source, &decls, types, Rounding::Fitted, &file, &mut |_, _| {}).map(|_| file)
    };
    for refused in [
        load(&source, &decls, LayoutOptions::default()).map(drop).expect_err("refused"),
        import(&source).map(drop).expect_err("refused"),
    ] {
        assert_eq!(refused.code(), "NON_FINITE");
        let told = refused.to_string();
        assert!(told.contains("1 of unet.conv_norm_out.weight"), "{told}");
        assert!(told.contains("3 of unet.conv_in.weight"), "{told}");
    }
    assert_eq!(std::fs::read_dir(out.path()).expect("a folder").count(), 1, "nothing is left of it");
    let options = OpenOptions { allow_non_finite: true, ..OpenOptions::default() };
    let source = ModelSource::open_with(&out.path().join("model.safetensors"), &options).expect("opens");
    load(&source, &decls, LayoutOptions::default()).expect("taken as it is");
    import(&source).expect("taken as it is");
}

/// The types that files keep weights in.
#[test]
fn doubles_and_floats_of_sixteen_and_eight_bits_are_read() {
    let facts = Facts::of("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let expected = unpacked(&written(&facts.entries(), out.path()));
    let double = |values: &[f32]| values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    let upper =
        |values: &[f32]| values.iter().map(|&value| half::f16::from_f32(value).to_le_bytes()[1]).collect();
    let brain = |values: &[f32]| {
        values.iter().flat_map(|value| (value.to_bits() >> 16).to_le_bytes()[..2].to_vec()).collect()
    };
    // The nearest of the 127 that there are: (1 + m/8) · 2^(e - 7), below that m · 2^-9.
    let of_four = |code: u8| match (code >> 3, f32::from(code & 7) / 8.0) {
        (0, m) => m * 2f32.powi(-6),
        (e, m) => (1.0 + m) * 2f32.powi(i32::from(e) - 7),
    };
    let nearest = |value: f32| {
        let off = |code: &u8| (of_four(*code) - value.abs()).abs();
        let code = (0..127).min_by(|a, b| off(a).total_cmp(&off(b))).expect("a code");
        code | if value < 0.0 { 0x80 } else { 0 }
    };
    let four = |values: &[f32]| values.iter().map(|&value| nearest(value)).collect();
    type Bytes<'a> = &'a dyn Fn(&[f32]) -> Vec<u8>;
    let kinds: [(Dtype, Bytes, f64); 4] = [
        (Dtype::F64, &double, 0.0),
        (Dtype::BF16, &brain, 0.01),
        (Dtype::F8_E5M2, &upper, 0.2),
        (Dtype::F8_E4M3, &four, 0.1),
    ];
    for (dtype, bytes, tolerance) in kinds {
        let entry = |(name, shape): (&String, &Vec<usize>)| {
            (name.clone(), Entry { dtype, shape: shape.clone(), bytes: bytes(&weight(name, shape)) })
        };
        let entries: Entries = facts.shapes.iter().map(entry).collect();
        for (name, values) in unpacked(&written(&entries, out.path())) {
            let off = difference(&values, &expected[&name]).relative;
            assert!(off <= tolerance, "{dtype:?} {name}: {off}");
        }
    }
}

/// Text, a run and its picture, and the way back from pictures, as diffusers computes them.
#[test]
fn a_checkpoint_draws_what_diffusers_draws() {
    let mut report = Report::new(common::F32);
    for model in MODELS {
        let facts = Facts::of(model);
        let (case, out) = (facts.case(model), tempfile::tempdir().expect("a folder"));
        let taken_for = written(&facts.entries(), out.path()).config().scheduler.prediction_type;
        let options = OpenOptions { prediction: Some(taken_for), ..OpenOptions::default() };
        let source = ModelSource::open_with(&out.path().join("model.safetensors"), &options).expect("opens");
        let decls = weight_decls(source.config());
        let (manifest, slabs) = load(&source, &decls, LayoutOptions::default()).expect("weights");
        let (config, golden) = (manifest.config.clone(), Golden::open(&case.file));

        let weights = Weights::new(&manifest, slabs.clone()).expect("weights");
        let (pictures, shape) = (golden.values("pictures"), golden.shape("pictures"));
        let encoded =
            block_on(Stages::on_cpu(&weights).vae_encode(&config, &pictures, shape)).expect("encode");
        report.compare(&format!("{model} encoded"), &encoded, &golden.values("encoded"));

        let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
        let mut dump = Dump::default();
        let (request, cancel, mut listen) = (request(&case), Cancel::default(), |_| {});
        let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
        block_on(run).expect("a picture");
        compare_run(&mut report, model, &case, &dump, &golden, None);
    }
    report.finish();
}

/// The vocabulary that all checkpoints were trained with gives the ids that transformers gives.
#[test]
fn the_vocabulary_is_clips() {
    let text = std::fs::read_to_string(common::folder().join("single/tokens.json")).expect("tokens.json");
    let expected: BTreeMap<String, Vec<u32>> = serde_json::from_str(&text).expect("ids by prompt");
    let mut entries = Facts::of("sd1").entries();
    let table = entries.get_mut("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight");
    *table.expect("a table") = Entry::zeros(Dtype::F16, &[49408, 48]);
    let out = tempfile::tempdir().expect("a folder");
    let tokenizer =
        Tokenizer::from_json(written(&entries, out.path()).tokenizer().as_bytes()).expect("a tokenizer");
    for (prompt, ids) in expected {
        let got = tokenizer.encode(Dialect::Diffusers, &prompt, 77).expect("tokens");
        assert_eq!(got.chunks[0].ids[..ids.len()], ids, "{prompt:?}");
    }
}

/// What real files carry beside the weights, and how else they are named: the same model.
#[test]
fn oddities_of_real_files_change_nothing() {
    let facts = Facts::of("sd1");
    let plain = tempfile::tempdir().expect("a folder");
    let expected = unpacked(&written(&facts.entries(), plain.path()));
    let text = "cond_stage_model.transformer.text_model.";
    let renamed = |to: fn(&str) -> String| -> Entries {
        facts.entries().into_iter().map(|(name, entry)| (to(&name), entry)).collect()
    };
    let variants: [(&str, Entries); 4] = [
        ("a wrapper", renamed(|name| format!("state_dict.{name}"))),
        ("text_model left out", renamed(|name| name.replace("transformer.text_model.", "transformer."))),
        (
            "one more layer of modules",
            renamed(|name| name.replace("stage_model.transformer.", "stage_model.model.transformer.")),
        ),
        ("linear projections", {
            let mut entries = facts.entries();
            let attention = |name: &str| name.contains(".attn_1.") && name.ends_with("weight");
            for (_, entry) in entries.iter_mut().filter(|(name, _)| attention(name)) {
                entry.shape.retain(|&dim| dim > 1);
            }
            entries
        }),
    ];
    for (what, mut entries) in variants {
        entries.insert(format!("{text}embeddings.position_ids"), Entry::zeros(Dtype::I64, &[1, 77]));
        entries.insert("alphas_cumprod".to_string(), Entry::zeros(Dtype::F64, &[1000]));
        entries.insert("betas".to_string(), Entry::zeros(Dtype::F32, &[1000]));
        entries.insert("model_ema.decay".to_string(), Entry::zeros(Dtype::F32, &[]));
        entries.insert("model_ema.num_updates".to_string(), Entry::zeros(Dtype::I32, &[]));
        entries.insert(
            "model_ema.diffusion_modelinput_blocks00weight".to_string(),
            Entry::zeros(Dtype::F32, &[32, 4, 3, 3]),
        );
        entries.insert("embedding_manager.initial".to_string(), Entry::zeros(Dtype::F32, &[48]));
        entries.insert("lora_unet_mid.lora_up.weight".to_string(), Entry::zeros(Dtype::F16, &[4, 4]));
        let out = tempfile::tempdir().expect("a folder");
        let source = written(&entries, out.path());
        assert!(unpacked(&source) == expected, "{what}");
        let Unused { leftovers, unknown } = source.unused(&weight_decls(source.config()));
        assert_eq!(leftovers.len(), 7, "{what}: {leftovers:?}");
        assert_eq!(unknown, ["lora_unet_mid.lora_up.weight"], "{what}");
    }
    // In half precision too.
    let mut entries = facts.entries();
    entries.insert(format!("{text}embeddings.position_ids"), Entry::zeros(Dtype::F16, &[1, 77]));
    assert!(unpacked(&written(&entries, plain.path())) == expected);
}

/// OpenCLIP's last layer, which Stable Diffusion 2 never used, may be there or not.
#[test]
fn the_last_layer_of_open_clip_is_not_read() {
    let facts = Facts::of("sd2");
    let out = tempfile::tempdir().expect("a folder");
    let whole = written(&facts.entries(), out.path());
    assert_eq!(whole.config().texts[0].num_hidden_layers, 23);
    let expected = unpacked(&whole);
    let mut entries = facts.entries();
    entries.retain(|name, _| !name.contains("resblocks.23."));
    let without = written(&entries, out.path());
    assert_eq!(without.config(), whole.config());
    assert!(unpacked(&without) == expected);
}

/// What the UNet answers with: the file's marks, its name, the caller.
#[test]
fn the_prediction_is_marked_or_assumed() {
    let out = tempfile::tempdir().expect("a folder");
    let open = |model: &str, file: &str, mark: Option<&str>, prediction| {
        let mut entries = Facts::of(model).entries();
        entries.extend(mark.map(|mark| (mark.to_string(), Entry::zeros(Dtype::F32, &[0]))));
        let path = out.path().join(file);
        write(&entries, &path);
        let source = ModelSource::open_with(&path, &OpenOptions { prediction, ..OpenOptions::default() })
            .expect("opens");
        assert_eq!(source.unused(&weight_decls(source.config())).unknown, [""; 0]);
        let scheduler = source.config().scheduler.clone();
        let side = source.config().denoiser.sample_size().width();
        (scheduler, side, source.assumed().map(str::to_string))
    };
    use PredictionType::{Epsilon, VPrediction};
    for (model, file, mark, said, expected, side, is_assumed) in [
        ("sd1", "any.safetensors", None, None, Epsilon, 64, false),
        ("sd1", "any.safetensors", Some("v_pred"), None, VPrediction, 64, false),
        ("sd1", "any.safetensors", None, Some(VPrediction), VPrediction, 64, false),
        ("sd2", "v2-1_768.safetensors", None, None, VPrediction, 96, true),
        ("sd2", "512-base-ema.safetensors", None, None, Epsilon, 64, true),
        ("sd2", "sd_turbo.safetensors", Some("v_pred"), None, VPrediction, 96, false),
        ("sd2", "any.safetensors", None, Some(Epsilon), Epsilon, 64, false),
    ] {
        let (scheduler, found_side, assumed) = open(model, file, mark, said);
        assert_eq!(
            (scheduler.prediction_type, found_side),
            (expected, side),
            "{model} {file} {mark:?} {said:?}"
        );
        assert_eq!(assumed.is_some(), is_assumed, "{assumed:?}");
        // A step or two have to begin at the last noise level.
        let spacing = file.contains("turbo").then_some(TimestepSpacing::Trailing);
        assert_eq!((scheduler.rescale_betas_zero_snr, scheduler.timestep_spacing), (false, spacing));
    }
    let (scheduler, ..) = open("sd1", "any.safetensors", Some("ztsnr"), None);
    assert_eq!(scheduler.prediction_type, VPrediction);
    assert_eq!(
        (scheduler.rescale_betas_zero_snr, scheduler.timestep_spacing),
        (true, Some(TimestepSpacing::Trailing))
    );
}

/// Two counts of training steps are those of released models; of any other, and beside a mark, it says nothing.
#[test]
fn a_count_of_steps_tells_released_models() {
    let out = tempfile::tempdir().expect("a folder");
    let predicted = |model: &str, steps: i64, mark: Option<&str>| {
        let mut entries = Facts::of(model).entries();
        entries.extend(mark.map(|mark| (mark.to_string(), Entry::zeros(Dtype::F32, &[0]))));
        let step = Entry { dtype: Dtype::I64, shape: vec![], bytes: steps.to_le_bytes().to_vec() };
        entries.insert("global_step".to_string(), step);
        let source = written(&entries, out.path());
        (source.config().scheduler.prediction_type, source.assumed().is_some())
    };
    use PredictionType::{Epsilon, VPrediction};
    assert_eq!(predicted("sd2", 875_000, None), (Epsilon, false), "512-base-ema");
    assert_eq!(predicted("sd2", 110_000, None), (VPrediction, false), "v2-1_768-ema-pruned");
    assert_eq!(predicted("sd2", 220_000, None), (VPrediction, true), "the UNet is asked");
    assert_eq!(predicted("sd2", 875_000, Some("v_pred")), (VPrediction, false));
    assert_eq!(predicted("sd1", 110_000, None), (Epsilon, false));
}

/// A folder and a file of ours say what their UNet answers with; somebody who knows better is believed, before the model
/// is loaded and after.
#[test]
fn what_a_unet_predicts_can_be_said_of_any_model() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = common::model_folder("sd1");
    let said = PredictionType::VPrediction;
    let options = OpenOptions { prediction: Some(said), ..OpenOptions::default() };
    let found = ModelSource::open(&folder).expect("opens");
    assert_eq!(found.config().scheduler.prediction_type, PredictionType::Epsilon);
    let file = out.path().join("m.gguf");
    let (decls, f32) = (weight_decls(found.config()), opengen::plan::Types::of(WeightType::F32));
    quantize_source(&found, &decls, f32, Rounding::Fitted, &file, &mut |_, _| {}).expect("written");
    for path in [&folder, &file] {
        let source = ModelSource::open_with(path, &options).expect("opens");
        assert_eq!(source.config().scheduler.prediction_type, said, "{}", path.display());
    }
    let ready = |source: &ModelSource| {
        let (manifest, slabs) = load(source, &decls, LayoutOptions::default()).expect("a whole model");
        Pipeline::on_cpu(manifest, slabs).expect("a model")
    };
    let request = request(&Facts::of("sd1").case("sd1"));
    let drawn = |mut pipeline: Pipeline| {
        let made = block_on(pipeline.generate(&request, &mut |_| {}, &Cancel::default()));
        made.expect("drawn").images.remove(0)
    };
    let mut told = ready(&found);
    told.set_prediction(said);
    let told = drawn(told);
    assert!(told == drawn(ready(&ModelSource::open_with(&folder, &options).expect("opens"))));
    assert!(told != drawn(ready(&found)), "another prediction, another picture");
}

/// An autoencoder in a file of its own, under any of its names, takes the place of the one inside, or where there is none.
#[test]
fn an_autoencoder_may_come_by_itself() {
    let facts = Facts::of("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let expected = unpacked(&written(&facts.entries(), out.path()));
    let (vae, rest): (Entries, Entries) =
        facts.entries().into_iter().partition(|(name, _)| name.starts_with("first_stage_model."));
    let file = out.path().join("rest.safetensors");
    write(&rest, &file);
    let error = ModelSource::open(&file).unwrap_err().to_string();
    assert!(error.contains("a checkpoint without an autoencoder") && error.contains("--vae"), "{error}");
    facts.write_folder(&out.path().join("folder"), "{}");
    let bare: Entries =
        vae.iter().map(|(name, entry)| (name.replace("first_stage_model.", ""), entry.clone())).collect();
    let with = |vae: &Path| {
        let options = OpenOptions { vae: vec![vae.to_path_buf()], ..OpenOptions::default() };
        ModelSource::open_with(&file, &options).map_err(|error| error.to_string())
    };
    for entries in [&vae, &bare] {
        let path = out.path().join("vae.safetensors");
        write(entries, &path);
        assert!(unpacked(&with(&path).expect("opens")) == expected);
    }
    let diffusers = out.path().join("folder/vae/diffusion_pytorch_model.safetensors");
    assert!(unpacked(&with(&diffusers).expect("opens")) == expected);
    let text = out.path().join("folder/text_encoder/model.safetensors");
    assert!(with(&text).unwrap_err().contains("no autoencoder"));
    let options = OpenOptions { vae: vec![diffusers], ..OpenOptions::default() };
    let error = ModelSource::open_with(&common::model_folder("sd1"), &options).unwrap_err().to_string();
    assert!(error.contains("vae: goes with a checkpoint in one file only"), "{error}");
}

/// The tiny autoencoder of the goldens in its author's naming: each half a file, its layers counted from 0.
fn tiny_halves(out: &Path) -> [std::path::PathBuf; 2] {
    let path = common::model_folder("taesd").join("diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(path).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    ["encoder", "decoder"].map(|half| {
        let entry = |(name, view): (String, safetensors::tensor::TensorView)| {
            let (number, rest) =
                name.strip_prefix(&format!("{half}.layers."))?.split_once('.').expect("a number");
            let number: usize = number.parse().expect("a number");
            let entry =
                Entry { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            Some((format!("{}.{rest}", number + usize::from(half == "decoder")), entry))
        };
        let path = out.join(format!("taesd_{half}.safetensors"));
        write(&file.tensors().into_iter().filter_map(entry).collect(), &path);
        path
    })
}

/// What the page keeps beside a model that was given another autoencoder: the files as one, packed by itself.
fn given_to(model: &ModelSource, files: &[std::path::PathBuf]) -> (Manifest, Vec<Vec<u8>>) {
    let given = files.iter().map(|path| {
        let bytes = std::fs::read(path).expect("a file");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, Given { len: bytes.len() as u64, bytes })
    });
    let given: BTreeMap<String, Given> = given.collect();
    let found = autoencoder_in(&given).unwrap_or_else(|error| panic!("{error}"));
    let joined = found.joined(model.config()).unwrap_or_else(|error| panic!("{error}"));
    let parts =
        joined.parts.iter().map(|(path, span)| &given[path].bytes[span.start as usize..span.end as usize]);
    let file: Vec<u8> = joined.header.iter().copied().chain(parts.flatten().copied()).collect();
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("part.safetensors");
    std::fs::write(&path, file).expect("written");
    let part = ModelSource::open(&path).expect("opens");
    load(&part, &autoencoder_decls(part.config()), LayoutOptions::default()).expect("an autoencoder")
}

/// An autoencoder that a stored model was given draws what `--vae` draws with it, under any of its names; a half of one, and
/// one of other latents, is refused.
#[test]
fn an_autoencoder_may_be_given_to_a_packed_model() {
    let facts = Facts::of("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let model = written(&facts.entries(), out.path());
    let decls = weight_decls(model.config());
    let (manifest, slabs) = load(&model, &decls, LayoutOptions::default()).expect("a whole model");
    let drawn = |manifest: &Manifest, slabs: Vec<Vec<u8>>| {
        let mut pipeline = Pipeline::on_cpu(manifest.clone(), slabs).expect("a model");
        let made = block_on(pipeline.generate(&request(&facts.case("sd1")), &mut |_| {}, &Cancel::default()));
        made.expect("drawn").images.remove(0)
    };
    let own = drawn(&manifest, slabs.clone());

    facts.write_folder(&out.path().join("folder"), "{}");
    let prefixed: Entries = facts
        .entries()
        .into_iter()
        .filter(|(name, _)| name.starts_with("first_stage_model."))
        .map(|(name, mut entry)| {
            // Other values than the model's own.
            if name.ends_with("conv_out.weight") {
                entry = Entry::f16(&entry.shape, &weight("another", &entry.shape));
            }
            (name, entry)
        })
        .collect();
    let bare: Entries = prefixed
        .iter()
        .map(|(name, entry)| (name.replace("first_stage_model.", ""), entry.clone()))
        .collect();
    let [encoder, decoder] = tiny_halves(out.path());
    let cases = [
        ("prefixed", vec![out.path().join("prefixed.safetensors")]),
        ("bare", vec![out.path().join("bare.safetensors")]),
        ("the tiny one's halves", vec![encoder, decoder.clone()]),
        (
            "diffusers' tiny one",
            vec![common::model_folder("taesd").join("diffusion_pytorch_model.safetensors")],
        ),
    ];
    write(&prefixed, &cases[0].1[0]);
    write(&bare, &cases[1].1[0]);
    for (what, files) in &cases {
        let (part, more) = given_to(&model, files);
        let whole = manifest.with_autoencoder(&part).expect("fits");
        let given = drawn(&whole, slabs.iter().cloned().chain(more).collect());
        let options = OpenOptions { vae: files.clone(), ..OpenOptions::default() };
        let named = ModelSource::open_with(&out.path().join("model.safetensors"), &options).expect("opens");
        let decls = weight_decls(named.config());
        let (expected, slabs) = load(&named, &decls, LayoutOptions::default()).expect("a whole model");
        assert!(whole.is_current(&decls), "{what}");
        assert_eq!(whole.config, expected.config, "{what}");
        assert!(given == drawn(&expected, slabs), "{what}: the picture of --vae");
        assert!(given != own, "{what}: not the model's own");
    }
    // diffusers' names are those of the model's own autoencoder here: the same picture.
    let (part, more) = given_to(&model, &[out.path().join("folder/vae/diffusion_pytorch_model.safetensors")]);
    let whole = manifest.with_autoencoder(&part).expect("fits");
    assert!(drawn(&whole, slabs.iter().cloned().chain(more).collect()) == own);

    let half = |path: &Path| {
        let bytes = std::fs::read(path).expect("a file");
        let given = Given { len: bytes.len() as u64, bytes };
        autoencoder_in(&BTreeMap::from([("a.safetensors".to_string(), given)]))
    };
    let found = half(&decoder).expect("half of one").found;
    assert_eq!(found, FoundAutoencoder::Half { missing: "encoder" });
    assert!(half(&decoder).expect("half of one").joined(model.config()).is_err());
    assert!(half(&out.path().join("model.safetensors")).unwrap_err().to_string().contains("a whole model"));
    assert!(half(&out.path().join("folder/text_encoder/model.safetensors")).is_err());
    let mut other = model.config().clone();
    other.vae = opengen::config::ModelConfig::builtin("sd15").expect("built in").vae;
    if let opengen::config::Autoencoder::Kl(vae) = &mut other.vae {
        vae.block_out_channels.pop();
    }
    let error = half(&cases[1].1[0]).expect("one").joined(&other).unwrap_err().to_string();
    assert!(error.contains("does not fit") && error.contains("other latents"), "{error}");
}

/// Each is called by its name, or all that is wrong with it is told at once.
#[test]
fn what_cannot_be_drawn_with_is_said() {
    let facts = Facts::of("sd1");
    let conv = "model.diffusion_model.input_blocks.0.0.weight";
    for (channels, words) in
        [(8, "a model that edits pictures"), (5, "a model that draws from depth"), (7, "an upscaler")]
    {
        let mut entries = facts.entries();
        entries.insert(conv.to_string(), Entry::zeros(Dtype::F16, &[32, channels, 3, 3]));
        let error = error_of(&entries);
        assert!(error.contains(words) && error.contains("from words alone"), "{error}");
    }
    for (name, words) in [
        ("model.diffusion_model.label_emb.0.0.weight", "class embeddings"),
        ("model.diffusion_model.out.2.scale_weight", "scaled FP8"),
    ] {
        let mut entries = facts.entries();
        entries.insert(name.to_string(), Entry::zeros(Dtype::F32, &[1]));
        let error = error_of(&entries);
        assert!(error.contains(words), "{error}");
    }
    let mut entries = facts.entries();
    entries.remove("model.diffusion_model.output_blocks.3.0.in_layers.2.weight").expect("was there");
    entries
        .insert("first_stage_model.quant_conv.weight".to_string(), Entry::zeros(Dtype::F16, &[8, 4, 1, 1]));
    let error = error_of(&entries);
    assert!(error.contains("missing tensor unet.up_blocks.1.resnets.0.conv1.weight"), "{error}");
    assert!(error.contains("tensor vae.quant_conv.weight has shape [8, 4, 1, 1]"), "{error}");

    let mut entries = facts.entries();
    let twice = entries["model.diffusion_model.out.2.bias"].clone();
    entries.insert("state_dict.model.diffusion_model.out.2.bias".to_string(), twice);
    assert!(error_of(&entries).contains("tensor unet.conv_out.bias appears twice"));

    let mut entries = facts.entries();
    let table = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight";
    entries.insert(table.to_string(), Entry::zeros(Dtype::F16, &[100, 48]));
    assert!(error_of(&entries).contains("knows 100 tokens"));
}
