//! The end of a product whose K was cut: adds what the cuts summed, then the epilogue of [`gemm`](super::gemm).

pub mod cpu;

use serde::Serialize;

use super::gemm::Act;
use super::params::params;
use super::{Elem, gemm, grid, template};

/// Invocations of a workgroup, four columns each.
const THREADS: u32 = 64;

/// What the shader is specialised for: the epilogue, as in [`gemm::Spec`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    pub bias: bool,
    pub time: bool,
    pub residual: bool,
    pub accumulate: bool,
    pub act: Act,
    pub act_last: bool,
    pub geglu: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Output rows.
        pub m: u32,
        /// Columns of the sums, a multiple of 4.
        pub n: u32,
        /// How many sums there are for each value.
        pub cuts: u32,
        /// First column of this layer in the merged time projection.
        pub time_offset: u32,
        /// Which of the layer's columns is the first here, a multiple of 4.
        pub first_column: u32,
    }
}

impl Spec {
    /// What is left to do of `spec` when its cuts have been summed.
    pub fn of(spec: &gemm::Spec) -> Spec {
        Spec {
            elem: spec.elem,
            bias: spec.bias,
            time: spec.time,
            residual: spec.residual,
            accumulate: spec.accumulate,
            act: spec.act,
            act_last: spec.act_last,
            geglu: spec.geglu,
        }
    }

    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("gemm_sum", include_str!("kernel.wgsl"), self)
    }
}

impl Params {
    /// Those that belong to the parameters of the cuts.
    pub fn of(params: &gemm::Params) -> Params {
        let gemm::Params { m, n, k4, cut_k4, time_offset, first_column, .. } = *params;
        Params { m, n, cuts: k4.div_ceil(cut_k4), time_offset, first_column }
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.m * (params.n / 4)).div_ceil(THREADS))
}

/// Every specialisation that can occur: the epilogues of [`gemm::all_specs`].
pub fn all_specs() -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for spec in gemm::all_specs().iter().map(Spec::of) {
        if !specs.contains(&spec) {
            specs.push(spec);
        }
    }
    specs
}
