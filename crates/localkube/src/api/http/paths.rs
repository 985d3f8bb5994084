//! URLs of the API, as data.

use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz`, `/livez`, `/readyz` and what is below.
    Health,
    /// `/version`.
    Version,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    GroupVersion(String, String),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiV3,
    /// `/openapi/v3/api/v1`, `/openapi/v3/apis/GROUP/VERSION`.
    OpenApiV3Group(String, String),
    /// Objects.
    Objects(Target),
    /// Nothing here.
    Unknown,
}

/// Objects of a resource: all, or one, or a subresource of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub group: String,
    pub version: String,
    pub plural: String,
    /// Absent for cluster-scoped resources and for lists over all namespaces.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// Reads a path.
pub(super) fn route(path: &str) -> Route {
    let decoded: Option<Vec<String>> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8().ok().map(|text| text.into_owned()))
        .collect();
    let Some(parts) = decoded else { return Route::Unknown };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Route::Health,
        ["version"] => Route::Version,
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiV3,
        ["openapi", "v3", "api", version] => Route::OpenApiV3Group(String::new(), (*version).to_owned()),
        ["openapi", "v3", "apis", group, version] => Route::OpenApiV3Group((*group).to_owned(), (*version).to_owned()),
        ["apis", group] => Route::Group((*group).to_owned()),
        ["api", version] => Route::GroupVersion(String::new(), (*version).to_owned()),
        ["apis", group, version] => Route::GroupVersion((*group).to_owned(), (*version).to_owned()),
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => Route::Unknown,
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Route {
    let target = Target { group: group.to_owned(), version: version.to_owned(), ..Target::default() };
    let own = |text: &str| Some(text.to_owned());
    let target = match rest {
        // A namespace is itself an object, with subresources of its own.
        ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
            Target { plural: "namespaces".to_owned(), name: own(name), subresource: own(sub), ..target }
        }
        ["namespaces", namespace, plural, rest @ ..] => {
            let target = Target { plural: (*plural).to_owned(), namespace: own(namespace), ..target };
            match rest {
                [] => target,
                [name] => Target { name: own(name), ..target },
                [name, sub] => Target { name: own(name), subresource: own(sub), ..target },
                _ => return Route::Unknown,
            }
        }
        [plural] => Target { plural: (*plural).to_owned(), ..target },
        [plural, name] => Target { plural: (*plural).to_owned(), name: own(name), ..target },
        [plural, name, sub] => {
            Target { plural: (*plural).to_owned(), name: own(name), subresource: own(sub), ..target }
        }
        _ => return Route::Unknown,
    };
    Route::Objects(target)
}

#[cfg(test)]
mod tests {
    use super::{Route, route};

    #[test]
    fn paths_name_what_kubernetes_says_they_name() {
        let cases = [
            ("/api/v1/pods", ("", "v1", "pods", None, None, None)),
            ("/api/v1/namespaces", ("", "v1", "namespaces", None, None, None)),
            ("/api/v1/namespaces/n", ("", "v1", "namespaces", None, Some("n"), None)),
            ("/api/v1/namespaces/n/status", ("", "v1", "namespaces", None, Some("n"), Some("status"))),
            ("/api/v1/namespaces/n/pods", ("", "v1", "pods", Some("n"), None, None)),
            ("/api/v1/namespaces/n/pods/p/log", ("", "v1", "pods", Some("n"), Some("p"), Some("log"))),
            ("/apis/a.io/v1/namespaces/n/clusters/c", ("a.io", "v1", "clusters", Some("n"), Some("c"), None)),
            ("/apis/a.io/v1/clusters", ("a.io", "v1", "clusters", None, None, None)),
            ("/api/v1/nodes/x%2Dy", ("", "v1", "nodes", None, Some("x-y"), None)),
        ];
        for (path, expected) in cases {
            let Route::Objects(t) = route(path) else { panic!("{path}") };
            let found = (
                t.group.as_str(),
                t.version.as_str(),
                t.plural.as_str(),
                t.namespace.as_deref(),
                t.name.as_deref(),
                t.subresource.as_deref(),
            );
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(route("/apis/a.io/v1"), Route::GroupVersion("a.io".into(), "v1".into()));
        assert_eq!(route("/readyz/ping"), Route::Health);
        assert_eq!(route("/"), Route::Unknown);
    }
}
