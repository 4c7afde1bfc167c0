//! A stored model of other declarations, chunk by chunk into the layout that is read today.

use super::*;
use crate::weights::Repack;

#[test]
fn old_chunks_become_new_ones() {
    let file = File::new(30, 60, 20_000);
    let (mut shelf, mut import) = (Shelf::default(), file.import());
    feed(&mut import, &mut shelf, &file.bytes, &mut StdRng::seed_from_u64(30)).unwrap();
    let old = shelf.model.clone().unwrap();
    // Every tensor a record of its own, the last first.
    let parts = file.decls.iter().rev().flat_map(|decl| decl.parts.clone());
    let decls: Vec<WeightDecl> = parts
        .map(|part| WeightDecl {
            name: format!("{}.alone", part.name),
            kind: WeightKind::Vector { len: part.shape[0] },
            parts: vec![part],
        })
        .collect();
    assert!(!old.manifest.is_current(&decls));

    let mut new = Shelf::default();
    let repack = Repack::new(&old.manifest, &decls).unwrap();
    let mut repacking = Repacking::new(&old, repack, "elsewhere");
    new.chunks = vec![None; repacking.model().chunk_map().len()];
    new.model = Some(repacking.model().clone());
    assert!(repacking.finish().is_err(), "nothing has come");
    while let Some(index) = repacking.wanted() {
        repacking.feed(index, &shelf.chunks[index].as_ref().unwrap().bytes).unwrap();
        while let Some(chunk) = repacking.next_chunk().unwrap() {
            let place = &mut new.chunks[chunk.index];
            assert!(place.is_none(), "a chunk came twice");
            *place = Some(chunk);
        }
    }
    repacking.finish().unwrap();
    let model = new.model.as_ref().unwrap();
    assert!(model.manifest.is_current(&decls));
    assert_eq!(
        (model.place.as_str(), model.id.as_str(), model.state),
        ("elsewhere", "test", State::Complete)
    );
    assert_holds(&new, &file);
}
