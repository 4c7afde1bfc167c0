//! A model's file from the network, by curl, which systems have: it knows proxies and certificates, and goes on where it was cut.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use opengen::error::{Error, Result};
use opengen::weights::License;

use crate::{generate, invalid};

/// How often a transfer that breaks off is gone on with.
const ATTEMPTS: usize = 5;
/// The longest model card that is read, in bytes.
const MOST_CARD: &str = "1048576";
/// What models lie on that have a card.
const HUB: &str = "https://huggingface.co/";
/// A key for models of the hub that ask who fetches them.
const TOKEN: &str = "HF_TOKEN";
/// Exit codes of curl: the answer was a refusal, or the connection could not be made, or broke off.
const REFUSED: i32 = 22;
const BROKEN: [i32; 6] = [6, 7, 18, 28, 52, 56];

/// Where a file lies.
#[derive(Debug, PartialEq)]
pub struct Address {
    url: String,
    /// The file's name.
    name: String,
    /// The model card beside it, on the hub.
    card: Option<String>,
}

impl Address {
    /// What an address names; `None` of what is none.
    pub fn of(text: &str) -> Result<Option<Address>> {
        if !["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(None);
        }
        let path = text.split(['?', '#']).next().unwrap_or(text);
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_file = [".safetensors", ".gguf"].iter().any(|end| name.to_lowercase().ends_with(end));
        if !is_file || name.starts_with('.') || name.contains('\\') {
            let message = format!(
                "{text} names no .safetensors or .gguf file; on the hub the page of a file has its address (download), elsewhere \
                 fetch the file and give its path"
            );
            return Err(invalid("model", message));
        }
        let of = |url: String, card| Address { url, name: name.to_string(), card };
        let Some(place) = text.strip_prefix(HUB) else { return Ok(Some(of(text.to_string(), None))) };
        let parts: Vec<&str> = place.splitn(5, '/').collect();
        let [owner, repo, "blob" | "resolve" | "raw", revision, file] = parts[..] else {
            return Ok(Some(of(text.to_string(), None)));
        };
        let card = format!("{HUB}{owner}/{repo}/raw/{revision}/README.md");
        Ok(Some(of(format!("{HUB}{owner}/{repo}/resolve/{revision}/{file}"), Some(card))))
    }

    /// What its card states of a licence, before the file is fetched.
    pub fn license(&self) -> Result<Option<License>> {
        let Some(card) = &self.card else { return Ok(None) };
        let output = curl(card, &["--silent", "--max-filesize", MOST_CARD], Stdio::null())?;
        Ok(License::of_readme(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The file in a folder. What of it came before a transfer broke off stays there as `NAME.part`, from which the next call goes on.
    pub fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder).map_err(|error| generate::io(folder, &error))?;
        let whole = folder.join(&self.name);
        if whole.exists() {
            return Ok(whole);
        }
        let part = folder.join(format!("{}.part", self.name));
        let had = || part.metadata().map_or(0, |data| data.len());
        let out = part.to_string_lossy().into_owned();
        let (progress, told) = match std::io::stderr().is_terminal() {
            true => ("--progress-bar", Stdio::inherit as fn() -> Stdio),
            false => ("--silent", Stdio::null as fn() -> Stdio),
        };
        let (mut left, mut before) = (ATTEMPTS, had());
        loop {
            eprintln!(
                "{} to {out}{}",
                self.url,
                if before > 0 { format!(", from byte {before} on") } else { String::new() }
            );
            let options = [progress, "--continue-at", "-", "--write-out", "%{http_code}", "--output", &out];
            let output = curl(&self.url, &options, told())?;
            let status = String::from_utf8_lossy(&output.stdout).trim().to_string();
            match output.status.code() {
                Some(0) => break,
                // It ends where the part does, or is another one now: anew.
                Some(REFUSED) if status == "416" && before > 0 => {
                    std::fs::remove_file(&part).map_err(|error| generate::io(&part, &error))?;
                }
                Some(REFUSED) => return Err(self.refused(&status)),
                Some(code) if BROKEN.contains(&code) && (left > 1 || had() > before) => {}
                code => return Err(self.broken(code, had())),
            }
            left = if had() > before { ATTEMPTS } else { left - 1 };
            before = had();
        }
        let mut first = [0];
        let read = std::fs::File::open(&part).and_then(|mut file| file.read(&mut first));
        read.map_err(|error| generate::io(&part, &error))?;
        if first == *b"<" {
            drop(std::fs::remove_file(&part)); // nobody misses it
            let message = "the server answered with a web page instead of the file: open the address in a browser to see why".to_string();
            return Err(Error::Network { url: self.url.clone(), message, retryable: false });
        }
        std::fs::rename(&part, &whole).map_err(|error| generate::io(&whole, &error))?;
        Ok(whole)
    }

    fn refused(&self, status: &str) -> Error {
        let message = match status {
            "401" | "403" => format!(
                "the server wants to know who fetches it ({status}): agree to its terms on its page, and set {TOKEN} to a key of yours; \
                 or fetch it in a browser and give its path"
            ),
            "404" => "there is no such file (404)".to_string(),
            _ => format!("the server refused it ({status}); try again later"),
        };
        Error::Network { url: self.url.clone(), message, retryable: !status.starts_with('4') }
    }

    fn broken(&self, code: Option<i32>, had: u64) -> Error {
        let why = match code {
            Some(6) => "there is no such host, or no network".to_string(),
            Some(7) => "the host does not answer".to_string(),
            Some(23) => "it cannot be written: is the disk full?".to_string(),
            Some(60) => "the host's certificate is not to be trusted".to_string(),
            Some(code) => format!("it broke off (curl's exit code {code})"),
            None => "curl was stopped".to_string(),
        };
        let message = format!("{why}; {had} bytes are kept, and the same command goes on from there");
        Error::Network { url: self.url.clone(), message, retryable: true }
    }
}

/// Asks for an address, wherever it leads; the answer's body is on its standard output unless an option says otherwise.
fn curl(url: &str, options: &[&str], told: Stdio) -> Result<Output> {
    let mut command = Command::new("curl");
    command.args([
        "--fail",
        "--location",
        "--proto",
        "=http,https",
        "--connect-timeout",
        "30",
        "--config",
        "-",
    ]);
    command.args(["--speed-limit", "1", "--speed-time", "60"]).args(options).arg("--").arg(url);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(told);
    let missing = |error: std::io::Error| Error::Unsupported {
        what: "an address".to_string(),
        message: format!(
            "curl is needed to fetch it ({error}): install it, or fetch the file and give its path"
        ),
    };
    let mut child = command.spawn().map_err(missing)?;
    if let Some(mut input) = child.stdin.take() {
        // Not among the arguments, which others on the machine can read.
        let key = std::env::var(TOKEN)
            .ok()
            .filter(|key| url.starts_with(HUB) && key.chars().all(|c| c.is_ascii_graphic() && c != '"'));
        let header = key.map_or(String::new(), |key| format!("header = \"Authorization: Bearer {key}\"\n"));
        drop(input.write_all(header.as_bytes())); // one that ended already says so itself
    }
    child.wait_with_output().map_err(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_file_and_on_the_hub_its_card() {
        let of = |text: &str| Address::of(text).map_err(|error| error.to_string());
        assert_eq!(of("model.safetensors"), Ok(None));
        assert_eq!(of("C:\\models\\a.gguf"), Ok(None));
        let plain = of("http://x.example/a%20b/c.GGUF?download=true#x").unwrap().unwrap();
        assert_eq!((plain.name.as_str(), plain.card), ("c.GGUF", None));
        assert_eq!(plain.url, "http://x.example/a%20b/c.GGUF?download=true#x");
        for way in ["blob", "resolve", "raw"] {
            let hub =
                of(&format!("https://huggingface.co/a/b/{way}/v1/unet/c.safetensors")).unwrap().unwrap();
            assert_eq!(hub.url, "https://huggingface.co/a/b/resolve/v1/unet/c.safetensors");
            assert_eq!(hub.card.as_deref(), Some("https://huggingface.co/a/b/raw/v1/README.md"));
            assert_eq!(hub.name, "c.safetensors");
        }
        for wrong in [
            "https://huggingface.co/a/b",
            "https://x.example/",
            "http://x.example/.gguf",
            "http://x.example/a.ckpt",
        ] {
            let message = of(wrong).unwrap_err();
            assert!(message.contains("names no .safetensors or .gguf file"), "{message}");
        }
    }
}
