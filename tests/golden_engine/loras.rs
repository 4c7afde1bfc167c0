//! LoRAs merged into a model on the device: where it stays, and within a limit of memory.

use std::rc::Rc;

use opengen::kernels::WeightType;
use opengen::pipeline::engine::Engine;
use opengen::pipeline::graphs::Shape;
use opengen::pipeline::{Cancel, Dump, Pipeline, Request};
use opengen::sample::SamplerKind;
use opengen::weights::{Asked, During, LoraFile, Manifest, Merged, Moment, Strength};
use pollster::block_on;

use crate::common::single::{Entries, Entry, weight, write};
use crate::common::{mini, mini_request};
use crate::engine::{Packed, own_tiers};
use crate::residence::{Shelf, least, make, pixels, shape, unlimited, within};

/// Of what reads the text, in the UNet and in the text encoder.
fn lora(manifest: &Manifest, strength: f64) -> Asked {
    let mut entries = Entries::new();
    for part in manifest.records.iter().flat_map(|record| &record.decl.parts) {
        let [rows, columns] = *part.shape.as_slice() else { continue };
        let Some(layer) = part.name.strip_suffix(".weight") else { continue };
        if !(layer.ends_with("attn2.to_v") || layer.ends_with("mlp.fc1")) {
            continue;
        }
        for (end, shape) in [("lora_B.weight", [rows, 2]), ("lora_A.weight", [2, columns])] {
            let name = format!("{layer}.{end}");
            entries.insert(name.clone(), Entry::f16(&shape, &weight(&name, &shape)));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.safetensors");
    write(&entries, &path);
    let file = LoraFile::of_bytes("x", std::fs::read(&path).expect("a file")).expect("a LoRA");
    Asked { file: file.into(), strength: Strength::of(strength) }
}

/// The model with everything merged into its bytes.
fn changed(packed: &Packed, merged: &Merged) -> Packed {
    let mut slabs = packed.slabs.clone();
    for record in packed.manifest.records.iter().filter(|record| merged.touches(record)) {
        let place = record.values.offset as usize..record.end() as usize;
        let bytes = merged.merged(record, &packed.slabs[record.slab][place.clone()]).expect("merged");
        slabs[record.slab][place].copy_from_slice(&bytes);
    }
    Packed { config: packed.config.clone(), manifest: packed.manifest.clone(), slabs }
}

#[test]
fn what_is_merged_on_the_device_is_what_is_merged_before_and_goes_again() {
    let Some(tier) = own_tiers().next() else { return };
    let packed = Rc::new(Packed::of(&mini(), None));
    let manifest = &packed.manifest;
    let request =
        Request { steps: 2, guidance: 2.0, width: 64, height: 64, preview_every: 0, ..mini_request() };
    let merged = |strength: &[f64]| {
        let asked = strength.iter().map(|strength| lora(manifest, *strength)).collect();
        Rc::new(Merged::for_packed(asked, manifest).expect("fits"))
    };
    let draw = |pipeline: &mut Pipeline| pixels(make(pipeline, &request).expect("a picture"));
    // A card may round sums otherwise: then a code in a thousand is the next one, a colour here and there another.
    let before = draw(&mut unlimited(tier, &changed(&packed, &merged(&[0.7]))));
    let like_before = |found: &[Vec<u8>]| {
        let apart = found[0].iter().zip(&before[0]).map(|(a, b)| a.abs_diff(*b));
        let (most, sum) = apart.fold((0, 0), |(most, sum), by| (by.max(most), sum + u64::from(by)));
        eprintln!("merged on the device and before: {most} levels apart at most, {sum} in all");
        most <= 4 && sum * 50 < before[0].len() as u64
    };

    let mut there = unlimited(tier, &packed);
    let plain = draw(&mut there);
    assert!(!like_before(&plain));
    there.set_stock(Box::new(Shelf::of(&packed)));
    block_on(there.merge(merged(&[0.7]), &Cancel::default())).expect("merged");
    let expected = draw(&mut there);
    let Engine::Gpu(engine) = there.engine() else { panic!("not on the device") };
    if engine.context().capabilities().is_cpu {
        assert_eq!(expected, before);
    }
    assert!(like_before(&expected));
    let bytes = least(tier, manifest, shape(&request, manifest));
    let (mut away, _) = within(tier, &packed, bytes);
    assert_eq!(draw(&mut away), plain);
    for (what, pipeline) in [("where it stays", &mut there), ("within a limit", &mut away)] {
        let mut after = |strengths: &[f64]| {
            block_on(pipeline.merge(merged(strengths), &Cancel::default())).expect("merged");
            draw(pipeline)
        };
        assert_eq!(after(&[0.7]), expected, "{what}");
        assert_ne!(after(&[0.2]), expected, "{what}, another strength");
        assert_eq!(after(&[0.0, 0.7]), expected, "{what}, from the original again");
        assert_eq!(after(&[]), plain, "{what}, without");
    }
    // Where no original is to be had, that is said, and the model stays what it is.
    let mut lone = unlimited(tier, &packed);
    let error = block_on(lone.merge(merged(&[0.7]), &Cancel::default())).expect_err("refused");
    assert!(error.to_string().contains("not stored"), "{error}");
    assert_eq!(draw(&mut lone), plain);
}

/// What lies in five and four bits is read in eight while something is merged into it: where the model stays, within a limit that
/// has room for it, and on the processor. Where there is no room it stays in its own type, which is said.
#[test]
fn few_bits_are_merged_in_more_where_there_is_room() {
    let Some(tier) = own_tiers().next() else { return };
    let packed = Rc::new(Packed::of(&mini(), Some(WeightType::Q4)));
    let manifest = &packed.manifest;
    let request =
        Request { steps: 2, guidance: 2.0, width: 64, height: 64, preview_every: 0, ..mini_request() };
    let strength = Strength::of(0.2);
    let merged = |strength: &Strength| {
        let asked = Asked { strength: strength.clone(), ..lora(manifest, 0.0) };
        Rc::new(Merged::for_packed(vec![asked], manifest).expect("fits"))
    };
    let merge = |pipeline: &mut Pipeline, strength: &Strength| {
        block_on(pipeline.merge(merged(strength), &Cancel::default())).expect("merged");
    };
    // Behind each step, and what was said.
    let latents = |pipeline: &mut Pipeline| {
        let (mut dump, cancel) = (Dump::default(), Cancel::default());
        let mut quiet = |_| {};
        let made = block_on(pipeline.generate_with(&request, &mut quiet, &cancel, Some(&mut dump)));
        (["latents.1", "latents.2"].map(|name| dump.0[name].1.clone()), made.expect("a picture").notices)
    };
    let bytes = |pipeline: &mut Pipeline| pipeline.engine().used().bytes;
    let narrow = latents(&mut unlimited(tier, &changed(&packed, &merged(&strength)))).0;

    let mut there = unlimited(tier, &packed);
    there.set_stock(Box::new(Shelf::of(&packed)));
    let plain = latents(&mut there);
    let before = bytes(&mut there);
    merge(&mut there, &strength);
    let widened = there.widened().expect("narrow records");
    assert!(widened.has_room && widened.records > 8, "{widened:?}");
    let (expected, notices) = latents(&mut there);
    assert!(expected[1] != narrow[1] && expected[1] != plain.0[1] && notices.is_empty(), "{notices:?}");
    assert!(bytes(&mut there) >= before + widened.bytes);
    let mut cpu = Pipeline::on_cpu(manifest.clone(), packed.slabs.clone()).expect("a model");
    cpu.set_stock(Box::new(Shelf::of(&packed)));
    merge(&mut cpu, &strength);
    assert_eq!(cpu.widened(), Some(widened));
    let mut report = tier.report();
    report.compare("as on the processor", &expected[1], &latents(&mut cpu).0[1]);

    let limit = least(tier, manifest, shape(&request, manifest));
    let (mut wide, _) = within(tier, &packed, limit + widened.bytes);
    let (mut tight, _) = within(tier, &packed, limit);
    // In the second step, and in the UNet alone.
    let late =
        Strength { text: 0.0, during: During { start: Moment::of(2.0), end: None }, ..strength.clone() };
    for (what, pipeline) in [("there", &mut there), ("wide", &mut wide), ("tight", &mut tight)] {
        merge(pipeline, &strength);
        let (found, notices) = latents(pipeline);
        let has_room = what != "tight";
        assert_eq!(found[1] == expected[1], has_room, "{what}");
        assert_eq!(pipeline.widened().map(|widened| widened.has_room), Some(has_room), "{what}");
        assert_eq!(notices.iter().any(|notice| notice.contains("no room")), !has_room, "{notices:?}");
        merge(pipeline, &late);
        let (found, _) = latents(pipeline);
        report.compare(&format!("{what}, before it counts"), &found[0], &plain.0[0]);
        assert!(found[1] != plain.0[1], "{what}");
        block_on(pipeline.merge(Rc::default(), &Cancel::default())).expect("merged");
        assert!(latents(pipeline) == plain && pipeline.widened().is_none(), "{what}, without");
    }
    report.finish();
    assert_eq!(bytes(&mut there), before);
}

/// Where memory goes with the weights and where it stays, a run that changes them on its way ends the same, and as on the
/// processor.
#[test]
fn a_network_counts_in_some_steps_on_the_device() {
    let Some(tier) = own_tiers().next() else { return };
    let packed = Rc::new(Packed::of(&mini(), None));
    let manifest = &packed.manifest;
    let request = Request {
        prompt: "a red apple [on a blue:on a green:0.5] background".into(),
        steps: 4,
        guidance: 2.0,
        width: 64,
        height: 64,
        preview_every: 0,
        sampler: SamplerKind::DpmPlusPlus2M,
        ..mini_request()
    };
    let merged = |during: During| {
        let Asked { file, strength } = lora(manifest, 1.5);
        let asked = Asked { file, strength: Strength { during, ..strength } };
        Rc::new(Merged::for_packed(vec![asked], manifest).expect("fits"))
    };
    let run = |pipeline: &mut Pipeline, during: During| {
        block_on(pipeline.merge(merged(during), &Cancel::default())).expect("merged");
        let (mut dump, cancel) = (Dump::default(), Cancel::default());
        let mut quiet = |_| {};
        block_on(pipeline.generate_with(&request, &mut quiet, &cancel, Some(&mut dump))).expect("a picture");
        dump.0["latents.4"].1.clone()
    };
    let some = During { start: Moment::of(2.0), end: Moment::of(4.0) };
    let mut there = unlimited(tier, &packed);
    there.set_stock(Box::new(Shelf::of(&packed)));
    let turned = run(&mut there, some);
    assert_ne!(turned, run(&mut there, During::default()));
    assert_ne!(turned, run(&mut there, During { start: None, end: Moment::of(4.0) }));
    assert_eq!(turned, run(&mut there, some), "once more");
    let bytes = least(tier, manifest, Shape { states: 2, history: 1, ..shape(&request, manifest) });
    let (mut away, _) = within(tier, &packed, bytes);
    assert_eq!(run(&mut away, some), turned, "within a limit");
    let mut cpu = Pipeline::on_cpu(manifest.clone(), packed.slabs.clone()).expect("a model");
    cpu.set_stock(Box::new(Shelf::of(&packed)));
    let mut report = tier.report();
    report.compare("as on the processor", &turned, &run(&mut cpu, some));
    report.finish();
}
