//! What waits in memory is put by, so that an interruption costs a tensor, not all that the missing chunks are made of.

use super::*;

/// Fetches the file with so many interruptions; gives how many bytes came in all. What waits is put by at each of them, or only
/// where the import asks for it, as before a crash.
fn cut(file: &File, times: usize, is_crash: bool) -> usize {
    let mut rng = StdRng::seed_from_u64(times as u64);
    let (mut shelf, mut sent, size) = (Shelf::default(), 0, file.bytes.len());
    for cut in 1..=times + 1 {
        let mut import = shelf.resume(file);
        import.set_put_by_after(size as u64 / 50);
        let from = import.resume_offset() as usize;
        import.start_at(from as u64, None).unwrap();
        let end = (size * cut / (times + 1)).max(from);
        for slice in file.bytes[from..end].chunks(20_000) {
            feed(&mut import, &mut shelf, slice, &mut rng).unwrap();
            if import.should_put_by() {
                shelf.put_by(&mut import);
            }
        }
        if !is_crash {
            shelf.put_by(&mut import);
        }
        sent += end - from;
        if cut > times {
            assert_eq!(import.finish().unwrap(), Finish::Complete);
        }
    }
    assert_holds(&shelf, file);
    sent
}

#[test]
fn a_line_that_breaks_often_costs_a_tensor_or_two_each_time() {
    let file = scattered(31);
    let longest = 4 * 4 * 60_000;
    for times in [1, 10, 100] {
        let again = cut(&file, times, false) - file.bytes.len();
        assert!(again <= 2 * times * longest, "{times} cuts: {again} bytes again");
    }
    // Without what waits all comes again from the first tensor on that is missing: of this file, from the first.
    let mut shelf = Shelf::default();
    let mut import = file.import();
    let half = &file.bytes[..file.bytes.len() / 2];
    feed(&mut import, &mut shelf, half, &mut StdRng::seed_from_u64(1)).unwrap();
    shelf.put_by(&mut import);
    let waiting = shelf.waiting.take();
    assert!(shelf.resume(&file).resume_offset() < half.len() as u64 / 4);
    shelf.waiting = waiting;
    assert!(shelf.resume(&file).resume_offset() > half.len() as u64 * 3 / 4);
}

#[test]
fn a_crash_costs_what_came_since() {
    let file = scattered(32);
    let size = file.bytes.len();
    // Some fiftieths of the file, and four times what waits: about half of it.
    assert!(cut(&file, 3, true) < 3 * size);
    assert!(cut(&file, 3, true) > cut(&file, 3, false));
}

#[test]
fn what_waits_and_does_not_fit_is_left_out() {
    let file = scattered(33);
    let (mut shelf, mut import) = (Shelf::default(), file.import());
    let end = file.bytes.len() * 2 / 3;
    feed(&mut import, &mut shelf, &file.bytes[..end], &mut StdRng::seed_from_u64(2)).unwrap();
    shelf.put_by(&mut import);
    let right = shelf.waiting.clone().unwrap();
    assert!(!right.records.is_empty() && !right.open.is_empty());
    let fits = |waiting: Waiting<Vec<u8>>| {
        let mut shelf = Shelf { waiting: Some(waiting), ..shelf.clone() };
        let import = shelf.resume(&file);
        assert!(shelf.model.is_some(), "begun anew");
        import.resume_offset() > file.bytes.len() as u64 / 2
    };
    assert!(fits(right.clone()));
    let wrong: [fn(&mut Waiting<Vec<u8>>); 7] = [
        |waiting| waiting.chunks.truncate(1),
        |waiting| waiting.records[0].index = 1 << 20,
        |waiting| waiting.records[0].count = 0,
        |waiting| waiting.records[0].bytes.truncate(8),
        |waiting| waiting.open[0].index = 1 << 20,
        |waiting| waiting.open[0].count = 0,
        |waiting| waiting.open[0].bytes.truncate(8),
    ];
    for (index, change) in wrong.into_iter().enumerate() {
        let mut waiting = right.clone();
        change(&mut waiting);
        assert!(!fits(waiting), "{index}");
    }
}
