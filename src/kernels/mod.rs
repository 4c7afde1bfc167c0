//! The WGSL kernels: one folder each, with its parameters, its dispatch size and its CPU twin.
//!
//! A kernel's folder holds `kernel.wgsl` (a template, see [`template`]), `mod.rs` (`Spec`: what it is specialised
//! for; `Params`: its uniform; `workgroups`: its dispatch size; `all_specs`: every specialisation that can occur)
//! and `cpu.rs` (the same in the plainest Rust, which tests hold it against).
//!
//! Bindings, all in group 0: 0 is the uniform `params`, then the inputs in order, last what is written.

pub mod add;
pub mod affine;
pub mod attention;
pub mod attention_map;
pub mod embed;
pub mod gemm;
pub mod gemm_sum;
mod grid;
pub mod group_norm;
pub mod layer_norm;
pub mod params;
pub mod pixel_shuffle;
pub mod prepare;
pub mod preview;
pub mod rgba;
pub mod step;
pub mod template;
mod types;
pub mod winograd;

pub use types::{BLOCK, Circular, Elem, WeightType};

/// Declares [`Kernel`] from the list of variants and their modules.
macro_rules! kernels {
    ($($variant:ident => $module:ident,)*) => {
        /// A kernel with its specialisation: the recipe of a compute pipeline and the key it is cached under.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Kernel {
            $($variant($module::Spec),)*
        }

        impl Kernel {
            /// The kernel's name, which is its folder's.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Kernel::$variant(_) => stringify!($module),)*
                }
            }

            /// The specialised WGSL; its entry point is [`Kernel::ENTRY_POINT`].
            pub fn source(&self) -> String {
                match self {
                    $(Kernel::$variant(spec) => spec.source(),)*
                }
            }

            /// The fields of the kernel's `Params` in order.
            pub fn fields(&self) -> &'static [params::Field] {
                match self {
                    $(Kernel::$variant(_) => $module::Params::FIELDS,)*
                }
            }

            /// Every kernel in every specialisation that can occur.
            pub fn all() -> Vec<Kernel> {
                let mut all = Vec::new();
                $(all.extend($module::all_specs().into_iter().map(Kernel::$variant));)*
                all
            }
        }

        $(impl From<$module::Spec> for Kernel {
            fn from(spec: $module::Spec) -> Self {
                Kernel::$variant(spec)
            }
        })*
    };
}

kernels! {
    Add => add,
    Affine => affine,
    Attention => attention,
    AttentionMap => attention_map,
    Embed => embed,
    Gemm => gemm,
    GemmSum => gemm_sum,
    GroupNorm => group_norm,
    LayerNorm => layer_norm,
    PixelShuffle => pixel_shuffle,
    Prepare => prepare,
    Preview => preview,
    Rgba => rgba,
    Step => step,
    Winograd => winograd,
}

impl Kernel {
    /// The entry point of every kernel.
    pub const ENTRY_POINT: &'static str = "main";

    /// Whether it needs the adapter's matrix units.
    pub fn uses_matrices(&self) -> bool {
        matches!(self, Kernel::Gemm(gemm::Spec { variant: gemm::Variant::Matrices(_), .. }))
    }

    /// How it computes what it computes, where there are several ways: for whoever reads measurements.
    pub fn variant(&self) -> String {
        match self {
            Kernel::Gemm(spec) => {
                let source = if spec.is_conv() { "conv" } else { "rows" };
                let cut = if spec.split { ", k cut" } else { "" };
                format!("{source}, {}{cut}", spec.variant)
            }
            Kernel::Attention(spec) => format!("{}, heads of {}", spec.variant, spec.head_dim),
            Kernel::GroupNorm(spec) => spec.pass.to_string(),
            Kernel::Winograd(spec) => spec.to_string(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
