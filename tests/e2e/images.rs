//! The images that nodes are given, since they can ask no registry: the pause program, and PostgreSQL as this machine has
//! it installed.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::process::must;
use crate::tools::Tools;
use crate::{archive, node_files};

/// Programs beside PostgreSQL's own: a shell, and what scenarios say in it.
const PROGRAMS: [&str; 12] = ["bash", "sh", "cat", "cp", "env", "head", "kill", "ls", "mkdir", "rm", "sleep", "gzip"];
/// Data that the programs read.
const DATA: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/lib/locale/C.utf8", "/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf"];
/// The user of the examples' pods.
const USER: u32 = 26;

/// The first container of every pod.
pub async fn pause(directory: &Path, tools: &Tools) -> PathBuf {
    let root = archive::root(directory, "pause");
    std::fs::copy(tools.node.join("pause"), root.join("pause")).unwrap();
    let image = directory.join("images/pause.tar");
    let config = json!({"Entrypoint": ["/pause"], "User": "65535:65535"});
    archive::make(&image, &root, &[node_files::PAUSE], &config).await;
    image
}

/// PostgreSQL, under these names; its programs find S3 where the store is.
pub async fn postgres(directory: &Path, names: &[&str], store: &str) -> PathBuf {
    let root = archive::root(directory, "postgres");
    let major = newest_major();
    for folder in ["usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "etc", "dev", "proc", "sys", "tmp", "run", "var/lib"]
    {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for name in ["bin", "lib", "lib64", "sbin"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    std::fs::set_permissions(root.join("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let (programs, data) = (format!("/usr/lib/postgresql/{major}"), format!("/usr/share/postgresql/{major}"));
    for path in [programs.as_str(), data.as_str()].into_iter().chain(DATA) {
        if Path::new(path).exists() {
            copy(path, &root).await;
        }
    }
    let mut all: BTreeSet<PathBuf> = PROGRAMS.iter().map(|name| Path::new("/usr/bin").join(name)).collect();
    for path in &all {
        copy(&path.display().to_string(), &root).await;
    }
    for folder in ["bin", "lib"] {
        let files = std::fs::read_dir(format!("{programs}/{folder}")).unwrap().map(|entry| entry.unwrap().path());
        // It asks for a compiler of 100 MiB, and postgres does without it.
        all.extend(files.filter(|path| path.is_file() && !path.ends_with("llvmjit.so")));
    }
    std::fs::remove_file(root.join(format!("usr/lib/postgresql/{major}/lib/llvmjit.so"))).unwrap_or(());
    for library in libraries(&all).await {
        copy(&library, &root).await;
    }
    let users = format!("root:x:0:0:root:/root:/bin/bash\npostgres:x:{USER}:{USER}::/var/lib/postgresql:/bin/bash\n");
    std::fs::write(root.join("etc/passwd"), users).unwrap();
    std::fs::write(root.join("etc/group"), format!("root:x:0:\npostgres:x:{USER}:\n")).unwrap();
    let config = json!({
        "User": format!("{USER}:{USER}"),
        "Env": [format!("PATH={programs}/bin:/usr/bin:/bin"), "LANG=C.UTF-8".to_owned(),
            format!("AWS_ENDPOINT_URL_S3={store}"), "AWS_REGION=us-east-1".to_owned()],
    });
    let image = directory.join("images/postgres.tar");
    archive::make(&image, &root, names, &config).await;
    std::fs::remove_dir_all(&root).unwrap();
    image
}

fn newest_major() -> u32 {
    let all = std::fs::read_dir("/usr/lib/postgresql").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max().unwrap()
}

/// What these programs and libraries are linked with.
async fn libraries(of: &BTreeSet<PathBuf>) -> BTreeSet<String> {
    let files: Vec<String> = of.iter().map(|path| path.display().to_string()).collect();
    let arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut command = tokio::process::Command::new("ldd");
    // Of those that are scripts it complains, and goes on.
    let said = command.args(&arguments).output().await.unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.lines()
        .filter_map(|line| {
            line.split_whitespace().find(|word| word.starts_with('/') && !word.ends_with(':')).map(str::to_owned)
        })
        .collect()
}

/// Copies a file or a folder to its own path below `root`; links become what they lead to.
async fn copy(path: &str, root: &Path) {
    let own =
        std::fs::canonicalize(Path::new(path).parent().unwrap()).unwrap().join(Path::new(path).file_name().unwrap());
    let folder = root.join(own.parent().unwrap().strip_prefix("/").unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    must("cp", &["-rL", &own.display().to_string(), &folder.display().to_string()]).await;
}
