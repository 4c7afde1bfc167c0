//! What `www/index.html` says that the page consists of: its `data-trunk` links.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

/// How a link to be built begins.
const LINK: &str = "<link data-trunk";

/// A part of the page.
#[derive(PartialEq, Eq, Debug)]
pub enum Asset {
    /// A binary of the crate, which becomes `BIN.js` and `BIN_bg.wasm`, and its cargo features.
    Module { bin: String, features: String },
    /// A file or folder, from `www/`, and what it is called in the page: its own name, in the folder of its
    /// `data-target-path` where it has one.
    Copy { from: PathBuf, to: PathBuf },
}

/// The parts that the links name, in their order.
pub fn assets(html: &str) -> Result<Vec<Asset>> {
    links(html)?.iter().map(|range| asset(&html[range.clone()])).collect()
}

/// The page without those links, which mean nothing to a browser, nor the lines on which they stood alone.
pub fn without_links(html: &str) -> String {
    let mut rest = html;
    let mut kept = String::with_capacity(html.len());
    while let Some(start) = rest.find(LINK) {
        let end = rest[start..].find('>').map_or(rest.len(), |end| start + end + 1);
        kept.push_str(rest[..start].trim_end_matches([' ', '\t']));
        rest = rest[end..].strip_prefix('\n').unwrap_or(&rest[end..]);
    }
    kept + rest
}

fn links(html: &str) -> Result<Vec<Range<usize>>> {
    let mut found = Vec::new();
    for (start, _) in html.match_indices(LINK) {
        let end = html[start..].find('>').context("index.html: a data-trunk link has no end")?;
        found.push(start..start + end);
    }
    Ok(found)
}

fn asset(link: &str) -> Result<Asset> {
    let attributes = attributes(link);
    let attribute = |name: &str| {
        attributes.get(name).cloned().with_context(|| format!("index.html: `{link}>` has no {name}"))
    };
    match attribute("rel")?.as_str() {
        "copy-file" | "copy-dir" => {
            let from = PathBuf::from(attribute("href")?);
            let name = from.file_name().with_context(|| format!("index.html: `{link}>` names no file"))?;
            let folder = attributes.get("data-target-path").map(String::as_str).unwrap_or_default();
            let to = Path::new(folder).join(name);
            if !to.components().all(|part| matches!(part, Component::Normal(_))) {
                bail!("index.html: `{link}>` leads out of the page's folder");
            }
            Ok(Asset::Copy { from, to })
        }
        "rust" => {
            Ok(Asset::Module { bin: attribute("data-bin")?, features: attribute("data-cargo-features")? })
        }
        other => bail!("index.html: `cargo xtask` builds no link with rel=\"{other}\""),
    }
}

/// The attributes that have a value.
fn attributes(link: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = link;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit(char::is_whitespace).next().unwrap_or(before);
        let Some((value, after)) = after.split_once('"') else { break };
        found.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = r#"<head>
  <link rel="stylesheet" href="style.css">
  <link data-trunk rel="rust" href="../Cargo.toml" data-bin="opengen-gpu"
        data-cargo-no-default-features data-cargo-features="module,gpu">
  <link data-trunk rel="copy-file" href="style.css">
  <link data-trunk rel="copy-dir" href="js">
  <link data-trunk rel="copy-file" href="../training/README.md" data-target-path="docs/training">
</head>
"#;

    #[test]
    fn links_become_modules_and_copies() {
        let module = Asset::Module { bin: "opengen-gpu".into(), features: "module,gpu".into() };
        let copy = |from: &str, to: &str| Asset::Copy { from: from.into(), to: to.into() };
        let copies = [
            copy("style.css", "style.css"),
            copy("js", "js"),
            copy("../training/README.md", "docs/training/README.md"),
        ];
        let all = assets(HTML).unwrap();
        assert_eq!(all[0], module);
        assert_eq!(all[1..], copies);
    }

    #[test]
    fn the_page_that_is_served_has_none_of_them() {
        assert_eq!(without_links(HTML), "<head>\n  <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(assets("<link data-trunk rel=\"sass\" href=\"a\">").is_err());
        assert!(assets("<link data-trunk rel=\"copy-file\"").is_err());
        assert!(assets("<link data-trunk rel=\"rust\" data-bin=\"a\">").is_err());
        assert!(assets("<link data-trunk rel=\"copy-dir\" href=\"..\">").is_err());
        let outside = "<link data-trunk rel=\"copy-file\" href=\"a\" data-target-path=\"../b\">";
        assert!(assets(outside).is_err());
    }

    #[test]
    fn the_page_of_this_repository_has_two_modules() {
        let html = std::fs::read_to_string(crate::sh::root().join("www/index.html")).unwrap();
        let assets = assets(&html).unwrap();
        let bins: Vec<_> = assets
            .iter()
            .filter_map(|asset| match asset {
                Asset::Module { bin, .. } => Some(bin.as_str()),
                Asset::Copy { .. } => None,
            })
            .collect();
        assert_eq!(bins, ["opengen-gpu", "opengen-cpu", "opengen-learn"]);
        let docs =
            assets.iter().any(|asset| matches!(asset, Asset::Copy { to, .. } if to.starts_with("docs")));
        assert!(docs, "what www/learn/texts.js links to is shipped");
        assert!(!without_links(&html).contains("data-trunk"));
    }
}
