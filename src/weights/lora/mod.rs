//! Small networks that change a model's weights: LoRA and LoCon, LoHa, LoKr, whole differences.
//!
//! A file is read for the layers that it changes ([`names`]), each with what it is made of ([`change`]); it is merged while
//! a model is packed, `W + weight · alpha / rank · change`, from the model's own values each time. What fits no layer is
//! listed, and a file of another family refused.

mod change;
mod names;
mod source;

pub use source::{LoraOption, Merged};

/// What a tensor is of a layer's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// `[r, I]` or `[r, I, kh, kw]`.
    Down,
    /// `[O, r]` or `[O, r, 1, 1]`.
    Up,
    /// `[r, r, kh, kw]`.
    Middle,
    /// A number: what the change is weighed with is it over the rank.
    Alpha,
    Difference,
    BiasDifference,
    /// LoHa's and LoKr's two factors, whole or as a product of two.
    First,
    FirstUp,
    FirstDown,
    Second,
    SecondUp,
    SecondDown,
}
