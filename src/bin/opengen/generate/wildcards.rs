//! Templates on the command line: their lists lie in a folder, a text file each.

use std::path::Path;

use opengen::error::Result;
use opengen::prompt::{Wildcards, expand as expanded};

use super::{Args, io};

/// Makes of the prompts, where they are templates, what the seed makes of them.
pub fn expand(args: &mut Args) -> Result<()> {
    let Some(folder) = &args.wildcards else { return Ok(()) };
    let mut wildcards = Wildcards::default();
    if let Some(folder) = folder {
        read(folder, "", &mut wildcards)?;
    }
    let given = [args.prompt.clone().unwrap_or_default(), args.negative.clone()];
    let made = expanded(given.each_ref().map(String::as_str), &wildcards, args.seed)?;
    args.templates = [0, 1].map(|i| (given[i] != made[i]).then(|| given[i].clone()));
    let [prompt, negative] = made;
    args.prompt = args.prompt.take().map(|_| prompt);
    args.negative = negative;
    Ok(())
}

/// The lists of a folder and of those in it: `hats.txt` in `clothes` is `clothes/hats`.
fn read(folder: &Path, prefix: &str, wildcards: &mut Wildcards) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|e| io(folder, &e))? {
        let path = entry.map_err(|e| io(folder, &e))?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            read(&path, &format!("{prefix}{stem}/"), wildcards)?;
        } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt")) {
            let text = std::fs::read_to_string(&path).map_err(|e| io(&path, &e))?;
            wildcards.insert(format!("{prefix}{stem}"), &text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_named_by_their_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("clothes")).expect("a folder");
        std::fs::write(folder.path().join("clothes/hats.txt"), "# hats\nfez\n").expect("written");
        std::fs::write(folder.path().join("readme.md"), "no list").expect("written");
        let mut wildcards = Wildcards::default();
        read(folder.path(), "", &mut wildcards).expect("read");
        let made = expanded(["a __clothes/hats__"], &wildcards, 1).expect("made");
        assert_eq!(made, ["a fez"]);
        assert!(expanded(["__readme__"], &wildcards, 1).is_err());
    }
}
