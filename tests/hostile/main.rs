//! Hostile inputs: every reader of data from outside takes time in proportion to its length.
//!
//! `cargo xtask bench --hostile` prints the times.

mod inputs;
mod time;

use std::time::Duration;

/// Four times the input, four times the time; with quadratic time it would be sixteen times. What takes no time worth
/// measuring at its full length is fine either way. One try of a few in which the growth is as it should be is proof.
#[test]
fn time_grows_with_the_length() {
    const TRIES: usize = 6;
    const FELT: Duration = Duration::from_millis(50);
    let mut slow = Vec::new();
    for hostile in inputs::all() {
        let times = || (time::least(&hostile, hostile.most / 4), time::least(&hostile, hostile.most));
        let squares = |(quarter, whole): &(Duration, Duration)| *whole > FELT && *whole > 8 * *quarter;
        let tries: Vec<_> = (0..TRIES).map(|_| times()).take_while(squares).collect();
        if tries.len() == TRIES {
            slow.push(format!("{} of {:?}: {tries:?}", hostile.reader, hostile.unit));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
