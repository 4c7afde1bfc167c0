//! How fast a transfer goes and how long it will take, from the last few seconds.

use std::collections::VecDeque;

/// Reports at most this often, in milliseconds.
const INTERVAL_MS: f64 = 100.0;

/// The rate is the mean over this many milliseconds.
const WINDOW_MS: f64 = 4000.0;

/// One report.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    pub loaded: u64,
    /// 0 when it is not known.
    pub total: u64,
    /// Bytes per second; 0 until there is something to measure.
    pub rate: f64,
    pub seconds_left: Option<f64>,
    /// Tensors that have come, of all; none where a file's header is not known yet.
    pub tensors: Option<[u64; 2]>,
}

/// Turns byte counts into throttled reports.
#[derive(Debug)]
pub struct Meter {
    total: u64,
    last_ms: Option<f64>,
    /// (time in ms, bytes then).
    seen: VecDeque<(f64, u64)>,
}

impl Meter {
    /// For a transfer of `total` bytes, 0 if unknown, of which `loaded` are there as it begins at `now_ms`.
    pub fn new(total: u64, loaded: u64, now_ms: f64) -> Meter {
        Meter { total, last_ms: None, seen: VecDeque::from([(now_ms, loaded)]) }
    }

    /// The transfer's bytes as far as they are known by now, 0 if not.
    pub fn expect(&mut self, total: u64) {
        self.total = total;
    }

    /// `loaded` bytes are there at `now_ms`; a report when one is due, and always for the last byte.
    pub fn update(&mut self, loaded: u64, now_ms: f64) -> Option<Progress> {
        let due = self.last_ms.is_none_or(|last| now_ms - last >= INTERVAL_MS);
        if !due && loaded != self.total {
            return None;
        }
        self.last_ms = Some(now_ms);
        self.seen.push_back((now_ms, loaded));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|&(then, _)| now_ms - then > WINDOW_MS) {
            self.seen.pop_front();
        }
        let rate = self.rate();
        let left = self.total.saturating_sub(loaded) as f64;
        let seconds_left = (rate > 0.0 && self.total > 0).then(|| left / rate);
        Some(Progress { loaded, total: self.total, rate, seconds_left, tensors: None })
    }

    fn rate(&self) -> f64 {
        match (self.seen.front(), self.seen.back()) {
            (Some(&(from, before)), Some(&(to, after))) if to > from => {
                after.saturating_sub(before) as f64 * 1000.0 / (to - from)
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_ten_times_a_second_with_the_recent_rate() {
        let mut meter = Meter::new(100_000, 0, 0.0);
        let reports: Vec<_> = (0..=1000u64).filter_map(|ms| meter.update(ms * 50, ms as f64)).collect();
        assert_eq!(reports.len(), 11);
        let last = reports[10];
        assert_eq!((last.loaded, last.total), (50_000, 100_000));
        assert!((last.rate - 50_000.0).abs() < 1.0, "{}", last.rate);
        assert!((last.seconds_left.unwrap() - 1.0).abs() < 0.01);
    }

    #[test]
    fn forgets_an_old_rate_and_says_the_last_byte_at_once() {
        let mut meter = Meter::new(1_000_000, 0, 0.0);
        for second in 0..10u64 {
            meter.update(second * 1000, second as f64 * 1000.0);
        }
        for second in 10..20u64 {
            meter.update(9000 + (second - 9) * 50_000, second as f64 * 1000.0);
        }
        let fast = meter.update(560_000, 20_000.0).unwrap();
        assert!(fast.rate > 40_000.0, "{}", fast.rate);
        assert!(meter.update(1_000_000, 20_001.0).is_some());
    }

    #[test]
    fn the_first_report_has_a_rate_and_what_was_there_before_does_not_count() {
        let mut meter = Meter::new(10_000, 5000, 1000.0);
        let report = meter.update(6000, 1500.0).unwrap();
        assert_eq!((report.rate, report.seconds_left), (2000.0, Some(2.0)));
    }

    #[test]
    fn an_unknown_total_has_no_time_left() {
        let mut meter = Meter::new(0, 0, 0.0);
        meter.update(10, 0.0);
        let report = meter.update(1000, 500.0).unwrap();
        assert!(report.rate > 0.0 && report.seconds_left.is_none());
        meter.expect(2000);
        assert_eq!(meter.update(1500, 750.0).map(|report| report.total), Some(2000));
    }
}
