//! The families around Stable Diffusion 1 and 2 on the processor: what they are told by, in a folder and in one file, and what
//! diffusers draws with them. `tests/golden_engine/families.rs` has the same runs on a device.

mod common;

use std::collections::HashMap;
use std::path::Path;

use common::families::{FAMILIES, Family};
use common::report::Report;
use common::single::{Entries, Entry, weight, write};
use common::{compare_run, model_folder, request};
use opengen::config::{Autoencoder, ModelConfig, PredictionType, Suggested};
use opengen::model::weight_decls;
use opengen::pipeline::{Cancel, Defaults, Dump, Output, Pipeline, Request};
use opengen::sample::SamplerKind;
use opengen::weights::{LayoutOptions, ModelSource, OpenOptions, load, unpack};
use pollster::block_on;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

/// Every weight of a model by canonical name.
fn unpacked(source: &ModelSource) -> HashMap<String, Vec<f32>> {
    let decls = weight_decls(source.config());
    let (manifest, slabs) = load(source, &decls, LayoutOptions::default()).expect("a whole model");
    let parts =
        manifest.records.iter().flat_map(|record| unpack(record, &slabs[record.slab]).expect("packed"));
    parts.map(|(name, _, values)| (name, values)).collect()
}

/// From names and shapes alone, and from configurations: the same networks of the same values. What a file says nothing of is
/// its noise schedule.
#[test]
fn a_file_is_the_model_that_its_folder_is() {
    for name in FAMILIES {
        let out = tempfile::tempdir().expect("a folder");
        let [file, folder] = Family::of(name).open(out.path());
        let (unknown, same) = (file.unused(&weight_decls(file.config())).unknown, folder.config().clone());
        assert_eq!(unknown, [""; 0], "{name}");
        let own = file.config().clone();
        let told = ModelConfig { name: own.name, scheduler: own.scheduler, suggested: own.suggested, ..same };
        assert_eq!(*file.config(), told, "{name}");
        assert!(unpacked(&file) == unpacked(&folder), "{name}: the same values under the same names");
    }
}

#[test]
fn each_draws_what_diffusers_draws() {
    let mut report = Report::new(common::F32);
    for name in FAMILIES {
        let (family, out) = (Family::of(name), tempfile::tempdir().expect("a folder"));
        let [_, folder] = family.open(out.path());
        let (manifest, slabs) =
            load(&folder, &weight_decls(folder.config()), LayoutOptions::default()).expect("weights");
        let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
        let (case, mut dump) = (family.case(), Dump::default());
        let (request, cancel, mut listen) = (request(&case), Cancel::default(), |_| {});
        let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
        block_on(run).expect("a picture");
        compare_run(&mut report, name, &case, &dump, &family.golden(), None);
    }
    report.finish();
}

/// What a run takes that says nothing of its own.
#[test]
fn what_was_distilled_says_how_it_is_drawn_with() {
    for (name, steps, guidance, sampler) in [
        ("lcm", 4, 8.0, SamplerKind::Lcm),
        ("turbo", 1, 1.0, SamplerKind::Euler),
        ("sdxs", 1, 1.0, SamplerKind::Euler),
        ("nitro-1", 1, 1.0, SamplerKind::Ddim),
        ("bk-tiny", 20, 7.5, SamplerKind::Ddim),
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let [file, folder] = Family::of(name).open(out.path());
        let of = |source: &ModelSource| {
            let Defaults { steps, guidance, sampler, .. } =
                Defaults::GENERAL.with(&source.config().suggested);
            (steps, guidance, sampler)
        };
        assert_eq!(of(&folder), (steps, guidance, sampler), "{name}");
        if name != "bk-tiny" {
            assert_eq!(of(&file), (steps, guidance, sampler), "{name} in one file");
        } else {
            assert_eq!(file.config().suggested, Suggested::default());
        }
    }
}

/// The tensors of the tiny autoencoder that diffusers wrote, under other names.
fn taesd(rename: impl Fn(&str) -> Option<String>) -> Entries {
    let bytes = std::fs::read(model_folder("taesd").join("diffusion_pytorch_model.safetensors"));
    let bytes = bytes.expect("weights");
    let tensors = SafeTensors::deserialize(&bytes).expect("tensors");
    let entry = |(name, tensor): (String, safetensors::tensor::TensorView)| {
        let entry =
            Entry { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), bytes: tensor.data().to_vec() };
        Some((rename(&name)?, entry))
    };
    tensors.tensors().into_iter().filter_map(entry).collect()
}

/// As its author names them: `decoder.layers.2.conv.0.weight` is the fourth of the decoder's layers.
fn of_the_author(half: &str, name: &str) -> Option<String> {
    let (number, rest) = name.strip_prefix(half)?.strip_prefix(".layers.")?.split_once('.')?;
    let number: usize = number.parse().expect("a number");
    Some(format!("{}.{rest}", number + usize::from(half == "decoder")))
}

/// A tiny autoencoder in the place of the one inside: in a file of diffusers, in one for each half, or in one for both.
#[test]
fn a_tiny_autoencoder_may_come_by_itself() {
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("bk-tiny.safetensors");
    write(&Family::of("bk-tiny").entries(), &file);
    let at = |name: &str, entries: Entries| {
        let path = out.path().join(name);
        write(&entries, &path);
        path
    };
    let halves = ["encoder", "decoder"]
        .map(|half| at(&format!("taesd_{half}.safetensors"), taesd(|name| of_the_author(half, name))));
    let both = at(
        "both.safetensors",
        taesd(|name| {
            let (half, _) = name.split_once('.')?;
            Some(format!("{half}.{}", of_the_author(half, name)?))
        }),
    );
    let diffusers = model_folder("taesd").join("diffusion_pytorch_model.safetensors");
    let open = |vae: &[&Path]| {
        let vae = vae.iter().map(|path| path.to_path_buf()).collect();
        ModelSource::open_with(&file, &OpenOptions { vae, ..OpenOptions::default() })
            .map_err(|error| error.to_string())
    };
    let one = open(&[&diffusers]).expect("opens");
    let Autoencoder::Tiny(tiny) = &one.config().vae else { panic!("another autoencoder") };
    let text = std::fs::read_to_string(model_folder("taesd").join("config.json")).expect("config.json");
    assert_eq!(*tiny, opengen::config::TaesdConfig::from_json("config.json", &text).expect("read"));
    let expected = unpacked(&one);
    for parts in [vec![&*halves[0], &*halves[1]], vec![&*halves[1], &*halves[0]], vec![&*both]] {
        assert!(unpacked(&open(&parts).expect("opens")) == expected, "{parts:?}");
    }
    for (parts, words) in [
        (vec![&*halves[0]], "without its decoder: both halves are needed: name taesd_decoder.safetensors"),
        (vec![&*halves[1]], "without its encoder"),
        (vec![&*halves[1], &*both], "has come with another --vae"),
    ] {
        let error = open(&parts).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

/// A model for one step begins at the last noise level, though no file says so.
#[test]
fn the_schedule_of_one_step_begins_at_its_end() {
    let out = tempfile::tempdir().expect("a folder");
    let timestep = |name: &str| {
        let path = out.path().join(name);
        write(&Family::of("turbo").entries(), &path);
        let options = OpenOptions { prediction: Some(PredictionType::Epsilon), ..OpenOptions::default() };
        let config = ModelSource::open_with(&path, &options).expect("opens").config().clone();
        let run = opengen::sample::trajectory(
            &config.scheduler,
            SamplerKind::Euler,
            opengen::sample::ScheduleKind::Default,
            2,
        );
        run.expect("a run").steps.iter().map(|step| step.first().timestep).collect::<Vec<_>>()
    };
    assert_eq!(timestep("sd_turbo.safetensors"), [999.0, 499.0]);
    assert_eq!(timestep("any.safetensors"), [999.0, 0.0]);
}

/// What a file holds beside its model is said, not taken for it.
#[test]
fn a_tiny_autoencoder_beside_another_is_left_out() {
    let mut entries = Family::of("bk-tiny").entries();
    let more = taesd(|name| Some(format!("tae.{name}")));
    let count = more.len();
    entries.extend(more);
    entries.insert("global_step".to_string(), Entry::zeros(Dtype::I64, &[]));
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("m.safetensors");
    write(&entries, &path);
    let source = ModelSource::open(&path).expect("opens");
    assert!(matches!(source.config().vae, Autoencoder::Kl(_)));
    assert_eq!(source.unused(&weight_decls(source.config())).unknown.len(), count);
}

fn pipeline(source: &ModelSource) -> Pipeline {
    let (manifest, slabs) =
        load(source, &weight_decls(source.config()), LayoutOptions::default()).expect("weights");
    Pipeline::on_cpu(manifest, slabs).expect("pipeline")
}

fn draw(pipeline: &mut Pipeline, request: &Request) -> opengen::Result<Output> {
    block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()))
}

/// What nothing says, the UNet is asked, once; what somebody says is not asked. One whose answer turns the latents round
/// (here: its last bias does) predicts the velocity.
#[test]
fn a_unet_is_asked_what_it_predicts() {
    let family = Family::of("bk-v2-tiny");
    let request = Request { steps: 1, ..request(&family.case()) };
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("m.safetensors");
    for (bias, words, expected) in [
        (None, "it is the noise (epsilon)", PredictionType::Epsilon),
        (Some(-2.0), "it is the velocity (v)", PredictionType::VPrediction),
    ] {
        let mut entries = family.entries();
        if let Some(bias) = bias {
            entries.insert("model.diffusion_model.out.2.bias".to_string(), Entry::f16(&[4], &[bias; 4]));
        }
        write(&entries, &path);
        let source = ModelSource::open(&path).expect("opens");
        assert!(source.config().asks_prediction && source.assumed().is_some());
        let mut pipeline = pipeline(&source);
        let notices = draw(&mut pipeline, &request).expect("a picture").notices;
        assert!(notices.iter().any(|notice| notice.contains(words)), "{notices:?}");
        let config = pipeline.config();
        assert_eq!((config.scheduler.prediction_type, config.asks_prediction), (expected, false));
        let again = draw(&mut pipeline, &request).expect("a picture").notices;
        assert!(again.iter().all(|notice| !notice.contains("predicts")), "{again:?}");
    }
    let options = OpenOptions { prediction: Some(PredictionType::Epsilon), ..OpenOptions::default() };
    let told = ModelSource::open_with(&path, &options).expect("opens");
    assert!(!told.config().asks_prediction && told.assumed().is_none());
}

/// A model for inpainting is known and kept, from a file and from a folder; that it wants a picture and a mask is
/// said when one draws.
#[test]
fn a_model_for_inpainting_is_kept_and_says_what_it_is() {
    let family = Family::of("bk-tiny");
    let out = tempfile::tempdir().expect("a folder");
    let conv = Entry::f16(&[32, 9, 3, 3], &weight("conv", &[32, 9, 3, 3]));
    let [_, folder] = family.open(out.path());
    let folder = out.path().join(folder.config().name.clone());
    let mut entries = family.entries();
    entries.insert("model.diffusion_model.input_blocks.0.0.weight".to_string(), conv);
    let file = out.path().join("inpainting.safetensors");
    write(&entries, &file);
    common::twice::change_json(&folder.join("unet/config.json"), |unet| unet["in_channels"] = 9.into());
    assert!(ModelSource::open(&folder).expect("opens").config().is_inpainting());

    let source = ModelSource::open(&file).expect("opens");
    assert!(source.config().is_inpainting());
    let kept = &unpacked(&source)["unet.conv_in.weight"];
    assert_eq!(*kept, weight("conv", &[32, 9, 3, 3]));
    let error = draw(&mut pipeline(&source), &request(&family.case())).expect_err("no picture").to_string();
    assert!(
        error.contains("inpainting, a model for inpainting") && error.contains("from words alone"),
        "{error}"
    );
}

/// What a run says of it counts, else the model: 0.7 where the last noise level is noise alone.
#[test]
fn guidance_is_rescaled_as_the_model_wants_it() {
    let out = tempfile::tempdir().expect("a folder");
    let family = Family::of("zero-snr");
    let [_, zero] = family.open(out.path());
    let [_, plain] = Family::of("bk-tiny").open(out.path());
    let asked = |guidance_rescale| Request { guidance_rescale, ..request(&family.case()) };
    assert_eq!(asked(None).rescale(zero.config()), Some(0.7));
    assert_eq!(asked(None).rescale(plain.config()), None);
    assert_eq!(asked(Some(0.0)).rescale(zero.config()), None);
    assert_eq!(asked(Some(0.5)).rescale(plain.config()), Some(0.5));
    assert_eq!(Request { guidance: 1.0, ..asked(None) }.rescale(zero.config()), None);
    let error = asked(Some(1.5)).check(zero.config()).unwrap_err().to_string();
    assert!(error.starts_with("guidance_rescale: 1.5"), "{error}");
}
