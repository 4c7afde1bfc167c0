//! How prompts are read, on the processor: several in one picture, and such as change on the way.

mod common;

use common::prompts::{assert_same_throughout, compare_prompts, prompt_cases};
use common::report::Report;
use common::{F32, model_folder};
use opengen::model;
use opengen::pipeline::Pipeline;
use opengen::weights::{self, LayoutOptions, ModelSource};

fn pipeline(model: &str) -> Pipeline {
    let source = ModelSource::open(&model_folder(model)).expect("a model");
    let decls = model::weight_decls(source.config());
    let (manifest, slabs) = weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    Pipeline::on_cpu(manifest, slabs).expect("pipeline")
}

#[test]
fn runs_of_several_and_of_changing_prompts() {
    let mut report = Report::new(F32);
    let mut pipeline = pipeline("sd1");
    for case in prompt_cases() {
        compare_prompts(&mut report, "processor", &mut pipeline, &case);
    }
    report.finish();
}

#[test]
fn what_stays_the_same_is_the_plain_prompt() {
    assert_same_throughout(&mut pipeline("sd1"));
}
