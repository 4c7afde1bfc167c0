//! Which variant of a kernel computes what: plain data, by class of shapes and kind of adapter.

use std::fmt;

use crate::kernels::gemm::Variant;
use crate::kernels::winograd::Tile;

/// What plans choose variants by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuning {
    pub name: &'static str,
    /// Norms and attention keep out of workgroup memory and barriers, which cost a CPU more than they save.
    pub cpu: bool,
    pub products: Products,
    /// Which convolutions are computed in fewer multiplications.
    pub winograd: Option<Winograd>,
    /// What of the products goes to the adapter's matrix units, with f16 activations.
    pub matrices: Option<MatrixProducts>,
}

/// How linear layers and convolutions are computed, by the shape `m × n × k` of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Products {
    /// Up to [`Products::VECTORS`] rows.
    pub vectors: Variant,
    /// Up to [`Products::THIN`] rows.
    pub thin: Variant,
    pub wide: Option<Wide>,
    pub cuts: Option<Cuts>,
    /// Everything else.
    pub rest: Variant,
}

/// Where 3×3 convolutions are computed by minimal filtering: where multiplications and bytes together cost less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winograd {
    pub tiles: &'static [Tile],
    /// Of the products between the transforms.
    pub variant: Variant,
    /// How many operations take as long as a byte that is written or read.
    pub flops_per_byte: u64,
    /// What all of it may cost in percent of the convolution's own operations.
    pub percent: u64,
    /// Bytes of transformed inputs at once, and of sums: more tiles are taken in bands.
    pub scratch: u64,
    /// Bytes of transformed weights at once: more columns are taken one after the other.
    pub weights: u64,
}

/// How products are computed by matrix units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatrixProducts {
    /// Long sums, where its tiles or their cuts make workgroups enough.
    pub wide: Cuts,
    /// From so long sums on.
    pub long: u64,
    /// From so many workgroups on.
    pub enough: u64,
    /// Everything else that has rows for a tile.
    pub rest: Cuts,
    /// The most cuts of one sum.
    pub most: u64,
}

/// Many and long sums, their columns whole tiles of the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wide {
    /// From so many tiles of 64 × 64 on.
    pub tiles: u64,
    /// From so long sums on.
    pub k: u64,
    pub variant: Variant,
}

/// Few tiles: K is cut, so that there is work for all of the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cuts {
    /// How many workgroups there are at most, where K is cut.
    pub workgroups: u64,
    /// How much of K a cut has at least.
    pub k: u64,
    pub variant: Variant,
}

impl Tuning {
    /// For adapters that are programs on a CPU (lavapipe, SwiftShader): everything in registers.
    pub const CPU: Tuning = Tuning {
        name: "cpu",
        cpu: true,
        products: Products {
            vectors: Variant::VECTOR,
            thin: Variant::REGISTERS,
            wide: None,
            cuts: None,
            rest: Variant::REGISTERS,
        },
        winograd: None,
        matrices: None,
    };
    /// For GPUs. Measured on an NVIDIA H200; on others unmeasured.
    pub const GPU: Tuning = Tuning {
        name: "gpu",
        cpu: false,
        products: Products {
            vectors: Variant::VECTOR,
            thin: Variant::REGISTERS,
            wide: Some(Wide { tiles: 2000, k: 1024, variant: Variant::OUTER_WIDE }),
            cuts: Some(Cuts { workgroups: 640, k: 128, variant: Variant::OUTER }),
            rest: Variant::OUTER,
        },
        winograd: Some(Winograd {
            tiles: &Tile::ALL,
            variant: Variant::OUTER,
            flops_per_byte: 20,
            percent: 90,
            scratch: 34 << 20,
            weights: 24 << 20,
        }),
        matrices: None,
    };
    /// For GPUs whose matrix units shaders can use: products by them, everything else as on any GPU. By what single products
    /// took on an NVIDIA H200; on others unmeasured.
    pub const MATRICES: Tuning = Tuning {
        name: "matrices",
        matrices: Some(MatrixProducts {
            wide: Cuts { workgroups: 240, k: 384, variant: Variant::MATRICES_WIDE },
            long: 640,
            enough: 100,
            rest: Cuts { workgroups: 240, k: 192, variant: Variant::MATRICES },
            most: 10,
        }),
        ..Tuning::GPU
    };
    /// What GPUs had before outer products: to compare with.
    pub const TILED: Tuning = Tuning {
        name: "tiled",
        cpu: false,
        products: Products {
            vectors: Variant::VECTOR,
            thin: Variant::REGISTERS,
            wide: None,
            cuts: None,
            rest: Variant::Tiled,
        },
        winograd: None,
        matrices: None,
    };
    /// All that can be asked for by name.
    pub const ALL: [Tuning; 4] = [Tuning::CPU, Tuning::GPU, Tuning::MATRICES, Tuning::TILED];

    /// The default of a kind of adapter.
    pub fn of(cpu: bool) -> Tuning {
        if cpu { Tuning::CPU } else { Tuning::GPU }
    }
}

impl Products {
    /// The most rows that count as vectors.
    pub const VECTORS: u64 = 3;
    /// The most rows that fill no tile.
    pub const THIN: u64 = 15;

    /// One variant for every shape.
    pub fn all(variant: Variant) -> Products {
        Products { vectors: variant, thin: variant, wide: None, cuts: None, rest: variant }
    }

    /// The variant for a product, and into how many parts its K is cut.
    pub fn choose(&self, [m, n, k]: [u64; 3]) -> (Variant, u64) {
        if m <= Products::THIN {
            return (if m <= Products::VECTORS { self.vectors } else { self.thin }, 1);
        }
        let tiles = m.div_ceil(64) * n.div_ceil(64);
        if let Some(wide) = self.wide
            && tiles >= wide.tiles
            && k >= wide.k
            && n.is_multiple_of(u64::from(wide.variant.tile()[1]))
        {
            return (wide.variant, 1);
        }
        let count = self.cuts.map_or(1, |cuts| (cuts.workgroups / tiles).min(k / cuts.k));
        match self.cuts {
            Some(cuts) if count > 1 => (cuts.variant, count),
            _ => (self.rest, 1),
        }
    }
}

impl MatrixProducts {
    /// One variant for every shape, its K in so many cuts.
    pub fn all(variant: Variant, cuts: u64) -> MatrixProducts {
        let all = Cuts { workgroups: u64::MAX, k: 1, variant };
        MatrixProducts { wide: all, long: 0, enough: 0, rest: all, most: cuts }
    }

    /// The variants that it takes.
    pub fn variants(&self) -> [Variant; 2] {
        [self.wide.variant, self.rest.variant]
    }

    /// The variant for a product, of those that can compute it, and into how many parts its K is cut; none for few rows.
    pub fn choose(&self, [m, n, k]: [u64; 3], fits: impl Fn(Variant) -> bool) -> Option<(Variant, u64)> {
        let workgroups = |cuts: Cuts| {
            let [rows, columns] = cuts.variant.tile().map(u64::from);
            let tiles = m.div_ceil(rows) * n.div_ceil(columns);
            let count = (cuts.workgroups / tiles).min(k / cuts.k).clamp(1, self.most);
            (tiles * count, (cuts.variant, count))
        };
        let (count, wide) = workgroups(self.wide);
        if m <= Products::THIN {
            None
        } else if k >= self.long && count >= self.enough && fits(wide.0) {
            Some(wide)
        } else {
            Some(workgroups(self.rest).1).filter(|(variant, _)| fits(*variant))
        }
    }
}

impl fmt::Display for Tuning {
    /// A line per class of shapes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Products { vectors, thin, wide, cuts, rest } = self.products;
        writeln!(f, "tuning {}", self.name)?;
        let mut line = |class: String, how: String| writeln!(f, "      {class:<56} {how}");
        if let Some(Winograd { tiles, variant, flops_per_byte, percent, scratch, weights }) = self.winograd {
            let sides: Vec<String> = tiles.iter().map(|t| format!("{s}x{s}", s = t.outputs())).collect();
            let class = format!("3x3, where with {flops_per_byte} operations a byte it is {percent} %");
            let [scratch, weights] = [scratch, weights].map(|bytes| bytes >> 20);
            let how = format!(
                "winograd {}, {variant}, {scratch} MiB at once, of weights {weights}",
                sides.join(" or ")
            );
            line(class, how)?;
        }
        if let Some(MatrixProducts { wide, long, enough, rest, most }) = self.matrices {
            let cut = |Cuts { workgroups, k, variant }| {
                format!(
                    "{variant}, k in up to {most} cuts for {workgroups} workgroups at most, each {k} at least"
                )
            };
            line(format!("in f16, from k {long} and {enough} workgroups on"), cut(wide))?;
            line(format!("in f16, channels in 32s, from {} rows on", Products::THIN + 1), cut(rest))?;
        }
        line(format!("products of up to {} rows", Products::VECTORS), vectors.to_string())?;
        line(format!("products of up to {} rows", Products::THIN), thin.to_string())?;
        if let Some(Wide { tiles, k, variant }) = wide {
            let columns = variant.tile()[1];
            let class = format!("from {tiles} tiles and k {k} on, columns in {columns}s");
            line(class, variant.to_string())?;
        }
        if let Some(Cuts { workgroups, k, variant }) = cuts {
            let how = format!("{variant}, k cut for {workgroups} workgroups at most, each {k} at least");
            line(format!("up to {} tiles, from k {} on", workgroups / 2, 2 * k), how)?;
        }
        line("all other products".to_string(), rest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_cuts_long_sums_of_few_tiles_and_takes_wide_tiles_where_there_are_many() {
        let choose = |shape| Tuning::GPU.products.choose(shape);
        assert_eq!(choose([2, 1280, 320]), (Variant::VECTOR, 1));
        assert_eq!(choose([8, 1280, 320]), (Variant::REGISTERS, 1));
        assert_eq!(choose([8192, 320, 2880]), (Variant::OUTER, 1));
        assert_eq!(choose([2048, 640, 5760]), (Variant::OUTER, 2));
        assert_eq!(choose([512, 1280, 11520]), (Variant::OUTER, 4));
        assert_eq!(choose([128, 1280, 11520]), (Variant::OUTER, 16));
        assert_eq!(choose([128, 1280, 1280]), (Variant::OUTER, 10));
        assert_eq!(choose([128, 64, 96]), (Variant::OUTER, 1));
        assert_eq!(choose([262_144, 128, 1152]), (Variant::OUTER_WIDE, 1));
        assert_eq!(choose([8192, 2560, 320]), (Variant::OUTER, 1));
    }

    /// The shapes that were measured, each with what was fastest or within a tenth of it.
    #[test]
    fn matrix_units_take_wide_tiles_of_long_sums_and_cut_them_where_there_are_few() {
        let choose = |shape| Tuning::MATRICES.matrices.unwrap().choose(shape, |_| true).unwrap();
        assert_eq!(choose([65_536, 256, 2304]), (Variant::MATRICES_WIDE, 1));
        assert_eq!(choose([8192, 320, 2880]), (Variant::MATRICES_WIDE, 1));
        assert_eq!(choose([8192, 320, 1280]), (Variant::MATRICES_WIDE, 1));
        assert_eq!(choose([2048, 5120, 640]), (Variant::MATRICES_WIDE, 1));
        assert_eq!(choose([2048, 640, 5760]), (Variant::MATRICES_WIDE, 3));
        assert_eq!(choose([512, 1280, 11520]), (Variant::MATRICES_WIDE, 6));
        assert_eq!(choose([512, 1280, 1280]), (Variant::MATRICES_WIDE, 3));
        assert_eq!(choose([128, 1280, 11520]), (Variant::MATRICES_WIDE, 10));
        assert_eq!(choose([128, 1280, 1280]), (Variant::MATRICES, 6));
        assert_eq!(choose([2048, 640, 640]), (Variant::MATRICES, 1));
        assert_eq!(choose([8192, 320, 320]), (Variant::MATRICES, 1));
        assert_eq!(choose([8192, 2560, 320]), (Variant::MATRICES, 1));
    }

    #[test]
    fn matrix_units_leave_alone_what_they_cannot_take() {
        let matrices = Tuning::MATRICES.matrices.unwrap();
        let shape = [8192, 320, 2880];
        assert_eq!(matrices.choose([15, 1280, 1280], |_| true), None);
        assert_eq!(
            matrices.choose(shape, |variant| variant == Variant::MATRICES),
            Some((Variant::MATRICES, 1))
        );
        assert_eq!(matrices.choose(shape, |_| false), None);
    }

    #[test]
    fn one_variant_for_all_shapes_is_cut_as_often_as_asked() {
        for cuts in [1, 3, 16] {
            let all = MatrixProducts::all(Variant::MATRICES, cuts);
            assert_eq!(all.choose([128, 1280, 11520], |_| true), Some((Variant::MATRICES, cuts)));
        }
    }

    #[test]
    fn a_processor_keeps_everything_in_registers() {
        for shape in [[16, 64, 64], [128, 1280, 11520], [262_144, 128, 1152]] {
            assert_eq!(Tuning::CPU.products.choose(shape), (Variant::REGISTERS, 1));
        }
    }
}
