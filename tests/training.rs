//! Learning against PyTorch's autograd: gradients of every op on the way back, and whole runs of AdamW.

mod common;
#[path = "left_out/mod.rs"]
mod left_out;

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use common::report::Report;
use common::single::weight;
use common::{Golden, cases, model_folder};
use opengen::Error;
use opengen::config::{ModelConfig, PredictionType};
use opengen::cpu::Weights;
use opengen::gpu::{self, Context};
use opengen::image::Rgba;
use opengen::kernels::{Elem, WeightType};
use opengen::model;
use opengen::pipeline::stages::Stages;
use opengen::pipeline::{Cancel, Dump, Pipeline, Request, Resident};
use opengen::plan::train::{Adapter, Learnt, parts, recomputed};
use opengen::plan::{MemoryLimits, Target, Tuning, lower};
use opengen::prompt::OWN;
use opengen::sample::Forward;
use opengen::train::lesson::noise;
use opengen::train::{
    Asked, Checkpoint, Example, Layers, Learner, Lesson, Noised, Origin, Picture, Recipe, State, Text,
    Training, learner,
};
use opengen::weights::{
    self, Bytes, LayoutOptions, LoraFile, Merged, Merging, ModelSource, Passing, Strength, read_embedding,
};
use pollster::block_on;

const MODELS: [&str; 2] = ["sd1", "sd2"];
const RANK: usize = 4;
const ALPHA: f64 = 2.0;
/// Height and width of the references' latents.
const SIZE: [usize; 2] = [16, 16];

const ATTENTION: [&str; 4] = [".to_q", ".to_k", ".to_v", ".to_out.0"];
const LINEAR: [&str; 8] =
    [".to_q", ".to_k", ".to_v", ".to_out.0", ".ff.net.0.proj", ".ff.net.2", ".proj_in", ".proj_out"];
const CONVOLUTIONS: [&str; 5] =
    [".conv1", ".conv2", ".downsamplers.0.conv", ".upsamplers.0.conv", "unet.conv_out"];
const TEXT: [&str; 8] =
    ["attn2.to_k", "attn2.to_q", ".q_proj", ".k_proj", ".v_proj", ".out_proj", ".fc1", ".fc2"];

struct Tiny {
    config: ModelConfig,
    weights: Weights,
    /// The same on a device, where there is one to be tested.
    on_device: Option<(Context, gpu::Weights)>,
    tokens: Vec<u32>,
}

impl Tiny {
    /// Latents at the time of the goldens, under its own text.
    fn noised<'a>(&'a self, sample: &'a [f32], target: &'a [f32]) -> Noised<'a> {
        Noised { size: SIZE, sample, timestep: 261.0, text: Text::Tokens(&self.tokens), target, mask: None }
    }

    fn open(name: &str) -> Tiny {
        let source = ModelSource::open(&model_folder(name)).expect("a model");
        let decls = model::weight_decls(source.config());
        let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
        let case =
            cases::<common::TextCase>("text").into_iter().find(|case| case.model == name).expect("a case");
        let tokens = Golden::open(&case.file).tokens("tokens").swap_remove(2);
        let on_device = device().map(|context| {
            let weights = gpu::Weights::new(&context, &manifest);
            for (slab, bytes) in slabs.iter().enumerate() {
                weights.write(slab, 0, &Bytes::Slice(bytes)).expect("room");
            }
            (context, weights)
        });
        let weights = Weights::new(&manifest, slabs).expect("weights");
        Tiny { weights, on_device, config: manifest.config, tokens }
    }

    /// The processor, and the device if there is one.
    fn everywhere(&self) -> Vec<(&'static str, Resident<'_>)> {
        let device =
            self.on_device.as_ref().map(|(context, weights)| ("device", Resident::Gpu(context, weights)));
        [("processor", Resident::Cpu(&self.weights))].into_iter().chain(device).collect()
    }

    /// The script's first matrices.
    fn matrices(&self, learner: &Learner) -> Vec<Vec<f32>> {
        let pair = |adapter: &Adapter| {
            let matrix = |kind: &str| {
                weight(&format!("{}.{kind}", layer(adapter)), &shape(adapter, kind == "lora_down"))
            };
            ["lora_down", "lora_up"].map(matrix)
        };
        learner.learnt().adapters.iter().flat_map(pair).collect()
    }

    /// Some layers, and the text encoder run each time.
    fn asked<'a>(&self, layers: &'a dyn Fn(&str) -> bool) -> Asked<'a> {
        Asked {
            sizes: &[SIZE],
            tokens: self.tokens.len(),
            encodes: true,
            rank: RANK,
            alpha: ALPHA,
            memory: None,
            pictures: 1,
            vectors: 0,
            layers,
        }
    }

    /// A learner whose matrices begin as the script's.
    fn learner(&self, on: Resident<'_>, ends: &[&str]) -> Learner {
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = self.asked(&layers);
        let mut learner = block_on(Learner::new(&self.config, on, &asked)).expect("a learner");
        let matrices = self.matrices(&learner);
        learner.set(State::Values, &matrices).expect("matrices");
        learner
    }
}

/// A device in f32, one for all tests. Without an adapter the test fails, unless `OPENGEN_SKIP_GPU=1` chose to leave it out.
fn device() -> Option<Context> {
    static DEVICE: OnceLock<Context> = OnceLock::new();
    if left_out::by_choice() {
        left_out::partly("OPENGEN_SKIP_GPU=1: nothing learns on a device");
        return None;
    }
    let options = gpu::Options { f16: Some(false), ..Default::default() };
    let device = DEVICE.get_or_init(|| {
        block_on(Context::new(&options)).unwrap_or_else(|error| {
            panic!(
                "{error}. Install an adapter (Debian: mesa-vulkan-drivers has lavapipe), or set OPENGEN_SKIP_GPU=1 to leave \
                 learning on a device out knowingly"
            )
        })
    });
    Some(device.clone())
}

fn layer(adapter: &Adapter) -> &str {
    adapter.part.name.trim_end_matches(".weight")
}

/// As PEFT has it.
fn shape(adapter: &Adapter, down: bool) -> Vec<usize> {
    let taps = adapter.side * adapter.side;
    let linear = adapter.part.shape.len() == 2;
    match (down, linear) {
        (true, true) => vec![RANK, adapter.columns],
        (true, false) => vec![RANK, adapter.columns / taps, adapter.side, adapter.side],
        (false, true) => vec![adapter.outputs(), RANK],
        (false, false) => vec![adapter.outputs(), RANK, 1, 1],
    }
}

fn unit(name: &str) -> Vec<f32> {
    weight(name, &[1, 4, 16, 16]).into_iter().map(|value| 16.0 * value).collect()
}

/// Adds a picture's gradients, and gives its loss.
fn learn_from(learner: &mut Learner, noised: Noised, share: f64) -> f64 {
    block_on(learner.learn(&[(noised, share)], &|| false)).expect("a gradient")[0]
}

/// Every layer that the script has, and no other.
fn compare(report: &mut Report, what: &str, golden: &Golden, learner: &Learner, state: State) {
    let theirs = golden.names().filter(|name| name.ends_with(".down")).count();
    let adapters = &learner.learnt().adapters;
    assert_eq!(theirs, adapters.len(), "{what}: layers");
    let tensors = block_on(learner.tensors(state)).expect("tensors");
    for (index, values) in tensors.iter().enumerate() {
        let name = format!("{}.{}", layer(&adapters[index / 2]), ["down", "up"][index % 2]);
        report.compare(&format!("{what} {name}"), values, &golden.values(&name));
    }
}

#[test]
fn gradients_are_autograds() {
    let mut report = Report::new(common::F32);
    let sets: [(&str, &[&str]); 3] = [("linear", &LINEAR), ("convolutions", &CONVOLUTIONS), ("text", &TEXT)];
    for name in MODELS {
        let tiny = Tiny::open(name);
        for (set, ends) in sets {
            let golden = Golden::open(&format!("training/{name}.{set}.safetensors"));
            for (place, on) in tiny.everywhere() {
                let mut learner = tiny.learner(on, ends);
                let (sample, target) = (unit("sample"), unit("target"));
                let noised = tiny.noised(&sample, &target);
                // In two shares, which add up.
                let losses = [0.25, 0.75].map(|share| learn_from(&mut learner, noised, share));
                assert_eq!(losses[0], losses[1]);
                let what = format!("{name} {set} on the {place}");
                report.compare(&format!("{what}: loss"), &[losses[0] as f32], &golden.values("loss"));
                compare(&mut report, &what, &golden, &learner, State::Gradients);
            }
        }
    }
    report.finish();
}

/// Threads learn from a step's pictures at the same time, one by one where memory is short: no bit of what they find differs, and neither
/// does the order in which it is added up.
#[test]
fn pictures_at_once_are_those_one_by_one() {
    let layers = |layer: &str| CONVOLUTIONS.iter().any(|end| layer.ends_with(end));
    for name in MODELS {
        let tiny = Tiny::open(name);
        let target = unit("target");
        let samples: Vec<Vec<f32>> =
            (1..=5).map(|by| unit("sample").iter().map(|x| x * by as f32 / 5.0).collect()).collect();
        let shares = [0.25, 0.75, 0.5, 1.0, 0.125];
        let pictures: Vec<_> =
            samples.iter().map(|sample| tiny.noised(sample, &target)).zip(shares).collect();
        for (place, on) in tiny.everywhere() {
            let learner = |count: usize| {
                let asked = Asked { pictures: count, ..tiny.asked(&layers) };
                let mut learner = block_on(Learner::new(&tiny.config, on, &asked)).expect("a learner");
                let matrices = tiny.matrices(&learner);
                learner.set(State::Values, &matrices).expect("matrices");
                learner
            };
            let step = |learner: &mut Learner| {
                let rate = block_on(learner.step(|_| 1e-3, 1.0)).expect("a step");
                let [values, means] = [State::Values, State::Means]
                    .map(|state| block_on(learner.tensors(state)).expect("tensors"));
                (rate, values, means)
            };
            let (mut one, mut several) = (learner(1), learner(3));
            for _ in 0..2 {
                let losses: Vec<f64> =
                    pictures.iter().map(|(noised, share)| learn_from(&mut one, *noised, *share)).collect();
                let at_once = block_on(several.learn(&pictures, &|| false)).expect("gradients");
                assert_eq!(losses, at_once, "{name} on the {place}");
                assert_eq!(step(&mut one), step(&mut several), "{name} on the {place}");
            }
            if place == "processor" {
                let lanes = several.takes().kept / one.takes().kept;
                assert_eq!(lanes, rayon::current_num_threads().min(3) as u64);
            }
            let refused = block_on(several.learn(&pictures, &|| true));
            assert!(matches!(refused, Err(Error::Aborted)), "{name} on the {place}");
        }
    }
}

/// What a mask leaves out changes nothing, what it has counts by its share: held against the gradients of all of the picture, which are
/// autograd's (above), against the loss by hand and against finite differences of it.
#[test]
fn only_what_a_mask_shows_is_learnt() {
    let mut report = Report::new(common::F32);
    let (channels, pixels) = (4, 256);
    // Left of the middle nothing, a column of half, then all of it; and what that leaves out.
    let mask: Vec<f32> = (0..pixels).map(|at| [0.0, 0.5, 1.0][(at % 16).clamp(7, 9) - 7]).collect();
    let rest: Vec<f32> = mask.iter().map(|value| 1.0 - value).collect();
    let sum = |mask: &[f32]| mask.iter().sum::<f32>();
    for name in MODELS {
        let tiny = Tiny::open(name);
        for (place, on) in tiny.everywhere() {
            let mut learner = tiny.learner(on, &CONVOLUTIONS);
            let (sample, target) = (unit("sample"), unit("target"));
            let text = Text::Tokens(&tiny.tokens);
            let learn = |learner: &mut Learner, target: &[f32], mask: Option<&[f32]>| {
                let noised = Noised { size: SIZE, sample: &sample, timestep: 261.0, text, target, mask };
                let loss = learn_from(learner, noised, 1.0);
                let gradients = block_on(learner.tensors(State::Gradients)).expect("gradients");
                block_on(learner.forget());
                (loss, gradients)
            };
            let what = format!("{name} on the {place}");
            let (loss, masked) = learn(&mut learner, &target, Some(&mask));
            // Another target beyond the mask: nothing changes, to the bit; within it something does.
            let mut other = target.clone();
            other.iter_mut().enumerate().for_each(|(at, value)| *value += 50.0 * f32::from(at % 16 < 8));
            assert_eq!(learn(&mut learner, &other, Some(&mask)), (loss, masked.clone()), "{what}");
            other[8] += 1.0;
            assert_ne!(learn(&mut learner, &other, Some(&mask)), (loss, masked.clone()), "{what}");
            // A mask of all of it is none.
            let (_, whole) = learn(&mut learner, &target, None);
            assert_eq!(learn(&mut learner, &target, Some(&vec![0.25; pixels])).1, whole, "{what}");
            // The parts by their sizes make the whole.
            let (_, remaining) = learn(&mut learner, &target, Some(&rest));
            for (index, tensor) in whole.iter().enumerate() {
                let both = masked[index].iter().zip(&remaining[index]);
                let both: Vec<f32> =
                    both.map(|(a, b)| (sum(&mask) * a + sum(&rest) * b) / pixels as f32).collect();
                report.compare(&format!("{what}: the parts of tensor {index}"), &both, tensor);
            }
            // The loss by hand.
            let noised =
                Noised { size: SIZE, sample: &sample, timestep: 261.0, text, target: &target, mask: None };
            let predicted = block_on(learner.predict(&noised)).expect("a prediction");
            let errors = predicted.iter().zip(&target).enumerate();
            let by_hand: f32 = errors.map(|(at, (x, y))| mask[at % pixels] * (x - y).powi(2)).sum();
            let by_hand = by_hand / (channels as f32 * sum(&mask));
            report.compare(&format!("{what}: loss"), &[loss as f32], &[by_hand]);
            // Along the gradient the loss rises by its length.
            let values = block_on(learner.tensors(State::Values)).expect("matrices");
            let squares = |tensor: &Vec<f32>| tensor.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            let length = masked.iter().map(squares).sum::<f64>().sqrt();
            let mut at = |step: f64| {
                let moved = |(values, gradient): (&Vec<f32>, &Vec<f32>)| {
                    let both = values.iter().zip(gradient);
                    both.map(|(x, g)| x + (step / length * f64::from(*g)) as f32).collect()
                };
                let moved: Vec<Vec<f32>> = values.iter().zip(&masked).map(moved).collect();
                learner.set(State::Values, &moved).expect("matrices");
                learn(&mut learner, &target, Some(&mask)).0
            };
            let step = 1e-3;
            let slope = (at(step) - at(-step)) / (2.0 * step);
            assert!((slope / length - 1.0).abs() < 1e-2, "{what}: {slope} is not {length}");

            for wrong in [vec![0.0; pixels], vec![f32::NAN; pixels], vec![1.0; 3]] {
                let noised = Noised {
                    size: SIZE,
                    sample: &sample,
                    timestep: 261.0,
                    text,
                    target: &target,
                    mask: Some(&wrong),
                };
                let refused = block_on(learner.learn(&[(noised, 1.0)], &|| false));
                let message = refused.expect_err("it is refused").to_string();
                assert!(message.starts_with("mask: "), "{message}");
            }
        }
    }
    report.finish();
}

#[test]
fn parts_that_are_computed_twice_change_nothing() {
    for (name, set, ends) in [("sd1", "convolutions", &CONVOLUTIONS[..]), ("sd2", "text", &TEXT[..])] {
        let tiny = Tiny::open(name);
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = |memory| Asked { memory, ..tiny.asked(&layers) };
        let (whole, _) = learner::graph(&tiny.config, &asked(None), (SIZE, RANK)).expect("a graph");
        for (place, on) in tiny.everywhere() {
            let bytes = |count| learner::kept_bytes(on, &recomputed(whole.clone(), count)).expect("a plan");
            let (most, least) = (bytes(0), bytes(parts(&whole)));
            assert!(4 * least < 3 * most, "{name} {set} on the {place}: {most} bytes, {least} at least");
            // As they are, with half of what could be saved, and with all of it.
            let gradients = [None, Some((most + least) / 2), Some(least + least / 8)].map(|memory| {
                let mut learner =
                    block_on(Learner::new(&tiny.config, on, &asked(memory))).expect("a learner");
                let matrices = tiny.matrices(&learner);
                learner.set(State::Values, &matrices).expect("matrices");
                let (sample, target) = (unit("sample"), unit("target"));
                let noised = tiny.noised(&sample, &target);
                learn_from(&mut learner, noised, 1.0);
                block_on(learner.tensors(State::Gradients)).expect("gradients")
            });
            let same = gradients[1] == gradients[0] && gradients[2] == gradients[0];
            assert!(same, "{name} {set} on the {place}");
            let refused = block_on(Learner::new(&tiny.config, on, &asked(Some(least / 2))));
            assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{name} {set} on the {place}");
        }
    }
}

#[test]
fn a_learner_of_several_sizes_is_one_of_each() {
    const SIZES: [[usize; 2]; 3] = [[8, 16], SIZE, [8, 32]]; // the last two have as many latents
    let tiny = Tiny::open("sd1");
    let layers = |layer: &str| CONVOLUTIONS.iter().chain(&TEXT).any(|end| layer.ends_with(end));
    for (place, on) in tiny.everywhere() {
        let of = |sizes: &[[usize; 2]]| {
            let asked = Asked { sizes, ..tiny.asked(&layers) };
            let mut learner = block_on(Learner::new(&tiny.config, on, &asked)).expect("a learner");
            let matrices = tiny.matrices(&learner);
            learner.set(State::Values, &matrices).expect("matrices");
            learner
        };
        let learn = |learner: &mut Learner, size: [usize; 2]| {
            let len = 4 * size[0] * size[1];
            let (sample, target) = (unit("sample"), unit("target"));
            let (sample, target) = (&sample[..len], &target[..len]);
            let text = Text::Tokens(&tiny.tokens);
            let noised = Noised { size, sample, timestep: 261.0, text, target, mask: None };
            block_on(learner.learn(&[(noised, 1.0)], &|| false))
        };
        let gradients = |learner: &mut Learner| {
            let gradients = block_on(learner.tensors(State::Gradients)).expect("gradients");
            block_on(learner.forget());
            gradients
        };
        let mut several = of(&SIZES);
        // A small one behind a large one reads nothing of it.
        for size in [SIZES[2], SIZES[0], SIZES[1], SIZES[2]] {
            let mut one = of(&[size]);
            let losses = [&mut several, &mut one].map(|learner| learn(learner, size).expect("a gradient"));
            assert_eq!(losses[0], losses[1], "{size:?} on the {place}");
            assert_eq!(gradients(&mut several), gradients(&mut one), "{size:?} on the {place}");
            assert!(one.takes().kept <= several.takes().kept, "the largest counts");
        }
        let refused = learn(&mut several, [32, 8]).expect_err("it is refused").to_string();
        assert_eq!(refused, "size: latents of 8x32 given, of which it does not learn");
        // What one size teaches the others know.
        let before = learn(&mut several, SIZE).expect("a gradient");
        block_on(several.step(|_| 1e-2, 1.0)).expect("a step");
        assert!(learn(&mut several, SIZES[0]).is_ok() && learn(&mut several, SIZE).expect("a loss") < before);
    }
}

#[test]
fn what_an_adapter_cannot_bind_is_refused_with_what_to_do() {
    let tiny = Tiny::open("sd1");
    let refused = |ends: &[&str], binding: u64| {
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = Asked { encodes: false, ..tiny.asked(&layers) };
        let (graph, _) = learner::graph(&tiny.config, &asked, (SIZE, RANK)).expect("a graph");
        let limits = MemoryLimits { binding, ..MemoryLimits::default() };
        let target = Target { elem: Elem::F32, tuning: Tuning::CPU, subgroup: 0, limits };
        lower(&graph, target, &|_| WeightType::F32).expect_err("it does not fit").to_string()
    };
    let learnt = refused(&CONVOLUTIONS, 32 << 10);
    assert!(
        learnt.starts_with("rank: ") && learnt.ends_with("choose a smaller rank or fewer layers"),
        "{learnt}"
    );
    let value = refused(&["up_blocks.0.resnets.0.conv1"], 16 << 10);
    assert!(value.starts_with("size: ") && value.ends_with("learn from smaller pictures"), "{value}");
}

#[test]
fn fifty_steps_are_pytorchs() {
    let mut report = Report::new(1e-2);
    for name in MODELS {
        let tiny = Tiny::open(name);
        let golden = Golden::open(&format!("training/{name}.run.safetensors"));
        for (place, on) in tiny.everywhere() {
            let mut learner = tiny.learner(on, &ATTENTION);
            let forward = Forward::new(&tiny.config.scheduler).expect("a schedule");
            let clean = unit("clean");
            let losses: Vec<f32> = (0..50)
                .map(|step| {
                    let (noise, t) = (unit(&format!("noise.{step}")), (step * 37 + 11) % 1000);
                    let shares = forward.shares(t + 1).expect("a time");
                    let target = match tiny.config.scheduler.prediction_type {
                        PredictionType::VPrediction => shares.velocity(&clean, &noise),
                        _ => noise.clone(),
                    };
                    let sample = shares.mix(&clean, &noise);
                    let text = Text::Tokens(&tiny.tokens);
                    let noised = Noised {
                        size: SIZE,
                        sample: &sample,
                        timestep: t as f64,
                        text,
                        target: &target,
                        mask: None,
                    };
                    let loss = learn_from(&mut learner, noised, 1.0);
                    block_on(learner.step(|_| 1e-3, 1.0)).expect("a step");
                    loss as f32
                })
                .collect();
            let theirs = golden.values("losses");
            for (step, (ours, theirs)) in losses.iter().zip(&theirs).enumerate() {
                report.compare(&format!("{name} on the {place}: loss of step {step}"), &[*ours], &[*theirs]);
            }
            compare(
                &mut report,
                &format!("{name} on the {place} after 50 steps"),
                &golden,
                &learner,
                State::Values,
            );
        }
    }
    report.finish();
}

#[test]
fn what_counts_less_and_what_noise_is_shifted_by_are_the_scripts() {
    let mut report = Report::new(1e-5);
    for name in MODELS {
        let golden = Golden::open(&format!("training/{name}.lesson.safetensors"));
        let config = Tiny::open(name).config;
        let example =
            Example { size: SIZE, latents: vec![vec![0.5; 4 * 256]], masks: Vec::new(), caption: 0 };
        let lesson = Lesson::new(&config, [vec![example], Vec::new()]).expect("a lesson");
        let weights = golden.values("weights");
        let times = weights.len() / 2;
        for (row, gamma) in [1.0, 5.0].into_iter().enumerate() {
            let recipe = Recipe { min_snr: Some(gamma), batch: 64, ..Recipe::default() };
            let draws = (0..4).flat_map(|step| lesson.draw(&recipe, step).expect("a step"));
            let (ours, theirs): (Vec<f32>, Vec<f32>) =
                draws.map(|draw| ((draw.share * 64.0) as f32, weights[row * times + draw.timestep])).unzip();
            report.compare(&format!("{name} min-SNR {gamma}"), &ours, &theirs);
        }
        let ours = noise(20_000_000_000, [4 * 256, 256], 0.1);
        report.compare(&format!("{name} noise with an offset"), &ours, &golden.values("noise"));
    }
    report.finish();
}

#[test]
fn a_words_vectors_are_pytorchs() {
    let (mut report, mut course) = (Report::new(common::F32), Report::new(1e-2));
    for name in MODELS {
        let mut tiny = Tiny::open(name);
        for (place, vector) in [(2, 0), (3, 1), (5, 0)] {
            tiny.tokens[place] = OWN | vector;
        }
        let golden = Golden::open(&format!("training/{name}.word.safetensors"));
        for (place, on) in tiny.everywhere() {
            let asked = Asked { vectors: 2, encodes: false, ..tiny.asked(&|_| false) };
            let mut learner = block_on(Learner::new(&tiny.config, on, &asked)).expect("a learner");
            let width = tiny.config.texts[0].hidden_size;
            learner.set(State::Values, &[weight("word", &[2, width])]).expect("vectors");
            let (sample, target) = (unit("sample"), unit("target"));
            let text = Text::Tokens(&tiny.tokens);
            let noised =
                Noised { size: SIZE, sample: &sample, timestep: 261.0, text, target: &target, mask: None };
            let what = format!("{name} on the {place}");
            let mut losses = Vec::new();
            for step in 0..50 {
                losses.push(learn_from(&mut learner, noised, 1.0) as f32);
                if step == 0 {
                    let found = block_on(learner.tensors(State::Gradients)).expect("gradients");
                    report.compare(&format!("{what}: gradients"), &found[0], &golden.values("gradients"));
                }
                let rate = |layer: &str| if layer == Learnt::TABLE { 5e-3 } else { f64::NAN };
                block_on(learner.step(rate, 1.0)).expect("a step");
            }
            course.compare(&format!("{what}: losses"), &losses, &golden.values("losses"));
            let found = block_on(learner.tensors(State::Values)).expect("vectors");
            course.compare(&format!("{what} after 50 steps"), &found[0], &golden.values("vectors"));
        }
    }
    report.finish();
    course.finish();
}

/// A model of a folder on the processor.
fn pipeline(name: &str) -> Pipeline {
    let source = ModelSource::open(&model_folder(name)).expect("a model");
    let decls = model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    Pipeline::on_cpu(manifest, slabs).expect("pipeline")
}

/// Two pictures of one thing and one of its class.
fn lesson(side: usize) -> (Vec<Picture>, Vec<Picture>) {
    let picture = |seed: usize, caption: &str| {
        let pixel = |at: usize| [(at * seed) as u8, (at / 7) as u8, (at * at * seed / 31) as u8, 255];
        let image = Rgba::new(side, side, (0..side * side).flat_map(pixel).collect()).expect("a picture");
        Picture { image, caption: caption.to_string(), mask: None }
    };
    (vec![picture(3, "a zorp cat"), picture(5, "a zorp cat on grass")], vec![picture(11, "a cat")])
}

fn recipe() -> Recipe {
    let learning_rate = 2e-3;
    Recipe {
        steps: 6,
        rank: 4,
        alpha: 2.0,
        text_encoder: true,
        layers: Layers::All,
        flip: true,
        learning_rate,
        ..Recipe::default()
    }
}

fn begun(pipeline: &mut Pipeline, recipe: Recipe) -> Training {
    let side = 16 * pipeline.config().vae.scale();
    let (own, class) = lesson(side);
    let origin = Origin {
        name: "zorp".to_string(),
        trigger: "zorp cat".to_string(),
        size: [side; 2],
        ..Origin::default()
    };
    let cancel = Cancel::default();
    let mut told = |_, _| {};
    let begun = Training::begin(pipeline, recipe, (&own, &class), origin, &mut told, &cancel);
    block_on(begun).expect("a training")
}

fn steps(training: &mut Training, count: usize) -> Vec<f64> {
    (0..count).map(|_| block_on(training.step(&Cancel::default())).expect("a step").loss).collect()
}

#[test]
fn a_training_that_goes_on_is_the_one_that_never_stopped() {
    let mut pipeline = pipeline("sd1");
    let mut whole = begun(&mut pipeline, recipe());
    let losses = steps(&mut whole, 6);
    let mut first = begun(&mut pipeline, recipe());
    let mut parts = steps(&mut first, 2);
    let bytes =
        block_on(first.checkpoint()).and_then(|checkpoint| checkpoint.to_bytes()).expect("a checkpoint");
    // A step that was begun and stopped leaves nothing behind.
    let cancelled = Cancel::default();
    cancelled.cancel();
    assert!(matches!(block_on(first.step(&cancelled)), Err(Error::Aborted)));
    let mut second = begun(&mut pipeline, recipe());
    second.resume(&Checkpoint::from_bytes(&bytes).expect("the checkpoint")).expect("it goes on");
    parts.extend(steps(&mut second, 2));
    parts.extend(steps(&mut second, 2));
    assert_eq!(losses, parts);
    let hash = |training: &Training| said(&block_on(training.file()).expect("a file"), "sshs_model_hash");
    assert_eq!(hash(&whole), hash(&second));
    parts.truncate(2);
    parts.extend(steps(&mut first, 4));
    assert_eq!(losses, parts);

    let mut other = begun(&mut pipeline, Recipe { rank: 2, ..recipe() });
    let refused =
        other.resume(&Checkpoint::from_bytes(&bytes).expect("the checkpoint")).expect_err("another's");
    assert!(
        refused.to_string().starts_with("checkpoint: it is of a training from other pictures"),
        "{refused}"
    );
    // One that came down to a smaller rank goes on at that, unless another one is asked for.
    let mut smaller = Checkpoint::from_bytes(&bytes).expect("the checkpoint");
    assert_eq!(smaller.recipe_for(recipe()), recipe());
    smaller.asked_rank = 16;
    let smaller = Checkpoint::from_bytes(&smaller.to_bytes().expect("bytes")).expect("the checkpoint");
    let asked = Recipe { rank: 16, alpha: 8.0, ..recipe() };
    assert_eq!(smaller.recipe_for(asked.clone()), recipe());
    let other = Recipe { rank: 8, ..asked };
    assert_eq!(smaller.recipe_for(other.clone()), other);
    // Other masks are other pictures; those that were there go on.
    let masked = |white: usize| {
        let mut pipeline = crate::pipeline("sd1");
        let side = 16 * pipeline.config().vae.scale();
        let (mut own, class) = lesson(side);
        let pixels = (0..side * side).flat_map(|at| [if at % side < white { 255 } else { 0 }; 4]);
        own[0].mask = Some(Rgba::new(side, side, pixels.collect()).expect("a mask"));
        let origin = Origin { size: [side; 2], ..Origin::default() };
        let (mut told, cancel) = (|_, _| {}, Cancel::default());
        let begun = Training::begin(&mut pipeline, recipe(), (&own, &class), origin, &mut told, &cancel);
        let training = block_on(begun).expect("a training");
        (pipeline, training)
    };
    let (_pipeline, mut half) = masked(24);
    let learnt = steps(&mut half, 2);
    assert_ne!(learnt, losses[..2], "a mask changes what is learnt");
    let put_by =
        block_on(half.checkpoint()).and_then(|checkpoint| checkpoint.to_bytes()).expect("a checkpoint");
    let put_by = Checkpoint::from_bytes(&put_by).expect("the checkpoint");
    masked(24).1.resume(&put_by).expect("it goes on");
    let refused = masked(16).1.resume(&put_by).expect_err("another's").to_string();
    assert!(refused.starts_with("checkpoint: "), "{refused}");
    for cut in [0, 7, 100, bytes.len() - 1] {
        assert!(matches!(Checkpoint::from_bytes(&bytes[..cut]), Err(Error::BadFile { .. })), "{cut} bytes");
    }
}

#[test]
fn a_file_does_what_was_learnt() {
    let mut report = Report::new(common::F32);
    for name in MODELS {
        let mut own = pipeline(name);
        let mut training = begun(&mut own, recipe());
        steps(&mut training, 6);
        let bytes = block_on(training.file()).expect("a file");
        let file = Rc::new(LoraFile::of_bytes("zorp", bytes.clone()).expect("a LoRA"));
        assert_eq!(file.hash().expect("its hash"), &said(&bytes, "sshs_model_hash")[..12]);
        assert_eq!(said(&bytes, "ss_network_dim"), "4");
        assert_eq!(said(&bytes, "modelspec.trigger_phrase"), "zorp cat");

        // The model with the file merged into it, beside the model that learnt it.
        let source = ModelSource::open(&model_folder(name)).expect("a model");
        let decls = model::weight_decls(source.config());
        let exact = LayoutOptions { matrix_type: Some(WeightType::F32), ..LayoutOptions::default() };
        let (manifest, slabs) = weights::load(&source, &decls, exact).expect("weights");
        let asked = vec![weights::Asked { file, strength: Strength::of(1.0) }];
        let merged = Merged::for_packed(asked, &manifest).expect("it fits");
        let mut merging = Merging::new(&manifest, &|record| merged.touches(record));
        let mut changed = slabs.clone();
        for (slab, bytes) in slabs.iter().enumerate() {
            let mut put = |passing: Passing<'_>| {
                if let Passing::Record(record, bytes) = passing {
                    let (at, bytes) = (record.values.offset as usize, merged.merged(record, &bytes)?);
                    changed[record.slab][at..at + bytes.len()].copy_from_slice(&bytes);
                }
                Ok(())
            };
            merging.pass(slab, 0, &Bytes::Slice(bytes), &mut put).expect("merged");
        }
        let weights = Weights::new(&manifest, changed).expect("weights");
        let tiny = Tiny {
            on_device: None,
            tokens: own.caption_tokens("a zorp cat", None).expect("tokens"),
            weights,
            config: manifest.config.clone(),
        };
        let stages = Stages::on_cpu(&tiny.weights);
        let embeddings =
            block_on(stages.text_embeddings(&tiny.config, std::slice::from_ref(&tiny.tokens), 0))
                .expect("embeddings");
        let sample = unit("sample");
        let predict = stages.unet(&tiny.config, &sample, [1, 4, 16, 16], 261.0, &embeddings);
        let merged = block_on(predict).expect("a prediction");
        let learnt = block_on(training.predict((&sample, SIZE), 261.0, "a zorp cat")).expect("a prediction");
        report.compare(&format!("{name} with what it learnt"), &merged, &learnt);
        let plain = Tiny::open(name);
        let stages = Stages::on_cpu(&plain.weights);
        let embeddings =
            block_on(stages.text_embeddings(&plain.config, &[tiny.tokens], 0)).expect("embeddings");
        let before = block_on(stages.unet(&plain.config, &sample, [1, 4, 16, 16], 261.0, &embeddings))
            .expect("a prediction");
        let apart = common::report::difference(&before, &learnt).relative;
        assert!(apart > 10.0 * common::F32, "{name}: nothing to see of what was learnt: {apart:e}");
    }
    report.finish();
}

/// The recipe of a word.
fn word(initial: &str) -> Recipe {
    let (layers, initial) = (Layers::None, initial.to_string());
    Recipe {
        layers,
        text_encoder: false,
        class_images: 0,
        vectors: 3,
        initial,
        vector_learning_rate: 5e-2,
        ..recipe()
    }
}

#[test]
fn an_embedding_draws_what_its_word_learnt() {
    let mut report = Report::new(common::F32);
    for name in MODELS {
        let mut own = pipeline(name);
        let before = read_embedding(
            "zorp.safetensors",
            &block_on(begun(&mut own, word("a b")).file()).expect("a file"),
        );
        let mut training = begun(&mut own, word("a b"));
        assert_eq!(training.values(), 3 * own.config().texts[0].hidden_size);
        steps(&mut training, 6);
        let bytes = block_on(training.file()).expect("a file");
        assert_eq!(said(&bytes, "modelspec.trigger_phrase"), "zorp cat");
        let embedding = read_embedding("zorp.safetensors", &bytes).expect("an embedding");
        let before = before.expect("an embedding");
        assert_eq!((embedding.vectors(), before.vectors()), (3, 3));
        let vectors: Vec<&[f32]> = before.vectors.chunks(before.width).collect();
        assert!(vectors[0] == vectors[1] && vectors[1] != vectors[2], "{name}: it begins as a, a, b");
        let [a, b] =
            <[Vec<f32>; 2]>::try_from(block_on(own.token_vectors("a b")).expect("rows")).expect("two");
        report.compare(&format!("{name}: a"), vectors[0], &a);
        report.compare(&format!("{name}: b"), vectors[2], &b);
        assert!(embedding.vectors != before.vectors, "{name}: nothing was learnt");

        // What a run with the file reads of a prompt, beside what the learner reads of it.
        let side = 16 * own.config().vae.scale();
        let request = Request {
            prompt: "a zorp cat".to_string(),
            guidance: 1.0,
            steps: 1,
            width: side,
            height: side,
            embeddings: vec![Arc::new(embedding)],
            ..common::request(&cases::<common::DenoiseCase>("denoise").swap_remove(0))
        };
        let mut dump = Dump::default();
        let cancel = Cancel::default();
        block_on(own.generate_with(&request, &mut |_| {}, &cancel, Some(&mut dump))).expect("a picture");
        let (_, states) = dump.0.remove("text_embeddings").expect("states");
        let sample = unit("sample");
        let tiny = Tiny::open(name);
        let stages = Stages::on_cpu(&tiny.weights);
        let drawn = block_on(stages.unet(&tiny.config, &sample, [1, 4, 16, 16], 261.0, &states))
            .expect("a prediction");
        let learnt = block_on(training.predict((&sample, SIZE), 261.0, "a zorp cat")).expect("a prediction");
        report.compare(&format!("{name} with its word"), &drawn, &learnt);
    }
    report.finish();
}

/// What a file says of itself.
#[test]
fn pictures_keep_their_shapes_in_buckets() {
    let mut pipeline = pipeline("sd1");
    let side = 16 * pipeline.config().vae.scale();
    let (mut own, class) = lesson(side);
    let wide = |width: usize, height: usize, caption: &str| {
        let pixels = (0..4 * width * height).map(|at| (at * at / 13) as u8 | 0x80);
        let image = Rgba::new(width, height, pixels.collect()).expect("a picture");
        let white = |at: usize| [if at % width < width / 2 { 255 } else { 0 }; 4];
        let mask = Rgba::new(width, height, (0..width * height).flat_map(white).collect()).expect("a mask");
        Picture { image, caption: caption.to_string(), mask: Some(mask) }
    };
    own.push(wide(90, 60, "a zorp cat lying"));
    own.push(wide(60, 90, "a zorp cat standing"));
    own.push(wide(400, 100, "a zorp cat"));
    let mut begin = |recipe: Recipe| {
        let origin = Origin { name: "zorp".to_string(), size: [side; 2], ..Origin::default() };
        let (mut told, cancel) = (|_, _| {}, Cancel::default());
        let begun = Training::begin(&mut pipeline, recipe, (&own, &class), origin, &mut told, &cancel);
        block_on(begun).expect("a training")
    };
    let kept = Recipe { buckets: true, ..recipe() };
    let mut training = begin(kept.clone());
    assert_eq!(training.shapes(), [([128, 32], 1), ([80, 48], 1), ([64, 64], 2), ([48, 80], 1)]);
    let losses = steps(&mut training, 5); // each picture once
    let file = block_on(training.file()).expect("a file");
    assert_eq!(said(&file, "ss_enable_bucket"), "True");
    let info: serde_json::Value = serde_json::from_str(&said(&file, "ss_bucket_info")).expect("JSON");
    assert_eq!(info["buckets"]["1"], serde_json::json!({ "resolution": [80, 48], "count": 1 }));
    // It goes on as it was, and not as one whose pictures are all cut to one shape.
    let checkpoint = block_on(training.checkpoint()).and_then(|it| it.to_bytes()).expect("a checkpoint");
    let checkpoint = Checkpoint::from_bytes(&checkpoint).expect("the checkpoint");
    let mut second = begin(kept);
    second.resume(&checkpoint).expect("it goes on");
    assert_eq!(steps(&mut second, 1), steps(&mut training, 1));
    let mut cut = begin(recipe());
    assert!(cut.resume(&checkpoint).is_err() && cut.shapes().is_empty());
    assert_ne!(steps(&mut cut, 5), losses);
    let file = block_on(cut.file()).expect("a file");
    assert_eq!([said(&file, "ss_enable_bucket"), said(&file, "ss_bucket_info")], ["False", "null"]);
}

fn said(bytes: &[u8], key: &str) -> String {
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes).expect("a header");
    header.metadata().as_ref().and_then(|texts| texts.get(key)).cloned().unwrap_or_default()
}

#[test]
fn what_cannot_be_learnt_from_is_refused_by_name() {
    let mut pipeline = pipeline("sd1");
    let side = 16 * pipeline.config().vae.scale();
    let (own, _) = lesson(side);
    let cancel = Cancel::default();
    let mut begin = |own: &[Picture], size: [usize; 2], recipe: Recipe| {
        let origin = Origin { name: "gnarf".to_string(), size, ..Origin::default() };
        let mut told = |_, _| {};
        let begun = Training::begin(&mut pipeline, recipe, (own, &[]), origin, &mut told, &cancel);
        block_on(begun).map(|_| ()).expect_err("refused").to_string()
    };
    assert_eq!(
        begin(&[], [side; 2], recipe()),
        "images: there is nothing to learn from; three to twenty pictures are best"
    );
    assert!(begin(&own, [side + 1, side], recipe()).starts_with("size: "));
    assert_eq!(
        begin(&own, [side; 2], Recipe { rank: 0, ..recipe() }),
        "rank: 0 asked for, expected 1 to 128"
    );
    let lost = begin(&own, [side; 2], word("cat"));
    assert_eq!(lost, "caption: \"a zorp cat\" does not say gnarf, the word that is learnt");
    let masked = |width: usize, height: usize, value: u8| {
        let mask = Rgba::new(width, height, vec![value; 4 * width * height]).expect("a mask");
        Picture { mask: Some(mask), ..own[0].clone() }
    };
    let shape = begin(&[masked(side, side / 2, 255)], [side; 2], recipe());
    assert!(
        shape.starts_with("mask: that of picture 1 has ") && shape.ends_with("give one of that size"),
        "{shape}"
    );
    let empty = begin(&[masked(side, side, 0)], [side; 2], recipe());
    assert!(empty.starts_with("mask: nothing is painted in that of picture 1 "), "{empty}");
    let long = Picture { caption: "zorp ".repeat(200), ..own[0].clone() };
    assert!(begin(&[long], [side; 2], recipe()).starts_with("caption: "));
}
