//! Files of embeddings (textual inversion): a few vectors as wide as a text encoder, under one of several names.

use sha2::{Digest, Sha256};

use super::decode::decode;
use super::header::{Header, Parse, TensorInfo, bad, incomplete};
use crate::error::{Error, Result};
use crate::prompt::Embedding;

/// The most vectors of one: as many tokens as a text encoder reads at once.
pub const MAX_VECTORS: usize = 75;
/// The most bytes of a file: more than so many vectors in f32, as wide as any text encoder's, and a header take.
pub const MAX_EMBEDDING: usize = 4 << 20;
/// Widest first: of SDXL's two text encoders the second's.
const PAIR: [&str; 2] = ["clip_g", "clip_l"];
/// A1111's name for the vectors, and the first part of its older ones.
const OWN: [&str; 2] = ["emb_params", "string_to_param."];

/// How to make of a pickle what is read.
const FROM_PICKLE: &str = "opening one can run whatever is in it, so it is not read. In Python, d = torch.load(\"x.pt\", \
    weights_only=True); v = next(iter(d.get(\"string_to_param\", d).values())); \
    safetensors.torch.save_file({\"emb_params\": v.detach()}, \"x.safetensors\") makes a file of it that is read, and the \
    safetensors of the same name is often beside it";
const NEEDED: &str =
    "an embedding (textual inversion) of Stable Diffusion 1 or 2 as safetensors is needed here";

/// Reads a whole file; `file` is its name, and without folders and ending what prompts call it.
///
/// Fails with what the file is instead where it is none, and where its vectors are no numbers.
pub fn read_embedding(file: &str, bytes: &[u8]) -> Result<Embedding> {
    let of = |error: Error| match error {
        Error::OtherFile { file, what, .. } if what.contains("pickle") => {
            let what = "a pickled embedding (.pt, .bin)".to_string();
            Error::OtherFile { file, what, advice: FROM_PICKLE.to_string(), kind: None }
        }
        Error::OtherFile { file, what, .. } => {
            Error::OtherFile { file, what, advice: NEEDED.to_string(), kind: None }
        }
        other => other,
    };
    let header = match Header::parse(file, bytes, bytes.len() as u64).map_err(of)? {
        Parse::Done(header) => header,
        Parse::NeedMore(more) => {
            let detail = format!("its header has {more} bytes");
            return Err(incomplete(file, bytes.len() as u64, more as u64, detail));
        }
    };
    let (info, token) = vectors_of(&header).map_err(of)?;
    if bytes.len() > MAX_EMBEDDING {
        let message = format!("{} bytes, an embedding has {MAX_EMBEDDING} at most", bytes.len());
        return Err(bad(file, message));
    }
    let (count, width) = match *info.shape.as_slice() {
        [width] => (1, width),
        [count, width] => (count, width),
        _ => (0, 0),
    };
    if !(1..=MAX_VECTORS).contains(&count) || width == 0 {
        let message = format!(
            "{} has the shape {:?}, expected 1 to {MAX_VECTORS} vectors as wide as a text encoder",
            info.name, info.shape
        );
        return Err(bad(file, message));
    }
    let cut = || bad(file, format!("tensor {} lies outside the file", info.name));
    let data = bytes.get(info.offset as usize..(info.offset + info.len) as usize).ok_or_else(cut)?;
    let vectors = decode(info.dtype, data);
    if let Some(at) = vectors.iter().position(|value| !value.is_finite()) {
        let (vector, value) = (at / width + 1, vectors[at]);
        return Err(bad(
            file,
            format!("a value of vector {vector} is {value}; it is damaged, fetch it again"),
        ));
    }
    let hash = Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(Embedding { name: name_of(file), token, vectors, width, hash })
}

/// A file's name without folders and ending.
fn name_of(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let ending = name.rsplit_once('.').filter(|(_, ending)| ending.eq_ignore_ascii_case("safetensors"));
    ending.map_or(name, |(stem, _)| stem).to_string()
}

/// The tensor that has the vectors, and the token that names it in diffusers' files.
fn vectors_of(header: &Header) -> Result<(&TensorInfo, Option<String>)> {
    let other = |what: String| Error::OtherFile {
        file: header.file.clone(),
        what,
        advice: NEEDED.to_string(),
        kind: None,
    };
    let named = |name: &str| header.tensors.iter().find(|info| info.name == name);
    if PAIR.iter().all(|name| named(name).is_some()) {
        return Err(other("an embedding for Stable Diffusion XL's two text encoders".to_string()));
    }
    let own = header.tensors.iter().find(|info| OWN.iter().any(|name| info.name.starts_with(name)));
    if let Some(info) = own.or_else(|| PAIR.iter().find_map(|name| named(name))) {
        return Ok((info, None));
    }
    match header.tensors.as_slice() {
        // diffusers' has one tensor, named by the token.
        [one] if one.shape.len() <= 2 => Ok((one, Some(one.name.clone()))),
        _ => Err(header.other_model()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
        let (mut entries, mut data) = (Vec::new(), Vec::<u8>::new());
        for (name, shape, values) in tensors {
            let begin = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let entry =
                serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
            entries.push(format!("{}:{entry}", serde_json::json!(name)));
        }
        let header = format!("{{{}}}", entries.join(","));
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }

    #[test]
    fn by_every_name() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        for (tensor, shape, token, vectors) in [
            ("emb_params", &[2, 4][..], None, 2),
            ("string_to_param.*", &[2, 4], None, 2),
            ("clip_l", &[2, 4], None, 2),
            ("<cat-toy>", &[8], Some("<cat-toy>"), 1),
            ("<cat-toy>", &[1, 8], Some("<cat-toy>"), 1),
        ] {
            let bytes = file(&[(tensor, shape, &values)]);
            let found = read_embedding("folder/My Style.SafeTensors", &bytes).expect(tensor);
            assert_eq!((found.name.as_str(), found.token.as_deref()), ("My Style", token));
            assert_eq!((found.vectors(), found.vectors.as_slice()), (vectors, values.as_slice()));
            assert_eq!(found.hash.len(), 12);
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_to_do() {
        let values = [0.5; 8];
        let said = |bytes: &[u8]| read_embedding("x.safetensors", bytes).unwrap_err().to_string();
        let pair = file(&[("clip_g", &[1, 8], &values), ("clip_l", &[1, 8], &values)]);
        assert!(
            said(&pair).contains("Stable Diffusion XL's two text encoders: an embedding"),
            "{}",
            said(&pair)
        );
        assert!(
            said(b"\x80\x02}q\0X\0\0\0\0\0").contains("a pickled embedding (.pt, .bin): opening one can run")
        );
        let mut zip = b"PK\x03\x04".to_vec();
        zip.resize(30, 0);
        zip.extend(b"archive/data.pkl");
        zip.resize(400, 0);
        assert!(said(&zip).contains("save_file({\"emb_params\""), "{}", said(&zip));
        let lora = file(&[("lora_te_x.lora_down.weight", &[2, 4], &values), ("y", &[1, 8], &values)]);
        assert!(said(&lora).contains("a LoRA"), "{}", said(&lora));
        for broken in [f32::NAN, f32::INFINITY] {
            let bytes = file(&[("emb_params", &[1, 2], &[0.0, broken])]);
            assert!(said(&bytes).contains("it is damaged"), "{}", said(&bytes));
        }
        for shape in [&[2, 2, 2][..], &[0, 8], &[1, 0], &[]] {
            let values = &values[..shape.iter().product::<usize>()];
            let said = said(&file(&[("emb_params", shape, values)]));
            assert!(said.contains("the shape"), "{shape:?}: {said}");
        }
        let many = vec![0.0; 76 * 4];
        assert!(said(&file(&[("emb_params", &[76, 4], &many)])).contains("1 to 75 vectors"));
        let whole = file(&[("emb_params", &[2, 4], &values)]);
        for len in 0..whole.len() {
            assert!(read_embedding("x", &whole[..len]).is_err(), "{len} bytes");
        }
        assert!(
            said(&file(&[("a", &[2, 4], &values), ("b", &[2, 4], &values)]))
                .contains("no model that is known")
        );
        // It says how long it is, and lies.
        let mut lies = whole;
        lies[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read_embedding("x", &lies).is_err());
    }
}
