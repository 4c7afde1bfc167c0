//! How prompts are read, on the processor.

mod common;

use common::prompts::{
    assert_embeddings_are_their_vectors, assert_regions_are_each_pictures, assert_same_throughout,
    compare_compel, compare_prompts, compare_regions, compare_texts, compare_tiles, embedding, prompt_cases,
    text_states,
};
use common::report::Report;
use common::{F32, mini_request, model_folder};
use opengen::image::Parameters;
use opengen::model;
use opengen::pipeline::recall::from_parameters;
use opengen::pipeline::{Cancel, Pipeline, Request};
use opengen::prompt::{Dialect, Emphasis, Tokenizer, Wildcards};
use opengen::weights::{self, LayoutOptions, ModelSource};
use pollster::block_on;

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
fn tiles_are_diffusers_panorama() {
    let (mut report, mut pipeline) = (Report::new(F32), pipeline("sd1"));
    compare_tiles(&mut report, "processor", &mut pipeline);
    report.finish();
}

#[test]
fn regions_are_comfyuis() {
    let (mut report, mut pipeline) = (Report::new(F32), pipeline("sd1"));
    compare_regions(&mut report, "processor", &mut pipeline);
    report.finish();
    assert_regions_are_each_pictures(&mut pipeline);
}

#[test]
fn what_stays_the_same_is_the_plain_prompt() {
    assert_same_throughout(&mut pipeline("sd1"));
}

/// Closer than stages have to be: nothing but the text encoder is between.
#[test]
fn texts_are_those_of_every_origin() {
    let mut report = Report::new(1e-4);
    let mut pipeline = pipeline("sd1");
    compare_texts(&mut report, "processor", &mut pipeline);
    compare_compel(&mut report, "processor", &mut pipeline);
    report.finish();
}

#[test]
fn embeddings_are_their_vectors() {
    assert_embeddings_are_their_vectors(&mut pipeline("sd1"));
}

/// Beyond its layers there is nothing to read.
#[test]
fn a_text_encoder_has_so_many_layers() {
    let mut pipeline = pipeline("sd1");
    let mut told = |clip_skip| {
        let request = Request { clip_skip, ..mini_request() };
        block_on(pipeline.generate(&request, &mut |_| (), &Cancel::default())).err().map(|e| e.to_string())
    };
    assert_eq!(told(3), None);
    for (asked, words) in
        [(4, "clip_skip: 4 asked for, this model takes 1 to 3"), (0, "clip_skip: 0 asked for")]
    {
        let error = told(asked).expect("refused");
        assert!(error.starts_with(words), "{error}");
    }
}

/// By hand from the states of the same words without weights.
#[test]
fn emphasis_is_what_is_asked_for() {
    let mut pipeline = pipeline("sd1");
    let mut states = |prompt: &str, emphasis| {
        text_states(&mut pipeline, Request { prompt: prompt.to_string(), emphasis, ..mini_request() })
    };
    let plain = states("a red apple", Emphasis::Original);
    assert!(states("a (red:1.5) apple", Emphasis::Ignore) == plain);
    let times = states("a (red:1.5) apple", Emphasis::NoNorm);
    let source = ModelSource::open(&model_folder("sd1")).expect("a model");
    let tokenizer = Tokenizer::from_json(source.tokenizer().as_bytes()).expect("tokenizer");
    let chunks = tokenizer.encode(Dialect::A1111, "a (red:1.5) apple", 77).expect("tokens").chunks;
    assert!(chunks[0].weights.contains(&1.5));
    for (at, (times, plain)) in times.iter().zip(&plain).enumerate() {
        assert_eq!(*times, plain * chunks[0].weights[at / 32], "value {at}");
    }
    let mean = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
    let (original, scale) = (states("a (red:1.5) apple", Emphasis::Original), mean(&plain) / mean(&times));
    let off = original.iter().zip(&times).map(|(a, b)| (f64::from(*a) - f64::from(*b) * scale).abs());
    assert!(off.fold(0.0, f64::max) < 1e-5);
    assert!(states("a (red:1.5) apple", Emphasis::None) != plain, "brackets are text");
}

/// Names and hashes of what was used, in A1111's words and back; what does not fit is refused, what is not there is said.
#[test]
fn embeddings_are_told() {
    let mut pipeline = pipeline("sd1");
    let mut made = |request: &Request| block_on(pipeline.generate(request, &mut |_| (), &Cancel::default()));
    let request = |prompt: &str| Request {
        prompt: prompt.to_string(),
        embeddings: vec![embedding("a:style", None, vec![0.5; 64]), embedding("other", None, vec![0.5; 32])],
        steps: 1,
        width: 32,
        height: 32,
        ..mini_request()
    };
    let used = request("an a:style apple");
    let output = made(&used).expect("a picture");
    let mut parameters = used.parameters("sd1", &[], 0);
    output.tell(&mut parameters);
    assert_eq!(parameters.get("TI hashes"), Some("astyle: 0123456789ab"));
    let recalled = from_parameters(&Parameters::parse(&parameters.to_string()));
    assert_eq!(recalled.embeddings.len(), 1);
    assert_eq!(
        (recalled.embeddings[0].name.as_str(), recalled.embeddings[0].hash.as_str()),
        ("astyle", "0123456789ab")
    );
    assert!(recalled.notices.join(" ").contains("“astyle”"), "{:?}", recalled.notices);
    assert!(made(&request("an apple")).expect("a picture").embeddings.is_empty());

    let comfyui = Request { dialect: Dialect::ComfyUi, ..request("embedding:nothing, embedding:other") };
    let output = made(&comfyui).expect("a picture");
    assert!(
        output.notices.iter().any(|notice| notice.contains("no embedding “nothing”")),
        "{:?}",
        output.notices
    );
    assert_eq!(output.embeddings.len(), 1);

    let wide = std::sync::Arc::new(opengen::prompt::Embedding {
        width: 768,
        vectors: vec![0.0; 768],
        ..(*embedding("wide", None, Vec::new())).clone()
    });
    let misfit = Request { embeddings: vec![wide], ..request("a wide apple") };
    let said = made(&misfit).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("768 values") && said.contains("made for Stable Diffusion 1"), "{said}");
    assert!(made(&Request { prompt: "an apple".to_string(), ..misfit }).is_ok(), "it is not used");
}

/// What was made of a template is the prompt of the picture and of its settings, which keep the template as A1111 has it.
#[test]
fn templates_are_kept_beside_their_prompts() {
    let mut wildcards = Wildcards::default();
    wildcards.insert("colour", "red");
    let request = Request { prompt: "a {small|small} __colour__ apple".to_string(), ..mini_request() };
    let made = request.expanded(&wildcards).expect("expands");
    assert_eq!(made.prompt, "a small red apple");
    let text = made.parameters("sd1", &[], 0).to_string();
    let parameters = Parameters::parse(&text);
    assert_eq!(parameters.prompt, "a small red apple");
    assert_eq!(parameters.get("Template"), Some("a {small|small} __colour__ apple"));
    assert_eq!(parameters.get("Negative Template"), None);
    assert!(!from_parameters(&parameters).notices.join(" ").contains("Template"));
    let mut pipeline = pipeline("sd1");
    let small = Request { steps: 1, width: 32, height: 32, ..made };
    let output = block_on(pipeline.generate(&small, &mut |_| (), &Cancel::default())).expect("a picture");
    assert!(
        output.notices.iter().any(|notice| notice.contains("became “a small red apple”")),
        "{:?}",
        output.notices
    );
}
