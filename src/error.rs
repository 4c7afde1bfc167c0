//! The one error type of the crate: a variant per way things go wrong, naming the thing and showing both sides.

/// Everything that can go wrong, from a bad prompt to a lost GPU.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A setting outside what the model or the engine can do.
    #[error("{field}: {message}")]
    InvalidInput { field: &'static str, message: String },

    /// A weight file that is not what it says it is.
    #[error("{file}: {message}")]
    BadFile { file: String, message: String },

    /// A weight file that breaks off: the rest of it did not arrive.
    #[error("{file}: {}; download it again ({detail})", incomplete(*bytes, *needed))]
    Incomplete { file: String, bytes: u64, needed: u64, detail: String },

    /// A file that is whole, and another thing than a model for this engine.
    #[error("{file}: this is {what}: {advice}")]
    OtherFile {
        file: String,
        what: String,
        advice: String,
        /// What has a use here of its own: "lora", "embedding", "controlnet", "upscaler".
        kind: Option<&'static str>,
    },

    /// A checkpoint in one file brings no tokenizer, and the caller gave none either.
    #[error("{file}: CLIP's vocabulary is needed to read it, and is not here")]
    NoVocabulary { file: String },

    /// Tensors missing, extra or of another shape than the configuration asks for: all of them at once.
    #[error("{file}: {}", list(problems))]
    Tensors { file: String, problems: Vec<TensorProblem> },

    /// A JSON document (configuration, manifest, tokenizer) that cannot be read.
    #[error("{file}: not the expected JSON: {message}")]
    Json { file: String, message: String },

    /// A configuration that is readable but describes something the engine has no kernels for.
    #[error("{what} is not supported: {message}")]
    Unsupported { what: String, message: String },

    /// The operating system refused to read or write.
    #[error("{path}: {message}")]
    Io { path: String, message: String },

    /// The network refused, broke off or answered with something that is no model.
    #[error("{url}: {message}")]
    Network { url: String, message: String, retryable: bool },

    /// A stored chunk whose checksum no longer matches.
    #[error(
        "stored model {model}: chunk {chunk} is damaged (checksum {found:08x}, expected {expected:08x}); fetch the model again"
    )]
    DamagedChunk { model: String, chunk: usize, expected: u32, found: u32 },

    /// The browser has no room for, or refuses, storage.
    #[error("not enough storage for {model}: {needed} bytes needed, {free} bytes free")]
    Quota { model: String, needed: u64, free: u64 },

    /// The browser's storage failed in another way.
    #[error("storage: {message}")]
    Storage { message: String },

    /// No usable GPU adapter.
    #[error("no usable GPU: {message}")]
    NoGpu { message: String },

    /// The GPU, or the processor, ran out of memory.
    #[error("out of memory: {message}")]
    OutOfMemory { message: String },

    /// The GPU device was lost.
    #[error("the GPU device was lost: {message}")]
    DeviceLost { message: String },

    /// The GPU refused a shader, a buffer or a submission.
    #[error("GPU: {message}")]
    Gpu { message: String },

    /// The CPU path, or candle, refused an operation.
    #[error("CPU path: {message}")]
    Cpu { message: String },

    /// The model computed a picture of values that are infinite or no numbers.
    #[error("the model computed values that are no numbers; the checkpoint may be damaged, or need f32")]
    NoNumbers,

    /// Weights of a file are infinite or no numbers.
    #[error("{file}: {}", non_finite(tensors))]
    NonFinite { file: String, tensors: Vec<(String, u64)> },

    /// The caller asked to stop.
    #[error("cancelled")]
    Aborted,
}

/// What is wrong with one tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    #[error("missing tensor {name} {expected:?}")]
    Missing { name: String, expected: Vec<usize> },
    #[error("unexpected tensor {name} {found:?}")]
    Extra { name: String, found: Vec<usize> },
    #[error("tensor {name} has shape {found:?}, expected {expected:?}")]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("tensor {name} has type {found}, expected floats or a known block type")]
    Type { name: String, found: String },
}

/// `Result` with the crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// At most ten problems spelled out, the rest counted.
pub(crate) fn list(problems: &[TensorProblem]) -> String {
    const SHOWN: usize = 10;
    let mut text = problems.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if problems.len() > SHOWN {
        text.push_str(&format!("; and {} more", problems.len() - SHOWN));
    }
    text
}

/// What is wrong with weights that are no numbers: by tensor, how many.
fn non_finite(tensors: &[(String, u64)]) -> String {
    const SHOWN: usize = 10;
    let of = |(name, count): &(String, u64)| format!("{count} of {name}");
    let mut text = tensors.iter().take(SHOWN).map(of).collect::<Vec<_>>().join(", ");
    if tensors.len() > SHOWN {
        text.push_str(&format!(" and some of {} more tensors", tensors.len() - SHOWN));
    }
    format!(
        "weights are infinite or no numbers ({text}), and what it draws would be too: it is damaged, or was merged or converted wrongly; \
         get it anew, or from elsewhere"
    )
}

/// "the file is incomplete: 7.60 of at least 7.66 MB", with as many digits as tell the two apart.
pub(crate) fn incomplete(bytes: u64, needed: u64) -> String {
    let unit = |count: u64| match count {
        0..1_000 => (1.0, "bytes"),
        1_000..1_000_000 => (1e3, "kB"),
        _ => (1e6, "MB"),
    };
    let ((by, name), (by_needed, name_needed)) = (unit(bytes), unit(needed));
    let write = |count: u64, by: f64, digits: usize| {
        let digits = if by == 1.0 { 0 } else { digits };
        format!("{:.digits$}", count as f64 / by)
    };
    let digits =
        (1..6).find(|&digits| write(bytes, by, digits) != write(needed, by_needed, digits)).unwrap_or(6);
    let own = if name == name_needed { String::new() } else { format!(" {name}") };
    format!(
        "the file is incomplete: {}{own} of at least {} {name_needed}",
        write(bytes, by, digits),
        write(needed, by_needed, digits)
    )
}

impl Error {
    /// The stable code for callers: the only place that maps errors to codes. `www/protocol.d.ts` lists and explains
    /// them.
    pub fn code(&self) -> &'static str {
        match self {
            Error::InvalidInput { .. } => "INVALID_INPUT",
            Error::BadFile { .. }
            | Error::Incomplete { .. }
            | Error::OtherFile { .. }
            | Error::Tensors { .. }
            | Error::Json { .. } => "BAD_MODEL",
            Error::NoVocabulary { .. } => "NO_VOCABULARY",
            Error::Unsupported { .. } | Error::NoGpu { .. } => "UNSUPPORTED",
            Error::Network { .. } => "NETWORK",
            Error::DamagedChunk { .. } => "DAMAGED",
            Error::NonFinite { .. } => "NON_FINITE",
            Error::Quota { .. } => "QUOTA",
            Error::Storage { .. } | Error::Io { .. } => "STORAGE",
            Error::OutOfMemory { .. } => "OUT_OF_MEMORY",
            Error::DeviceLost { .. } => "DEVICE_LOST",
            Error::Aborted => "ABORTED",
            // A refused shader, submission or operation is a mistake of the engine or of a driver, not of the caller.
            Error::Gpu { .. } | Error::Cpu { .. } | Error::NoNumbers => "INTERNAL",
        }
    }
}

#[cfg(any(test, feature = "cli"))]
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Cpu { message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One error of each variant.
    fn all() -> Vec<Error> {
        let text = String::new;
        vec![
            Error::InvalidInput { field: "steps", message: text() },
            Error::BadFile { file: text(), message: text() },
            Error::Incomplete { file: text(), bytes: 0, needed: 1, detail: text() },
            Error::OtherFile { file: text(), what: text(), advice: text(), kind: None },
            Error::NoVocabulary { file: text() },
            Error::Tensors { file: text(), problems: Vec::new() },
            Error::Json { file: text(), message: text() },
            Error::Unsupported { what: text(), message: text() },
            Error::Io { path: text(), message: text() },
            Error::Network { url: text(), message: text(), retryable: true },
            Error::DamagedChunk { model: text(), chunk: 0, expected: 0, found: 1 },
            Error::Quota { model: text(), needed: 1, free: 0 },
            Error::Storage { message: text() },
            Error::NoGpu { message: text() },
            Error::OutOfMemory { message: text() },
            Error::DeviceLost { message: text() },
            Error::Gpu { message: text() },
            Error::Cpu { message: text() },
            Error::NoNumbers,
            Error::NonFinite { file: text(), tensors: Vec::new() },
            Error::Aborted,
        ]
    }

    #[test]
    fn sizes_are_told_apart() {
        assert_eq!(incomplete(7_522_160, 7_664_992), "the file is incomplete: 7.5 of at least 7.7 MB");
        assert_eq!(incomplete(7_600_000, 7_600_900), "the file is incomplete: 7.600 of at least 7.601 MB");
        assert_eq!(incomplete(64, 71), "the file is incomplete: 64 of at least 71 bytes");
        assert_eq!(incomplete(1_024, 2_000_000), "the file is incomplete: 1.0 kB of at least 2.0 MB");
    }

    #[test]
    fn the_codes_are_those_that_javascript_is_told_of() {
        let types = include_str!("../www/protocol.d.ts");
        let (_, union) = types.split_once("export type ErrorCode =").unwrap();
        let (union, _) = union.split_once(";\n\n").unwrap();
        let told: BTreeSet<&str> =
            union.lines().filter_map(|line| line.trim().strip_prefix("| '")?.strip_suffix('\'')).collect();
        let used: BTreeSet<&str> = all().iter().map(Error::code).collect();
        assert_eq!(used, told);
    }
}
