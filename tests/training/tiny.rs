//! The tiny models, where they learn, and the references' first matrices.

use std::sync::OnceLock;

use opengen::config::ModelConfig;
use opengen::cpu::Weights;
use opengen::gpu::{self, Context};
use opengen::model;
use opengen::pipeline::Resident;
use opengen::plan::train::Adapter;
use opengen::train::{Asked, Learner, Noised, State, Text};
use opengen::weights::{self, Bytes, LayoutOptions, ModelSource};
use pollster::block_on;

use crate::common::report::Report;
use crate::common::single::weight;
use crate::common::{Golden, TextCase, cases, model_folder};
use crate::left_out;

pub const MODELS: [&str; 2] = ["sd1", "sd2"];
pub const RANK: usize = 4;
pub const ALPHA: f64 = 2.0;
/// Height and width of the references' latents.
pub const SIZE: [usize; 2] = [16, 16];

pub const ATTENTION: [&str; 4] = [".to_q", ".to_k", ".to_v", ".to_out.0"];
pub const LINEAR: [&str; 8] =
    [".to_q", ".to_k", ".to_v", ".to_out.0", ".ff.net.0.proj", ".ff.net.2", ".proj_in", ".proj_out"];
pub const CONVOLUTIONS: [&str; 5] =
    [".conv1", ".conv2", ".downsamplers.0.conv", ".upsamplers.0.conv", "unet.conv_out"];
pub const TEXT: [&str; 8] =
    ["attn2.to_k", "attn2.to_q", ".q_proj", ".k_proj", ".v_proj", ".out_proj", ".fc1", ".fc2"];

pub struct Tiny {
    pub config: ModelConfig,
    pub weights: Weights,
    /// The same on a device, where there is one to be tested.
    pub on_device: Option<(Context, gpu::Weights)>,
    pub tokens: Vec<u32>,
}

impl Tiny {
    /// Latents at the time of the goldens, under its own text.
    pub fn noised<'a>(&'a self, sample: &'a [f32], target: &'a [f32]) -> Noised<'a> {
        Noised { size: SIZE, sample, timestep: 261.0, text: Text::Tokens(&self.tokens), target, mask: None }
    }

    pub fn open(name: &str) -> Tiny {
        Tiny::with(name, device(false))
    }

    /// In f16 on a device, where there is one that has it.
    pub fn in_half(name: &str) -> Option<Tiny> {
        let context = device(true)?;
        if !context.capabilities().f16 {
            left_out::partly("f16: nothing learns in half precision on this adapter");
            return None;
        }
        Some(Tiny::with(name, Some(context)))
    }

    fn with(name: &str, device: Option<Context>) -> Tiny {
        let source = ModelSource::open(&model_folder(name)).expect("a model");
        let decls = model::weight_decls(source.config());
        let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
        let case = cases::<TextCase>("text").into_iter().find(|case| case.model == name).expect("a case");
        let tokens = Golden::open(&case.file).tokens("tokens").swap_remove(2);
        let on_device = device.map(|context| {
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
    pub fn everywhere(&self) -> Vec<(&'static str, Resident<'_>)> {
        let device =
            self.on_device.as_ref().map(|(context, weights)| ("device", Resident::Gpu(context, weights)));
        [("processor", Resident::Cpu(&self.weights))].into_iter().chain(device).collect()
    }

    /// The script's first matrices.
    pub fn matrices(&self, learner: &Learner) -> Vec<Vec<f32>> {
        let pair = |adapter: &Adapter| {
            let matrix = |kind: &str| {
                weight(&format!("{}.{kind}", layer(adapter)), &shape(adapter, kind == "lora_down"))
            };
            ["lora_down", "lora_up"].map(matrix)
        };
        learner.learnt().adapters.iter().flat_map(pair).collect()
    }

    /// Some layers, and the text encoder run each time.
    pub fn asked<'a>(&self, layers: &'a dyn Fn(&str) -> bool) -> Asked<'a> {
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
    pub fn learner(&self, on: Resident<'_>, ends: &[&str]) -> Learner {
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = self.asked(&layers);
        let mut learner = block_on(Learner::new(&self.config, on, &asked)).expect("a learner");
        let matrices = self.matrices(&learner);
        learner.set(State::Values, &matrices).expect("matrices");
        learner
    }
}

/// A device in f32, or in `half` precision where it has that, one of each for all tests. Without an adapter the test fails, unless `OPENGEN_SKIP_GPU=1` chose to leave it out.
pub fn device(half: bool) -> Option<Context> {
    static DEVICES: [OnceLock<Context>; 2] = [const { OnceLock::new() }; 2];
    if left_out::by_choice() {
        left_out::partly("OPENGEN_SKIP_GPU=1: nothing learns on a device");
        return None;
    }
    let options = gpu::Options { f16: (!half).then_some(false), ..Default::default() };
    let device = DEVICES[usize::from(half)].get_or_init(|| {
        block_on(Context::new(&options)).unwrap_or_else(|error| {
            panic!(
                "{error}. Install an adapter (Debian: mesa-vulkan-drivers has lavapipe), or set OPENGEN_SKIP_GPU=1 to leave \
                 learning on a device out knowingly"
            )
        })
    });
    Some(device.clone())
}

pub fn layer(adapter: &Adapter) -> &str {
    adapter.part.name.trim_end_matches(".weight")
}

/// As PEFT has it.
pub fn shape(adapter: &Adapter, down: bool) -> Vec<usize> {
    let taps = adapter.side * adapter.side;
    let linear = adapter.part.shape.len() == 2;
    match (down, linear) {
        (true, true) => vec![RANK, adapter.columns],
        (true, false) => vec![RANK, adapter.columns / taps, adapter.side, adapter.side],
        (false, true) => vec![adapter.outputs(), RANK],
        (false, false) => vec![adapter.outputs(), RANK, 1, 1],
    }
}

pub fn unit(name: &str) -> Vec<f32> {
    weight(name, &[1, 4, 16, 16]).into_iter().map(|value| 16.0 * value).collect()
}

/// Adds a picture's gradients, and gives its loss.
pub fn learn_from(learner: &mut Learner, noised: Noised, share: f64) -> f64 {
    block_on(learner.learn(&[(noised, share)], &|| false)).expect("a gradient")[0]
}

/// Every layer that the script has, and no other.
pub fn compare(report: &mut Report, what: &str, golden: &Golden, learner: &Learner, state: State) {
    let theirs = golden.names().filter(|name| name.ends_with(".down")).count();
    let adapters = &learner.learnt().adapters;
    assert_eq!(theirs, adapters.len(), "{what}: layers");
    let tensors = block_on(learner.tensors(state)).expect("tensors");
    for (name, values) in names(learner).iter().zip(&tensors) {
        report.compare(&format!("{what} {name}"), values, &golden.values(name));
    }
}

/// What the references call the learner's tensors.
pub fn names(learner: &Learner) -> Vec<String> {
    let pair = |adapter: &Adapter| ["down", "up"].map(|which| format!("{}.{which}", layer(adapter)));
    learner.learnt().adapters.iter().flat_map(pair).collect()
}
