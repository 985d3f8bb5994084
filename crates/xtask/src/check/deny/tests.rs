//! The policy on made-up graphs.

use super::graph::{Dependency, Graph, Package};
use super::{judge, license, policy::Policy};

const POLICY: &str = r#"
[graph]
targets = []
all-features = false
[advisories]
yanked = "deny"
[licenses]
allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"]
confidence-threshold = 0.9
private = { ignore = true }
[bans]
multiple-versions = "warn"
wildcards = "deny"
allow-wildcard-paths = true
deny = [{ crate = "openssl-sys" }]
[sources]
unknown-registry = "deny"
unknown-git = "deny"
"#;

fn policy() -> Policy {
    basic_toml::from_str(POLICY).unwrap()
}

fn package(name: &str) -> Package {
    let index = ["crates", "io-index"].join(".");
    Package {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        license: Some("MIT".to_owned()),
        source: Some(format!("registry+https://github.com/rust-lang/{index}")),
        publish: None,
        dependencies: Vec::new(),
    }
}

fn refused(packages: &[Package]) -> Vec<String> {
    judge(&policy(), &Graph { packages: packages.to_vec() }).0
}

#[test]
fn a_licence_is_allowed_if_one_way_to_use_it_is() {
    let allowed = policy().licenses.allow;
    for (expression, answer) in [
        ("MIT", true),
        ("MIT OR GPL-3.0-only", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("(GPL-3.0-only OR MIT) AND ISC", true),
        ("GPL-3.0-only OR MIT AND ISC", true),
        ("GPL-3.0-only AND MIT OR BSD-2-Clause", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("MIT WITH LLVM-exception", false),
    ] {
        assert_eq!(license::is_allowed(expression, &allowed), Ok(answer), "{expression}");
    }
    for broken in ["", "MIT MIT", "(MIT", "MIT OR", "MIT WITH", "AND MIT"] {
        assert!(license::is_allowed(broken, &allowed).is_err(), "{broken}");
    }
}

#[test]
fn a_crate_without_an_allowed_licence_is_refused_unless_it_is_never_published() {
    let unnamed = Package { license: None, ..package("a") };
    let copyleft = Package { license: Some("AGPL-3.0-only".to_owned()), ..package("b") };
    assert_eq!(
        refused(&[unnamed.clone(), copyleft]),
        ["a 1.0.0 names no licence", "b 1.0.0 is under AGPL-3.0-only: not allowed"]
    );
    assert!(refused(&[Package { publish: Some(vec![]), ..unnamed }]).is_empty());
}

#[test]
fn a_banned_crate_is_refused_with_the_name_of_who_brought_it_in() {
    let needs = |name: &str, req: &str| Dependency { name: name.to_owned(), req: req.to_owned(), path: None };
    let user = Package { dependencies: vec![needs("openssl-sys", "^0.9")], ..package("client") };
    assert_eq!(refused(&[package("openssl-sys"), user]), ["openssl-sys is banned, and client uses it"]);
}

#[test]
fn any_version_is_taken_only_of_a_path() {
    let any = Dependency { name: "other".to_owned(), req: "*".to_owned(), path: None };
    let local = Dependency { path: Some("/elsewhere".to_owned()), ..any.clone() };
    assert_eq!(refused(&[Package { dependencies: vec![any], ..package("a") }]), ["a takes any version of other"]);
    assert!(refused(&[Package { dependencies: vec![local], ..package("a") }]).is_empty());
}

#[test]
fn a_crate_from_git_or_from_another_registry_is_refused() {
    for source in
        ["git+https://example.net/a#0123", "registry+https://example.net/index", "sparse+https://example.net/"]
    {
        let other = Package { source: Some(source.to_owned()), ..package("a") };
        assert_eq!(refused(&[other]), [format!("a comes from {source}")]);
    }
}

#[test]
fn two_versions_of_a_crate_are_said_and_not_refused() {
    let graph = Graph { packages: vec![package("a"), Package { version: "2.0.0".to_owned(), ..package("a") }] };
    assert_eq!(judge(&policy(), &graph), (vec![], vec!["several versions of: a (1.0.0, 2.0.0)".to_owned()]));
}

#[test]
fn a_key_that_nobody_enforces_is_an_error() {
    let text = POLICY.replace("[sources]", "skip = []\n[sources]");
    assert!(basic_toml::from_str::<Policy>(&text).is_err());
}
