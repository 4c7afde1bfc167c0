//! What is written of a model beside its chunks: its tokenizer, the largest part of that, once.

use super::*;
use crate::weights::{Hints, LayoutOptions, recognise};

/// The embedded model as it would be stored, without chunks.
fn mini() -> (StoredModel, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/mini/mini-q8_0.gguf");
    let bytes = std::fs::read(path).unwrap();
    let Parse::Done(header) = Header::parse("mini", &bytes, bytes.len() as u64).unwrap() else {
        panic!("a cut header");
    };
    let recognised = recognise(&header, Hints::default()).unwrap();
    let options = LayoutOptions { leave_extra: true, ..LayoutOptions::default() };
    let manifest = recognised.manifest(&[], &header, Source::default(), options).unwrap();
    let model = StoredModel {
        id: "mini".into(),
        place: "mini".into(),
        origin: Origin::default(),
        license: None,
        state: State::Complete,
        chunk_bytes: 1 << 20,
        header: bytes[..header.data_start as usize].to_vec(),
        manifest: manifest.into(),
    };
    (model, recognised.tokenizer)
}

/// Bytes of a text's letters and digits: what no writing of it, as it is or inside JSON, changes.
fn plain(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).count()
}

#[test]
fn a_files_tokenizer_is_written_once() {
    let (model, tokenizer) = mini();
    let written = model.written_manifest().unwrap();
    let held = model.header.windows(tokenizer.len()).filter(|bytes| *bytes == tokenizer.as_bytes()).count();
    assert_eq!(held, 1, "the header holds it");
    let (once, beside) = (plain(tokenizer.as_bytes()), plain(written.as_bytes()));
    assert!(4 * beside < once, "{beside} letters and digits beside the header, the tokenizer has {once}");
    assert_eq!(StoredModel::read_manifest(&written, &model.header).unwrap(), *model.manifest);
}

#[test]
fn a_tokenizer_that_the_file_does_not_bring_is_written_with_the_manifest() {
    let (mut model, tokenizer) = mini();
    model.header = File::new(40, 1, 1).bytes;
    let written = model.written_manifest().unwrap();
    assert_eq!(StoredModel::read_manifest(&written, &model.header).unwrap().tokenizer, tokenizer);
    let without = serde_json::to_string(&model.manifest.without_tokenizer()).unwrap();
    assert!(StoredModel::read_manifest(&without, &model.header).is_none(), "nobody has it");
}

/// Former versions of the engine wrote it into the manifest whatever the header held.
#[test]
fn a_manifest_of_a_former_version_is_read() {
    let (model, tokenizer) = mini();
    let mut former = serde_json::to_value(model.manifest.without_tokenizer()).unwrap();
    former["tokenizer"] = tokenizer.into();
    let read = StoredModel::read_manifest(&former.to_string(), &model.header).unwrap();
    assert_eq!(read, *model.manifest);
    let again = StoredModel { manifest: read.into(), ..model.clone() };
    assert_eq!(again.written_manifest().unwrap(), model.written_manifest().unwrap());
}
