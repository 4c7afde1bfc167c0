//! The processor's executor of plans, as `gpu` is the device's: it interprets the same graphs, in f32.
//!
//! - [`Weights`]: a model's records in the layout of the product, its matrices as [`matrix`] and [`packed`] have them: unpacked, or,
//!   of a large model, as they are stored;
//! - [`Executable`]: a graph bound to them, its values given buffers for their lifetimes;
//! - [`Memory`]: those buffers, and what outlives a graph;
//! - [`gemm`]: the one product under linear layers, convolutions and attention, [`simd`]: its vectors;
//! - [`threads`]: the cores among which its rows are divided;
//! - [`convolution`]'s padded maps, [`enlarged`] ones and [`winograd`]'s tiles, [`attention`] and [`norm`]: the rest of what
//!   takes time. What does not is run by the kernels' own twins;
//! - `train`: the ops that learning needs.

mod attention;
mod convolution;
mod enlarged;
mod executable;
mod gemm;
mod lifetimes;
mod matrix;
mod memory;
mod norm;
mod ops;
mod packed;
mod simd;
pub(crate) mod threads;
#[cfg(feature = "train")]
mod train;
mod weights;
mod winograd;

pub use executable::Executable;
#[cfg(feature = "train")]
pub use lifetimes::kept_bytes;
pub use memory::Memory;
#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub use threads::crew;
pub use weights::Weights;

/// Multiplies a matrix of `rows` × `depth` ones with one of `depth` × `columns`, by the product that everything here is
/// made of; gives a function to be timed.
pub fn sample_product(rows: usize, depth: usize, columns: usize) -> impl Fn() {
    let (left, matrix) = (vec![1.0; rows * depth], matrix::Matrix::pack(depth, columns, |_, _| 1.0));
    move || {
        let mut out = vec![0.0; rows * columns];
        let lines = gemm::Lines { values: &left, width: depth, first: 0 };
        gemm::by_blocks(&mut out, columns, gemm::TILES, |first, block| {
            lines.multiply(first, &matrix, None, gemm::Onto::Nothing, block);
        });
        std::hint::black_box(&out);
    }
}
