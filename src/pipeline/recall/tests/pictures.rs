//! What was asked of a picture, and of a second pass.

use super::{recalled, request};
use crate::image::maps::Preprocessor;
use crate::image::{Resize, Rgba};
use crate::pipeline::recall::{Extended, Second, Steered};
use crate::pipeline::{Control, Extend, Hires, Importance, Mask, MaskedContent, Picture, Request, Upscaler};

#[test]
fn the_strength_of_a_picture_comes_back_and_a_second_pass_has_another() {
    let image = Rgba { width: 1, height: 1, pixels: vec![0; 4] };
    let from = Request { picture: Some(Picture::new(image, 0.6)), ..request() };
    let text = from.parameters("mini", &[], 0).to_string();
    assert!(text.contains(", Variation seed strength: 0.3, Denoising strength: 0.6, RNG: CPU"), "{text}");
    let settings = recalled(&text);
    assert_eq!(settings.strength, Some(0.6));
    assert_eq!(settings.notices, ["It was made from another picture, which its file does not hold."]);
    let image = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
    let picture = Picture { resize: Resize::Fill, ..Picture::new(image.clone(), 0.6) };
    let text = Request { picture: Some(picture), ..request() }.parameters("mini", &[], 0).to_string();
    assert!(text.contains("Denoising strength: 0.6, Resize mode: Resize and Fill, RNG: CPU"), "{text}");
    assert_eq!(recalled(&text).resize, Some("fill"));
    assert_eq!(recalled("a\nSteps: 4, Resize mode: Crop and resize").resize, Some("crop"));
    assert_eq!(
        recalled("a\nSteps: 4, Resize mode: stretch").notices,
        ["There is no resize mode “stretch” here."]
    );
    let mask = Mask { blur: 2.5, content: MaskedContent::Noise, ..Mask::new(image.clone()) };
    let picture = Picture { mask: Some(mask), only_masked: Some(8), ..Picture::new(image, 0.6) };
    let text = Request { picture: Some(picture), ..request() }.parameters("mini", &[], 0).to_string();
    let written = "Denoising strength: 0.6, Mask blur: 2.5, Inpaint area: Only masked, Masked area padding: 8, \
                   Masked content: latent noise, RNG: CPU";
    assert!(text.contains(written), "{text}");
    let settings = recalled(&text);
    assert_eq!((settings.mask_blur, settings.only_masked), (Some(2.5), Some(8)));
    assert_eq!((settings.masked_content, settings.notices.len()), (Some("noise"), 1));
    let settings =
        recalled("a\nSteps: 4, Mask blur: 4, Inpaint area: Whole picture, Masked area padding: 32");
    assert_eq!((settings.mask_blur, settings.only_masked, settings.notices), (Some(4.0), None, vec![]));

    let image = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
    let picture =
        Picture { extend: Some(Extend { sides: [64, 0, 7, 1], overlap: 9 }), ..Picture::new(image, 0.6) };
    let text = Request { picture: Some(picture), ..request() }.parameters("mini", &[], 0).to_string();
    assert!(text.contains("Extended by: \"64,0,7,1\", Extension overlap: 9, RNG: CPU"), "{text}");
    let (settings, extended) =
        (recalled(&text), Extended { left: 64, top: 0, right: 7, bottom: 1, overlap: 9 });
    assert_eq!((settings.extend, settings.notices.len()), (Some(extended), 1));
    let settings = recalled("a\nSteps: 4, Seed: 1, Extended by: \"1,2\"");
    assert_eq!((settings.extend, settings.notices.len()), (None, 1));

    let settings = recalled("a\nSteps: 4, Denoising strength: 0.6, Hires upscale: 2");
    let second = Second { scale: 2.0, strength: Some(0.6), steps: None, upscaler: None };
    assert_eq!((settings.strength, settings.hires, settings.notices.len()), (None, Some(second), 0));
}

/// As A1111 writes it, and every upscaler by its name.
#[test]
fn a_second_pass_comes_back() {
    for upscaler in Upscaler::ALL {
        let hires = Hires { scale: 1.5, strength: 0.45, steps: Some(7), upscaler };
        let text = Request { hires: Some(hires), ..request() }.parameters("mini", &[], 0).to_string();
        let name = upscaler.a1111_name();
        let written = format!(
            "Denoising strength: 0.45, Hires upscale: 1.5, Hires steps: 7, Hires upscaler: {name}, RNG: CPU"
        );
        assert!(text.contains(&written), "{text}");
        let settings = recalled(&text);
        let second =
            Second { scale: 1.5, strength: Some(0.45), steps: Some(7), upscaler: Some(upscaler.name()) };
        assert_eq!((settings.hires, settings.strength, settings.notices.len()), (Some(second), None, 0));
        assert_eq!(upscaler.name().parse(), Ok(upscaler));
    }
    let other =
        recalled("a\nSteps: 4, Denoising strength: 0.6, Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+");
    assert_eq!(other.notices, ["There is no upscaler “R-ESRGAN 4x+” here; the usual one stands for it."]);
    assert_eq!(other.hires.and_then(|second| second.upscaler), None);
}

/// As sd-webui-controlnet writes it.
#[test]
fn what_steered_a_picture_comes_back() {
    let image = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
    let control = Control {
        preprocessor: Preprocessor::Canny { low: 50, high: 150 },
        end: 0.6,
        importance: Importance::Control,
        ..Control::new(1, image.clone(), 0.8)
    };
    let controls = vec![control, Control::new(0, image, 1.0)];
    let text = Request { controls, ..request() }.parameters("mini", &["tile", "canny_v11"], 0).to_string();
    let written = "ControlNet 0: \"Module: canny, Model: canny_v11, Weight: 0.8, Resize Mode: Crop and Resize, \
                   Threshold A: 50, Threshold B: 150, Guidance Start: 0, Guidance End: 0.6, Pixel Perfect: True, \
                   Control Mode: ControlNet is more important\", ControlNet 1: \"Module: none, Model: tile, Weight: 1, ";
    assert!(text.contains(written), "{text}");
    let settings = recalled(&text);
    let steered = Steered {
        model: Some("canny_v11".to_string()),
        preprocessor: Some("canny,50,150".to_string()),
        strength: Some(0.8),
        start: Some(0.0),
        end: Some(0.6),
        importance: Some("control"),
        resize: Some("crop"),
    };
    assert_eq!((&settings.controls[0], settings.controls.len()), (&steered, 2));
    assert_eq!(settings.notices[0], "It was steered by canny_v11 and a map, which its file does not hold.");

    let settings = recalled(
        "a\nSteps: 4, Seed: 1, ControlNet 0: \"Module: depth_midas, Model: control_v11f1p_sd15_depth [cfd03158], \
         Weight: 1.0, Resize Mode: Just Resize, Processor Res: 512, Threshold A: 0.5, Threshold B: 0.5, \
         Guidance Start: 0.0, Guidance End: 1.0, Pixel Perfect: False, Control Mode: My prompt is more important\"",
    );
    let [steered] = settings.controls.as_slice() else { panic!("{settings:?}") };
    assert_eq!(
        (steered.model.as_deref(), steered.preprocessor.as_deref()),
        (Some("control_v11f1p_sd15_depth"), None)
    );
    assert_eq!((steered.importance, steered.resize), (Some("prompt"), Some("just")));
    assert_eq!(settings.notices[0], "There is no preprocessor “depth_midas” here; give its map.");
}
