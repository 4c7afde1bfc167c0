//! Learning: a LoRA of a few pictures, after DreamBooth (Ruiz et al. 2022, <https://arxiv.org/abs/2208.12242>), or a word alone, by
//! textual inversion (Gal et al. 2022, <https://arxiv.org/abs/2208.01618>).
//!
//! - [`learner`]: a model with low-rank matrices beside its layers or a word of its own: gradients of one noised picture, and the
//!   step after some;
//! - `engine`: the same on the processor and on a device;
//! - [`optimizer`]: AdamW over all that is learnt;
//! - [`recipe`]: what is asked for, with its presets: which layers, how fast, how long;
//! - [`lesson`]: pictures, captions and noise in the order in which they are learnt from;
//! - `buckets`: the shapes that pictures may keep;
//! - [`file`]: the LoRA or the embedding that comes of it, as other programs read it, and what of it goes on another day.

mod buckets;
mod engine;
pub mod file;
pub mod learner;
pub mod lesson;
pub mod optimizer;
pub mod recipe;
mod training;

pub use engine::State;
pub use file::{Checkpoint, Origin};
pub use learner::{Asked, Learner, Noised, Takes, Text};
pub use lesson::{Example, Lesson};
pub use optimizer::AdamW;
pub use recipe::{Layers, Naming, Preset, Recipe, Schedule};
pub use training::{Kept, Picture, Step, Told, Training, class_pictures};
