//! `opengen bench --quantization`: what each type of weights costs a model's pictures, and how fast it is made.

use std::path::Path;
use std::time::Instant;

use opengen::error::Result;
use opengen::kernels::WeightType;
use opengen::pipeline::{Cancel, Pipeline, Request};
use opengen::plan::{Types, WeightDecl};
use opengen::weights::{
    KEPT, ModelSource, OpenOptions, Rounding, RowShape, SourceType, encode_rows, quantize_source,
};

use crate::model;

/// One picture each, with its number as the seed.
const PROMPTS: [&str; 12] = [
    "a red apple on a light blue background",
    "a panda next to a red heart on a pink background",
    "a fox in the snow",
    "a tropical fish under water",
    "sticker of a cat on a purple background",
    "neon sign of a cocktail",
    "a soccer ball on grass",
    "pixel art of a red heart on a white background",
    "an apple",
    "an owl in space",
    "a small mushroom at the bottom left on a yellow background",
    "a yellow banana on a green background",
];

/// What is compared: each type as `opengen import` writes it, and quantized ones as plain rounding has them, the autoencoder in
/// F16.
const CASES: [(&str, Types, Rounding); 6] = {
    const fn but_vae(ty: WeightType) -> Types {
        Types { vae: WeightType::F16, kernels: ty, maps: ty }
    }
    use Rounding::{Fitted, Plain};
    [
        ("q8", Types::of(WeightType::Q8), Fitted),
        ("small", Types::of(WeightType::Q5), Fitted),
        ("q4", Types::of(WeightType::Q4), Fitted),
        ("plain Q5_0", but_vae(WeightType::Q5), Plain),
        ("plain Q4_0", but_vae(WeightType::Q4), Plain),
        ("fitted Q4_0", but_vae(WeightType::Q4), Fitted),
    ]
};

/// Runs the command.
pub async fn run(name: &str, known: &OpenOptions) -> Result<()> {
    println!("made on one core, million values a second");
    for (_, short, dtype) in KEPT.into_iter().filter(|(ty, ..)| *ty != WeightType::F32) {
        let rates = [1, 9].map(|taps| rate(dtype, taps));
        println!(
            "      {short:<8} {:<6} {:>7.0} of maps {:>7.0} of 3x3 kernels",
            dtype.name(),
            rates[0],
            rates[1]
        );
    }
    let source = model::open(name, known)?;
    let decls = opengen::model::weight_decls(source.config());
    let reference = pictures(name, &source).await?;
    println!("\n{} pictures of {name} against those of its file   MB   PSNR mean   worst", PROMPTS.len());
    let folder = std::env::temp_dir().join(format!("opengen-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| crate::invalid("model", error.to_string()))?;
    let measured = measure(name, &source, &decls, &reference, &folder.join("model.gguf")).await;
    _ = std::fs::remove_dir_all(&folder);
    measured
}

async fn measure(
    name: &str,
    source: &ModelSource,
    decls: &[WeightDecl],
    reference: &[Vec<u8>],
    file: &Path,
) -> Result<()> {
    for (case, types, rounding) in CASES {
        let written = quantize_source(source, decls, types, rounding, file, &mut |_, _| ())?;
        let got = pictures(name, &ModelSource::open(file)?).await?;
        let psnr: Vec<f64> = reference.iter().zip(&got).map(|(a, b)| psnr(a, b)).collect();
        let mean = psnr.iter().sum::<f64>() / psnr.len() as f64;
        let worst = psnr.iter().copied().fold(f64::INFINITY, f64::min);
        println!("      {case:<38} {:>7.2} {mean:>8.1} {worst:>9.1}", written.bytes as f64 / 1e6);
    }
    Ok(())
}

/// The pictures' pixels, drawn by the processor.
async fn pictures(name: &str, source: &ModelSource) -> Result<Vec<Vec<u8>>> {
    let mut pipeline: Pipeline = model::on_cpu(source)?;
    let config = pipeline.config().clone();
    let mut drawn = Vec::new();
    for (seed, prompt) in (1..).zip(PROMPTS) {
        let request = Request { prompt: prompt.to_string(), seed, ..model::usual(name, &config) };
        let output = pipeline.generate(&request, &mut |_| (), &Cancel::default()).await?;
        drawn.extend(output.images.into_iter().map(|image| image.pixels));
    }
    Ok(drawn)
}

/// Peak signal to noise of two pictures' colours, in dB; 99 where they are the same.
fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let colours = |i: &usize| i % 4 < 3;
    let squares = (0..a.len()).filter(colours).map(|i| f64::from(a[i].abs_diff(b[i])).powi(2));
    let mean = squares.sum::<f64>() / (a.len() / 4 * 3) as f64;
    if mean == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / mean).log10() }
}

/// How many million values a second become this type: the best of many short runs.
fn rate(dtype: SourceType, taps: usize) -> f64 {
    const K: usize = 9 * 320;
    let values: Vec<f32> = (0..8 * K).map(|i| ((i * 7919 % 10007) as f32 / 5003.5 - 1.0).powi(3)).collect();
    let mut out = Vec::new();
    let mut once = || {
        out.clear();
        let begin = Instant::now();
        encode_rows(dtype, &values, RowShape { k: K, taps }, Rounding::Fitted, &mut out);
        begin.elapsed().as_secs_f64()
    };
    values.len() as f64 / (0..300).map(|_| once()).fold(f64::INFINITY, f64::min) / 1e6
}
