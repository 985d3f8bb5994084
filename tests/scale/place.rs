//! The API server that the clusters are in: a real one, or with SCALE_API=local the local one in this process, which is for
//! trying this benchmark out and says nothing of a real one.

use std::path::{Path, PathBuf};

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio_util::sync::CancellationToken;

use crate::install::install;
use crate::local_api;
use crate::plane::Plane;

/// Only what the controller asks for is written down.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n\
    rules:\n- level: Metadata\n  users: ['system:serviceaccount:pgherd-system:pgherd-controller']\n- level: None\n";

/// For three Services of each of a thousand clusters and more.
const SERVICES: &str = "10.128.0.0/16";

pub struct Place {
    pub directory: PathBuf,
    plane: Option<Plane>,
    stop: CancellationToken,
}

impl Place {
    pub async fn start() -> Self {
        let directory = PathBuf::from(format!("/var/tmp/pgherd-scale-{}", std::process::id()));
        let stop = CancellationToken::new();
        if std::env::var("SCALE_API").is_ok_and(|api| api == "local") {
            std::fs::create_dir_all(&directory).unwrap();
            local(&directory, stop.clone()).await;
            return Self { directory, plane: None, stop };
        }
        let mut plane = Plane::start_with(&directory, AUDIT, SERVICES).await;
        install(&mut plane).await;
        Self { directory, plane: Some(plane), stop }
    }

    pub fn is_real(&self) -> bool {
        self.plane.is_some()
    }

    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.kubeconfig"))
    }

    pub async fn admin(&self) -> Client {
        let file = Kubeconfig::read_from(self.kubeconfig("admin")).unwrap();
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// The processes of the API server, by name.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        self.plane.as_ref().map(Plane::pids).unwrap_or_default()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        match self.plane {
            Some(plane) => plane.stop().await,
            None => std::fs::remove_dir_all(&self.directory).unwrap(),
        }
    }
}

/// Without rights: the controller is the administrator, too.
async fn local(directory: &Path, stop: CancellationToken) {
    let _provider = rustls::crypto::ring::default_provider().install_default();
    let file = local_api::serve(directory, stop).await.to_string();
    for name in ["admin", "controller"] {
        std::fs::write(directory.join(format!("{name}.kubeconfig")), &file).unwrap();
    }
}
