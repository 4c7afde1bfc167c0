//! The program itself: what `opengen generate` makes of pictures, what their files say, and what of them stays to the byte.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::single::{Entries, Entry, weight, write};
use common::upscalers::Upscaler;
use opengen::image::{Rgba, decode_png, encode_png};
use opengen::pipeline::recall::{self, Settings};

/// A folder in which the program draws.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A PNG of that size, each pixel by its place.
    fn picture(
        &self,
        name: &str,
        [width, height]: [usize; 2],
        colour: impl Fn(usize, usize) -> [u8; 4],
    ) -> PathBuf {
        let pixels = (0..width * height).flat_map(|i| colour(i % width, i / width)).collect();
        let picture = Rgba::new(width, height, pixels).expect("a picture");
        std::fs::write(self.file(name), encode_png(&picture, &[]).expect("a PNG")).expect("written");
        self.file(name)
    }

    /// Runs `opengen generate` with mini on the processor, two steps of 64 × 64 pixels where nothing else is said.
    fn generate(&self, more: &[&str]) -> Output {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        run.current_dir(self.0.path()).args(["generate", "--cpu", "--out", "out.png"]);
        let usual = [("--prompt", "a red apple"), ("--size", "64x64"), ("--steps", "2"), ("--guidance", "1")];
        for (option, value) in usual {
            // Latents bring their own size.
            let own = option == "--size" && more.contains(&"--latents");
            if !more.contains(&option) && !own {
                run.args([option, value]);
            }
        }
        run.args(more).output().expect("runs")
    }

    /// The picture that it draws, and what its file says.
    fn drawn(&self, more: &[&str]) -> (Rgba, Settings, String) {
        let output = self.generate(more);
        assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
        let file = std::fs::read(self.file("out.png")).expect("a picture");
        let decoded = decode_png(&file).expect("a PNG");
        let text = decoded.text("parameters").expect("what it was made with").to_string();
        (decoded.image, recall::from_file(&file).expect("settings"), text)
    }

    /// The sentence with which it refuses.
    fn refused(&self, more: &[&str]) -> String {
        let output = self.generate(more);
        assert!(!output.status.success(), "{more:?} is drawn");
        String::from_utf8(output.stderr).expect("text")
    }
}

/// A photograph in which there is much to lose.
fn photograph(x: usize, y: usize) -> [u8; 4] {
    [(x * 7 + y) as u8, (y * 5) as u8, (x * y) as u8, 255]
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn only_the_masked_region_is_drawn_and_the_rest_stays_to_the_byte() {
    let place = Place::new();
    let size = [150, 110];
    let image = place.picture("photograph.png", size, photograph);
    let inside = |x, y| (20..34).contains(&x) && (70..82).contains(&y);
    let white = |x, y| if inside(x, y) { [255; 4] } else { [0, 0, 0, 255] };
    let mask = place.picture("mask.png", size, white);
    let from = ["--image", text(&image), "--mask", text(&mask), "--strength", "1"];

    let (drawn, settings, said) =
        place.drawn(&[&from[..], &["--mask-blur", "0", "--only-masked", "4"]].concat());
    assert_eq!([drawn.width, drawn.height], size);
    let mut new = 0;
    for (i, pixel) in drawn.pixels.chunks(4).enumerate() {
        let [x, y] = [i % size[0], i / size[0]];
        assert!(inside(x, y) || pixel == photograph(x, y), "{x}, {y}: {pixel:?}");
        new += usize::from(inside(x, y) && pixel != photograph(x, y));
    }
    assert!(new > 100, "{new} pixels are new");
    assert!(said.contains("Inpaint area: Only masked, Masked area padding: 4"), "{said}");
    assert_eq!((settings.only_masked, settings.mask_blur, settings.strength), (Some(4), None, Some(1.0)));
    assert_eq!((settings.width, settings.height), (Some(64), Some(64)));

    // A1111's numbers where none are said; the region is another one than the whole picture.
    let (soft, settings, said) = place.drawn(&[&from[..], &["--only-masked"]].concat());
    assert!(said.contains("Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32"), "{said}");
    assert_eq!((settings.only_masked, settings.mask_blur), (Some(32), Some(4.0)));
    let (whole, ..) = place.drawn(&from);
    assert_ne!(soft, whole);

    let white = place.picture("white.png", size, |_, _| [255; 4]);
    let output = place.generate(&["--image", text(&image), "--mask", text(&white), "--only-masked"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("The mask is white everywhere"));
    let black = place.picture("black.png", size, |_, _| [0, 0, 0, 255]);
    let said = place.refused(&["--image", text(&image), "--mask", text(&black), "--only-masked"]);
    assert!(said.contains("mask: nothing of it is white"), "{said}");
    // What is no picture that is read here.
    let data = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kinds").join(name);
    let said = place.refused(&["--image", text(&data("cmyk.jpg"))]);
    assert!(said.contains("cmyk.jpg: is no PNG; pictures are read from PNG files here"), "{said}");
    let whole = std::fs::read(&image).expect("a picture");
    std::fs::write(place.file("half.png"), &whole[..whole.len() / 2]).expect("written");
    let said = place.refused(&["--image", text(&image), "--mask", "half.png"]);
    assert!(said.contains("half.png: "), "{said}");
    let wide = place.picture("wide.png", [50, 10], |_, _| [255; 4]);
    let said = place.refused(&["--image", text(&image), "--mask", text(&wide)]);
    assert!(said.contains("mask: it has 50×10 pixels, another shape than the picture's 150×110"), "{said}");
}

#[test]
fn a_picture_grows_and_stays_to_the_byte_behind_what_overlaps() {
    let place = Place::new();
    let (old, sides) = ([75, 53], [0, 9, 30, 0]);
    let image = place.picture("photograph.png", old, photograph);
    let (drawn, settings, said) = place.drawn(&[
        "--image",
        text(&image),
        "--extend",
        "0,9,30,0",
        "--overlap",
        "12",
        "--strength",
        "0.9",
    ]);
    assert_eq!([drawn.width, drawn.height], [old[0] + sides[2], old[1] + sides[1]]);
    let (mut overlapping, mut grown) = (0, Vec::new());
    for (i, pixel) in drawn.pixels.chunks(4).enumerate() {
        let [x, y] = [i % drawn.width, i / drawn.width];
        if y < sides[1] || x >= old[0] {
            grown.push(pixel);
            continue;
        }
        let same = pixel == photograph(x, y - sides[1]);
        let overlaps = y < sides[1] + 12 || x + 12 >= old[0];
        assert!(overlaps || same, "{x}, {y}: {pixel:?}");
        overlapping += usize::from(!same);
    }
    assert!(overlapping > 100, "{overlapping} pixels changed where new becomes old");
    assert!(grown.iter().all(|pixel| pixel[3] == 255) && grown.iter().any(|pixel| *pixel != grown[0]));
    assert!(said.contains("Extended by: \"0,9,30,0\", Extension overlap: 12"), "{said}");
    let extended = settings.extend.expect("how far it grew");
    assert_eq!(
        [extended.left, extended.top, extended.right, extended.bottom, extended.overlap],
        [0, 9, 30, 0, 12]
    );

    // The new part alone, at full size.
    let (side, settings, _) =
        place.drawn(&["--image", text(&image), "--extend", "0,0,16,0", "--only-masked", "8"]);
    assert_eq!([side.width, side.height, settings.only_masked.unwrap_or(0) as usize], [91, 53, 8]);
    let stays = |(i, pixel): (usize, &[u8])| i % 91 >= 75 - 16 || pixel == photograph(i % 91, i / 91);
    assert!(side.pixels.chunks(4).enumerate().all(stays));

    for (sides, expected) in [
        ("0,0,0,0", "extend: 0 pixels on every side"),
        ("0,0,9000000,0", "extend: the picture would have 9000075×53 pixels"),
        ("1,2,3", "are no four sides; expected LEFT,TOP,RIGHT,BOTTOM"),
    ] {
        let said = place.refused(&["--image", text(&image), "--extend", sides]);
        assert!(said.contains(expected), "{sides}: {said}");
    }
}

/// What `--dump` wrote is gone on with, and drawn on where a strength is given; what does not fit is told.
#[test]
fn a_run_is_gone_on_with_from_its_latents() {
    let place = Place::new();
    let settings = ["--steps", "4", "--sampler", "euler-a", "--seed", "9"];
    let (whole, ..) =
        place.drawn(&[&settings[..], &["--size", "64x96", "--dump", "run.safetensors"]].concat());
    let from = |more: &[&'static str]| [&settings[..], &["--latents", "run.safetensors"], more].concat();
    let (first, _, said) = place.drawn(&from(&[]));
    assert!(first == whole && said.contains("Latents from step: 0"), "{said}");
    let (later, settings, said) = place.drawn(&from(&["--latents-step", "3", "--dump", "rest.safetensors"]));
    assert!(later == whole && said.contains("Latents from step: 3"), "{said}");
    assert_eq!(settings.latents_step, Some(3));
    let file = std::fs::read(place.file("rest.safetensors")).expect("a dump");
    let dump = safetensors::SafeTensors::deserialize(&file).expect("a dump");
    assert!(dump.tensor("latents.1").is_ok() && dump.tensor("latents.2").is_err(), "one step is taken");

    let (on, settings, said) = place.drawn(&from(&["--strength", "0.5"]));
    assert!([on.width, on.height] == [64, 96] && on != whole);
    assert!(said.contains("Denoising strength: 0.5") && !said.contains("Latents from"), "{said}");
    assert_eq!(settings.strength, Some(0.5));
    let (exact, ..) = place.drawn(&from(&["--strength", "0.5", "--exact-steps"]));
    assert_ne!(exact, on);

    for (more, expected) in [
        (
            &["--latents-step", "4"][..],
            "latents: step 4 asked for, of 4 steps those from 0 to 3 can be entered",
        ),
        (&["--latents-step", "7"], "run.safetensors: has no tensor `latents`, and no `latents.7`"),
        (&["--size", "64x64"], "latents: they are those of 64×96 pixels, 64×64 asked for"),
        (&["--exact-steps"], "exact_steps: it counts the steps of a strength, and there is none"),
        (&["--hires", "2x", "--strength", "0.5"], "leave one of the two out"),
        (&["--latents-step", "1", "--strength", "0.5"], "cannot be used with"),
    ] {
        let said = place.refused(&from(more));
        assert!(said.contains(expected), "{more:?}: {said}");
    }
    let said = place.refused(&["--latents", text(&common::mini())]);
    assert!(said.contains("mini-q8_0.gguf"), "{said}");
    let said = place.refused(&["--strength", "0.5"]);
    assert!(said.contains("strength: it is how much a run takes of a picture or of latents"), "{said}");

    // Of another model, no numbers, another type; and noise of another shape.
    let tensor = |name: &str, shape: &[usize], value: f32| {
        let bytes: Vec<u8> = value.to_le_bytes().repeat(shape.iter().product());
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &bytes);
        let file = safetensors::serialize([("latents", view.expect("a tensor"))], None).expect("a file");
        std::fs::write(place.file(name), file).expect("written");
    };
    tensor("other.safetensors", &[1, 7, 8, 8], 0.0);
    let said = place.refused(&["--latents", "other.safetensors"]);
    assert!(said.contains("`latents` is [1, 7, 8, 8], expected [B, "), "{said}");
    tensor("nan.safetensors", &[1, 8, 16, 16], f32::NAN);
    let said = place.refused(&["--latents", "nan.safetensors"]);
    assert!(said.contains("latents: value 1 of 2048 is NaN"), "{said}");
    let said = place.refused(&["--noise", "nan.safetensors", "--size", "64x96"]);
    assert!(said.contains("`latents` is [1, 8, 16, 16], expected [1, 8, "), "{said}");
}

/// Drawn small and drawn on at twice the size; its file says how, and the same settings draw it again.
#[test]
fn a_second_pass_is_drawn_at_the_larger_size() {
    let place = Place::new();
    let (latents, settings, said) = place.drawn(&["--hires", "1.5x:0.5", "--hires-steps", "1"]);
    assert_eq!([latents.width, latents.height], [96, 96]);
    let written = "Denoising strength: 0.5, Hires upscale: 1.5, Hires steps: 1, Hires upscaler: Latent";
    assert!(said.contains(written) && said.contains("Size: 64x64"), "{said}");
    let second = settings.hires.expect("a second pass");
    assert_eq!((second.scale, second.strength, second.steps), (1.5, Some(0.5), Some(1)));
    assert_eq!((second.upscaler, settings.strength), (Some("latent"), None));

    let (pixels, _, said) =
        place.drawn(&["--hires", "1.5x:0.5", "--hires-steps", "1", "--hires-upscaler", "lanczos"]);
    assert!(said.contains("Hires upscaler: Lanczos"), "{said}");
    assert!([pixels.width, pixels.height] == [96, 96] && pixels != latents);

    // By a network, whose file's name is what its own file says.
    let network = place.file("2x-Tiny.safetensors");
    std::fs::write(&network, Upscaler::of("compact-x2").file()).expect("written");
    let by_network = ["--hires", "1.5x:0.5", "--hires-steps", "1", "--hires-upscaler", text(&network)];
    let (enlarged, _, said) = place.drawn(&by_network);
    assert!(said.contains("Hires upscaler: 2x-Tiny"), "{said}");
    assert!([enlarged.width, enlarged.height] == [96, 96] && enlarged != pixels);
    let said = place.refused(&["--hires", "2x", "--hires-upscaler", "bicubic.safetensors"]);
    assert!(said.contains("is none of latent") && said.contains("and no file either"), "{said}");

    for (asked, expected) in [
        ("3", "is no second pass; expected SCALEx:STRENGTH such as 2x:0.5"),
        (
            "4x:0.5",
            "hires: 4 times 520×520 are 2080×2080 pixels, up to 2048 on a side are drawn; ask for 3.93 times at most",
        ),
        ("2x:0", "hires: a strength of 0 asked for, expected more than 0, to 1"),
    ] {
        let said = place.refused(&["--size", "520x520", "--hires", asked]);
        assert!(said.contains(expected), "{asked}: {said}");
    }
}

/// `opengen upscale`: by the network's factor and by another, and by Lanczos alone, with transparency; what it is given instead is told what it is.
#[test]
fn a_picture_is_enlarged_by_a_network() {
    let place = Place::new();
    place.picture("small.png", [20, 12], |x, y| if x < 5 { [0, 0, 0, 0] } else { photograph(x, y) });
    for name in ["compact-x4", "real-esrgan-x2"] {
        std::fs::write(place.file(&format!("{name}.safetensors")), Upscaler::of(name).file())
            .expect("written");
    }
    let run = |arguments: &[&str]| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        run.current_dir(place.0.path()).args(["upscale", "--cpu"]).args(arguments).output().expect("runs")
    };
    let size = |file: &str| {
        let decoded = decode_png(&std::fs::read(place.file(file)).expect(file)).expect("a PNG");
        let xmp = decoded.texts.iter().any(|(_, text)| text.contains("compositeWithTrainedAlgorithmicMedia"));
        assert!(xmp, "{file} does not say that a model made it");
        (decoded.image.width, decoded.image.height, decoded.image.pixels[3])
    };
    for (arguments, file, expected) in [
        (vec!["--model", "compact-x4.safetensors", "small.png"], "small-4x.png", (80, 48, 0)),
        (vec!["--model", "real-esrgan-x2.safetensors", "small.png", "-o", "a.png"], "a.png", (40, 24, 0)),
        (
            vec!["--model", "compact-x4.safetensors", "small.png", "--scale", "1.5"],
            "small-1.5x.png",
            (30, 18, 0),
        ),
        (vec!["small.png", "--scale", "3"], "small-3x.png", (60, 36, 0)),
    ] {
        let output = run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(size(file), expected, "{arguments:?}");
    }
    for (arguments, expected) in [
        (["--model", "small.png", "small.png"].to_vec(), "this is a PNG picture: an upscaler is needed here"),
        (["--model", "gone.safetensors", "small.png"].to_vec(), "gone.safetensors"),
        (["small.png"].to_vec(), "--model <MODEL>"),
        (["small.png", "--scale", "9000"].to_vec(), "scale: 20×12 pixels would become 180000×108000"),
        (["--model", "compact-x4.safetensors", "small.png", "--scale", "0"].to_vec(), "scale: 0 asked for"),
        (
            ["--model", "compact-x4.safetensors", "small.png", "--scale", "9000"].to_vec(),
            "would become 180000×108000",
        ),
    ] {
        let output = run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
    // In the place of a model that draws.
    let said = place.refused(&["--model", text(&place.file("compact-x4.safetensors"))]);
    assert!(
        said.contains("this is an upscaler (SRVGGNetCompact): it enlarges pictures and draws none"),
        "{said}"
    );
}

/// What is merged into a model shows in the picture and in its settings; the prompt weighs it, as A1111 has it.
#[test]
fn a_lora_changes_the_picture_and_is_told_in_it() {
    let place = Place::new();
    let source = opengen::weights::ModelSource::open(&common::mini()).expect("mini");
    let wanted = |name: &str| name.ends_with("attn1.to_q.weight") || name.ends_with("attn2.to_v.weight");
    let mut entries = Entries::new();
    for info in source.header().tensors.iter().filter(|info| wanted(&info.name)) {
        let layer = info.name.trim_end_matches(".weight").replace('.', "_");
        for (end, shape) in [("lora_down", [2, info.shape[1]]), ("lora_up", [info.shape[0], 2])] {
            let name = format!("lora_{layer}.{end}.weight");
            let values: Vec<f32> = weight(&name, &shape).iter().map(|value| value * 8.0).collect();
            entries.insert(name, Entry::f16(&shape, &values));
        }
    }
    assert!(entries.len() > 20);
    write(&entries, &place.file("strange.safetensors"));
    let (plain, ..) = place.drawn(&[]);
    let (changed, _, text) = place.drawn(&["--lora", "strange.safetensors:0.75"]);
    assert!(changed.pixels != plain.pixels);
    assert!(
        text.contains("a red apple <lora:strange:0.75>") && text.contains("Lora hashes: \"strange: "),
        "{text}"
    );
    let (none, ..) = place.drawn(&["--lora", "strange.safetensors:0"]);
    assert!(none.pixels == plain.pixels);
    let prompt = "a red apple <lora:strange:0.75>";
    let (tagged, ..) = place.drawn(&["--lora", "strange.safetensors", "--prompt", prompt]);
    assert!(tagged.pixels == changed.pixels);
    let output = place.generate(&["--lora", "out.png"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("out.png"));
}

/// A server of one file for so many requests, which breaks off each answer after as many bytes; hands out what was asked of it.
fn serves(bytes: Vec<u8>, most: usize, count: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = move |stream: std::io::Result<TcpStream>| {
        let mut stream = stream.expect("a request");
        let lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
        let lines: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let range = lines.iter().find_map(|line| line.strip_prefix("Range: bytes="));
        let from: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().expect("a number"));
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let (len, last) = (bytes.len(), bytes.len() - 1);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{last}/{len}\r\n\r\n",
            len - from
        );
        let end = len.min(from + most);
        drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes[from..end])));
        format!("{} {}", lines[0], range.unwrap_or("all"))
    };
    (address, std::thread::spawn(move || listener.incoming().take(count).map(answer).collect()))
}

#[test]
fn a_model_is_imported_from_an_address_that_breaks_off() {
    let place = Place::new();
    let import = |address: &str| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        run.current_dir(place.0.path()).env("OPENGEN_MODELS", place.file("models"));
        run.args(["import", address, "--type", "q8", "--out", "mini.gguf"]).output().expect("runs")
    };
    let mini = std::fs::read(common::mini()).expect("mini");
    let half = mini.len() / 2 + 1000;
    let (address, asked) = serves(mini.clone(), half, 2);
    let output = import(&format!("{address}/some/mini-q8_0.gguf?download=true"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert_eq!(
        asked.join().expect("served"),
        [
            "GET /some/mini-q8_0.gguf?download=true HTTP/1.1 all".to_string(),
            format!("GET /some/mini-q8_0.gguf?download=true HTTP/1.1 {half}-"),
        ]
    );
    assert!(told.contains(&format!("from byte {half} on")), "{told}");
    assert!(place.file("mini.gguf").exists());
    let left = std::fs::read_dir(place.file("models/fetched")).expect("a folder").count();
    assert_eq!(left, 0, "what was fetched is not kept twice");

    // Nothing listens there any more: a sentence, and what had come would be kept.
    let output = import(&format!("{address}/mini.gguf"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the host does not answer; 0 bytes are kept"), "{told}");
    let (address, asked) = serves(b"<!doctype html>".to_vec(), 100, 1);
    let output = import(&format!("{address}/mini.gguf"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("answered with a web page"), "{told}");
    asked.join().expect("served");
    let output = import("https://huggingface.co/a/b");
    assert_eq!(output.status.code(), Some(2));
}

/// Merges that went wrong leave such files.
#[test]
fn a_model_with_weights_that_are_no_numbers_is_refused_unless_it_is_asked_for() {
    let place = Place::new();
    let source = opengen::weights::ModelSource::open(&common::mini()).expect("mini");
    let named = |info: &&opengen::weights::TensorInfo| info.name == "unet.conv_norm_out.weight";
    let at = source.header().tensors.iter().find(named).expect("a norm").offset as usize;
    let mut mini = std::fs::read(common::mini()).expect("mini");
    mini[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(place.file("broken.gguf"), mini).expect("written");
    let import = |more: &[&str]| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        run.current_dir(place.0.path()).args(["import", "broken.gguf", "--out", "new.gguf"]);
        let output = run.args(more).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = import(&[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("(1 of unet.conv_norm_out.weight)") && told.contains("--allow-non-finite"),
        "{told}"
    );
    assert!(!place.file("new.gguf").exists());
    assert!(place.refused(&["--model", "broken.gguf"]).contains("1 of unet.conv_norm_out.weight"));
    assert_eq!(import(&["--allow-non-finite"]).0, Some(0));
    assert!(place.file("new.gguf").exists());
}

#[test]
fn a_training_takes_masks_from_files_or_from_what_is_transparent() {
    let train = |place: &Place, more: &[&str]| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        run.current_dir(place.0.path()).args(["train", "--images", ".", "--instance-prompt", "a zorp cat"]);
        run.args([
            "--size",
            "64x64",
            "--steps",
            "1",
            "--batch",
            "1",
            "--anew",
            "--out",
            "out/zorp.safetensors",
        ]);
        let output = run.args(more).output().expect("runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // What was learnt in one step, by the digits of its loss.
    let learnt = |place: &Place, more: &[&str]| {
        let (success, said) = train(place, more);
        assert!(success, "{more:?}: {said}");
        assert!(said.contains("1 pictures; "), "a mask is no picture: {said}");
        assert!(said.contains(" MB of memory beside the model; 0 of "), "{said}");
        said.lines().last().and_then(|line| line.split("loss ").nth(1)).expect("a loss").to_string()
    };
    let grey = |x: usize, y: usize| [(4 * x) as u8, (4 * y) as u8, 90, 255];
    let place = Place::new();
    std::fs::create_dir(place.file("out")).expect("a folder");
    place.picture("a.png", [64, 64], grey);
    let whole = learnt(&place, &[]);
    let (success, said) = train(&place, &["--masked"]);
    assert!(!success && said.contains("NAME.mask.png beside it or anything transparent"), "{said}");

    let half = |x: usize, _: usize| if x < 32 { [255; 4] } else { [0, 0, 0, 255] };
    let mask = place.picture("a.mask.png", [64, 64], half);
    assert_eq!(learnt(&place, &[]), whole, "it counts where that is asked for");
    let masked = learnt(&place, &["--masked"]);
    assert_ne!(masked, whole);
    place.picture("a.mask.png", [64, 32], half);
    let (success, said) = train(&place, &["--masked"]);
    assert!(!success && said.contains("mask: that of picture 1 has 64×32 pixels"), "{said}");

    // The same from the picture's own transparency, over the white that it shows.
    std::fs::remove_file(mask).expect("removed");
    place.picture("a.png", [64, 64], |x, y| {
        let [r, g, b, _] = grey(x, y);
        if x < 32 { [r, g, b, 255] } else { [0; 4] }
    });
    let (opaque, transparent) = (learnt(&place, &[]), learnt(&place, &["--masked"]));
    assert_ne!(opaque, transparent);

    let (success, said) = train(&place, &["--buckets"]);
    assert!(success && said.contains("1 is cut to 64x64"), "{said}");
}

#[test]
fn a_training_goes_on_where_it_stopped_with_a_line_for_each_step() {
    let place = Place::new();
    let grey = |x: usize, y: usize| [(4 * x) as u8, (4 * y) as u8, 90, 255];
    // As kohya's scripts want them: the first folder's come twice in a round.
    for folder in ["2_zorp cat", "1_zorp cat lying", "notes"] {
        std::fs::create_dir(place.file(folder)).expect("a folder");
    }
    for (at, name) in ["2_zorp cat/a.png", "1_zorp cat lying/b.png", "notes/c.png"].iter().enumerate() {
        place.picture(name, [64, 64], |x, y| grey(x + 9 * at, y));
    }
    let train = |steps: &str, more: &[&str]| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        run.current_dir(place.0.path()).args([
            "train",
            "--images",
            ".",
            "--log",
            "log.jsonl",
            "--out",
            "zorp.safetensors",
        ]);
        run.args([
            "--size",
            "64x64",
            "--batch",
            "1",
            "--lr-schedule",
            "constant",
            "--save-every",
            "1",
            "--steps",
            steps,
        ]);
        let output = run.args(more).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = train("2", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 pictures; "), "{said}");
    let (code, said) = train("3", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("goes on after step 2") && said.contains("after 3 steps"), "{said}");
    let log = std::fs::read_to_string(place.file("log.jsonl")).expect("a log");
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let steps: Vec<_> = lines.map(|line| (line["step"].as_u64(), line["loss"].as_f64().is_some())).collect();
    assert_eq!(steps, [(Some(1), true), (Some(2), true), (Some(3), true)]);
    let said_in = |key: &str| {
        let file = std::fs::read(place.file("zorp.safetensors")).expect("a file");
        let (_, header) = safetensors::SafeTensors::read_metadata(&file).expect("a header");
        let names: Vec<String> = header.tensors().keys().cloned().collect();
        (header.metadata().as_ref().and_then(|texts| texts.get(key)).cloned().unwrap_or_default(), names)
    };
    let (tags, names) = said_in("ss_tag_frequency");
    assert_eq!(tags, r#"{"images":{"zorp cat":1,"zorp cat lying":1}}"#);
    assert_eq!(said_in("ss_num_train_images").0, "3");
    assert!(names.iter().all(|name| name.starts_with("lora_")), "{names:?}");
    // Other words are another training; anew it may be called otherwise.
    let (code, said) = train("3", &["--seed", "7"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("zorp.training") && said.contains("or say --anew"), "{said}");
    let (code, said) = train("1", &["--anew", "--naming", "diffusers"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, names) = said_in("");
    assert!(
        names.iter().any(|name| name.starts_with("unet.") && name.ends_with(".lora_A.weight")),
        "{names:?}"
    );
    let (code, said) = train("1", &["--naming", "sdxl"]);
    assert_eq!(code, Some(2), "{said}");
}

/// A picture's settings as ComfyUI's graph, which is read as the same settings; what cannot be read is refused.
#[test]
fn settings_are_printed_and_written_as_a_graph() {
    let place = Place::new();
    let (_, drawn, _) = place.drawn(&[
        "--dialect",
        "comfyui",
        "--sampler",
        "dpm++-2m",
        "--schedule",
        "karras",
        "--sgm-noise-multiplier",
        "true",
    ]);
    let recall = |more: &[&str]| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_opengen"));
        let output = run.current_dir(place.0.path()).arg("recall").args(more).output().expect("runs");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (success, _, said) = recall(&["out.png", "--as", "comfyui", "--out", "graph.json"]);
    assert!(success && said.is_empty(), "{said}");
    let graph = std::fs::read(place.file("graph.json")).expect("a graph");
    let read = recall::from_file(&graph).expect("settings");
    assert_eq!(Settings { notices: Vec::new(), ..read }, drawn);
    let (success, printed, said) = recall(&["graph.json"]);
    assert!(success && printed.contains("\"sampler\": \"dpm++-2m\""), "{printed} {said}");
    let (success, _, said) = recall(&["missing.png"]);
    assert!(!success && said.contains("missing.png"), "{said}");
}
