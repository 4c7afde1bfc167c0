//! What ControlNets steer, on the CPU path, against diffusers; what they lie in; what is prepared anew, and what is refused.

mod common;

use std::collections::BTreeMap;

use common::controls::{ControlCase, Form, MODELS, value};
use common::pictures::drawn;
use common::report::Report;
use common::single::{Entries, Entry, write};
use common::{F32, model_folder};
use opengen::Error;
use opengen::cpu::Weights;
use opengen::image::{Rgba, encode_png};
use opengen::model;
use opengen::pipeline::engine::{Engine, Network};
use opengen::pipeline::recall::{Steered, from_file};
use opengen::pipeline::stages::Stages;
use opengen::pipeline::{Cancel, Control, Pipeline, Request};
use opengen::weights::{Component, ControlPart, ControlSource, LayoutOptions, ModelSource};
use pollster::block_on;
use safetensors::tensor::Dtype;

fn pipeline(case: &ControlCase) -> Pipeline {
    let (manifest, slabs) = case.packed(Form::Folder);
    Pipeline::on_cpu(manifest, slabs).expect("pipeline")
}

#[test]
fn residuals() {
    let mut report = Report::new(F32);
    for case in MODELS.map(ControlCase::of) {
        let (manifest, slabs) = case.packed(Form::Folder);
        let weights = Weights::new(&manifest, slabs).expect("weights");
        case.compare_residuals(&mut report, &Stages::on_cpu(&weights), &manifest.config);
    }
    report.finish();
}

#[test]
fn whole_runs() {
    let mut report = Report::new(F32);
    for case in MODELS.map(ControlCase::of) {
        case.compare_runs(&mut report, &mut pipeline(&case), |_| true);
    }
    report.finish();
}

/// Whatever a network lies in, it is the same one, to the byte.
#[test]
fn a_file_is_its_folder() {
    for case in MODELS.map(ControlCase::of) {
        let (folder, folder_slabs) = case.packed(Form::Folder);
        for form in Form::ALL {
            let (file, slabs) = case.packed(form);
            for (one, other) in file.config.controls.iter().zip(&folder.config.controls) {
                let other = opengen::config::ControlNetConfig { name: one.name.clone(), ..other.clone() };
                assert_eq!(*one, other, "{} {form:?}", case.model);
            }
            let find = |name: &str| file.record(name).unwrap_or_else(|| panic!("{form:?}: no {name}"));
            assert_eq!(file.records.len(), folder.records.len());
            for record in &folder.records {
                let other = find(&record.decl.name);
                assert_eq!((&record.decl, record.weight_type), (&other.decl, other.weight_type));
                let bytes = |slabs: &[Vec<u8>], record: &opengen::weights::PackedRecord| {
                    let from = record.values.offset as usize;
                    slabs[record.slab][from..from + record.values.len as usize].to_vec()
                };
                assert!(bytes(&folder_slabs, record) == bytes(&slabs, other), "{}", record.decl.name);
            }
        }
        let controls = folder.records.iter().map(|record| Component::of(&record.decl.name));
        let of = |index| controls.clone().filter(|component| *component == Component::Control(index)).count();
        assert!(of(0) > 50 && of(0) == of(1), "{}", case.model);
    }
}

/// At strength 0, or where it counts in no step, a map changes nothing; else it does.
#[test]
fn what_does_not_count_changes_nothing() {
    let case = ControlCase::of("sd1");
    let golden = case.golden();
    let (alone, mut steered) = (case.request(), pipeline(&case));
    let control = Control::new(0, common::pictures::rgba(&golden, "map.a"), 1.0);
    let run = |pipeline: &mut Pipeline, controls: Vec<Control>| {
        drawn(pipeline, &Request { controls, ..alone.clone() })
    };
    let source = ModelSource::open(&model_folder("sd1")).expect("a model");
    let decls = model::weight_decls(source.config());
    let (manifest, slabs) =
        opengen::weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let (plain, _) = run(&mut Pipeline::on_cpu(manifest, slabs).expect("pipeline"), Vec::new());
    let last = format!("latents.{}", alone.steps);
    for none in [
        vec![],
        vec![Control { strength: 0.0, ..control.clone() }],
        vec![Control { start: 0.5, end: 0.51, ..control.clone() }],
    ] {
        let (output, dump) = run(&mut steered, none);
        assert!(output.images[0].pixels == plain.images[0].pixels);
        assert!(!dump.0.contains_key("control.0"));
    }
    let (output, dump) = run(&mut steered, vec![control.clone()]);
    assert!(output.images[0].pixels != plain.images[0].pixels);
    // Steps before it begins are those of a run without.
    let (_, late) = run(&mut steered, vec![Control { start: 0.5, ..control.clone() }]);
    let (_, without) = run(&mut steered, Vec::new());
    assert_eq!(value(&late, "latents.3"), value(&without, "latents.3"));
    assert_ne!(value(&late, "latents.4"), value(&without, "latents.4"));
    assert_ne!(value(&late, &last), value(&dump, &last));
}

fn built_so_far(pipeline: &mut Pipeline) -> BTreeMap<Network, usize> {
    let Engine::Cpu(engine) = pipeline.engine() else { panic!("not on the processor") };
    engine.built().clone()
}

/// Another map, another strength, another time to begin: nothing is prepared again.
#[test]
fn nothing_is_prepared_again_for_another_map_or_strength() {
    let case = ControlCase::of("sd2");
    let golden = case.golden();
    let map = |name: &str| common::pictures::rgba(&golden, name);
    let mut pipeline = pipeline(&case);
    let mut run = |controls: Vec<Control>| {
        drawn(&mut pipeline, &Request { controls, ..case.request() });
        built_so_far(&mut pipeline)
    };
    let first = run(vec![Control::new(0, map("map.a"), 1.0)]);
    assert_eq!((first[&Network::Control(0)], first[&Network::Hint(0)], first[&Network::Denoiser]), (1, 1, 1));
    let another = Control { start: 0.2, end: 0.9, ..Control::new(0, map("map.b"), 0.3) };
    assert_eq!(run(vec![another.clone()]), first);
    let both = run(vec![another.clone(), Control::new(1, map("map.a"), 1.0)]);
    for (network, times) in &both {
        let anew = matches!(
            network,
            Network::Denoiser | Network::Control(1) | Network::ControlKeysValues(1) | Network::Hint(1)
        );
        let before = first.get(network).copied().unwrap_or_default();
        assert_eq!(*times, before + usize::from(anew), "{network:?}");
    }
}

/// A batch is its pictures, each by itself.
#[test]
fn a_batch_is_steered_as_each_of_its_pictures() {
    let case = ControlCase::of("sd1");
    let golden = case.golden();
    let run = case.runs.iter().find(|run| run.run == "important two").expect("a run");
    let (alone, mut pipeline) = (case.request_of(run, &golden), pipeline(&case));
    let last = format!("latents.{}", alone.steps);
    let (_, both) = drawn(&mut pipeline, &Request { batch: 2, ..alone.clone() });
    let both = value(&both, &last);
    let mut report = Report::new(F32);
    for (i, together) in both.chunks(both.len() / 2).enumerate() {
        let (_, one) = drawn(&mut pipeline, &Request { seed: alone.seed + i as u64, ..alone.clone() });
        report.compare(&format!("picture {i}"), together, &value(&one, &last));
    }
    report.finish();
}

/// Tiles, each with its part of the map.
#[test]
fn windows_see_their_part_of_the_map() {
    let mut report = Report::new(1e-5);
    let case = ControlCase::of("sd1");
    case.compare_windows(&mut report, &mut pipeline(&case));
    report.finish();
}

/// One that comes when the model has drawn already steers as one that came with it.
#[test]
fn a_control_network_joins_a_model_in_use() {
    let case = ControlCase::of("sd2");
    let golden = case.golden();
    let request = case.request_of(&case.runs[0], &golden);
    let (wanted, _) = drawn(&mut pipeline(&case), &request);
    let (whole, mut slabs) = case.packed(Form::File);
    let source = ModelSource::open(&model_folder("sd2")).expect("a model");
    let decls = model::weight_decls(source.config());
    let (own, own_slabs) =
        opengen::weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let mut later = Pipeline::on_cpu(own.clone(), own_slabs).expect("pipeline");
    let (before, _) = drawn(&mut later, &case.request());
    later.join_on_cpu(whole.into(), slabs.split_off(own.slabs.len())).expect("it joins");
    assert!(drawn(&mut later, &request).0.images[0].pixels == wanted.images[0].pixels);
    assert!(drawn(&mut later, &case.request()).0.images[0].pixels == before.images[0].pixels);
}

/// A file and a folder, a map and what one is made of: as the command line has them, in its picture's text and in its dump.
#[test]
fn the_command_line_steers() {
    let case = ControlCase::of("sd1");
    let out = tempfile::tempdir().expect("a folder");
    let [file, folder] = [Form::File, Form::Folder].map(|form| case.write("a", form, out.path()));
    let map = out.path().join("map.png");
    let picture = common::pictures::rgba(&case.golden(), "map.a");
    std::fs::write(&map, encode_png(&picture, &[]).expect("a PNG")).expect("written");
    let control = |model: &std::path::Path, rest: &str, how: &str| {
        format!("{}:{how}{}{rest}", model.display(), map.display())
    };
    let run = |controls: &[String]| {
        let [png, dump] = ["out.png", "out.safetensors"].map(|name| out.path().join(name));
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_opengen"));
        command
            .args(["generate", "--cpu", "--prompt", "a dog", "--size", "40x32", "--steps", "3", "--model"]);
        command.arg(model_folder("sd1")).arg("--out").arg(&png).arg("--dump").arg(&dump);
        controls.iter().for_each(|control| _ = command.args(["--control", control]));
        let output = command.output().expect("runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(told);
        }
        let settings = from_file(&std::fs::read(&png).expect("a PNG")).expect("settings");
        let dump = candle_core::safetensors::load(&dump, &candle_core::Device::Cpu).expect("a dump");
        Ok((settings.controls, dump))
    };
    let (steered, dump) =
        run(&[control(&file, ":0.8:0-0.6:control", "canny,50,150="), control(&folder, "", "")])
            .expect("drawn");
    let name = |steered: &Steered| (steered.model.clone().unwrap(), steered.preprocessor.clone().unwrap());
    assert_eq!(
        steered.iter().map(name).collect::<Vec<_>>(),
        [("a.File".into(), "canny,50,150".into()), ("a".to_string(), "none".to_string())]
    );
    assert_eq!(
        (steered[0].strength, steered[0].end, steered[0].importance),
        (Some(0.8), Some(0.6), Some("control"))
    );
    let map = |name: &str| common::values(&dump[name]);
    assert!(map("control.0").iter().all(|value| [0.0, 1.0].contains(value)), "edges are black and white");
    let planes: Vec<u8> = map("control.1").iter().map(|value| (value * 255.0).round() as u8).collect();
    assert_eq!(planes[..40], picture.pixels.iter().step_by(4).copied().collect::<Vec<_>>()[..40]);
    let (_, alone) = run(&[]).expect("drawn");
    assert_ne!(common::values(&alone["latents.3"]), common::values(&dump["latents.3"]));
    let told = run(&[control(&model_folder("sd1"), "", "")]).map(|_| ()).expect_err("no ControlNet");
    assert!(told.contains("config.json"), "{told}");
}

fn refused(pipeline: &mut Pipeline, request: &Request) -> String {
    let run = block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()));
    run.map(|_| ()).expect_err("refused").to_string()
}

#[test]
fn maps_without_a_network_and_numbers_out_of_range_are_refused() {
    let case = ControlCase::of("sd2");
    let mut pipeline = pipeline(&case);
    let map = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
    let control = Control::new(0, map, 1.0);
    let mut said = |controls: Vec<Control>| refused(&mut pipeline, &Request { controls, ..case.request() });
    assert!(
        said(vec![Control { model: 2, ..control.clone() }])
            .contains("ControlNet 3 is asked for, and there are 2")
    );
    assert!(said(vec![Control { strength: 2.5, ..control.clone() }]).contains("expected 0 to 2"));
    assert!(said(vec![Control { strength: f64::NAN, ..control.clone() }]).contains("expected 0 to 2"));
    assert!(said(vec![Control { start: 0.7, end: 0.2, ..control.clone() }]).contains("from 0.7 to 0.2"));
    assert!(said(vec![control.clone(); 5]).contains("at most 4"));
    let source = ModelSource::open(&model_folder("sd2")).expect("a model");
    let decls = model::weight_decls(source.config());
    let (manifest, slabs) =
        opengen::weights::load(&source, &decls, LayoutOptions::default()).expect("weights");
    let mut plain = Pipeline::on_cpu(manifest, slabs).expect("pipeline");
    let told = refused(&mut plain, &Request { controls: vec![control], ..case.request() });
    assert!(told.contains("no ControlNet to read it"), "{told}");
}

/// Of another family, of another kind, broken.
#[test]
fn what_is_no_control_network_of_the_model_is_refused() {
    let out = tempfile::tempdir().expect("a folder");
    let one = ControlCase::of("sd1");
    let source = ModelSource::open(&model_folder("sd2")).expect("a model");
    let decls = model::weight_decls(source.config());
    let mut manifest = source.manifest(&decls, LayoutOptions::default()).expect("a manifest");
    let before = manifest.clone();
    let other = ControlSource::open(&one.write("a", Form::Folder, out.path())).expect("a ControlNet");
    let options = LayoutOptions::default();
    let joined = ControlPart::join(other, &mut manifest, model::control_decls, options);
    let error = joined.map(|_| ()).expect_err("refused");
    let told = error.to_string();
    for part in ["the ControlNet a with the model sd2", "another family", "32, 32, 32", "8, 16, 24, 24"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(matches!(error, Error::Unsupported { .. }) && manifest == before);

    let open = |name: &str, change: &dyn Fn(&mut Entries)| {
        let mut entries = one.entries("a", Form::File);
        change(&mut entries);
        let path = out.path().join(name);
        write(&entries, &path);
        let source = ControlSource::open(&path)?;
        let model = ModelSource::open(&model_folder("sd1"))?;
        let mut manifest = model.manifest(&model::weight_decls(model.config()), LayoutOptions::default())?;
        ControlPart::join(source, &mut manifest, model::control_decls, options).map(|_| ())
    };
    let said = |name: &str, change: &dyn Fn(&mut Entries)| open(name, change).expect_err(name).to_string();
    let zeros = || Entry::zeros(Dtype::F16, &[4]);
    open("whole.safetensors", &|_| {}).expect("it fits");
    let xl = said("xl.safetensors", &|entries| {
        entries.insert("control_model.label_emb.0.0.weight".to_string(), zeros());
    });
    assert!(xl.contains("a ControlNet for Stable Diffusion XL"), "{xl}");
    let difference = said("difference.safetensors", &|entries| {
        entries.insert("difference".to_string(), zeros());
    });
    assert!(difference.contains("a ControlNet as a difference"), "{difference}");
    let lora = said("lora.safetensors", &|entries| {
        entries.insert("lora_controlnet".to_string(), zeros());
    });
    assert!(lora.contains("a Control-LoRA"), "{lora}");
    let lacking = said("lacking.safetensors", &|entries| {
        entries.remove("control_model.zero_convs.1.0.weight");
    });
    assert!(lacking.contains("control.controlnet_down_blocks.1.weight"), "{lacking}");
    let none = said("none.safetensors", &|entries| {
        entries.retain(|name, _| !name.contains("input_hint_block") && !name.contains("zero_convs"));
    });
    assert!(none.contains("none.safetensors"), "{none}");
    // And what is one is no model.
    let error = ModelSource::open(&one.write("a", Form::File, out.path())).expect_err("no model");
    assert!(error.to_string().contains("a ControlNet: it steers a model"), "{error}");
    let error = ControlSource::open(&model_folder("sd1")).expect_err("no ControlNet");
    assert!(error.to_string().contains("config.json"), "{error}");
}
