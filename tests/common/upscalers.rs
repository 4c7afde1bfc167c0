//! Tiny upscalers, as `tests/golden/make_upscalers.py` lists them: no weights are kept, each value follows from its tensor's name.

use std::collections::BTreeMap;

use opengen::pipeline::Enlarger;
use pollster::block_on;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Deserialize;

use super::report::Report;
use super::single::weight;
use super::{Golden, folder};

/// One of them, and what spandrel says that it is.
#[derive(Debug, Deserialize)]
pub struct Upscaler {
    pub name: String,
    pub architecture: String,
    pub scale: usize,
    pub tags: Vec<String>,
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// All of them.
pub fn upscalers() -> Vec<Upscaler> {
    #[derive(Deserialize)]
    struct Manifest {
        cases: Vec<Upscaler>,
    }
    let text = std::fs::read_to_string(folder().join("upscalers/manifest.json")).expect("the manifest");
    serde_json::from_str::<Manifest>(&text).expect("what make_upscalers.py writes").cases
}

impl Upscaler {
    pub fn of(name: &str) -> Upscaler {
        upscalers().into_iter().find(|upscaler| upscaler.name == name).expect("listed")
    }

    /// Its safetensors file.
    pub fn file(&self) -> Vec<u8> {
        file(&self.shapes)
    }

    /// What spandrel made of a picture: that picture's width and height, its colours `[h, w, 4]`, and those of the result.
    pub fn golden(&self) -> ([usize; 2], Vec<f32>, Vec<f32>) {
        let golden = Golden::open(&format!("upscalers/{}.safetensors", self.name));
        let [_, _, h, w] = golden.shape("picture");
        let of = |name: &str| interleaved(&golden.values(name));
        ([w, h], of("picture"), of("enlarged"))
    }

    /// Holds an enlarger to spandrel.
    pub fn hold(&self, report: &mut Report, tier: &str, enlarger: &Enlarger) {
        let (size, picture, expected) = self.golden();
        let made = block_on(enlarger.numbers(size, &picture)).expect("a larger picture");
        // The fourth value of a pixel is nobody's.
        let colours =
            |values: &[f32]| -> Vec<f32> { values.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect() };
        report.compare(&format!("{tier} {}", self.name), &colours(&made), &colours(&expected));
    }
}

/// A file of tensors in half precision, in which their values are exact: kernels have twice those of their names, slopes four times
/// those of a bias.
pub fn file(shapes: &BTreeMap<String, Vec<usize>>) -> Vec<u8> {
    let values = |name: &str, shape: &[usize]| -> Vec<f32> {
        match (shape.len(), name.ends_with("bias")) {
            (1, true) => weight(name, shape),
            (1, false) => {
                weight(&format!("{name}.bias"), shape).into_iter().map(|value| 4.0 * value).collect()
            }
            _ => weight(name, shape).into_iter().map(|value| 2.0 * value).collect(),
        }
    };
    let bytes = |(name, shape): (&String, &Vec<usize>)| {
        let halves =
            values(name, shape).into_iter().flat_map(|value| half::f16::from_f32(value).to_le_bytes());
        (name.clone(), shape.clone(), halves.collect::<Vec<u8>>())
    };
    let tensors: Vec<_> = shapes.iter().map(bytes).collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F16, shape.clone(), bytes).expect("a tensor"))
    });
    serialize(views, None).expect("a file")
}

/// `[1, 3, h, w]` as `[h, w, 4]`.
fn interleaved(planes: &[f32]) -> Vec<f32> {
    let area = planes.len() / 3;
    (0..area).flat_map(|i| [planes[i], planes[area + i], planes[2 * area + i], 0.0]).collect()
}
