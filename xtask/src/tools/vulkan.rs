//! A Vulkan driver for the GPU tests: the machine's own, else Mesa's software adapter.

use crate::sh::say;
use crate::tools;
use anyhow::Result;
use std::env;
use std::path::Path;

const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

/// Makes sure that there is a driver; returns the variables which the tests need to find it.
pub fn ensure() -> Result<Vec<(&'static str, String)>> {
    if !cfg!(target_os = "linux") {
        return Ok(Vec::new());
    }
    if !has_driver() || !has_loader() {
        tools::apt_install(&["mesa-vulkan-drivers", "libvulkan1"], "no Vulkan driver")?;
    }
    let chosen = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| env::var_os(name).is_some());
    if chosen || has_device() || !Path::new(LAVAPIPE).exists() {
        return Ok(Vec::new());
    }
    say("no GPU here: the GPU tests run on lavapipe");
    Ok(vec![("VK_DRIVER_FILES", LAVAPIPE.into())])
}

fn has_driver() -> bool {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let chosen = env::var_os("VK_DRIVER_FILES").is_some();
    chosen
        || folders
            .iter()
            .any(|folder| Path::new(folder).read_dir().is_ok_and(|mut files| files.next().is_some()))
}

fn has_loader() -> bool {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.iter().any(|folder| Path::new(folder).join("libvulkan.so.1").exists())
}

fn has_device() -> bool {
    let render = Path::new("/dev/dri").read_dir().is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("renderD"))
    });
    render || Path::new("/dev/nvidiactl").exists() || Path::new("/dev/dxg").exists()
}
