use super::*;

fn unet_of(builtin: &str) -> UnetConfig {
    let Denoiser::Unet(unet) = ModelConfig::builtin(builtin).unwrap().denoiser;
    unet
}

#[test]
fn built_in_configurations_are_sound() {
    for name in BUILTIN {
        let config = ModelConfig::builtin(name).unwrap();
        config.check().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(ModelConfig::from_json("m.gguf", &text).unwrap(), config);
    }
    assert_eq!(ModelConfig::builtin("sd15").unwrap().native_size(), [512, 512]);
    assert_eq!(ModelConfig::builtin("sd21").unwrap().native_size(), [768, 768]);
    let error = ModelConfig::builtin("sd3").unwrap_err().to_string();
    assert!(error.contains("sd3") && error.contains("sd-turbo"), "{error}");
}

#[test]
fn heads_and_layers_per_block() {
    let unet = unet_of("sd21");
    assert_eq!((0..4).map(|b| unet.heads(b)).collect::<Vec<_>>(), [5, 10, 20, 20]);
    assert_eq!(unet.layers(3), 2);
    assert_eq!(unet.time_embed_dim(), 1280);
}

#[test]
fn unknown_fields_are_ignored_and_unsupported_ones_named() {
    let sd15 = r#"{"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false,
        "cross_attention_dim": 768, "dual_cross_attention": false, "mid_block_scale_factor": 1, "sample_size": 64}"#;
    let unet = UnetConfig::from_json("unet/config.json", sd15).unwrap();
    assert_eq!(unet, unet_of("sd15"));
    let cases = [
        (r#"{"class_embed_type": "timestep"}"#, "class_embed_type"),
        (r#"{"addition_embed_type": "text_time"}"#, "addition_embed_type"),
        (r#"{"num_class_embeds": 1000}"#, "num_class_embeds"),
        (r#"{"dual_cross_attention": true}"#, "dual_cross_attention"),
        (r#"{"act_fn": "gelu"}"#, "act_fn"),
        (r#"{"_class_name": "UNet2DModel"}"#, "UNet2DModel"),
        (r#"{"mid_block_type": "UNetMidBlock2D"}"#, "mid_block_type"),
        (r#"{"down_block_types": ["AttnDownBlock2D"]}"#, "AttnDownBlock2D"),
    ];
    for (json, name) in cases {
        match UnetConfig::from_json("unet/config.json", json) {
            Err(Error::Unsupported { what, .. }) => assert!(what.contains(name), "{what}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

/// A list that says the same of every block asks for nothing new.
#[test]
fn lists_that_ask_for_nothing_new_are_taken() {
    for json in [
        r#"{"transformer_layers_per_block": [1, 1, 1, 1]}"#,
        r#"{"transformer_layers_per_block": 1, "only_cross_attention": [false, false, false, false]}"#,
        r#"{"cross_attention_dim": [768, 768, 768, 768], "layers_per_block": [2, 2, 2, 2]}"#,
    ] {
        let unet = UnetConfig::from_json("unet/config.json", json).unwrap();
        assert_eq!((unet.layers(3), unet.block_out_channels.len()), (2, 4), "{json}");
    }
    for (json, words) in [
        (
            r#"{"transformer_layers_per_block": [1, 2, 10]}"#,
            "the length of transformer_layers_per_block is 3",
        ),
        (r#"{"only_cross_attention": [true, false]}"#, "only_cross_attention"),
        (r#"{"transformer_layers_per_block": []}"#, "transformer_layers_per_block"),
        (r#"{"cross_attention_dim": [768, 1024]}"#, "[768, 1024] differs from block to block"),
    ] {
        let error = UnetConfig::from_json("unet/config.json", json).unwrap_err().to_string();
        assert!(error.contains(words), "{json}: {error}");
    }
}

#[test]
fn a_pair_is_height_and_width() {
    let unet = UnetConfig::from_json("u", r#"{"sample_size": [32, 96]}"#).unwrap();
    let denoiser = Denoiser::Unet(unet.clone());
    let config = ModelConfig { denoiser, ..ModelConfig::builtin("sd15").unwrap() };
    assert_eq!(config.native_size(), [768, 256]);
    let text = serde_json::to_string(&unet).unwrap();
    assert_eq!(UnetConfig::from_json("u", &text).unwrap(), unet);
    for json in [r#"{"sample_size": [64, 0]}"#, r#"{"sample_size": [1, 2, 3]}"#] {
        assert!(UnetConfig::from_json("u", json).is_err(), "{json}");
    }
}

/// What `StableDiffusionPipeline` makes of folders that were saved long ago.
#[test]
fn old_folders_are_read_as_their_pipeline_reads_them() {
    const SD15: &str = r#"{"cross_attention_dim": 768"#;
    let read = |unet: &str, scheduler: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}"#;
        let files = [("text_encoder/config", text), ("vae/config", "{}"), ("unet/config", unet)];
        for (name, json) in files.into_iter().chain([("scheduler/scheduler_config", scheduler)]) {
            let path = folder.path().join(format!("{name}.json"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, json).unwrap();
        }
        from_folder(folder.path()).unwrap()
    };
    for (fields, size) in [
        (r#", "_diffusers_version": "0.6.0", "sample_size": 32}"#, 64),
        (r#", "_diffusers_version": "0.8.1", "sample_size": 96}"#, 96),
        (r#", "_diffusers_version": "0.9.0.dev0", "sample_size": 32}"#, 32),
        (r#", "_diffusers_version": "0.10.2", "sample_size": 32}"#, 32),
        (r#", "_diffusers_version": "1.2.0", "sample_size": 32}"#, 32),
        (r#", "sample_size": 32}"#, 32),
    ] {
        let config = read(&format!("{SD15}{fields}"), "{}");
        assert_eq!(config.denoiser.sample_size(), SampleSize::Square(size), "{fields}");
    }
    for json in [r#"{"clip_sample": true}"#, r#"{"steps_offset": 0}"#, r#"{"steps_offset": null}"#, "{}"] {
        let scheduler = read(&format!("{SD15}}}"), json).scheduler;
        assert_eq!((scheduler.steps_offset, scheduler.refused.clip_sample), (1, None), "{json}");
    }
    for (class, sampler) in [("DDIMScheduler", Some("ddim")), ("PNDMScheduler", None)] {
        let scheduler = format!(r#"{{"_class_name": "{class}", "lambda_min_clipped": -Infinity}}"#);
        let config = read(&format!("{SD15}}}"), &scheduler);
        assert_eq!(config.suggested.sampler.as_deref(), sampler);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(ModelConfig::from_json("m", &text).unwrap(), config);
    }
}

#[test]
fn numbers_that_do_not_fit_name_field_and_both_sides() {
    let cases: [(&str, &[&str]); 9] = [
        (r#"{"block_out_channels": [320, 640, 1280, 1281]}"#, &["block_out_channels[3]", "1281", "4"]),
        (r#"{"block_out_channels": [320, 640, 1280]}"#, &["down_block_types", "4", "3"]),
        (r#"{"norm_num_groups": 48}"#, &["320", "norm_num_groups", "48"]),
        (r#"{"attention_head_dim": 7}"#, &["320", "7"]),
        (r#"{"attention_head_dim": [160, 8, 8, 8]}"#, &["block_out_channels[0] / heads", "2"]),
        (r#"{"block_out_channels": [1099511627776, 4, 4, 4]}"#, &["block_out_channels[0]", "1099511627776"]),
        (r#"{"layers_per_block": 4294967296}"#, &["layers_per_block", "4294967296"]),
        (r#"{"attention_head_dim": 0}"#, &["attention_head_dim", "0"]),
        (r#"{"norm_num_groups": 0}"#, &["norm_num_groups", "0"]),
    ];
    for (json, parts) in cases {
        let error = UnetConfig::from_json("unet/config.json", json).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{json}: {error}");
    }
}

#[test]
fn components_must_fit_each_other() {
    let mut config = ModelConfig::builtin("sd15").unwrap();
    config.texts[0].hidden_size = 1024;
    config.texts[0].num_attention_heads = 16;
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("768") && error.contains("1024"), "{error}");
    let mut config = ModelConfig::builtin("sd15").unwrap();
    config.denoiser = Denoiser::Unet(UnetConfig { in_channels: 12, ..unet_of("sd15") });
    assert!(matches!(config.check(), Err(Error::Unsupported { .. })));
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = from_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("text_encoder/config.json"), "{error}");
}

#[test]
fn json_that_is_none_names_the_file() {
    let error = Autoencoder::from_json("vae/config.json", "<html>").unwrap_err();
    assert!(matches!(&error, Error::Json { file, .. } if file == "vae/config.json"));
    assert!(TaesdConfig::from_json("taesd/config.json", "{}").is_ok());
    assert!(ClipTextConfig::from_json("t", r#"{"hidden_act": "relu"}"#).is_err());
}

/// What decides the shape of a UNet beside its widths: no middle, and another number for each block.
#[test]
fn blocks_may_differ() {
    let json = r#"{"mid_block_type": null, "layers_per_block": [1, 2, 1, 3], "transformer_layers_per_block": [1, 2, 4, 1]}"#;
    let unet = UnetConfig::from_json("u", json).unwrap();
    assert_eq!(unet.mid_block_type, None);
    assert_eq!(
        (0..4).map(|b| (unet.layers(b), unet.depth(b))).collect::<Vec<_>>(),
        [(1, 1), (2, 2), (1, 4), (3, 1)]
    );
    let text = serde_json::to_string(&unet).unwrap();
    assert_eq!(UnetConfig::from_json("u", &text).unwrap(), unet);
    for json in
        [r#"{"layers_per_block": [1, 0, 1, 1]}"#, r#"{"transformer_layers_per_block": [[1], [2], [1], [1]]}"#]
    {
        assert!(UnetConfig::from_json("u", json).is_err(), "{json}");
    }
}

/// A model is a map of parts: the names of old files stay, and what they could not say is beside them.
#[test]
fn a_configuration_is_a_map_of_parts() {
    let config = ModelConfig::builtin("sd15").unwrap();
    let value = serde_json::to_value(&config).unwrap();
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "scheduler", "text", "unet", "vae"]);
    assert!(value["text"].is_object() && value["vae"]["_class_name"] == "AutoencoderKL");
    // As files before had it.
    let mut old = value;
    old["vae"].as_object_mut().unwrap().remove("_class_name");
    old["unet"].as_object_mut().unwrap().remove("transformer_layers_per_block");
    assert_eq!(ModelConfig::from_json("m", &old.to_string()).unwrap(), config);
    assert!(ModelConfig::from_json("m", r#"{"name": "x"}"#).is_err());

    let texts =
        vec![ClipTextConfig { hidden_size: 256, ..ClipTextConfig::default() }, ClipTextConfig::default()];
    let vae = Autoencoder::Tiny(TaesdConfig::default());
    let whole = ModelConfig { texts, vae, preview: Some(TaesdConfig::default()), ..config };
    whole.check().unwrap();
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(ModelConfig::from_json("m", &text).unwrap(), whole);
    assert_eq!(
        (ModelConfig::text_root(0), ModelConfig::text_root(1)),
        ("text_encoder".into(), "text_encoder_2".into())
    );
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let sd15 = || ModelConfig::builtin("sd15").unwrap();
    let narrow = TaesdConfig { latent_channels: 16, ..TaesdConfig::default() };
    let short = ClipTextConfig { hidden_size: 256, max_position_embeddings: 20, ..ClipTextConfig::default() };
    for (config, words) in [
        (
            ModelConfig { preview: Some(narrow), ..sd15() },
            "taesd.latent_channels is 16, but vae.latent_channels is 4",
        ),
        (ModelConfig { texts: Vec::new(), ..sd15() }, "the number of text encoders is 0"),
        (
            ModelConfig { texts: vec![ClipTextConfig::default(), short], ..sd15() },
            "max_position_embeddings is 20",
        ),
    ] {
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = Autoencoder::from_json("vae/config.json", r#"{"_class_name": "VQModel"}"#).unwrap_err();
    assert!(matches!(error, Error::Unsupported { what, .. } if what.contains("VQModel")));
}
