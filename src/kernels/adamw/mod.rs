//! AdamW (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101>) over everything that is learnt, and the end of its
//! gradients: a step takes them.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{grid, template};

/// What the shader is specialised for: nothing, all of it is f32.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// The first group of four values, and how many there are.
        pub first: u32,
        pub groups: u32,
        /// By what gradients are multiplied before anything else.
        pub share: f32,
        /// Of the running means of gradients and of their squares.
        pub beta1: f32,
        pub beta2: f32,
        /// The learning rate, divided by what the running mean still lacks: 1 − β₁ᵗ.
        pub rate: f32,
        /// 1 / (1 − β₂ᵗ)
        pub square_scale: f32,
        pub eps: f32,
        /// What is left of a value: 1 − rate · weight decay.
        pub kept: f32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("adamw", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.groups.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    vec![Spec {}]
}
