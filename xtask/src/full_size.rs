//! `cargo xtask full-size`: models of true size with random weights, in every format, held to what diffusers computes with them; and
//! one brought into Chromium over a line that breaks.

use crate::dist;
use crate::golden;
use crate::sh::{self, Parts, cmd, say};
use crate::tools::{chromium, node, vulkan};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Makes the models and the references, and compares.
const SCRIPT: &str = "tests/golden/full_size.py";
/// Those of the script, smallest first.
const MODELS: [&str; 3] = ["sdxs", "sd15", "sd21"];
/// The one that is brought into a browser, and how: one file of 2.1 GB.
const BROUGHT: &str = "sd15";
/// What is drawn with it there, as the client is asked; `drawn` gives the arguments of `opengen generate` for the same.
const REQUEST: &str = r#"{"prompt": "a photo of an astronaut riding a horse", "steps": 1, "guidance": 7.5, "sampler": "euler",
    "seed": 15, "width": 128, "height": 128}"#;
/// What `opengen import` may hold in memory, whatever it reads.
const IMPORT_MOST: u64 = 500_000_000;

#[derive(clap::Args)]
pub struct Args {
    /// One model alone, and others with it
    #[arg(long, value_parser = MODELS)]
    model: Vec<String>,
    /// Where the files go, 2 to 8 GB a model, and stay: what is there already is taken as it is
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The program that is measured, in the place of one that is built for it
    #[arg(long)]
    program: Option<PathBuf>,
    /// The processor alone, not the adapter
    #[arg(long)]
    cpu: bool,
    /// Chromium's part alone
    #[arg(long)]
    browser: bool,
}

/// What is run.
struct Bench<'a> {
    program: &'a Path,
    python: &'a Path,
    folder: &'a Path,
    variables: Vec<(&'static str, String)>,
}

/// Runs them all and prints a table; fails where anything is further from diffusers than it may be.
pub fn run(args: &Args) -> Result<()> {
    let python = golden::python()?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => {
            sh::run(cmd("cargo").args(["build", "--release", "--package", "opengen", "--bin", "opengen"]))?;
            sh::root().join("target/release/opengen")
        }
    };
    let kept = args.folder.clone();
    let folder = kept.clone().unwrap_or_else(|| sh::root().join("target/full-size"));
    fs::create_dir_all(&folder)?;
    let bench = Bench { program: &program, python: &python, folder: &folder, variables: vulkan::ensure()? };
    let wanted = |name: &str| args.model.is_empty() || args.model.iter().any(|one| one == name);
    let mut lines =
        vec!["| model | as | on | whole run | from diffusers |".to_string(), "|---|---|---|---|---|".into()];
    let mut wrong = 0;
    for name in MODELS.into_iter().filter(|name| wanted(name) && (!args.browser || *name == BROUGHT)) {
        bench.make(name)?;
        let mut found = if args.browser { Vec::new() } else { bench.model(name, args.cpu)? };
        if name == BROUGHT {
            found.push(bench.brought(name)?);
        }
        for (line, right) in found {
            say(&line);
            wrong += usize::from(!right);
            lines.push(line);
        }
        if kept.is_none() {
            fs::remove_dir_all(&folder)?;
            fs::create_dir_all(&folder)?;
        }
    }
    println!("{}", lines.join("\n"));
    match wrong {
        0 => Ok(()),
        _ => bail!("{wrong} lines are not as they should be"),
    }
}

impl Bench<'_> {
    /// Makes the model's files and references, unless they are there.
    fn make(&self, name: &str) -> Result<()> {
        match self.folder.join(format!("{name}.run.json")).exists() {
            true => Ok(()),
            false => sh::run(cmd(self.python).arg(SCRIPT).args(["make", name]).arg(self.folder)),
        }
    }

    /// Lines of the table, and whether each is as it should be.
    fn model(&self, name: &str, cpu: bool) -> Result<Vec<(String, bool)>> {
        let at = |ending: &str| self.folder.join(format!("{name}{ending}"));
        let said = fs::read_to_string(at(".run.json"))?;
        // Arguments of `opengen generate`, and more of them for what one file does not say of itself.
        let [run, single] = arguments(&said)?;
        let mut lines = Vec::new();
        let forms: [(&str, PathBuf, &[String]); 3] = [
            ("folder", at(""), &[]),
            ("one file", at(".safetensors"), &single),
            ("GGUF", at(".gguf"), &single),
        ];
        for (form, path, more) in forms {
            for (place, flag) in [("the processor", "--cpu"), ("the adapter, f32", "--f32")] {
                if cpu && flag != "--cpu" {
                    continue;
                }
                let mut generate = self.opengen(&["generate", flag, "--model"]);
                generate
                    .arg(&path)
                    .args(&run)
                    .args(more)
                    .arg("--dump")
                    .arg(at(".dump"))
                    .arg("--out")
                    .arg(at(".png"));
                let begin = Instant::now();
                sh::run(&mut generate)?;
                let took = sh::time(begin.elapsed());
                let mut compare = cmd(self.python);
                compare.arg(SCRIPT).arg("compare").arg(at(".reference.safetensors")).arg(at(".dump"));
                let (status, output) = sh::tee(&mut compare)?;
                let worst = output.lines().rfind(|line| line.starts_with("worst ")).unwrap_or("not compared");
                lines.push((format!("| {name} | {form} | {place} | {took} | {worst} |"), status.success()));
            }
        }
        lines.push(self.import(name, &at(".safetensors"), &single)?);
        Ok(lines)
    }

    /// How long `opengen import` takes over one file, and how much memory.
    fn import(&self, name: &str, file: &Path, more: &[String]) -> Result<(String, bool)> {
        let out = self.folder.join(format!("{name}-q8.gguf"));
        let mut import = self.opengen(&["import", "--accept-licence", "--out"]);
        import.arg(&out).arg(file).args(more);
        let bytes = fs::metadata(file)?.len();
        let begin = Instant::now();
        let mut child = import.spawn().context("opengen does not start")?;
        let mut most = 0;
        let status = loop {
            most = most.max(resident(child.id()).unwrap_or(0));
            if let Some(status) = child.try_wait()? {
                break status;
            }
            sleep(Duration::from_millis(20));
        };
        if !status.success() {
            bail!("opengen import ended with {status}");
        }
        let took = begin.elapsed();
        let rate = bytes as f64 / 1e6 / took.as_secs_f64();
        let held = match most {
            0 => "memory not told here".to_string(),
            _ => format!("{:.0} MB resident at most", most as f64 / 1e6),
        };
        let line =
            format!("| {name} | one file | import to q8 | {} | {rate:.0} MB/s, {held} |", sh::time(took));
        fs::remove_file(out)?;
        Ok((line, most <= IMPORT_MOST))
    }

    /// The one file brought into Chromium, made Q8 on the way, over a line that breaks ten times; then a step on the processor, held
    /// to what the command line draws with the same file.
    fn brought(&self, name: &str) -> Result<(String, bool)> {
        let at = |ending: &str| self.folder.join(format!("{name}{ending}"));
        let (packed, picture) = (at("-q8.gguf"), at("-q8.png"));
        sh::run(
            self.opengen(&["import", "--accept-licence", "--type", "q8", "--out"])
                .arg(&packed)
                .arg(at(".safetensors")),
        )?;
        sh::run(
            self.opengen(&["generate", "--cpu", "--model"])
                .arg(&packed)
                .args(drawn(REQUEST)?)
                .arg("--out")
                .arg(&picture),
        )?;
        fs::remove_file(packed)?;
        let mut parts = Parts::new();
        dist::whole(dist::Warnings::Shown, &mut parts)?;
        parts.print();
        let mut bring = cmd("node");
        bring.arg("full-size.mjs").arg(at(".safetensors")).arg(picture).arg(REQUEST);
        bring.current_dir(node::ensure(node::TESTS)?).env("OPENGEN_CHROMIUM", chromium::ensure()?);
        let (status, output) = sh::tee(&mut bring)?;
        let row = output.lines().find_map(|line| line.strip_prefix("row: ")).unwrap_or("not done | ");
        Ok((format!("| {name} | one file | Chromium, to q8 | {row} |"), status.success()))
    }

    fn opengen(&self, arguments: &[&str]) -> Command {
        let mut opengen = cmd(self.program);
        opengen.args(arguments).envs(self.variables.iter().cloned());
        opengen
    }
}

/// The two lists that `NAME.run.json` has.
fn arguments(said: &str) -> Result<[Vec<String>; 2]> {
    let said: serde_json::Value = serde_json::from_str(said).context("what the script says of a run")?;
    let list = |name: &str| -> Result<Vec<String>> {
        let values = said[name].as_array().with_context(|| format!("the script says no {name}"))?;
        Ok(values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
    };
    Ok([list("run")?, list("single")?])
}

/// A request of the client's as arguments of `opengen generate`.
fn drawn(request: &str) -> Result<Vec<String>> {
    let request: serde_json::Value = serde_json::from_str(request).context("a request")?;
    let said = |name: &str| request[name].as_str().map_or_else(|| request[name].to_string(), str::to_owned);
    let settings = ["prompt", "steps", "guidance", "sampler", "seed"];
    let mut arguments: Vec<String> =
        settings.iter().flat_map(|name| [format!("--{name}"), said(name)]).collect();
    arguments.extend(["--size".to_string(), format!("{}x{}", said("width"), said("height"))]);
    Ok(arguments)
}

/// The most memory that a process has held, in bytes; Linux tells.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_the_models() {
        let script = fs::read_to_string(sh::root().join(SCRIPT)).unwrap();
        for name in MODELS {
            assert!(script.contains(&format!("\n    \"{name}\": {{")), "{name}");
        }
        let [run, single] = arguments(r#"{"run": ["--steps", "1"], "single": []}"#).unwrap();
        assert_eq!((run.len(), single.len()), (2, 0));
        assert!(arguments("{}").is_err());
    }

    #[test]
    fn the_command_line_is_asked_what_the_client_is() {
        let arguments = drawn(REQUEST).unwrap().join(" ");
        let said = "--prompt a photo of an astronaut riding a horse --steps 1 --guidance 7.5 --sampler euler --seed 15 --size 128x128";
        assert_eq!(arguments, said);
    }

    #[test]
    fn a_process_says_how_much_it_holds() {
        if cfg!(target_os = "linux") {
            assert!(resident(std::process::id()).unwrap() > 100_000);
        }
        assert_eq!(resident(u32::MAX), None);
    }
}
