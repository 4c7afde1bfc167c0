//! A stored model packed anew inside the store, because another version of the engine packed it or a smaller type is wanted:
//! nothing is fetched.

use super::browser::now_ms;
use super::download::Call;
use super::room::Room;
use super::shelf::decls_of;
use super::values::Phase;
use crate::plan::Types;
use crate::store::idb::{Database, Found};
use crate::store::{Held, Meter, Pieces, Repacking, State, StoredModel};
use crate::weights::{Bytes, Repack};
use crate::{Error, Result};

/// Packs a model for this version of the engine. The old chunks stay until all new ones are there.
pub(super) async fn repack(
    call: &Call<'_>,
    database: &Database,
    old: &StoredModel,
) -> Result<Box<StoredModel>> {
    let repack = Repack::new(&old.manifest, &decls_of(&old.id, &old.manifest.config))?;
    move_into(call, database, old, repack).await
}

/// Packs a stored model's matrices in smaller types. Its file is not what is stored any more, so its header is let go:
/// should a chunk be damaged, the file is fetched anew.
pub(super) async fn quantize(call: &Call<'_>, database: &Database, to: Types) -> Result<Box<StoredModel>> {
    let _turn = call.turn().await?;
    let id = &call.request.id;
    let Found::Model(old) = database.model(id).await? else { return Err(not_stored(id)) };
    if old.state != State::Complete {
        return Err(Error::InvalidInput { field: "model", message: format!("{id} is not whole") });
    }
    let repack = Repack::quantized(&old.manifest, &decls_of(&old.id, &old.manifest.config), to)?;
    move_into(call, database, &StoredModel { header: Vec::new(), ..*old }, repack).await
}

pub(super) fn not_stored(id: &str) -> Error {
    Error::InvalidInput { field: "model", message: format!("{id} is not stored") }
}

async fn move_into(
    call: &Call<'_>,
    database: &Database,
    old: &StoredModel,
    repack: Repack,
) -> Result<Box<StoredModel>> {
    let [here, there] = StoredModel::places(&old.id);
    let place = if old.place == here { there } else { here };
    database.clear_place(&place).await?;
    check_room(old, repack.manifest().bytes()).await?;
    let mut repacking = Repacking::new(old, repack, &place);
    fill(call, database, old, &mut repacking).await?;
    database.move_model(repacking.model(), &old.place).await?;
    Ok(Box::new(repacking.model().clone()))
}

async fn check_room(old: &StoredModel, needed: u64) -> Result<()> {
    match Room::estimate().await.free() {
        Some(free) if free < needed => Err(Error::Quota { model: old.manifest.name.clone(), needed, free }),
        _ => Ok(()),
    }
}

/// Every old chunk in, every new one into the database.
async fn fill(
    call: &Call<'_>,
    database: &Database,
    old: &StoredModel,
    repacking: &mut Repacking,
) -> Result<()> {
    let map = old.chunk_map();
    let (held, _) = database.held(&old.place, map.len()).await?;
    let mut meter = Meter::new(old.manifest.bytes(), 0, now_ms());
    let (mut pieces, mut taken) = (Pieces::default(), Vec::new());
    while let Some(index) = repacking.wanted() {
        call.check()?;
        taken.clear();
        let mut take = |bytes: Bytes<'_>| {
            let had = taken.len();
            taken.resize(had + bytes.len(), 0);
            bytes.copy_to(&mut taken[had..]);
            Ok(())
        };
        pieces.each(&database.chunk(&old.place, index)?.await?, &mut take).await?;
        let found = Bytes::from(&taken).sum();
        if held.get(index) != Some(&Held::Chunk(found)) {
            let model = old.manifest.name.clone();
            return Err(Error::DamagedChunk { model, chunk: index, expected: sum(&held, index), found });
        }
        repacking.feed(index, &taken)?;
        while let Some(chunk) = repacking.next_chunk()? {
            database.put_chunk(&repacking.model().place, &chunk, &[]).await?;
        }
        let reached = map.iter().take(index + 1).map(|(_, chunk)| chunk.len).sum();
        if let Some(report) = meter.update(reached, now_ms()) {
            call.report(Phase::Verify, &report, 0);
        }
    }
    repacking.finish()
}

/// The checksum that a chunk should have; 0 where none is known.
fn sum(held: &[Held], index: usize) -> u32 {
    match held.get(index) {
        Some(Held::Chunk(sum) | Held::Sum(sum)) => *sum,
        _ => 0,
    }
}
