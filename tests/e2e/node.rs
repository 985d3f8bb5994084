//! A node: a first process with namespaces of its own (network, mounts, processes, name), and in them containerd, a kubelet
//! and kube-proxy, at the paths that they have anywhere: what would be the machine's own is the node's there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pgherd_testkit::wait;
use tokio::process::{Child, Command};

use crate::plane::Plane;
use crate::process::{child_of, run, signal, start};
use crate::tools::Tools;
use crate::{cgroups, network, node_files};

/// How many processors a node says it has.
const PROCESSORS: u32 = 8;

pub struct Node {
    /// Its name.
    pub name: String,
    number: u8,
    directory: PathBuf,
    logs: PathBuf,
    tools: Tools,
    /// Its first process: with it, everything on the node ends.
    init: u32,
    /// What holds the first process.
    _holder: Child,
    containerd: Option<Child>,
    kubelet: Option<Child>,
    proxy: Option<Child>,
}

impl Node {
    /// The name of the node of this number.
    pub fn name(number: u8) -> String {
        format!("n{number}")
    }

    /// Starts a node, one of `nodes`; it has no images yet.
    pub async fn start(directory: &Path, tools: &Tools, plane: &Plane, number: u8, nodes: u8) -> Self {
        let name = Self::name(number);
        let (logs, folder) = (directory.join("logs"), directory.join(&name));
        for part in ["lib", "log", "sys"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let group = node_files::group(directory, &name);
        cgroups::make(&group);
        node_files::processors(&folder.join("sys"), PROCESSORS);
        for (setting, value) in node_files::SETTINGS {
            let file = folder.join("settings").join(setting);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, format!("{value}\n")).unwrap();
        }
        let write = |file: &str, text: String| std::fs::write(folder.join(file), text).unwrap();
        write("containerd.toml", node_files::containerd(&tools.node.join("usr/lib/cni")));
        write("cni.conflist", node_files::cni(number).to_string());
        write("kubelet.json", node_files::kubelet(&plane.ca(), &group).to_string());
        write("proxy.json", node_files::proxy(&plane.kubeconfig("kube-proxy"), &name).to_string());

        let mut holder = Command::new("unshare");
        holder.args(["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]);
        holder.args(["--propagation", "private", "--", "bash", "-c", &init(&folder, &name)]);
        let holder = start(holder, &logs.join(format!("{name}-init")));
        let init = child_of(holder.id().unwrap()).await;
        let mut node = Self {
            name,
            number,
            directory: folder,
            logs,
            tools: tools.clone(),
            init,
            _holder: holder,
            containerd: None,
            kubelet: None,
            proxy: None,
        };
        node.arrange(nodes).await;
        node.containerd = Some(node.run(
            "containerd",
            &tools.node.join("usr/bin/containerd"),
            &["--config", &node.file("containerd.toml")],
        ));
        node.until("a runtime", async || node.ctr(&["version"]).await).await;
        node.start_kubelet(plane);
        let proxy = tools.kube.join("kube-proxy");
        node.proxy = Some(node.run("kube-proxy", &proxy, &["--config", &node.file("proxy.json")]));
        node
    }

    /// Brings in images from an archive.
    pub async fn import(&self, archive: &Path) {
        self.ctr(&["-n", "k8s.io", "images", "import", &archive.display().to_string()]).await.unwrap();
    }

    /// Starts the kubelet, or starts it again.
    pub fn start_kubelet(&mut self, plane: &Plane) {
        let program = self.tools.kube.join("kubelet");
        let kubeconfig = plane.kubeconfig(&self.name).display().to_string();
        let address = network::node(self.number).to_string();
        let arguments = [
            "--config",
            &self.file("kubelet.json"),
            "--kubeconfig",
            &kubeconfig,
            "--container-runtime=remote",
            "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
            "--hostname-override",
            &self.name,
            "--node-ip",
            &address,
        ];
        self.kubelet = Some(self.run("kubelet", &program, &arguments));
    }

    /// Ends the kubelet; what runs on the node runs on.
    pub async fn stop_kubelet(&mut self) {
        let mut kubelet = self.kubelet.take().unwrap();
        signal("KILL", child_of(kubelet.id().unwrap()).await).await;
        kubelet.wait().await.unwrap();
    }

    /// Pulls its cable, or puts it back.
    pub async fn cut(&self, cut: bool) {
        network::cut(self.number, cut).await;
    }

    /// The network, and the mounts that the first process has made by now.
    async fn arrange(&self, nodes: u8) {
        network::join(self.number, self.init).await;
        self.until("the mounts", async || self.say("test -e /run/ready").await).await;
        self.say(&network::script(self.number, nodes)).await.unwrap();
    }

    /// A shell's words, said on the node.
    async fn say(&self, words: &str) -> Result<String, String> {
        let mut command = self.command("bash".as_ref());
        command.args(["-c", words]);
        run(command).await
    }

    async fn ctr(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command(&self.tools.node.join("usr/bin/ctr"));
        command.args(arguments);
        run(command).await
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// A program that runs on the node.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--net", "--mount", "--pid", "--uts", "--ipc", "--"]);
        command.arg(program).envs(self.tools.environment()).current_dir("/").stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, program: &Path, arguments: &[&str]) -> Child {
        let mut command = self.command(program);
        command.args(arguments);
        start(command, &self.logs.join(format!("{}-{name}", self.name)))
    }

    async fn until<F: Future<Output = Result<String, String>>>(&self, what: &str, look: impl FnMut() -> F) {
        wait::until(&format!("{what} on {}", self.name), Duration::from_secs(120), look).await.unwrap();
    }
}

/// What the first process does: it makes the mounts, and waits for the children of others.
fn init(folder: &Path, name: &str) -> String {
    let own = folder.display();
    let settings =
        node_files::SETTINGS.map(|(setting, _)| format!("mount --bind {own}/settings/{setting} /proc/sys/{setting}"));
    [
        "set -e".to_owned(),
        format!("hostname {name}"),
        "mount -t tmpfs tmpfs /run".to_owned(),
        format!("mount --bind {own}/lib /var/lib"),
        format!("mount --bind {own}/log /var/log"),
        format!("mount --bind {own}/sys /sys/devices/system/node"),
        settings.join("\n"),
        "mkdir /run/cni".to_owned(),
        format!("cp {own}/cni.conflist /run/cni/pods.conflist"),
        "touch /run/ready".to_owned(),
        "sleep infinity & wait".to_owned(),
    ]
    .join("\n")
}
