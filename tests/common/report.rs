//! The metric of all golden tests, and a report that names every miss.

/// How far `got` is from `want`.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// |got - want|₂ / |want|₂.
    pub relative: f64,
    /// max |got - want| / max |want|.
    pub peak: f64,
}

/// The metric of all golden tests.
pub fn difference(got: &[f32], want: &[f32]) -> Difference {
    assert_eq!(got.len(), want.len(), "number of values");
    let (mut off, mut all, mut peak_off, mut peak) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for (&g, &w) in got.iter().zip(want) {
        let (d, w) = (f64::from(g) - f64::from(w), f64::from(w));
        off += d * d;
        all += w * w;
        // A NaN must not hide behind a comparison.
        peak_off = if d.is_nan() { f64::INFINITY } else { peak_off.max(d.abs()) };
        peak = peak.max(w.abs());
    }
    Difference { relative: (off / all).sqrt(), peak: peak_off / peak }
}

/// Collects comparisons, prints each, and fails at the end naming every one out of tolerance.
pub struct Report {
    tolerance: f64,
    misses: Vec<String>,
    count: usize,
}

impl Report {
    pub fn new(tolerance: f64) -> Report {
        Report { tolerance, misses: Vec::new(), count: 0 }
    }

    pub fn compare(&mut self, what: &str, got: &[f32], want: &[f32]) {
        self.compare_with(what, got, want, 0.0);
    }

    /// Holds values to the tolerance and so much more.
    pub fn compare_with(&mut self, what: &str, got: &[f32], want: &[f32], more: f64) {
        let Difference { relative, peak } = difference(got, want);
        let tolerance = self.tolerance + more;
        let line = format!("{what:<48} relative {relative:.2e}  peak {peak:.2e}  of {tolerance:.1e}");
        println!("{line}");
        self.count += 1;
        let within = relative <= tolerance && peak <= tolerance; // false for NaN
        if !within {
            self.misses.push(line);
        }
    }

    pub fn finish(self) {
        assert!(self.count > 0, "nothing was compared");
        assert!(
            self.misses.is_empty(),
            "{} of {} comparisons are off by more than they may be:\n{}",
            self.misses.len(),
            self.count,
            self.misses.join("\n")
        );
    }
}
