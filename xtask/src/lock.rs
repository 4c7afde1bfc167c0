//! Cargo.lock, read for the versions that tools must match.

use anyhow::{Context, Result};
use std::fs;

/// The locked version of a package.
pub fn version(package: &str) -> Result<String> {
    let path = crate::sh::root().join("Cargo.lock");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    find(&text, package)?.with_context(|| format!("Cargo.lock has no package {package}"))
}

fn find(lock: &str, package: &str) -> Result<Option<String>> {
    let lock: toml::Table = toml::from_str(lock).context("Cargo.lock is not valid TOML")?;
    let packages =
        lock.get("package").and_then(|list| list.as_array()).context("Cargo.lock lists no packages")?;
    let field = |entry: &toml::Value, name: &str| entry.get(name)?.as_str().map(str::to_owned);
    Ok(packages
        .iter()
        .find(|entry| field(entry, "name").as_deref() == Some(package))
        .and_then(|entry| field(entry, "version")))
}

#[cfg(test)]
mod tests {
    use super::find;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "wasm-bindgen-macro"
version = "0.1.0"

[[package]]
name = "wasm-bindgen"
version = "0.2.130"
source = "registry+https://github.com/rust-lang/crates.io-index"
"#;

    #[test]
    fn finds_the_package_of_exactly_that_name() {
        assert_eq!(find(LOCK, "wasm-bindgen").unwrap().as_deref(), Some("0.2.130"));
        assert_eq!(find(LOCK, "wasm").unwrap(), None);
        assert!(find("not toml [", "wasm-bindgen").is_err());
    }

    #[test]
    fn knows_this_repository() {
        assert!(super::version("wasm-bindgen").unwrap().starts_with("0.2."));
    }
}
