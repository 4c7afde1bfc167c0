//! What goes wrong belongs to the run in which it does: the next one is as good as if nothing had been.

use opengen::Error;
use opengen::gpu::{Context, Options};
use opengen::image::Rgba;
use opengen::pipeline::{Cancel, Pipeline, Request};
use opengen::sample::SamplerKind;
use pollster::block_on;

use crate::common::{DenoiseCase, cases, request};
use crate::engine::{Packed, own_tiers, tiers};

/// A model on the device.
fn pipeline(context: &Context, packed: &Packed) -> Result<Pipeline, Error> {
    let mut pipeline = block_on(Pipeline::new(context.clone(), packed.manifest.clone()))?;
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes)?;
    }
    Ok(pipeline)
}

fn draw(pipeline: &mut Pipeline, request: &Request) -> Result<Rgba, Error> {
    let made = block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()))?;
    Ok(made.images.into_iter().next().expect("a picture"))
}

#[test]
fn what_is_no_number_stays_in_its_run() {
    for tier in own_tiers() {
        let case = &cases::<DenoiseCase>("denoise")[0];
        let packed = Packed::open(&case.model, None);
        let mut pipeline = pipeline(&tier.context, &packed).expect("a pipeline");
        // Of the second order: every step but the first takes over what the one before it left.
        let request = Request { sampler: SamplerKind::DpmPlusPlus2M, ..request(case) };
        let before = draw(&mut pipeline, &request).expect("a picture");

        let broken = vec![f32::NAN; request.latents_len(pipeline.config())];
        let plain = Request { sampler: SamplerKind::Euler, ..request.clone() };
        let trace = block_on(pipeline.study_step(&plain, 0, &broken, false, &Cancel::default()));
        let harmless = trace.is_ok_and(|trace| trace.next.iter().all(|value| value.is_finite()));
        assert!(!harmless, "{}: latents that are no numbers gave numbers", tier.name);

        let after = draw(&mut pipeline, &request).expect("a picture after it");
        assert_eq!(before.pixels, after.pixels, "{}: the same picture again", tier.name);
    }
}

#[test]
fn a_model_that_is_too_large_does_not_spoil_the_device() {
    let Some(tier) = tiers().first() else { return };
    let context =
        block_on(Context::new(&Options { f16: Some(tier.context.capabilities().f16), ..Options::default() }))
            .expect("a device");
    let case = &cases::<DenoiseCase>("denoise")[0];
    let packed = Packed::open(&case.model, None);
    let mut huge = Packed { manifest: packed.manifest.clone(), ..Packed::open(&case.model, None) };
    huge.manifest.records[0].values.len = 1 << 45;
    let error = pipeline(&context, &huge).err().expect("an error");
    assert!(matches!(error, Error::Gpu { .. } | Error::OutOfMemory { .. }), "{error}");
    context.check().expect("nothing is left of it");

    let mut pipeline = pipeline(&context, &packed).expect("a pipeline");
    draw(&mut pipeline, &request(case)).expect("a picture");
}
