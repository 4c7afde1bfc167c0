//! The rooms of `src/` depend on each other in one direction; this reads the sources and holds them to it.
//!
//! Test modules are not looked at: what a test compares with is its own affair.

use crate::dist;
use crate::rooms::Rooms;
use crate::sh;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Libraries that one room keeps to itself, so that the others stay free of devices and browsers.
const KEPT: &[(&str, &[&str])] = &[
    ("wgpu", &["gpu"]),
    ("candle_nn", &["oracle"]),
    ("candle_transformers", &["oracle"]),
    ("wasm_bindgen", BROWSER),
    ("wasm_bindgen_futures", BROWSER),
    ("serde_wasm_bindgen", BROWSER),
    ("console_error_panic_hook", BROWSER),
    ("web_sys", BROWSER),
    ("js_sys", BROWSER),
    ("gloo", BROWSER),
    ("idb", BROWSER),
];

/// The rooms that may know of the browser; `store` for its half that is IndexedDB.
const BROWSER: &[&str] = &["web", "store"];

/// Reads all of `src/` and fails with every arrow that points the wrong way.
pub fn check() -> Result<()> {
    let src = sh::root().join("src");
    let order = Rooms::read()?;
    let mut problems = map_problems(&order, &fs::read_to_string(src.join("lib.rs"))?);
    let mut rooms = BTreeSet::new();
    for name in dist::files(&src)? {
        if name.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        let text = fs::read_to_string(src.join(&name))
            .with_context(|| format!("cannot read src/{}", name.display()))?;
        if let Some(room) = room_of(&name) {
            rooms.insert(room.clone());
            problems.extend(problems_in(&order, &name, &room, &text));
        }
    }
    problems.extend(
        rooms
            .iter()
            .filter(|room| order.find(room).is_none())
            .map(|room| format!("src/{room}: a room without a line in the table of docs/architecture.md")),
    );
    if !problems.is_empty() {
        bail!("dependencies point the wrong way:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// The room that a file belongs to; none for `lib.rs`, which names them all, for programs and for tests.
fn room_of(file: &Path) -> Option<String> {
    let first = file.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs");
    let outside =
        matches!(first, "lib" | "bin" | "main") || file.file_stem().is_some_and(|stem| stem == "tests");
    (!outside).then(|| first.to_owned())
}

/// The map in `lib.rs` names the same rooms in the same order.
fn map_problems(order: &Rooms, lib: &str) -> Vec<String> {
    let entries = lib.lines().filter_map(|line| line.strip_prefix("//! - "));
    let map: Vec<&str> = entries.filter_map(|entry| entry.split('`').nth(1)).collect();
    if map == order.names() {
        return Vec::new();
    }
    vec![format!("src/lib.rs lists {map:?}, docs/architecture.md {:?}", order.names())]
}

fn problems_in(order: &Rooms, file: &Path, room: &str, text: &str) -> Vec<String> {
    let own = order.find(room);
    let mut problems = Vec::new();
    for Used { line, path } in paths(text, depth(file)) {
        let name = path.join("::");
        let at = format!("src/{}:{line}", file.display());
        match path.split_first() {
            Some((first, rest)) if first == "crate" => {
                let is_other = |other: &&String| order.find(other).is_some() && *other != room;
                let Some(other) = rest.first().filter(is_other) else { continue };
                let item = rest.get(1).map(String::as_str);
                if !own.is_some_and(|own| own.may_use(other, item)) {
                    problems.push(format!("{at}: {room} must not use {other} ({name})"));
                }
            }
            Some((first, _)) => {
                let keepers = KEPT.iter().find(|(library, _)| library == first).map(|(_, keepers)| keepers);
                if let Some(keepers) = keepers.filter(|keepers| !keepers.contains(&room)) {
                    problems.push(format!(
                        "{at}: {room} must not use the library {first}, kept to {}",
                        keepers.join(", ")
                    ));
                }
            }
            None => {}
        }
    }
    problems
}

/// How many `super` lead from a file's module to the crate's root.
fn depth(file: &Path) -> usize {
    file.components().count() - usize::from(file.file_name().is_some_and(|name| name == "mod.rs"))
}

/// A path in the source: `crate::room::item` or `library::item`.
struct Used {
    line: usize,
    path: Vec<String>,
}

struct Token {
    line: usize,
    text: String,
}

/// Every path of a source, with groups spread out, and `super`s that reach the root written as `crate`.
fn paths(text: &str, depth: usize) -> Vec<Used> {
    let tokens = without_tests(tokens(text));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = is_word(&tokens[at].text) && (at == 0 || tokens[at - 1].text != "::");
        let next = tokens.get(at + 1).map(|token| token.text.as_str());
        let used = at > 0 && tokens[at - 1].text == "use" && matches!(next, Some(";" | "as"));
        if !starts || !(next == Some("::") || used) {
            at += 1;
            continue;
        }
        let line = tokens[at].line;
        let (branches, end) = tree(&tokens, at);
        at = end.max(at + 1);
        for mut path in branches {
            let ups = path.iter().take_while(|part| *part == "super").count();
            if ups == depth && ups > 0 {
                path.splice(..ups, ["crate".to_owned()]);
            }
            found.push(Used { line, path });
        }
    }
    found
}

/// The paths of the tree that starts at a token, and where it ends.
fn tree(tokens: &[Token], start: usize) -> (Vec<Vec<String>>, usize) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut path = Vec::new();
    let mut at = start;
    loop {
        if text(at) == "{" {
            return group(tokens, at, &path);
        }
        if !is_word(text(at)) && text(at) != "*" {
            return (vec![path], at);
        }
        path.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            return (vec![path], at);
        }
        at += 1;
    }
}

fn group(tokens: &[Token], open: usize, head: &[String]) -> (Vec<Vec<String>>, usize) {
    let mut all = Vec::new();
    let mut at = open + 1;
    while let Some(token) = tokens.get(at).filter(|token| token.text != "}") {
        if !is_word(&token.text) && token.text != "*" && token.text != "{" {
            at += 1;
            continue;
        }
        let (branches, end) = tree(tokens, at);
        all.extend(branches.into_iter().map(|branch| [head, &branch].concat()));
        at = end.max(at + 1);
        if tokens.get(at).is_some_and(|token| token.text == "as") {
            at += 2;
        }
    }
    (all, at + 1)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Leaves out `#[cfg(test)]` and the item that follows it.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    let mut window: Vec<Token> = Vec::new();
    while let Some(token) = rest.next() {
        window.push(token);
        let full = window.len() == MARK.len();
        if full && window.iter().zip(MARK).all(|(token, mark)| token.text == mark) {
            window.clear();
            let mut open = 0_usize;
            for token in rest.by_ref() {
                match token.text.as_str() {
                    "{" => open += 1,
                    "}" => open = open.saturating_sub(1),
                    _ => {}
                }
                if open == 0 && matches!(token.text.as_str(), "}" | ";") {
                    break;
                }
            }
        } else if full {
            kept.push(window.remove(0));
        }
    }
    kept.extend(window);
    kept
}

/// Words, `::` and single signs of a source, without comments, strings and character literals.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => i = until(&chars, i, "\n"),
            '/' if at(i + 1) == '*' => i = comment_end(&chars, i),
            '"' => i = string_end(&chars, i),
            'r' if raw_hashes(&chars, i + 1).is_some() => {
                let hashes = raw_hashes(&chars, i + 1).unwrap_or(0);
                i = until(&chars, i + hashes + 2, &format!("\"{}", "#".repeat(hashes)));
            }
            // A lifetime is a quote too; a literal is closed by the second one.
            '\'' if at(i + 1) == '\\' => i = until(&chars, i + 3, "'"),
            '\'' if at(i + 2) == '\'' => i += 3,
            ':' if at(i + 1) == ':' => {
                found.push(Token { line, text: "::".into() });
                i += 2;
            }
            c if word(c) => {
                while word(at(i)) {
                    i += 1;
                }
                found.push(Token { line, text: chars[start..i].iter().collect() });
            }
            c => {
                if !c.is_whitespace() {
                    found.push(Token { line, text: c.into() });
                }
                i += 1;
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// The place behind the next occurrence of `end`.
fn until(chars: &[char], from: usize, end: &str) -> usize {
    let end: Vec<char> = end.chars().collect();
    let rest = chars.get(from..).unwrap_or_default();
    rest.windows(end.len()).position(|part| part == end).map_or(chars.len(), |found| from + found + end.len())
}

fn comment_end(chars: &[char], from: usize) -> usize {
    let mut open = 0;
    let mut i = from;
    while i < chars.len() {
        match chars.get(i..i + 2) {
            Some(['/', '*']) => open += 1,
            Some(['*', '/']) => open -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if open == 0 {
            break;
        }
    }
    i
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// The number of `#` of a raw string's opening, when there is one.
fn raw_hashes(chars: &[char], from: usize) -> Option<usize> {
    let rest = chars.get(from..)?;
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        let file = Path::new(file);
        problems_in(&Rooms::read().unwrap(), file, &room_of(file).unwrap(), text)
    }

    #[test]
    fn this_repository_keeps_its_direction() {
        check().unwrap();
    }

    #[test]
    fn the_map_in_lib_rs_is_held_to_the_table() {
        let order = Rooms::read().unwrap();
        assert_eq!(map_problems(&order, "//! - [`error`]: one.\n//! - [`config`]: two.\n").len(), 1);
    }

    #[test]
    fn an_arrow_against_the_order_is_found_in_every_spelling() {
        let all = [
            "use crate::gpu::Context;",
            "use crate::{error::Result, gpu};",
            "use crate::{\n    plan::{self, Plan},\n    gpu::{Context as C, Options},\n};",
            "fn f() { crate::gpu::run(); }",
            "pub(crate) use super::super::gpu::Context;",
            "fn f(x: &'static crate::gpu::Context) -> Vec<crate::gpu::Context> { 'a' }",
        ];
        for text in all {
            let problems = found("model/unet.rs", text);
            assert!(
                !problems.is_empty() && problems.iter().all(|p| p.contains("model must not use gpu")),
                "{text}"
            );
        }
        assert_eq!(found("model/unet.rs", all[2])[0].split(' ').next(), Some("src/model/unet.rs:1:"));
    }

    #[test]
    fn arrows_along_the_order_are_fine() {
        assert!(
            found("model/unet.rs", "use crate::{Error, Result, plan::*, kernels::gemm::Gemm};").is_empty()
        );
        assert!(found("model/unet.rs", "use super::clip; use super::super::plan::Plan;").is_empty());
        assert!(found("gpu/mod.rs", "use wgpu::Device; use crate::plan::Plan;").is_empty());
        assert!(found("store/browser.rs", "use idb::Database; use js_sys::Uint8Array;").is_empty());
        assert!(
            found("web/mod.rs", "use crate::pipeline::Pipeline; use wasm_bindgen::prelude::*;").is_empty()
        );
    }

    #[test]
    fn weights_know_the_declarations_of_a_plan_and_no_more() {
        assert!(found("weights/pack.rs", "use crate::plan::{WeightDecl, WeightKind, Part};").is_empty());
        assert_eq!(found("weights/pack.rs", "use crate::plan::{WeightDecl, Plan};").len(), 1);
        assert_eq!(found("plan/mod.rs", "use crate::weights::Header;").len(), 1);
    }

    #[test]
    fn libraries_stay_where_they_belong() {
        let problems =
            found("pipeline/mod.rs", "use wgpu::Buffer;\nfn f() { web_sys::window(); }\nuse gloo;");
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[1].starts_with("src/pipeline/mod.rs:2:"));
    }

    #[test]
    fn comments_strings_and_tests_are_not_code() {
        let text = r##"
            // crate::gpu::a /* crate::gpu::b
            /* crate::gpu::c /* nested */ crate::gpu::d */
            const A: &str = "crate::gpu::e \" crate::gpu::f";
            const B: &str = r#"crate::gpu::g " crate::gpu::h"#;
            const C: [char; 3] = ['"', '\'', '\u{7f}'];
            #[cfg(test)]
            mod tests {
                use crate::gpu::Context;
                fn f() { if true {} }
            }
        "##;
        assert_eq!(found("model/unet.rs", text), Vec::<String>::new());
        let after = format!("{text}\nuse crate::gpu::Context;");
        assert_eq!(found("model/unet.rs", &after).len(), 1);
    }
}
