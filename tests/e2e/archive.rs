//! An image made by hand: a directory, and what stands in its configuration, as an archive for `ctr images import` and
//! `kind load image-archive`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::process::must;

/// Makes `archive` of the files below `root`; `config` is the image's (`Env`, `Entrypoint`, `User`).
pub async fn make(archive: &Path, root: &Path, names: &[&str], config: &Value) {
    let work = archive.with_extension("work");
    std::fs::create_dir_all(&work).unwrap();
    let path = |name: &str| work.join(name).display().to_string();
    must("tar", &["--numeric-owner", "-C", &root.display().to_string(), "-cf", &path("layer.tar"), "."]).await;
    let digest = sha256(&work.join("layer.tar")).await;
    let image = json!({
        "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }, "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [{"created_by": "make e2e"}],
    });
    std::fs::write(work.join("config"), image.to_string()).unwrap();
    let name = format!("{}.json", sha256(&work.join("config")).await);
    std::fs::rename(work.join("config"), work.join(&name)).unwrap();
    let manifest = json!([{"Config": name, "RepoTags": names, "Layers": ["layer.tar"]}]);
    std::fs::write(work.join("manifest.json"), manifest.to_string()).unwrap();
    must("tar", &["-C", &work.display().to_string(), "-cf", &archive.display().to_string(), "."]).await;
    std::fs::remove_dir_all(&work).unwrap();
}

async fn sha256(file: &Path) -> String {
    must("sha256sum", &[&file.display().to_string()]).await.split(' ').next().unwrap().to_owned()
}

/// A directory for what goes into an image, empty.
pub fn root(directory: &Path, name: &str) -> PathBuf {
    let root = directory.join(format!("images/{name}"));
    let _old = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(&root).unwrap();
    root
}
