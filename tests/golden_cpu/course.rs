//! How runs go: cancelled, shown, refused, prepared again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opengen::Error;
use opengen::image::Rgba;
use opengen::pipeline::engine::{Engine, Network, Pause};
use opengen::pipeline::study::Start;
use opengen::pipeline::{Cancel, Dump, Event, Mask, Picture, Pipeline, Request, study};
use opengen::sample::SamplerKind;
use pollster::block_on;

use crate::common::{DenoiseCase, assert_previews_show, cases, mini, mini_request, model_folder, request};
use crate::models::{packed, pipeline};

/// A cancelled run stops between steps.
#[test]
fn cancelled() {
    let mut pipeline = pipeline(&model_folder("sd1"));
    let (case, cancel) = (&cases::<DenoiseCase>("denoise")[0], Cancel::default());
    let mut steps = 0;
    let mut listen = |event| {
        if let Event::Step { .. } = event {
            steps += 1;
            cancel.cancel();
        }
    };
    let result = block_on(pipeline.generate(&request(case), &mut listen, &cancel));
    assert!(matches!(result, Err(Error::Aborted)), "{:?}", result.map(|output| output.notices));
    assert_eq!(steps, 1);
}

/// And between the evaluations of one step: whoever has to let messages in does so there too.
#[test]
fn cancelled_within_a_step() {
    let mut pipeline = pipeline(&model_folder("sd1"));
    let cancel = Cancel::default();
    let heun = Request { sampler: SamplerKind::Heun, ..request(&cases::<DenoiseCase>("denoise")[0]) };
    let pauses = Arc::new(AtomicUsize::new(0));
    let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
    let (count, cancelling) = (pauses.clone(), cancel.clone());
    let pause: Pause = Box::new(move || {
        // The first is behind the text, the second in the middle of the first step.
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            cancelling.cancel();
        }
        Box::pin(std::future::ready(()))
    });
    engine.set_pause(pause, Duration::MAX);
    let (mut steps, mut dump) = (0, Dump::default());
    let mut listen = |event| steps += usize::from(matches!(event, Event::Step { .. }));
    let result = block_on(pipeline.generate_with(&heun, &mut listen, &cancel, Some(&mut dump)));
    assert!(matches!(result, Err(Error::Aborted)), "{:?}", result.map(|output| output.notices));
    assert_eq!((steps, pauses.load(Ordering::Relaxed)), (0, 2));
    let kept = |name: &str| dump.0.contains_key(name);
    assert!(kept("noise_pred.0") && !kept("noise_pred.0.1"), "{:?}", dump.0.keys());
}

/// And within a network, of which a large model's takes a minute: it goes on after each pause until it is cancelled there, and
/// what pauses did not end is the picture that there is without them.
#[test]
fn cancelled_within_a_network() {
    let request = Request { steps: 1, ..request(&cases::<DenoiseCase>("denoise")[0]) };
    let drawn = |cancelled_at: usize| {
        let mut pipeline = pipeline(&model_folder("sd1"));
        let (cancel, pauses) = (Cancel::default(), Arc::new(AtomicUsize::new(0)));
        let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
        let (count, cancelling) = (pauses.clone(), cancel.clone());
        let pause: Pause = Box::new(move || {
            if count.fetch_add(1, Ordering::Relaxed) + 1 == cancelled_at {
                cancelling.cancel();
            }
            Box::pin(std::future::ready(()))
        });
        engine.set_pause(pause, if cancelled_at > 0 { Duration::ZERO } else { Duration::MAX });
        let output = block_on(pipeline.generate(&request, &mut |_| {}, &cancel));
        (output.map(|output| output.images), pauses.load(Ordering::Relaxed))
    };
    let (whole, few) = drawn(0);
    let (paused, many) = drawn(usize::MAX);
    assert!(many > few + 100, "{many} pauses, between networks alone {few}");
    assert_eq!(paused.expect("a picture"), whole.expect("a picture"));
    let (cancelled, pauses) = drawn(many / 2);
    assert!(matches!(cancelled, Err(Error::Aborted)), "{cancelled:?}");
    assert_eq!(pauses, many / 2);
}

#[test]
fn previews_show_the_picture() {
    let mut pipeline = pipeline(&mini());
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

/// A missing weight is an error that names it, not a panic.
#[test]
fn names_a_missing_weight() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    for missing in ["unet.mid_block.resnets.0.conv1", "vae.decoder.mid_block.attentions.0.to_qkv"] {
        let (mut manifest, slabs) = packed(&model_folder("sd1"));
        manifest.records.retain(|record| record.decl.name != missing);
        let mut pipeline = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
        let result = block_on(pipeline.generate(&request(case), &mut |_| {}, &Cancel::default()));
        let error = result.expect_err("an error").to_string();
        assert!(error.contains(missing), "{error}");
    }
}

/// What is no number is refused where it comes in, by name, and where it comes out.
#[test]
fn no_numbers_are_no_picture() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    let (mut manifest, mut slabs) = packed(&model_folder("sd1"));
    let mut pipeline = Pipeline::on_cpu(manifest.clone(), slabs.clone()).expect("pipeline");
    let draw = |pipeline: &mut Pipeline, request: &Request| {
        let made = block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()))?;
        Ok::<_, Error>(made.images[0].pixels.clone())
    };
    let plain = request(case);
    let before = draw(&mut pipeline, &plain).expect("a picture");

    let mut latents = vec![0.0; plain.latents_len(pipeline.config())];
    latents[3] = f32::NAN;
    let given = Request { noise: Some(latents.clone()), ..plain.clone() };
    let error = draw(&mut pipeline, &given).expect_err("given latents").to_string();
    assert!(error.starts_with("noise: value 4 of") && error.contains("NaN"), "{error}");
    let step = block_on(pipeline.study_step(&plain, 0, &latents, false, &Cancel::default()));
    assert!(matches!(step, Err(Error::InvalidInput { field: "latents", .. })));
    let [_, c, h, w] = plain.latents_shape(pipeline.config());
    let decoded = block_on(pipeline.study_decode(&latents[..c * h * w], h, w));
    assert!(matches!(decoded, Err(Error::InvalidInput { field: "latents", .. })));
    let begun = study::begin(pipeline.config(), &plain, &Start::Noised { clean: latents.clone(), t: 5 });
    assert!(matches!(begun, Err(Error::InvalidInput { field: "latents", .. })));

    // Latents that overflow on the way: the error belongs to that run alone.
    let huge = Request { noise: Some(vec![3e38; latents.len()]), ..plain.clone() };
    assert!(matches!(draw(&mut pipeline, &huge), Err(Error::NoNumbers)));
    assert_eq!(draw(&mut pipeline, &plain).expect("a picture after it"), before);

    // A damaged checkpoint.
    let record = manifest.records.iter_mut().find(|record| record.decl.name == "vae.decoder.conv_out.bias");
    let record = record.expect("the last bias");
    slabs[record.slab][record.values.offset as usize..][..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let mut damaged = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
    assert!(matches!(draw(&mut damaged, &plain), Err(Error::NoNumbers)));
    let zeros = vec![0.0; c * h * w];
    assert!(matches!(block_on(damaged.study_decode(&zeros, h, w)), Err(Error::NoNumbers)));
}

/// What changes from run to run is prepared anew, and nothing else.
#[test]
fn only_what_changed_is_prepared_again() {
    let case = &cases::<DenoiseCase>("denoise")[0];
    let mut pipeline = pipeline(&model_folder("deep"));
    let first = Request { preview_every: 0, sampler: SamplerKind::Euler, ..request(case) };
    let previews = Request { preview_every: 1, ..first.clone() };
    let ancestral = Request { sampler: SamplerKind::EulerAncestral, ..previews.clone() };
    let longer = Request { prompt: "a BREAK b".to_string(), ..ancestral.clone() };
    let batch = Request { batch: 2, ..longer.clone() };
    let [from, from_another] = [(90, 0.5), (7, 1.0)].map(|(grey, strength)| {
        let image = Rgba::new(9, 5, vec![grey; 9 * 5 * 4]).expect("a picture");
        Request { picture: Some(Picture::new(image, strength)), ..batch.clone() }
    });
    let mask = Mask::new(Rgba::new(1, 1, vec![255; 4]).expect("white"));
    let part = Picture { mask: Some(mask), ..from.picture.clone().expect("a picture") };
    let part = Request { picture: Some(part), ..from.clone() };
    use Network::*;
    for (what, request, built) in [
        ("the first", &first, vec![Text(0), KeysValues, Denoiser, Decoder]),
        ("with previews", &previews, vec![Preview]),
        ("another sampler", &ancestral, vec![]),
        ("one chunk more", &longer, vec![Text(0), KeysValues, Denoiser]),
        ("two pictures", &batch, vec![Denoiser, Decoder]),
        ("the same", &batch, vec![]),
        ("from a picture", &from, vec![Encoder]),
        ("from another picture, less of it", &from_another, vec![]),
        ("a part of it", &part, vec![]),
    ] {
        let before = built_so_far(&mut pipeline);
        block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default())).expect("a picture");
        let mut after = built_so_far(&mut pipeline);
        after.retain(|network, count| before.get(network) != Some(count));
        assert_eq!(after.into_keys().collect::<Vec<_>>(), built, "{what}");
    }
}

fn built_so_far(pipeline: &mut Pipeline) -> std::collections::BTreeMap<Network, usize> {
    let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
    engine.built().clone()
}
