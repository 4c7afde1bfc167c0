//! Our own pictures come back whole; strangers' as far as they can, and the rest is said.

mod graphs;
mod others;
mod pictures;

use super::*;
use crate::image::texts_tests::{chunk, exif, jpeg, png_with, utf16, webp};
use crate::image::{Rgba, encode_png};
use crate::pipeline::{Entry, Latents, Place, Region, Request};
use crate::prompt::{Dialect, Emphasis};
use crate::sample::{NoiseSource, SamplerKind, SamplerOptions, ScheduleKind, Variation};

fn recalled(text: &str) -> Settings {
    from_parameters(&Parameters::parse(text))
}

fn request() -> Request {
    Request {
        prompt: "a red apple, (shiny:1.2)".to_string(),
        negative_prompt: "blurry".to_string(),
        dialect: Dialect::A1111,
        emphasis: Emphasis::default(),
        clip_skip: 1,
        templates: [None, None],
        embeddings: Vec::new(),
        steps: 12,
        guidance: 2.5,
        guidance_rescale: None,
        tiling: Tiling::None,
        seed: u64::MAX,
        variation: Some(Variation { seed: 7, strength: 0.3 }),
        rng: NoiseSource::Torch,
        sampler: SamplerKind::DpmPlusPlus2M,
        schedule: ScheduleKind::Karras,
        sampling: SamplerOptions::default(),
        width: 64,
        height: 96,
        batch: 2,
        windows: None,
        noise: None,
        latents: None,
        picture: None,
        regions: Vec::new(),
        controls: Vec::new(),
        hires: None,
        hires_network: None,
        preview_every: 0,
        walk: None,
    }
}

#[test]
fn our_own_come_back_whole() {
    let expected = Settings {
        prompt: Some("a red apple, (shiny:1.2)".to_string()),
        negative_prompt: Some("blurry".to_string()),
        template: None,
        negative_template: None,
        dialect: None,
        emphasis: None,
        clip_skip: None,
        embeddings: Vec::new(),
        loras: Vec::new(),
        steps: Some(12),
        guidance: Some(2.5),
        guidance_rescale: None,
        seed: Some(u64::MAX.to_string()),
        variation_seed: Some("8".to_string()),
        variation_strength: Some(0.3),
        strength: None,
        resize: None,
        latents_step: None,
        mask_blur: None,
        masked_content: None,
        only_masked: None,
        extend: None,
        tiling: None,
        tiles: None,
        hires: None,
        regions: Vec::new(),
        controls: Vec::new(),
        sampler: Some("dpm++-2m"),
        schedule: Some("karras"),
        sampler_options: None,
        rng: Some("torch"),
        width: Some(64),
        height: Some(96),
        model: Some("mini".to_string()),
        notices: Vec::new(),
    };
    assert_eq!(recalled(&request().parameters("mini", &[], 1).to_string()), expected);
}

#[test]
fn a_tiling_comes_back() {
    for tiling in Tiling::ALL {
        let text = Request { tiling, ..request() }.parameters("mini", &[], 0).to_string();
        let expected = (tiling != Tiling::None).then_some(tiling.name());
        assert_eq!(recalled(&text).tiling, expected, "{text}");
        assert_eq!(text.contains("Tiling: True"), tiling == Tiling::Both, "A1111's word: {text}");
    }
    let of = |value: &str| recalled(&format!("p\nSteps: 9, Tiling: {value}"));
    assert_eq!((of("x_only").tiling, of("False").tiling), (Some("x"), Some("none")));
    assert_eq!(of("diagonal").notices, ["Tiling is “diagonal”, which is none here."]);
}

#[test]
fn the_step_that_latents_entered_comes_back() {
    let latents = Latents { values: Vec::new(), entry: Entry::Step(3) };
    let text = Request { latents: Some(latents), ..request() }.parameters("mini", &[], 0).to_string();
    let settings = recalled(&text);
    assert_eq!((settings.latents_step, settings.strength), (Some(3), None), "{text}");
    assert_eq!(settings.notices, ["It was gone on with from latents, which its file does not hold."]);
    let graph = super::graph(&settings);
    assert!(
        graph.notices.iter().any(|said| said.contains("latents that it went on from")),
        "{:?}",
        graph.notices
    );
}

#[test]
fn tiles_come_back() {
    let windows = Some(Windows { size: 512, overlap: 128 });
    let text = Request { windows, ..request() }.parameters("mini", &[], 0).to_string();
    assert_eq!(recalled(&text).tiles, windows, "{text}");
    let strange = recalled("p\nSteps: 9, Tiles: many");
    assert_eq!((strange.tiles, strange.notices.len()), (None, 1));
}

#[test]
fn regions_come_back() {
    let image = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
    let right = Region { part: 2, place: Place::Rect([0.5, 0.0, 0.5, 1.0]), weight: Some(0.8) };
    let painted = Region { part: 1, place: Place::Mask(image.into()), weight: None };
    let text = Request { regions: vec![right, painted], ..request() }.parameters("mini", &[], 0).to_string();
    let settings = recalled(&text);
    let rect = Rectangle { left: 0.5, top: 0.0, width: 0.5, height: 1.0 };
    assert_eq!(
        settings.regions,
        [
            Placed { part: 2, rect: Some(rect), weight: Some(0.8) },
            Placed { part: 1, rect: None, weight: None }
        ],
        "{text}"
    );
    assert_eq!(
        settings.notices,
        ["Part 1 of the prompt was where a mask is white, which its file does not hold."]
    );
    let strange = recalled("p\nSteps: 9, Regions: everywhere");
    assert!(strange.regions.is_empty());
    assert_eq!(strange.notices, ["Regions are “everywhere”, which cannot be read."]);
}

#[test]
fn every_sampler_comes_back() {
    for sampler in SamplerKind::ALL {
        for schedule in ScheduleKind::ALL.into_iter().filter(|schedule| sampler.follows(*schedule)) {
            let text = Request { sampler, schedule, ..request() }.parameters("mini", &[], 0).to_string();
            let Settings { sampler: found, schedule: spaced, notices, .. } = recalled(&text);
            assert_eq!((found, spaced), (Some(sampler.name()), Some(schedule.name())), "{text}");
            assert_eq!(notices, [""; 0], "{text}");
        }
    }
}

#[test]
fn a_variation_is_written_as_a1111_does() {
    let text = request().parameters("mini", &[], 1).to_string();
    assert!(text.contains("Seed: 18446744073709551615, "), "{text}");
    assert!(text.contains(", Variation seed: 8, Variation seed strength: 0.3, "), "{text}");
    let plain = Request { variation: None, ..request() }.parameters("mini", &[], 1).to_string();
    assert!(plain.contains("Seed: 0, ") && !plain.contains("Variation"), "{plain}");
}

/// What A1111 1.9 writes with hires fix, a LoRA and ControlNet.
#[test]
fn a_strangers_text() {
    let settings = recalled(
        "masterpiece, 1girl <lora:add detail:0.8>, a < b\nNegative prompt: (worst quality:1.4)\n\
         Steps: 28, Sampler: DPM fast, Schedule type: KL Optimal, CFG scale: 7, Seed: 1234567890, Size: 512x768, \
         Model hash: ab12, Model: v1-5-pruned, Denoising strength: 0.4, Clip skip: 2, Hires upscale: 2, \
         Lora hashes: \"x: 1f2e\", ControlNet 0: \"Module: none, Weight: 1.0\", Version: v1.9.4",
    );
    assert_eq!(settings.prompt.as_deref(), Some("masterpiece, 1girl <lora:add detail:0.8>, a < b"));
    assert_eq!(settings.negative_prompt.as_deref(), Some("(worst quality:1.4)"));
    assert_eq!((settings.steps, settings.guidance), (Some(28), Some(7.0)));
    assert_eq!((settings.width, settings.height), (Some(512), Some(768)));
    assert_eq!((settings.sampler, settings.schedule), (None, None));
    assert_eq!(settings.rng, Some("philox"), "A1111's default noise is the graphics card's");
    assert_eq!(settings.model.as_deref(), Some("v1-5-pruned"));
    assert_eq!(settings.clip_skip, Some(2));
    assert_eq!(settings.loras, [Used { name: "x".to_string(), hash: "1f2e".to_string() }]);
    assert_eq!(
        settings.notices,
        [
            "There is no sampler “DPM fast” here; the chosen one stays.",
            "There is no schedule “kl optimal” here; the chosen one stays.",
            "It was steered by a ControlNet and a map, which its file does not hold.",
        ]
    );
}

/// A1111 writes the size instead where one was asked for.
#[test]
fn a_second_pass_to_a_size() {
    let of = |size: &str| {
        let text = format!(
            "p\nSteps: 9, Size: 512x768, Denoising strength: 0.4, Hires resize: {size}, Hires steps: 5"
        );
        let settings = recalled(&text);
        assert_eq!(settings.strength, None);
        (settings.hires.map(|second| (second.scale, second.strength, second.steps)), settings.notices)
    };
    assert_eq!(of("1024x0"), (Some((2.0, Some(0.4), Some(5))), vec![]));
    assert_eq!(of("1024x1152").0, Some((2.0, Some(0.4), Some(5))));
    let (second, notices) = of("large");
    assert_eq!(second, None);
    assert!(notices.iter().any(|notice| notice.contains("large")), "{notices:?}");
}

#[test]
fn options_of_samplers_come_back() {
    let sampling =
        SamplerOptions { eta: Some(0.5), eta_noise_seed_delta: Some(31337), ..SamplerOptions::default() };
    let text = Request { sampling, ..request() }.parameters("mini", &[], 0).to_string();
    assert!(text.contains("Eta: 0.5, ENSD: 31337"), "{text}");
    assert_eq!(recalled(&text).sampler_options, Some(sampling));
    assert_eq!(recalled("p\nSteps: 4, Sampler: Euler, Seed: 1").sampler_options, None);
    let text = "p\nSteps: 4, Sampler: Euler, Sigma churn: much, Discard penultimate sigma: True, Seed: 1";
    let Settings { sampler_options, notices, .. } = recalled(text);
    assert_eq!(sampler_options.and_then(|options| options.discard_next_to_last_sigma), Some(true));
    assert_eq!(notices, ["Sigma churn is “much”, which cannot be read."]);
}

#[test]
fn how_far_guided_predictions_were_brought_back_comes_back() {
    let text = Request { guidance_rescale: Some(0.7), clip_skip: 2, ..request() }
        .parameters("mini", &[], 0)
        .to_string();
    assert!(text.contains("CFG rescale: 0.7"), "{text}");
    assert!(text.contains(", Clip skip: 2"), "{text}");
    let Settings { guidance_rescale, clip_skip, notices, .. } = recalled(&text);
    assert_eq!((guidance_rescale, clip_skip, notices), (Some(0.7), Some(2), vec![]));
}

#[test]
fn schedules_old_and_new() {
    let of = |fields: &str| {
        let settings = recalled(&format!("p\nSteps: 4, Seed: 1, {fields}"));
        (settings.sampler, settings.schedule)
    };
    assert_eq!(of("Sampler: DPM++ 2M Karras"), (Some("dpm++-2m"), Some("karras")));
    assert_eq!(of("Sampler: DPM++ 2M, Schedule type: Automatic"), (Some("dpm++-2m"), Some("karras")));
    assert_eq!(of("Sampler: Euler a, Schedule type: Automatic"), (Some("euler-a"), Some("normal")));
    assert_eq!(of("Sampler: DPM++ 2M"), (Some("dpm++-2m"), Some("default")));
    assert_eq!(of("Sampler: euler_ancestral"), (Some("euler-a"), Some("default")));
    assert_eq!(of("Sampler: DDIM, Schedule type: Uniform"), (Some("ddim"), Some("default")));
}

#[test]
fn values_that_are_none_are_said() {
    let settings = recalled("p\nSteps: many, CFG scale: 7, Seed: -1, Size: large, RNG: dice");
    let said = settings.notices.join("\n");
    for word in ["many", "-1", "large", "dice"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert_eq!((settings.steps, settings.seed, settings.width, settings.rng), (None, None, None, None));
}

#[test]
fn a_bare_prompt() {
    let settings = recalled("a cat\non a mat");
    assert_eq!(settings.prompt.as_deref(), Some("a cat\non a mat"));
    assert_eq!(settings.notices.len(), 1);
    assert_eq!(settings.rng, None);
}

#[test]
fn files() -> Result<()> {
    let image = Rgba::new(2, 1, vec![0; 8])?;
    let good = encode_png(&image, &[("parameters", "яблоко\nSteps: 4, Sampler: DDIM, Seed: 5")])?;
    assert_eq!(from_file(&good)?.prompt.as_deref(), Some("яблоко"));
    let error = |bytes: &[u8]| from_file(bytes).err().map(|error| error.to_string()).unwrap_or_default();
    for (bytes, words) in [
        (b"GIF89a".as_slice(), "this is a GIF; settings are read from PNG, JPEG and WebP files"),
        (b"", "this is an empty file"),
        (br#"{"nodes": [], "links": []}"#, "this is JSON without settings; settings are read from"),
        (b"hello", "this is no picture"),
        (b"\0\0\0\x20ftypavif", "this is an AVIF"),
        (&good[..20], "damaged"),
        (&encode_png(&image, &[])?, "no settings"),
        (&encode_png(&image, &[("Comment", "hi")])?, "no settings"),
        (&encode_png(&image, &[("parameters", " ")])?, "no settings"),
        (&encode_png(&image, &[("parameters", r#"{"a": 1}"#)])?, "no settings"),
        (&encode_png(&image, &[("workflow", "{}")])?, "ComfyUI"),
    ] {
        assert!(error(bytes).contains(words), "{words}: {}", error(bytes));
    }
    // The end is missing, and the text stands before it.
    let cut = from_file(&good[..good.len() - 14])?;
    assert_eq!(cut.steps, Some(4));
    assert!(cut.notices.iter().any(|notice| notice.contains("damaged")), "{:?}", cut.notices);
    Ok(())
}

/// The form everyone writes, in every kind of file.
const TEXT: &str = "красное яблоко, a cat\nNegative prompt: ugly\nSteps: 12, Sampler: Euler a, CFG scale: 3, Seed: 42, Size: 64x96";

fn png_of(keyword: &str, text: &str) -> Vec<u8> {
    png_with(&[chunk(b"tEXt", [keyword.as_bytes(), b"\0", text.as_bytes()].concat().as_slice())])
}

#[test]
fn every_kind_of_file() -> Result<()> {
    let expected = Settings {
        prompt: Some("красное яблоко, a cat".to_string()),
        negative_prompt: Some("ugly".to_string()),
        steps: Some(12),
        guidance: Some(3.0),
        seed: Some("42".to_string()),
        sampler: Some("euler-a"),
        schedule: Some("default"),
        rng: Some("philox"),
        width: Some(64),
        height: Some(96),
        ..Settings::default()
    };
    for big in [true, false] {
        let exif = exif(big, 0x9286, &utf16(TEXT, true));
        for file in [jpeg(&exif), webp(&exif), png_of("parameters", TEXT)] {
            assert_eq!(from_file(&file)?, expected, "{:?}", Kind::of(&file));
        }
    }
    Ok(())
}

#[test]
fn a_wrong_checksum_is_said_first() -> Result<()> {
    let mut text =
        chunk(b"tEXt", b"parameters\0a red apple on a blue background\nSteps: 12, Seed: 42, Size: 64x64");
    text[35] ^= 1;
    let settings = from_file(&png_with(&[text]))?;
    assert_eq!(settings.steps, Some(12));
    assert!(settings.notices[0].contains("checksum"), "{:?}", settings.notices);
    Ok(())
}

/// sd-dynamic-prompts, civitai.com, a prompt on one line.
#[test]
fn what_relatives_of_a1111_add() {
    let plain = |text: &str| {
        let settings = recalled(text);
        (settings.prompt, settings.negative_prompt, settings.seed, settings.steps, settings.notices)
    };
    let some = |text: &str| Some(text.to_string());
    let templates = "a red apple\nNegative prompt: ugly\nSteps: 12, Sampler: Euler a, CFG scale: 3, Seed: 42, Size: 64x64, \
        Version: 1.6.0\nTemplate: a {red|green} apple\nNegative Template: ugly";
    assert_eq!(plain(templates), (some("a red apple"), some("ugly"), some("42"), Some(12), vec![]));
    assert_eq!(recalled(templates).template.as_deref(), Some("a {red|green} apple"));
    assert_eq!(recalled(templates).negative_template.as_deref(), Some("ugly"));
    let own = Request { templates: [Some("a {red|b},\n: c".to_string()), None], ..request() };
    let settings = recalled(&own.parameters("mini", &[], 0).to_string());
    assert_eq!((settings.template.as_deref(), settings.negative_template), (Some("a {red|b},\n: c"), None));
    let one_line = "a red apple on a blue background Negative prompt: ugly Steps: 12, Sampler: Euler a, CFG scale: 3, \
        Seed: 42, Size: 64x64";
    let (prompt, negative) = (some("a red apple on a blue background"), some("ugly"));
    assert_eq!(plain(one_line), (prompt, negative, some("42"), Some(12), vec![]));
    let civitai = "a cat\nNegative prompt: bad\nSteps: 25, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 64x64, \
        Created Date: 2024-05-01T1234:56.7Z, Civitai resources: [{\"modelName\":\"Foo: Bar, Seed: 9, Steps: 3\"}], \
        Civitai metadata: {}";
    let used = "It used “Foo: Bar, Seed: 9, Steps: 3” of Civitai, which is not used here.";
    let expected = (some("a cat"), some("bad"), some("42"), Some(25), vec![used.to_string()]);
    assert_eq!(plain(civitai), expected);
    let twice = "p\nSteps: 25, Sampler: DDIM, Seed: 42, Seed: 9, Steps: 3, Sampler: Euler";
    assert_eq!(
        (recalled(twice).sampler, recalled(twice).seed, recalled(twice).steps),
        (Some("ddim"), some("42"), Some(25))
    );
}

#[test]
fn unnamed_noise_is_that_of_the_tool() {
    let noise = |version: &str| recalled(&format!("p\nSteps: 4, Seed: 1, Version: {version}")).rng;
    assert_eq!(noise("ComfyUI"), Some("torch"));
    assert_eq!(noise("v1.9.4"), Some("philox"));
    assert_eq!(recalled("p\nSteps: 4, Seed: 1, Version: ComfyUI, RNG: NV").rng, Some("philox"));
}

#[test]
fn what_is_not_followed_is_said_when_read() {
    let text = "a [red:green:0.5] apple AND a [cat|dog]\nSteps: 12, Sampler: Euler a, Seed: 42";
    let said = recalled(text).notices.join("\n");
    assert!(!said.contains("green") && !said.contains("AND"), "{said}");
    let ours =
        recalled("a red apple <lora:shiny:0.8>\nSteps: 12, Sampler: DDIM, Seed: 42, Model: mini, RNG: CPU");
    assert_eq!(ours.prompt.as_deref(), Some("a red apple <lora:shiny:0.8>"));
    assert_eq!(ours.notices, [""; 0]);
    let other =
        recalled("a red apple <hypernet:x:1>\nSteps: 12, Sampler: DDIM, Seed: 42, Model: mini, RNG: CPU");
    assert_eq!(other.prompt.as_deref(), Some("a red apple"));
    assert_eq!(other.notices, ["“<hypernet:x:1>” is left out: no network of that name is here."]);
    let plain =
        Request { dialect: Dialect::Diffusers, prompt: "a <lora:x:1> AND b".to_string(), ..request() };
    let settings = recalled(&plain.parameters("mini", &[], 0).to_string());
    assert_eq!(
        (settings.prompt.as_deref(), settings.dialect),
        (Some("a <lora:x:1> AND b"), Some(Dialect::Diffusers))
    );
    assert!(settings.notices.is_empty(), "{:?}", settings.notices);
}

#[test]
fn samplers_and_schedules_by_others_names() {
    let of = |fields: &str| {
        let Settings { sampler, schedule, notices, .. } =
            recalled(&format!("p\nSteps: 4, Seed: 1, {fields}"));
        (sampler, schedule, notices.len())
    };
    for (fields, sampler, schedule, notices) in [
        ("Sampler: dpmpp_2m_karras", Some("dpm++-2m"), Some("karras"), 0),
        ("Sampler: euler_ancestral_normal", Some("euler-a"), Some("normal"), 0),
        ("Sampler: euler, Scheduler: karras", Some("euler"), Some("karras"), 0),
        ("Sampler: k_euler_a", Some("euler-a"), Some("default"), 0),
        ("Sampler: Heun", Some("heun"), Some("default"), 0),
        ("Sampler: LMS Karras", Some("lms"), Some("karras"), 0),
        ("Sampler: LMS, Schedule type: Automatic", Some("lms"), Some("normal"), 0),
        ("Sampler: heun, Scheduler: karras", Some("heun"), Some("karras"), 0),
        ("Sampler: k_lms", Some("lms"), Some("default"), 0),
        ("Sampler: dpmpp_2m_sgm_uniform", Some("dpm++-2m"), Some("sgm-uniform"), 0),
        ("Sampler: dpmpp_sde_karras", Some("dpm++-sde"), Some("karras"), 0),
        ("Sampler: DPM++ 2M SDE, Schedule type: Automatic", Some("dpm++-2m-sde"), Some("exponential"), 0),
        ("Sampler: DPM++ 3M SDE Exponential", Some("dpm++-3m-sde"), Some("exponential"), 0),
        ("Sampler: dpmpp_2s_ancestral, Scheduler: simple", Some("dpm++-2s-a"), Some("simple"), 0),
        ("Sampler: kdpm_2_a_k", Some("dpm2-a"), Some("karras"), 0),
        ("Sampler: uni_pc_bh2, Scheduler: normal", Some("unipc"), Some("normal"), 0),
        ("Sampler: uni_pc", Some("unipc-bh1"), Some("default"), 0),
        ("Sampler: KDPM2DiscreteScheduler", Some("dpm2"), Some("default"), 0),
        ("Sampler: PLMS, Schedule type: Automatic", Some("plms"), Some("default"), 0),
        ("Sampler: euler, Scheduler: ddim_uniform", Some("euler"), Some("ddim-uniform"), 0),
        ("Sampler: DPM adaptive, Schedule type: KL Optimal", None, None, 2),
        ("Sampler: UniPC, Schedule type: Karras", Some("unipc"), Some("karras"), 0),
        ("Sampler: UniPC, Schedule type: Beta", Some("unipc"), Some("beta"), 1),
        ("Sampler: Euler, Schedule type: beta", Some("euler"), Some("beta"), 0),
        // A pair that can be drawn.
        ("Sampler: DDIM, Schedule type: Karras", Some("ddim"), Some("default"), 1),
    ] {
        assert_eq!(of(fields), (sampler, schedule, notices), "{fields}");
    }
}

#[test]
fn json_is_read_and_never_shown_as_a_prompt() -> Result<()> {
    let swarm = r#"{"sui_image_params":{"prompt":"a red apple","negativeprompt":"ugly","seed":42,"steps":12,
        "cfgscale":3.0,"width":64,"height":96,"model":"m","sampler":"euler_ancestral","aspectratio":"2:3"}}"#;
    let expected = Settings {
        prompt: Some("a red apple".to_string()),
        negative_prompt: Some("ugly".to_string()),
        steps: Some(12),
        guidance: Some(3.0),
        seed: Some("42".to_string()),
        sampler: Some("euler-a"),
        schedule: Some("default"),
        rng: Some("torch"),
        width: Some(64),
        height: Some(96),
        model: Some("m".to_string()),
        dialect: Some(Dialect::ComfyUi),
        ..Settings::default()
    };
    assert_eq!(from_file(&png_of("parameters", swarm))?, expected);
    assert_eq!(from_file(&jpeg(&exif(true, 0x9286, &utf16(swarm, true))))?, expected);
    let fooocus = r#"{"prompt": "a", "negative_prompt": "", "steps": 30, "resolution": "(1152, 896)",
        "sampler": "dpmpp_2m", "scheduler": "karras", "guidance_scale": 4, "base_model": "x"}"#;
    let settings = from_file(&png_of("parameters", fooocus))?;
    assert_eq!((settings.width, settings.height, settings.schedule), (Some(1152), Some(896), Some("karras")));
    let novelai =
        r#"{"prompt": "a", "uc": "b", "steps": 28, "scale": 5.0, "seed": 7, "sampler": "k_euler_ancestral"}"#;
    let settings = from_file(&png_of("Comment", novelai))?;
    assert_eq!((settings.negative_prompt.as_deref(), settings.sampler), (Some("b"), Some("euler-a")));
    let invoke =
        r#"{"positive_prompt": "a", "cfg_scale": 7, "scheduler": "euler_a", "model": {"name": "x"}}"#;
    let settings = from_file(&png_of("invokeai_metadata", invoke))?;
    assert_eq!((settings.model.as_deref(), settings.sampler), (Some("x"), Some("euler-a")));
    assert!(from_file(&png_of("parameters", r#"{"seed": -1, "prompt": "a"}"#))?.notices[0].contains("-1"));
    Ok(())
}

#[test]
fn long_prompts_are_cut_and_said() {
    let settings = recalled(&"<".repeat(2 * MAX_CHARS));
    assert_eq!(settings.prompt.map(|prompt| prompt.len()), Some(MAX_CHARS));
    assert!(settings.notices[0].contains("20000 characters"), "{:?}", settings.notices);
    let many =
        format!("p\nSteps: 1, {}", (0..100).map(|i| format!("Key {i}: 1")).collect::<Vec<_>>().join(", "));
    assert!(recalled(&many).notices[0].ends_with("Key 19 and 80 more."), "{:?}", recalled(&many).notices);
}
