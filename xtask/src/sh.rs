//! Commands: shown before they run, timed after, never silent for long.

use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A line for [`print`].
macro_rules! line {
    ($($words:tt)*) => { $crate::sh::print(&format!("{}\n", format_args!($($words)*))) };
}
pub(crate) use line;

/// How long a command may be silent in a log before a line says that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// The repository's root folder.
pub fn root() -> PathBuf {
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A command that runs in the repository's root, without what `cargo run` told this process about itself:
/// a build script that watches one of those variables would otherwise run again each time.
pub fn cmd(program: impl AsRef<OsStr>) -> Command {
    const OWN: &[&str] = &[
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OWN.contains(&text.as_ref()) || text.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command that is shown, and fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    show(command);
    let child = spawn(command)?;
    let status = wait(child, &text(command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", text(command));
    }
    Ok(())
}

/// Runs a command that is shown, for at most `limit`; `false` when it failed or ran out of time.
pub fn run_for(command: &mut Command, limit: Duration) -> Result<bool> {
    show(command);
    let mut child = spawn(command)?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Runs a command that is shown; its standard output is passed on and also returned.
pub fn tee(command: &mut Command) -> Result<(ExitStatus, String)> {
    let mut seen = String::new();
    let status = each_line(command, |line| {
        print(line);
        seen.push_str(line);
    })?;
    Ok((status, seen))
}

/// Runs a command beside others, whose output it keeps out of: its own, both standard output and standard error, is shown
/// when it has ended, and also returned.
pub fn tee_at_the_end(command: &mut Command) -> Result<(ExitStatus, String)> {
    show(command);
    let (output, both) = std::io::pipe()?;
    let mut child = spawn(command.stdout(both.try_clone()?).stderr(both))?;
    command.stdout(Stdio::null()).stderr(Stdio::null()); // else this process would keep the pipe open
    let seen = std::io::read_to_string(BufReader::new(output));
    let status = child.wait()?;
    let seen = seen?;
    line!("{seen}");
    Ok((status, seen))
}

/// Runs a command that is shown; does something with each line of its standard output, the line's end included.
pub fn each_line(command: &mut Command, mut work: impl FnMut(&str)) -> Result<ExitStatus> {
    show(command);
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            work(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    wait(child, &text(command))
}

/// The standard output of a quick command that is not shown, or nothing when it cannot run or fails.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first file of this name in the folders of PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// Says what happens, in the form of every other such line.
pub fn say(text: impl AsRef<str>) {
    line!("xtask: {}", text.as_ref());
}

/// Writes to standard output, all of it. A pipe that this process shares with a child may be one that does not wait until it is read
/// (Node.js makes it so): then that is done here. A closed terminal stops nothing.
pub fn print(text: &str) {
    write_all(&mut std::io::stdout().lock(), text.as_bytes());
}

fn write_all(out: &mut impl Write, mut rest: &[u8]) {
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        let done = if rest.is_empty() { out.flush().map(|()| 0) } else { out.write(rest) };
        match done {
            Ok(0) => return,
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}

/// A length of time as a person would write it.
pub fn time(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        s @ 0..60 => format!("{s}.{} s", elapsed.subsec_millis() / 100),
        s => format!("{} min {:02} s", s / 60, s % 60),
    }
}

/// What a command did, part by part, and how long each took.
#[derive(Default)]
pub struct Parts {
    parts: Vec<(String, Duration)>,
}

impl Parts {
    /// Begins with what cargo did before this program could: building it.
    pub fn new() -> Parts {
        let before = since_start().map(|elapsed| ("the task runner itself".to_owned(), elapsed));
        Parts { parts: before.into_iter().collect() }
    }

    /// Does one part.
    pub fn part<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = work();
        self.parts.push((name.to_owned(), start.elapsed()));
        done
    }

    pub fn total(&self) -> Duration {
        self.parts.iter().map(|(_, elapsed)| *elapsed).sum()
    }

    /// A line a part, and the sum.
    pub fn print(&self) {
        for (name, elapsed) in &self.parts {
            say(format!("{:>13}  {name}", time(*elapsed)));
        }
        say(format!("{:>13}  in all", time(self.total())));
    }
}

/// How long ago this process began. Where programs replace each other in one process, as `cargo run` and rustup do on
/// Linux, that was when the command was typed; elsewhere nothing is known.
pub fn since_start() -> Option<Duration> {
    // Clock ticks of 1/100 s on every Linux that Rust runs on; the second field, a name in brackets, may hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_secs_f64((uptime - ticks / 100.0).max(0.0)))
}

fn show(command: &Command) {
    say(format!("$ {}", text(command)));
}

fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start `{}`", text(command)))
}

/// Waits for a child; in a log, where no progress bar shows, a line a minute says that it still runs.
fn wait(mut child: Child, what: &str) -> Result<ExitStatus> {
    let (done, over) = mpsc::channel::<()>();
    let start = Instant::now();
    thread::scope(|scope| {
        if !std::io::stdout().is_terminal() {
            scope.spawn(move || {
                while over.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                    say(format!("… {what}: running for {}", time(start.elapsed())));
                }
            });
        }
        let status = child.wait();
        drop(done);
        Ok(status?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that is full now and then takes all of it all the same.
    #[test]
    fn what_a_pipe_has_no_room_for_waits() {
        struct Full(Vec<u8>, usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.1 += 1;
                if self.1.is_multiple_of(2) {
                    return Err(ErrorKind::WouldBlock.into());
                }
                self.0.extend(&bytes[..bytes.len().min(3)]);
                Ok(bytes.len().min(3))
            }

            fn flush(&mut self) -> std::io::Result<()> {
                self.write(&[]).map(drop)
            }
        }
        let mut full = Full(Vec::new(), 0);
        write_all(&mut full, b"all of it");
        assert_eq!(full.0, b"all of it");
    }
}
