//! Two reports side by side: `--compare` prints how many times as long everything takes as it did in an earlier one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use opengen::error::Result;

/// How a benchmark's report is printed.
pub struct Printing {
    /// The report as JSON instead of tables.
    pub json: bool,
    earlier: Option<Earlier>,
}

struct Earlier {
    path: PathBuf,
    report: Value,
}

/// What both reports have a time of.
struct Pair {
    list: String,
    name: String,
    before_ms: f64,
    now_ms: f64,
}

impl Printing {
    /// Reads the earlier report, which `--json` printed.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has no time that a report would have.
    pub fn new(json: bool, compare: Option<&Path>) -> Result<Printing> {
        let Some(path) = compare else { return Ok(Printing { json, earlier: None }) };
        let refuse = |why: String| crate::invalid("compare", format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        let report: Value = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        if times(&report).is_empty() {
            return Err(refuse("is no report of `opengen bench --json`".to_string()));
        }
        Ok(Printing { json, earlier: Some(Earlier { path: path.to_path_buf(), report }) })
    }

    /// Ends a report: prints it if JSON was asked for, and what has changed since the earlier one.
    pub fn end(&self, mut report: Value) {
        if let Some(Earlier { path, report: earlier }) = &self.earlier {
            let pairs = pairs(earlier, &report);
            if self.json {
                report["compared"] = pairs.iter().map(Pair::json).collect();
            } else {
                print(path, earlier, &report, &pairs);
            }
        }
        if self.json {
            println!("{report:#}");
        }
    }
}

impl Pair {
    /// How many times as long as before.
    fn ratio(&self) -> f64 {
        self.now_ms / self.before_ms
    }

    fn json(&self) -> Value {
        json!({ "list": self.list, "name": self.name, "before_ms": self.before_ms, "now_ms": self.now_ms,
                "ratio": self.ratio() })
    }
}

fn print(path: &Path, earlier: &Value, report: &Value, pairs: &[Pair]) {
    println!("\nbeside {}", path.display());
    for key in ["adapter", "tuning"] {
        if earlier[key] != report[key] {
            println!("of another {key}: {}", name_of(&earlier[key]));
        }
    }
    println!("{:<92}{:>11} {:>11} {:>8}", "", "ms before", "ms now", "ratio");
    for pair in pairs {
        let Pair { list, name, before_ms, now_ms } = pair;
        println!("{:<92}{before_ms:>11.3} {now_ms:>11.3} {:>8.2}", format!("{list}: {name}"), pair.ratio());
    }
    if pairs.is_empty() {
        println!("nothing was measured in both");
    }
}

/// An adapter by its name, anything else as it is.
fn name_of(value: &Value) -> String {
    value["adapter"].as_str().or(value.as_str()).map_or_else(|| value.to_string(), str::to_string)
}

fn pairs(earlier: &Value, report: &Value) -> Vec<Pair> {
    let before = times(earlier);
    let both = times(report).into_iter().filter_map(|((list, name), now_ms)| {
        let before_ms = *before.get(&(list.clone(), name.clone()))?;
        Some(Pair { list, name, before_ms, now_ms })
    });
    both.collect()
}

/// Milliseconds by list and name: of every row of every list that has a time above zero.
fn times(report: &Value) -> BTreeMap<(String, String), f64> {
    let mut found = BTreeMap::new();
    let lists = report.as_object().into_iter().flatten().filter(|(list, _)| *list != "compared");
    for (list, rows) in lists {
        for row in rows.as_array().into_iter().flatten() {
            let ms = row["ms"].as_f64().or(row["us"].as_f64().map(|us| us / 1e3)).filter(|ms| *ms > 0.0);
            let name: Vec<_> =
                ["elem", "case", "variant", "name"].iter().filter_map(|key| row[*key].as_str()).collect();
            if let (Some(ms), false) = (ms, name.is_empty()) {
                found.insert((list.clone(), name.join(" ")), ms);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_compared_whatever_its_unit() {
        let earlier = json!({ "adapter": { "adapter": "one" },
            "stages": [{ "name": "decoder", "ms": 4.0 }, { "name": "gone", "ms": 1.0 }, { "name": "nothing", "ms": 0.0 }],
            "products": [{ "elem": "f16", "case": "conv", "variant": "a", "us": 500.0 }] });
        let now = json!({ "stages": [{ "name": "decoder", "ms": 3.0 }, { "name": "nothing", "ms": 1.0 }],
            "products": [{ "elem": "f16", "case": "conv", "variant": "a", "us": 1000.0 },
                         { "elem": "f32", "case": "conv", "variant": "a", "us": 1.0 }],
            "encoding": [{ "name": "decoder", "us_per_dispatch": 1.0 }] });
        let found: Vec<_> =
            pairs(&earlier, &now).iter().map(|pair| (pair.name.clone(), pair.ratio())).collect();
        assert_eq!(found, [("f16 conv a".to_string(), 2.0), ("decoder".to_string(), 0.75)]);
    }

    #[test]
    fn what_is_no_report_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.json", "no JSON"), ("b.json", "{}"), ("c.json", "[1]")] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let error = Printing::new(false, Some(&path)).err().expect("refused").to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(Printing::new(false, Some(&folder.path().join("missing.json"))).is_err());
    }
}
