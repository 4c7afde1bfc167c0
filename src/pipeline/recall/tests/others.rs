//! Files as other tools write them: field by field what their sources (of 2022 to 2025) put there, with values of our own.

use serde_json::{Value, json};

use super::*;

fn told(keyword: &str, text: &str) -> Settings {
    from_file(&png_of(keyword, text)).expect("settings")
}

fn json_told(keyword: &str, value: &Value) -> Settings {
    told(keyword, &value.to_string())
}

fn names(used: &[Used]) -> Vec<&str> {
    used.iter().map(|used| used.name.as_str()).collect()
}

#[test]
fn invokeai_from_version_3_on() {
    let lora = |name: &str, weight: f64| json!({"model": {"key": "k", "hash": "h", "name": name, "base": "sd-1", "type": "lora"}, "weight": weight});
    let mut value = json!({
        "app_version": "5.6.0", "generation_mode": "txt2img", "positive_prompt": "a red apple", "negative_prompt": "ugly",
        "width": 512, "height": 768, "seed": 7, "rand_device": "cpu", "cfg_scale": 7.5, "cfg_rescale_multiplier": 0.5,
        "steps": 30, "scheduler": "dpmpp_2m_sde_k", "seamless_x": true, "seamless_y": false, "clip_skip": 1,
        "model": {"key": "k", "hash": "h", "name": "dreamshaper-8", "base": "sd-1", "type": "main"},
        "controlnets": [{"image": {"image_name": "a.png"}, "control_model": {"name": "canny"}, "control_weight": 0.8,
            "begin_step_percent": 0.1, "end_step_percent": 0.6, "control_mode": "more_control", "resize_mode": "crop_resize"}],
        "ipAdapters": [], "t2iAdapters": [], "loras": [lora("add detail", 0.75)], "hrf_enabled": false,
        "refiner_steps": 10, "canvas_v2_metadata": {"a": 1},
    });
    let settings = json_told("invokeai_metadata", &value);
    assert_eq!(settings.prompt.as_deref(), Some("a red apple <lora:add detail:0.75>"));
    assert_eq!((names(&settings.loras), settings.dialect), (vec!["add detail"], Some(Dialect::Compel)));
    assert_eq!(
        (settings.steps, settings.guidance, settings.guidance_rescale),
        (Some(30), Some(7.5), Some(0.5))
    );
    assert_eq!((settings.sampler, settings.schedule), (Some("dpm++-2m-sde"), Some("karras")));
    assert_eq!((settings.clip_skip, settings.tiling, settings.rng), (Some(2), Some("x"), Some("torch")));
    assert_eq!(
        (settings.width, settings.height, settings.model.as_deref()),
        (Some(512), Some(768), Some("dreamshaper-8"))
    );
    let control = &settings.controls[0];
    assert_eq!(
        (control.model.as_deref(), control.strength, control.start, control.end),
        (Some("canny"), Some(0.8), Some(0.1), Some(0.6))
    );
    assert_eq!((control.importance, control.resize), (Some("control"), Some("crop")));
    assert_eq!(
        settings.notices,
        [
            "It was steered by a map, which its file does not hold.",
            "Not used here: canvas_v2_metadata, refiner_steps."
        ]
    );
    // Version 3 has a model's name in another field; noise of a graphics card.
    value["model"] = json!({"model_name": "old", "base_model": "sd-1", "model_type": "main"});
    value["rand_device"] = "cuda".into();
    (value["generation_mode"], value["strength"]) = ("img2img".into(), json!(0.4));
    let settings = json_told("invokeai_metadata", &value);
    assert_eq!(
        (settings.model.as_deref(), settings.rng, settings.strength),
        (Some("old"), Some("philox"), Some(0.4))
    );
    assert!(settings.notices.iter().any(|notice| notice.contains("made from another picture")));
}

#[test]
fn invokeai_before_version_3() {
    let image = |prompt: Value| {
        json!({"model": "stable diffusion", "model_id": null, "model_weights": "stable-diffusion-1.5", "model_hash": "cc",
            "app_id": "invoke-ai/InvokeAI", "app_version": "2.2.5", "image": {"prompt": prompt, "steps": 50, "cfg_scale": 7.5,
            "threshold": 0, "perlin": 0, "height": 512, "width": 640, "seed": 42, "seamless": true, "hires_fix": false,
            "type": "txt2img", "postprocessing": null, "sampler": "k_lms", "variations": [[9, 0.2]]}})
    };
    for prompt in [
        json!("a cat [ugly] on a mat [bad, worse]"),
        json!([{"prompt": "a cat [ugly] on a mat [bad, worse]", "weight": 1}]),
    ] {
        let settings = json_told("sd-metadata", &image(prompt));
        assert_eq!(settings.prompt.as_deref(), Some("a cat  on a mat"));
        assert_eq!(settings.negative_prompt.as_deref(), Some("ugly, bad, worse"));
        assert_eq!((settings.sampler, settings.steps, settings.guidance), (Some("lms"), Some(50), Some(7.5)));
        assert_eq!(
            (settings.width, settings.height, settings.seed.as_deref()),
            (Some(640), Some(512), Some("42"))
        );
        assert_eq!((settings.variation_seed.as_deref(), settings.variation_strength), (Some("9"), Some(0.2)));
        assert_eq!(
            (settings.tiling, settings.model.as_deref()),
            (Some("both"), Some("stable-diffusion-1.5"))
        );
        assert_eq!(settings.notices, [""; 0]);
    }
    let dream = r#""a \"cat\" [ugly" -s 30 -S 42 -W 512 -H 768 -C -1.5 -A k_euler_a --seamless -G 0.5"#;
    let settings = told("Dream", dream);
    assert_eq!(settings.prompt.as_deref(), Some(r#"a \"cat\" [ugly"#), "what is left open is text");
    assert_eq!(
        (settings.steps, settings.guidance, settings.sampler),
        (Some(30), Some(-1.5), Some("euler-a"))
    );
    assert_eq!((settings.width, settings.height, settings.tiling), (Some(512), Some(768), Some("both")));
    assert_eq!(settings.notices, ["Not used here: -G."]);
    assert!(from_file(&png_of("Dream", "I dreamt of -s 30")).is_err());
    // Without quotation marks, and what its command line wrote.
    let settings =
        told("Dream", "a \"cat\" -s 30 -S 42 -W 512 -H 768 -C 7.5 -I a.png -A ddim -f 0.6 -V 9:0.25");
    assert_eq!(settings.prompt.as_deref(), Some("a \"cat\""));
    assert_eq!((settings.strength, settings.sampler), (Some(0.6), Some("ddim")));
    assert_eq!((settings.variation_seed.as_deref(), settings.variation_strength), (Some("9"), Some(0.25)));
    let mut value = image(json!("a"));
    (value["model_weights"], value["model_id"]) = (Value::Null, "sd-1.4".into());
    value["image"]["variations"] = json!([{"seed": 9, "weight": 0.25}]);
    (value["image"]["type"], value["image"]["strength_steps"]) = ("img2img".into(), json!(0.4));
    let settings = json_told("sd-metadata", &value);
    assert_eq!((settings.model.as_deref(), settings.strength), (Some("sd-1.4"), Some(0.4)));
    assert_eq!((settings.variation_seed.as_deref(), settings.variation_strength), (Some("9"), Some(0.25)));
}

#[test]
fn fooocus() {
    let value = json!({
        "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "base_model_hash": "ab", "clip_skip": 2,
        "full_negative_prompt": ["ugly", "worst quality"], "full_prompt": ["cinematic still a cat", "a cat, sharp"],
        "guidance_scale": 4, "lora_combined_1": "offset_0.1 : 0.1", "loras": [["offset_0.1", 0.1, "1f2e"]],
        "metadata_scheme": "fooocus", "negative_prompt": "ugly", "performance": "Speed", "prompt": "a cat",
        "refiner_model": "None", "refiner_switch": 0.5, "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras", "seed": "42", "sharpness": 2, "steps": 30, "styles": "['Fooocus V2']",
        "vae": "Default (model)", "version": "Fooocus v2.5.5",
    });
    let settings = json_told("parameters", &value);
    assert_eq!(settings.prompt.as_deref(), Some("cinematic still a cat, a cat, sharp <lora:offset_0.1:0.1>"));
    assert_eq!(settings.negative_prompt.as_deref(), Some("ugly, worst quality"));
    assert_eq!((settings.dialect, settings.clip_skip), (Some(Dialect::ComfyUi), Some(2)));
    assert_eq!((settings.sampler, settings.schedule), (Some("dpm++-2m-sde"), Some("karras")));
    assert_eq!((settings.width, settings.height, settings.rng), (Some(1152), Some(896), Some("torch")));
    assert_eq!(settings.loras, [Used { name: "offset_0.1".to_string(), hash: "1f2e".to_string() }]);
    assert_eq!(settings.notices, ["Not used here: sharpness."]);
    // In its words for A1111, LoRAs stand beside the prompt.
    let settings = recalled(
        "cinematic still a cat\nNegative prompt: ugly\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 42, Size: 1152x896, \
         CFG scale: 4, Sharpness: 2, Model: juggernautXL_v8, Scheduler: karras, Raw prompt: a cat, Raw negative prompt: ugly, \
         Lora hashes: \"offset_0.1: 1f2e\", Lora weights: \"offset_0.1: 0.1\", Version: Fooocus v2.5.5",
    );
    assert_eq!(settings.prompt.as_deref(), Some("cinematic still a cat <lora:offset_0.1:0.1>"));
    assert_eq!((settings.rng, names(&settings.loras)), (Some("torch"), vec!["offset_0.1"]));
    assert_eq!(settings.notices, ["Not used here: Sharpness."]);
}

#[test]
fn swarmui() {
    let value = json!({"sui_image_params": {
        "prompt": "a red apple", "negativeprompt": "ugly", "model": "Folder/dream_1.0.safetensors", "images": 1, "seed": 42,
        "steps": 12, "cfgscale": 3.0, "aspectratio": "2:3", "width": 64, "height": 96, "sampler": "euler_ancestral",
        "scheduler": "karras", "loras": ["style/shiny", "round"], "loraweights": ["0.8", "1.2"], "clipstopatlayer": -2,
        "variationseed": 9, "variationseedstrength": 0.25, "seamlesstileable": "X-Only", "rescalecfgmultiplier": 0.6,
        "initimagecreativity": 0.0, "refinercontrolpercentage": 0.4, "refinermethod": "PostApply", "refinerupscale": 1.5,
        "refinerupscalemethod": "model-4x.pth", "automaticvae": true, "freeublock": 2, "swarm_version": "0.9.3.1"},
        "sui_extra_data": {"date": "2025-01-25", "generation_time": "4.84 sec"}});
    let settings = json_told("parameters", &value);
    assert_eq!(settings.prompt.as_deref(), Some("a red apple <lora:shiny:0.8> <lora:round:1.2>"));
    assert_eq!(
        (settings.dialect, settings.clip_skip, settings.rng),
        (Some(Dialect::ComfyUi), Some(2), Some("torch"))
    );
    assert_eq!(
        (settings.sampler, settings.schedule, settings.tiling),
        (Some("euler-a"), Some("karras"), Some("x"))
    );
    assert_eq!((settings.variation_seed.as_deref(), settings.variation_strength), (Some("9"), Some(0.25)));
    assert_eq!((settings.guidance_rescale, settings.model.as_deref()), (Some(0.6), Some("dream_1.0")));
    let hires = settings.hires.expect("a second pass");
    assert_eq!((hires.scale, hires.strength, hires.upscaler), (1.5, Some(0.4), Some("lanczos")));
    assert_eq!(
        settings.notices,
        [
            "There is no upscaler “model-4x.pth” here; Lanczos stands for it.",
            "Its second pass drew its noise from another seed than here.",
            "Not used here: freeublock."
        ]
    );
    // Its ids are the names of its parameters, in small letters.
    let value = json!({"sui_image_params": {"prompt": "a", "seed": 1, "steps": 4, "sampler": "euler", "scheduler": "karras",
        "samplersigmamin": 0.1, "samplersigmamax": 10, "samplerrho": 6, "controlnetmodel": "(None)",
        "controlnettwomodel": "sd15/canny.safetensors", "controlnettwostrength": 0.8, "controlnettwoend": 0.6}});
    let settings = json_told("parameters", &value);
    let options = SamplerOptions {
        sigma_min: Some(0.1),
        sigma_max: Some(10.0),
        rho: Some(6.0),
        ..SamplerOptions::default()
    };
    assert_eq!((settings.sampler_options, settings.controls.len()), (Some(options), 1));
    let control = &settings.controls[0];
    assert_eq!(
        (control.model.as_deref(), control.strength, control.start, control.end),
        (Some("canny"), Some(0.8), None, Some(0.6))
    );
    assert_eq!(settings.notices, ["It was steered by canny and a map, which its file does not hold."]);
}

#[test]
fn novelai() {
    let comment = json!({"prompt": "{{a (red) cat}}, [dog], {open", "steps": 28, "height": 768, "width": 512, "scale": 5.0,
        "uncond_scale": 1.0, "cfg_rescale": 0.3, "seed": 42, "n_samples": 1, "hide_debug_overlay": false,
        "noise_schedule": "karras", "sampler": "k_euler_ancestral", "controlnet_strength": 1.0, "controlnet_model": null,
        "dynamic_thresholding": false, "dynamic_thresholding_percentile": 0.999, "dynamic_thresholding_mimic_scale": 10.0,
        "sm": true, "sm_dyn": false, "uc": "{bad}", "request_type": "PromptGenerateRequest", "signed_hash": "x=="});
    let settings = json_told("Comment", &comment);
    assert_eq!(
        settings.prompt.as_deref(),
        Some("((a \\(red\\) cat:1.05):1.05), (dog:0.952381), (open:1.05)")
    );
    assert_eq!(settings.negative_prompt.as_deref(), Some("(bad:1.05)"));
    assert_eq!((settings.sampler, settings.schedule, settings.rng), (Some("euler-a"), Some("karras"), None));
    assert_eq!((settings.guidance, settings.guidance_rescale), (Some(5.0), Some(0.3)));
    assert_eq!(
        settings.notices,
        ["Whose noise it was is not known: the same seed gives another picture here.", "Not used here: sm."]
    );
    // Made after its own reader.
    let hidden = from_file(include_bytes!("../../../../tests/golden/hidden.png")).expect("settings");
    assert_eq!(
        (hidden.prompt.as_deref(), hidden.negative_prompt.as_deref()),
        (Some("a (red:1.05) apple"), Some("bad"))
    );
    assert_eq!((hidden.steps, hidden.sampler, hidden.seed.as_deref()), (Some(28), Some("euler"), Some("42")));
    // Where its texts were taken out, what it hid in the alpha is read; so are others' texts there, but behind what a file says.
    let with = |text: &str, texts: &[(&str, &str)]| {
        let image = crate::image::hiding("stealth_pngcomp", text.as_bytes(), [128, 128]);
        from_file(&encode_png(&image, texts).expect("a PNG"))
    };
    let texts = json!({"Software": "NovelAI", "Description": "no {matter}", "Comment": comment.to_string()})
        .to_string();
    assert_eq!(with(&texts, &[("Title", "AI generated image")]).expect("settings"), settings);
    let said = with(&texts, &[("parameters", "a dog\nSteps: 4, Seed: 1")]).expect("settings");
    assert_eq!(said.prompt.as_deref(), Some("a dog"));
    let of_a1111 = with("a dog\nSteps: 4, Sampler: Euler a, Seed: 1", &[]).expect("settings");
    assert_eq!((of_a1111.prompt.as_deref(), of_a1111.sampler), (Some("a dog"), Some("euler-a")));
    let error = with("something else", &[]).unwrap_err().to_string();
    assert!(error.contains("no settings in it"), "{error}");
    // Its first pictures, and one drawn on a picture.
    let first = json!({"steps": 28, "sampler": "k_euler", "seed": 1, "strength": 0.7, "noise": 0.2, "scale": 11.0, "uc": "bad",
        "noise_schedule": "native", "request_type": "Img2ImgRequest"});
    let chunks = [("Description", "a {cat}"), ("Comment", &first.to_string())]
        .map(|(key, text)| chunk(b"tEXt", [key.as_bytes(), b"\0", text.as_bytes()].concat().as_slice()));
    let settings = from_file(&png_with(&chunks)).expect("settings");
    assert_eq!(settings.prompt.as_deref(), Some("a (cat:1.05)"));
    assert_eq!((settings.strength, settings.schedule), (Some(0.7), Some("default")));
    assert!(settings.notices.contains(&"Not used here: noise.".to_string()), "{:?}", settings.notices);
}

#[test]
fn draw_things() {
    let own = json!({"c": "a \"red\" <apple>", "uc": "ugly", "model": "sd_v1.5_f16.ckpt", "sampler": "DPM++ 2M Karras", "scale": 4.5,
        "seed": 42, "seed_mode": "Scale Alike", "size": "512x768", "steps": 20, "strength": 1, "mask_blur": 1.5,
        "lora": [{"model": "shiny_lora_f16.ckpt", "weight": 0.6}], "control": [], "v2": {"clipSkip": 2, "steps": 20}});
    let escaped = own
        .to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let packet = format!(
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF><rdf:Description rdf:about=\"\"><xmp:CreatorTool>Draw Things</xmp:CreatorTool>\
         <exif:UserComment><rdf:Alt><rdf:li xml:lang=\"x-default\">{escaped}</rdf:li></rdf:Alt></exif:UserComment>\
         </rdf:Description></rdf:RDF></x:xmpmeta>"
    );
    let itxt = chunk(b"iTXt", &[XMP.as_bytes(), b"\0\0\0\0\0", packet.as_bytes()].concat());
    let exif = exif(true, 0x9286, &utf16(&own.to_string(), true));
    let mut as_xmp = b"\xff\xd8\xff\xe1".to_vec();
    let before = b"http://ns.adobe.com/xap/1.0/\0";
    as_xmp.extend(((2 + before.len() + packet.len()) as u16).to_be_bytes());
    as_xmp.extend([before, packet.as_bytes(), b"\xff\xda\0\x02pixels\xff\xd9"].concat());
    for file in [png_with(&[itxt]), png_with(&[chunk(b"eXIf", &exif)]), as_xmp, jpeg(&exif)] {
        let settings = from_file(&file).expect("settings");
        assert_eq!(settings.prompt.as_deref(), Some("a \"red\" <apple> <lora:shiny_lora_f16:0.6>"));
        assert_eq!((settings.sampler, settings.schedule), (Some("dpm++-2m"), Some("karras")));
        assert_eq!((settings.width, settings.height, settings.clip_skip), (Some(512), Some(768), Some(2)));
        assert_eq!(
            (settings.model.as_deref(), settings.rng, settings.strength),
            (Some("sd_v1.5_f16"), None, None)
        );
        assert_eq!(
            settings.notices,
            ["Whose noise it was is not known: the same seed gives another picture here."]
        );
    }
    let with = |fields: &[(&str, Value)]| {
        let mut own = own.clone();
        fields.iter().for_each(|(name, value)| own[*name] = value.clone());
        from_file(&jpeg(&exif_of(&own))).expect("settings")
    };
    let noise = |mode: &str| with(&[("seed_mode", mode.into())]).rng;
    assert_eq!(
        (noise("Torch CPU Compatible"), noise("NVIDIA GPU Compatible"), noise("Legacy")),
        (Some("torch"), Some("philox"), None)
    );
    // What its app writes beside where it is on, with its names of samplers.
    let settings = with(&[
        ("v2", Value::Null),
        ("clip_skip", json!(3)),
        ("sampler", "Euler A AYS".into()),
        ("hires_fix", json!(true)),
        ("first_stage_size", "256x384".into()),
        ("second_stage_strength", json!(0.7)),
        (
            "control",
            json!([{"file": "canny.ckpt", "weight": 0.8, "no_prompt": false, "guidance_start": 0.1, "guidance_end": 0.6}]),
        ),
    ]);
    assert_eq!((settings.clip_skip, settings.sampler), (Some(3), Some("euler-a")));
    assert_eq!(
        (settings.schedule, settings.width, settings.height),
        (Some("align-your-steps"), Some(256), Some(384))
    );
    let second = settings.hires.expect("a second pass");
    assert_eq!((second.scale, second.strength), (2.0, Some(0.7)));
    let control = &settings.controls[0];
    assert_eq!(
        (control.model.as_deref(), control.strength, control.start, control.end),
        (Some("canny.ckpt"), Some(0.8), Some(0.1), Some(0.6))
    );
    assert!(!settings.notices.join(" ").contains("Not used"), "{:?}", settings.notices);
    let sampler = |name: &str| {
        let settings = with(&[("sampler", name.into())]);
        (settings.sampler, settings.schedule)
    };
    assert_eq!(sampler("Euler Ancestral"), (Some("euler-a"), Some("default")));
    assert_eq!(sampler("DPM++ 2M Trailing"), (Some("dpm++-2m"), Some("trailing")));
    assert_eq!(sampler("DPM++ SDE Substep"), (None, None));
}

fn exif_of(value: &Value) -> Vec<u8> {
    exif(true, 0x9286, &utf16(&value.to_string(), true))
}

#[test]
fn civitai() {
    let settings = recalled(
        "a cat\nNegative prompt: bad\nSteps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 42, Size: 512x768, Clip skip: 2, \
         Created Date: 2024-05-01T1234:56.7Z, Civitai resources: [{\"type\":\"checkpoint\",\"modelVersionId\":128713,\
         \"modelName\":\"DreamShaper\",\"modelVersionName\":\"8\"},{\"type\":\"lora\",\"weight\":0.8,\"modelVersionId\":62833,\
         \"modelName\":\"Detail: Tweaker\",\"modelVersionName\":\"1.0\"},{\"type\":\"embed\",\"modelVersionId\":9208,\
         \"modelName\":\"easynegative\",\"modelVersionName\":\"easynegative\"},{\"type\":\"upscaler\",\"modelVersionId\":1}], \
         Civitai metadata: {\"remixOfId\":1}",
    );
    assert_eq!(settings.prompt.as_deref(), Some("a cat <lora:Detail  Tweaker:0.8>"));
    assert_eq!((settings.model.as_deref(), settings.clip_skip), (Some("DreamShaper 8"), Some(2)));
    assert_eq!(
        settings.notices,
        [
            "It used the embedding “easynegative” of Civitai.",
            "Its files are named by Civitai’s numbers alone: civitai.com/model-versions/1."
        ]
    );
    // Others write its names for files as addresses.
    let settings = recalled(
        "a cat\nSteps: 25, Sampler: Euler a, Seed: 42, Civitai resources: [{\"modelName\":\"DreamShaper\",\"versionName\":\"8\",\
         \"air\":\"urn:air:sd1:checkpoint:civitai:4384@128713\"},{\"weight\":0.5,\"modelName\":\"Detail\",\
         \"air\":\"urn:air:sd1:lora:civitai:58390@62833\"},{\"weight\":1,\"air\":\"urn:air:sd1:lora:civitai:1@77\"}]",
    );
    assert_eq!(settings.prompt.as_deref(), Some("a cat <lora:Detail:0.5>"));
    assert_eq!(settings.model.as_deref(), Some("DreamShaper 8"));
    assert_eq!(
        settings.notices,
        ["Its files are named by Civitai’s numbers alone: civitai.com/model-versions/77."]
    );
    // Its generator of today: settings as text beside a graph, in a JPEG's comment.
    let own = json!({"prompt": "a dog", "negativePrompt": "bad", "cfgScale": 6, "sampler": "Euler a", "steps": 30, "seed": 9, "width": 832,
        "height": 1216, "clipSkip": 2, "workflowId": "txt2img", "resources": [{"modelVersionId": 290640, "strength": 1}]});
    let graph = json!({"resource-stack": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "urn:air:sdxl"}},
        "extra": {"airs": ["urn:air:sdxl"]}, "extraMetadata": own.to_string()});
    let settings = from_file(&jpeg(&exif_of(&graph))).expect("settings");
    assert_eq!(
        (settings.prompt.as_deref(), settings.negative_prompt.as_deref()),
        (Some("a dog"), Some("bad"))
    );
    assert_eq!(
        (settings.guidance, settings.clip_skip, settings.sampler),
        (Some(6.0), Some(2), Some("euler-a"))
    );
    assert_eq!((settings.width, settings.rng), (Some(832), Some("torch")));
    assert_eq!(
        settings.notices,
        ["Its files are named by Civitai’s numbers alone: civitai.com/model-versions/290640."]
    );
    // What A1111 writes for it, where nothing else says it.
    let hashes = r#"{"vae": "1", "lora:shiny": "1f2e", "embed:easynegative": "c74b", "model": "4"}"#;
    let settings =
        recalled(&format!("a <lora:shiny:1>\nSteps: 25, Sampler: Euler a, Seed: 42, Hashes: {hashes}"));
    assert_eq!((names(&settings.loras), names(&settings.embeddings)), (vec!["shiny"], vec!["easynegative"]));
}

#[test]
fn easy_diffusion() {
    let value = json!({"prompt": "a", "seed": 1, "used_random_seed": false, "negative_prompt": "b", "num_inference_steps": 25,
        "guidance_scale": 7.5, "width": 512, "height": 512, "use_stable_diffusion_model": "sd-v1-4.ckpt", "sampler_name": "euler_a",
        "clip_skip": true});
    let settings = from_file(value.to_string().as_bytes()).expect("settings");
    assert_eq!(
        (settings.clip_skip, settings.sampler, settings.model.as_deref()),
        (Some(2), Some("euler-a"), Some("sd-v1-4"))
    );
    assert_eq!(settings.notices, [""; 0]);
}
