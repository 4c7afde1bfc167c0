//! A folder in somebody's hands as one file: what is read of it is what is read of the folder.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{folder, tensors, unpacked, write};
use super::*;
use crate::weights::{Family, Gathered, Given, Joined, ModelSource, joined};

/// All files below a folder, as a browser has them: weight files as far as their headers go.
fn gathered(path: &Path, front: &str) -> BTreeMap<String, Given> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        let name = format!("{front}{}", entry.file_name().unwrap().to_str().unwrap());
        if entry.is_dir() {
            files.extend(gathered(&entry, &format!("{name}/")));
            continue;
        }
        let mut bytes = std::fs::read(&entry).unwrap();
        let len = bytes.len() as u64;
        if name.ends_with(".safetensors") {
            bytes.truncate(8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize);
        }
        files.insert(name, Given { bytes, len });
    }
    files
}

/// The file that is put together of the parts.
fn whole(Joined { header, parts, .. }: &Joined, path: &Path) -> Vec<u8> {
    let mut file = header.clone();
    for (name, bytes) in parts {
        let part = std::fs::read(path.join(name)).unwrap();
        file.extend_from_slice(&part[bytes.start as usize..bytes.end as usize]);
    }
    file
}

fn reopened(one: &Joined, path: &Path) -> ModelSource {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), whole(one, path)).unwrap();
    ModelSource::open(file.path()).unwrap()
}

#[test]
fn a_folder_as_one_file_is_read_as_the_folder_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dogs");
    let decls = folder(&path);
    write(&path.join("README.md"), b"---\nlicense: openrail++\n---\n");
    // Beside the others, and above what is chosen.
    write(&path.join("safety_checker/model.safetensors"), &safetensors_file(&tensors(&[("x", &[4])], 9)));
    write(&dir.path().join("notes.txt"), b"mine");
    let one = joined(&Gathered::new(gathered(dir.path(), ""), "somewhere")).unwrap();
    assert_eq!(one.title, "dogs");
    assert!(one.header.len().is_multiple_of(8));
    let (source, again) = (ModelSource::open(&path).unwrap(), reopened(&one, dir.path()));
    assert_eq!(again.family(), Family::Diffusers);
    assert_eq!((again.config(), again.tokenizer()), (source.config(), source.tokenizer()));
    assert_eq!(again.license(), source.license());
    assert_eq!(again.license().map(ToString::to_string).as_deref(), Some("openrail++"));
    assert_eq!(unpacked(&again, &decls), unpacked(&source, &decls));
    // Tensors that no model reads are left out, as of a folder.
    assert!(again.manifest(&decls[1..], Default::default()).is_ok());
}

#[test]
fn half_precision_is_preferred_and_shards_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let decls = folder(dir.path());
    let unet: [(&'static str, &[usize]); 3] =
        [("conv_in.weight", &[32, 4, 3, 3]), ("mid.conv.weight", &[64, 32, 3, 3]), ("ff.weight", &[128, 32])];
    let mut map = BTreeMap::new();
    for (number, &(name, shape)) in unet.iter().enumerate() {
        let shard = format!("diffusion_pytorch_model.fp16-0000{number}-of-00003.safetensors");
        let bytes = safetensors_file(&tensors(&[(name, shape)], 40 + number as u64));
        write(&dir.path().join("unet").join(&shard), &bytes);
        map.insert(name, shard);
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    write(&dir.path().join("unet/diffusion_pytorch_model.safetensors.index.fp16.json"), index.as_bytes());
    let one = joined(&Gathered::new(gathered(dir.path(), ""), "cats")).unwrap();
    assert_eq!((one.title.as_str(), one.parts.len()), ("cats", 5));
    let parts = unpacked(&reopened(&one, dir.path()), &decls);
    let of = |name: &str| parts.iter().find(|part| part.0 == format!("unet.{name}")).unwrap().2.clone();
    for (number, &(name, shape)) in unet.iter().enumerate() {
        assert_eq!(of(name), values(shape.iter().product(), 40 + number as u64), "{name}");
    }
}

#[test]
fn what_is_missing_is_said_by_its_path_in_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let all = gathered(dir.path(), "m/");
    let without = |path: &str| {
        let mut files = all.clone();
        files.remove(path).unwrap();
        joined(&Gathered::new(files, "m")).unwrap_err().to_string()
    };
    for (path, said) in [
        ("m/unet/config.json", "unet/config.json: missing; a diffusers folder has unet/config.json"),
        ("m/tokenizer/tokenizer.json", "tokenizer: no tokenizer.json, nor vocab.json and merges.txt"),
        ("m/text_encoder/model.safetensors", "text_encoder: no model.safetensors or model.fp16.safetensors"),
    ] {
        assert_eq!(without(path), said);
    }
    let mut files = all.clone();
    files.get_mut("m/text_encoder/model.safetensors").unwrap().len = 100;
    let error = joined(&Gathered::new(files, "m")).unwrap_err().to_string();
    assert!(error.contains("text_encoder/model.safetensors") && error.contains("incomplete"), "{error}");
    let error = joined(&Gathered::new(BTreeMap::new(), "m")).unwrap_err().to_string();
    assert_eq!(error, "text_encoder/config.json: missing; a diffusers folder has text_encoder/config.json");
}
