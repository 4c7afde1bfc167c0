//! Prompts that a graph puts together.

use super::*;

/// What ComfyUI averages, an `AND` with regions does; what it puts behind one another, `BREAK` does; what it mixes, compel.
#[test]
fn prompts_that_are_put_together() {
    let texts = json!({
        "a": node("CLIPTextEncode", json!({"text": "a red apple", "clip": ["ckpt", 1]})),
        "b": node("CLIPTextEncode", json!({"text": "a dog, small", "clip": ["ckpt", 1]})),
        "mask": node("LoadImageMask", json!({"image": "m.png", "channel": "red"})),
        "bm": node("ConditioningSetMask", json!({"conditioning": ["b", 0], "mask": ["mask", 0], "strength": 0.5, "set_cond_area": "default"})),
    });
    let put = |class: &str, inputs: Value, text: &str| {
        let mut nodes = texts.clone();
        nodes["a"]["inputs"]["text"] = text.into();
        nodes["both"] = node(class, inputs);
        nodes["k"] = sampler(json!({"positive": ["both", 0]}));
        with(nodes)
    };
    let plain = "a red apple";
    let two = json!({"conditioning_1": ["a", 0], "conditioning_2": ["bm", 0]});
    let settings = put("ConditioningCombine", two.clone(), plain);
    assert_eq!(settings.prompt.as_deref(), Some("a red apple AND a dog, small"));
    assert_eq!(settings.dialect, Some(Dialect::A1111));
    let placed: Vec<_> =
        settings.regions.iter().map(|one| (one.part, one.rect.is_some(), one.weight)).collect();
    assert_eq!(placed, [(1, true, Some(1.0)), (2, false, Some(0.5))]);
    // Of the text that nothing is wired to it is said so.
    let unused = settings.notices.last().map(String::as_str);
    assert_eq!(unused, Some("Not used here: CLIPTextEncode."), "{:?}", settings.notices);
    let concat =
        put("ConditioningConcat", json!({"conditioning_to": ["a", 0], "conditioning_from": ["b", 0]}), plain);
    assert_eq!(concat.prompt.as_deref(), Some("a red apple BREAK a dog, small"));
    assert!(concat.regions.is_empty());
    let average =
        json!({"conditioning_to": ["a", 0], "conditioning_from": ["b", 0], "conditioning_to_strength": 0.7});
    let average = put("ConditioningAverage", average, plain);
    assert_eq!(average.prompt.as_deref(), Some("(\"a red apple\", \"a dog, small\").blend(0.7, 0.3)"));
    assert_eq!(average.dialect, Some(Dialect::Compel));
    // Words that weigh mean something else there.
    let weighed = put("ConditioningCombine", two, "a (red:1.2) apple");
    assert_eq!(
        (weighed.prompt.as_deref(), weighed.dialect),
        (Some("a (red:1.2) apple"), Some(Dialect::ComfyUi))
    );
    assert!(
        weighed.notices.iter().any(|notice| notice.contains("ConditioningCombine")),
        "{:?}",
        weighed.notices
    );
}

/// A picture of 512 × 768 whose two texts go through these nodes into one.
fn of_two(nodes: Value, both: Value) -> Settings {
    let mut all = json!({
        "a": node("CLIPTextEncode", json!({"text": "a red apple", "clip": ["ckpt", 1]})),
        "yes": node("CLIPTextEncode", json!({"text": "a dog, small", "clip": ["ckpt", 1]})),
        "both": node("ConditioningCombine", both),
        "k": sampler(json!({"positive": ["both", 0]})),
    });
    for (id, node) in nodes.as_object().expect("nodes") {
        all[id] = node.clone();
    }
    with(all)
}

#[test]
fn areas_are_regions() {
    let area = |class: &str, [x, y, width, height]: [f64; 4]| {
        node(
            class,
            json!({"conditioning": ["a", 0], "width": width, "height": height, "x": x, "y": y, "strength": 1.5}),
        )
    };
    let both = json!({"conditioning_1": ["area", 0], "conditioning_2": ["yes", 0]});
    for there in [
        area("ConditioningSetArea", [256.0, 192.0, 256.0, 576.0]),
        area("ConditioningSetAreaPercentage", [0.5, 0.25, 0.5, 0.75]),
        // What is beyond the picture is not drawn.
        area("ConditioningSetArea", [256.0, 192.0, 512.0, 1024.0]),
    ] {
        let settings = of_two(json!({"area": there}), both.clone());
        assert_eq!(settings.prompt.as_deref(), Some("a red apple AND a dog, small"));
        let [first, second] = settings.regions.as_slice() else { panic!("{settings:?}") };
        let rect = first.rect.expect("an area");
        assert_eq!([rect.left, rect.top, rect.width, rect.height], [0.5, 0.25, 0.5, 0.75]);
        assert_eq!((first.part, first.weight, second.part, second.weight), (1, Some(1.5), 2, Some(1.0)));
        assert_eq!(second.rect.map(|rect| rect.width), Some(1.0));
        assert!(
            said(&settings).iter().any(|text| text.contains("alike, not the same")),
            "{:?}",
            settings.notices
        );
        assert!(!settings.notices.join(" ").contains("Not used"), "{:?}", settings.notices);
    }
    let strength = node("ConditioningSetAreaStrength", json!({"conditioning": ["a", 0], "strength": 0.5}));
    let settings = of_two(json!({"area": strength}), both.clone());
    assert_eq!(settings.regions.iter().map(|one| one.weight).collect::<Vec<_>>(), [Some(0.5), Some(1.0)]);
    // One alone has nothing beside it; one without a size is nowhere.
    let alone = json!({"area": area("ConditioningSetArea", [0.0, 0.0, 64.0, 64.0]), "k": sampler(json!({"positive": ["area", 0]}))});
    let nowhere = json!({"area": area("ConditioningSetArea", [600.0, 0.0, 64.0, 64.0])});
    for settings in [of_two(alone, both.clone()), of_two(nowhere, both)] {
        let notice = settings.notices.last().map(String::as_str).unwrap_or_default();
        assert!(settings.regions.is_empty() && notice.contains("ConditioningSetArea"), "{notice}");
    }
}

/// The step is ComfyUI's: a range's end is a share of the training's timesteps, not of the steps.
#[test]
fn ranges_of_timesteps_take_turns() {
    let during = |from: &str, start: f64, end: f64| {
        node("ConditioningSetTimestepRange", json!({"conditioning": [from, 0], "start": start, "end": end}))
    };
    let both = json!({"conditioning_1": ["first", 0], "conditioning_2": ["then", 0]});
    let turns = |at: f64, more: Value| {
        let mut nodes = json!({"first": during("a", 0.0, at), "then": during("yes", at, 1.0)});
        for (id, node) in more.as_object().expect("nodes") {
            nodes[id] = node.clone();
        }
        of_two(nodes, both.clone())
    };
    // Normal levels are even in timesteps: 999, 946.42 … 0; ten of them are above 499.5.
    let settings = turns(0.5, json!({}));
    assert_eq!(settings.prompt.as_deref(), Some("[a red apple:a dog, small:9]"));
    assert_eq!((settings.dialect, settings.regions.len()), (Some(Dialect::A1111), 0));
    assert!(!settings.notices.join(" ").contains("Not used"), "{:?}", settings.notices);
    // Karras' are not: of 20 from 14.6 to 0.029, those above the level of timestep 499.5 (1.6132).
    let karras = json!({"k": sampler(json!({"positive": ["both", 0], "scheduler": "karras"}))});
    let above = (0..20).filter(|i| {
        let ends = [14.614642_f64, 0.029167].map(|end| end.powf(1.0 / 7.0));
        (ends[0] + f64::from(*i) / 19.0 * (ends[1] - ends[0])).powi(7) > 1.6132
    });
    let expected = format!("[a red apple:a dog, small:{}]", above.count() - 1);
    assert_eq!(turns(0.5, karras).prompt, Some(expected));
    assert_eq!(turns(1.0, json!({})).prompt.as_deref(), Some("a red apple"));
    assert_eq!(turns(0.0, json!({})).prompt.as_deref(), Some("a dog, small"));
    // Three of them; and one beside something that is always there.
    let third = json!({
        "then": during("yes", 0.25, 0.75), "c": node("CLIPTextEncode", json!({"text": "a hat", "clip": ["ckpt", 1]})),
        "last": during("c", 0.75, 1.0), "first": during("a", 0.0, 0.25),
        "two": node("ConditioningCombine", json!({"conditioning_1": ["last", 0], "conditioning_2": ["first", 0]})),
        "both": node("ConditioningCombine", json!({"conditioning_1": ["two", 0], "conditioning_2": ["then", 0]})),
    });
    assert_eq!(turns(0.5, third).prompt.as_deref(), Some("[a red apple:[a dog, small:a hat:14]:4]"));
    // With a hole between, or from another picture, it is said.
    let hole = json!({"then": during("yes", 0.6, 1.0)});
    let picture = json!({
        "image": node("LoadImage", json!({"image": "a.png"})),
        "encode": node("VAEEncode", json!({"pixels": ["image", 0], "vae": ["ckpt", 2]})),
        "k": sampler(json!({"positive": ["both", 0], "latent_image": ["encode", 0], "denoise": 0.5})),
    });
    for settings in [turns(0.5, hole), turns(0.5, picture)] {
        assert_eq!(settings.dialect, Some(Dialect::ComfyUi));
        assert!(
            settings.notices.join(" ").contains("ConditioningSetTimestepRange"),
            "{:?}",
            settings.notices
        );
    }
}
