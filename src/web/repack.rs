//! A stored model that another version of the engine packed, packed anew inside the store: nothing is fetched.

use super::browser::now_ms;
use super::download::Call;
use super::room::Room;
use super::values::Phase;
use crate::model::weight_decls;
use crate::store::idb::Database;
use crate::store::{Held, Meter, Repacking, StoredModel};
use crate::weights::Repack;
use crate::{Error, Result};

/// Records in a very scattered order need several passes; more than this is a mistake.
const MAX_PASSES: usize = 64;

/// Packs a model for this version of the engine. The old chunks stay until all new ones are there.
pub(super) async fn repack(
    call: &Call<'_>,
    database: &Database,
    old: &StoredModel,
) -> Result<Box<StoredModel>> {
    let [here, there] = StoredModel::places(&old.id);
    let place = if old.place == here { there } else { here };
    database.clear_place(&place).await?;
    let decls = weight_decls(&old.manifest.config);
    let mut missing = Vec::new();
    for _ in 0..MAX_PASSES {
        let repack = Repack::new(&old.manifest, &decls)?;
        check_room(old, repack.manifest().bytes()).await?;
        let mut pass = Repacking::new(old, repack, &place, &missing);
        one_pass(call, database, old, &mut pass).await?;
        let Some(still) = pass.missing() else {
            database.move_model(pass.model(), &old.place).await?;
            return Ok(Box::new(pass.model().clone()));
        };
        missing = still.to_vec();
    }
    let message = format!("its records lie so scattered that {MAX_PASSES} passes over them were not enough");
    Err(Error::BadFile { file: old.manifest.name.clone(), message })
}

async fn check_room(old: &StoredModel, needed: u64) -> Result<()> {
    match Room::estimate().await.free() {
        Some(free) if free < needed => Err(Error::Quota { model: old.manifest.name.clone(), needed, free }),
        _ => Ok(()),
    }
}

async fn one_pass(
    call: &Call<'_>,
    database: &Database,
    old: &StoredModel,
    pass: &mut Repacking,
) -> Result<()> {
    let map = old.chunk_map();
    let (held, _) = database.held(&old.place, map.len()).await?;
    let mut meter = Meter::new(old.manifest.bytes(), 0, now_ms());
    let mut bytes = Vec::new();
    while let Some(index) = pass.wanted() {
        call.check()?;
        let is_there = database.chunk(&old.place, index, &mut bytes).await?;
        let found = if is_there { crc32fast::hash(&bytes) } else { 0 };
        if held.get(index) != Some(&Held::Chunk(found)) {
            let model = old.manifest.name.clone();
            return Err(Error::DamagedChunk { model, chunk: index, expected: sum(&held, index), found });
        }
        pass.feed(index, &bytes)?;
        while let Some(chunk) = pass.next_chunk()? {
            database.put_chunk(&pass.model().place, &chunk, &[]).await?;
        }
        let reached = map.iter().take(index + 1).map(|(_, chunk)| chunk.len).sum();
        if let Some(report) = meter.update(reached, now_ms()) {
            call.report(Phase::Verify, &report, 0);
        }
    }
    Ok(())
}

/// The checksum that a chunk should have; 0 where none is known.
fn sum(held: &[Held], index: usize) -> u32 {
    match held.get(index) {
        Some(Held::Chunk(sum) | Held::Sum(sum)) => *sum,
        _ => 0,
    }
}
