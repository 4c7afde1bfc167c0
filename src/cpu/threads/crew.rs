//! The browser's threads: workers that JavaScript starts over this module's memory (`www/crew.js`). The one that owns the
//! engine hands out work, takes part in it, and waits for the others; they come in with [`join`], which never returns.

use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Work that is handed out by number.
type Work = dyn Fn(usize) + Sync + 'static;

/// What is to be done now, and how many helpers are at it.
struct Job {
    work: Option<&'static Work>,
    count: usize,
    at_it: usize,
}

static JOB: Mutex<Job> = Mutex::new(Job { work: None, count: 0, at_it: 0 });
/// The first number that nobody took.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Goes up with every job: what helpers look at before they sleep.
static TURN: AtomicU32 = AtomicU32::new(0);
/// The helpers that came in.
static HELPERS: AtomicUsize = AtomicUsize::new(0);
/// Helpers that are at the job; `JOB` says the same, and is asked before one sleeps.
static AT_IT: AtomicUsize = AtomicUsize::new(0);
static BEGUN: Condvar = Condvar::new();
static DONE: Condvar = Condvar::new();
/// A helper broke off in the middle of its work.
static BROKEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread is at a piece of work, and does by itself what that hands out.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Looks before a thread sleeps: the next job comes within some ten microseconds, and waking takes longer than that.
const LOOKS: usize = 20_000;
/// How long is slept at once before it is seen whether a helper broke off.
const NAP: Duration = Duration::from_millis(100);

/// A lock that cannot be poisoned, for nothing unwinds here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many work: the helpers, and the one that hands out.
pub fn count() -> usize {
    HELPERS.load(Ordering::Relaxed) + 1
}

/// Does `work` with each number below `count`, by all threads; to be called by the one that hands out, or within work, where a thread
/// does it alone.
#[allow(
    unsafe_code,
    reason = "helpers outlive every borrow; none of them has the work once this function returns"
)]
pub fn each(count: usize, work: &(dyn Fn(usize) + Sync)) {
    if count < 2 || self::count() == 1 || WITHIN.get() {
        return (0..count).for_each(work);
    }
    // SAFETY: the reference is taken out of `JOB` below, under its lock, and only then is waited until no helper that
    // took it there is at it any more. Nothing unwinds in between: the module is compiled with panic=abort.
    let lasting = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static Work>(work) };
    {
        let mut job = lock(&JOB);
        (job.work, job.count) = (Some(lasting), count);
        NEXT.store(0, Ordering::Relaxed);
        TURN.fetch_add(1, Ordering::Release);
    }
    BEGUN.notify_all();
    take_part(work, count);
    lock(&JOB).work = None;
    for _ in 0..LOOKS {
        if AT_IT.load(Ordering::Acquire) == 0 {
            break;
        }
        spin_loop();
    }
    let mut job = lock(&JOB);
    while job.at_it > 0 {
        assert!(!BROKEN.load(Ordering::Acquire), "a thread of the engine broke off");
        job = DONE.wait_timeout(job, NAP).unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn take_part(work: &(dyn Fn(usize) + Sync), count: usize) {
    WITHIN.set(true);
    loop {
        let i = NEXT.fetch_add(1, Ordering::Relaxed);
        if i >= count {
            break;
        }
        work(i);
    }
    WITHIN.set(false);
}

/// Comes in as a helper, and works until the worker is terminated.
pub fn join() {
    HELPERS.fetch_add(1, Ordering::Relaxed);
    let mut seen = TURN.load(Ordering::Acquire);
    loop {
        for _ in 0..LOOKS {
            if TURN.load(Ordering::Acquire) != seen {
                break;
            }
            spin_loop();
        }
        let mut job = lock(&JOB);
        while TURN.load(Ordering::Acquire) == seen {
            job = BEGUN.wait(job).unwrap_or_else(PoisonError::into_inner);
        }
        seen = TURN.load(Ordering::Acquire);
        let (Some(work), count) = (job.work, job.count) else { continue };
        job.at_it += 1;
        AT_IT.store(job.at_it, Ordering::Release);
        drop(job);
        take_part(work, count);
        let mut job = lock(&JOB);
        job.at_it -= 1;
        AT_IT.store(job.at_it, Ordering::Release);
        if job.at_it == 0 {
            DONE.notify_all();
        }
    }
}

/// Says that a helper broke off, so that nobody waits for it.
pub fn broke_off() {
    BROKEN.store(true, Ordering::Release);
}
