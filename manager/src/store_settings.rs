//! From a Cluster's backup section and the Secrets that it names to what the archive is opened with.

use crate::archive::StoreSettings;
use crate::cluster_api::ClusterApi;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use pgherd_core::wal::Compression;
use pgherd_objectstore::{Encryption, S3Credentials};
use pgherd_proto::cluster::{
    self, BarmanObjectStore, Cluster, ConfigMapKeySelector, SecretKeySelector, WalCompression,
};
use pgherd_telemetry::chain;
use std::num::NonZeroUsize;

/// What `spec.backup.barmanObjectStore` asks for; nothing where there is none. A text that is empty is as good as absent,
/// as it is to validation.
///
/// # Errors
/// For people: a Secret cannot be read, or lacks a key. It may be made later.
pub async fn store_settings(cluster: &Cluster, api: &ClusterApi) -> Result<Option<StoreSettings>, String> {
    match cluster.spec.object_store() {
        Some(store) => settings_of(store, &api.name, api).await.map(Some),
        None => Ok(None),
    }
}

/// What a `barmanObjectStore` comes to; `server` is the name of its folder unless it says another.
///
/// # Errors
/// As [`store_settings`].
pub async fn settings_of(store: &BarmanObjectStore, server: &str, api: &ClusterApi) -> Result<StoreSettings, String> {
    let store = store.clone();
    let wal = store.wal.clone().unwrap_or_default();
    let endpoint_ca = match &store.endpoint_ca {
        Some(selector) => Some(secret(api, selector).await?.into_bytes()),
        None => None,
    };
    let region = match store.s3_credentials.as_ref().and_then(|c| c.region.as_ref()) {
        Some(selector) => Some(secret(api, selector).await?),
        None => None,
    };
    Ok(StoreSettings {
        credentials: credentials(&store, api).await?,
        server_name: given(store.server_name).unwrap_or_else(|| server.to_owned()),
        destination_path: store.destination_path,
        endpoint_url: given(store.endpoint_url),
        endpoint_ca,
        region: given(region),
        compression: wal.compression.map(compression),
        encryption: wal.encryption.map(encryption),
        max_parallel: usize::try_from(wal.max_parallel).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN),
        tags: store.tags.into_iter().collect(),
        history_tags: store.history_tags.into_iter().collect(),
    })
}

/// The server's own encryption, as it is asked for.
#[must_use]
pub fn encryption(named: cluster::Encryption) -> Encryption {
    match named {
        cluster::Encryption::Aes256 => Encryption::Aes256,
        cluster::Encryption::AwsKms => Encryption::AwsKms,
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn compression(named: WalCompression) -> Compression {
    match named {
        WalCompression::Bzip2 => Compression::Bzip2,
        WalCompression::Gzip => Compression::Gzip,
        WalCompression::Lz4 => Compression::Lz4,
        WalCompression::Snappy => Compression::Snappy,
        WalCompression::Xz => Compression::Xz,
        WalCompression::Zstd => Compression::Zstd,
    }
}

async fn credentials(store: &BarmanObjectStore, api: &ClusterApi) -> Result<S3Credentials, String> {
    let named = store.s3_credentials.clone().unwrap_or_default();
    let (Some(id), Some(key)) = (&named.access_key_id, &named.secret_access_key) else {
        return Ok(S3Credentials::Ambient);
    };
    let session_token = match &named.session_token {
        Some(selector) => Some(secret(api, selector).await?),
        None => None,
    };
    Ok(S3Credentials::Given {
        access_key_id: secret(api, id).await?,
        secret_access_key: secret(api, key).await?,
        session_token,
    })
}

/// One value of a Secret, without the newline that people leave at its end.
pub(crate) async fn secret(api: &ClusterApi, selector: &SecretKeySelector) -> Result<String, String> {
    let SecretKeySelector { name, key, .. } = selector;
    let found = api.secrets.get(name).await.map_err(|e| format!("failed to read Secret {name}: {}", chain(&e)))?;
    let bytes =
        found.data.and_then(|mut data| data.remove(key)).ok_or_else(|| format!("Secret {name} has no key {key}"))?;
    let text = String::from_utf8(bytes.0).map_err(|_| format!("{key} of Secret {name} is no text"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// One value of a ConfigMap, as it is.
pub(crate) async fn config_map(api: &ClusterApi, selector: &ConfigMapKeySelector) -> Result<String, String> {
    let maps = Api::<ConfigMap>::namespaced(api.client.clone(), &api.namespace);
    let found = maps.get(&selector.name).await.map_err(|e| chain(&e))?;
    let value = found.data.and_then(|mut data| data.remove(&selector.key));
    value.ok_or_else(|| "is not there".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::{Request, Response, StatusCode};
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;

    /// An API that has one Secret, `s3`, with these keys.
    fn api(keys: &[(&str, &str)]) -> ClusterApi {
        let data: Value = keys.iter().map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value)))).collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "data": data});
        let missing =
            json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "none", "code": 404});
        let service = tower::service_fn(move |request: Request<Body>| {
            let found = request.uri().path() == "/api/v1/namespaces/ns/secrets/s3";
            let (status, answer) = if found { (StatusCode::OK, &secret) } else { (StatusCode::NOT_FOUND, &missing) };
            let mut response = Response::new(Body::from(answer.to_string().into_bytes()));
            *response.status_mut() = status;
            async move { Ok::<_, Infallible>(response) }
        });
        ClusterApi::new(&kube::Client::new(service, "ns"), "ns", "db")
    }

    fn cluster(store: &Value) -> Cluster {
        serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "db", "namespace": "ns"},
            "spec": {"instances": 3, "storage": {"size": "1Gi"}, "backup": {"barmanObjectStore": store}}
        }))
        .unwrap()
    }

    async fn settings(store: Value, keys: &[(&str, &str)]) -> Result<StoreSettings, String> {
        store_settings(&cluster(&store), &api(keys)).await.map(|settings| settings.expect("a store"))
    }

    fn key(key: &str) -> Value {
        json!({"name": "s3", "key": key})
    }

    fn by_role(mut more: Value) -> Value {
        more["destinationPath"] = json!("s3://bucket/path");
        more["s3Credentials"] = json!({"inheritFromIAMRole": true});
        more
    }

    #[tokio::test]
    async fn everything_that_a_secret_may_hold_is_read_from_it() {
        let store = json!({
            "destinationPath": "s3://bucket/path",
            "endpointURL": "https://s3.example",
            "endpointCA": key("ca.crt"),
            "serverName": "other",
            "s3Credentials": {
                "accessKeyId": key("id"), "secretAccessKey": key("secret"),
                "sessionToken": key("token"), "region": key("region")
            },
            "tags": {"team": "data"}, "historyTags": {"kind": "history"},
            "wal": {"compression": "gzip", "encryption": "aws:kms", "maxParallel": 4}
        });
        let keys =
            [("id", "AKIA"), ("secret", "sesame\n"), ("token", "t\n"), ("region", "eu-1\r\n"), ("ca.crt", "PEM")];
        let settings = settings(store, &keys).await.unwrap();
        let expected = StoreSettings {
            destination_path: "s3://bucket/path".into(),
            server_name: "other".into(),
            endpoint_url: Some("https://s3.example".into()),
            endpoint_ca: Some(b"PEM".to_vec()),
            region: Some("eu-1".into()),
            credentials: S3Credentials::Given {
                access_key_id: "AKIA".into(),
                secret_access_key: "sesame".into(),
                session_token: Some("t".into()),
            },
            compression: Some(Compression::Gzip),
            encryption: Some(Encryption::AwsKms),
            max_parallel: NonZeroUsize::new(4).unwrap(),
            tags: vec![("team".to_owned(), "data".to_owned())],
            history_tags: vec![("kind".to_owned(), "history".to_owned())],
        };
        assert!(settings == expected, "{settings:?}");
    }

    #[tokio::test]
    async fn an_empty_text_is_as_good_as_none() {
        let settings = settings(by_role(json!({"endpointURL": "", "serverName": ""})), &[]).await.unwrap();
        assert_eq!((settings.endpoint_url.as_deref(), settings.server_name.as_str()), (None, "db"));
        assert_eq!(settings.credentials, S3Credentials::Ambient);
        settings.open(|_| None).expect("a store that can be used");
    }

    #[tokio::test]
    async fn a_region_that_is_empty_is_looked_for_elsewhere() {
        let store = json!({
            "destinationPath": "s3://bucket/path",
            "s3Credentials": {"accessKeyId": key("id"), "secretAccessKey": key("secret"), "region": key("region")}
        });
        let settings = settings(store, &[("id", "AKIA"), ("secret", "sesame"), ("region", "\n")]).await.unwrap();
        assert_eq!(settings.region, None);
    }

    #[tokio::test]
    async fn what_a_secret_lacks_is_named_and_nothing_of_it_is_told() {
        for (selector, said) in [
            (json!({"name": "s3", "key": "gone"}), "Secret s3 has no key gone"),
            (json!({"name": "none", "key": "ca.crt"}), "failed to read Secret none"),
        ] {
            let error = settings(by_role(json!({"endpointCA": selector})), &[("ca.crt", "sesame")]).await.unwrap_err();
            assert!(error.contains(said) && !error.contains("sesame"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_cluster_without_a_backup_section_has_no_store() {
        let mut cluster = cluster(&by_role(json!({})));
        cluster.spec.backup = None;
        assert!(store_settings(&cluster, &api(&[])).await.unwrap().is_none());
    }
}
