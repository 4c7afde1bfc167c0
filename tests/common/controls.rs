//! Runs that ControlNets steer, as `tests/golden/make_controls.py` lists them: no weights are kept, each value follows from its
//! tensor's name in a folder of diffusers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use opengen::image::Rgba;
use opengen::model;
use opengen::pipeline::stages::Stages;
use opengen::pipeline::{Control, Dump, Importance, Mask, Picture, Pipeline, Request, Windows};
use opengen::sample::{NoiseSource, SamplerKind};
use opengen::weights::{self, ControlPart, ControlSource, LayoutOptions, Manifest, ModelSource};
use pollster::block_on;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pictures::{drawn, rgba};
use super::report::Report;
use super::single::{Entries, Entry, weight, write, write_json};
use super::{DenoiseCase, Golden, folder, model_folder, request};

/// Models with ControlNets.
pub const MODELS: [&str; 2] = ["sd1", "sd2"];
/// The networks of each.
pub const NETWORKS: [&str; 2] = ["a", "b"];

/// What the script says of one model.
#[derive(Debug, Deserialize)]
pub struct ControlCase {
    pub model: String,
    prompt: String,
    negative_prompt: String,
    steps: usize,
    guidance: f64,
    seed: u64,
    width: usize,
    height: usize,
    timestep: f64,
    residuals: usize,
    config: Value,
    /// A folder's tensors.
    shapes: BTreeMap<String, Vec<usize>>,
    /// By name in one file: the folder's tensor.
    names: BTreeMap<String, String>,
    pub runs: Vec<ControlRun>,
}

#[derive(Debug, Deserialize)]
pub struct ControlRun {
    /// Before the names of its tensors.
    pub run: String,
    pub sampler: String,
    networks: Vec<String>,
    strengths: Vec<f64>,
    starts: Vec<f64>,
    ends: Vec<f64>,
    taken: usize,
    importance: String,
    from: String,
    strength: f64,
}

/// What a network lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Folder,
    /// Under the names of `cldm.py`, with `control_model.` in front.
    File,
    /// The same without.
    Bare,
    /// A folder's weights alone.
    Alone,
}

impl Form {
    pub const ALL: [Form; 4] = [Form::Folder, Form::File, Form::Bare, Form::Alone];
}

impl ControlCase {
    pub fn of(model: &str) -> ControlCase {
        let path = folder().join(format!("controls/{model}.json"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("what make_controls.py writes")
    }

    pub fn golden(&self) -> Golden {
        Golden::open(&format!("controls/{}.safetensors", self.model))
    }

    /// The tensors of a network under a folder's names, or a file's.
    pub fn entries(&self, network: &str, form: Form) -> Entries {
        let entry = |own: &String| {
            let shape = &self.shapes[own];
            Entry::f16(shape, &weight(&format!("control.{network}.{own}"), shape))
        };
        let bare = |name: &String| name.trim_start_matches("control_model.").to_string();
        match form {
            Form::Folder | Form::Alone => self.shapes.keys().map(|own| (own.clone(), entry(own))).collect(),
            Form::File => self.names.iter().map(|(name, own)| (name.clone(), entry(own))).collect(),
            Form::Bare => self.names.iter().map(|(name, own)| (bare(name), entry(own))).collect(),
        }
    }

    /// Writes a network.
    pub fn write(&self, network: &str, form: Form, out: &Path) -> PathBuf {
        let entries = self.entries(network, form);
        if form == Form::Folder {
            let place = out.join(network);
            write_json(&place.join("config.json"), &self.config);
            write(&entries, &place.join("diffusion_pytorch_model.safetensors"));
            return place;
        }
        let place = out.join(format!("{network}.{form:?}.safetensors"));
        write(&entries, &place);
        place
    }

    /// The model with both networks, packed.
    pub fn packed(&self, form: Form) -> (Manifest, Vec<Vec<u8>>) {
        self.packed_with(&model_folder(&self.model), form)
    }

    /// Another model with both networks.
    pub fn packed_with(&self, model: &Path, form: Form) -> (Manifest, Vec<Vec<u8>>) {
        let source = ModelSource::open(model).expect("a model");
        let out = tempfile::tempdir().expect("a folder");
        let (manifest, parts) = self.joined(&source, form, out.path());
        let own = weights::load(&source, &model::weight_decls(source.config()), LayoutOptions::default());
        let (_, mut slabs) = own.expect("weights");
        slabs.extend(manifest.slabs[slabs.len()..].iter().map(|&len| vec![0; len as usize]));
        let mut write = |slab: usize, offset: u64, bytes: weights::Bytes<'_>| {
            bytes.copy_to(&mut slabs[slab][offset as usize..][..bytes.len()]);
            Ok(())
        };
        parts.iter().for_each(|part| part.stream_of(&|_| true, &mut write).expect("packed"));
        (manifest, slabs)
    }

    /// The manifest of a model with both networks, and these.
    pub fn joined(&self, source: &ModelSource, form: Form, out: &Path) -> (Manifest, Vec<ControlPart>) {
        let decls = model::weight_decls(source.config());
        let mut manifest = source.manifest(&decls, LayoutOptions::default()).expect("a manifest");
        let parts = NETWORKS.map(|network| {
            let source = ControlSource::open(&self.write(network, form, out)).expect("a ControlNet");
            let decls = model::control_decls;
            ControlPart::join(source, &mut manifest, decls, LayoutOptions::default()).expect("it fits")
        });
        (manifest, parts.into())
    }

    /// The request without anything that steers it.
    pub fn request(&self) -> Request {
        let more = json!({"file": "", "case": "", "model": self.model, "sampler": "ddim", "schedule": "default",
            "prompt": self.prompt, "negative_prompt": self.negative_prompt, "steps": self.steps,
            "guidance": self.guidance, "seed": self.seed, "width": self.width, "height": self.height,
            "scheduler": {}, "timesteps": []});
        request(&serde_json::from_value::<DenoiseCase>(more).expect("a case"))
    }

    /// The request of a run.
    pub fn request_of(&self, run: &ControlRun, golden: &Golden) -> Request {
        let (sampler, schedule) = run.sampler.split_once('.').unwrap_or((&run.sampler, "default"));
        let control = |(i, network): (usize, &String)| {
            let model = NETWORKS.iter().position(|name| name == network).expect("a network");
            let importance = Importance::ALL.into_iter().find(|kind| kind.name() == run.importance);
            Control {
                start: run.starts[i],
                end: run.ends[i],
                importance: importance.expect("an importance"),
                ..Control::new(model, rgba(golden, &format!("map.{network}")), run.strengths[i])
            }
        };
        let picture = (run.from != "noise").then(|| {
            let mask = Mask { blur: 0.0, ..Mask::new(rgba(golden, "white")) };
            let mask = (run.from == "part").then_some(mask);
            Picture { mask, ..Picture::new(rgba(golden, "picture"), run.strength) }
        });
        Request {
            sampler: sampler.parse().expect("a sampler"),
            schedule: schedule.parse().expect("a schedule"),
            controls: run.networks.iter().enumerate().map(control).collect(),
            picture,
            ..self.request()
        }
    }

    /// Holds whole runs to their references.
    pub fn compare_runs(
        &self,
        report: &mut Report,
        pipeline: &mut Pipeline,
        chosen: impl Fn(&ControlRun) -> bool,
    ) {
        let golden = self.golden();
        for run in self.runs.iter().filter(|run| chosen(run)) {
            let (output, dump) = drawn(pipeline, &self.request_of(run, &golden));
            let what = format!("{} {}", self.model, run.run);
            let value = |name: &str| value(&dump, name);
            let expected = |name: &str| golden.values(&format!("{}/{name}", run.run));
            report.compare(&format!("{what} first"), &value("latents.0"), &expected("first"));
            let last = value(&format!("latents.{}", run.taken));
            report.compare(&format!("{what} last"), &last, &expected("last"));
            let image: Vec<f32> = value("image").iter().map(|value| value.clamp(-1.0, 1.0)).collect();
            report.compare(&format!("{what} image"), &image, &expected("image"));
            assert_eq!(output.images.len(), 1);
            assert_eq!(value("control.0"), planes(&golden, &run.networks[0]), "{what}: the map in the dump");
        }
    }

    /// Holds what one call of each network gives to its references.
    pub fn compare_residuals(
        &self,
        report: &mut Report,
        stages: &Stages<'_>,
        config: &opengen::config::ModelConfig,
    ) {
        let golden = self.golden();
        let (latents, embeddings) = (golden.values("latents"), golden.values("embeddings"));
        for (number, network) in NETWORKS.into_iter().enumerate() {
            let map = planes(&golden, network);
            for index in 0..self.residuals {
                let called = (latents.as_slice(), golden.shape("latents"));
                let got = stages.control_residual(
                    config,
                    (number, index),
                    called,
                    self.timestep,
                    &embeddings,
                    &map,
                );
                let got = block_on(got).expect("a residual");
                let name = format!("{network}/residual.{index}");
                report.compare(&format!("{} {name}", self.model), &got, &golden.values(&name));
            }
        }
    }
}

impl ControlCase {
    /// In windows each sees its part of the map: what the denoiser answers is the mean of what it answers to smaller pictures
    /// of these parts, and one window over all is the whole picture. Maps count in the steps in which they would.
    pub fn compare_windows(&self, report: &mut Report, pipeline: &mut Pipeline) {
        let golden = self.golden();
        let map = rgba(&golden, "map.a");
        let control = |image: Rgba| Control { end: 0.5, ..Control::new(0, image, 0.9) };
        let plain = Request { steps: 2, sampler: SamplerKind::Ddim, ..self.request() };
        let [n, c, h, w] = plain.latents_shape(pipeline.config());
        let scale = plain.width / w;
        let noise = NoiseSource::default().noise(5, [n, c, h, w]);
        let whole = Request {
            noise: Some(noise.clone()),
            controls: vec![control(map.clone()), Control::new(1, rgba(&golden, "map.b"), 0.5)],
            ..plain.clone()
        };
        let last = |dump: &Dump| value(dump, "latents.2");
        let (_, all) = drawn(pipeline, &whole);
        let over_all = Windows { size: 48, overlap: 0 };
        let (_, once) = drawn(pipeline, &Request { windows: Some(over_all), ..whole });
        assert_eq!(last(&once), last(&all), "{}: one window is the whole picture", self.model);

        // Windows of the whole height, which begin at 0 and 8.
        let (size, begins) = (32, [0, 8]);
        assert_eq!([plain.width, plain.height], [40, size]);
        let tiled = Request {
            noise: Some(noise.clone()),
            controls: vec![control(map.clone())],
            windows: Some(Windows { size, overlap: 24 }),
            ..plain.clone()
        };
        let (_, found) = drawn(pipeline, &tiled);
        let wide = size / scale;
        let (mut sum, mut count) = (vec![0.0; c * h * w], vec![0.0; c * h * w]);
        for left in begins {
            let one = Request {
                width: size,
                noise: Some(cut(&noise, w, left / scale, wide)),
                controls: vec![control(part(&map, left, size))],
                ..plain.clone()
            };
            let answer = value(&drawn(pipeline, &one).1, "noise_pred.0");
            for (i, answer) in answer.iter().enumerate() {
                let at = i / wide * w + left / scale + i % wide;
                sum[at] += answer;
                count[at] += 1.0;
            }
        }
        let mean: Vec<f32> = sum.iter().zip(&count).map(|(sum, count)| sum / count).collect();
        report.compare(&format!("{} in windows", self.model), &value(&found, "noise_pred.0"), &mean);
        let (_, other) = drawn(pipeline, &Request { controls: Vec::new(), ..tiled });
        assert_ne!(value(&other, "noise_pred.0"), value(&found, "noise_pred.0"));
    }
}

/// Columns of planes that are so wide.
fn cut(planes: &[f32], w: usize, left: usize, wide: usize) -> Vec<f32> {
    planes.chunks_exact(w).flat_map(|row| &row[left..][..wide]).copied().collect()
}

/// The same of a picture.
fn part(picture: &Rgba, left: usize, wide: usize) -> Rgba {
    let rows = picture.pixels.chunks_exact(picture.width * 4);
    let pixels = rows.flat_map(|row| &row[left * 4..][..wide * 4]).copied().collect();
    Rgba::new(wide, picture.height, pixels).expect("a picture")
}

/// A network's map, `[3, height, width]` in [0, 1].
fn planes(golden: &Golden, network: &str) -> Vec<f32> {
    let map = golden.values(&format!("map.{network}"));
    (0..3).flat_map(|c| map.iter().skip(c).step_by(3).map(|value| value / 255.0)).collect()
}

/// A value that a run kept.
pub fn value(dump: &Dump, name: &str) -> Vec<f32> {
    dump.0.get(name).unwrap_or_else(|| panic!("no {name} in the dump")).1.clone()
}
