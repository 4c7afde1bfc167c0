//! How prompts are read: several in one picture, such as change on the way, dialects, embeddings.

use std::sync::Arc;

use opengen::image::Rgba;
use opengen::pipeline::{Cancel, Dump, Pipeline, Place, Region, Request, Tiling, Windows};
use opengen::prompt::{Dialect, Embedding, Tokenizer};
use opengen::weights::ModelSource;
use pollster::block_on;
use serde::Deserialize;

use super::report::Report;
use super::{Golden, folder, folder_tensors, mini_request, model_folder};

/// A run of `tests/golden/make_prompts.py`.
#[derive(Debug, Deserialize)]
pub struct PromptCase {
    pub name: String,
    prompt: String,
    negative_prompt: String,
    sampler: String,
    steps: usize,
    guidance: f64,
    seed: u64,
    width: usize,
    height: usize,
}

/// All of them.
pub fn prompt_cases() -> Vec<PromptCase> {
    let text = std::fs::read_to_string(folder().join("prompts/runs.json")).expect("prompts/runs.json");
    serde_json::from_str(&text).expect("what the script writes")
}

impl PromptCase {
    pub fn request(&self) -> Request {
        Request {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            steps: self.steps,
            guidance: self.guidance,
            guidance_rescale: Some(0.0),
            seed: self.seed,
            sampler: self.sampler.parse().expect("sampler"),
            width: self.width,
            height: self.height,
            preview_every: 0,
            ..mini_request()
        }
    }
}

/// A run of `tests/golden/make_regions.py`.
#[derive(Debug, Deserialize)]
pub struct RegionCase {
    #[serde(flatten)]
    pub run: PromptCase,
    regions: Vec<GoldenRegion>,
}

#[derive(Debug, Deserialize)]
struct GoldenRegion {
    part: usize,
    rect: Option<[f64; 4]>,
    mask: Option<GoldenMask>,
    weight: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct GoldenMask {
    width: usize,
    height: usize,
    grey: Vec<u8>,
}

impl RegionCase {
    pub fn request(&self) -> Request {
        let place = |region: &GoldenRegion| match (&region.rect, &region.mask) {
            (Some(rect), _) => Place::Rect(*rect),
            (None, Some(GoldenMask { width, height, grey })) => {
                let pixels = grey.iter().flat_map(|grey| [*grey, *grey, *grey, 255]).collect();
                Place::Mask(Rgba::new(*width, *height, pixels).expect("a mask").into())
            }
            (None, None) => panic!("a region without a place"),
        };
        let region =
            |region: &GoldenRegion| Region { part: region.part, place: place(region), weight: region.weight };
        Request { regions: self.regions.iter().map(region).collect(), ..self.run.request() }
    }
}

/// All of them.
pub fn region_cases() -> Vec<RegionCase> {
    let text = std::fs::read_to_string(folder().join("prompts/regions.json")).expect("prompts/regions.json");
    serde_json::from_str(&text).expect("what the script writes")
}

/// Holds prompts with regions to ComfyUI's rule over diffusers' UNet: what each counts in every cell, and what is drawn.
pub fn compare_regions(report: &mut Report, what: &str, pipeline: &mut Pipeline) {
    let golden = Golden::open("prompts/regions.safetensors");
    for case in region_cases() {
        let (name, request) = (&case.run.name, case.request());
        let (mut dump, mut ignore, cancel) = (Dump::default(), |_| (), Cancel::default());
        block_on(pipeline.generate_with(&request, &mut ignore, &cancel, Some(&mut dump))).expect("a picture");
        for (kept, there) in [("shares", "shares"), (&format!("latents.{}", request.steps), "latents")] {
            report.compare(
                &format!("{what} {name} {there}"),
                &dump.0[kept].1,
                &golden.values(&format!("{name}.{there}")),
            );
        }
    }
}

/// Holds runs in windows to diffusers' panorama pipeline, one of them with a sampler that remembers, one with borders that meet.
pub fn compare_tiles(report: &mut Report, what: &str, pipeline: &mut Pipeline) {
    #[derive(Deserialize)]
    struct TileCase {
        #[serde(flatten)]
        run: PromptCase,
        size: usize,
        overlap: usize,
        circular: bool,
    }
    let text = std::fs::read_to_string(folder().join("prompts/tiles.json")).expect("prompts/tiles.json");
    let cases: Vec<TileCase> = serde_json::from_str(&text).expect("what the script writes");
    let golden = Golden::open("prompts/tiles.safetensors");
    for TileCase { run, size, overlap, circular } in cases {
        let tiling = if circular { Tiling::X } else { Tiling::None };
        let request = Request { windows: Some(Windows { size, overlap }), tiling, ..run.request() };
        let latents = last_latents(pipeline, &request);
        let there = golden.values(&format!("{}.latents", run.name));
        report.compare(&format!("{what} tiles {}", run.name), &latents, &there);
        let whole = last_latents(pipeline, &Request { windows: None, ..request.clone() });
        assert!(whole != latents, "{}", run.name);
        let one = Windows { size: 96, overlap: 0 };
        let once = last_latents(pipeline, &Request { windows: Some(one), ..request });
        assert!(once == whole, "one window is the whole picture: {}", run.name);
    }
}

/// Pictures of a batch have the regions of one alone; without any the prompt is another picture, and what ran before is forgotten.
pub fn assert_regions_are_each_pictures(pipeline: &mut Pipeline) {
    let request = region_cases()[1].request();
    let alone = last_latents(pipeline, &request);
    let both = last_latents(pipeline, &Request { batch: 2, ..request.clone() });
    let off = alone.iter().zip(&both).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-4, "{off}");
    assert!(last_latents(pipeline, &Request { regions: Vec::new(), ..request.clone() }) != alone);
    assert!(last_latents(pipeline, &request) == alone);
}

/// The latents that a request's run ends with.
pub fn last_latents(pipeline: &mut Pipeline, request: &Request) -> Vec<f32> {
    let (mut dump, mut ignore, cancel) = (Dump::default(), |_| (), Cancel::default());
    let run = pipeline.generate_with(request, &mut ignore, &cancel, Some(&mut dump));
    block_on(run).expect("a picture");
    dump.0[&format!("latents.{}", request.steps)].1.clone()
}

/// Holds a run of the tiny model sd1 to what diffusers draws.
pub fn compare_prompts(report: &mut Report, what: &str, pipeline: &mut Pipeline, case: &PromptCase) {
    let golden = Golden::open("prompts/runs.safetensors");
    let latents = last_latents(pipeline, &case.request());
    report.compare(
        &format!("{what} {}", case.name),
        &latents,
        &golden.values(&format!("{}.latents", case.name)),
    );
}

/// What is the same throughout is the plain prompt, to the bit, however it is written.
pub fn assert_same_throughout(pipeline: &mut Pipeline) {
    let drawn = |pipeline: &mut Pipeline, prompt: &str, negative: &str| {
        let (prompt, negative_prompt) = (prompt.to_string(), negative.to_string());
        let case = &prompt_cases()[2];
        last_latents(pipeline, &Request { prompt, negative_prompt, steps: 3, ..case.request() })
    };
    let plain = drawn(pipeline, "a red apple", "yellow");
    for (prompt, negative) in [
        ("a [red:red:2] apple", "yellow"),
        ("a [red:green:99] apple", "yellow"),
        // Other texts of the same words take turns.
        ("a [red:red :1] apple", "yellow"),
        ("a [red| red|red ] apple", "[yellow| yellow]"),
    ] {
        assert!(drawn(pipeline, prompt, negative) == plain, "{prompt:?}");
    }
    assert!(drawn(pipeline, "a [red:green:1] apple", "yellow") != plain);
    // What ran before is forgotten.
    assert!(drawn(pipeline, "a red apple", "yellow") == plain);
}

/// An embedding of the tiny model sd1.
pub fn embedding(name: &str, token: Option<&str>, vectors: Vec<f32>) -> Arc<Embedding> {
    let (name, token) = (name.to_string(), token.map(str::to_string));
    Arc::new(Embedding { name, token, vectors, width: 32, hash: "0123456789ab".to_string() })
}

/// What the text encoder makes of a prompt, weights and all, `[tokens, 32]`.
pub fn text_states(pipeline: &mut Pipeline, request: Request) -> Vec<f32> {
    guided_states(pipeline, Request { guidance: 1.0, ..request })
}

/// The same as guided as it is asked for: those without the prompt first.
fn guided_states(pipeline: &mut Pipeline, request: Request) -> Vec<f32> {
    let request = Request { steps: 1, width: 32, height: 32, preview_every: 0, ..request };
    let (mut dump, mut ignore, cancel) = (Dump::default(), |_| (), Cancel::default());
    let run = pipeline.generate_with(&request, &mut ignore, &cancel, Some(&mut dump));
    block_on(run).expect("a picture");
    dump.0["text_embeddings"].1.clone()
}

/// Holds what is made of prompts in each dialect, with embeddings, to transformers, diffusers and ComfyUI.
pub fn compare_texts(report: &mut Report, what: &str, pipeline: &mut Pipeline) {
    #[derive(Deserialize)]
    struct Texts {
        token: String,
        a1111: Vec<String>,
        diffusers: Vec<String>,
    }
    let read = |file: &str| std::fs::read_to_string(folder().join("prompts").join(file)).expect("prompts");
    let texts: Texts = serde_json::from_str(&read("texts.json")).expect("what the script writes");
    let golden = Golden::open("prompts/texts.safetensors");
    let own = embedding("style", Some(&texts.token), golden.values("vectors"));
    let prompts: Vec<String> = serde_json::from_str(&read("comfyui.json")).expect("what the script writes");
    let of_comfyui = Golden::open("prompts/comfyui.safetensors");
    let style = embedding("style", None, of_comfyui.values("style"));
    for (dialect, prompts, golden, embedding) in [
        (Dialect::A1111, texts.a1111, &golden, &own),
        (Dialect::Diffusers, texts.diffusers, &golden, &own),
        (Dialect::ComfyUi, prompts, &of_comfyui, &style),
    ] {
        let names: &[(usize, &str)] = match dialect {
            Dialect::A1111 => &[(1, "a1111"), (2, "a1111.skip")],
            Dialect::Diffusers => &[(1, "diffusers")],
            Dialect::ComfyUi => &[(1, "states"), (2, "skip")],
            Dialect::Compel => &[], // below
        };
        for (i, prompt) in prompts.into_iter().enumerate() {
            for (clip_skip, name) in names {
                let (prompt, embeddings) = (prompt.clone(), vec![embedding.clone()]);
                let request =
                    Request { prompt, dialect, embeddings, clip_skip: *clip_skip, ..mini_request() };
                let found = text_states(pipeline, request);
                report.compare(&format!("{what} {name} {i}"), &found, &golden.values(&format!("{name}.{i}")));
            }
        }
    }
}

/// What compel makes of prompts: weights, blends, conjunctions, and pairs of which the shorter is filled with empty chunks.
pub fn compare_compel(report: &mut Report, what: &str, pipeline: &mut Pipeline) {
    #[derive(Deserialize)]
    struct Cases {
        texts: Vec<String>,
        pairs: Vec<[String; 2]>,
    }
    let text = std::fs::read_to_string(folder().join("prompts/compel.json")).expect("prompts/compel.json");
    let cases: Cases = serde_json::from_str(&text).expect("what the script writes");
    let golden = Golden::open("prompts/compel.safetensors");
    let asked = |prompt: String| Request { prompt, dialect: Dialect::Compel, ..mini_request() };
    for (i, prompt) in cases.texts.into_iter().enumerate() {
        let found = text_states(pipeline, asked(prompt));
        report.compare(&format!("{what} compel {i}"), &found, &golden.values(&format!("states.{i}")));
    }
    for (i, [prompt, negative_prompt]) in cases.pairs.into_iter().enumerate() {
        let found = guided_states(pipeline, Request { negative_prompt, guidance: 2.0, ..asked(prompt) });
        report.compare(&format!("{what} compel pair {i}"), &found, &golden.values(&format!("pair.{i}")));
    }
}

/// An embedding whose vectors are those of words is these words, to the bit.
pub fn assert_embeddings_are_their_vectors(pipeline: &mut Pipeline) {
    let source = ModelSource::open(&model_folder("sd1")).expect("a model");
    let tokenizer = Tokenizer::from_json(source.tokenizer().as_bytes()).expect("tokenizer");
    let chunk = &tokenizer.encode(Dialect::A1111, "red apple", 77).expect("tokens").chunks[0];
    let ids = &chunk.ids[1..tokenizer.framed_len(chunk) - 1];
    let table = folder_tensors(&model_folder("sd1"));
    let table = super::values(&table["text_encoder.text_model.embeddings.token_embedding.weight"]);
    let vectors = ids.iter().flat_map(|id| table[*id as usize * 32..][..32].iter().copied()).collect();
    let embedding = embedding("fruit", Some("<fruit>"), vectors);
    let mut states = |prompt: &str, dialect| {
        let (prompt, embeddings) = (prompt.to_string(), vec![embedding.clone()]);
        text_states(pipeline, Request { prompt, dialect, embeddings, ..mini_request() })
    };
    for (dialect, own, words) in [
        (Dialect::A1111, "a (fruit:1.2) on blue", "a (red apple:1.2) on blue"),
        (Dialect::A1111, "a small [fruit:fruit:0.3]", "a small red apple"),
        (Dialect::ComfyUi, "a (embedding:fruit:1.2) on blue", "a (red apple:1.2) on blue"),
        (Dialect::ComfyUi, "a embedding:fruit, on blue", "a red apple, on blue"),
        (Dialect::Diffusers, "a <fruit> on blue", "a red apple on blue"),
    ] {
        assert!(states(own, dialect) == states(words, dialect), "{own:?}");
    }
}
