//! What computes, and how a model gets there. Each of the page's modules has one way: both files offer the same names.
//!
//! - `Device`: found once, asked what it can do, timed;
//! - `Loader`: a model whose weights are arriving;
//! - `Joiner`: a ControlNet whose weights are arriving beside it;
//! - `Backend`: a model that is ready to run.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

#[cfg(all(feature = "cpu", not(feature = "gpu")))]
pub(super) use cpu::{Backend, Device, Joiner, Loader};
#[cfg(all(feature = "gpu", not(feature = "cpu")))]
pub(super) use gpu::{Backend, Device, Joiner, Loader};

#[cfg(not(any(feature = "gpu", feature = "cpu")))]
compile_error!("a module of the page computes in one way: choose the feature gpu or the feature cpu");
#[cfg(all(feature = "gpu", feature = "cpu"))]
compile_error!("a module of the page computes in one way: leave out the feature gpu or the feature cpu");
