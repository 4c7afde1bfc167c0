//! The story, top to bottom: prompt in, picture out.

pub mod cpu;
