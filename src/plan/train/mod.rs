//! Graphs that learn: low-rank matrices beside the layers of a frozen network or vectors of a new word, and the way back from its loss
//! to them.
//!
//! - [`unfused`]: a network's graph with what its products do on the side as ops of their own, for the way back needs the
//!   values before an activation;
//! - [`joined`]: the networks that lie one behind the other as one graph;
//! - [`adapted`]: with low-rank matrices beside some layers (Hu et al. 2021, <https://arxiv.org/abs/2106.09685>);
//! - [`with_vectors`]: with vectors of a new word (textual inversion, Gal et al. 2022, <https://arxiv.org/abs/2208.01618>);
//! - [`backward`]: with its loss and the gradients of all that is learnt behind it;
//! - [`recomputed`]: the same in less memory, with parts that are computed once more on the way back.
//!
//! What comes out is a graph as any other: it can be printed, and values have places for as long as they are needed. The
//! processor runs it, and [`launch`] makes it dispatches for a device.

mod adapters;
mod backward;
mod joined;
pub mod launch;
mod ops;
mod recompute;
mod unfused;

pub use adapters::{Adapter, Learnt, adapted, with_vectors};
pub use backward::backward;
pub use joined::joined;
pub use ops::TrainOp;
pub use recompute::{count as parts, recomputed};
pub use unfused::unfused;

use super::graph::{ElemKind, Gemm, Graph, Node, Op, Shape, Value, ValueId};
use super::lower::Lowering;
use super::outside::Outside;
use crate::error::Error;

impl Graph {
    /// A new value.
    fn fresh(&mut self, shape: Shape, elem: ElemKind, external: Option<Outside>) -> ValueId {
        self.values.push(Value { shape, elem, external });
        ValueId(self.values.len() - 1)
    }

    /// Appends a node that writes a new value of a shape.
    fn append(&mut self, path: &str, op: Op, shape: Shape) -> ValueId {
        let output = self.fresh(shape, ElemKind::Activation, None);
        self.nodes.push(Node { path: path.to_string(), op, output });
        output
    }
}

/// Whether only a graph that learns has a node.
pub(super) fn learns(node: &Node) -> bool {
    matches!(node.op, Op::Train(_) | Op::Gemm(Gemm { transposed: true, .. }))
}

/// A value is larger than a binding: what learns is not taken apart into bands.
pub(super) fn too_large(l: &Lowering, node: &Node) -> Error {
    let message = format!(
        "{} is larger than the {} MiB that this adapter binds at once; learn from smaller pictures",
        node.path,
        l.target.limits.binding >> 20
    );
    Error::InvalidInput { field: "size", message }
}

/// What no gradient goes through.
fn not_trainable(path: &str, what: &str) -> Error {
    Error::Unsupported { what: format!("learning through {path}"), message: what.to_string() }
}
