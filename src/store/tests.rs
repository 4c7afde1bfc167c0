//! A file's whole way into the store, in random slices, interrupted at random places, damaged in every way.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::*;
use crate::config::ModelConfig;
use crate::plan::{Part, WeightDecl, WeightKind};
use crate::weights::{Header, Parse, Source, layout};
use crate::{Error, Result};

mod begun;
mod changed;
mod repacked;
mod written;

const URL: &str = "https://example.org/model.safetensors";

/// A safetensors file of f32 vectors and the declarations that read it; every third record merges two tensors that
/// lie apart in the file.
struct File {
    bytes: Vec<u8>,
    decls: Vec<WeightDecl>,
}

impl File {
    fn new(seed: u64, records: usize, longest: usize) -> File {
        File::ordered(seed, records, longest, |_| ())
    }

    /// The same, its tensors in any order.
    fn shuffled(seed: u64, records: usize, longest: usize) -> File {
        File::ordered(seed, records, longest, |parts| parts.shuffle(&mut StdRng::seed_from_u64(seed)))
    }

    fn ordered(seed: u64, records: usize, longest: usize, arrange: impl Fn(&mut Vec<Part>)) -> File {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut decls: Vec<WeightDecl> = Vec::new();
        let mut order: Vec<Part> = Vec::new();
        for record in 0..records {
            let parts: Vec<Part> = (0..if record % 3 == 2 { 2 } else { 1 })
                .map(|part| {
                    Part::whole(
                        format!("unet.block.{record}.part.{part}"),
                        [rng.random_range(1..=longest) * 4],
                    )
                })
                .collect();
            for part in &parts {
                let nearby = order.len().saturating_sub(4);
                order.insert(rng.random_range(nearby..=order.len()), part.clone());
            }
            let len = parts.iter().map(|part| part.shape[0]).sum();
            decls.push(WeightDecl {
                name: format!("unet.block.{record}"),
                kind: WeightKind::Vector { len },
                parts,
            });
        }
        arrange(&mut order);
        let mut table = serde_json::Map::new();
        let mut data = Vec::new();
        for part in &order {
            let from = data.len();
            for _ in 0..part.shape[0] {
                data.extend_from_slice(&rng.random_range(-1f32..1.0).to_le_bytes());
            }
            let entry = serde_json::json!({
                "dtype": "F32", "shape": part.shape, "data_offsets": [from, data.len()],
            });
            table.insert(part.name.clone(), entry);
        }
        let json = serde_json::to_vec(&table).unwrap();
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&json);
        bytes.extend_from_slice(&data);
        File { bytes, decls }
    }

    fn expected(&self) -> Expected {
        Expected {
            url: URL.into(),
            file: "model.safetensors".into(),
            bytes: Some(self.bytes.len() as u64),
            sha256: Some(sha256(&self.bytes)),
            allow_non_finite: false,
        }
    }

    fn layout(&self) -> Layout {
        let decls = self.decls.clone();
        Box::new(move |header: &Header| {
            let config = ModelConfig::builtin("sd15").unwrap();
            layout("test", &config, "", &decls, header, Source::default())
        })
    }

    fn import(&self) -> Import {
        Import::new(self.expected(), self.layout())
    }
}

/// Of the last tensors one has a value that is infinite: nothing of it comes onto the shelf, what came before stays, and who says so
/// has it all.
#[test]
fn weights_that_are_no_numbers_are_refused_before_they_are_stored() {
    let mut file = File::new(31, 60, 40_000);
    let end = file.bytes.len();
    file.bytes[end - 8..end - 4].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    let fed = |expected: Expected| -> (Result<Finish>, usize) {
        let (mut import, mut shelf) = (Import::new(expected, file.layout()), Shelf::default());
        import.start_at(0, None).unwrap();
        let mut all = || {
            for bytes in file.bytes.chunks(10_000) {
                import.feed(bytes)?;
                shelf.drain(&mut import)?;
            }
            Ok(())
        };
        let fed = all();
        let stored = shelf.chunks.iter().flatten().count();
        (fed.and_then(|()| import.finish()), stored)
    };
    let (refused, before) = fed(file.expected());
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "NON_FINITE");
    let told = refused.to_string();
    assert!(
        told.starts_with("model.safetensors: weights are infinite or no numbers (1 of unet.block."),
        "{told}"
    );
    let (taken, all) = fed(Expected { allow_non_finite: true, ..file.expected() });
    assert!(matches!(taken, Ok(Finish::Complete)));
    assert!(before < all, "{before} of {all} chunks");
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the database would hold.
#[derive(Clone, Default)]
struct Shelf {
    model: Option<StoredModel>,
    chunks: Vec<Option<FullChunk>>,
    marks: Vec<Mark>,
    waiting: Option<Waiting<Vec<u8>>>,
    /// Chunks whose bytes were damaged: what they should have been.
    lost: Vec<(usize, u32)>,
}

impl Shelf {
    fn held(&self) -> Vec<Held> {
        let lost = |index| self.lost.iter().find(|lost| lost.0 == index).map(|lost| Held::Sum(lost.1));
        let held = |(index, chunk): (usize, &Option<FullChunk>)| match chunk {
            Some(chunk) => Held::Chunk(chunk.sum),
            None => lost(index).unwrap_or_default(),
        };
        self.chunks.iter().enumerate().map(held).collect()
    }

    /// A chunk is found damaged and removed.
    fn lose(&mut self, index: usize) {
        let chunk = self.chunks[index].take().unwrap();
        self.lost.push((index, chunk.sum));
        self.marks.clear();
    }

    /// The chunks that are not there, all of them where nothing is.
    fn missing(&self, import: &Import) -> Vec<bool> {
        match &self.model {
            Some(_) => self.chunks.iter().map(Option::is_none).collect(),
            None => import.manifest().map_or(Vec::new(), |manifest| {
                vec![true; ChunkMap::new(&manifest.slabs, import.chunk_bytes().unwrap()).len()]
            }),
        }
    }

    /// Stores all that the import has to give.
    fn drain(&mut self, import: &mut Import) -> Result<()> {
        if let (None, Some(manifest)) = (&self.model, import.manifest()) {
            let model = StoredModel {
                id: "test".into(),
                place: "test".into(),
                origin: Origin::default(),
                license: None,
                state: State::Partial,
                chunk_bytes: import.chunk_bytes().unwrap(),
                header: import.header().unwrap().to_vec(),
                manifest: manifest.clone(),
            };
            self.chunks = vec![None; model.chunk_map().len()];
            self.model = Some(model);
        }
        while let Some(chunk) = import.next_chunk()? {
            assert_eq!(chunk.sum, crc32fast::hash(&chunk.bytes));
            let index = chunk.index;
            assert!(self.chunks[index].is_none(), "chunk {index} came twice");
            self.chunks[index] = Some(chunk);
            self.marks = import.marks();
        }
        Ok(())
    }

    /// The slabs, put together from the chunks.
    fn slabs(&self) -> Vec<Vec<u8>> {
        let model = self.model.as_ref().unwrap();
        let mut slabs: Vec<Vec<u8>> = model.manifest.slabs.iter().map(|&len| vec![0; len as usize]).collect();
        for (index, chunk) in model.chunk_map().iter() {
            let bytes = &self.chunks[index].as_ref().unwrap().bytes;
            assert_eq!(bytes.len() as u64, chunk.len);
            slabs[chunk.slab][chunk.offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        slabs
    }

    /// Keeps what waits, if there is something.
    fn put_by(&mut self, import: &mut Import) {
        let Some((waiting, marks)) = import.waiting().filter(|_| self.model.is_some()) else { return };
        let owned =
            |part: &Begun<&[u8]>| Begun { index: part.index, count: part.count, bytes: part.bytes.to_vec() };
        self.waiting = Some(Waiting {
            at: waiting.at,
            chunks: waiting.chunks.clone(),
            records: waiting.records.iter().map(owned).collect(),
            open: waiting.open.iter().map(owned).collect(),
        });
        self.marks = marks;
        import.put_by();
    }

    /// Goes on where the file can be made sure of, else begins anew.
    fn resume(&mut self, file: &File) -> Import {
        let held = self.held();
        let begun = self.model.as_ref().and_then(|model| {
            let waiting = self.waiting.clone();
            Import::resume(file.expected(), file.layout(), model, &held, &self.marks, waiting).unwrap()
        });
        begun.unwrap_or_else(|| {
            *self = Shelf::default();
            file.import()
        })
    }
}

/// Feeds `bytes` in random slices.
fn feed(import: &mut Import, shelf: &mut Shelf, bytes: &[u8], rng: &mut StdRng) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() && !import.is_done() {
        let longest = if rng.random_bool(0.1) { rest.len() } else { rest.len().min(70_000) };
        let (slice, after) = rest.split_at(rng.random_range(1..=longest));
        import.feed(slice)?;
        shelf.drain(import)?;
        rest = after;
    }
    Ok(())
}

/// The packed slabs as f32 values must be the tensors' values, in the records' places.
fn assert_holds(shelf: &Shelf, file: &File) {
    let parsed = Header::parse("model.safetensors", &file.bytes, file.bytes.len() as u64).unwrap();
    let Parse::Done(header) = parsed else { panic!("the header is there") };
    let slabs = shelf.slabs();
    for record in &shelf.model.as_ref().unwrap().manifest.records {
        let found = &slabs[record.slab][record.values.offset as usize..][..record.values.len as usize];
        let mut expected = Vec::new();
        for part in &record.decl.parts {
            let tensor = header.tensors.iter().find(|tensor| tensor.name == part.name).unwrap();
            expected.extend_from_slice(&file.bytes[tensor.offset as usize..][..tensor.len as usize]);
        }
        assert!(found.starts_with(&expected), "{}", record.decl.name);
    }
}

#[test]
fn any_slicing_gives_the_same_chunks() {
    let file = File::new(1, 40, 20_000);
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut shelf, mut import) = (Shelf::default(), file.import());
        feed(&mut import, &mut shelf, &file.bytes, &mut rng).unwrap();
        assert_eq!(import.finish().unwrap(), Finish::Complete);
        assert!(shelf.chunks.len() > 5);
        assert_holds(&shelf, &file);
    }
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let file = File::new(2, 60, 20_000);
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut shelf = Shelf::default();
        let mut fetched = 0;
        loop {
            let mut import = shelf.resume(&file);
            let offset = import.resume_offset();
            // Some servers ignore the range and send everything.
            let offset = if rng.random_bool(0.3) { 0 } else { offset };
            import.start_at(offset, None).unwrap();
            let last = rng.random_bool(0.3);
            let end = if last {
                file.bytes.len() as u64
            } else {
                rng.random_range(offset..=file.bytes.len() as u64)
            };
            let slice = &file.bytes[offset as usize..end as usize];
            feed(&mut import, &mut shelf, slice, &mut rng).unwrap();
            fetched += 1;
            match import.finish() {
                Ok(Finish::Complete) => break,
                Ok(other) => panic!("small files need one pass: {other:?}"),
                Err(error) => assert!(matches!(error, Error::Network { retryable: true, .. }), "{error}"),
            }
            assert!(fetched < 100);
        }
        assert_holds(&shelf, &file);
    }
}

#[test]
fn only_what_a_lost_chunk_needs_is_fetched_again() {
    let file = File::new(3, 60, 20_000);
    let mut rng = StdRng::seed_from_u64(3);
    let mut shelf = Shelf::default();
    feed(&mut file.import(), &mut shelf, &file.bytes, &mut rng).unwrap();
    let middle = shelf.chunks.len() / 2;
    shelf.lose(middle);
    let mut import = shelf.resume(&file);
    let offset = import.resume_offset() as usize;
    assert!(offset > file.bytes.len() / 4, "{offset} of {}", file.bytes.len());
    import.start_at(offset as u64, None).unwrap();
    for slice in file.bytes[offset..].chunks(10_000) {
        if import.is_done() {
            break;
        }
        import.feed(slice).unwrap();
        shelf.drain(&mut import).unwrap();
    }
    assert!(import.is_done());
    assert!((import.position() as usize) < file.bytes.len() * 3 / 4, "stops as soon as the chunk is there");
    assert_eq!(import.finish().unwrap(), Finish::Complete);
    assert_holds(&shelf, &file);
}

/// Records each of which has a tensor of the file's first half and one of its second: every one waits until half of the file has come.
fn scattered(seed: u64) -> File {
    let mut file = File::new(seed, 30, 60_000);
    let half = file.decls.len() / 2;
    for index in 0..half {
        let (a, b) = (file.decls[index].clone(), file.decls[half + index].clone());
        file.decls[index] = WeightDecl {
            name: format!("unet.pair.{index}"),
            kind: WeightKind::Vector { len: a.parts.iter().chain(&b.parts).map(|part| part.shape[0]).sum() },
            parts: a.parts.into_iter().chain(b.parts).collect(),
        };
    }
    file.decls.truncate(half);
    file
}

#[test]
fn a_scattered_file_takes_more_passes_not_more_memory() {
    let file = scattered(4);
    let mut rng = StdRng::seed_from_u64(4);
    let mut shelf = Shelf::default();
    let mut passes = 0;
    loop {
        passes += 1;
        let mut import = shelf.resume(&file);
        import.set_max_waiting_bytes(1 << 20, shelf.missing(&import));
        let offset = import.resume_offset();
        import.start_at(offset, None).unwrap();
        feed(&mut import, &mut shelf, &file.bytes[offset as usize..], &mut rng).unwrap();
        if import.finish().unwrap() != Finish::AnotherPass {
            break;
        }
    }
    assert!((2..50).contains(&passes), "{passes}");
    assert_holds(&shelf, &file);
}

#[test]
fn a_truncated_file_is_a_network_error_that_may_be_tried_again() {
    let file = File::new(5, 10, 2000);
    for end in [0, 4, 7, 100, 3000, file.bytes.len() - 1] {
        let mut import = file.import();
        let mut shelf = Shelf::default();
        if end > 0 {
            feed(&mut import, &mut shelf, &file.bytes[..end], &mut StdRng::seed_from_u64(5)).unwrap();
        }
        let error = import.finish().unwrap_err();
        assert!(matches!(error, Error::Network { retryable: true, .. }), "{error}");
        assert!(error.to_string().contains(&format!("{end} ")), "{error}");
    }
}

#[test]
fn a_longer_file_is_refused_at_the_first_byte_too_many() {
    let file = File::new(6, 10, 2000);
    let mut import = file.import();
    import.feed(&file.bytes).unwrap();
    let error = import.feed(b"x").unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn another_files_bytes_fail_the_hash() {
    let file = File::new(7, 10, 2000);
    let mut bytes = file.bytes.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let (mut import, mut shelf) = (file.import(), Shelf::default());
    feed(&mut import, &mut shelf, &bytes, &mut StdRng::seed_from_u64(7)).unwrap();
    let error = import.finish().unwrap_err();
    assert!(matches!(&error, Error::BadFile { .. }), "{error}");
    assert!(error.to_string().contains(&sha256(&bytes)) && error.to_string().contains(&sha256(&file.bytes)));
}

#[test]
fn a_web_page_is_told_from_a_model() {
    let file = File::new(8, 10, 2000);
    for page in ["<!doctype html><html>", "\n  <html lang=en><head>"] {
        let error = file.import().feed(page.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Network { retryable: true, .. }), "{error}");
        assert!(error.to_string().contains("web page"), "{error}");
    }
    let error = file.import().feed(b"an answer of another kind").unwrap_err();
    assert!(matches!(error, Error::BadFile { .. }) && error.to_string().contains("an answe"), "{error}");
    // What kind of archive it is shows a little later.
    let mut zip = b"PK\x03\x04".to_vec();
    zip.resize(300, 0);
    let error = file.import().feed(&zip).unwrap_err();
    assert!(
        matches!(error, Error::OtherFile { .. }) && error.to_string().contains("a ZIP archive"),
        "{error}"
    );
}

#[test]
fn a_changed_file_is_noticed_when_the_server_sends_it_from_the_beginning() {
    let (old, new) = (File::new(9, 40, 20_000), File::new(10, 40, 20_000));
    let mut rng = StdRng::seed_from_u64(9);
    let (mut shelf, mut import) = (Shelf::default(), old.import());
    feed(&mut import, &mut shelf, &old.bytes[..old.bytes.len() / 2], &mut rng).unwrap();
    let mut import = shelf.resume(&old);
    import.start_at(0, None).unwrap();
    let error = import.feed(&new.bytes[..5000]).unwrap_err();
    assert!(import.is_changed(), "{error}");
}

#[test]
fn a_header_that_is_most_of_the_file_is_read_byte_by_byte() {
    let file = File::new(11, 30, 1);
    let header = 8 + u64::from_le_bytes(file.bytes[..8].try_into().unwrap()) as usize;
    let (mut import, mut shelf) = (file.import(), Shelf::default());
    for byte in &file.bytes[..header] {
        import.feed(std::slice::from_ref(byte)).unwrap();
    }
    import.feed(&file.bytes[header..]).unwrap();
    shelf.drain(&mut import).unwrap();
    assert_eq!(import.finish().unwrap(), Finish::Complete);
    assert_holds(&shelf, &file);
}

/// Shuffled tensors of a real file: the bytes that wait are counted, and are those that were foreseen.
#[test]
fn what_waits_is_what_was_foreseen() {
    for seed in 0..3 {
        let file = File::shuffled(seed, 60, 20_000);
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut shelf, mut passes) = (Shelf::default(), 0);
        loop {
            passes += 1;
            let mut import = shelf.resume(&file);
            let missing = shelf.missing(&import);
            import.set_max_waiting_bytes(600_000, missing.clone());
            let offset = import.resume_offset();
            import.start_at(offset, None).unwrap();
            let mut most = 0;
            for piece in file.bytes[offset as usize..].chunks(rng.random_range(1000..9000)) {
                import.feed(piece).unwrap();
                shelf.drain(&mut import).unwrap();
                most = most.max(import.waiting_bytes());
            }
            let Parse::Done(header) = Header::parse("f", &file.bytes, file.bytes.len() as u64).unwrap()
            else {
                panic!("a cut header");
            };
            let (manifest, size) = (import.manifest().unwrap().clone(), import.chunk_bytes().unwrap());
            let map = ChunkMap::new(&manifest.slabs, size);
            let missing = if missing.is_empty() { vec![true; map.len()] } else { missing };
            let bound = if passes == 1 { u64::MAX } else { 600_000 };
            let foreseen = super::passes::next(&manifest, &header, &map, &missing, bound).waiting;
            assert!(most <= foreseen, "{most} waited, {foreseen} were foreseen");
            if import.finish().unwrap() != Finish::AnotherPass {
                break;
            }
        }
        assert!(passes < 20, "{passes}");
        assert_holds(&shelf, &file);
    }
}
