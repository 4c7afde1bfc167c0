//! Our own pictures come back whole; strangers' as far as they can, and the rest is said.

use super::*;
use crate::image::{Rgba, encode_png};
use crate::pipeline::Request;
use crate::sample::Variation;

fn recalled(text: &str) -> Settings {
    from_parameters(&Parameters::parse(text))
}

fn request() -> Request {
    Request {
        prompt: "a red apple, (shiny:1.2)".to_string(),
        negative_prompt: "blurry".to_string(),
        steps: 12,
        guidance: 2.5,
        seed: u64::MAX,
        variation: Some(Variation { seed: 7, strength: 0.3 }),
        rng: NoiseSource::Torch,
        sampler: SamplerKind::DpmPlusPlus2M,
        schedule: ScheduleKind::Karras,
        width: 64,
        height: 96,
        batch: 2,
        init_latents: None,
        previews: false,
        walk: None,
    }
}

#[test]
fn our_own_come_back_whole() {
    let expected = Settings {
        prompt: "a red apple, (shiny:1.2)".to_string(),
        negative_prompt: "blurry".to_string(),
        steps: Some(12),
        guidance: Some(2.5),
        seed: Some(u64::MAX.to_string()),
        variation_seed: Some("8".to_string()),
        variation_strength: Some(0.3),
        sampler: Some("dpm++-2m"),
        schedule: Some("karras"),
        rng: Some("torch"),
        width: Some(64),
        height: Some(96),
        model: Some("mini".to_string()),
        notices: Vec::new(),
    };
    assert_eq!(recalled(&request().parameters("mini", 1).to_string()), expected);
}

#[test]
fn every_sampler_comes_back() {
    for sampler in SamplerKind::ALL {
        let text = Request { sampler, ..request() }.parameters("mini", 0).to_string();
        assert_eq!(recalled(&text).sampler, Some(sampler.name()));
    }
}

#[test]
fn a_variation_is_written_as_a1111_does() {
    let text = request().parameters("mini", 1).to_string();
    assert!(text.contains("Seed: 18446744073709551615, "), "{text}");
    assert!(text.contains(", Variation seed: 8, Variation seed strength: 0.3, "), "{text}");
    let plain = Request { variation: None, ..request() }.parameters("mini", 1).to_string();
    assert!(plain.contains("Seed: 0, ") && !plain.contains("Variation"), "{plain}");
}

/// What A1111 1.9 writes with hires fix, a LoRA and ControlNet.
#[test]
fn a_strangers_text() {
    let settings = recalled(
        "masterpiece, 1girl <lora:add detail:0.8>, a < b\nNegative prompt: (worst quality:1.4)\n\
         Steps: 28, Sampler: DPM++ SDE, Schedule type: SGM Uniform, CFG scale: 7, Seed: 1234567890, Size: 512x768, \
         Model hash: ab12, Model: v1-5-pruned, Denoising strength: 0.4, Clip skip: 2, Hires upscale: 2, \
         Lora hashes: \"x: 1f2e\", ControlNet 0: \"Module: none, Weight: 1.0\", Version: v1.9.4",
    );
    assert_eq!(settings.prompt, "masterpiece, 1girl , a < b");
    assert_eq!(settings.negative_prompt, "(worst quality:1.4)");
    assert_eq!((settings.steps, settings.guidance), (Some(28), Some(7.0)));
    assert_eq!((settings.width, settings.height), (Some(512), Some(768)));
    assert_eq!((settings.sampler, settings.schedule), (None, None));
    assert_eq!(settings.rng, Some("philox"), "A1111's default noise is the graphics card's");
    assert_eq!(settings.model.as_deref(), Some("v1-5-pruned"));
    assert_eq!(
        settings.notices,
        [
            "“<lora:add detail:0.8>” is left out: such networks are not loaded here.",
            "There is no sampler “DPM++ SDE” here; the chosen one stays.",
            "There is no schedule “sgm uniform” here; the chosen one stays.",
            "Not used here: Denoising strength, Clip skip, Hires upscale, ControlNet 0.",
        ]
    );
}

#[test]
fn schedules_old_and_new() {
    let of = |fields: &str| {
        let settings = recalled(&format!("p\nSteps: 4, Seed: 1, {fields}"));
        (settings.sampler, settings.schedule)
    };
    assert_eq!(of("Sampler: DPM++ 2M Karras"), (Some("dpm++-2m"), Some("karras")));
    assert_eq!(of("Sampler: DPM++ 2M, Schedule type: Automatic"), (Some("dpm++-2m"), Some("karras")));
    assert_eq!(of("Sampler: Euler a, Schedule type: Automatic"), (Some("euler-a"), Some("default")));
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
    assert_eq!(settings.prompt, "a cat\non a mat");
    assert_eq!(settings.notices.len(), 1);
    assert_eq!(settings.rng, None);
}

#[test]
fn files() -> Result<()> {
    let image = Rgba::new(2, 1, vec![0; 8])?;
    let good = encode_png(&image, &[("parameters", "яблоко\nSteps: 4, Sampler: DDIM, Seed: 5")])?;
    assert_eq!(from_png(&good)?.prompt, "яблоко");
    let error = |bytes: &[u8]| from_png(bytes).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error(b"GIF89a").contains("not a PNG"), "{}", error(b"GIF89a"));
    assert!(error(&good[..20]).contains("damaged"), "{}", error(&good[..20]));
    assert!(error(&encode_png(&image, &[])?).contains("no settings"));
    assert!(error(&encode_png(&image, &[("workflow", "{}")])?).contains("ComfyUI"));
    // The end is missing, and the text stands before it.
    let cut = from_png(&good[..good.len() - 14])?;
    assert_eq!(cut.steps, Some(4));
    assert!(cut.notices.iter().any(|notice| notice.contains("damaged")), "{:?}", cut.notices);
    Ok(())
}
