//! Graphs of ComfyUI's, read and written.

mod words;
mod written;

use serde_json::{Value, json};

use super::super::comfyui::from_text;
use super::png_of;
use crate::image::Rgba;
use crate::image::texts_tests::{exif, webp};
use crate::pipeline::Picture;
use crate::pipeline::recall::{Second, Settings, Steered, from_file};
use crate::prompt::Dialect;
use crate::sample::SamplerOptions;

/// A text-to-image graph as ComfyUI saves it; the numbers are wires.
const GRAPH: &str = r#"{
    "3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 20, "cfg": 8.0, "sampler_name": "dpmpp_2m",
        "scheduler": "karras", "denoise": 1.0, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0],
        "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15/v1-5.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "6": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["8", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
    "8": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["4", 1]}},
    "9": {"class_type": "PrimitiveString", "inputs": {"value": "a red apple"}},
    "10": {"class_type": "LoraLoader", "inputs": {"model": ["4", 0], "is_changed": NaN}}}"#;

/// What ComfyUI begins with where there is no picture: noise of √(1 + σ²).
fn from_nothing() -> SamplerOptions {
    SamplerOptions { sgm_noise_multiplier: Some(true), ..SamplerOptions::default() }
}

#[test]
fn a_plain_graph_of_comfyui() -> crate::Result<()> {
    let prefixed = format!("prompt:{GRAPH}\0");
    for file in [png_of("prompt", GRAPH), webp(&exif(false, 0x0110, prefixed.as_bytes()))] {
        let settings = from_file(&file)?;
        let expected = Settings {
            prompt: Some("a red apple".to_string()),
            negative_prompt: Some("ugly".to_string()),
            dialect: Some(Dialect::ComfyUi),
            steps: Some(20),
            guidance: Some(8.0),
            seed: Some("42".to_string()),
            sampler: Some("dpm++-2m"),
            schedule: Some("karras"),
            rng: Some("torch"),
            width: Some(512),
            height: Some(768),
            model: Some("v1-5".to_string()),
            sampler_options: Some(from_nothing()),
            notices: settings.notices.clone(),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
        assert!(settings.notices[0].starts_with("Made by ComfyUI"), "{:?}", settings.notices);
        assert_eq!(settings.notices[1..], ["Not used here: ConditioningZeroOut, LoraLoader."]);
        assert_eq!(from_file(GRAPH.as_bytes())?, settings, "a file of the graph alone");
    }
    Ok(())
}

#[test]
fn other_graphs_of_comfyui_say_what_they_are() -> crate::Result<()> {
    let bare = from_file(&png_of("prompt", r#"{"3":{"class_type":"KSampler","inputs":{"seed":42}}}"#))?;
    assert_eq!((bare.prompt, bare.seed.as_deref(), bare.steps), (None, Some("42"), None));
    assert!(
        bare.notices.join(" ").contains("Made by ComfyUI")
            && bare.notices.join(" ").contains("what is typed stays")
    );
    // A ring of wires, and one that leads nowhere.
    let ring = r#"{"1":{"class_type":"KSampler","inputs":{"positive":["2",0],"negative":["9",0],"denoise":0.5,
        "steps":20,"latent_image":["2",0],"model":["2",0]}},
        "2":{"class_type":"X","inputs":{"conditioning":["2",0],"samples":["2",0],"model":["2",0],"clip":["2",0]}}}"#;
    let ring = from_file(&png_of("prompt", ring))?;
    assert_eq!(ring.prompt, None);
    assert!(ring.notices.iter().any(|notice| notice.contains("from another picture")), "{:?}", ring.notices);
    for other in [
        r#"{"1":{"class_type":"SaveImage"}}"#,
        r#"{"1":{"class_type":"KSamplerSelect","inputs":{"sampler_name":"euler"}}}"#,
        "[1]",
        "{\"a\":",
        "no graph",
    ] {
        let error = from_file(&png_of("prompt", other)).unwrap_err().to_string();
        assert!(error.contains("ComfyUI"), "{other}: {error}");
    }
    Ok(())
}

/// A sampler of 20 steps and what every graph has, with nodes that are added or put in the place of these.
fn with(others: Value) -> Settings {
    let mut nodes = json!({
        "ckpt": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
        "empty": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "yes": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": ["ckpt", 1]}},
        "no": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["ckpt", 1]}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["decode", 0]}},
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": ["k", 0], "vae": ["ckpt", 2]}},
    });
    let all = nodes.as_object_mut().expect("nodes");
    all.insert("k".to_string(), sampler(json!({})));
    for (id, node) in others.as_object().expect("nodes") {
        all.insert(id.clone(), node.clone());
    }
    from_text(&nodes.to_string()).expect("settings")
}

fn sampler(inputs: Value) -> Value {
    let mut node = json!({"class_type": "KSampler", "inputs": {
        "seed": 42, "steps": 20, "cfg": 7.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
        "model": ["ckpt", 0], "positive": ["yes", 0], "negative": ["no", 0], "latent_image": ["empty", 0]}});
    for (name, value) in inputs.as_object().expect("inputs") {
        node["inputs"][name] = value.clone();
    }
    node
}

fn node(class: &str, inputs: Value) -> Value {
    json!({"class_type": class, "inputs": inputs})
}

/// What is said beside that it is ComfyUI's.
fn said(settings: &Settings) -> &[String] {
    &settings.notices[1..]
}

#[test]
fn loras_are_tags_in_the_order_in_which_they_are_applied() {
    let settings = with(json!({
        "l1": node("LoraLoader", json!({"model": ["ckpt", 0], "clip": ["ckpt", 1], "lora_name": "kohya\\shiny one.safetensors",
            "strength_model": 0.8, "strength_clip": 0.5})),
        "l2": node("LoraLoaderModelOnly", json!({"model": ["l1", 0], "lora_name": "round.safetensors", "strength_model": 1.0})),
        "l3": node("LoraLoader", json!({"model": ["l2", 0], "clip": ["l1", 1], "lora_name": "last.pt",
            "strength_model": 0.25, "strength_clip": 0.25})),
        "skip": node("CLIPSetLastLayer", json!({"clip": ["l3", 1], "stop_at_clip_layer": -2})),
        "yes": node("CLIPTextEncode", json!({"text": "a red apple", "clip": ["skip", 0]})),
        "k": sampler(json!({"model": ["l3", 0]})),
    }));
    assert_eq!(
        settings.prompt.as_deref(),
        Some("a red apple <lora:shiny one:0.5:0.8> <lora:round:0:1> <lora:last:0.25>")
    );
    assert_eq!(
        settings.loras.iter().map(|lora| lora.name.as_str()).collect::<Vec<_>>(),
        ["shiny one", "round", "last"]
    );
    assert_eq!(settings.model.as_deref(), Some("v1-5"));
    assert_eq!(settings.clip_skip, Some(2));
    assert_eq!(said(&settings), &[] as &[String]);
    // The text is read without it, and one that only the text has.
    let settings = with(json!({
        "l1": node("LoraLoader", json!({"model": ["ckpt", 0], "clip": ["ckpt", 1], "lora_name": "a.safetensors",
            "strength_model": 0.8, "strength_clip": 0.5})),
        "l2": node("LoraLoader", json!({"model": ["ckpt", 0], "clip": ["ckpt", 1], "lora_name": "b.safetensors",
            "strength_model": 0.8, "strength_clip": 0.5})),
        "yes": node("CLIPTextEncode", json!({"text": "a", "clip": ["l2", 1]})),
        "k": sampler(json!({"model": ["l1", 0]})),
    }));
    assert_eq!(settings.prompt.as_deref(), Some("a <lora:b:0.5:0> <lora:a:0:0.8>"));
    // A stack of others' making is named.
    let settings = with(json!({
        "l1": node("Power Lora Loader (rgthree)", json!({"model": ["ckpt", 0], "clip": ["ckpt", 1]})),
        "k": sampler(json!({"model": ["l1", 0]})),
    }));
    assert_eq!(said(&settings), ["Not used here: Power Lora Loader (rgthree)."]);
    assert_eq!(settings.model.as_deref(), Some("v1-5"));
}

#[test]
fn a_second_sampler_is_a_second_pass() {
    let second = |more: Value| {
        let mut inputs = json!({"latent_image": ["up", 0], "denoise": 0.5, "steps": 12});
        for (name, value) in more.as_object().expect("inputs") {
            inputs[name] = value.clone();
        }
        sampler(inputs)
    };
    let hires = |scale, upscaler| {
        Some(Second { scale, strength: Some(0.5), steps: Some(12), upscaler: Some(upscaler) })
    };
    let by =
        node("LatentUpscaleBy", json!({"samples": ["k", 0], "upscale_method": "bilinear", "scale_by": 1.5}));
    let settings = with(json!({"up": by, "k2": second(json!({}))}));
    assert_eq!((settings.hires, settings.steps), (hires(1.5, "latent"), Some(20)));
    assert_eq!((settings.width, settings.strength), (Some(512), None));
    assert!(said(&settings).is_empty(), "{:?}", settings.notices);

    let to = |method: &str, width: u32, height: u32| {
        node(
            "LatentUpscale",
            json!({"samples": ["k", 0], "upscale_method": method, "width": width, "height": height, "crop": "disabled"}),
        )
    };
    let settings = with(json!({"up": to("nearest-exact", 1024, 1536), "k2": second(json!({"steps": 20}))}));
    let same = Second { steps: None, ..hires(2.0, "latent-nearest-exact").expect("one") };
    assert_eq!((settings.hires, said(&settings).len()), (Some(same), 0));
    let settings = with(json!({"up": to("bislerp", 1024, 0), "k2": second(json!({"seed": 43, "cfg": 3}))}));
    assert_eq!(settings.hires, hires(2.0, "latent"));
    assert_eq!(
        said(&settings),
        [
            "There is no upscaler “bislerp” here; Latent stands for it.",
            "Its second pass has another seed, guidance; here it has the first one's."
        ]
    );
    let settings = with(json!({"up": to("bilinear", 1024, 1024), "k2": second(json!({}))}));
    assert_eq!((settings.hires, said(&settings)[0].contains("another shape")), (hires(2.0, "latent"), true));

    // Pixels: by Lanczos; by a network, and then to a size.
    let pixels = |up: Value, more: Value| {
        let mut all = json!({
            "small": node("VAEDecode", json!({"samples": ["k", 0], "vae": ["ckpt", 2]})),
            "large": up,
            "up": node("VAEEncode", json!({"pixels": ["large", 0], "vae": ["ckpt", 2]})),
            "k2": second(json!({})),
        });
        for (id, node) in more.as_object().expect("nodes") {
            all[id] = node.clone();
        }
        with(all)
    };
    let settings = pixels(
        node("ImageScaleBy", json!({"image": ["small", 0], "upscale_method": "lanczos", "scale_by": 2})),
        json!({}),
    );
    assert_eq!((settings.hires, said(&settings).len()), (hires(2.0, "lanczos"), 0));
    let network = json!({
        "net": node("UpscaleModelLoader", json!({"model_name": "RealESRGAN_x4plus.pth"})),
        "big": node("ImageUpscaleWithModel", json!({"upscale_model": ["net", 0], "image": ["small", 0]})),
    });
    let trim = node("ImageScaleBy", json!({"image": ["big", 0], "upscale_method": "area", "scale_by": 0.5}));
    let settings = pixels(trim, network.clone());
    assert_eq!(settings.hires, hires(2.0, "lanczos"));
    assert!(
        said(&settings).iter().any(|text| text.contains("“RealESRGAN_x4plus.pth”")),
        "{:?}",
        settings.notices
    );
    let settings = pixels(network["big"].clone(), network.clone());
    assert_eq!(settings.hires.map(|second| second.scale), Some(4.0));

    // Two samplers in one run, and a third: not read, and said.
    let settings = with(json!({"k2": second(json!({"latent_image": ["k", 0]}))}));
    assert_eq!(
        (settings.hires, said(&settings)),
        (None, &["Its graph has 2 samplers, of which one was read.".to_string()][..])
    );
}

#[test]
fn what_a_picture_was_made_from_is_said_and_the_same_steps_are_taken() {
    let from = |denoise: Value| {
        with(json!({
            "image": node("LoadImage", json!({"image": "a.png"})),
            "encode": node("VAEEncode", json!({"pixels": ["image", 0], "vae": ["ckpt", 2]})),
            "k": sampler(json!({"latent_image": ["encode", 0], "denoise": denoise})),
        }))
    };
    for (denoise, steps, strength) in [(0.5, 40, 0.5), (0.6, 33, 0.607), (0.75, 26, 0.77), (1.0, 20, 1.0)] {
        let settings = from(json!(denoise));
        assert_eq!((settings.steps, settings.strength), (Some(steps), Some(strength)), "{denoise}");
        let image = Rgba { width: 1, height: 1, pixels: vec![0; 4] };
        let taken = Picture::new(image, strength).taken(steps as usize);
        assert_eq!((taken.total, taken.count()), (steps as usize, 20), "{denoise}");
        assert!(said(&settings).iter().any(|text| text.contains("which its file does not hold")));
        assert_eq!((settings.width, settings.hires), (None, None));
    }
    let settings = with(json!({
        "image": node("LoadImage", json!({"image": "a.png"})),
        "large": node("ImageScale", json!({"image": ["image", 0], "upscale_method": "lanczos", "width": 640, "height": 448, "crop": "center"})),
        "encode": node("VAEEncodeForInpaint", json!({"pixels": ["large", 0], "vae": ["ckpt", 2], "mask": ["image", 1], "grow_mask_by": 6})),
        "k": sampler(json!({"latent_image": ["encode", 0]})),
    }));
    assert_eq!((settings.width, settings.height, settings.strength), (Some(640), Some(448), Some(1.0)));
    assert!(said(&settings)[0].contains("where a mask is white"), "{:?}", settings.notices);
    let advanced = |start: u32, end: u32| {
        with(json!({
            "image": node("LoadImage", json!({"image": "a.png"})),
            "encode": node("VAEEncode", json!({"pixels": ["image", 0], "vae": ["ckpt", 2]})),
            "k": node("KSamplerAdvanced", json!({"add_noise": "enable", "noise_seed": 7, "steps": 30, "cfg": 5.0,
                "sampler_name": "dpmpp_2m", "scheduler": "karras", "start_at_step": start, "end_at_step": end,
                "return_with_leftover_noise": "disable", "model": ["ckpt", 0], "positive": ["yes", 0],
                "negative": ["no", 0], "latent_image": ["encode", 0]})),
        }))
    };
    let settings = advanced(18, 10000);
    assert_eq!(
        (settings.seed.as_deref(), settings.steps, settings.strength),
        (Some("7"), Some(30), Some(0.4))
    );
    assert!(advanced(18, 25).notices.iter().any(|text| text.contains("stops before its last step")));
    let nothing = with(json!({"k": sampler(json!({"denoise": 0.5}))}));
    assert_eq!((nothing.steps, nothing.strength), (Some(20), None));
    assert!(said(&nothing)[0].contains("the last 20 of 40 steps from nothing"), "{:?}", nothing.notices);
    let batch =
        with(json!({"empty": node("EmptyLatentImage", json!({"width": 64, "height": 64, "batch_size": 4}))}));
    assert!(said(&batch)[0].contains("one of 4"), "{:?}", batch.notices);
}

#[test]
fn maps_that_steered_it_are_read() {
    let settings = with(json!({
        "net": node("ControlNetLoader", json!({"control_net_name": "control_v11p_sd15_canny.pth"})),
        "photo": node("LoadImage", json!({"image": "a.png"})),
        "map": node("CannyEdgePreprocessor", json!({"image": ["photo", 0], "low_threshold": 50, "high_threshold": 150, "resolution": 512})),
        "apply": node("ControlNetApplyAdvanced", json!({"positive": ["yes", 0], "negative": ["no", 0], "control_net": ["net", 0],
            "image": ["map", 0], "strength": 0.8, "start_percent": 0.0, "end_percent": 0.6})),
        "other": node("ControlNetApply", json!({"conditioning": ["apply", 0], "control_net": ["net", 0], "image": ["depth", 0], "strength": 3.0})),
        "depth": node("MiDaS-DepthMapPreprocessor", json!({"image": ["photo", 0]})),
        "k": sampler(json!({"positive": ["other", 0], "negative": ["apply", 1]})),
    }));
    let steered = |preprocessor: Option<&str>, strength, start, end| Steered {
        model: Some("control_v11p_sd15_canny".to_string()),
        preprocessor: preprocessor.map(str::to_string),
        strength: Some(strength),
        start,
        end,
        importance: None,
        resize: None,
    };
    assert_eq!(
        settings.controls,
        [steered(Some("canny,50,150"), 0.8, Some(0.0), Some(0.6)), steered(None, 2.0, None, None)]
    );
    assert_eq!(settings.negative_prompt.as_deref(), Some("ugly"));
    let said = settings.notices.join("\n");
    for words in [
        "a map, which its file does not hold",
        "no preprocessor “MiDaS-DepthMapPreprocessor”",
        "counts up to 2",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_sampler_in_parts_is_read() {
    let settings = with(json!({
        "k": node("SamplerCustomAdvanced", json!({"noise": ["noise", 0], "guider": ["cfg", 0], "sampler": ["select", 0],
            "sigmas": ["levels", 0], "latent_image": ["empty", 0]})),
        "noise": node("RandomNoise", json!({"noise_seed": 9})),
        "cfg": node("CFGGuider", json!({"model": ["ckpt", 0], "positive": ["yes", 0], "negative": ["no", 0], "cfg": 4.0})),
        "select": node("KSamplerSelect", json!({"sampler_name": "dpmpp_2m"})),
        "levels": node("BasicScheduler", json!({"model": ["ckpt", 0], "scheduler": "karras", "steps": 15, "denoise": 1.0})),
    }));
    let Settings { seed, steps, guidance, sampler, schedule, prompt, negative_prompt, .. } = &settings;
    assert_eq!((seed.as_deref(), *steps, *guidance), (Some("9"), Some(15), Some(4.0)));
    assert_eq!((*sampler, *schedule), (Some("dpm++-2m"), Some("karras")));
    assert_eq!((prompt.as_deref(), negative_prompt.as_deref()), (Some("a red apple"), Some("ugly")));
    assert!(said(&settings).is_empty(), "{:?}", settings.notices);
}

/// Names and inputs as ComfyUI's `nodes_custom_sampler.py` and `nodes_align_your_steps.py` have them.
#[test]
fn samplers_with_options_of_their_own() {
    let of = |select: Value, more: Value| {
        let mut nodes = json!({
            "k": node("SamplerCustomAdvanced", json!({"noise": ["noise", 0], "guider": ["basic", 0], "sampler": ["select", 0],
                "sigmas": ["levels", 0], "latent_image": ["empty", 0]})),
            "noise": node("RandomNoise", json!({"noise_seed": 9})),
            "basic": node("BasicGuider", json!({"model": ["ckpt", 0], "conditioning": ["yes", 0]})),
            "select": select,
            "levels": node("AlignYourStepsScheduler", json!({"model_type": "SD1", "steps": 10, "denoise": 1.0})),
        });
        for (id, node) in more.as_object().expect("nodes") {
            nodes[id] = node.clone();
        }
        with(nodes)
    };
    let sde = |heun: &str, device: &str| {
        node(
            "SamplerDPMPP_2M_SDE",
            json!({"solver_type": heun, "eta": 0.5, "s_noise": 1.0, "noise_device": device}),
        )
    };
    let settings = of(sde("midpoint", "cpu"), json!({}));
    assert_eq!((settings.sampler, settings.schedule), (Some("dpm++-2m-sde"), Some("align-your-steps")));
    let expected = SamplerOptions { eta: Some(0.5), ..from_nothing() };
    assert_eq!((settings.sampler_options, settings.guidance), (Some(expected), Some(1.0)));
    // Without guidance the negative prompt is not wired.
    assert_eq!((settings.prompt.as_deref(), settings.negative_prompt), (Some("a red apple"), None));
    assert_eq!(settings.notices[1..], ["Not used here: CLIPTextEncode."]);
    let named = of(node("KSamplerSelect", json!({"sampler_name": "dpmpp_2m_sde_gpu"})), json!({}));
    assert!(said(&named)[0].contains("on the graphics card"), "{:?}", named.notices);
    let settings = of(sde("heun", "gpu"), json!({}));
    assert_eq!(settings.sampler, Some("dpm++-2m-sde-heun"));
    assert!(said(&settings)[0].contains("on the graphics card"), "{:?}", settings.notices);
    for (class, inputs, name) in [
        ("SamplerEulerAncestral", json!({"eta": 1.0, "s_noise": 1.0}), "euler-a"),
        ("SamplerLMS", json!({"order": 4}), "lms"),
        ("SamplerDPMPP_2S_Ancestral", json!({"eta": 1.0, "s_noise": 1.0}), "dpm++-2s-a"),
        (
            "SamplerDPMPP_SDE",
            json!({"eta": 1.0, "s_noise": 1.0, "r": 0.5, "noise_device": "cpu"}),
            "dpm++-sde",
        ),
        ("SamplerDPMPP_3M_SDE", json!({"eta": 1.0, "s_noise": 1.0, "noise_device": "cpu"}), "dpm++-3m-sde"),
        (
            "SamplerER_SDE",
            json!({"solver_type": "ER-SDE", "max_stage": 3, "eta": 1.0, "s_noise": 1.0}),
            "er-sde",
        ),
    ] {
        let settings = of(node(class, inputs), json!({}));
        assert_eq!(
            (settings.sampler, settings.sampler_options),
            (Some(name), Some(from_nothing())),
            "{class}"
        );
        assert_eq!(settings.notices.len(), 2, "{:?}", settings.notices);
    }
    let settings =
        of(node("SamplerLMS", json!({"order": 3})), json!({"noise": node("DisableNoise", json!({}))}));
    assert!(settings.notices.join(" ").contains("SamplerLMS’s order is 3; here it is always 4"));
    assert!(settings.notices.join(" ").contains("adds no noise"));
    // What cuts levels is named; the node before it is read.
    let split = json!({"split": node("SplitSigmas", json!({"sigmas": ["levels", 0], "step": 5})),
        "k": node("SamplerCustom", json!({"model": ["ckpt", 0], "add_noise": false, "noise_seed": 7, "cfg": 5.0, "positive": ["yes", 0],
            "negative": ["no", 0], "sampler": ["select", 0], "sigmas": ["split", 1], "latent_image": ["empty", 0]}))});
    let settings = of(node("KSamplerSelect", json!({"sampler_name": "euler"})), split);
    assert_eq!((settings.steps, settings.schedule), (Some(10), Some("align-your-steps")));
    assert!(settings.notices.join(" ").contains("SplitSigmas"), "{:?}", settings.notices);
    assert!(settings.notices.join(" ").contains("adds no noise"), "{:?}", settings.notices);
}

/// Levels by a node of their own.
#[test]
fn a_schedule_that_is_a_node() {
    let settings = with(json!({
        "select": node("KSamplerSelect", json!({"sampler_name": "euler"})),
        "levels": node("KarrasScheduler", json!({"steps": 12, "sigma_max": 14.6, "sigma_min": 0.03, "rho": 6.0})),
        "k": node("SamplerCustom", json!({"model": ["ckpt", 0], "add_noise": true, "noise_seed": 7, "cfg": 5.0, "positive": ["yes", 0],
            "negative": ["no", 0], "sampler": ["select", 0], "sigmas": ["levels", 0], "latent_image": ["empty", 0]})),
    }));
    assert_eq!(
        (settings.sampler, settings.schedule, settings.steps),
        (Some("euler"), Some("karras"), Some(12))
    );
    let options = settings.sampler_options.expect("bounds");
    assert_eq!((options.sigma_min, options.sigma_max, options.rho), (Some(0.03), Some(14.6), Some(6.0)));
}
