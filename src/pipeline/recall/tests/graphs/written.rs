//! Graphs that are written, and read again.

use super::super::{recalled, request};
use super::*;
use crate::pipeline::recall::graph;
use crate::pipeline::{Control, Hires, Request, Upscaler};
use crate::sample::{NoiseSource, SamplerKind, ScheduleKind};

/// The settings of a request's picture, and those that its graph gives.
fn there_and_back(request: &Request) -> (Settings, Vec<String>, Settings) {
    let settings = recalled(&request.parameters("mini", &["canny_v11"], 0).to_string());
    let written = graph(&settings);
    let back = from_text(&written.graph).expect("settings");
    (settings, written.notices, back)
}

/// Drawn as ComfyUI draws.
fn plain() -> Request {
    Request { dialect: Dialect::ComfyUi, variation: None, sampling: from_nothing(), ..request() }
}

#[test]
fn what_is_written_is_read_again() {
    let requests = [
        plain(),
        Request {
            seed: u64::MAX,
            sampler: SamplerKind::EulerAncestral,
            schedule: ScheduleKind::SgmUniform,
            ..plain()
        },
        Request { prompt: "an apple <lora:shiny:0.5:0.8> <lora:round:1>".to_string(), ..plain() },
        Request { sampler: SamplerKind::Lms, schedule: ScheduleKind::Normal, ..plain() },
        Request { clip_skip: 3, prompt: "a <lora:shiny:1>".to_string(), ..plain() },
    ];
    let second = [
        None,
        Some(Upscaler::Latent),
        Some(Upscaler::LatentBicubic),
        Some(Upscaler::LatentNearestExact),
        Some(Upscaler::Lanczos),
    ];
    for request in requests {
        for upscaler in second {
            for steps in [None, Some(7)] {
                let hires = upscaler.map(|upscaler| Hires { scale: 1.5, strength: 0.45, steps, upscaler });
                let (settings, notices, mut back) = there_and_back(&Request { hires, ..request.clone() });
                assert!(notices.is_empty() && said(&back).is_empty(), "{notices:?} {:?}", back.notices);
                back.notices.clear();
                back.loras.clear(); // no more than the tags say
                assert_eq!(back, settings);
            }
        }
    }
    // Every sampler and schedule that ComfyUI has.
    for sampler in SamplerKind::ALL {
        for schedule in ScheduleKind::ALL.into_iter().filter(|schedule| sampler.follows(*schedule)) {
            let (settings, notices, back) = there_and_back(&Request { sampler, schedule, ..plain() });
            let same = (settings.sampler, settings.schedule) == (back.sampler, back.schedule);
            assert_eq!(same, notices.is_empty(), "{sampler} {schedule}: {notices:?}");
        }
    }
}

#[test]
fn a_picture_made_from_another_takes_the_same_steps_there() {
    for (steps, strength) in
        [(20, 0.5), (12, 0.6), (50, 0.75), (33, 0.607), (150, 0.05), (7, 1.0), (10, 0.34)]
    {
        let image = Rgba { width: 1, height: 1, pixels: vec![0; 4] };
        let picture = Picture::new(image, strength);
        let expected = picture.taken(steps);
        let (_, notices, back) =
            there_and_back(&Request { steps, picture: Some(picture.clone()), ..plain() });
        assert_eq!(notices, ["Put the picture that it was made from into its LoadImage."]);
        let taken = Picture { strength: back.strength.expect("one"), ..picture }
            .taken(back.steps.expect("some") as usize);
        assert_eq!(taken, expected, "{steps} {strength}");
        assert_eq!((back.width, back.height), (Some(64), Some(96)));
    }
}

#[test]
fn what_a_graph_does_not_hold_is_said() {
    let image = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
    let control = Control { end: 0.6, ..Control::new(0, image, 0.8) };
    let (settings, notices, back) = there_and_back(&Request { controls: vec![control], ..plain() });
    let Steered { model, preprocessor, strength, start, end, .. } = &back.controls[0];
    assert_eq!(
        (model, preprocessor, strength),
        (&settings.controls[0].model, &Some("none".to_string()), &Some(0.8))
    );
    assert_eq!((*start, *end, notices.len()), (Some(0.0), Some(0.6), 1));

    let (_, notices, back) = there_and_back(&Request {
        rng: NoiseSource::Philox,
        sampler: SamplerKind::Restart,
        schedule: ScheduleKind::Default,
        sampling: SamplerOptions { s_noise: Some(1.003), ..SamplerOptions::default() },
        prompt: "a [red] apple <lora:a:1:lbw=1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1>".to_string(),
        ..request()
    });
    for words in [
        "brackets are read in ComfyUI’s way",
        "Noise is PyTorch’s",
        "nothing for: variation seed, sampler’s options",
        "noise of size √(1 + σ²) there",
        "no sampler Restart; euler",
        "no schedule default; normal",
        "weigh no blocks of a LoRA: “a”",
    ] {
        assert!(notices.iter().any(|notice| notice.contains(words)), "{words}: {notices:?}");
    }
    assert_eq!((back.sampler, back.schedule), (Some("euler"), Some("normal")));
    let ddim = Request { sampler: SamplerKind::Ddim, schedule: ScheduleKind::Default, ..plain() };
    let (_, notices, euler) = there_and_back(&ddim);
    assert!(notices[0].contains("calls ddim takes Euler’s steps"), "{notices:?}");
    assert_eq!(euler.sampler, Some("euler"));
    assert_eq!(back.prompt.as_deref(), Some("a [red] apple <lora:a:1>"));
    let bare = graph(&recalled("a cat"));
    assert!(
        bare.notices
            .last()
            .is_some_and(|said| said.contains("its model, steps, guidance, seed, sampler, size")),
        "{bare:?}"
    );
    assert!(from_text(&bare.graph).is_some());
}

/// Aligned levels are a node, as which they are written.
#[test]
fn aligned_levels_are_written_as_their_node() {
    let request =
        Request { sampler: SamplerKind::Euler, schedule: ScheduleKind::AlignYourSteps, steps: 10, ..plain() };
    let (settings, notices, back) = there_and_back(&request);
    assert_eq!((notices, &settings.schedule), (vec![], &back.schedule));
    assert_eq!((settings.steps, settings.guidance, settings.seed), (back.steps, back.guidance, back.seed));
    let written = graph(&recalled(&request.parameters("mini", &[], 0).to_string())).graph;
    assert!(written.contains("AlignYourStepsScheduler") && !written.contains("\"scheduler\""), "{written}");
    let image = Rgba { width: 1, height: 1, pixels: vec![0; 4] };
    let picture = Picture::new(image, 0.5);
    let taken = picture.taken(10);
    let (_, _, back) = there_and_back(&Request { picture: Some(picture.clone()), ..request });
    let again = Picture { strength: back.strength.expect("one"), ..picture }
        .taken(back.steps.expect("some") as usize);
    assert_eq!(again, taken);
}
