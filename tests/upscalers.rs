//! Upscalers: told from their files' names and shapes, held to spandrel on the processor (`tests/golden_engine` has the device),
//! tiles held to the whole.

mod common;

use std::collections::BTreeMap;

use common::report::Report;
use common::upscalers::{Upscaler, file, upscalers};
use opengen::Error;
use opengen::config::{CompactConfig, RrdbConfig, UpscalerConfig};
use opengen::image::Rgba;
use opengen::pipeline::{Cancel, Enlarger, Tiling, by_lanczos};
use opengen::weights::{Header, ModelSource, Parse, UpscalerFile};
use pollster::block_on;

fn enlarger(name: &str) -> Enlarger {
    Enlarger::on_cpu(name, &Upscaler::of(name).file()).expect("an upscaler")
}

#[test]
fn as_spandrel_on_the_processor() {
    let mut report = Report::new(common::F32);
    for upscaler in upscalers() {
        let enlarger = Enlarger::on_cpu(&upscaler.name, &upscaler.file()).expect(&upscaler.name);
        assert_eq!(enlarger.config().scale(), upscaler.scale, "{}", upscaler.name);
        upscaler.hold(&mut report, "cpu", &enlarger);
    }
    report.finish();
}

/// What spandrel tells of each by its names and shapes.
#[test]
fn networks_are_told_from_names_and_shapes() {
    for Upscaler { name, architecture, tags, shapes, .. } in upscalers() {
        let bytes = file(&shapes);
        let found = UpscalerFile::read(&name, &bytes).expect(&name).config;
        let has = |tag: String| assert!(tags.contains(&tag), "{name}: {tags:?} without {tag}");
        match found {
            UpscalerConfig::Rrdb(RrdbConfig { width, growth, blocks, unshuffle, .. }) => {
                assert_eq!((architecture.as_str(), growth), ("ESRGAN", 32), "{name}");
                has(format!("{width}nf"));
                has(format!("{blocks}nb"));
                assert_eq!(unshuffle > 1, tags.contains(&"unshuffle".to_string()), "{name}");
            }
            UpscalerConfig::Compact(CompactConfig { width, convolutions, .. }) => {
                assert_eq!(architecture, "Compact", "{name}");
                has(format!("{width}nf"));
                has(format!("{convolutions}nc"));
            }
        }
    }
}

fn refused(name: &str, tensors: &[(&str, &[usize])]) -> String {
    let shapes: BTreeMap<String, Vec<usize>> =
        tensors.iter().map(|(name, shape)| ((*name).to_string(), shape.to_vec())).collect();
    match Enlarger::on_cpu(name, &file(&shapes)) {
        Ok(_) => panic!("{name} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn other_files_are_told_what_they_are() {
    let needed = "an upscaler is needed here: ESRGAN, Real-ESRGAN (RRDBNet) or SRVGGNetCompact";
    for (tensors, words) in [
        (
            vec![
                ("layers.0.residual_group.blocks.0.norm1.weight", &[60][..]),
                ("conv_first.weight", &[60, 3, 3, 3]),
            ],
            "x.safetensors: this is an upscaler (SwinIR), whose 2 tensors begin with conv_first.weight [60, 3, 3, 3]",
        ),
        (
            vec![
                ("model.diffusion_model.input_blocks.0.0.weight", &[32, 4, 3, 3]),
                ("cond_stage_model.transformer.text_model.final_layer_norm.weight", &[32]),
            ],
            "this is a Stable Diffusion 1 checkpoint: ",
        ),
        (vec![("double_blocks.0.img_attn.qkv.weight", &[8, 8])], "this is a FLUX model: "),
        (vec![("encoder.conv_in.weight", &[8, 3, 3, 3])], "this is an autoencoder (VAE), whose 1 tensors"),
        (
            vec![("what.ever", &[3])],
            "this is no upscaler that is known here, whose 1 tensors begin with what.ever [3]",
        ),
        (
            vec![
                ("model.0.weight", &[8, 3, 3, 3]),
                ("model.1.sub.0.RDB1.conv1.0.weight", &[4, 8, 3, 3]),
                ("model.1.sub.0.RDB1.conv1x1.weight", &[4, 8, 1, 1]),
            ],
            "",
        ),
    ] {
        let said = refused("x.safetensors", &tensors);
        assert!(said.contains(words), "{said}");
        assert!(words.is_empty() || said.contains(needed), "{said}");
    }
    // One tensor less, and all that is missing or too much is named.
    let mut less = Upscaler::of("compact-x2").shapes;
    less.remove("params_ema.body.2.bias");
    let Err(error) = Enlarger::on_cpu("x", &file(&less)) else { panic!("taken") };
    assert!(error.to_string().contains("missing tensor upscaler.body.2.bias [12]"), "{error}");
    let grey = refused(
        "x",
        &[("body.0.weight", &[8, 1, 3, 3]), ("body.1.weight", &[8]), ("body.2.weight", &[4, 8, 3, 3])],
    );
    assert!(grey.contains("it reads 1 channels and makes 4; upscalers of colour pictures"), "{grey}");
    let Err(cut) = Enlarger::on_cpu("x", &Upscaler::of("compact-x2").file()[..900]) else { panic!("taken") };
    assert!(matches!(cut, Error::Incomplete { .. }), "{cut}");
}

/// An upscaler in the place of a checkpoint.
#[test]
fn an_upscaler_is_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, what) in [
        ("esrgan-x4", "an upscaler (ESRGAN)"),
        ("real-esrgan-x2", "an upscaler (ESRGAN)"),
        ("bsrgan-x4", "an upscaler (ESRGAN)"),
        ("compact-x2", "an upscaler (SRVGGNetCompact)"),
        ("compact-x4", "an upscaler (SRVGGNetCompact)"),
    ] {
        let bytes = Upscaler::of(name).file();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, &bytes).expect("written");
        let said = ModelSource::open(&path).expect_err("no checkpoint").to_string();
        assert!(said.contains(&format!("this is {what}: it enlarges pictures and draws none")), "{said}");
        let Ok(Parse::Done(header)) = Header::parse("x", &bytes, bytes.len() as u64) else {
            panic!("a header")
        };
        assert!(!header.is_single);
    }
}

/// A picture of soft and hard edges.
fn picture(width: usize, height: usize) -> Rgba {
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let wave = |by: f64| (127.5 + 100.0 * (by * x as f64).sin() * (0.7 * by * y as f64).cos()) as u8;
        let block = if (x / 7 + y / 5) % 2 == 0 { 40 } else { 200 };
        [wave(0.31), block, wave(0.13), 255]
    };
    Rgba { width, height, pixels: (0..width * height).flat_map(pixel).collect() }
}

fn enlarged(enlarger: &Enlarger, picture: &Rgba) -> (Rgba, usize) {
    let mut tiles = 0;
    let mut share = 0.0;
    let mut told = |progress: opengen::pipeline::Progress| {
        assert!(progress.share >= share && progress.share <= 1.0, "{progress:?}");
        (tiles, share) = (progress.tile, progress.share);
    };
    let larger = block_on(enlarger.enlarge(picture, None, Tiling::None, &mut told, &Cancel::default()))
        .expect("larger");
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    (larger, tiles)
}

/// The largest difference of any channel.
fn apart(a: &Rgba, b: &Rgba) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Where all that has an influence is around a tile, it is what the whole is.
#[test]
fn tiles_are_the_whole() {
    for (name, [width, height], side, at_least) in [
        ("real-esrgan-x4", [71, 40], 60, 3),
        ("real-esrgan-x2", [141, 30], 60, 2),
        ("esrgan-x1", [40, 81], 60, 3),
        ("compact-x4", [41, 37], 18, 9),
        ("compact-x1", [20, 41], 14, 8),
    ] {
        let mut enlarger = enlarger(name);
        let picture = picture(width, height);
        let (whole, one) = enlarged(&enlarger, &picture);
        assert_eq!(one, 1, "{name}");
        enlarger.set_side(Some(side));
        let (tiled, tiles) = enlarged(&enlarger, &picture);
        assert!(tiles >= at_least, "{name}: {tiles} tiles");
        // Sums in another order round another way at most.
        assert!(apart(&whole, &tiled) <= 1, "{name}: {} apart", apart(&whole, &tiled));
        assert_eq!(
            (whole.width, whole.height),
            (width * enlarger.config().scale(), height * enlarger.config().scale())
        );
    }
}

/// Of 23 blocks a tile reads 98 pixels around it, where 347 could have an influence.
#[test]
fn tiles_of_a_deep_network_do_not_show() {
    let of_block = |block: usize| {
        let convolutions = (1..=3).flat_map(|dense| (1..=5).map(move |conv| (dense, conv)));
        convolutions.flat_map(move |(dense, conv)| {
            let (inputs, outputs) = (8 + (conv - 1) * 4, if conv < 5 { 4 } else { 8 });
            let name = format!("body.{block}.rdb{dense}.conv{conv}");
            [(format!("{name}.weight"), vec![outputs, inputs, 3, 3]), (format!("{name}.bias"), vec![outputs])]
        })
    };
    let mut shapes: BTreeMap<String, Vec<usize>> = (0..23).flat_map(of_block).collect();
    for (name, inputs, outputs) in [
        ("conv_first", 3, 8),
        ("conv_body", 8, 8),
        ("conv_up1", 8, 8),
        ("conv_hr", 8, 8),
        ("conv_last", 8, 3),
    ] {
        shapes.insert(format!("{name}.weight"), vec![outputs, inputs, 3, 3]);
        shapes.insert(format!("{name}.bias"), vec![outputs]);
    }
    let mut enlarger = Enlarger::on_cpu("deep", &file(&shapes)).expect("an upscaler");
    let picture = picture(360, 16);
    let (whole, _) = enlarged(&enlarger, &picture);
    enlarger.set_side(Some(260));
    let (tiled, tiles) = enlarged(&enlarger, &picture);
    assert!(tiles >= 5, "{tiles}");
    println!("{} tiles, {} levels apart", tiles, apart(&whole, &tiled));
    assert!(apart(&whole, &tiled) <= 1, "{} apart", apart(&whole, &tiled));
}

/// A tile's enlargement is the middle of that of nine laid together; without being told so, its borders are others.
#[test]
fn a_tile_without_seams_stays_one() {
    for name in ["real-esrgan-x4", "real-esrgan-x2", "compact-x4"] {
        let enlarger = enlarger(name);
        let tile = picture(24, 16);
        let times = |tile: &Rgba, [across, down]: [usize; 2]| {
            let line =
                |y: usize| tile.pixels[y % tile.height * tile.width * 4..][..tile.width * 4].repeat(across);
            let pixels = (0..down * tile.height).flat_map(line).collect();
            Rgba { width: across * tile.width, height: down * tile.height, pixels }
        };
        let of = |picture: &Rgba, tiling| {
            block_on(enlarger.enlarge(picture, None, tiling, &mut |_| {}, &Cancel::default()))
                .expect("larger")
        };
        for (tiling, [across, down]) in [(Tiling::Both, [5, 5]), (Tiling::X, [5, 1]), (Tiling::Y, [1, 5])] {
            let meeting = of(&tile, tiling);
            let whole = of(&times(&tile, [across, down]), Tiling::None);
            let [left, top] = [across / 2 * meeting.width, down / 2 * meeting.height];
            let middle = (top..top + meeting.height)
                .flat_map(|y| whole.pixels[(y * whole.width + left) * 4..][..meeting.width * 4].to_vec());
            let middle = Rgba { pixels: middle.collect(), ..meeting };
            assert!(apart(&meeting, &middle) <= 1, "{name} {tiling:?}: {} apart", apart(&meeting, &middle));
            assert!(apart(&meeting, &of(&tile, Tiling::None)) > 1, "{name} {tiling:?}");
        }
    }
}

#[test]
fn sizes_and_transparency() {
    let enlarger = enlarger("compact-x2");
    let mut image = picture(9, 6);
    image
        .pixels
        .chunks_exact_mut(4)
        .enumerate()
        .for_each(|(i, pixel)| pixel[3] = if i % 9 < 4 { 0 } else { 255 });
    let of = |size| block_on(enlarger.enlarge(&image, size, Tiling::None, &mut |_| {}, &Cancel::default()));
    let twice = of(None).expect("twice");
    assert_eq!((twice.width, twice.height), (18, 12));
    let alpha = |image: &Rgba, x: usize, y: usize| image.pixels[(y * image.width + x) * 4 + 3];
    assert_eq!((alpha(&twice, 0, 5), alpha(&twice, 17, 5)), (0, 255));
    assert!(
        (1..255).contains(&alpha(&twice, 8, 5)) || (1..255).contains(&alpha(&twice, 7, 5)),
        "soft between"
    );
    for size in [[14, 9], [30, 20], [72, 48], [9, 6], [3, 2]] {
        let larger = of(Some(size)).expect("a size");
        assert_eq!([larger.width, larger.height], size);
    }
    // Lanczos alone treats what is transparent alike, and what is of one colour stays that.
    let plain = by_lanczos(&image, [18, 12], Tiling::None).expect("twice");
    assert!((0..18 * 12).all(|i| plain.pixels[4 * i + 3] == twice.pixels[4 * i + 3]));
    let grey = Rgba { pixels: [90, 60, 30, 255].repeat(54), ..image };
    let plain = by_lanczos(&grey, [14, 9], Tiling::None).expect("larger");
    assert_eq!((plain.width, plain.height, plain.pixels), (14, 9, [90, 60, 30, 255].repeat(126)));
    let said = by_lanczos(&grey, [90_000, 60_000], Tiling::None).expect_err("too large").to_string();
    assert!(said.contains("scale: 9×6 pixels would become 90000×60000"), "{said}");
    // One pixel, and one too many.
    let dot = Rgba { width: 1, height: 1, pixels: vec![10, 20, 30, 255] };
    let dot =
        block_on(enlarger.enlarge(&dot, None, Tiling::None, &mut |_| {}, &Cancel::default())).expect("a dot");
    assert_eq!((dot.width, dot.height), (2, 2));
    let said = of(Some([90_000, 60_000])).expect_err("too large").to_string();
    assert!(said.contains("scale: 9×6 pixels would become 90000×60000"), "{said}");
}

#[test]
fn it_can_be_cancelled() {
    let mut enlarger = enlarger("compact-x4");
    enlarger.set_side(Some(18));
    let cancel = Cancel::default();
    let mut tiles = 0;
    let mut stop = |_| {
        tiles += 1;
        cancel.cancel();
    };
    let stopped = block_on(enlarger.enlarge(&picture(60, 60), None, Tiling::None, &mut stop, &cancel));
    assert!(matches!(stopped, Err(Error::Aborted)));
    assert_eq!(tiles, 1);
}
