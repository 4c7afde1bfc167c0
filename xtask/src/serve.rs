//! `cargo xtask serve`: from a bare machine to the page on localhost.

use crate::dist::{self, Profile};
use crate::sh::{self, Parts, cmd, say};
use anyhow::{Context, Result};
use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use std::io::IsTerminal;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

#[derive(clap::Args)]
pub struct Args {
    /// The port to serve on; the next free one when it is taken
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Build without optimization: quicker to build, far slower to run
    #[arg(long)]
    debug: bool,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let mut parts = Parts::new();
    let profile = if args.debug { Profile::Debug } else { Profile::Release };
    let dist = dist::build(profile, &mut parts)?;
    parts.print();
    let router = router(&dist, headers()?);
    let listener = listen(args.port)?;
    let url = format!("http://localhost:{}", listener.local_addr()?.port());
    say(format!("serving {url} (Ctrl-C ends it)"));
    if !args.no_open && std::io::stdout().is_terminal() {
        open(&url);
    }
    // The page is there; what it does without is built while it is looked at.
    std::thread::spawn(move || {
        let mut parts = Parts::default();
        match dist::threads(profile, &mut parts, &dist) {
            Ok(true) => {
                parts.print();
                say("the page computes on all cores of the processor from the next visit on");
            }
            Ok(false) => {}
            Err(error) => say(format!("the page computes on one thread of the processor: {error:#}")),
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let end = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served?,
            () = end => {}
        }
        Ok(())
    })
}

/// Serves a folder with its ready-compressed twins, byte ranges and revalidation.
fn router(dist: &Path, headers: Vec<(HeaderName, HeaderValue)>) -> Router {
    let files = ServeDir::new(dist).precompressed_br().precompressed_gzip();
    headers.into_iter().fold(Router::new().fallback_service(files), |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, value))
    })
}

/// The response headers, from Trunk.toml, so that `trunk serve` sends the same.
fn headers() -> Result<Vec<(HeaderName, HeaderValue)>> {
    let path = sh::root().join("Trunk.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config: toml::Table = toml::from_str(&text).context("Trunk.toml is not valid TOML")?;
    let table =
        config.get("serve").and_then(|serve| serve.get("headers")).and_then(|headers| headers.as_table());
    let mut headers = Vec::new();
    for (name, value) in table.context("Trunk.toml has no [serve.headers]")? {
        let value = value.as_str().with_context(|| format!("Trunk.toml: header {name} is not a string"))?;
        headers.push((name.parse()?, value.parse()?));
    }
    Ok(headers)
}

/// Binds the port, or the next free one.
fn listen(port: u16) -> Result<TcpListener> {
    let wanted = port..=port.saturating_add(50);
    let bound = wanted.clone().find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let listener =
        bound.with_context(|| format!("no free port from {} to {}", wanted.start(), wanted.end()))?;
    let got = listener.local_addr()?.port();
    if got != port && port != 0 {
        say(format!("port {port} is taken, using {got}"));
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Opens the page in the person's browser; the printed address does where this cannot.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    if sh::which(program).is_some() {
        cmd(program).arg(url).spawn().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{Request, Response, StatusCode};
    use std::fs;
    use tower::ServiceExt;

    /// Asks a server of a small folder for one path.
    fn get(path: &str, ask: &[(&str, &str)]) -> Response<Body> {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("xtask-serve-{}-{count}", std::process::id()));
        fs::create_dir_all(folder.join("models")).unwrap();
        for (name, text) in [
            ("index.html", "<!doctype html>"),
            ("opengen-gpu_bg.wasm", "plain wasm"),
            ("opengen-gpu_bg.wasm.br", "brotli"),
            ("manifest.webmanifest", "{}"),
            ("models/mini.gguf", "0123456789"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        let mut request = Request::get(path);
        for (name, value) in ask {
            request = request.header(*name, *value);
        }
        let router = router(&folder, headers().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(router.oneshot(request.body(Body::empty()).unwrap())).unwrap();
        fs::remove_dir_all(folder).unwrap();
        answer
    }

    fn header<'a>(answer: &'a Response<Body>, name: &str) -> &'a str {
        answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_page_comes_with_its_headers() {
        let page = get("/", &[]);
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(header(&page, "content-type"), "text/html");
        let policy = header(&page, "content-security-policy");
        assert!(policy.contains("'wasm-unsafe-eval'") && !policy.contains("unsafe-inline"), "{policy}");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        assert_eq!(header(&page, "cross-origin-opener-policy"), "same-origin");
        assert_eq!(header(&page, "cross-origin-embedder-policy"), "require-corp");
        assert_eq!(header(&page, "cache-control"), "no-cache");
        assert!(!header(&page, "last-modified").is_empty());
    }

    #[test]
    fn a_ready_compressed_file_is_preferred_and_keeps_its_type() {
        let wasm = get("/opengen-gpu_bg.wasm", &[("accept-encoding", "gzip, br")]);
        assert_eq!(header(&wasm, "content-encoding"), "br");
        assert_eq!(header(&wasm, "content-type"), "application/wasm");
        let plain = get("/opengen-gpu_bg.wasm", &[]);
        assert_eq!(header(&plain, "content-encoding"), "");
        assert_eq!(header(&plain, "content-length"), "10");
    }

    #[test]
    fn a_model_can_be_fetched_from_the_middle() {
        let part = get("/models/mini.gguf", &[("range", "bytes=4-"), ("accept-encoding", "gzip, br")]);
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(header(&part, "content-range"), "bytes 4-9/10");
    }

    #[test]
    fn what_is_not_there_is_not_there() {
        assert_eq!(get("/nothing.js", &[]).status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&get("/manifest.webmanifest", &[]), "content-type"), "application/manifest+json");
    }

    #[test]
    fn a_taken_port_gives_the_next() {
        let first = listen(18080).unwrap();
        let second = listen(first.local_addr().unwrap().port()).unwrap();
        assert!(second.local_addr().unwrap().port() > first.local_addr().unwrap().port());
    }
}
