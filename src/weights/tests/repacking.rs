//! A model of other declarations, or of an older format, packed anew: the same as if its file had been packed today.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::ModelConfig;
use crate::kernels::WeightType;
use crate::plan::{Part, Types};
use crate::weights::convert::{NewTensor, convert, new_tensor};
use crate::weights::decode::encode;
use crate::weights::{
    LayoutOptions, Manifest, PACKED_FORMAT, PackedRecord, Packer, READABLE_FORMATS, Repack, Rounding, Source,
    layout_with,
};

/// With this in the environment (`cargo xtask stored` has it) the model of the present format is written, not read.
const WRITE: &str = "OPENGEN_WRITE_STORED";

/// The files of the stored model of a format in type Q8: its manifest, and the bytes of its one slab.
fn stored_files(format: u32) -> [PathBuf; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stored");
    ["json", "bin"].map(|ending| folder.join(format!("format-{format}.{ending}")))
}

fn stored(format: u32) -> (Manifest, Vec<Vec<u8>>) {
    let [manifest, slab] = stored_files(format);
    let read = |path: PathBuf| {
        std::fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo xtask stored` writes the model of the present format", path.display())
        })
    };
    (serde_json::from_slice(&read(manifest)).unwrap(), vec![read(slab)])
}

/// As a former version of an engine might have declared its weights.
fn former() -> Vec<WeightDecl> {
    vec![
        decl("attn.q", WeightKind::Matrix { n: 32, k: 64 }, &[("q", &[32, 64])]),
        decl("attn.kv", WeightKind::Matrix { n: 64, k: 64 }, &[("k", &[32, 64]), ("v", &[32, 64])]),
        decl("in", WeightKind::Matrix { n: 32, k: 36 }, &[("in", &[32, 4, 3, 3])]),
        decl("conv", WeightKind::Matrix { n: 32, k: 288 }, &[("conv", &[32, 32, 3, 3])]),
        decl("ff", WeightKind::Geglu { n: 64, k: 32 }, &[("ff", &[64, 32])]),
        decl("ff.bias", WeightKind::GegluVector { len: 64 }, &[("ff.bias", &[64])]),
        decl("bias", WeightKind::Vector { len: 40 }, &[("b1", &[24]), ("b2", &[16])]),
        decl("table", WeightKind::Table { rows: 20, cols: 32 }, &[("table", &[20, 32])]),
        decl("unused", WeightKind::Vector { len: 8 }, &[("unused", &[8])]),
    ]
}

/// The same tensors otherwise merged, named and ordered, one of them left out.
fn present() -> Vec<WeightDecl> {
    let qkv: [(&str, &[usize]); 3] = [("q", &[32, 64]), ("k", &[32, 64]), ("v", &[32, 64])];
    vec![
        decl("bias.1", WeightKind::Vector { len: 24 }, &[("b1", &[24])]),
        decl("bias.2", WeightKind::Vector { len: 16 }, &[("b2", &[16])]),
        decl("table", WeightKind::Table { rows: 20, cols: 32 }, &[("table", &[20, 32])]),
        decl("ff", WeightKind::Geglu { n: 64, k: 32 }, &[("ff", &[64, 32])]),
        decl("ff.bias", WeightKind::GegluVector { len: 64 }, &[("ff.bias", &[64])]),
        decl("conv.renamed", WeightKind::Matrix { n: 32, k: 288 }, &[("conv", &[32, 32, 3, 3])]),
        decl("in", WeightKind::Matrix { n: 32, k: 36 }, &[("in", &[32, 4, 3, 3])]),
        decl("attn.qkv", WeightKind::Matrix { n: 96, k: 64 }, &qkv),
    ]
}

/// A model's file, read with these declarations: the manifest and its slabs.
fn packed(decls: &[WeightDecl], kind: WeightType) -> (Manifest, Vec<Vec<u8>>) {
    written(decls, Types::all(kind), None, &|_, tensor, values| encode(tensor.dtype, values).unwrap())
}

/// The same of a file that `opengen import` makes.
fn imported(decls: &[WeightDecl], types: Types) -> (Manifest, Vec<Vec<u8>>) {
    written(decls, types, None, &|part, tensor, values| {
        convert(part, SourceType::F32, bytemuck::cast_slice(values), true, tensor, Rounding::Fitted)
    })
}

/// What writes the values of a part.
type Encoded<'a> = &'a dyn Fn(&Part, &NewTensor, &[f32]) -> Vec<u8>;

/// A file in these types, rounded to narrower ones on its way where there are some. Values follow from their place alone.
fn written(
    decls: &[WeightDecl],
    types: Types,
    narrowed: Option<Types>,
    encoded: Encoded,
) -> (Manifest, Vec<Vec<u8>>) {
    let mut header = header(&[]);
    header.metadata.insert(Header::CONV_LAYOUT.to_string(), "ohwi".to_string());
    let mut data = Vec::new();
    for (decl, part) in decls.iter().flat_map(|decl| decl.parts.iter().map(move |part| (decl, part))) {
        let tensor = new_tensor(decl, part, types.of_matrix(decl));
        let seed = part.name.bytes().map(usize::from).sum::<usize>();
        let count = part.shape.iter().product::<usize>();
        let values: Vec<f32> =
            (0..count).map(|at| ((at * 37 + seed * 11) % 255) as f32 / 127.0 - 1.0).collect();
        let bytes = encoded(part, &tensor, &values);
        let (name, dtype, shape, len) = (tensor.name, tensor.dtype, tensor.shape, bytes.len() as u64);
        header.tensors.push(TensorInfo { name, dtype, shape, offset: 64 + data.len() as u64, len });
        data.push(bytes);
    }
    let config = ModelConfig::builtin("sd15").unwrap();
    let options = LayoutOptions { narrowed, ..LayoutOptions::default() };
    let manifest = layout_with("stored", &config, "{}", decls, &header, Source::default(), options).unwrap();
    let mut slabs = zeros(&manifest);
    let mut packer = Packer::new(&manifest, &header);
    for (info, bytes) in header.tensors.iter().zip(&data) {
        put(&mut slabs, packer.push(&info.name, bytes).unwrap());
    }
    (manifest, slabs)
}

fn zeros(manifest: &Manifest) -> Vec<Vec<u8>> {
    manifest.slabs.iter().map(|&len| vec![0; len as usize]).collect()
}

fn put(slabs: &mut [Vec<u8>], pieces: Vec<crate::weights::PackedBytes>) {
    for piece in pieces {
        slabs[piece.slab][piece.offset as usize..][..piece.bytes.len()].copy_from_slice(&piece.bytes);
    }
}

/// What is in a model, wherever it lies: of each record its declaration, its type and its bytes, by name.
fn records(manifest: &Manifest, slabs: &[Vec<u8>]) -> BTreeMap<String, (WeightDecl, WeightType, Vec<u8>)> {
    let one = |record: &PackedRecord| {
        let bytes = &slabs[record.slab][record.values.offset as usize..record.end() as usize];
        (record.decl.name.clone(), (record.decl.clone(), record.weight_type, bytes.to_vec()))
    };
    manifest.records.iter().map(one).collect()
}

fn repacked(old: &Manifest, slabs: &[Vec<u8>], decls: &[WeightDecl]) -> (Manifest, Vec<Vec<u8>>) {
    through(Repack::new(old, decls).unwrap(), old, slabs)
}

fn through(mut repack: Repack, old: &Manifest, slabs: &[Vec<u8>]) -> (Manifest, Vec<Vec<u8>>) {
    let mut out = zeros(repack.manifest());
    for record in &old.records {
        let bytes = &slabs[record.slab][record.values.offset as usize..record.end() as usize];
        put(&mut out, repack.push(record, bytes).unwrap());
    }
    (repack.manifest().clone(), out)
}

#[test]
fn a_model_of_other_declarations_is_packed_as_its_file_would_be() {
    for kind in WeightType::ALL {
        let (old, slabs) = packed(&former(), kind);
        assert!(old.is_current(&former()) && !old.is_current(&present()));
        let (manifest, slabs) = repacked(&old, &slabs, &present());
        let (expected, expected_slabs) = packed(&present(), kind);
        assert!(manifest.is_current(&present()));
        assert!(records(&manifest, &slabs) == records(&expected, &expected_slabs), "{kind:?}");
    }
}

#[test]
fn a_model_is_packed_in_a_smaller_type_as_opengen_import_would_do_it() {
    let mut decls = present();
    let vae = decl("vae.decoder.conv_in", WeightKind::Matrix { n: 32, k: 64 }, &[("vae.m", &[32, 64])]);
    decls.push(vae);
    let (old, slabs) = packed(&decls, WeightType::F32);
    for kind in WeightType::ALL {
        let types = Types::of(kind);
        let (manifest, slabs) = through(Repack::quantized(&old, &decls, types).unwrap(), &old, &slabs);
        let (expected, expected_slabs) = imported(&decls, types);
        assert!(records(&manifest, &slabs) == records(&expected, &expected_slabs), "{kind:?}");
        assert!(manifest.is_current(&decls));
        let on_the_way = written(&decls, Types::all(WeightType::F32), Some(types), &|_, tensor, values| {
            encode(tensor.dtype, values).unwrap()
        });
        let (manifest, slabs) = on_the_way;
        assert!(records(&manifest, &slabs) == records(&expected, &expected_slabs), "{kind:?}, on the way");
    }
}

#[test]
fn what_is_narrow_stays_as_it_is() {
    // Blocks would only lose by being rounded twice, and wider than it is nothing gets.
    for (kept, to) in [(WeightType::Q8, WeightType::Q4), (WeightType::F16, WeightType::F32)] {
        let (old, slabs) = packed(&present(), kept);
        let repack = Repack::quantized(&old, &present(), Types::of(to)).unwrap();
        let (same, new) = through(repack, &old, &slabs);
        assert!(records(&same, &new) == records(&old, &slabs), "{kept:?}");
    }
    let most = |kind| packed(&present(), kind).0.most().map(SourceType::name);
    assert_eq!((most(WeightType::F16), most(WeightType::Q8)), (Some("F16"), Some("Q8_0")));
}

#[test]
fn a_stored_model_of_every_format_can_be_packed_anew() {
    let (expected, expected_slabs) = packed(&present(), WeightType::Q8);
    for format in READABLE_FORMATS {
        let (old, slabs) = stored(format);
        assert_eq!(old.format, format);
        let (manifest, slabs) = repacked(&old, &slabs, &present());
        assert!(records(&manifest, &slabs) == records(&expected, &expected_slabs), "format {format}");
    }
}

/// Where this fails, the same declarations are packed otherwise than before: that is another [`PACKED_FORMAT`]. Of a former
/// one nothing can be made again.
#[test]
fn the_present_format_is_what_is_stored_as_it() {
    let (manifest, slabs) = packed(&former(), WeightType::Q8);
    if std::env::var_os(WRITE).is_some() {
        let [json, bin] = stored_files(PACKED_FORMAT);
        assert!(
            !json.exists(),
            "{} is there: a format that may be in stores does not change",
            json.display()
        );
        std::fs::write(json, serde_json::to_vec(&manifest).unwrap()).unwrap();
        std::fs::write(bin, &slabs[0]).unwrap();
    }
    let (there, bytes) = stored(PACKED_FORMAT);
    assert!(records(&manifest, &slabs) == records(&there, &bytes));
}

#[test]
fn tensors_that_an_old_model_lacks_are_named() {
    let (old, _) = packed(&former(), WeightType::F16);
    let more = [present(), vec![decl("new", WeightKind::Vector { len: 4 }, &[("new", &[4])])]].concat();
    let Err(error) = Repack::new(&old, &more) else { panic!("a tensor is missing") };
    assert!(error.to_string().contains("missing tensor new"), "{error}");
}
