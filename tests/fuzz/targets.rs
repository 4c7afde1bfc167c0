//! The readers of data from outside, as plain functions of bytes, and inputs to begin with.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use opengen::config::{Autoencoder, ClipTextConfig, ModelConfig, SchedulerConfig, UnetConfig};
use opengen::error::Result;
use opengen::image::{Rgba, Texts, XMP, encode_png};
use opengen::model::weight_decls;
use opengen::pipeline::recall;
use opengen::prompt::{Dialect, MAX_CHARS, Steps, Tokenizer, Wildcards, components, expand, timeline};
use opengen::store::{Expected, Import};
use opengen::weights::{
    Asked, Header, Hints, LayoutOptions, LoraFile, Manifest, Merged, Parse, Source, Strength, read_embedding,
    recognise, unused,
};

/// A reader.
pub struct Target {
    pub name: &'static str,
    /// Reads the bytes; gives a number for what came of it, so that it can be told whether that is something new.
    pub read: fn(&[u8]) -> u64,
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What it looks for.
    pub words: &'static [&'static str],
    /// Inputs become no longer, unless one was to begin with. What takes long with long ones is for `tests/hostile`.
    pub longest: usize,
}

/// Where nothing asks for less.
const LONGEST: usize = 16 << 10;
/// Two chunks of a prompt with something to spare: what is longer is read in the same way, and takes as much longer.
const PROMPT: usize = 1 << 10;

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "headers", read: header, seeds: headers, words: &HEADER_WORDS, longest: LONGEST },
    Target { name: "names", read: names, seeds: name_lists, words: &NAME_WORDS, longest: LONGEST },
    Target {
        name: "recognition",
        read: recognition,
        seeds: whole_headers,
        words: &NAME_WORDS,
        longest: LONGEST,
    },
    Target { name: "import", read: import, seeds: files, words: &HEADER_WORDS, longest: LONGEST },
    Target { name: "loras", read: lora, seeds: loras, words: &LORA_WORDS, longest: LONGEST },
    Target {
        name: "pictures",
        read: picture,
        seeds: pictures,
        words: &["IHDR", "tEXt", "iTXt", "zTXt", "EXIF", "IEND"],
        longest: LONGEST,
    },
    Target { name: "parameters", read: parameters, seeds: texts, words: &TEXT_WORDS, longest: LONGEST },
    Target { name: "embeddings", read: embedding, seeds: embeddings, words: &HEADER_WORDS, longest: LONGEST },
    Target { name: "prompts", read: prompt, seeds: prompts, words: &PROMPT_WORDS, longest: PROMPT },
    Target {
        name: "templates",
        read: template,
        seeds: templates,
        words: &["{", "|", "}", "2$$", "::", "__", "__a__", "\n"],
        longest: LONGEST,
    },
    Target {
        name: "configurations",
        read: configuration,
        seeds: configurations,
        words: &["null", "true", "[", "{", "\"", "NaN"],
        longest: LONGEST,
    },
    Target {
        name: "tokenizers",
        read: tokenizer,
        seeds: tokenizers,
        words: &["null", "[", "{", "\"", "merges", "vocab"],
        longest: LONGEST,
    },
];

const HEADER_WORDS: [&str; 10] = [
    "GGUF",
    "__metadata__",
    "data_offsets",
    "dtype",
    "shape",
    "F16",
    "F8_E4M3",
    "[0,0]",
    "opengen.config",
    "{}",
];
const NAME_WORDS: [&str; 14] = [
    "model.diffusion_model.",
    "cond_stage_model.transformer.text_model.",
    "first_stage_model.",
    "input_blocks.0.0.weight",
    "state_dict.",
    "unet.",
    "vae.",
    "text_model.",
    ".weight",
    "model_ema.",
    "lora_up",
    "[4,4]",
    "[]",
    "middle_block.",
];
const LORA_WORDS: [&str; 14] = [
    "lora_unet_",
    "lora_te_",
    ".lora_down.weight",
    ".lora_up.weight",
    ".lora_mid.weight",
    ".alpha",
    ".hada_w1_a",
    ".hada_t1",
    ".lokr_w1",
    ".dora_scale",
    ".on_input",
    ".diff",
    "unet:0:up",
    "BOOL",
];
const TEXT_WORDS: [&str; 12] = [
    "\nSteps: 20, ",
    "Negative prompt: ",
    "Sampler: ",
    "CFG scale: ",
    "Size: 512x512",
    "Seed: ",
    "<lora:a:1>",
    "\"inputs\":",
    "\"class_type\":\"KSampler\"",
    "Hashes: {",
    "\\",
    "\"",
];
const PROMPT_WORDS: [&str; 12] =
    ["(", ")", "[", "]", ":1.2)", "BREAK", "AND", "\\(", "<lora:a:1>", "&amp;", "\u{301}", "🍎"];

/// A number for a result: of an error its kind and its words, numbers and what was quoted left out.
fn outcome<T>(result: &Result<T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match result {
        Ok(_) => "ok".hash(&mut hasher),
        Err(error) => {
            let words = error.to_string();
            let quoted = words.split(['"', '`']).step_by(2).collect::<String>();
            let plain = quoted.chars().filter(|letter| letter.is_ascii_alphabetic() || *letter == ' ');
            (error.code(), plain.take(48).collect::<String>()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// A file of the goldens: this one is compiled as a test, and in `fuzz`.
fn golden(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let golden = here.map(|folder| folder.join("tests/golden")).find(|folder| folder.is_dir());
    golden.expect("the folder of goldens").join(path)
}

fn bytes_of(path: &str) -> Vec<u8> {
    std::fs::read(golden(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

// What a file says of itself.

fn header(bytes: &[u8]) -> u64 {
    let whole = Header::parse("x", bytes, 1 << 40).map(drop);
    let unknown = Header::parse("x", bytes, None).map(drop);
    outcome(&whole) ^ outcome(&unknown).rotate_left(1)
}

/// The beginnings of files by other people's programs and by this one.
fn headers() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = ["sd1.folder.gguf.head", "sd2.q8_0.gguf.head"]
        .map(|name| bytes_of(&format!("single/{name}"))[..6000].to_vec())
        .into();
    seeds.extend(["deep/text_encoder/model.safetensors", "taesd/diffusion_pytorch_model.safetensors"].map(
        |name| {
            let mut file = bytes_of(&format!("models/{name}"));
            let header = u64::from_le_bytes(file[..8].try_into().expect("8 bytes"));
            file.truncate(8 + header as usize + 32);
            file
        },
    ));
    seeds.push(safetensors(
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}"#,
    ));
    seeds.push(small_gguf());
    seeds
}

fn safetensors(json: &str) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat()
}

/// One tensor and two texts, by hand.
fn small_gguf() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut file = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
    for (key, value) in [("general.architecture", "sd"), ("opengen.source", "here")] {
        file.extend([text(key), 8u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    file.extend([text("a"), 2u32.to_le_bytes().to_vec()].concat());
    file.extend([32u64, 2].iter().flat_map(|size| size.to_le_bytes()));
    file.extend(8u32.to_le_bytes()); // Q8_0
    file.extend(0u64.to_le_bytes());
    file
}

// Which model it is.

/// A tensor a line: its name, a space and its dimensions as JSON.
fn names(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let mut entries = Vec::new();
    let mut end = 0u64;
    for line in text.lines().take(24) {
        let (name, shape) = line.rsplit_once(' ').unwrap_or((line, "[]"));
        let shape: Vec<u32> = serde_json::from_str(shape).unwrap_or_default();
        let values = shape.iter().fold(1u64, |all, size| all.saturating_mul(u64::from(*size)));
        let next = end.saturating_add(values.saturating_mul(2));
        let name = serde_json::Value::from(name);
        entries.push(format!(r#"{name}:{{"dtype":"F16","shape":{shape:?},"data_offsets":[{end},{next}]}}"#));
        end = next;
    }
    recognition(&safetensors(&format!("{{{}}}", entries.join(","))))
}

fn name_lists() -> Vec<Vec<u8>> {
    let lists = shapes().into_values().map(|shapes| {
        let lines = shapes.iter().map(|(name, shape)| format!("{name} {shape:?}"));
        lines.collect::<Vec<_>>()
    });
    lists
        .flat_map(|lines| lines.chunks(12).map(|lines| lines.join("\n").into_bytes()).collect::<Vec<_>>())
        .collect()
}

/// The tensors of true topologies by the file that has them.
fn shapes() -> BTreeMap<&'static str, BTreeMap<String, Vec<usize>>> {
    let list = |name: &'static str| {
        let facts: serde_json::Value = serde_json::from_slice(&bytes_of(name)).expect("JSON");
        (name, serde_json::from_value(facts["shapes"].clone()).expect("shapes"))
    };
    ["single/sd1.json", "single/sd2.json"].map(list).into()
}

static MERGES: LazyLock<String> = LazyLock::new(|| {
    let text = include_str!("../../www/clip/merges.txt");
    // The first of them are as good as all here, and quicker.
    text.lines().take(64).collect::<Vec<_>>().join("\n")
});

/// All of a header, to which model and which layout.
fn recognition(bytes: &[u8]) -> u64 {
    let header = match Header::parse("x", bytes, None) {
        Ok(Parse::Done(header)) => header,
        Ok(Parse::NeedMore(_)) => return 0,
        error => return outcome(&error.map(drop)),
    };
    let found = recognise(&header, Hints { clip: Some(&MERGES), ..Hints::default() });
    let known = found.as_ref().map(|recognised| {
        let decls = weight_decls(&recognised.config);
        let left = unused(&header, &decls);
        let manifest = recognised.manifest(&decls, &header, Source::default(), LayoutOptions::default());
        outcome(&manifest) ^ (left.unknown.len().min(4) as u64)
    });
    outcome(&found) ^ known.unwrap_or_default().rotate_left(1)
}

fn whole_headers() -> Vec<Vec<u8>> {
    let of = |shapes: BTreeMap<String, Vec<usize>>| {
        let mut end = 0;
        let table: serde_json::Map<_, _> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let next = end + shape.iter().product::<usize>() * 2;
                let entry =
                    serde_json::json!({ "dtype": "F16", "shape": shape, "data_offsets": [end, next] });
                end = next;
                (name, entry)
            })
            .collect();
        safetensors(&serde_json::Value::Object(table).to_string())
    };
    shapes().into_values().map(of).collect()
}

// The way into the store.

/// A whole file in slices, as a page takes it.
fn import(bytes: &[u8]) -> u64 {
    let expected = Expected { bytes: Some(bytes.len() as u64), file: "x".into(), ..Expected::default() };
    let layout = |header: &Header| {
        let recognised = recognise(header, Hints { clip: Some(&MERGES), ..Hints::default() })?;
        let decls = weight_decls(&recognised.config);
        recognised.manifest(&decls, header, Source::default(), LayoutOptions::default())
    };
    let run = || -> Result<u64> {
        let mut import = Import::new(expected, Box::new(layout));
        let mut chunks = 0;
        for slice in bytes.chunks(5000) {
            import.feed(slice)?;
            while import.next_chunk()?.is_some() {
                chunks += 1;
            }
        }
        import.finish().map(|_| chunks)
    };
    let result = run();
    let chunks = *result.as_ref().unwrap_or(&0);
    outcome(&result) ^ chunks.min(3)
}

/// A whole model of this project's own.
fn files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |model: &str| {
        let out = folder.path().join("a.gguf");
        let source = golden(&format!("models/{model}"));
        let source = opengen::weights::ModelSource::open(&source).expect("a golden model");
        let decls = weight_decls(source.config());
        let ty = opengen::kernels::WeightType::Q4;
        let types = opengen::plan::Types::of(ty);
        let rounding = opengen::weights::Rounding::Plain;
        opengen::weights::quantize_source(&source, &decls, types, rounding, &out, &mut |_, _| ())
            .expect("written");
        std::fs::read(&out).expect("written")
    };
    ["deep", "small"].map(write).into()
}

// What changes a model.

/// A small model, packed.
static MODEL: LazyLock<(Manifest, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let source = opengen::weights::ModelSource::open(&golden("models/small")).expect("a golden model");
    let decls = weight_decls(source.config());
    opengen::weights::load(&source, &decls, LayoutOptions::default()).expect("packed")
});

/// A whole file, merged into that model.
fn lora(bytes: &[u8]) -> u64 {
    let (manifest, slabs) = &*MODEL;
    let run = || -> Result<u64> {
        let file = LoraFile::of_bytes("x", bytes.to_vec())?.into();
        let merged = Merged::for_packed(vec![Asked { file, strength: Strength::of(0.7) }], manifest)?;
        let mut changed = 0;
        for record in manifest.records.iter().filter(|record| merged.touches(record)).take(4) {
            let bytes = &slabs[record.slab][record.values.offset as usize..record.end() as usize];
            changed += u64::from(merged.merged(record, bytes)? != bytes);
        }
        Ok(changed)
    };
    let result = run();
    outcome(&result) ^ result.unwrap_or(9)
}

/// One layer of each kind of change, of the sizes that the model has there.
fn loras() -> Vec<Vec<u8>> {
    let parts = MODEL.0.records.iter().flat_map(|record| &record.decl.parts);
    let layers: Vec<(String, Vec<usize>)> = parts
        .filter(|part| part.name.starts_with("unet.") && matches!(part.shape.len(), 2 | 4))
        .filter_map(|part| Some((part.name.strip_suffix(".weight")?.replace('.', "_"), part.shape.clone())))
        .collect();
    let first = |dims: usize| layers.iter().find(|(_, shape)| shape.len() == dims).expect("such a layer");
    let ((linear, of), (kernel, k)) = (first(2), first(4));
    let (o, i, [out, input, h, w]) = (of[0], of[1], [k[0], k[1], k[2], k[3]]);
    let files: [&[(String, Vec<usize>)]; 6] = [
        &[
            (format!("lora_{linear}.lora_up.weight"), vec![o, 2]),
            (format!("lora_{linear}.lora_down.weight"), vec![2, i]),
            (format!("lora_{linear}.alpha"), vec![]),
            (format!("lora_{linear}.dora_scale"), vec![1, i]),
        ],
        &[
            (format!("lora_{kernel}.lora_up.weight"), vec![out, 2, 1, 1]),
            (format!("lora_{kernel}.lora_mid.weight"), vec![2, 2, h, w]),
            (format!("lora_{kernel}.lora_down.weight"), vec![2, input, 1, 1]),
        ],
        &[
            (format!("lora_{kernel}.hada_w1_a"), vec![2, out]),
            (format!("lora_{kernel}.hada_w1_b"), vec![2, input]),
            (format!("lora_{kernel}.hada_t1"), vec![2, 2, h, w]),
            (format!("lora_{kernel}.hada_w2_a"), vec![out, 2]),
            (format!("lora_{kernel}.hada_w2_b"), vec![2, input * h * w]),
        ],
        &[
            (format!("lora_{linear}.lokr_w1"), vec![2, 2]),
            (format!("lora_{linear}.lokr_w2"), vec![o / 2, i / 2]),
        ],
        &[(format!("lora_{linear}.diff"), vec![o, i]), (format!("lora_{linear}.diff_b"), vec![o])],
        &[("unet:0:up".to_string(), vec![o, 1]), ("unet:0:down".to_string(), vec![1, i])],
    ];
    let written = |tensors: &&[(String, Vec<usize>)]| {
        let mut end = 0;
        let entry = |(name, shape): &(String, Vec<usize>)| {
            let next = end + shape.iter().product::<usize>() * 2;
            let entry = serde_json::json!({ "dtype": "F16", "shape": shape, "data_offsets": [end, next] });
            end = next;
            (name.clone(), entry)
        };
        let table: serde_json::Map<_, _> = tensors.iter().map(entry).collect();
        let mut file = safetensors(&serde_json::Value::Object(table).to_string());
        file.extend((0..end).map(|at| if at % 2 == 0 { (at * 7) as u8 } else { 0x2c })); // small numbers in f16
        file
    };
    files.iter().map(written).collect()
}

// Pictures and what they say.

fn picture(bytes: &[u8]) -> u64 {
    outcome(&recall::from_file(bytes)) ^ outcome(&Texts::read(bytes)).rotate_left(1)
}

fn pictures() -> Vec<Vec<u8>> {
    let png = encode_png(
        &Rgba { width: 2, height: 2, pixels: vec![200; 16] },
        &[("parameters", texts_to_begin_with()[0])],
    )
    .expect("a picture");
    let jpeg = b"\xff\xd8\xff\xe1\0\x2aExif\0\0MM\0*\0\0\0\x08\0\x01\x92\x86\0\x07\0\0\0\x08\0\0\0\x1a\0\0\0\0UNICODE\0\xff\xda\xff\xd9";
    let webp = b"RIFF\x2a\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\0\0\0\0\0\0EXIF\x08\0\0\0MM\0*\0\0\0\x08";
    // Sixteen pixels across, with a word in the alpha.
    let mut hiding = Rgba { width: 16, height: 16, pixels: vec![254; 16 * 16 * 4] };
    for (byte, letter) in b"stealth_pngcomp\0\0\0\x50\x1f\x8b\x08\0\0\0\0\0\0\0".iter().enumerate() {
        for bit in 0..8 {
            let at = 8 * byte + bit;
            hiding.pixels[4 * (at % 16 * 16 + at / 16) + 3] |= (letter >> (7 - bit)) & 1;
        }
    }
    let hiding = encode_png(&hiding, &[]).expect("a picture");
    vec![png, jpeg.to_vec(), webp.to_vec(), hiding]
}

/// What a picture says in text, in a file that is otherwise right.
fn parameters(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let named = text.split_once('\n').filter(|(key, _)| TEXT_KEYS.contains(key));
    let (key, text) = named.unwrap_or(("parameters", &*text));
    let png = saying(key, text);
    let read = recall::from_file(&png);
    let found = read.as_ref().map_or(0, |settings| format!("{settings:?}").matches("Some").count() as u64);
    // Whatever was read can be written as a graph, which can be read.
    if let Ok(settings) = &read {
        let written = recall::graph(settings).graph;
        recall::from_file(written.as_bytes()).expect("a graph that was written is read");
    }
    outcome(&read) ^ found
}

/// A picture of one pixel with a text. Its encoder clears much memory, so it is asked once.
fn saying(key: &str, text: &str) -> Vec<u8> {
    /// Where the first chunk ends.
    const HEADER: usize = 33;
    static PIXEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
        encode_png(&Rgba { width: 1, height: 1, pixels: vec![0; 4] }, &[]).expect("a picture")
    });
    let (kind, between): (&[u8; 4], &[u8]) =
        if text.is_ascii() && key != XMP { (b"tEXt", b"\0") } else { (b"iTXt", &[0; 5]) };
    let data = [kind, key.as_bytes(), between, text.as_bytes()].concat();
    let length = (data.len() as u32 - 4).to_be_bytes();
    let (before, behind) = PIXEL.split_at(HEADER);
    [before, &length, &data, &crc32fast::hash(&data).to_be_bytes(), behind].concat()
}

/// Under which keywords tools write, a line of its own before the text.
const TEXT_KEYS: [&str; 6] = ["prompt", "invokeai_metadata", "sd-metadata", "Dream", "Comment", XMP];

fn texts_to_begin_with() -> [&'static str; 11] {
    [
        "a cat, (sitting:1.2) <lora:x:0.8>\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 5, \
         Size: 512x768, Model hash: abc, Model: m, Variation seed: 3, Variation seed strength: 0.5, RNG: CPU, \
         Lora hashes: \"x: 12, y: 3\", Version: 1.10",
        r#"{"prompt":"a cat","negative_prompt":"dog","steps":20,"seed":5,"cfg_scale":7.5,"width":512,"height":512}"#,
        "prompt\n{\"3\":{\"class_type\":\"KSampler\",\"inputs\":{\"seed\":5,\"steps\":20,\"cfg\":8.0,\"sampler_name\":\"euler\",\
         \"scheduler\":\"karras\",\"positive\":[\"6\",0],\"negative\":[\"7\",0],\"latent_image\":[\"5\",0]}},\"5\":{\"class_type\":\
         \"EmptyLatentImage\",\"inputs\":{\"width\":512,\"height\":512,\"batch_size\":1}},\"6\":{\"class_type\":\"CLIPTextEncode\",\
         \"inputs\":{\"text\":\"a cat\"}},\"7\":{\"class_type\":\"CLIPTextEncode\",\"inputs\":{\"text\":\"dog\"}}}",
        "x\nSteps: 1",
        "invokeai_metadata\n{\"positive_prompt\":\"a\",\"negative_prompt\":\"b\",\"seed\":1,\"rand_device\":\"cuda\",\"cfg_scale\":7,\
         \"cfg_rescale_multiplier\":0.5,\"steps\":9,\"scheduler\":\"euler_a\",\"seamless_x\":true,\"clip_skip\":1,\"model\":{\"name\":\"m\"},\
         \"controlnets\":[{\"control_model\":{\"name\":\"c\"},\"control_weight\":0.8}],\"loras\":[{\"model\":{\"name\":\"l\"},\"weight\":0.5}]}",
        "sd-metadata\n{\"model_weights\":\"m\",\"image\":{\"prompt\":[{\"prompt\":\"a [b]\",\"weight\":1}],\"steps\":50,\"cfg_scale\":7.5,\
         \"height\":512,\"width\":512,\"seed\":42,\"sampler\":\"k_lms\",\"variations\":[[9,0.2]]}}",
        "Dream\n\"a cat [ugly]\" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms --seamless",
        "Comment\n{\"prompt\":\"{{a}}, [b]\",\"uc\":\"c\",\"steps\":28,\"scale\":5.0,\"seed\":4,\"noise_schedule\":\"native\",\
         \"sampler\":\"k_euler\",\"request_type\":\"Img2ImgRequest\",\"strength\":0.7}",
        "XML:com.adobe.xmp\n<exif:UserComment><rdf:li>{&quot;c&quot;:&quot;a&quot;,&quot;uc&quot;:&quot;b&quot;,&quot;size&quot;:&quot;8x8&quot;,\
         &quot;lora&quot;:[{&quot;model&quot;:&quot;l&quot;,&quot;weight&quot;:0.6}]}</rdf:li></exif:UserComment>",
        r#"{"sui_image_params":{"prompt":"a","loras":["l"],"loraweights":["0.8"],"clipstopatlayer":-2,"refinerupscale":1.5}}"#,
        "a\nSteps: 5, Sampler: Euler, Seed: 1, Clip skip: 2, Lora weights: \"l: 0.1\", Hashes: {\"lora:l\": \"1\"}, Civitai resources: \
         [{\"type\":\"lora\",\"weight\":0.8,\"modelName\":\"l\"}]",
    ]
}

fn texts() -> Vec<Vec<u8>> {
    texts_to_begin_with().map(|text| text.as_bytes().to_vec()).into()
}

// What is typed.

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    Tokenizer::from_json(include_bytes!("../data/tokenizer/tokenizer.json")).expect("tokenizer.json")
});

fn prompt(bytes: &[u8]) -> u64 {
    let text: String = String::from_utf8_lossy(bytes).chars().take(MAX_CHARS).collect();
    let read = |dialect| match TOKENIZER.encode(dialect, &text, 77) {
        Ok(encoded) => encoded.chunks.len() as u64,
        Err(error) => outcome::<()>(&Err(error)),
    };
    let texts = timeline(&text, Steps { all: 9, before: None }).len() + components(&text).len();
    let dialects = Dialect::ALL.into_iter().fold(0, |all: u64, dialect| all.rotate_left(1) ^ read(dialect));
    dialects ^ (texts as u64).rotate_left(40)
}

// Words of one's own.

fn embedding(bytes: &[u8]) -> u64 {
    match read_embedding("x.safetensors", bytes) {
        Ok(embedding) => embedding.vectors() as u64,
        Err(error) => outcome::<()>(&Err(error)),
    }
}

fn embeddings() -> Vec<Vec<u8>> {
    let file = |name: &str, shape: &str| {
        let header =
            format!("{{\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[0,32]}}}}");
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 32]].concat()
    };
    vec![file("emb_params", "[2,4]"), file("<cat-toy>", "[8]"), file("string_to_param.*", "[1,8]")]
}

fn prompts() -> Vec<Vec<u8>> {
    [
        "a (red:1.3) [apple] on BREAK (((snow))) \\(not\\) <lora:a:1>",
        "🍎 ein Apfel, &amp; e\u{301}té",
        "[a:b:0.5] [a|b] AND c :2",
        "(a (b:1.2) embedding:c, \\(d",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// A template, and lists by the names of letters behind it, one to each blank line.
fn template(bytes: &[u8]) -> u64 {
    let text: String = String::from_utf8_lossy(bytes).chars().take(MAX_CHARS).collect();
    let mut parts = text.split("\n\n");
    let template = parts.next().unwrap_or_default();
    let mut lists = Wildcards::default();
    ('a'..='z').zip(parts).for_each(|(name, list)| lists.insert(name, list));
    match expand([template, "__a__"], &lists, 7) {
        Ok([prompt, other]) => {
            assert!(prompt.len().max(other.len()) <= 4 * MAX_CHARS, "longer than a prompt");
            (prompt.len().min(64) + other.len().min(64)) as u64
        }
        Err(error) => outcome::<()>(&Err(error)),
    }
}

fn templates() -> Vec<Vec<u8>> {
    [
        "{a|2::b|{c|d}} __a__, {2$$ and $$x|y|z}\n\nred\n# no\n{dark|light} __b__\n\nblue\n__c__\n\ngreen",
        "__a__ __b__\n\n__b__\n\n__a__",
        "{1-3$$__a__|b} {open\n\n{{{|}}}\n0.5::a",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

// A folder's JSON.

fn configuration(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let results = [
        ModelConfig::from_json("m", &text).map(drop),
        UnetConfig::from_json("u", &text).map(drop),
        Autoencoder::from_json("v", &text).map(drop),
        ClipTextConfig::from_json("t", &text).map(drop),
        SchedulerConfig::from_json("s", &text).map(drop),
    ];
    results.iter().fold(0, |all, result| all.rotate_left(1) ^ outcome(result))
}

fn configurations() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ]
    .map(|name| bytes_of(&format!("models/sd2/{name}")))
    .into();
    let whole = ModelConfig::builtin("sd15").expect("built in");
    seeds.push(serde_json::to_vec(&whole).expect("JSON"));
    seeds
}

fn tokenizer(bytes: &[u8]) -> u64 {
    match Tokenizer::from_json(bytes) {
        Ok(tokenizer) => outcome(&tokenizer.encode(Dialect::A1111, "a (cat:1.2) sat", 77).map(drop)),
        Err(error) => outcome::<()>(&Err(error)),
    }
}

/// Half a tokenizer is quicker than a whole one, and is one.
fn tokenizers() -> Vec<Vec<u8>> {
    vec![include_bytes!("../data/tokenizer/tokenizer.json").to_vec()]
}
