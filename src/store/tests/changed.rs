//! A file that is another one when the download goes on, and one whose length nobody says.

use super::*;

/// The same file with another value in every tensor from byte `from` on: what a server has after a new upload.
fn replaced(file: &File, from: usize) -> Vec<u8> {
    let mut bytes = file.bytes.clone();
    bytes[from..].iter_mut().step_by(16).for_each(|byte| *byte ^= 1);
    bytes
}

fn header_end(file: &File) -> usize {
    8 + u64::from_le_bytes(file.bytes[..8].try_into().unwrap()) as usize
}

fn unhashed(file: &File) -> Expected {
    Expected { sha256: None, ..file.expected() }
}

/// A shelf with what of the first `to` bytes could be kept.
fn half(file: &File, to: usize) -> Shelf {
    let (mut shelf, mut import) = (Shelf::default(), file.import());
    feed(&mut import, &mut shelf, &file.bytes[..to], &mut StdRng::seed_from_u64(20)).unwrap();
    assert!(shelf.chunks.iter().any(Option::is_some) && shelf.chunks.iter().any(Option::is_none));
    shelf
}

fn resumed(file: &File, shelf: &Shelf, expected: Expected) -> Import {
    let model = shelf.model.as_ref().unwrap();
    Import::resume(expected, file.layout(), model, &shelf.held(), &shelf.marks, None).unwrap().unwrap()
}

/// Goes on with `bytes` as the file: how that ended, and whether it was said to be another file.
fn go_on(mut import: Import, shelf: &mut Shelf, bytes: &[u8]) -> (Result<Finish>, bool) {
    let offset = import.resume_offset();
    assert!(offset > 0);
    import.start_at(offset, None).unwrap();
    assert!(import.will_compare());
    let fed = feed(&mut import, shelf, &bytes[offset as usize..], &mut StdRng::seed_from_u64(21));
    let changed = import.is_changed();
    (fed.and_then(|()| import.finish()), changed)
}

#[test]
fn the_hash_goes_on_where_the_download_does() {
    let file = File::new(20, 60, 20_000);
    let to = file.bytes.len() * 2 / 3;
    let shelf = half(&file, to);
    let (finish, _) = go_on(resumed(&file, &shelf, file.expected()), &mut shelf.clone(), &file.bytes);
    assert_eq!(finish.unwrap(), Finish::Complete);
    // One bit of the very last value: nothing but the hash can tell.
    let mut other = file.bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    let (finish, _) = go_on(resumed(&file, &shelf, file.expected()), &mut shelf.clone(), &other);
    assert_eq!(finish.unwrap(), Finish::Changed);
}

#[test]
fn halves_of_two_files_are_never_put_together() {
    let file = File::new(21, 60, 20_000);
    let other = replaced(&file, header_end(&file));
    let shelf = half(&file, file.bytes.len() * 2 / 3);
    for expected in [file.expected(), unhashed(&file)] {
        let (finish, changed) = go_on(resumed(&file, &shelf, expected), &mut shelf.clone(), &other);
        let error = finish.unwrap_err();
        assert!(changed && matches!(error, Error::Network { .. }), "{error}");
        assert!(error.to_string().contains("model.safetensors has changed"), "{error}");
    }
    // A server that ignores the range sends the other file from its beginning, with the same header.
    let mut import = resumed(&file, &shelf, unhashed(&file));
    import.start_at(0, None).unwrap();
    assert!(import.will_compare());
    assert!(feed(&mut import, &mut shelf.clone(), &other, &mut StdRng::seed_from_u64(22)).is_err());
    assert!(import.is_changed());
}

#[test]
fn wherever_it_is_cut_something_is_seen_twice() {
    let file = File::new(22, 60, 20_000);
    let (mut shelf, mut import) = (Shelf::default(), file.import());
    let mut seen = Vec::new();
    let mut cuts = 0;
    for slice in file.bytes.chunks(5000) {
        import.feed(slice).unwrap();
        shelf.drain(&mut import).unwrap();
        if shelf.marks == seen {
            continue;
        }
        seen = shelf.marks.clone();
        let mut again = resumed(&file, &shelf, unhashed(&file));
        let offset = again.resume_offset();
        assert!(offset < file.bytes.len() as u64);
        again.start_at(offset, None).unwrap();
        assert!(again.will_compare(), "at {offset}");
        cuts += 1;
    }
    assert!(cuts > 10);
}

#[test]
fn chunks_without_a_hash_to_go_on_with_are_not_trusted() {
    let file = File::new(23, 60, 20_000);
    let shelf = half(&file, file.bytes.len() / 2);
    let model = shelf.model.as_ref().unwrap();
    let begun = Import::resume(file.expected(), file.layout(), model, &shelf.held(), &[], None).unwrap();
    assert!(begun.is_none());
}

#[test]
fn a_damaged_chunk_is_replaced_by_the_same_bytes_only() {
    let file = File::new(24, 60, 20_000);
    let (mut shelf, mut import) = (Shelf::default(), file.import());
    feed(&mut import, &mut shelf, &file.bytes, &mut StdRng::seed_from_u64(24)).unwrap();
    let middle = shelf.chunks.len() / 2;
    shelf.lose(middle);
    let other = replaced(&file, header_end(&file));
    let (finish, changed) = go_on(resumed(&file, &shelf, unhashed(&file)), &mut shelf.clone(), &other);
    assert!(changed && finish.is_err());
    let (finish, changed) = go_on(resumed(&file, &shelf, unhashed(&file)), &mut shelf, &file.bytes);
    assert_eq!((finish.unwrap(), changed), (Finish::Complete, false));
    assert_holds(&shelf, &file);
}

#[test]
fn a_file_of_unknown_length_ends_where_its_header_says() {
    let file = File::new(25, 60, 20_000);
    let expected = || Expected { bytes: None, ..unhashed(&file) };
    let begin = || Import::new(expected(), file.layout());
    let whole = file.bytes.len() as u64;
    let mut rng = StdRng::seed_from_u64(25);

    let (mut shelf, mut import) = (Shelf::default(), begin());
    assert_eq!(import.total(), None);
    feed(&mut import, &mut shelf, &file.bytes, &mut rng).unwrap();
    assert_eq!(import.total(), Some(whole));
    let error = import.feed(b"x").unwrap_err();
    assert!(error.to_string().contains(&format!("longer than the expected {whole} bytes")), "{error}");
    assert_holds(&shelf, &file);

    let (mut shelf, mut import) = (Shelf::default(), begin());
    let cut = file.bytes.len() * 2 / 3;
    feed(&mut import, &mut shelf, &file.bytes[..cut], &mut rng).unwrap();
    let error = import.finish().unwrap_err();
    assert!(matches!(error, Error::Network { retryable: true, .. }), "{error}");
    assert!(error.to_string().contains(&format!("{cut} of {whole} bytes")), "{error}");
    let (finish, _) = go_on(resumed(&file, &shelf, expected()), &mut shelf, &file.bytes);
    assert_eq!(finish.unwrap(), Finish::Complete);
    assert_holds(&shelf, &file);
}
