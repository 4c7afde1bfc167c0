//! Where packed models rest in the browser: chunks with checksums in IndexedDB, and the way of a file into them.
//!
//! [`Import`] is the heart: bytes of a model file in, in whatever slices the network delivers; whole [`FullChunk`]s
//! out. It skips what is stored already, so that an interrupted download goes on where it stopped, and its hash with it
//! (`trail`), and what waited in memory (`waiting`): a model is complete only when its bytes were checked from first to last. It
//! takes no more of the file at once than `passes` finds room for. Natively models are read straight from their files, so only the browser has a database
//! (`idb`).

#![deny(clippy::unwrap_used, clippy::expect_used)]

mod assembler;
mod chunks;
mod expected;
#[cfg(target_arch = "wasm32")]
pub mod idb;
mod import;
mod meter;
mod passes;
#[cfg(target_arch = "wasm32")]
mod pieces;
mod repacking;
mod stored;
#[cfg(test)]
mod tests;
mod trail;
mod waiting;

pub use assembler::FullChunk;
pub use chunks::{Chunk, ChunkMap, MAX_CHUNK_BYTES};
pub use expected::Expected;
pub use import::{Finish, Import, Layout};
pub use meter::{Meter, Progress};
#[cfg(target_arch = "wasm32")]
pub use pieces::{Pieces, Stored};
pub use repacking::Repacking;
pub use stored::{Held, Origin, State, StoredModel, content_range, format_ok, license_in};
pub use trail::Mark;
pub use waiting::{Begun, Waiting};
