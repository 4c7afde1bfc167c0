//! How long a hostile input takes.

use std::time::{Duration, Instant};

use super::inputs::Hostile;

/// The least of three: other work on the machine only ever adds time.
pub fn least(hostile: &Hostile, length: usize) -> Duration {
    let once = || {
        let start = Instant::now();
        (hostile.read)(length);
        start.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}
