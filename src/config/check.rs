//! Helpers that read and judge configuration values from outside.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{Error, Result};

/// The most blocks a UNet or autoencoder may have; the known ones have four.
pub const MAX_BLOCKS: usize = 8;
/// The widest layer accepted, so that a hostile file cannot ask for absurd memory; SDXL's widest is 10240.
pub const MAX_CHANNELS: usize = 16384;
/// The most layers accepted in one block or text encoder.
pub const MAX_LAYERS: usize = 128;

/// JSON text to a tree, the error naming the file.
pub fn parse(file: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Error::Json { file: file.to_string(), message: error.to_string() })
}

/// A JSON tree to a configuration type, the error naming the file.
pub fn typed<T: DeserializeOwned>(file: &str, value: Value) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|error| Error::Json { file: file.to_string(), message: error.to_string() })
}

/// `low <= value <= high`, or an error that shows all three.
pub fn within(file: &str, field: &str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(bad(file, format!("{field} is {value}, expected {low} to {high}")))
}

/// `value` is a multiple of `of`, or an error that shows both.
pub fn multiple(file: &str, field: &str, value: usize, of_name: &str, of: usize) -> Result<()> {
    if of != 0 && value.is_multiple_of(of) {
        return Ok(());
    }
    Err(bad(file, format!("{field} is {value}, expected a multiple of {of_name} {of}")))
}

/// A finite, positive number below `high`.
pub fn positive(file: &str, field: &str, value: f64, high: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 && value <= high {
        return Ok(());
    }
    Err(bad(file, format!("{field} is {value}, expected more than 0 and at most {high}")))
}

/// Two numbers that should be equal.
pub fn mismatch(file: &str, left: (&str, usize), right: (&str, usize)) -> Error {
    bad(file, format!("{} is {}, but {} is {}", left.0, left.1, right.0, right.1))
}

/// A configuration that contradicts itself or the engine.
pub fn bad(file: &str, message: String) -> Error {
    Error::BadFile { file: file.to_string(), message }
}

/// Channel counts that fit vec4 loads and the norm groups: one to [`MAX_BLOCKS`] of them.
pub fn channels(file: &str, field: &str, values: &[usize], groups: usize) -> Result<()> {
    within(file, &format!("the length of {field}"), values.len(), 1, MAX_BLOCKS)?;
    for (i, &value) in values.iter().enumerate() {
        let field = format!("{field}[{i}]");
        within(file, &field, value, 4, MAX_CHANNELS)?;
        multiple(file, &field, value, "the vector width", 4)?;
        multiple(file, &field, value, "norm_num_groups", groups)?;
    }
    Ok(())
}

/// A field that only one value (or its absence) is supported for.
pub struct Only {
    pub field: &'static str,
    /// JSON texts of the accepted values; `null`, absence and a list (one per block) of accepted values are accepted
    /// too.
    pub accepted: &'static [&'static str],
    pub why: &'static str,
}

/// Refuses the first field of `value` that asks for something the engine has no kernels for.
pub fn refuse(file: &str, value: &Value, table: &[Only]) -> Result<()> {
    for only in table {
        let Some(found) = value.get(only.field) else { continue };
        let fits = |value: &Value| only.accepted.contains(&value.to_string().as_str());
        let each = |values: &Vec<Value>| !values.is_empty() && values.iter().all(fits);
        if !found.is_null() && !fits(found) && !found.as_array().is_some_and(each) {
            return Err(Error::Unsupported {
                what: format!("{} {found} ({file})", only.field),
                message: only.why.to_string(),
            });
        }
    }
    Ok(())
}

/// A number, or a list of one per block that are all equal: diffusers writes either.
pub fn uniform<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        One(usize),
        PerBlock(Vec<usize>),
    }
    match Number::deserialize(deserializer)? {
        Number::One(value) => Ok(value),
        Number::PerBlock(values) => match values.split_first() {
            Some((first, rest)) if rest.iter().all(|value| value == first) => Ok(*first),
            _ => Err(D::Error::custom(format!(
                "{values:?} differs from block to block, which has no path yet"
            ))),
        },
    }
}

/// Refuses block types outside `known`.
pub fn refuse_blocks(file: &str, value: &Value, field: &str, known: &[&str]) -> Result<()> {
    let names = value.get(field).and_then(Value::as_array).into_iter().flatten();
    for name in names.filter_map(Value::as_str) {
        if !known.contains(&name) {
            return Err(Error::Unsupported {
                what: format!("{field} {name:?} ({file})"),
                message: format!("known block types are {}", known.join(", ")),
            });
        }
    }
    Ok(())
}
