//! Cephes' single-precision logarithm, sine and cosine, rounded as PyTorch's vectorized code rounds them.
//!
//! The polynomials are those of Cephes (S. Moshier, <https://www.netlib.org/cephes/>, `logf.c` and `sinf.c`). PyTorch's
//! compiler fuses each product that is only added to something; which ones decides the last bit, so the fused
//! operations are written out here.

#![allow(clippy::excessive_precision, reason = "the constants as Cephes prints them")]

const LN_P: [f32; 9] = [
    7.037_683_629_2e-2,
    -1.151_461_031_0e-1,
    1.167_699_874_0e-1,
    -1.242_014_084_6e-1,
    1.424_932_278_7e-1,
    -1.666_805_766_5e-1,
    2.000_071_476_5e-1,
    -2.499_999_399_3e-1,
    3.333_333_117_4e-1,
];
/// ln 2, split into a part that is exact in few bits and the rest.
const LN_2: [f32; 2] = [0.693_359_375, -2.121_944_40e-4];
const SIN: [f32; 3] = [-1.951_529_589_1e-4, 8.332_160_873_6e-3, -1.666_665_461_1e-1];
const COS: [f32; 3] = [2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3, 4.166_664_568_298_827e-2];
/// π/4, split in three.
const QUARTER_PI: [f32; 3] = [0.785_156_25, 2.418_756_484_985_351_562_5e-4, 3.774_894_977_445_941_08e-8];

/// The natural logarithm of a positive, normal number.
pub fn ln(x: f32) -> f32 {
    // x = mantissa · 2^exponent, mantissa in [1/2, 1), then in [√½, √2).
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 126;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0.5f32.to_bits());
    let f = if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1;
        (mantissa - 1.0) + mantissa
    } else {
        mantissa - 1.0
    };
    let e = exponent as f32;

    let z = f * f;
    let mut y = LN_P[0];
    for p in &LN_P[1..] {
        y = y.mul_add(f, *p);
    }
    y = (y * f).mul_add(z, e * LN_2[1]);
    y = (-0.5f32).mul_add(z, y);
    e.mul_add(LN_2[0], f + y)
}

/// Sine and cosine of a number in [0, 8192).
pub fn sin_cos(x: f32) -> (f32, f32) {
    // The octant, rounded up to an even one, and the rest in [-π/4, π/4].
    let octant = ((x * (4.0 / std::f32::consts::PI)) as u32 + 1) & !1;
    let y = octant as f32;
    let r = QUARTER_PI.iter().fold(x, |r, part| y.mul_add(-part, r));

    let z = r * r;
    let cos = COS[0].mul_add(z, COS[1]).mul_add(z, COS[2]) * z;
    let cos = cos.mul_add(z, -0.5 * z) + 1.0;
    let sin = SIN[0].mul_add(z, SIN[1]).mul_add(z, SIN[2]) * z;
    let sin = sin.mul_add(r, r);

    match octant & 7 {
        0 => (sin, cos),
        2 => (cos, -sin),
        4 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_exact_functions() {
        for i in 1..=1 << 16 {
            let x = i as f32 / 65536.0;
            assert!((f64::from(ln(x)) - f64::from(x).ln()).abs() < 1e-6, "ln {x}");
            let (sin, cos) = sin_cos(x * std::f32::consts::TAU);
            let exact = f64::from(x * std::f32::consts::TAU).sin_cos();
            assert!((f64::from(sin) - exact.0).abs() < 2e-7, "sin {x}");
            assert!((f64::from(cos) - exact.1).abs() < 2e-7, "cos {x}");
        }
    }
}
