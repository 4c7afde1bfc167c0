//! Weight files: their headers, names and number types, and their packing into what the kernels read.
//!
//! The way of a tensor: [`Header::parse`] reads what a file claims, without its data; [`recognise()`] says of which model,
//! by [`marks`] and metadata, names before types; [`layout`] decides from the header alone where every packed record goes,
//! or reports everything that is missing, extra or mis-shaped at once; [`Packer`] then takes tensors one at a time, in file
//! order, and hands out finished records. [`unpack`] is the inverse, and [`Repack`] both, for a model that another version
//! of the engine packed. [`Placement`] divides a packed model by [`Component`], for a device. Natively
//! [`ModelSource`] opens folders and files, and [`quantize_folder`] writes GGUFs. A checkpoint in one file, which says nothing
//! of itself, gets its names and its configuration in [`single`]; a network that enlarges pictures is read by
//! [`UpscalerFile`], an embedding by [`read_embedding`].

mod blocks;
mod bytes;
mod clip;
mod component;
mod control;
mod convert;
mod crc;
mod decode;
mod embedding;
mod finite;
mod folder;
mod gguf;
mod header;
mod joined;
mod k_quants;
mod license;
mod lora;
pub mod marks;
mod names;
mod pack;
pub mod packed;
mod recognise;
mod repack;
mod safetensors;
mod single;
mod tokenizer;
mod types;
mod unpack;
mod upscaler;

#[cfg(not(target_arch = "wasm32"))]
mod disk;
#[cfg(not(target_arch = "wasm32"))]
mod gguf_write;
#[cfg(not(target_arch = "wasm32"))]
mod quantize;
#[cfg(not(target_arch = "wasm32"))]
mod source;
#[cfg(not(target_arch = "wasm32"))]
mod split;

pub use blocks::{Rounding, RowShape, encode as encode_rows};
pub use bytes::{Bytes, Elsewhere};
pub use component::{Component, Components, Piece, Placement, Sizes};
pub use control::{control_layout, control_of, is_control};
pub use embedding::{MAX_EMBEDDING, MAX_VECTORS, read_embedding};
pub use header::{Header, OtherTensor, Parse, TensorInfo};
pub use joined::{AutoencoderFiles, Gathered, Given, Joined, autoencoder_in, joined};
pub use license::License;
pub use lora::{
    AboutLora, Asked, During, LoraFile, LowRank, Merged, Merging, Moment, Passing, Strength, Wider,
};
pub use names::canonical;
pub use pack::{PackedBytes, Packer, Sink};
pub use packed::{
    LayoutOptions, MAX_SLAB, Manifest, PACKED_FORMAT, PackedRecord, Packing, READABLE_FORMATS, Source, Span,
    layout, layout_with,
};
pub use recognise::{Family, Hints, Recognised, Unused, recognise, unused, without_tokenizer};
pub use repack::Repack;
pub use single::infer::FoundAutoencoder;
pub use types::{KEPT, SourceType, kept_as};
pub use unpack::{PackedRows, Unpacked, unpack, vector};
pub use upscaler::{PackedUpscaler, UpscalerFile};

#[cfg(not(target_arch = "wasm32"))]
pub use control::{ControlPart, ControlSource};
#[cfg(not(target_arch = "wasm32"))]
pub use lora::LoraOption;
#[cfg(not(target_arch = "wasm32"))]
pub use quantize::{Summary, quantize_folder, quantize_source};
#[cfg(not(target_arch = "wasm32"))]
pub use source::{ModelSource, OpenOptions, load, stream, stream_of};
#[cfg(not(target_arch = "wasm32"))]
pub use split::{INDEX, SplitIndex, SplitPart, split};

#[cfg(test)]
mod tests;
