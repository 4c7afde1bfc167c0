//! LoRAs merged into a model on the device: where it stays, and within a limit of memory.

use std::rc::Rc;

use opengen::pipeline::stock::Stock;
use opengen::pipeline::{Cancel, Pipeline, Request};
use opengen::weights::{Asked, LoraFile, Manifest, Merged, Strength};
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
    let expected = draw(&mut unlimited(tier, &changed(&packed, &merged(&[0.7]))));

    let mut there = unlimited(tier, &packed);
    let plain = draw(&mut there);
    assert_ne!(expected, plain);
    let shelf = Shelf::of(&packed);
    let bytes = least(tier, manifest, shape(&request, manifest));
    let (mut away, _) = within(tier, &packed, bytes);
    assert_eq!(draw(&mut away), plain);
    for (what, pipeline, stock) in
        [("where it stays", &mut there, Some(&shelf as &dyn Stock)), ("within a limit", &mut away, None)]
    {
        let mut after = |strengths: &[f64]| {
            block_on(pipeline.merge(merged(strengths), stock, &Cancel::default())).expect("merged");
            draw(pipeline)
        };
        assert_eq!(after(&[0.7]), expected, "{what}");
        assert_ne!(after(&[0.2]), expected, "{what}, another strength");
        assert_eq!(after(&[0.0, 0.7]), expected, "{what}, from the original again");
        assert_eq!(after(&[]), plain, "{what}, without");
    }
    // Where no original is to be had, that is said, and the model stays what it is.
    let error = block_on(there.merge(merged(&[0.7]), None, &Cancel::default())).expect_err("refused");
    assert!(error.to_string().contains("not stored"), "{error}");
    assert_eq!(draw(&mut there), plain);
}
