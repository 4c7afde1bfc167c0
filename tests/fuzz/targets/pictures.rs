//! Pictures and what they say.

use std::sync::LazyLock;

use opengen::image::{Rgba, Texts, XMP, encode_png};
use opengen::pipeline::recall;

use super::outcome;

pub const CHUNK_WORDS: [&str; 6] = ["IHDR", "tEXt", "iTXt", "zTXt", "EXIF", "IEND"];
pub const TEXT_WORDS: [&str; 12] = [
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

pub fn picture(bytes: &[u8]) -> u64 {
    outcome(&recall::from_file(bytes)) ^ outcome(&Texts::read(bytes)).rotate_left(1)
}

pub fn pictures() -> Vec<Vec<u8>> {
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
pub fn parameters(bytes: &[u8]) -> u64 {
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

pub fn texts() -> Vec<Vec<u8>> {
    texts_to_begin_with().map(|text| text.as_bytes().to_vec()).into()
}
