//! How a kernel's uniform parameters are declared: once in Rust, checked against the WGSL by a test.

/// One field of a `Params` struct: its name and its WGSL type.
pub type Field = (&'static str, &'static str);

/// Scalars that may stand in a `Params` struct: four bytes, so that Rust and WGSL agree on every offset.
pub trait Scalar: bytemuck::Pod {
    /// The type's name in WGSL.
    const WGSL: &'static str;
}

impl Scalar for u32 {
    const WGSL: &'static str = "u32";
}

impl Scalar for i32 {
    const WGSL: &'static str = "i32";
}

impl Scalar for f32 {
    const WGSL: &'static str = "f32";
}

/// Declares a kernel's `Params`: a plain `repr(C)` struct of four-byte scalars that knows its `FIELDS`.
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, ::bytemuck::Pod, ::bytemuck::Zeroable)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// Names and WGSL types in order; field i lies at byte 4 · i.
            pub const FIELDS: &'static [$crate::kernels::params::Field] = &[
                $((stringify!($field), <$type as $crate::kernels::params::Scalar>::WGSL),)*
            ];

            /// The bytes of the uniform.
            pub fn bytes(&self) -> &[u8] {
                ::bytemuck::bytes_of(self)
            }
        }
    };
}

pub(crate) use params;
