//! Whether this machine had anything else to do.

/// The share of all work since this process began that it and what it started did, from 0 to 1; `None` where the
/// system does not say (it does on Linux).
pub fn own_share() -> Option<f64> {
    let own = own_ticks()?;
    let all = busy_ticks()? - START.get().copied()?;
    (all > 0.0).then(|| (own / all).min(1.0))
}

/// Remembers what the machine has done so far; to be called first.
pub fn begin() {
    if let Some(ticks) = busy_ticks() {
        START.set(ticks).ok();
    }
}

static START: std::sync::OnceLock<f64> = std::sync::OnceLock::new();

/// Clock ticks that this process and those it has waited for spent: user and system time of both.
fn own_ticks() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<f64>().ok()).sum()
}

/// Clock ticks that all processors have spent on anything but waiting.
fn busy_ticks() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<f64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let at = |index: usize| ticks.get(index).copied().unwrap_or(0.0);
    // user, nice, system, then idle and iowait, then irq and softirq.
    Some(at(0) + at(1) + at(2) + at(5) + at(6))
}
