//! Learning against PyTorch's autograd: gradients of every op on the way back, and whole runs of AdamW.

mod common;

use common::report::Report;
use common::single::weight;
use common::{Golden, cases, model_folder};
use opengen::config::{ModelConfig, PredictionType};
use opengen::cpu::Weights;
use opengen::model;
use opengen::plan::train::Adapter;
use opengen::sample::Forward;
use opengen::train::{Asked, Learner, Noised, Text};
use opengen::weights::{self, LayoutOptions, ModelSource};

const MODELS: [&str; 2] = ["sd1", "sd2"];
const RANK: usize = 4;
const ALPHA: f64 = 2.0;

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
    tokens: Vec<u32>,
}

impl Tiny {
    fn open(name: &str) -> Tiny {
        let source = ModelSource::open(&model_folder(name)).expect("a model");
        let decls = model::weight_decls(source.config());
        let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
        let case =
            cases::<common::TextCase>("text").into_iter().find(|case| case.model == name).expect("a case");
        let tokens = Golden::open(&case.file).tokens("tokens").swap_remove(2);
        Tiny { weights: Weights::new(&manifest, slabs).expect("weights"), config: manifest.config, tokens }
    }

    /// A learner whose matrices begin as the script's.
    fn learner(&self, ends: &[&str]) -> Learner {
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = Asked {
            size: [16, 16],
            tokens: self.tokens.len(),
            encodes: true,
            rank: RANK,
            alpha: ALPHA,
            layers: &layers,
        };
        let mut learner = Learner::new(&self.config, &self.weights, &asked).expect("a learner");
        for index in 0..learner.count() {
            let adapter = &learner.adapters()[index / 2];
            let kind = ["lora_down", "lora_up"][index % 2];
            let values = weight(&format!("{}.{kind}", layer(adapter)), &shape(adapter, index % 2 == 0));
            learner.set(index, &values).expect("a matrix");
        }
        learner
    }
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

/// Every layer that the script has, and no other.
fn compare(
    report: &mut Report,
    what: &str,
    golden: &Golden,
    learner: &Learner,
    values: impl Fn(usize) -> Vec<f32>,
) {
    let theirs = golden.names().filter(|name| name.ends_with(".down")).count();
    assert_eq!(theirs, learner.adapters().len(), "{what}: layers");
    for index in 0..learner.count() {
        let name = format!("{}.{}", layer(&learner.adapters()[index / 2]), ["down", "up"][index % 2]);
        report.compare(&format!("{what} {name}"), &values(index), &golden.values(&name));
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
            let mut learner = tiny.learner(ends);
            let (sample, target) = (unit("sample"), unit("target"));
            let text = Text::Tokens(&tiny.tokens);
            let noised = Noised { sample: &sample, timestep: 261.0, text, target: &target };
            // In two shares, which add up.
            let losses =
                [0.25, 0.75].map(|share| learner.learn(&noised, share, &|| false).expect("a gradient"));
            assert_eq!(losses[0], losses[1]);
            report.compare(&format!("{name} {set} loss"), &[losses[0] as f32], &golden.values("loss"));
            compare(&mut report, &format!("{name} {set}"), &golden, &learner, |index| {
                learner.gradient(index).expect("a gradient")
            });
        }
    }
    report.finish();
}

#[test]
fn fifty_steps_are_pytorchs() {
    let mut report = Report::new(1e-2);
    for name in MODELS {
        let tiny = Tiny::open(name);
        let golden = Golden::open(&format!("training/{name}.run.safetensors"));
        let mut learner = tiny.learner(&ATTENTION);
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
                let noised = Noised { sample: &sample, timestep: t as f64, text, target: &target };
                let loss = learner.learn(&noised, 1.0, &|| false).expect("a gradient");
                learner.step(|_| 1e-3, 1.0).expect("a step");
                loss as f32
            })
            .collect();
        let theirs = golden.values("losses");
        for (step, (ours, theirs)) in losses.iter().zip(&theirs).enumerate() {
            report.compare(&format!("{name} loss of step {step}"), &[*ours], &[*theirs]);
        }
        compare(&mut report, &format!("{name} after 50 steps"), &golden, &learner, |index| {
            learner.get(index).expect("a matrix")
        });
    }
    report.finish();
}
