//! `opengen models`: what lies in the user's folder of models, and what can be had.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::{Value, json};

use opengen::error::{Error, Result};
use opengen::weights::{KEPT, License, ModelSource, OpenOptions, SourceType};

use crate::catalogue::{self, Entry};
use crate::inspect;

/// Names the folder of models in the place of the usual one.
const VARIABLE: &str = "OPENGEN_MODELS";
/// How files of models end.
const ENDINGS: [&str; 2] = ["gguf", "safetensors"];

/// List the models that are here, and those that can be had. Nothing is fetched.
#[derive(Parser)]
pub struct Args {
    /// As JSON: the folder, what is in it, and the catalogue.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let folder = folder()?;
    let here = local(&folder)?;
    match args.json {
        true => println!("{:#}", report(&folder, &here)),
        false => print!("{}", text(&folder, &here)),
    }
    Ok(())
}

/// Where `import` puts models and `--model NAME` finds them.
pub fn folder() -> Result<PathBuf> {
    place(&|name| std::env::var_os(name)).ok_or_else(|| Error::InvalidInput {
        field: "models",
        message: format!("this system names no folder for a user's files: set {VARIABLE} to one for models"),
    })
}

fn place(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(asked) = variable(VARIABLE).filter(|asked| !asked.is_empty()) {
        return Some(PathBuf::from(asked));
    }
    let data = if cfg!(windows) {
        path("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        path("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        path("XDG_DATA_HOME").or_else(|| path("HOME").map(|home| home.join(".local/share")))
    };
    Some(data?.join("opengen/models"))
}

/// What a model in the folder is called: its file without the ending, or its folder.
pub fn name_of(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// The models in a folder, by name: files of weights, and folders in diffusers' layout.
fn local(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(crate::generate::io(folder, &error)),
    };
    let ends = |path: &Path| path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
    let mut found: Vec<PathBuf> = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| match path.is_dir() {
            true => path.join("model_index.json").is_file(),
            false => ends(path),
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The model of a name in the folder: `sd-turbo` is also `sd-turbo-q8.gguf`, where there is no other of that name.
pub fn find(name: &str) -> Result<PathBuf> {
    let folder = folder()?;
    among(name, &folder, local(&folder)?)
}

fn among(name: &str, folder: &Path, here: Vec<PathBuf>) -> Result<PathBuf> {
    let typed = |rest: &str| {
        let of = |(short, ty): (&str, &SourceType)| rest == short || rest.eq_ignore_ascii_case(ty.name());
        KEPT.iter().any(|(_, short, ty)| of((*short, ty)))
    };
    let exact = |path: &&PathBuf| name_of(path).eq_ignore_ascii_case(name);
    let of_a_type = |path: &&PathBuf| {
        name_of(path).strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(typed)
    };
    let mut found: Vec<&PathBuf> = here.iter().filter(exact).collect();
    if found.is_empty() {
        found = here.iter().filter(of_a_type).collect();
    }
    match found[..] {
        [path] => Ok(path.clone()),
        [] => Err(not_here(name, folder, &here)),
        _ => {
            let files = found.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy());
            let message =
                format!("{name:?} may be {}: give the path", files.collect::<Vec<_>>().join(" or "));
            Err(Error::InvalidInput { field: "model", message })
        }
    }
}

fn not_here(name: &str, folder: &Path, here: &[PathBuf]) -> Error {
    let message = match catalogue::entries().find(|entry| entry.id == name) {
        Some(entry) => format!(
            "{} is not in {}: fetch it ({}), then `opengen import`",
            entry.name,
            folder.display(),
            way(&entry).join(", ")
        ),
        None => {
            let names = here.iter().map(|path| name_of(path)).collect::<Vec<_>>().join(", ");
            let there = if names.is_empty() { "nothing".to_string() } else { names };
            format!("no such file or folder; in {} there is {there} (`opengen models`)", folder.display())
        }
    };
    Error::Io { path: name.to_string(), message }
}

/// What is told of a model in the folder.
struct Facts {
    family: String,
    /// The type of most of its bytes.
    ty: &'static str,
    license: Option<License>,
    width: usize,
    height: usize,
}

fn facts(path: &Path) -> Result<Facts> {
    let source = ModelSource::open_with(path, &OpenOptions::default())?;
    let [width, height] = source.config().native_size();
    Ok(Facts {
        family: inspect::family(source.family(), source.config()),
        ty: inspect::types(source.header()).first().map_or("nothing", |(ty, ..)| ty.name()),
        license: source.license().cloned(),
        width,
        height,
    })
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> u64 {
    let Ok(found) = std::fs::metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.map(|file| size(&file.path())).sum()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

fn text(folder: &Path, here: &[PathBuf]) -> String {
    let mut lines = vec![format!("In {}:", folder.display())];
    for path in here {
        let bytes = megabytes(size(path));
        lines.push(match facts(path) {
            Ok(Facts { family, ty, license, width, height }) => {
                let license = license.map_or(License::UNKNOWN.to_string(), |license| license.to_string());
                format!(
                    "  {:<20} {bytes}, {ty}; {family}, {width}×{height}; licence {license}",
                    name_of(path)
                )
            }
            Err(error) => format!("  {:<20} {bytes}: {error}", name_of(path)),
        });
    }
    if here.is_empty() {
        lines.push("  nothing yet; `opengen import FILE` puts a model there".to_string());
    }
    lines.push(String::new());
    lines.push("What can be had (docs/models.md has the licences):".to_string());
    for entry in catalogue::entries() {
        let Entry { id, name, about, family, download, .. } = &entry;
        let kept = entry
            .kept()
            .map(|(ty, bytes)| format!("{ty} {}", megabytes(bytes)))
            .collect::<Vec<_>>()
            .join(", ");
        lines.push(format!("  {id:<20} {name}: {about}"));
        lines.push(format!("  {:<20} {family}; licence {}", "", entry.license()));
        lines.push(format!("  {:<20} downloads {}; kept as {kept}", "", megabytes(*download)));
        if entry.missing.is_some() {
            lines.push(format!("  {:<20} what its files are called is not known here", ""));
        }
        lines.extend(way(&entry).iter().map(|way| format!("  {:<20} {way}", "")));
    }
    lines.push(String::new());
    lines.push(
        "Fetch one with any program, for a folder `hf download REPOSITORY --local-dir FOLDER`, then"
            .to_string(),
    );
    lines.push(
        "`opengen import FOLDER`; after that its name is enough: `opengen generate --model NAME`."
            .to_string(),
    );
    lines.join("\n") + "\n"
}

/// Where an entry's files are, a line each.
fn way(entry: &Entry) -> Vec<String> {
    let of = |source: &catalogue::Source| {
        let parts = source.parts.as_ref().map(|parts| format!(" for {}", parts.join(", ")));
        format!("{}{}", source.page(), parts.unwrap_or_default())
    };
    entry.sources.iter().map(of).collect()
}

fn report(folder: &Path, here: &[PathBuf]) -> Value {
    let of = |path: &PathBuf| {
        let known = json!({ "name": name_of(path), "path": path, "bytes": size(path) });
        let more = match facts(path) {
            Ok(Facts { family, ty, license, width, height }) => {
                json!({ "family": family, "type": ty, "license": license, "width": width, "height": height })
            }
            Err(error) => json!({ "problem": error.to_string() }),
        };
        let fields = [known, more].into_iter().filter_map(|value| match value {
            Value::Object(fields) => Some(fields),
            _ => None,
        });
        Value::Object(fields.flatten().collect())
    };
    json!({ "folder": folder, "here": here.iter().map(of).collect::<Vec<_>>(), "catalogue": catalogue::CATALOGUE.models })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www/models/mini/mini-q8_0.gguf");

    #[test]
    fn the_folder_is_the_users_or_the_one_that_is_asked_for() {
        let with = |set: &[(&str, &str)]| {
            let set: Vec<(String, OsString)> =
                set.iter().map(|(name, value)| (name.to_string(), value.into())).collect();
            place(&|name| set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[(VARIABLE, "here"), ("HOME", "/h")]), Some("here".into()));
        if cfg!(target_os = "linux") {
            assert_eq!(with(&[("HOME", "/h")]), Some("/h/.local/share/opengen/models".into()));
            assert_eq!(with(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]), Some("/d/opengen/models".into()));
            let relative = [("HOME", "/h"), ("XDG_DATA_HOME", "d"), (VARIABLE, "")];
            assert_eq!(with(&relative), Some("/h/.local/share/opengen/models".into()));
        }
    }

    /// A folder with a model, one of its kind in two types, something that is none, and what is not looked at.
    fn stocked() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::copy(MINI, at("mini-q8.gguf")).unwrap();
        for name in ["dog-q8.gguf", "dog-q4_0.gguf", "dog-house.safetensors", "notes.txt"] {
            std::fs::write(at(name), "no model").unwrap();
        }
        std::fs::create_dir(at("empty")).unwrap();
        folder
    }

    #[test]
    fn what_is_here_is_listed_and_what_is_broken_says_so() {
        let folder = stocked();
        let here = local(folder.path()).unwrap();
        let names: Vec<String> = here.iter().map(|path| name_of(path)).collect();
        assert_eq!(names, ["dog-house", "dog-q4_0", "dog-q8", "mini-q8"]);
        let said = text(folder.path(), &here);
        let line = |name: &str| said.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(
            line("mini-q8").contains("15 MB, Q8_0; a GGUF of OpenGen") && line("mini-q8").contains("128×128")
        );
        assert!(line("dog-q8").contains("dog-q8.gguf"), "{}", line("dog-q8"));
        for entry in catalogue::entries() {
            assert!(line(&format!("{} ", entry.id)).contains(&entry.name));
        }
        assert!(
            said.contains("downloads 2133 MB; kept as f16 2134 MB, q8 1170 MB, small 816 MB, q4 749 MB"),
            "{said}"
        );

        let report = report(folder.path(), &here);
        assert_eq!(report["here"][3]["width"], 128);
        assert!(report["here"][0]["problem"].is_string() && report["here"][3]["problem"].is_null());
        assert_eq!(report["catalogue"].as_array().unwrap().len(), catalogue::entries().count());
    }

    #[test]
    fn a_name_is_enough() {
        let folder = stocked();
        let of = |name: &str| {
            among(name, folder.path(), local(folder.path()).unwrap())
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .map_err(|error| error.to_string())
        };
        assert_eq!(of("mini-q8").as_deref(), Ok("mini-q8.gguf"));
        assert_eq!(of("Mini-Q8").as_deref(), Ok("mini-q8.gguf"));
        assert_eq!(of("mini").as_deref(), Ok("mini-q8.gguf"));
        assert_eq!(of("dog-house").as_deref(), Ok("dog-house.safetensors"));
        let two = of("dog").unwrap_err();
        assert!(two.contains("dog-q4_0.gguf or dog-q8.gguf"), "{two}");
        let none = of("cat").unwrap_err();
        assert!(none.contains("no such file") && none.contains("dog-house, dog-q4_0"), "{none}");
        let known = of("sd-turbo").unwrap_err();
        assert!(
            known.contains("SD-Turbo") && known.contains("https://huggingface.co/stabilityai/sd-turbo"),
            "{known}"
        );
        let nowhere = local(&folder.path().join("missing")).unwrap();
        assert_eq!(nowhere, [""; 0].map(PathBuf::from));
    }
}
