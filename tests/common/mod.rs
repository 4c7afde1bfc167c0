//! What the golden tests share: reading references, holding values and runs to them, models made of others.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod controls;
pub mod families;
pub mod pictures;
pub mod prompts;
pub mod report;
pub mod single;
pub mod twice;
pub mod upscalers;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use opengen::Result;
use opengen::config::{self, PredictionType, SchedulerConfig, TaesdConfig};
use opengen::image::Rgba;
use opengen::model;
use opengen::pipeline::study::StepTrace;
use opengen::pipeline::{Dump, Event, Request, Tiling};
use opengen::prompt::{Dialect, Emphasis};
use opengen::sample::{self, Linear2, NoiseSource, SamplerOptions, Shares, Step, Whole};
use opengen::weights::{self, Header, Manifest, Packer, Parse, Source, TensorInfo};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use report::Report;

/// Tolerance of the f32 tier, of the CPU path and of candle.
pub const F32: f64 = 1e-3;
/// Tolerance of the f16 tier.
pub const F16: f64 = 1e-2;
/// The format of `manifest.json` these tests read.
const FORMAT: u32 = 1;

/// The folder of the references.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A tiny model's folder.
pub fn model_folder(name: &str) -> PathBuf {
    folder().join("models").join(name)
}

/// One kind of case in `manifest.json` (`text`, `unet`, `seams`, `attention`, `vae`, `denoise`).
pub fn cases<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let text = std::fs::read_to_string(folder().join("manifest.json")).expect("tests/golden/manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("manifest.json");
    assert_eq!(manifest["format"], FORMAT, "remake the references: tests/golden/README.md");
    serde_json::from_value(manifest[kind].take()).unwrap_or_else(|error| panic!("{kind} cases: {error}"))
}

#[derive(Debug, Deserialize)]
pub struct TextCase {
    pub file: String,
    pub model: String,
    pub prompts: Vec<String>,
    /// How many of the prompts have embeddings too.
    pub embedded: usize,
}

#[derive(Debug, Deserialize)]
pub struct UnetCase {
    pub file: String,
    pub model: String,
    pub cases: Vec<UnetCall>,
}

#[derive(Debug, Deserialize)]
pub struct UnetCall {
    pub height: usize,
    pub width: usize,
    pub timestep: f64,
}

#[derive(Debug, Deserialize)]
pub struct SeamCase {
    pub file: String,
    pub model: String,
    pub timestep: f64,
}

#[derive(Debug, Deserialize)]
pub struct AttentionCase {
    pub file: String,
    pub model: String,
    pub timestep: f64,
    /// Paths inside the UNet.
    pub layers: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct VaeCase {
    pub file: String,
    pub model: String,
    pub scale: usize,
    pub cases: Vec<VaeCall>,
}

#[derive(Debug, Deserialize)]
pub struct VaeCall {
    pub height: usize,
    pub width: usize,
    pub batch: usize,
}

#[derive(Debug, Deserialize)]
pub struct DenoiseCase {
    pub file: String,
    pub case: String,
    pub model: String,
    pub sampler: String,
    pub schedule: String,
    pub prompt: String,
    pub negative_prompt: String,
    pub steps: usize,
    pub guidance: f64,
    #[serde(default)]
    pub guidance_rescale: f64,
    pub seed: u64,
    pub width: usize,
    pub height: usize,
    /// Keys that replace those of the model's `scheduler_config.json`.
    pub scheduler: serde_json::Map<String, serde_json::Value>,
    pub timesteps: Vec<f64>,
}

impl DenoiseCase {
    /// Whether both prompts run: diffusers guides above 1 only, and never what follows the scale by itself.
    pub fn guided(&self) -> bool {
        self.guidance > 1.0 && self.sampler != "lcm"
    }
}

/// A reference file in memory.
pub struct Golden {
    file: String,
    tensors: HashMap<String, Tensor>,
}

impl Golden {
    pub fn open(file: &str) -> Golden {
        let path = folder().join(file);
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Golden { file: file.to_string(), tensors }
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.file))
    }

    /// The values, row-major.
    pub fn values(&self, name: &str) -> Vec<f32> {
        values(self.tensor(name))
    }

    /// The shape, which has four dimensions.
    pub fn shape(&self, name: &str) -> [usize; 4] {
        let dims = self.tensor(name).dims();
        dims.try_into().unwrap_or_else(|_| panic!("{}: {name} has shape {dims:?}", self.file))
    }

    /// Token ids, one row per prompt.
    pub fn tokens(&self, name: &str) -> Vec<Vec<u32>> {
        let rows = self.tensor(name).to_vec2::<f32>().expect("tokens [B, T]");
        rows.into_iter().map(|row| row.into_iter().map(|id| id as u32).collect()).collect()
    }
}

/// A tensor's values, row-major, as f32.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all());
    tensor.and_then(|t| t.to_vec1::<f32>()).expect("a float tensor")
}

/// The tensors of a diffusers folder in f32 under their canonical names.
pub fn folder_tensors(model: &Path) -> HashMap<String, Tensor> {
    let parts = [
        ("text_encoder", "model.safetensors"),
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("vae", "diffusion_pytorch_model.safetensors"),
    ];
    let mut all = HashMap::new();
    for (part, file) in parts {
        let path = model.join(part).join(file);
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (name, tensor) in tensors {
            let bare = part == "text_encoder" && !name.starts_with("text_model.");
            let prefix = if bare { "text_encoder.text_model" } else { part };
            all.insert(format!("{prefix}.{name}"), tensor.to_dtype(DType::F32).expect("a float tensor"));
        }
    }
    all
}

/// Progress tells of every step once, in order, however many evaluations it has.
pub fn assert_steps_told(events: &[Event], steps: usize) {
    let told = |event: &Event| match event {
        Event::Step { step, steps, .. } => Some((*step, *steps)),
        Event::Stage(_) => None,
    };
    let told: Vec<_> = events.iter().filter_map(told).collect();
    assert_eq!(told, (1..=steps).map(|step| (step, steps)).collect::<Vec<_>>());
}

/// A step that can be taken by itself, as one sum of its latents, the model's answers and its fresh noise, of which the
/// reference has none here.
pub fn assert_whole_step(report: &mut Report, what: &str, step: &Step, golden: &Golden, i: usize) {
    let Whole { x, models, noises } = step.whole();
    if noises.iter().any(|noise| *noise != 0.0) {
        return;
    }
    let mut sum: Vec<f64> =
        golden.values(&format!("latents.{i}")).iter().map(|v| x * f64::from(*v)).collect();
    for (nth, share) in models.iter().enumerate() {
        let name = if nth == 0 { format!("noise_pred.{i}") } else { format!("noise_pred.{i}.{nth}") };
        sum.iter_mut().zip(golden.values(&name)).for_each(|(sum, m)| *sum += share * f64::from(m));
    }
    let sum: Vec<f32> = sum.into_iter().map(|value| value as f32).collect();
    report.compare(&format!("{what} whole"), &sum, &golden.values(&format!("latents.{}", i + 1)));
}

/// What the model answered in a step, put together again of the picture and the noise it sees there; the page does the
/// same in `www/learn/asked.js`.
pub fn answer(trace: &StepTrace, prediction: PredictionType) -> Vec<f32> {
    let Shares { signal, noise } = trace.shares;
    match prediction {
        PredictionType::Epsilon => trace.noise.clone(),
        PredictionType::VPrediction => {
            trace.noise.iter().zip(&trace.clean).map(|(z, x)| signal * z - noise * x).collect()
        }
        PredictionType::Sample => trace.clean.clone(),
    }
}

/// The model's `scheduler_config.json`, changed as the case says.
pub fn scheduler_of(case: &DenoiseCase) -> SchedulerConfig {
    let path = model_folder(&case.model).join("scheduler/scheduler_config.json");
    let text = std::fs::read_to_string(&path).expect("scheduler_config.json");
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("an object");
    fields.extend(case.scheduler.clone());
    serde_json::from_value(fields.into()).expect("scheduler configuration")
}

/// The request of a run.
pub fn request(case: &DenoiseCase) -> Request {
    Request {
        prompt: case.prompt.clone(),
        negative_prompt: case.negative_prompt.clone(),
        // Of diffusers are these Karras levels; its words are what A1111 reads too.
        dialect: if case.schedule == "karras" { Dialect::Diffusers } else { Dialect::default() },
        emphasis: Emphasis::default(),
        clip_skip: 1,
        templates: [None, None],
        embeddings: Vec::new(),
        steps: case.steps,
        guidance: case.guidance,
        guidance_rescale: Some(case.guidance_rescale),
        seed: case.seed,
        variation: None,
        rng: NoiseSource::Torch,
        sampler: case.sampler.parse().expect("sampler"),
        schedule: case.schedule.parse().expect("schedule"),
        sampling: SamplerOptions::default(),
        width: case.width,
        height: case.height,
        batch: 1,
        tiling: Tiling::default(),
        windows: None,
        noise: None,
        latents: None,
        picture: None,
        regions: Vec::new(),
        controls: Vec::new(),
        hires: None,
        hires_network: None,
        preview_every: 0,
        walk: None,
    }
}

/// Whole runs with dynamic thresholding.
pub fn thresholded() -> Vec<(DenoiseCase, SamplerOptions)> {
    #[derive(Deserialize)]
    struct Thresholded {
        #[serde(flatten)]
        case: DenoiseCase,
        ratio: f64,
        most: f64,
    }
    let path = folder().join("samplers/thresholding.json");
    let text = std::fs::read_to_string(&path).expect("tests/golden/samplers/thresholding.json");
    let runs: serde_json::Value = serde_json::from_str(&text).expect("thresholding.json");
    let cases: Vec<Thresholded> = serde_json::from_value(runs["runs"].clone()).expect("cases");
    assert_eq!(cases.len(), 24);
    let with = |Thresholded { case, ratio, most }| {
        let (dynamic_thresholding_ratio, sample_max_value) = (Some(ratio), Some(most));
        (case, SamplerOptions { dynamic_thresholding_ratio, sample_max_value, ..SamplerOptions::default() })
    };
    cases.into_iter().map(with).collect()
}

/// The embedded model's file.
pub fn mini() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/mini/mini-q8_0.gguf")
}

/// A quick run of the embedded model with previews.
pub fn mini_request() -> Request {
    Request {
        prompt: "a red apple on a light blue background".to_string(),
        negative_prompt: String::new(),
        steps: 4,
        guidance: 1.0,
        width: 128,
        height: 128,
        preview_every: 1,
        ..request(&cases::<DenoiseCase>("denoise")[0])
    }
}

/// The last preview is like the picture made as small; the embedded model's linear map reaches some 18 dB at the median.
pub fn assert_previews_show(previews: &[Rgba], picture: &Rgba) {
    let last = previews.last().expect("previews");
    let (scale, cells) = (picture.width / last.width, last.width * last.height);
    assert_eq!((previews.len(), last.width, last.height), (4, 16, 16));
    let mut squared = 0.0;
    for (cell, colour) in last.pixels.chunks_exact(4).enumerate() {
        let (left, top) = (cell % last.width * scale, cell / last.width * scale);
        for (channel, level) in colour[..3].iter().enumerate() {
            let at = |i: usize| {
                picture.pixels[((top + i / scale) * picture.width + left + i % scale) * 4 + channel]
            };
            let mean = (0..scale * scale).map(|i| f64::from(at(i))).sum::<f64>() / (scale * scale) as f64;
            squared += ((mean - f64::from(*level)) / 255.0).powi(2);
        }
    }
    let psnr = -10.0 * (squared / (3 * cells) as f64).log10();
    assert!(psnr > 15.0, "the last preview stands {psnr:.1} dB from the picture");
}

/// Each step's preview is what `decode` makes of its estimate of the clean latents, as large as the picture.
pub fn assert_previews_decode(
    request: &Request,
    case: &DenoiseCase,
    previews: &[Rgba],
    dump: &Dump,
    decode: impl Fn(&[f32], [usize; 4]) -> Vec<f32>,
) {
    let run = sample::trajectory(&scheduler_of(case), request.sampler, request.schedule, request.steps);
    let steps = run.expect("trajectory").steps;
    assert_eq!(previews.len(), steps.len());
    for (i, (step, preview)) in steps.iter().zip(previews).enumerate() {
        let (shape, latents) = &dump.0[&format!("latents.{i}")];
        let prediction = &dump.0[&format!("noise_pred.{i}")].1;
        let Linear2 { x, model } = step.first().denoised;
        let (x, model) = (x as f32, model as f32);
        let clean: Vec<f32> = latents.iter().zip(prediction).map(|(l, p)| x * l + model * p).collect();
        let picture = decode(&clean, [shape[0], shape[1], shape[2], shape[3]]);
        let pixels = preview.width * preview.height;
        assert_eq!(picture.len(), 3 * pixels, "step {i}");
        for (at, pixel) in preview.pixels.chunks_exact(4).enumerate() {
            for (c, level) in pixel[..3].iter().enumerate() {
                let wanted = (picture[c * pixels + at].clamp(-1.0, 1.0) + 1.0) * 127.5;
                assert!((wanted - f32::from(*level)).abs() < 1.5, "step {i}, pixel {at}: {wanted}, {level}");
            }
        }
    }
}

/// The slabs of a model whose tensors `data` gives by their place in the header.
fn pack(manifest: &Manifest, header: &Header, data: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut slabs: Vec<Vec<u8>> = manifest.slabs.iter().map(|&len| vec![0; len as usize]).collect();
    let mut packer = Packer::new(manifest, header);
    for (index, info) in header.tensors.iter().enumerate().filter(|(_, info)| packer_wants(manifest, info)) {
        for piece in packer.push(&info.name, data(index)).expect("packed") {
            slabs[piece.slab][piece.offset as usize..][..piece.bytes.len()].copy_from_slice(&piece.bytes);
        }
    }
    packer.finish().expect("all packed");
    slabs
}

/// Whether some record is made of a tensor.
fn packer_wants(manifest: &Manifest, info: &TensorInfo) -> bool {
    manifest.records.iter().flat_map(|record| &record.decl.parts).any(|part| part.name == info.name)
}

/// Holds everything a run dumped against the reference; `more`, by name, is what a run in f16 may be off beyond the
/// tolerance of its tier.
pub fn compare_run(
    report: &mut Report,
    what: &str,
    case: &DenoiseCase,
    dump: &Dump,
    golden: &Golden,
    more: Option<&BTreeMap<String, f64>>,
) {
    let got = |name: &str| {
        let found = dump.0.get(name).unwrap_or_else(|| panic!("{what}: nothing dumped as {name}"));
        found.1.as_slice()
    };
    let mut names = vec!["tokens".to_string(), "text_embeddings".to_string(), "latents.0".to_string()];
    for i in 0..case.steps {
        names.extend([format!("noise_pred.{i}"), format!("latents.{}", i + 1)]);
        names.extend([format!("noise_pred.{i}.1"), format!("latents.{i}.1")]); // where a step asks twice
    }
    names.push("image".to_string());
    // What guidance makes of the rows' own errors in f16 is their goldens' affair.
    names.retain(|name| golden.has(name) && (more.is_none() || !name.starts_with("noise_pred")));
    for name in &names {
        let mut values = got(name).to_vec();
        if name == "image" {
            // diffusers' pipeline clamps what its decoder gives.
            values.iter_mut().for_each(|value| *value = value.clamp(-1.0, 1.0));
        }
        let more = more.and_then(|all| all.get(name)).copied().unwrap_or(0.0);
        report.compare_with(&format!("{what} {name}"), &values, &golden.values(name), more);
    }
}

/// A text encoder on candle's tensors against the references of `model`.
pub fn compare_text(report: &mut Report, model: &str, embed: impl Fn(&[Vec<u32>]) -> Result<Tensor>) {
    for case in cases::<TextCase>("text").iter().filter(|case| case.model == model) {
        let golden = Golden::open(&case.file);
        for (i, ids) in golden.tokens("tokens").iter().enumerate().take(case.embedded) {
            let got = embed(std::slice::from_ref(ids)).expect("embeddings");
            let name = format!("text_embeddings.{i}");
            report.compare(&format!("{model} {name}"), &values(&got), &golden.values(&name));
        }
    }
}

/// A UNet on candle's tensors, of latents, timestep and embeddings, against the references of `model`.
pub fn compare_unet(
    report: &mut Report,
    model: &str,
    unet: impl Fn(&Tensor, f64, &Tensor) -> Result<Tensor>,
) {
    for case in cases::<UnetCase>("unet").iter().filter(|case| case.model == model) {
        let golden = Golden::open(&case.file);
        for (i, call) in case.cases.iter().enumerate() {
            let latents = golden.tensor(&format!("latents.{i}"));
            let got = unet(latents, call.timestep, golden.tensor("embeddings")).expect("UNet");
            let what = format!("{model} unet {}x{} t {}", call.height, call.width, call.timestep);
            report.compare(&what, &values(&got), &golden.values(&format!("output.{i}")));
        }
    }
}

/// An autoencoder on candle's tensors against the references of `model`.
pub fn compare_vae(
    report: &mut Report,
    model: &str,
    decode: impl Fn(&Tensor) -> Result<Tensor>,
    encode: impl Fn(&Tensor) -> Result<Tensor>,
) {
    for case in cases::<VaeCase>("vae").iter().filter(|case| case.model == model) {
        let golden = Golden::open(&case.file);
        for (i, call) in case.cases.iter().enumerate() {
            let size = format!("{model} {}x{} batch {}", call.height, call.width, call.batch);
            let decoded = decode(golden.tensor(&format!("latents.{i}"))).expect("decode");
            let expected = golden.values(&format!("decoded.{i}"));
            report.compare(&format!("vae decode {size}"), &values(&decoded), &expected);
            let encoded = encode(golden.tensor(&format!("image.{i}"))).expect("encode");
            let expected = golden.values(&format!("encoded.{i}"));
            report.compare(&format!("vae encode {size}"), &values(&encoded), &expected);
        }
    }
}

/// The tiny autoencoder: its configuration, and its one file packed.
pub fn packed_taesd() -> (TaesdConfig, Manifest, Vec<Vec<u8>>) {
    let folder = model_folder("taesd");
    let text = std::fs::read_to_string(folder.join("config.json")).expect("config.json");
    let taesd = TaesdConfig::from_json("config.json", &text).expect("configuration");
    let bytes = std::fs::read(folder.join("diffusion_pytorch_model.safetensors")).expect("weights");
    let Ok(Parse::Done(mut header)) = Header::parse("taesd", &bytes, bytes.len() as u64) else {
        panic!("taesd: no whole header")
    };
    header.tensors.iter_mut().for_each(|info| weights::canonical("taesd", info));
    let source = Source { file: "taesd".to_string(), bytes: bytes.len() as u64, sha256: None };
    // A manifest wants a whole model's configuration; nothing here reads it.
    let any = config::from_folder(&model_folder("sd1")).expect("configuration");
    let manifest = weights::layout("taesd", &any, "", &model::taesd_weight_decls(&taesd), &header, source)
        .expect("layout");
    let data = |index: usize| {
        let info = &header.tensors[index];
        bytes[info.offset as usize..][..info.len as usize].to_vec()
    };
    let slabs = pack(&manifest, &header, data);
    (taesd, manifest, slabs)
}
