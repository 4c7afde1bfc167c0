//! Where packed models rest in the browser: chunks with checksums in IndexedDB, and the way of a file into them.
//!
//! [`Import`] is the heart: bytes of a model file in, in whatever slices the network delivers; whole [`FullChunk`]s
//! out. It skips what is stored already, so that an interrupted download goes on where it stopped, and takes no more of the
//! file at once than `passes` finds room for. Natively models
//! are read straight from their files, so only the browser has a database (`idb`).

#![deny(clippy::unwrap_used, clippy::expect_used)]

mod assembler;
mod chunks;
#[cfg(target_arch = "wasm32")]
pub mod idb;
mod import;
mod meter;
mod passes;
mod stored;
#[cfg(test)]
mod tests;

pub use assembler::FullChunk;
pub use chunks::{Chunk, ChunkMap, MAX_CHUNK_BYTES};
pub use import::{Expected, Finish, Import, Layout};
pub use meter::{Meter, Progress};
pub use stored::{Origin, State, StoredModel, content_range, format_ok};
