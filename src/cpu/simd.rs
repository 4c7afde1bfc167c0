//! Four floats at once: SIMD128 in wasm, elsewhere an array, which the compiler makes vectors of.

use std::ops::{Add, Div, Mul, Sub};

pub use lanes::F4;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    use std::arch::wasm32::*;

    /// Four floats.
    #[derive(Clone, Copy)]
    pub struct F4(v128);

    impl F4 {
        /// The same value four times.
        #[inline(always)]
        pub fn splat(x: f32) -> F4 {
            F4(f32x4_splat(x))
        }

        /// Eight values in a row.
        #[inline(always)]
        pub fn load8(x: &[f32; 8]) -> [F4; 2] {
            bytemuck::cast::<[f32; 8], [v128; 2]>(*x).map(F4)
        }

        #[inline(always)]
        pub fn load(x: [f32; 4]) -> F4 {
            F4(bytemuck::cast(x))
        }

        #[inline(always)]
        pub fn to_array(self) -> [f32; 4] {
            bytemuck::cast(self.0)
        }

        #[inline(always)]
        pub fn plus(self, other: F4) -> F4 {
            F4(f32x4_add(self.0, other.0))
        }

        #[inline(always)]
        pub fn minus(self, other: F4) -> F4 {
            F4(f32x4_sub(self.0, other.0))
        }

        #[inline(always)]
        pub fn times(self, other: F4) -> F4 {
            F4(f32x4_mul(self.0, other.0))
        }

        #[inline(always)]
        pub fn over(self, other: F4) -> F4 {
            F4(f32x4_div(self.0, other.0))
        }

        /// The smaller; of what cannot be compared, the first.
        #[inline(always)]
        pub fn min(self, other: F4) -> F4 {
            F4(f32x4_pmin(self.0, other.0))
        }

        /// The larger; of what cannot be compared, the first.
        #[inline(always)]
        pub fn max(self, other: F4) -> F4 {
            F4(f32x4_pmax(self.0, other.0))
        }

        /// 2 to the power of the integers that stand in the lowest bits, from -126 to 127.
        #[inline(always)]
        pub fn power_of_two(self) -> F4 {
            F4(i32x4_add(i32x4_shl(self.0, 23), i32x4_splat(127 << 23)))
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    /// Four floats.
    #[derive(Clone, Copy)]
    pub struct F4([f32; 4]);

    #[inline(always)]
    fn both(a: F4, b: F4, f: impl Fn(f32, f32) -> f32) -> F4 {
        F4(std::array::from_fn(|i| f(a.0[i], b.0[i])))
    }

    impl F4 {
        /// The same value four times.
        #[inline(always)]
        pub fn splat(x: f32) -> F4 {
            F4([x; 4])
        }

        /// Eight values in a row.
        #[inline(always)]
        pub fn load8(x: &[f32; 8]) -> [F4; 2] {
            bytemuck::cast::<[f32; 8], [[f32; 4]; 2]>(*x).map(F4)
        }

        #[inline(always)]
        pub fn load(x: [f32; 4]) -> F4 {
            F4(x)
        }

        #[inline(always)]
        pub fn to_array(self) -> [f32; 4] {
            self.0
        }

        #[inline(always)]
        pub fn plus(self, other: F4) -> F4 {
            both(self, other, |a, b| a + b)
        }

        #[inline(always)]
        pub fn minus(self, other: F4) -> F4 {
            both(self, other, |a, b| a - b)
        }

        #[inline(always)]
        pub fn times(self, other: F4) -> F4 {
            both(self, other, |a, b| a * b)
        }

        #[inline(always)]
        pub fn over(self, other: F4) -> F4 {
            both(self, other, |a, b| a / b)
        }

        /// The smaller; of what cannot be compared, the first.
        #[inline(always)]
        pub fn min(self, other: F4) -> F4 {
            both(self, other, |a, b| if b < a { b } else { a })
        }

        /// The larger; of what cannot be compared, the first.
        #[inline(always)]
        pub fn max(self, other: F4) -> F4 {
            both(self, other, |a, b| if a < b { b } else { a })
        }

        /// 2 to the power of the integers that stand in the lowest bits, from -126 to 127.
        #[inline(always)]
        pub fn power_of_two(self) -> F4 {
            F4(self.0.map(|n| f32::from_bits((n.to_bits() << 23).wrapping_add(127 << 23))))
        }
    }
}

impl Add for F4 {
    type Output = F4;
    #[inline(always)]
    fn add(self, other: F4) -> F4 {
        self.plus(other)
    }
}

impl Sub for F4 {
    type Output = F4;
    #[inline(always)]
    fn sub(self, other: F4) -> F4 {
        self.minus(other)
    }
}

impl Mul for F4 {
    type Output = F4;
    #[inline(always)]
    fn mul(self, other: F4) -> F4 {
        self.times(other)
    }
}

impl Div for F4 {
    type Output = F4;
    #[inline(always)]
    fn div(self, other: F4) -> F4 {
        self.over(other)
    }
}

impl F4 {
    /// Eight values in a row.
    #[inline(always)]
    pub fn to_array8(values: [F4; 2]) -> [f32; 8] {
        bytemuck::cast(values.map(F4::to_array))
    }

    /// A polynomial's value, the highest coefficient first (Horner).
    #[inline(always)]
    fn polynomial(self, coefficients: &[f32]) -> F4 {
        coefficients.iter().fold(F4::splat(0.0), |sum, c| sum * self + F4::splat(*c))
    }

    /// e to the power of each, to 2 units in the last place (Cephes' `expf`); flushed to e^-87 below that.
    #[inline(always)]
    pub fn exp(self) -> F4 {
        const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
        const TERMS: [f32; 6] =
            [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
        let x = self.max(F4::splat(-87.3)).min(F4::splat(88.3));
        // So large a number keeps no fraction: what is added to it is rounded, and stands as an integer in its lowest bits.
        let whole = F4::splat(12_582_912.0); // 1.5 · 2²³
        let rounded = x * F4::splat(std::f32::consts::LOG2_E) + whole;
        let n = rounded - whole;
        let r = x - n * F4::splat(LN2[0]) - n * F4::splat(LN2[1]);
        (r.polynomial(&TERMS) * r * r + r + F4::splat(1.0)) * rounded.power_of_two()
    }

    /// x · sigmoid(x).
    #[inline(always)]
    pub fn silu(self) -> F4 {
        let one = F4::splat(1.0);
        self / (one + (F4::splat(0.0) - self).exp())
    }

    /// x · Φ(x) with the error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
    #[inline(always)]
    pub fn gelu(self) -> F4 {
        let [tail, _] = self.tail();
        // x · (1 + erf) / 2: half of |x| · (1 - tail) is even in x, half of x is not.
        let x_size = self.max(F4::splat(0.0) - self);
        (self + x_size * (F4::splat(1.0) - tail)) * F4::splat(0.5)
    }

    /// The derivative of that, Φ(x) + x · φ(x).
    #[inline(always)]
    #[cfg(feature = "train")]
    pub fn gelu_slope(self) -> F4 {
        /// 1 / √(2π)
        const DENSITY: f32 = 0.398_942_3;
        let (one, half) = (F4::splat(1.0), F4::splat(0.5));
        let [tail, exp] = self.tail();
        let sign = (self * F4::splat(1e30)).max(F4::splat(-1.0)).min(one);
        half + half * sign * (one - tail) + self * exp * F4::splat(DENSITY)
    }

    /// 1 - erf(|z|) and e^(-z²) of z = x / √2.
    #[inline(always)]
    fn tail(self) -> [F4; 2] {
        const P: f32 = 0.327_591_1;
        const TERMS: [f32; 6] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6, 0.0];
        let (zero, one) = (F4::splat(0.0), F4::splat(1.0));
        let z = self * F4::splat(std::f32::consts::FRAC_1_SQRT_2);
        let t = one / (one + z.max(zero - z) * F4::splat(P));
        let exp = (zero - z * z).exp();
        [t.polynomial(&TERMS) * exp, exp]
    }
}

impl F4 {
    /// x · sigmoid(1.702 x), OpenAI CLIP's.
    #[inline(always)]
    pub fn quick_gelu(self) -> F4 {
        self / (F4::splat(1.0) + (self * F4::splat(-1.702)).exp())
    }

    /// What is positive.
    #[inline(always)]
    pub fn relu(self) -> F4 {
        self.max(F4::splat(0.0))
    }

    /// What is positive, and a fifth of what is not.
    #[inline(always)]
    pub fn leaky_relu(self) -> F4 {
        self.max(self * F4::splat(0.2))
    }
}

/// All values joined into one: four at a time, then those four and what is left.
#[inline(always)]
fn fold(values: &[f32], empty: f32, join: impl Fn(F4, F4) -> F4, last: impl Fn(f32, f32) -> f32) -> f32 {
    let (fours, rest) = values.as_chunks::<4>();
    let all = fours.iter().fold(F4::splat(empty), |all, four| join(all, F4::load(*four)));
    all.to_array().into_iter().chain(rest.iter().copied()).fold(empty, last)
}

/// The largest of values.
pub fn largest(values: &[f32]) -> f32 {
    fold(values, f32::NEG_INFINITY, F4::max, f32::max)
}

/// The sum of values.
pub fn sum(values: &[f32]) -> f32 {
    fold(values, 0.0, F4::plus, |a, b| a + b)
}

/// Changes values in place, four at a time.
#[inline(always)]
pub fn map(values: &mut [f32], f: impl Fn(F4) -> F4) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        *four = f(F4::load(*four)).to_array();
    }
    for x in rest {
        *x = f(F4::splat(*x)).to_array()[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(f: fn(F4) -> F4, expected: fn(f64) -> f64) -> f64 {
        (-8000..8000)
            .map(|i| {
                let x = i as f32 * 0.01;
                let got = f64::from(f(F4::splat(x)).to_array()[0]);
                let wanted = expected(f64::from(x));
                (got - wanted).abs() / wanted.abs().max(1.0)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_agree_with_the_standard_librarys() {
        let gelu = |x: f64| 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2));
        assert!(worst(F4::exp, f64::exp) < 3e-7);
        assert!(worst(F4::silu, |x| x / (1.0 + (-x).exp())) < 1e-6);
        assert!(worst(F4::gelu, gelu) < 1e-6);
        let slope = |x: f64| {
            let below = 0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2));
            below + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
        };
        assert!(worst(F4::gelu_slope, slope) < 1e-6);
        assert!(worst(F4::quick_gelu, |x| x / (1.0 + (-1.702 * x).exp())) < 1e-6);
        assert_eq!(worst(F4::relu, |x| x.max(0.0)), 0.0);
        assert!(worst(F4::leaky_relu, |x| x.max(0.2 * x)) < 1e-7);
    }

    #[test]
    fn sum_and_largest_take_the_tail_too() {
        let values = [1.0, -2.0, 3.0, 0.5, 7.0, 2.0];
        assert_eq!((sum(&values), largest(&values)), (11.5, 7.0));
        assert_eq!((sum(&[]), largest(&[])), (0.0, f32::NEG_INFINITY));
    }

    #[test]
    fn a_tail_shorter_than_four_is_mapped_too() {
        let mut values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        map(&mut values, |x| x + F4::splat(1.0));
        assert_eq!(values, [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}
