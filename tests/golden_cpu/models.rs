//! The models, ready for single stages and for whole runs.

use std::path::Path;

use opengen::config::ModelConfig;
use opengen::cpu::Weights;
use opengen::pipeline::stages::Stages;
use opengen::pipeline::{Cancel, Dump, Pipeline};
use opengen::weights::{LayoutOptions, Manifest, ModelSource};
use opengen::{model, weights};
use pollster::block_on;

use crate::common::{DenoiseCase, assert_steps_told, model_folder, request, scheduler_of};

/// The tiny models: of Stable Diffusion 1's shape, and of 2's, with GELU and linear projections.
pub const MODELS: [&str; 2] = ["sd1", "sd2"];

/// A model's packed weights.
pub fn packed(path: &Path) -> (Manifest, Vec<Vec<u8>>) {
    let source = ModelSource::open(path).expect("a model");
    let decls = model::weight_decls(source.config());
    weights::load(&source, &decls, LayoutOptions::default()).expect("weights")
}

pub fn pipeline(path: &Path) -> Pipeline {
    let (manifest, slabs) = packed(path);
    Pipeline::on_cpu(manifest, slabs).expect("pipeline")
}

/// A model ready for single stages.
pub struct Model {
    pub config: ModelConfig,
    pub weights: Weights,
}

impl Model {
    pub fn open(name: &str) -> Model {
        let (manifest, slabs) = packed(&model_folder(name));
        Model { weights: Weights::new(&manifest, slabs).expect("weights"), config: manifest.config }
    }

    pub fn stages(&self) -> Stages<'_> {
        Stages::on_cpu(&self.weights)
    }
}

/// What a case's run gives on the way, from packed weights.
pub fn run_of(case: &DenoiseCase, (mut manifest, slabs): (Manifest, Vec<Vec<u8>>)) -> Dump {
    manifest.config.scheduler = scheduler_of(case);
    let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
    let (mut dump, cancel) = (Dump::default(), Cancel::default());
    let (request, mut events) = (request(case), Vec::new());
    let mut listen = |event| events.push(event);
    let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
    let output = block_on(run).expect("a picture");
    assert_steps_told(&events, case.steps);
    assert_eq!((output.images[0].width, output.images[0].height), (case.width, case.height));
    dump
}
