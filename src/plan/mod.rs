//! A model as data: ops with static shapes, the memory they need, the dispatches they become.

mod weight;

pub use weight::{Part, WeightDecl, WeightKind};
