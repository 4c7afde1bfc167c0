//! The sum of two maps, the second by a factor: where what a control network makes meets the UNet, and what a dense block makes
//! what it began with.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// The second map has a factor for each image, which the host may change from run to run; 0 leaves it unread.
    pub scaled: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Groups of four values of the output.
        pub groups: u32,
        /// Of one image.
        pub image_groups: u32,
        /// Images of the second map: as many as there are, or one for all.
        pub images: u32,
        /// The first image's factor.
        pub first: u32,
        /// That of all, where images have none of their own.
        pub factor: f32,
    }
}

impl Params {
    /// Of `len` values in all, in so many images of the first map and of the second, by the factor 1 or those from the first on.
    pub fn new(len: u64, [images, others]: [usize; 2]) -> Params {
        let groups = len / 4;
        Params {
            groups: groups as u32,
            image_groups: (groups / images.max(1) as u64) as u32,
            images: others as u32,
            first: 0,
            factor: 1.0,
        }
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("add", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.groups.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let of = |elem| [false, true].map(|scaled| Spec { elem, scaled });
    Elem::ALL.into_iter().flat_map(of).collect()
}
