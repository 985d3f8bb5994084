//! One local environment with a cluster in it: starting it, looking at it from the host as any client would, hurting it,
//! and ending it. The demo, the benchmarks, the chaos runs and the cluster tests all use this one.

mod archive;
mod connect;
mod look;
mod manifest;
mod recover;
mod remains;
mod shell;
mod whole;

pub use archive::segment_name;
pub use look::{HEALTHY, STREAMING, text};
pub use manifest::{EXAMPLE, edited};
pub use recover::FIRST;
pub use remains::{keep_binaries, keep_logs, remove};
pub use whole::to_the_end;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pgherd_localkube::daemon::{self, Handle, UpOptions};
use pgherd_localkube::fault::{FaultRequest, Target};
use std::path::PathBuf;

/// Where the cluster of the manifest is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub cluster: String,
}

impl Place {
    /// Where the example puts its cluster.
    #[must_use]
    pub fn of_example() -> Self {
        Self { namespace: "phoenix-guardian".to_owned(), cluster: "phoenix-guardian-db".to_owned() }
    }

    /// The service that leads to the primary.
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}-rw", self.cluster)
    }
}

/// An environment that is up.
#[derive(Clone)]
pub struct Bed {
    /// The daemon.
    pub handle: Handle,
    /// Its Kubernetes API.
    pub client: kube::Client,
    /// The cluster in it.
    pub place: Place,
}

impl Bed {
    /// Starts one from nothing: what an earlier run left under that name is removed first.
    ///
    /// # Errors
    /// If the machine lacks something, or a manifest is refused.
    pub async fn up(options: UpOptions, place: Place) -> anyhow::Result<Self> {
        if let Ok(old) = daemon::find(&options.state_dir) {
            old.down(true).await.context("failed to end the environment of an earlier run")?;
        } else if options.state_dir.join("options.json").exists() {
            remove(&options.state_dir).await.context("failed to remove what an earlier run left")?;
        }
        Self::up_again(options, place).await
    }

    /// Starts one where another was, on its data.
    ///
    /// # Errors
    /// As [`Bed::up`].
    pub async fn up_again(options: UpOptions, place: Place) -> anyhow::Result<Self> {
        Self::of(daemon::up(options).await.context("failed to start the local environment")?, place).await
    }

    /// One that is up already.
    ///
    /// # Errors
    /// If its kubeconfig cannot be read.
    pub async fn of(handle: Handle, place: Place) -> anyhow::Result<Self> {
        let file = Kubeconfig::read_from(handle.api_kubeconfig()).context("failed to read the kubeconfig")?;
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: kube::Client::try_from(config)?, handle, place })
    }

    /// What was made that the manifests take for granted.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn made(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.handle.status().await?.made)
    }

    /// For people who go on with kubectl.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.handle.api_kubeconfig()
    }

    /// Objects of a kind (version `v1`) in the cluster's namespace.
    #[must_use]
    pub fn objects(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.client.clone(), &self.place.namespace, &resource)
    }

    /// Pods of the cluster's namespace.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.place.namespace)
    }

    /// A pod's name as faults are told it.
    #[must_use]
    pub fn full(&self, pod: &str) -> String {
        format!("{}/{pod}", self.place.namespace)
    }

    /// Any fault; answers what was done.
    ///
    /// # Errors
    /// If there is nothing that it can be done to.
    pub async fn fault(&self, request: FaultRequest) -> anyhow::Result<String> {
        Ok(self.handle.fault(request).await?)
    }

    /// SIGKILL to a process of a pod.
    ///
    /// # Errors
    /// If there is none.
    pub async fn kill(&self, target: Target, pod: &str) -> anyhow::Result<String> {
        self.fault(FaultRequest::Kill { target, pod: self.full(pod) }).await
    }

    /// Deletes a pod, with its grace period.
    ///
    /// # Errors
    /// Of the API.
    pub async fn delete_pod(&self, pod: &str) -> anyhow::Result<()> {
        self.pods().delete(pod, &DeleteParams::default()).await.context("failed to delete the pod")?;
        Ok(())
    }

    /// Deletes a pod object at once, as `kubectl delete --force --grace-period=0`.
    ///
    /// # Errors
    /// Of the API.
    pub async fn force_delete_pod(&self, pod: &str) -> anyhow::Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        self.pods().delete(pod, &at_once).await.context("failed to delete the pod")?;
        Ok(())
    }

    /// Ends it and removes its data.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub async fn down(self) -> anyhow::Result<()> {
        Ok(self.handle.down(true).await?)
    }
}
