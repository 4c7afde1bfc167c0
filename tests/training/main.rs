//! Learning against PyTorch's autograd: gradients of every op on the way back, and whole runs of AdamW.

#[path = "../common/mod.rs"]
mod common;
#[path = "../left_out/mod.rs"]
mod left_out;
mod tiny;

mod gradients;
mod learning;
mod trainings;
