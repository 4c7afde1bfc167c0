//! LoRAs and their family, merged into the tiny models, against diffusers and LyCORIS; and files that do not fit.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::report::Report;
use common::single::{Entries, Entry, weight, write};
use common::{F32, Golden, folder, model_folder};
use opengen::Error;
use opengen::cpu::Weights;
use opengen::kernels::{WeightType, low_rank_merge};
use opengen::model;
use opengen::pipeline::stages::Stages;
use opengen::pipeline::stock::{Fetching, Stock};
use opengen::pipeline::{Cancel, Dump, Pipeline, Request};
use opengen::plan::Types;
use opengen::sample::{SamplerKind, ScheduleKind};
use opengen::weights::{
    self, Asked, Bytes, During, LayoutOptions, LoraOption, LowRank, Manifest, Merged, ModelSource, Moment,
    OpenOptions, PackedRecord, Rounding, Sink, Strength,
};
use pollster::block_on;
use safetensors::tensor::Dtype;
use serde::Deserialize;

const MODELS: [&str; 2] = ["sd1", "sd2"];

/// What `tests/golden/make_loras.py` says of one model.
#[derive(Debug, Deserialize)]
struct Facts {
    timestep: f64,
    unet: f64,
    text: f64,
    /// Each file's tensors.
    files: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
}

impl Facts {
    fn of(model: &str) -> Facts {
        let path = folder().join(format!("loras/{model}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).expect("facts")).expect("what the script writes")
    }

    fn entries(&self, file: &str) -> Entries {
        let origin =
            |name: &str| if name.ends_with(".alpha") { "alpha".to_string() } else { name.to_string() };
        let values = |name: &str, shape: &[usize]| match name {
            name if name.ends_with(".on_input") => vec![f32::from(!name.contains("attn2_to_k"))],
            name if name.ends_with(".dora_scale") => {
                weight(name, shape).iter().map(|value| 1.0 + value.abs()).collect()
            }
            name if [".hada_t1", ".hada_t2", ".lokr_t2"].iter().any(|end| name.ends_with(end)) => {
                weight(name, shape).iter().map(|value| 16.0 * value).collect()
            }
            name => weight(&origin(name), shape),
        };
        let entry =
            |(name, shape): (&String, &Vec<usize>)| (name.clone(), Entry::f16(shape, &values(name, shape)));
        self.files[file].iter().map(entry).collect()
    }

    /// Writes a file, and gives how it is merged.
    fn option(&self, file: &str, out: &Path) -> LoraOption {
        let path = out.join(format!("{file}.safetensors"));
        write(&self.entries(file), &path);
        LoraOption { path, strength: Strength { text: self.text, ..Strength::of(self.unet) } }
    }
}

fn open(model: &Path, loras: Vec<LoraOption>) -> opengen::error::Result<ModelSource> {
    ModelSource::open_with(model, &OpenOptions { loras, ..OpenOptions::default() })
}

fn packed(source: &ModelSource) -> (Manifest, Vec<Vec<u8>>) {
    weights::load(source, &model::weight_decls(source.config()), LayoutOptions::default()).expect("weights")
}

/// What text encoder and UNet give.
fn outputs(source: &ModelSource, golden: &Golden, timestep: f64) -> [Vec<f32>; 2] {
    let (manifest, slabs) = packed(source);
    let weights = Weights::new(&manifest, slabs).expect("weights");
    let (stages, config) = (Stages::on_cpu(&weights), &manifest.config);
    let text = block_on(stages.text_embeddings(config, &golden.tokens("tokens"), 0)).expect("embeddings");
    let (latents, shape) = (golden.values("latents"), golden.shape("latents"));
    let context = golden.values("context");
    let unet = block_on(stages.unet(config, &latents, shape, timestep, &context));
    [text, unet.expect("UNet")]
}

/// In f32, for tiny models lie in f16, in which what is merged is rounded.
#[test]
fn merged_models_are_those_of_diffusers_and_lycoris() {
    let mut report = Report::new(F32);
    let out = tempfile::tempdir().expect("a folder");
    for model in MODELS {
        let (facts, golden) = (Facts::of(model), Golden::open(&format!("loras/{model}.safetensors")));
        for file in facts.files.keys() {
            let source = open(&model_folder(model), vec![facts.option(file, out.path())]).expect("opens");
            let (_, changed, unused) = source.merged().told().next().expect("one");
            assert!(changed > 8 && unused.is_empty(), "{model} {file}: {changed}, {unused:?}");
            let whole = out.path().join("whole.gguf");
            gguf(&source, WeightType::F32, &whole);
            let source = open(&whole, vec![]).expect("opens");
            let [text, unet] = outputs(&source, &golden, facts.timestep);
            report.compare(&format!("{model} {file} text"), &text, &golden.values(&format!("{file}/text")));
            report.compare(&format!("{model} {file} unet"), &unet, &golden.values(&format!("{file}/unet")));
        }
    }
    report.finish();
}

/// Writes a model as our own GGUF, where kernels are rows in another order.
fn gguf(source: &ModelSource, ty: WeightType, out: &Path) {
    let (decls, types) = (model::weight_decls(source.config()), Types::of(ty));
    weights::quantize_source(source, &decls, types, Rounding::Fitted, out, &mut |_, _| {}).expect("a GGUF");
}

/// Merged into a GGUF, or before one is written: values differ by what half precision rounds.
#[test]
fn a_gguf_is_changed_as_its_folder_is() {
    const ROUNDED: f64 = 2e-3;
    let mut report = Report::new(ROUNDED);
    let out = tempfile::tempdir().expect("a folder");
    let (facts, golden) = (Facts::of("sd1"), Golden::open("loras/sd1.safetensors"));
    let plain = out.path().join("sd1.gguf");
    gguf(&open(&model_folder("sd1"), vec![]).expect("opens"), WeightType::F16, &plain);
    for file in ["locon", "loha", "lokr", "kohya"] {
        let option = facts.option(file, out.path());
        let baked = out.path().join(format!("{file}.gguf"));
        gguf(&open(&model_folder("sd1"), vec![option.clone()]).expect("opens"), WeightType::F16, &baked);
        let folder = open(&model_folder("sd1"), vec![option.clone()]);
        for (what, source) in [
            ("in a folder", folder),
            ("in a GGUF", open(&plain, vec![option])),
            ("before", open(&baked, vec![])),
        ] {
            let [_, unet] = outputs(&source.expect("opens"), &golden, facts.timestep);
            report.compare(&format!("{file} {what}"), &unet, &golden.values(&format!("{file}/unet")));
        }
    }
    report.finish();
}

/// Of nothing there is nothing to see, to the byte; a file in two halves is the whole one.
#[test]
fn weights_add_up_and_nothing_changes_nothing() {
    let out = tempfile::tempdir().expect("a folder");
    let facts = Facts::of("sd1");
    let option = facts.option("kohya", out.path());
    let with =
        |unet, text| LoraOption { strength: Strength { text, ..Strength::of(unet) }, ..option.clone() };
    let slabs = |loras| packed(&open(&model_folder("sd1"), loras).expect("opens")).1;
    let plain = slabs(vec![]);
    assert!(slabs(vec![with(0.0, 0.0)]) == plain);
    let whole = slabs(vec![with(0.5, 0.5)]);
    assert!(whole != plain);
    assert!(slabs(vec![with(0.5, 0.5), with(0.0, 0.0)]) == whole);
    let golden = Golden::open("loras/sd1.safetensors");
    let outputs =
        |loras| outputs(&open(&model_folder("sd1"), loras).expect("opens"), &golden, facts.timestep);
    let mut report = Report::new(F32);
    let [whole, halves] = [outputs(vec![with(0.6, -0.4)]), outputs(vec![with(0.4, -0.1), with(0.2, -0.3)])];
    report.compare("text in two halves", &halves[0], &whole[0]);
    report.compare("unet in two halves", &halves[1], &whole[1]);
    report.finish();
}

/// A file of ones is the same change in every type that can hold one.
#[test]
fn numbers_of_every_type_are_read() {
    let out = tempfile::tempdir().expect("a folder");
    let (facts, sd1) = (Facts::of("sd1"), model_folder("sd1"));
    let of_ones = |dtype: Dtype, one: &[u8]| {
        let ones = |entry: Entry| Entry {
            dtype,
            bytes: one.repeat(entry.shape.iter().product()),
            shape: entry.shape,
        };
        let entries = facts.entries("kohya").into_iter().filter(|(name, _)| !name.ends_with(".alpha"));
        let entries: Entries = entries.map(|(name, entry)| (name, ones(entry))).collect();
        let path = out.path().join(format!("{dtype:?}.safetensors"));
        write(&entries, &path);
        packed(&open(&sd1, vec![LoraOption { path, strength: Strength::of(0.25) }]).expect("opens")).1
    };
    let single = of_ones(Dtype::F32, &1f32.to_le_bytes());
    assert_ne!(single, packed(&open(&sd1, vec![]).expect("opens")).1);
    for (dtype, one) in [
        (Dtype::F16, &[0x00, 0x3c][..]),
        (Dtype::BF16, &[0x80, 0x3f]),
        (Dtype::F8_E4M3, &[0x38]),
        (Dtype::F8_E5M2, &[0x3c]),
    ] {
        assert!(of_ones(dtype, one) == single, "{dtype:?}");
    }
}

/// The message of a file that is refused.
fn refused(model: &Path, name: &str, entries: &Entries, out: &Path) -> String {
    let path: PathBuf = out.join(name);
    write(entries, &path);
    match open(model, vec![LoraOption { path, strength: Strength::of(1.0) }]).and_then(|source| {
        weights::load(&source, &model::weight_decls(source.config()), LayoutOptions::default())
    }) {
        Err(error @ (Error::BadFile { .. } | Error::OtherFile { .. })) => error.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let out = tempfile::tempdir().expect("a folder");
    let facts = Facts::of("sd1");
    let whole = facts.entries("kohya");
    let sd1 = model_folder("sd1");
    let case = |name: &str, change: &dyn Fn(&mut Entries), words: &str| {
        let mut entries = whole.clone();
        change(&mut entries);
        let message = refused(&sd1, name, &entries, out.path());
        assert!(message.contains(name) && message.contains(words), "{message}");
    };
    let first = whole.keys().find(|name| name.ends_with("lora_down.weight")).expect("one").clone();
    case("half.safetensors", &|entries| drop(entries.remove(&first)), "alone");
    // Cross attention reads wider text, as Stable Diffusion XL's does.
    let wide = whole.keys().find(|name| name.ends_with("attn2_to_k.lora_down.weight")).expect("one").clone();
    let rank = whole[&wide].shape[0];
    case(
        "wide.safetensors",
        &|entries| drop(entries.insert(wide.clone(), Entry::zeros(Dtype::F16, &[rank, 2048]))),
        "another family of models",
    );
    case(
        "narrow.safetensors",
        &|entries| {
            drop(entries.insert(first.clone(), Entry::zeros(Dtype::F16, &[rank + 1, whole[&first].shape[1]])))
        },
        "does not go together",
    );
    let nan = |entries: &mut Entries| {
        let entry = entries.get_mut(&first).expect("one");
        entry.bytes[..2].copy_from_slice(&half::f16::NAN.to_le_bytes());
    };
    case("nan.safetensors", &nan, "no finite number");
    // Of no rank at all, where alpha over it is no number.
    let no_rank = |entries: &mut Entries| {
        let up = first.replace("lora_down", "lora_up");
        let [columns, rows] = [whole[&first].shape[1], whole[&up].shape[0]];
        entries.insert(first.clone(), Entry::zeros(Dtype::F16, &[0, columns]));
        entries.insert(up, Entry::zeros(Dtype::F16, &[rows, 0]));
    };
    case("none.safetensors", &no_rank, "has rank 0: ");
    let dora = |entries: &mut Entries| {
        let name = first.replace("lora_down.weight", "dora_scale");
        entries.insert(name, Entry::zeros(Dtype::F16, &[1, 7]));
    };
    case("dora.safetensors", &dora, "does not go together");
    let renamed = |entries: &mut Entries| {
        *entries = entries
            .iter()
            .map(|(name, entry)| (name.replace("lora_", "lora_transformer_"), entry.clone()))
            .collect();
    };
    case("flux.safetensors", &renamed, "nothing in it fits");
    let model =
        whole.keys().map(|name| (format!("model.diffusion_model.{name}"), Entry::zeros(Dtype::F16, &[2])));
    let message = refused(&sd1, "other.safetensors", &model.collect(), out.path());
    assert!(message.contains("other.safetensors"), "{message}");
    // Some of it fits: the rest is listed.
    let mut more = whole.clone();
    more.insert("lora_unet_nowhere.lora_down.weight".into(), Entry::zeros(Dtype::F16, &[2, 2]));
    let path = out.path().join("more.safetensors");
    write(&more, &path);
    let source = open(&sd1, vec![LoraOption { path, strength: Strength::of(1.0) }]).expect("opens");
    let told: Vec<_> = source.merged().told().map(|(_, _, unused)| unused.to_vec()).collect();
    assert_eq!(told, [["lora_unet_nowhere.lora_down.weight"]]);
}

/// A packed model, as a stock.
struct Packed {
    manifest: Manifest,
    slabs: Vec<Vec<u8>>,
}

impl Stock for Packed {
    /// In pieces that end within records, with others beside those that are wanted, as a store's chunks are.
    fn fetch<'a>(
        &'a self,
        wanted: &'a dyn Fn(&PackedRecord) -> bool,
        sink: &'a mut Sink<'a>,
        _: &'a Cancel,
    ) -> Fetching<'a> {
        const PIECE: usize = 1 << 14;
        let mut fetch = || {
            for (index, slab) in self.slabs.iter().enumerate() {
                for (piece, bytes) in slab.chunks(PIECE).enumerate() {
                    let (from, to) = ((piece * PIECE) as u64, (piece * PIECE + bytes.len()) as u64);
                    let overlaps = |record: &&PackedRecord| {
                        record.slab == index && record.values.offset < to && record.end() > from
                    };
                    if self.manifest.records.iter().filter(overlaps).any(wanted) {
                        sink(index, from, Bytes::Slice(bytes))?;
                    }
                }
            }
            Ok(())
        };
        Box::pin(std::future::ready(fetch()))
    }
}

/// A model whose weights can be had again.
fn stocked(manifest: &Manifest, slabs: &[Vec<u8>]) -> Pipeline {
    let stock = Packed { manifest: manifest.clone(), slabs: slabs.to_vec() };
    let mut pipeline = Pipeline::on_cpu(manifest.clone(), slabs.to_vec()).expect("a model");
    pipeline.set_stock(Box::new(stock));
    pipeline
}

/// Sixteen by sixteen latents are enough to tell one model from another.
fn drawn(pipeline: &mut Pipeline, size: usize) -> Vec<u8> {
    let request = Request { width: size, height: size, steps: 2, preview_every: 0, ..common::mini_request() };
    block_on(pipeline.generate(&request, &mut |_| {}, &Cancel::default())).expect("a picture").images[0]
        .pixels
        .clone()
}

/// Into the packed records of a model that is loaded, as while its files are packed; without networks it is as it was.
#[test]
fn a_loaded_model_is_changed_as_one_that_is_packed() {
    let out = tempfile::tempdir().expect("a folder");
    for model in MODELS {
        let facts = Facts::of(model);
        let (manifest, slabs) = packed(&open(&model_folder(model), vec![]).expect("opens"));
        let mut pipeline = stocked(&manifest, &slabs);
        let plain = drawn(&mut pipeline, 64);
        for file in facts.files.keys() {
            let option = facts.option(file, out.path());
            let asked =
                |strength: &Strength| Asked { strength: strength.clone(), ..option.open().expect("a LoRA") };
            let merged = Merged::for_packed(vec![asked(&option.strength)], &manifest).expect("fits");
            // Record by record what packing the files with it makes.
            let (_, expected) = packed(&open(&model_folder(model), vec![option.clone()]).expect("opens"));
            let mut changed = 0;
            for record in manifest.records.iter().filter(|record| merged.touches(record)) {
                let (from, to) = (record.values.offset as usize, record.end() as usize);
                let bytes = merged.merged(record, &slabs[record.slab][from..to]).expect("merged");
                assert!(*bytes == expected[record.slab][from..to], "{model} {file} {}", record.decl.name);
                changed += 1;
            }
            assert!(changed > 4, "{model} {file}: {changed}");
            // The same through a loaded model, at once and by way of another strength.
            let mut merge = |asked| {
                let merged = Merged::for_packed(asked, &manifest).expect("fits").into();
                block_on(pipeline.merge(merged, &Cancel::default())).expect("merged");
                drawn(&mut pipeline, 64)
            };
            let mut whole = Pipeline::on_cpu(manifest.clone(), expected).expect("a model");
            let expected = drawn(&mut whole, 64);
            assert!(expected != plain, "{model} {file} changes nothing");
            assert!(merge(vec![asked(&Strength::of(0.1))]) != expected, "{model} {file}");
            assert!(merge(vec![asked(&option.strength)]) == expected, "{model} {file}");
            assert!(merge(vec![]) == plain, "{model} {file} leaves something behind");
        }
    }
}

/// A record, what a device adds to, and what it shall become: as it is stored, and in its wider type where it has one.
fn both(merged: &Merged, record: &PackedRecord, stored: &[u8]) -> Vec<(PackedRecord, Vec<u8>, Vec<u8>)> {
    let own = (record.alone(), stored.to_vec(), merged.merged(record, stored).expect("merged").into_owned());
    let wider = record.wider().map(|wider| {
        let [before, after] = [record.widened(stored), merged.merged_wider(record, stored)];
        (wider, before.expect("widened"), after.expect("merged"))
    });
    [own].into_iter().chain(wider).collect()
}

/// What a device adds to a stored record is what the processor makes of it, but for how sums are rounded: of halves the last
/// bit, of blocks a code whose chance was a close one.
#[test]
fn products_for_a_device_are_what_is_merged() {
    let out = tempfile::tempdir().expect("a folder");
    for (model, kind) in MODELS.into_iter().flat_map(|model| WeightType::ALL.map(|kind| (model, kind))) {
        let facts = Facts::of(model);
        let source = open(&model_folder(model), vec![]).expect("opens");
        let decls = model::weight_decls(source.config());
        let options = LayoutOptions { matrix_type: Some(kind), ..LayoutOptions::default() };
        let (manifest, slabs) = weights::load(&source, &decls, options).expect("weights");
        let (mut by_device, mut values, mut apart) = (0, 0, 0);
        for file in ["kohya", "locon", "loha"] {
            let asked = facts.option(file, out.path()).open().expect("a LoRA");
            let merged = Merged::for_packed(vec![asked], &manifest).expect("fits");
            for record in manifest.records.iter().filter(|record| merged.touches(record)) {
                let place = record.values.offset as usize..record.end() as usize;
                let stored = &slabs[record.slab][place];
                // Into five and four bits where there is no room for more.
                for (record, stored, expected) in both(&merged, record, stored) {
                    let Some(products) = merged.low_rank(&record).expect("a file") else { continue };
                    let mut found = stored.to_vec();
                    let scales_at = record
                        .scales
                        .map_or(found.len(), |scales| (scales.offset - record.values.offset) as usize);
                    let (found_values, found_scales) = found.split_at_mut(scales_at);
                    for LowRank { params, left, right } in &products {
                        let spec = low_rank_merge::Spec { weight: record.weight_type };
                        let packed = [&mut *found_values, &mut *found_scales];
                        low_rank_merge::cpu::low_rank_merge(&spec, params, [left, right], packed);
                    }
                    assert!(
                        found != stored && file != "loha",
                        "{model} {kind:?} {file} {}",
                        record.decl.name
                    );
                    by_device += 1;
                    values += found.len();
                    apart += match record.weight_type {
                        WeightType::F32 => {
                            let floats = |bytes: &[u8]| bytes.as_chunks::<4>().0.to_vec();
                            let pairs = floats(&found).into_iter().zip(floats(&expected));
                            let pairs = pairs.map(|(a, b)| [a, b].map(f32::from_le_bytes));
                            pairs.filter(|[a, b]| (a - b).abs() > 1e-6 * b.abs().max(0.1)).count()
                        }
                        WeightType::F16 => {
                            let halves = |bytes: &[u8]| bytes.as_chunks::<2>().0.to_vec();
                            let pairs = halves(&found).into_iter().zip(halves(&expected));
                            let pairs = pairs.map(|(a, b)| [a, b].map(u16::from_le_bytes));
                            pairs.filter(|[a, b]| a.abs_diff(*b) > 1).count()
                        }
                        _ => found.iter().zip(&*expected).filter(|(a, b)| a != b).count(),
                    };
                }
            }
        }
        assert!(
            by_device > 16 && apart * 1000 < values,
            "{model} {kind:?}: {apart} of {values}, {by_device} records"
        );
    }
}

/// As diffusers draws where an adapter is switched on and off on the way, and as the two models, with it and without it, take
/// these steps by themselves; what is asked next finds nothing of it.
#[test]
fn a_network_counts_in_the_steps_that_are_named() {
    const STEPS: usize = 8;
    let out = tempfile::tempdir().expect("a folder");
    let (facts, golden) = (Facts::of("sd1"), Golden::open("loras/turns.safetensors"));
    let option = facts.option("kohya", out.path());
    let whole = out.path().join("whole.gguf");
    gguf(&open(&model_folder("sd1"), vec![]).expect("opens"), WeightType::F32, &whole);
    let (manifest, slabs) = packed(&open(&whole, vec![]).expect("opens"));
    let mut pipeline = stocked(&manifest, &slabs);
    let merge = |pipeline: &mut Pipeline, strengths: &[Strength]| {
        let asked =
            |strength: &Strength| Asked { strength: strength.clone(), ..option.open().expect("a LoRA") };
        let merged = Merged::for_packed(strengths.iter().map(asked).collect(), &manifest).expect("fits");
        block_on(pipeline.merge(merged.into(), &Cancel::default())).expect("merged");
    };
    let scale = manifest.config.vae.scale();
    let request = Request {
        prompt: "a photo of an astronaut riding a horse on the blue background".into(),
        steps: STEPS,
        guidance: 3.0,
        width: 16 * scale,
        height: 16 * scale,
        sampler: SamplerKind::Euler,
        schedule: ScheduleKind::Default,
        noise: Some(golden.values("noise")),
        ..common::mini_request()
    };
    let cancel = Cancel::default();
    let run = |pipeline: &mut Pipeline| {
        let mut dump = Dump::default();
        let mut quiet = |_| {};
        block_on(pipeline.generate_with(&request, &mut quiet, &cancel, Some(&mut dump))).expect("a picture");
        (0..=STEPS).map(|i| dump.0[&format!("latents.{i}")].1.clone()).collect::<Vec<_>>()
    };
    let plain = run(&mut pipeline);
    let during = |start: f64, end: f64| During { start: Moment::of(start), end: Moment::of(end) };
    // Steps three to five, told as shares; the same told as steps.
    let some = Strength { during: during(0.25, 0.625), ..option.strength.clone() };
    merge(&mut pipeline, std::slice::from_ref(&some));
    let turned = run(&mut pipeline);
    let mut report = Report::new(F32);
    for (i, latents) in turned.iter().enumerate().skip(1) {
        report.compare(&format!("latents.{i}"), latents, &golden.values(&format!("latents.{i}")));
    }
    report.finish();
    assert_eq!(run(&mut pipeline), turned, "once more");
    merge(&mut pipeline, &[Strength { during: during(3.0, 6.0), ..option.strength.clone() }]);
    assert_eq!(run(&mut pipeline), turned, "as steps");
    let step = |pipeline: &mut Pipeline, i: usize| {
        block_on(pipeline.study_step(&request, i, &turned[i], false, &cancel)).expect("a step").next
    };
    // Each step by the model as it is then. What reads the text is changed all along.
    let (with, without) = (option.strength.clone(), Strength { unet: 0.0, ..option.strength.clone() });
    for (counts, strength) in [(true, with), (false, without)] {
        merge(&mut pipeline, &[strength]);
        for i in (0..STEPS).filter(|i| (2..5).contains(i) == counts) {
            assert!(step(&mut pipeline, i) == turned[i + 1], "step {i}");
        }
    }
    // A step that is looked into is the run's.
    merge(&mut pipeline, std::slice::from_ref(&some));
    for i in [3, 1, 6] {
        assert!(step(&mut pipeline, i) == turned[i + 1], "looked into step {i}");
    }
    merge(&mut pipeline, &[]);
    assert_eq!(run(&mut pipeline), plain);
}

/// Two changes a run are taken, more are refused before anything is computed.
#[test]
fn a_model_changes_twice_in_a_run_at_most() {
    let out = tempfile::tempdir().expect("a folder");
    let (manifest, _) = packed(&open(&model_folder("sd1"), vec![]).expect("opens"));
    let option = Facts::of("sd1").option("kohya", out.path());
    let turns = |all: &[[f64; 2]]| {
        let asked = |[start, end]: &[f64; 2]| {
            let during = During { start: Moment::of(*start), end: Moment::of(*end) };
            Asked { strength: Strength { during, ..Strength::of(1.0) }, ..option.open().expect("a LoRA") }
        };
        Merged::for_packed(all.iter().map(asked).collect(), &manifest).expect("fits").turns(10)
    };
    assert_eq!(turns(&[[0.0, 0.0]]).expect("none"), [0usize; 0]);
    assert_eq!(turns(&[[4.0, 0.0], [0.0, 4.0]]).expect("one"), [3]);
    assert_eq!(turns(&[[4.0, 8.0], [0.3, 0.7]]).expect("two"), [3, 7]);
    let error = turns(&[[4.0, 8.0], [0.0, 6.0]]).expect_err("three");
    assert!(matches!(&error, Error::InvalidInput { field: "loras", .. }), "{error}");
    assert!(error.to_string().contains("at most 2"), "{error}");
}
