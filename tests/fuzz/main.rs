//! Readers of data from outside against changed inputs: a typed error or a correct read, no panic, and no memory beyond the
//! input's size and 64 MiB.
//!
//! `cargo test` reads what once failed (`corpus/`, a folder a target) and changes inputs for a minute, with a seed of its
//! own, so that every run does the same as far as it comes. `cargo xtask fuzz` goes on for as long as one likes; what
//! was run so far is in docs/reliability.md.

mod mutate;
mod targets;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use targets::{ROOM, TARGETS, Target, read};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// Keeps an input that something is wrong with, where it is found again by the next run.
fn keep(target: &Target, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = corpus().join(target.name);
    let path = folder.join(format!("{:016x}", hasher.finish()));
    std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input)).expect("the input is kept");
    path
}

/// A number from the environment.
fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// How long one target is run.
#[derive(Clone, Copy)]
enum Enough {
    Runs(u64),
    Time(Duration),
}

/// Changes inputs and reads them; a line on how it went, or what is wrong.
fn run(target: &Target, seed: u64, enough: Enough) -> Result<String, String> {
    let mut pool = mutate::Pool::new(seed, target);
    let start = Instant::now();
    let mut runs = 0u64;
    let mut worst = Duration::ZERO;
    let more = |runs: u64| match enough {
        Enough::Runs(most) => runs < most,
        Enough::Time(most) => start.elapsed() < most,
    };
    while more(runs) {
        let input = pool.next();
        let began = Instant::now();
        match read(target, &input) {
            Ok(outcome) => pool.learn(&input, outcome),
            Err(what) => {
                let path = keep(target, &input);
                return Err(format!(
                    "{}: {what}, run {runs} of seed {seed}: {}",
                    target.name,
                    path.display()
                ));
            }
        }
        worst = worst.max(began.elapsed());
        runs += 1;
    }
    Ok(format!(
        "{:<16}{runs:>12} runs, seed {seed}, {:>7.1} s, longest {:>6.1} ms, {} outcomes",
        target.name,
        start.elapsed().as_secs_f64(),
        worst.as_secs_f64() * 1e3,
        pool.outcomes()
    ))
}

#[test]
fn what_once_failed_is_read_or_refused() {
    for target in &TARGETS {
        for seed in (target.seeds)() {
            read(target, &seed).unwrap_or_else(|what| panic!("{}: {what}", target.name));
        }
        let Ok(files) = std::fs::read_dir(corpus().join(target.name)) else { continue };
        for file in files {
            let path = file.expect("a file").path();
            let input = std::fs::read(&path).expect("a file");
            read(target, &input).unwrap_or_else(|what| panic!("{}: {what}", path.display()));
        }
    }
}

/// A minute in all, or as much as `OPENGEN_FUZZ_RUNS` or `_SECONDS` (for each), `_TARGET` and `_SEED` ask for, on as many threads as there are cores.
#[test]
fn changed_inputs_are_read_or_refused() {
    const MINUTE: Duration = Duration::from_secs(60);
    let only = std::env::var("OPENGEN_FUZZ_TARGET").ok();
    let chosen = TARGETS.iter().filter(|target| only.as_deref().is_none_or(|name| name == target.name));
    let chosen: Vec<&Target> = chosen.collect();
    assert!(
        !chosen.is_empty(),
        "OPENGEN_FUZZ_TARGET is one of {}",
        TARGETS.map(|target| target.name).join(", ")
    );
    let seed = asked("OPENGEN_FUZZ_SEED").unwrap_or(1);
    let enough = match (asked("OPENGEN_FUZZ_RUNS"), asked("OPENGEN_FUZZ_SECONDS")) {
        (Some(runs), _) => Enough::Runs(runs),
        (None, Some(seconds)) => Enough::Time(Duration::from_secs(seconds)),
        (None, None) => Enough::Time(MINUTE / chosen.len() as u32),
    };
    let waiting = Mutex::new(chosen);
    let wrong = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(target) = { waiting.lock().unwrap().pop() } {
                    match run(target, seed, enough) {
                        Ok(line) => eprintln!("{line}"),
                        Err(what) => wrong.lock().unwrap().push(what),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The harness itself: a reader that fails is found out, and its input kept out of the way of the true ones.
#[test]
fn what_is_wrong_is_noticed() {
    let broken = Target {
        name: "broken",
        read: |bytes| {
            assert!(!bytes.contains(&7), "seven");
            bytes.len() as u64
        },
        seeds: || vec![vec![1; 4]],
        words: &[],
        longest: 64,
        usual: 64,
    };
    let hold = |_: &[u8]| std::hint::black_box(vec![1u8; ROOM as usize + (1 << 20)]).len() as u64;
    let greedy = Target { read: hold, ..broken };
    assert!(read(&broken, &[1]).is_ok());
    assert!(read(&broken, &[7]).unwrap_err().contains("panics"));
    assert!(read(&greedy, &[1]).unwrap_err().contains("holds"));
    let found = run(&broken, 3, Enough::Runs(1_000_000)).unwrap_err();
    assert!(found.contains("seed 3"), "{found}");
    std::fs::remove_dir_all(corpus().join("broken")).expect("what was kept");
}

/// Where a reader asks for short inputs, long ones come now and then, from one that was long to begin with, too.
#[test]
fn most_inputs_are_as_short_as_is_usual() {
    let seeds = || vec![vec![b'a'; 500]];
    let target = Target { name: "any", read: |_| 0, seeds, words: &[], longest: 1000, usual: 10 };
    let mut pool = mutate::Pool::new(1, &target);
    let lengths: Vec<usize> = (0..10_000).map(|_| pool.next().len()).collect();
    let long = lengths.iter().filter(|length| **length > 10).count();
    assert!((50..400).contains(&long), "{long} of 10,000 are long");
    assert!(lengths.iter().any(|length| *length > 400));
}
