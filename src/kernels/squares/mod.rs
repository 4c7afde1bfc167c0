//! The sums of squares of all gradients, of which the host makes how long they are.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::template;

/// Sums that come out; the host adds them in f64.
pub const SUMS: u32 = 64;
/// Invocations of a workgroup.
const THREADS: u32 = 64;

/// What the shader is specialised for: nothing, all of it is f32.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Groups of four values.
        pub groups: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("squares", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, _params: &Params) -> [u32; 3] {
    [SUMS, 1, 1]
}

/// Which of the sums a group of four values is in.
fn sum_of(group: u32) -> u32 {
    group / THREADS % SUMS
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    vec![Spec {}]
}
