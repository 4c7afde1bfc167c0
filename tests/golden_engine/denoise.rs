//! Whole runs: every sampler, three settings, from prompt and seed to the picture.

use std::collections::BTreeMap;

use opengen::gpu::{Context, Options};
use opengen::image::Rgba;
use opengen::kernels::WeightType;
use opengen::pipeline::engine::{Built, Engine, Network};
use opengen::pipeline::{Cancel, Dump, Event, Mask, Picture, Pipeline, Request};
use opengen::sample::{self, Generators, HISTORY, Linear, SamplerKind};
use pollster::block_on;

use crate::common::report::{Report, difference};
use crate::common::twice::two_encoders;
use crate::common::{
    DenoiseCase, Golden, assert_previews_decode, assert_previews_show, assert_steps_told, cases, compare_run,
    mini, mini_request, request, scheduler_of, thresholded,
};
use crate::engine::{Engine as Single, Packed, Tier, own_tiers, tiers};
use crate::left_out;

/// Runs a case as a caller would, from its seed or from given noise, keeping what goes on inside.
fn run(tier: &Tier, case: &DenoiseCase, mut packed: Packed, noise: Option<Vec<f32>>) -> Dump {
    packed.manifest.config.scheduler = scheduler_of(case);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let mut dump = Dump::default();
    let (cancel, mut events) = (Cancel::default(), Vec::new());
    let mut listen = |event| events.push(event);
    let request = Request { noise, ..request(case) };
    let output = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
    let output = block_on(output).expect("a picture");
    assert_steps_told(&events, case.steps);
    assert_eq!(output.images.len(), 1, "pictures");
    assert_eq!((output.images[0].width, output.images[0].height), (case.width, case.height));
    dump
}

/// Dynamic thresholding on the device: what it reads and writes back is what the processor does.
#[test]
fn thresholded_runs_end_as_diffusers() {
    let Some(tier) = tiers().first() else { return };
    let all = thresholded();
    let golden = Golden::open(&all[0].0.file);
    let packed = Packed::open(&all[0].0.model, None);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let mut report = Report::new(1e-3);
    for (case, sampling) in all.iter().step_by(3) {
        let mut dump = Dump::default();
        let (request, cancel) = (Request { sampling: *sampling, ..request(case) }, Cancel::default());
        block_on(pipeline.generate_with(&request, &mut |_| {}, &cancel, Some(&mut dump))).expect("a picture");
        let what = format!("{} {:?} {}", case.sampler, sampling.thresholding(), case.guidance);
        report.compare(&what, &dump.0[&format!("latents.{}", case.steps)].1, &golden.values(&case.case));
    }
    report.finish();
}

/// On a device of its own: the counters are the device's, and tests run side by side.
#[test]
fn the_steady_state_allocates_nothing() {
    let Some(tier) = tiers().first() else { return };
    let options = Options { f16: Some(tier.context.capabilities().f16), ..Options::default() };
    let context = block_on(Context::new(&options)).expect("a device");
    let case = &cases::<DenoiseCase>("denoise")[0];
    let packed = Packed::open(&case.model, None);
    let mut pipeline = block_on(Pipeline::new(context, packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let request = Request { preview_every: 1, ..request(case) };
    let (cancel, mut listen) = (Cancel::default(), |_| {});
    let run = pipeline.generate(&request, &mut listen, &cancel);
    let stats = block_on(run).expect("a picture").stats;
    assert_eq!((stats.new_buffers_per_step, stats.new_bind_groups_per_step), (0.0, 0.0));
    assert!(stats.dispatches_per_step > 0 && stats.gpu_bytes > 0, "{stats:?}");
}

#[test]
fn previews_show_the_picture() {
    for tier in own_tiers() {
        let packed = Packed::of(&mini(), None);
        let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
        for (slab, bytes) in packed.slabs.iter().enumerate() {
            pipeline.write(slab, 0, bytes).expect("weights written");
        }
        let mut previews = Vec::new();
        let mut listen = |event| {
            if let Event::Step { preview, .. } = event {
                previews.extend(preview);
            }
        };
        let (request, cancel) = (mini_request(), Cancel::default());
        let output = block_on(pipeline.generate(&request, &mut listen, &cancel)).expect("a picture");
        assert_previews_show(&previews, &output.images[0]);
    }
}

/// Two text encoders side by side, whose halves make up one: the same run.
#[test]
fn two_text_encoders() {
    let Some(tier) = tiers().first() else { return };
    let mut report = tier.report();
    for case in cases::<DenoiseCase>("denoise").iter().filter(|case| case.model == "deep") {
        let (manifest, slabs) = two_encoders(&case.model);
        let mut dump = run(tier, case, Packed { config: manifest.config.clone(), manifest, slabs }, None);
        dump.0.remove("text_embeddings"); // twice as wide
        let golden = Golden::open(&case.file);
        for name in golden.names().filter(|name| dump.0.contains_key(*name)) {
            report.compare(&format!("twice {name}"), &dump.0[name].1, &golden.values(name));
        }
    }
    report.finish();
}

/// A model that brings a tiny autoencoder shows what that makes of each step's clean estimate.
#[test]
fn previews_by_the_tiny_autoencoder() {
    let Some(tier) = tiers().first() else { return };
    let case = cases::<DenoiseCase>("denoise").into_iter().find(|case| case.model == "deep").expect("deep");
    let mut packed = Packed::open(&case.model, None);
    packed.manifest.config.scheduler = scheduler_of(&case);
    let engine = Single::new(tier, &packed);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let (mut dump, mut previews) = (Dump::default(), Vec::new());
    let mut listen = |event| {
        if let Event::Step { preview, .. } = event {
            previews.extend(preview);
        }
    };
    let (request, cancel) = (Request { preview_every: 1, ..request(&case) }, Cancel::default());
    let run = pipeline.generate_with(&request, &mut listen, &cancel, Some(&mut dump));
    block_on(run).expect("a picture");
    let decode = |latents: &[f32], shape| {
        let tiny = engine.config.preview.as_ref().expect("a tiny autoencoder");
        block_on(engine.stages().taesd_decode(tiny, latents, shape)).expect("decoded")
    };
    assert_previews_decode(&request, &case, &previews, &dump, decode);
}

/// What changes from run to run is planned anew, and nothing else; every picture is that of a pipeline of its own.
#[test]
fn only_what_changed_is_prepared_again() {
    let Some(tier) = tiers().first() else { return };
    let case = &cases::<DenoiseCase>("denoise")[0];
    let packed = Packed::open("deep", None);
    let new = || {
        let pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest.clone()));
        let mut pipeline = pipeline.expect("pipeline");
        for (slab, bytes) in packed.slabs.iter().enumerate() {
            pipeline.write(slab, 0, bytes).expect("weights written");
        }
        pipeline
    };
    let draw = |pipeline: &mut Pipeline, request: &Request| {
        let (cancel, mut ignore) = (Cancel::default(), |_| {});
        let run = pipeline.generate(request, &mut ignore, &cancel);
        let output = block_on(run).expect("a picture");
        let Engine::Gpu(engine) = pipeline.engine() else { panic!("not on the device") };
        (output.images.iter().map(|image| image.pixels.clone()).collect::<Vec<_>>(), engine.built().clone())
    };
    let first = Request { preview_every: 0, sampler: SamplerKind::Euler, steps: 2, ..request(case) };
    let previews = Request { preview_every: 1, ..first.clone() };
    let ancestral = Request { sampler: SamplerKind::EulerAncestral, ..previews.clone() };
    let longer = Request { prompt: "a BREAK b".to_string(), ..ancestral.clone() };
    let batch = Request { batch: 2, ..longer.clone() };
    let remembers = Request { sampler: SamplerKind::Lms, ..first.clone() };
    let as_much = Request { sampler: SamplerKind::Heun, ..first.clone() };
    let large = Request { width: 80, height: 64, ..first.clone() };
    let [from, from_another] = [(90, 0.5), (7, 1.0)].map(|(grey, strength)| {
        let image = Rgba::new(9, 5, vec![grey; 9 * 5 * 4]).expect("a picture");
        Request { picture: Some(Picture::new(image, strength)), ..first.clone() }
    });
    let [part, another_part] = [[255, 0], [0, 255]].map(|[left, right]| {
        let white = Rgba::new(2, 1, vec![left, left, left, 255, right, right, right, 255]).expect("a mask");
        let picture = from.picture.clone().expect("a picture");
        let picture = Picture { mask: Some(Mask::new(white)), ..picture };
        Request { picture: Some(picture), ..from.clone() }
    });
    let mut pipeline = new();
    let mut before = Built::new();
    use Network::*;
    for (what, request, planned) in [
        ("the first", &first, vec![Text(0), KeysValues, Prepare, Denoiser, Step, Decoder]),
        ("with previews", &previews, vec![Preview]),
        ("another sampler", &ancestral, vec![Step]),
        ("one chunk more", &longer, vec![Text(0), KeysValues, Denoiser]),
        ("two pictures", &batch, vec![Prepare, Denoiser, Step, Decoder]),
        ("larger", &large, vec![Text(0), KeysValues, Prepare, Denoiser, Step, Decoder]),
        ("as at first", &first, vec![Prepare, Denoiser, Step, Decoder]),
        ("a sampler that remembers", &remembers, vec![Prepare, Step]),
        ("another that remembers as much", &as_much, vec![]),
        ("and again as at first", &first, vec![Prepare, Step]),
        ("from a picture", &from, vec![Encoder]),
        ("from another picture, less of it", &from_another, vec![]),
        ("a part of it", &part, vec![Step]),
        ("another part of it", &another_part, vec![]),
    ] {
        let (pictures, after) = draw(&mut pipeline, request);
        let count = |built: &Built, network| built.get(network).map_or(0, |[planned, _]| *planned);
        let changed = after.keys().filter(|network| count(&after, network) != count(&before, network));
        assert_eq!(changed.copied().collect::<Vec<_>>(), planned, "{what}");
        let bound = |built: &Built| built.get(&Text(0)).map_or(0, |[_, bound]| *bound);
        assert!(what != "another sampler" || bound(&after) == bound(&before), "the text was bound again");
        assert_eq!(pictures, draw(&mut new(), request).0, "{what}");
        before = after;
    }
}

/// Every run of the goldens takes a software adapter a quarter of an hour: `cargo xtask full`. Else they are one model's with
/// every sampler, and of the others one without and one with a history, in f16 these two alone. The processor makes them all
/// each time (`golden_cpu`).
fn hold(sampler: &str) {
    let all = cases::<DenoiseCase>("denoise");
    let chosen = |case: &DenoiseCase| {
        let chosen = [("ddim", "default"), ("dpm++-2m", "karras")];
        left_out::everything() || chosen.contains(&(case.sampler.as_str(), case.schedule.as_str()))
    };
    let taken = |case: &DenoiseCase| case.case == "a" || chosen(case);
    for case in all.iter().filter(|case| case.sampler == sampler && taken(case)) {
        let golden = Golden::open(&case.file);
        let mut exact: Option<(&Tier, Dump)> = None;
        for tier in own_tiers().take(if chosen(case) { usize::MAX } else { 1 }) {
            let mut report = tier.report();
            let what = format!("{} {} {} {}", tier.name, case.case, case.sampler, case.schedule);
            let dump = run(tier, case, Packed::open(&case.model, None), None);
            let more = exact.as_ref().map(|(tier, dump)| rounding(tier, case, dump));
            compare_run(&mut report, &what, case, &dump, &golden, more.as_ref());
            report.finish();
            exact.get_or_insert((tier, dump)); // f32 is the first tier
        }
    }
}

/// How far each value of a case's run in f16 may be off, beyond what a step may be by itself (`each_step_alone`): a run
/// feeds its rounding back, so it is eight times the spread of two runs in f32 whose first noise differs by half of f16's
/// last digit. `exact` is the run in f32 from the seed.
fn rounding(tier: &Tier, case: &DenoiseCase, exact: &Dump) -> BTreeMap<String, f64> {
    const HALF_DIGIT: f32 = 1.0 / 2048.0;
    let request = request(case);
    let len = exact.0["latents.0"].1.len();
    let noise = Generators::new(request.rng, request.seed, 1).randn(len);
    let signs = Generators::new(request.rng, request.seed ^ 1, 1).randn(len);
    let nudged = noise.iter().zip(signs).map(|(x, sign)| x * (1.0 + HALF_DIGIT * sign.signum())).collect();
    let again = |noise| run(tier, case, Packed::open(&case.model, None), Some(noise));
    let other = again(nudged);
    // Given noise leaves the generator where it was: fresh noise at every step is then another.
    let fresh = case.sampler == "euler-a";
    let own = fresh.then(|| again(noise));
    let spread = |(name, (_, values)): (&String, &(Vec<usize>, Vec<f32>))| {
        let off = difference(&other.0[name].1, values);
        (name.clone(), 8.0 * off.relative.max(off.peak))
    };
    own.as_ref().unwrap_or(exact).0.iter().map(spread).collect()
}

/// Picture `i` of a batch is the one its seed gives alone, guided: with fresh noise at every step, with several evaluations,
/// with a history.
#[test]
fn a_batch_is_its_pictures_made_alone() {
    let Some(tier) = tiers().first() else { return };
    let case =
        cases::<DenoiseCase>("denoise").into_iter().find(|case| case.sampler == "euler-a" && case.guided());
    let case = case.expect("a guided ancestral case");
    let packed = Packed::open(&case.model, None);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let mut latents = |sampler: SamplerKind, batch: usize, seed: u64| {
        let (cancel, mut dump) = (Cancel::default(), Dump::default());
        let request = Request { sampler, batch, seed, ..request(&case) };
        let mut ignore = |_| ();
        let run = pipeline.generate_with(&request, &mut ignore, &cancel, Some(&mut dump));
        assert_eq!(block_on(run).expect("pictures").images.len(), batch);
        dump.0[&format!("latents.{}", case.steps)].1.clone()
    };
    let mut report = Report::new(1e-5);
    for sampler in [SamplerKind::EulerAncestral, SamplerKind::Heun, SamplerKind::Lms] {
        let both = latents(sampler, 2, case.seed);
        for (i, together) in both.chunks(both.len() / 2).enumerate() {
            let alone = latents(sampler, 1, case.seed.wrapping_add(i as u64));
            report.compare(&format!("{sampler}, picture {i}"), together, &alone);
        }
    }
    report.finish();
}

/// Every step of every run by itself, from the reference's own latents and embeddings: in either tier a step is as
/// close as any other stage, however far a whole f16 run drifts by feeding its rounding back. The samplers differ only in
/// what is computed here, so unless everything is made one of them stands for all with each model, and one with fresh noise.
#[test]
fn each_step_alone() {
    let taken = |case: &DenoiseCase| {
        left_out::everything() || case.sampler == "ddim" || (case.case == "a" && case.sampler == "euler-a")
    };
    for tier in own_tiers() {
        let mut report = tier.report();
        for case in cases::<DenoiseCase>("denoise").into_iter().filter(taken) {
            // The text is the same for all samplers of a setting, and kept with one of them.
            let text = Golden::open(&format!("denoise.{}.ddim.safetensors", case.case));
            let engine = Single::new(tier, &Packed::open(&case.model, None));
            steps(&mut report, &engine, &case, &text.values("text_embeddings"));
        }
        report.finish();
    }
}

fn steps(report: &mut Report, engine: &Single, case: &DenoiseCase, embeddings: &[f32]) {
    let golden = Golden::open(&case.file);
    let request = request(case);
    let run = sample::trajectory(&scheduler_of(case), request.sampler, request.schedule, request.steps);
    let run = run.expect("trajectory");
    let [_, c, h, w] = golden.shape("latents.0");
    let len = c * h * w;
    let mut generators = Generators::new(request.rng, request.seed, 1);
    generators.randn(len); // the initial latents
    let mut history = vec![vec![0.0; len]; HISTORY];
    let names = run.steps.iter().enumerate().flat_map(|(i, step)| {
        (0..step.evaluations.len())
            .map(move |nth| if nth == 0 { format!("{i}") } else { format!("{i}.{nth}") })
    });
    let names: Vec<String> = names.chain([run.steps.len().to_string()]).collect();
    let evaluations = run.steps.iter().flat_map(|step| &step.evaluations);
    for (evaluation, names) in evaluations.zip(names.windows(2)) {
        let latents = golden.values(&format!("latents.{}", names[0]));
        let wanted = golden.values(&format!("noise_pred.{}", names[0]));
        let scaled: Vec<f32> = latents.iter().map(|x| x * evaluation.input_scale as f32).collect();
        let rows = if case.guided() { [scaled.as_slice(), &scaled].concat() } else { scaled };
        let shape = [rows.len() / len, c, h, w];
        let stages = engine.stages();
        let output = stages.unet(&engine.config, &rows, shape, evaluation.timestep, embeddings);
        let output = block_on(output).expect("UNet");
        let (first, last) = (&output[..len], &output[output.len() - len..]);
        let scale = if case.guided() { case.guidance as f32 } else { 1.0 };
        let predicted: Vec<f32> = first.iter().zip(last).map(|(u, c)| u + scale * (c - u)).collect();
        let noise = if evaluation.noise == 0.0 { vec![0.0; len] } else { generators.randn(len) };
        let combine = |linear: &Linear, model: &[f32], at: usize| {
            let kept = linear.history.iter().zip(&history).map(|(share, kept)| share * f64::from(kept[at]));
            linear.x * f64::from(latents[at]) + linear.model * f64::from(model[at]) + kept.sum::<f64>()
        };
        let next = |at| combine(&evaluation.next, &predicted, at) + evaluation.noise * f64::from(noise[at]);
        let next: Vec<f32> = (0..len).map(|at| next(at) as f32).collect();
        let what = format!("{} {} {} {}", engine.tier.name, case.case, case.sampler, case.schedule);
        // Guidance enlarges the rows' own errors up to 2 · scale - 1 times; the rows are held by the UNet's goldens.
        if !case.guided() || !engine.tier.context.capabilities().f16 {
            report.compare(&format!("{what} noise_pred.{}", names[0]), &predicted, &wanted);
        }
        let after = format!("latents.{}", names[1]);
        report.compare(&format!("{what} {after}"), &next, &golden.values(&after));
        let keep = |linear: &Linear| (0..len).map(|at| combine(linear, &wanted, at) as f32).collect();
        history = evaluation.keep.iter().map(keep).collect();
    }
}

#[test]
fn ddim() {
    hold("ddim");
}

#[test]
fn euler() {
    hold("euler");
}

#[test]
fn euler_ancestral() {
    hold("euler-a");
}

#[test]
fn heun() {
    hold("heun");
}

#[test]
fn lms() {
    hold("lms");
}

#[test]
fn dpm_plus_plus_2m() {
    hold("dpm++-2m");
}

/// An autoencoder beyond f16 (here: one convolution times 50,000, which the next group norm undoes) decodes all the same.
#[test]
fn an_overflow_of_half_precision_is_decoded_again() {
    let Some(tier) = tiers().iter().find(|tier| tier.context.capabilities().f16) else { return };
    let case = &cases::<DenoiseCase>("denoise")[0];
    let mut packed = Packed::open(&case.model, Some(WeightType::F32));
    packed.scale("vae.decoder.conv_in", 50_000.0);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    let (cancel, mut dump, request) = (Cancel::default(), Dump::default(), request(case));
    let output = block_on(pipeline.generate_with(&request, &mut |_| {}, &cancel, Some(&mut dump)));
    let output = output.expect("a picture");
    assert!(output.notices.iter().any(|notice| notice.contains("single precision")), "{:?}", output.notices);
    assert!(dump.0["image"].1.iter().all(|value| value.is_finite()));

    // The view that explains decodes the same latents alone, and has to come through it as well.
    let (shape, latents) = &dump.0[&format!("latents.{}", case.steps)];
    let decoded = block_on(pipeline.study_decode(latents, shape[2], shape[3])).expect("a picture");
    assert_eq!(decoded.pixels, output.images[0].pixels);
}
