//! Small networks that change a model's weights: LoRA and LoCon, LoHa, LoKr, (IA)³, whole differences, and DoRA of the first
//! three.
//!
//! A [`LoraFile`] is read for the layers that it changes (`names`), each with what it is made of (`change`). [`Merged`] are
//! those that change one model, `W + weight · alpha / rank · change`, from the model's own values each time: while files are
//! packed, or record by record where a model lies packed already ([`Merging`]), by a device where it can ([`LowRank`]); what lies in
//! five or four bits then lies in a wider type, where there is room for it ([`Wider`]). What fits no layer is listed, and a file of
//! another family refused.

mod about;
mod change;
mod during;
mod file;
mod low_rank;
mod merged;
mod names;
mod packed;
mod strength;
mod wider;

pub use about::AboutLora;
pub use during::{During, Moment};
pub use file::LoraFile;
pub use low_rank::LowRank;
pub use merged::{Asked, Merged};
pub use packed::{Merging, Passing};
#[cfg(not(target_arch = "wasm32"))]
pub use strength::LoraOption;
pub use strength::Strength;
pub use wider::Wider;

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
    /// What a factor's product has between its two where it is of kernels: `[r, r, kh, kw]`.
    FirstMiddle,
    SecondMiddle,
    /// DoRA's: what the changed rows (or columns) are as long as.
    Magnitude,
    /// (IA)³'s: how much is added of each row, or of each column.
    Gate,
    /// Which of the two that is.
    Side,
}
