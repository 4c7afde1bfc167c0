//! The WGSL kernels: one folder each, with its parameters, its dispatch size and its CPU twin.
//!
//! A kernel's folder holds `kernel.wgsl` (a template, see [`template`]), `mod.rs` (`Spec`: what it is specialised
//! for; `Params`: its uniform; `workgroups`: its dispatch size; `all_specs`: every specialisation that can occur)
//! and `cpu.rs` (the same in the plainest Rust, which tests hold it against).
//!
//! Bindings, all in group 0: 0 is the uniform `params`, then the inputs in order, last what is written.

#[cfg(feature = "train")]
pub mod activation;
#[cfg(feature = "train")]
pub mod adamw;
pub mod add;
pub mod affine;
pub mod attention;
#[cfg(feature = "train")]
pub mod attention_grad;
pub mod attention_map;
pub(crate) mod blocks;
#[cfg(feature = "train")]
pub mod difference;
pub mod embed;
#[cfg(feature = "train")]
pub mod embed_grad;
pub mod gemm;
pub mod gemm_sum;
mod grid;
pub mod group_norm;
#[cfg(feature = "train")]
pub mod group_norm_grad;
pub mod layer_norm;
#[cfg(feature = "train")]
pub mod layer_norm_grad;
pub mod low_rank_merge;
#[cfg(feature = "train")]
pub mod low_rank_sum;
pub mod params;
pub mod pixel_shuffle;
pub mod prepare;
pub mod preview;
#[cfg(feature = "train")]
pub mod resample;
pub mod rgba;
#[cfg(feature = "train")]
pub mod squares;
pub mod step;
pub mod template;
mod types;
pub mod winograd;

pub use types::{BLOCK, Circular, Elem, WeightType};

/// Declares [`Kernel`] from the list of variants and their modules.
macro_rules! kernels {
    ($($(#[$meta:meta])? $variant:ident => $module:ident,)*) => {
        /// A kernel with its specialisation: the recipe of a compute pipeline and the key it is cached under.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Kernel {
            $($(#[$meta])? $variant($module::Spec),)*
        }

        impl Kernel {
            /// The kernel's name, which is its folder's.
            pub fn name(&self) -> &'static str {
                match self {
                    $($(#[$meta])? Kernel::$variant(_) => stringify!($module),)*
                }
            }

            /// The specialised WGSL; its entry point is [`Kernel::ENTRY_POINT`].
            pub fn source(&self) -> String {
                match self {
                    $($(#[$meta])? Kernel::$variant(spec) => spec.source(),)*
                }
            }

            /// The fields of the kernel's `Params` in order.
            pub fn fields(&self) -> &'static [params::Field] {
                match self {
                    $($(#[$meta])? Kernel::$variant(_) => $module::Params::FIELDS,)*
                }
            }

            /// Every kernel in every specialisation that can occur.
            pub fn all() -> Vec<Kernel> {
                let mut all = Vec::new();
                $($(#[$meta])? all.extend($module::all_specs().into_iter().map(Kernel::$variant));)*
                all
            }
        }

        $($(#[$meta])? impl From<$module::Spec> for Kernel {
            fn from(spec: $module::Spec) -> Self {
                Kernel::$variant(spec)
            }
        })*
    };
}

kernels! {
    #[cfg(feature = "train")]
    Activation => activation,
    #[cfg(feature = "train")]
    AdamW => adamw,
    Add => add,
    Affine => affine,
    Attention => attention,
    #[cfg(feature = "train")]
    AttentionGrad => attention_grad,
    AttentionMap => attention_map,
    #[cfg(feature = "train")]
    Difference => difference,
    Embed => embed,
    #[cfg(feature = "train")]
    EmbedGrad => embed_grad,
    Gemm => gemm,
    GemmSum => gemm_sum,
    GroupNorm => group_norm,
    #[cfg(feature = "train")]
    GroupNormGrad => group_norm_grad,
    LayerNorm => layer_norm,
    #[cfg(feature = "train")]
    LayerNormGrad => layer_norm_grad,
    LowRankMerge => low_rank_merge,
    #[cfg(feature = "train")]
    LowRankSum => low_rank_sum,
    PixelShuffle => pixel_shuffle,
    Prepare => prepare,
    Preview => preview,
    #[cfg(feature = "train")]
    Resample => resample,
    Rgba => rgba,
    #[cfg(feature = "train")]
    Squares => squares,
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
                let back = if spec.transposed { ", back" } else { "" };
                format!("{source}, {}{cut}{back}", spec.variant)
            }
            Kernel::Attention(spec) => format!("{}, heads of {}", spec.variant, spec.head_dim),
            Kernel::GroupNorm(spec) => spec.pass.to_string(),
            Kernel::Winograd(spec) => spec.to_string(),
            #[cfg(feature = "train")]
            Kernel::AttentionGrad(spec) => format!("{:?}, heads of {}", spec.pass, spec.head_dim),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
