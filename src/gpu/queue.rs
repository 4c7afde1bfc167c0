//! What was submitted and has not run yet: few slices at a time, whichever plans they are of.
//!
//! A run goes through many plans, some of them tiny. That the host waits for the device belongs to the run and not to
//! one plan: otherwise a run whose plans fit a slice each would be queued as a whole before anything could stop it.

use std::collections::VecDeque;

use futures_channel::oneshot;
use web_time::{Duration, Instant};

/// How long one submission should keep the device busy: long enough to hide its cost, short enough that the desktop
/// stays alive and a cancelled run stops at once.
const SLICE: Duration = Duration::from_millis(20);
/// Work of the first submission, before the device's speed is known.
const FIRST_SLICE_FLOPS: f64 = 1e8;
/// Slices' worth of work that may be queued.
const AHEAD: f64 = 2.0;
/// Submissions that may be queued, however little work they are.
const MAX_AHEAD: usize = 4;

/// Submissions on their way through the device, oldest first.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Submission>,
    /// Floating point operations per second seen so far; 0 before the first.
    speed: f64,
    /// When the one before the oldest was done.
    since: Option<Instant>,
}

struct Submission {
    done: oneshot::Receiver<()>,
    flops: f64,
    at: Instant,
}

impl Queue {
    /// The work of one slice, in floating point operations.
    pub fn slice_flops(&self) -> f64 {
        (self.speed * SLICE.as_secs_f64()).max(FIRST_SLICE_FLOPS)
    }

    /// A submission of so much work has been made; `done` resolves when it has run.
    pub fn push(&mut self, done: oneshot::Receiver<()>, flops: f64) {
        self.waiting.push_back(Submission { done, flops, at: Instant::now() });
    }

    /// The oldest submission, to be waited for, when more is queued than should be; with its work and its beginning.
    pub fn overdue(&mut self) -> Option<(oneshot::Receiver<()>, f64, Instant)> {
        let queued: f64 = self.waiting.iter().map(|submission| submission.flops).sum();
        let full = self.waiting.len() > MAX_AHEAD || queued > AHEAD * self.slice_flops();
        if !full || self.waiting.len() < 2 {
            return None;
        }
        let Submission { done, flops, at } = self.waiting.pop_front()?;
        Some((done, flops, self.since.map_or(at, |since| since.max(at))))
    }

    /// A submission that began at `from` has run.
    pub fn learn(&mut self, flops: f64, from: Instant) {
        let now = Instant::now();
        self.since = Some(now);
        // Slices without much arithmetic say little about speed.
        if flops >= FIRST_SLICE_FLOPS / 2.0 {
            let seen = flops / (now - from).as_secs_f64().max(1e-5);
            self.speed = if self.speed == 0.0 { seen } else { 0.7 * self.speed + 0.3 * seen };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(flops: &[f64]) -> Queue {
        let mut queue = Queue::default();
        flops.iter().for_each(|flops| queue.push(oneshot::channel().1, *flops));
        queue
    }

    #[test]
    fn two_slices_are_queued_and_the_third_waits_for_the_first() {
        assert!(queue(&[1e8, 1e8]).overdue().is_none());
        assert_eq!(queue(&[1e8, 2e8, 1e8]).overdue().unwrap().1, 1e8);
        assert!(queue(&[1e12]).overdue().is_none(), "what was submitted last is not waited for");
    }

    #[test]
    fn however_small_submissions_are_a_long_run_of_them_waits() {
        assert!(queue(&[0.0; MAX_AHEAD]).overdue().is_none());
        assert!(queue(&[0.0; MAX_AHEAD + 1]).overdue().is_some());
    }

    #[test]
    fn a_slice_grows_with_the_speed_that_was_seen() {
        let mut queue = Queue::default();
        assert_eq!(queue.slice_flops(), FIRST_SLICE_FLOPS);
        queue.learn(1e9, Instant::now() - Duration::from_millis(10));
        assert!(
            queue.slice_flops() > FIRST_SLICE_FLOPS && queue.slice_flops() <= 2e9,
            "{}",
            queue.slice_flops()
        );
        let before = queue.slice_flops();
        queue.learn(1e3, Instant::now() - Duration::from_secs(1));
        assert_eq!(queue.slice_flops(), before);
    }
}
