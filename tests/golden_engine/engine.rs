//! A tiny model on the device, in one tier.

use std::path::Path;
use std::sync::OnceLock;

use opengen::Error;
use opengen::config::{ModelConfig, TaesdConfig};
use opengen::gpu::{Context, Options, Weights};
use opengen::kernels::WeightType;
use opengen::kernels::gemm::Variant;
use opengen::kernels::winograd::Tile;
use opengen::model;
use opengen::pipeline::stages::Stages;
use opengen::plan::{Cuts, MatrixProducts, Products, Tuning, Wide, Winograd};
use opengen::weights::{self, LayoutOptions, Manifest, ModelSource};
use pollster::block_on;

use crate::common::report::Report;
use crate::common::{self, model_folder, packed_taesd};
use crate::left_out;

/// How activations are held, and how close results must be.
pub struct Tier {
    pub name: &'static str,
    pub context: Context,
    pub tolerance: f64,
}

impl Tier {
    pub fn report(&self) -> Report {
        Report::new(self.tolerance)
    }
}

/// The tiers of the adapter. Without an adapter the test fails, unless `OPENGEN_SKIP_GPU=1` chose to leave it out.
pub fn tiers() -> &'static [Tier] {
    static TIERS: OnceLock<Vec<Tier>> = OnceLock::new();
    if left_out::by_choice() {
        left_out::wholly("OPENGEN_SKIP_GPU=1, the engine is not held against the golden references");
        return &[];
    }
    let tiers = TIERS.get_or_init(|| {
        let tier_with = |name, options: Options, tolerance| {
            Ok(Tier { name, context: block_on(Context::new(&options))?, tolerance })
        };
        let tier = |name, f16, tuning, tolerance| {
            tier_with(name, Options { f16: Some(f16), tuning, ..Options::default() }, tolerance)
        };
        let f32_tier = tier("f32", false, None, common::F32).unwrap_or_else(|error: Error| {
            panic!(
                "{error}. Install an adapter (Debian: mesa-vulkan-drivers has lavapipe), \
                 or set OPENGEN_SKIP_GPU=1 to leave these tests out knowingly"
            )
        });
        eprintln!("adapter: {}", f32_tier.context.capabilities().adapter);
        let mut tiers = vec![f32_tier];
        tiers.extend(tier("f16", true, None, common::F16));
        // Of what a GPU takes a software adapter compiles minutes for each: one stands for three.
        tiers.extend(tier("f16 as on a GPU", true, Some(SMALL_GPU), common::F16));
        if left_out::everything() {
            tiers.extend(tier("f32 as on a GPU", false, Some(SMALL_GPU), common::F32));
            let bare = Options {
                f16: Some(true),
                tuning: Some(SMALL_GPU),
                subgroups: Some(false),
                ..Options::default()
            };
            tiers.extend(tier_with("f16 as on a GPU without subgroups", bare, common::F16));
        }
        match tier("f16 as on a GPU with matrix units", true, Some(SMALL_MATRICES), common::F16) {
            // None here; but that they compute wrongly is no reason to leave them out.
            Err(Error::NoGpu { .. }) => {}
            found => tiers.push(found.expect("matrix units that pass their check")),
        }
        tiers
    });
    if tiers.iter().all(|tier| !tier.context.capabilities().f16) {
        left_out::partly("f16: this adapter has no shader-f16");
    }
    if tiers.iter().all(|tier| tier.context.target().tuning.matrices.is_none()) {
        left_out::partly("matrix units: this adapter has none that kernels could use");
    }
    tiers
}

/// Those of [`tiers`] that take what this adapter takes. Whole runs keep to them: they are made of what single stages show
/// in every tier, and take minutes each on a software adapter.
pub fn own_tiers() -> impl Iterator<Item = &'static Tier> {
    tiers().iter().filter(|tier| !tier.name.contains(AS_ON_A_GPU))
}

/// Those in which it is shown that a stage taken apart is the whole: all, or in `cargo xtask test` those that this adapter
/// takes by itself, for what is taken apart has nothing to do with how a product is computed.
pub fn tiers_for_parts() -> impl Iterator<Item = &'static Tier> {
    tiers().iter().filter(|tier| left_out::everything() || !tier.name.contains(AS_ON_A_GPU))
}

/// In the name of a tier that takes what a GPU takes.
const AS_ON_A_GPU: &str = "as on a GPU";

/// What a GPU takes, on whichever adapter there is; what it keeps for large shapes from small ones on, so that tiny models
/// come by every variant.
const SMALL_GPU: Tuning = Tuning {
    products: Products {
        wide: Some(Wide { tiles: 4, k: 0, variant: Variant::OUTER_WIDE }),
        cuts: Some(Cuts { workgroups: 8, k: 64, variant: Variant::OUTER }),
        ..Tuning::GPU.products
    },
    winograd: Some(Winograd {
        tiles: &[Tile::Four],
        variant: Variant::OUTER,
        flops_per_byte: 0,
        percent: u64::MAX,
        scratch: 1 << 16,
        weights: 1 << 17,
    }),
    ..Tuning::GPU
};

/// The same with matrix units, which tiny models fill even less.
const SMALL_MATRICES: Tuning = Tuning {
    matrices: Some(MatrixProducts {
        wide: Cuts { workgroups: 4, k: 128, variant: Variant::MATRICES_WIDE },
        long: 64,
        enough: 2,
        rest: Cuts { workgroups: 8, k: 64, variant: Variant::MATRICES },
        most: 10,
    }),
    ..SMALL_GPU
};

/// A model's packed weights in memory.
pub struct Packed {
    pub config: ModelConfig,
    pub manifest: Manifest,
    pub slabs: Vec<Vec<u8>>,
}

impl Packed {
    /// A tiny model; `matrix_type` quantizes what can be.
    pub fn open(model: &str, matrix_type: Option<WeightType>) -> Packed {
        Packed::of(&model_folder(model), matrix_type)
    }

    /// Any folder or file.
    pub fn of(path: &Path, matrix_type: Option<WeightType>) -> Packed {
        let source = ModelSource::open(path).expect("a model");
        let config = source.config().clone();
        let decls = model::weight_decls(&config);
        let (manifest, slabs) =
            weights::load(&source, &decls, LayoutOptions { matrix_type, ..LayoutOptions::default() })
                .expect("weights");
        Packed { config, manifest, slabs }
    }

    /// Multiplies a layer's weight and bias, which lie there as f32.
    pub fn scale(&mut self, layer: &str, factor: f32) {
        for name in [layer.to_string(), format!("{layer}.bias")] {
            let record = self.manifest.record(&name).unwrap_or_else(|| panic!("no weight {name}"));
            assert_eq!(record.weight_type, WeightType::F32, "{name}");
            let (from, len) = (record.values.offset as usize, record.values.len as usize);
            for word in self.slabs[record.slab][from..from + len].chunks_exact_mut(4) {
                let value = f32::from_le_bytes(word.try_into().expect("four bytes"));
                word.copy_from_slice(&(value * factor).to_le_bytes());
            }
        }
    }

    pub fn upload(&self, context: &Context) -> Weights {
        upload(context, &self.manifest, &self.slabs)
    }
}

fn upload(context: &Context, manifest: &Manifest, slabs: &[Vec<u8>]) -> Weights {
    let weights = Weights::new(context, manifest);
    for (slab, bytes) in slabs.iter().enumerate() {
        weights.write(slab, 0, &bytes.into()).expect("weights written");
    }
    weights
}

/// A model on the device of a tier, ready for single stages.
pub struct Engine<'a> {
    pub tier: &'a Tier,
    pub config: ModelConfig,
    weights: Weights,
}

impl<'a> Engine<'a> {
    pub fn new(tier: &'a Tier, packed: &Packed) -> Engine<'a> {
        Engine { tier, config: packed.config.clone(), weights: packed.upload(&tier.context) }
    }

    pub fn stages(&self) -> Stages<'_> {
        Stages::on_gpu(&self.tier.context, &self.weights)
    }
}

/// The tiny autoencoder on the device of a tier.
pub struct Taesd<'a> {
    pub config: TaesdConfig,
    pub tier: &'a Tier,
    weights: Weights,
}

impl<'a> Taesd<'a> {
    pub fn new(tier: &'a Tier) -> Taesd<'a> {
        let (config, manifest, slabs) = packed_taesd();
        Taesd { config, tier, weights: upload(&tier.context, &manifest, &slabs) }
    }

    pub fn stages(&self) -> Stages<'_> {
        Stages::on_gpu(&self.tier.context, &self.weights)
    }
}
