//! Runs that begin from a picture, as `tests/golden/make_pictures.py` lists them.

use opengen::image::{Resize, Rgba};
use opengen::kernels::Circular;
use opengen::pipeline::{
    Cancel, Dump, Encode, Entry, Event, Hires, Latents, Mask, Output, Picture, Pipeline, Request, Tiling,
};
use opengen::sample::{NoiseSource, SamplerKind, ScheduleKind};
use pollster::block_on;
use serde::Deserialize;

use super::report::{Report, difference};
use super::{DenoiseCase, Golden, assert_steps_told, folder, request};

/// A model's picture and the runs that begin from it.
#[derive(Debug, Deserialize)]
pub struct PictureCase {
    pub file: String,
    pub model: String,
    prompt: String,
    negative_prompt: String,
    steps: usize,
    guidance: f64,
    seed: u64,
    pub width: usize,
    pub height: usize,
    pub runs: Vec<PictureRun>,
}

#[derive(Debug, Deserialize)]
pub struct PictureRun {
    /// Before the names of its tensors.
    pub run: String,
    pub sampler: String,
    pub schedule: String,
    pub strength: f64,
    /// How many steps of the run are taken.
    pub taken: usize,
    /// Where it is the second pass of a run: what enlarges before it, and how much.
    upscaler: Option<String>,
    scale: Option<f64>,
    /// Along which axes its borders meet, where they do, and whether it begins from noise alone.
    tiling: Option<String>,
    #[serde(default)]
    from_noise: bool,
}

/// The cases of a kind: `img2img`, `inpaint`, `hires` or `tiling`.
pub fn picture_cases(kind: &str) -> Vec<PictureCase> {
    let text = std::fs::read_to_string(folder().join("pictures/manifest.json")).expect("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("manifest.json");
    serde_json::from_value(manifest[kind].take()).expect("cases")
}

impl PictureCase {
    pub fn golden(&self) -> Golden {
        Golden::open(&self.file)
    }

    /// The request of a run without its picture.
    pub fn request(&self, run: &PictureRun) -> Request {
        let case = DenoiseCase {
            file: String::new(),
            case: String::new(),
            model: self.model.clone(),
            sampler: run.sampler.clone(),
            schedule: run.schedule.clone(),
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            steps: self.steps,
            guidance: self.guidance,
            guidance_rescale: 0.0,
            seed: self.seed,
            width: self.width,
            height: self.height,
            scheduler: serde_json::Map::new(),
            timesteps: Vec::new(),
        };
        request(&case)
    }

    /// The request of a tile.
    pub fn request_of_tile(&self, run: &PictureRun, golden: &Golden) -> Request {
        let tiling = run.tiling.as_deref().expect("a tiling").parse().expect("a tiling");
        let request = if run.from_noise { self.request(run) } else { self.request_from(run, golden) };
        Request { tiling, ..request }
    }

    /// The request of both passes of a run.
    pub fn request_of_both(&self, run: &PictureRun) -> Request {
        let (name, scale) = run.upscaler.as_deref().zip(run.scale).expect("a second pass");
        let upscaler = name.parse().expect("an upscaler");
        let hires = Hires { scale, strength: run.strength, steps: Some(run.taken), upscaler };
        Request { hires: Some(hires), ..self.request(run) }
    }

    /// The runs whose latents are enlarged, and those whose pictures are.
    pub fn by_what_is_enlarged(&self) -> [Vec<&PictureRun>; 2] {
        let (latents, pictures) = self.runs.iter().partition(|run| !run.run.starts_with("lanczos/"));
        [latents, pictures]
    }

    /// The request of a run, with the mask where there is one.
    pub fn request_from(&self, run: &PictureRun, golden: &Golden) -> Request {
        let mask = golden.has("white").then(|| Mask { blur: 0.0, ..Mask::new(rgba(golden, "white")) });
        let picture = Picture { mask, ..Picture::new(rgba(golden, "picture"), run.strength) };
        Request { picture: Some(picture), ..self.request(run) }
    }
}

/// A picture of three channels, or of one.
pub fn rgba(golden: &Golden, name: &str) -> Rgba {
    let [height, width] = [0, 1].map(|side| golden.tensor(name).dims()[side]);
    let values = golden.values(name);
    let channels = values.len() / (width * height);
    let pixels = values.chunks_exact(channels).flat_map(|p| {
        let [r, g, b] = [0, 1, 2].map(|c| p[c % channels] as u8);
        [r, g, b, 255]
    });
    Rgba::new(width, height, pixels.collect()).expect("a picture")
}

/// Makes a request's pictures, keeping what goes on inside; every step that is taken is told of.
pub fn drawn(pipeline: &mut Pipeline, request: &Request) -> (Output, Dump) {
    let (mut dump, cancel, mut events) = (Dump::default(), Cancel::default(), Vec::new());
    let mut listen = |event: Event| events.push(event);
    let run = pipeline.generate_with(request, &mut listen, &cancel, Some(&mut dump));
    let output = block_on(run).expect("a picture");
    assert_steps_told(&events, request.all_steps());
    (output, dump)
}

/// Holds a run to its reference: what enters the first step, what leaves the last one, the picture.
pub fn compare_picture(report: &mut Report, what: &str, run: &PictureRun, dump: &Dump, golden: &Golden) {
    let value = |name: &str| dump.0.get(name).unwrap_or_else(|| panic!("{what}: no {name}")).1.clone();
    let expected = |name: &str| golden.values(&format!("{}/{name}", run.run));
    report.compare(&format!("{what} first"), &value("latents.0"), &expected("first"));
    report.compare(&format!("{what} last"), &value(&format!("latents.{}", run.taken)), &expected("last"));
    let image: Vec<f32> = value("image").iter().map(|value| value.clamp(-1.0, 1.0)).collect();
    report.compare(&format!("{what} image"), &image, &expected("image"));
}

/// A picture has 8 bits, of which another order of summation rounds some the other way: one alone is up to 3e-3 of what a random
/// encoder makes of it.
pub const ROUNDED: f64 = 1e-2;

/// Holds the second pass of a run to its reference, as [`compare_picture`].
pub fn compare_second(
    report: &mut Report,
    what: &str,
    run: &PictureRun,
    (output, dump): &(Output, Dump),
    golden: &Golden,
) {
    let value =
        |name: &str| dump.0.get(&format!("hires.{name}")).unwrap_or_else(|| panic!("{what}: no {name}"));
    let expected = |name: &str| golden.values(&format!("{}/{name}", run.run));
    report.compare(&format!("{what} first"), &value("latents.0").1, &expected("first"));
    report.compare(&format!("{what} last"), &value(&format!("latents.{}", run.taken)).1, &expected("last"));
    let (shape, image) = value("image");
    assert_eq!(shape[2..], [output.images[0].height, output.images[0].width], "{what}");
    if golden.has(&format!("{}/image", run.run)) {
        let image: Vec<f32> = image.iter().map(|value| value.clamp(-1.0, 1.0)).collect();
        report.compare(&format!("{what} image"), &image, &expected("image"));
    }
}

/// Holds a run that draws a part of a picture anew: as [`compare_picture`], the mask as the latents see it, and what is around it
/// to the byte.
pub fn compare_part(
    report: &mut Report,
    what: &str,
    run: &PictureRun,
    (output, dump): &(Output, Dump),
    golden: &Golden,
) {
    compare_picture(report, what, run, dump, golden);
    assert_eq!(dump.0["mask"].1, golden.values("mask"), "{what}");
    let (picture, white) = (rgba(golden, "picture"), rgba(golden, "white"));
    let pixels = output.images[0].pixels.chunks(4).zip(picture.pixels.chunks(4)).zip(white.pixels.chunks(4));
    let mut changed = 0;
    for (at, ((new, old), white)) in pixels.enumerate() {
        assert!(white[0] == 255 || new == old, "{what}: pixel {at} is {new:?} and was {old:?}");
        changed += usize::from(new != old);
    }
    assert!(changed > 0, "{what}: nothing is new");
}

/// A tile begun from latents that are moved by half their size along its axes is the same tile moved as far, up to the order of
/// summation; one that is none is another picture.
pub fn assert_seamless(report: &mut Report, request: &Request, pipeline: &mut Pipeline) {
    let Circular { x, y } = request.tiling.circular();
    let [n, c, h, w] = request.latents_shape(pipeline.config());
    assert!(
        [h, w].iter().all(|side| side % 16 == 0),
        "half of {h}x{w} is halved evenly down to the last level"
    );
    let (down, across) = (if y { h / 2 } else { 0 }, if x { w / 2 } else { 0 });
    let noise = NoiseSource::default().noise(request.seed, [n, c, h, w]);
    let moved = rolled(&noise, [h, w], [down, across]);
    let mut made = |latents: &[f32], tiling| {
        let request = Request { noise: Some(latents.to_vec()), tiling, ..request.clone() };
        drawn(pipeline, &request).1.0.remove("image").expect("a picture")
    };
    let (shape, image) = made(&noise, request.tiling);
    let scale = shape[3] / w;
    let expected = rolled(&image, [shape[2], shape[3]], [down * scale, across * scale]);
    let what = request.tiling.name();
    report.compare(&format!("moved along {what}"), &made(&moved, request.tiling).1, &expected);
    let other = difference(&made(&moved, Tiling::None).1, &expected);
    assert!(other.relative > 0.05, "without a tiling it is the same too: {other:?}");
}

/// What hires fix enlarges of a tile without seams is one: noise that is moved makes the same, moved as far.
pub fn assert_seamless_between(report: &mut Report, request: &Request, pipeline: &mut Pipeline) {
    let hires = request.hires.expect("a second pass");
    let [n, c, h, w] = request.latents_shape(pipeline.config());
    let noise = NoiseSource::default().noise(request.seed, [n, c, h, w]);
    let moved = rolled(&noise, [h, w], [h / 2, w / 2]);
    let mut between = |latents: &[f32], tiling| {
        let request = Request { noise: Some(latents.to_vec()), tiling, ..request.clone() };
        drawn(pipeline, &request).1.0.remove("hires.init_latents").expect("what the second pass begins with")
    };
    let (shape, begun) = between(&noise, Tiling::Both);
    let expected = rolled(&begun, [shape[2], shape[3]], [shape[2] / 2, shape[3] / 2]);
    report.compare(hires.upscaler.name(), &between(&moved, Tiling::Both).1, &expected);
    let other = difference(&between(&moved, Tiling::None).1, &expected);
    assert!(other.relative > 0.05, "without a tiling it is the same too: {other:?}");
}

/// Planes of `h` × `w` moved down and to the right, what leaves them coming back at the other end.
fn rolled(planes: &[f32], [h, w]: [usize; 2], [down, across]: [usize; 2]) -> Vec<f32> {
    let at = |i: usize| {
        let (plane, y, x) = (i / (h * w), i / w % h, i % w);
        (plane * h + (y + h - down) % h) * w + (x + w - across) % w
    };
    (0..planes.len()).map(|i| planes[at(i)]).collect()
}

/// The picture encoded in every way in which it is brought to the size, sampled and not.
pub fn compare_encoded(report: &mut Report, case: &PictureCase, pipeline: &mut Pipeline) {
    let golden = case.golden();
    let first = Request { steps: 2, ..case.request_from(&case.runs[0], &golden) };
    let picture = first.picture.clone().expect("a picture");
    let ways = Resize::ALL.map(|resize| (resize, Encode::Sample, resize.name()));
    for (resize, encode, name) in ways.into_iter().chain([(Resize::Just, Encode::Mean, "mean")]) {
        let picture = Picture { resize, encode, strength: 0.5, ..picture.clone() };
        let (_, dump) = drawn(pipeline, &Request { picture: Some(picture), ..first.clone() });
        let expected = golden.values(&format!("init_latents.{name}"));
        report.compare(&format!("{} {name}", case.model), &dump.0["init_latents"].1, &expected);
    }
}

/// Pictures of a batch are those made alone, with a variation too.
pub fn assert_batches(report: &mut Report, case: &PictureCase, pipeline: &mut Pipeline) {
    let golden = case.golden();
    let run = case.runs.iter().find(|run| run.sampler == "euler-a").expect("fresh noise");
    let alone = Request { seed: 11, ..case.request_from(run, &golden) };
    let last = format!("latents.{}", run.taken);
    let (_, both) = drawn(pipeline, &Request { batch: 2, ..alone.clone() });
    let both = &both.0[&last].1;
    for (i, together) in both.chunks(both.len() / 2).enumerate() {
        let (_, dump) = drawn(pipeline, &Request { seed: alone.seed + i as u64, ..alone.clone() });
        report.compare(&format!("picture {i}"), together, &dump.0[&last].1);
    }
}

/// A run that is gone on with from what enters one of its steps ends as the run did, where its sampler keeps nothing of the steps
/// before; from the first step on with any sampler. Prompts change where they did, and fresh noise goes on.
pub fn assert_gone_on(case: &PictureCase, pipeline: &mut Pipeline, samplers: &[SamplerKind]) {
    let plain = Request {
        prompt: "[a dog:a red cat:0.6] on a table".to_string(),
        steps: 5,
        seed: 3,
        ..case.request(&case.runs[0])
    };
    for sampler in samplers {
        let batch = if *sampler == SamplerKind::EulerAncestral { 2 } else { 1 };
        let whole = Request { sampler: *sampler, batch, schedule: ScheduleKind::Default, ..plain.clone() };
        let (output, dump) = drawn(pipeline, &whole);
        for step in [0, 2] {
            let values = dump.0[&format!("latents.{step}")].1.clone();
            let latents = Some(Latents { values: values.clone(), entry: Entry::Step(step) });
            let (again, rest) = drawn(pipeline, &Request { latents, ..whole.clone() });
            let what = format!("{sampler} from step {step}");
            assert_eq!(rest.0["latents.0"].1, values, "{what}");
            assert!(rest.0.contains_key(&format!("latents.{}", 5 - step)), "{what}");
            let same = again.images.iter().zip(&output.images).all(|(one, other)| one.pixels == other.pixels);
            assert!(same == (step == 0 || sampler.is_alone()), "{what}: {same}");
        }
    }
}

/// Finished latents are drawn on as the picture is that they were encoded from, one's by a whole batch.
pub fn assert_drawn_on(case: &PictureCase, pipeline: &mut Pipeline) {
    let golden = case.golden();
    let from = Request { batch: 2, ..case.request_from(&case.runs[0], &golden) };
    let picture =
        from.picture.clone().map(|picture| Picture { encode: Encode::Mean, strength: 0.5, ..picture });
    let from = Request { picture, ..from };
    let (wanted, dump) = drawn(pipeline, &from);
    let each = dump.0["init_latents"].1.len() / 2;
    let values = dump.0["init_latents"].1[..each].to_vec();
    let entry = Entry::Clean { strength: 0.5, exact_steps: false };
    let latents = Some(Latents { values: values.clone(), entry });
    let (output, again) = drawn(pipeline, &Request { picture: None, latents, ..from });
    assert_eq!(again.0["init_latents"].1, values.repeat(2));
    assert_eq!(again.0["latents.0"].1, dump.0["latents.0"].1);
    assert!(output.images.iter().zip(&wanted.images).all(|(one, other)| one.pixels == other.pixels));
}
