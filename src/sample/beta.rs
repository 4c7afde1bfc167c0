//! Quantiles of the beta distribution.

/// Where the beta distribution of parameters `a` and `b` reaches the share `p`, by bisection.
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return p.clamp(0.0, 1.0);
    }
    if a == b && p == 0.5 {
        return 0.5; // the middle itself, on whichever side a rounding would put it
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Until neither end moves any more: f64's digits and a few for small values.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if beta_share(middle, a, b) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction
/// (<https://dlmf.nist.gov/8.17.E22>), on the side where that converges fast.
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_share(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp() / a;
    front * fraction(x, a, b)
}

/// The continued fraction, by J. Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for i in 1..300 {
        let m = f64::from(i);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function above 0: Stirling's series, from far enough up.
fn ln_gamma(x: f64) -> f64 {
    const FAR: f64 = 15.0;
    let mut shift = 0.0;
    let mut x = x;
    while x < FAR {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse * (1.0 / 1680.0)))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_by_hand() {
        for (x, expected) in [(1.0, 0.0), (5.0, 24.0_f64.ln()), (0.5, std::f64::consts::PI.sqrt().ln())] {
            assert!((ln_gamma(x) - expected).abs() < 1e-13, "{x}: {}", ln_gamma(x));
        }
    }

    /// Of (1/2, 1/2) the quantiles are sin²(πp/2), of (1, 1) they are the shares themselves.
    #[test]
    fn quantiles_by_hand() {
        for p in [1e-6, 0.02, 0.3, 0.5, 0.77, 0.98, 1.0 - 1e-9] {
            let arcsine = (std::f64::consts::FRAC_PI_2 * p).sin().powi(2);
            assert!((beta_quantile(p, 0.5, 0.5) / arcsine - 1.0).abs() < 1e-11, "{p}");
            assert!((beta_quantile(p, 1.0, 1.0) / p - 1.0).abs() < 1e-12, "{p}");
        }
        assert_eq!((beta_quantile(0.0, 0.6, 0.6), beta_quantile(1.0, 0.6, 0.6)), (0.0, 1.0));
    }
}
