//! From a request to the store and back: routing, and the verbs on objects.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use super::super::error::{ApiError, Cause};
use super::super::lifecycle::{DeleteOptions, Part};
use super::super::object::{text, uid};
use super::super::patch::{PatchType, apply_patch};
use super::super::resource::ResourceInfo;
use super::super::selector::Selection;
use super::super::store::WriteOptions;
use super::super::token::Identity;
use super::super::{discovery, openapi, rbac};
use super::answer::{self, Answer};
use super::paths::{Route, Target, route};
use super::query::{Form, Query, negotiate};
use super::server::ApiServer;
use super::{apply, auth, body, pages, reviews, scale, streams};

/// One request on objects, understood.
pub(super) struct Call {
    pub info: Arc<ResourceInfo>,
    pub target: Target,
    pub query: Query,
    pub form: Form,
    pub who: Identity,
    /// What the client calls itself, without its version.
    pub agent: String,
}

impl Call {
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    pub fn selection(&self) -> Result<Selection, ApiError> {
        Selection::parse(&self.info, self.query.get("labelSelector"), self.query.get("fieldSelector"))
    }

    pub fn write_options(&self) -> WriteOptions {
        let strict = self.query.get("fieldValidation") == "Strict";
        let manager = match self.query.get("fieldManager") {
            "" => self.agent.clone(),
            named => named.to_owned(),
        };
        WriteOptions { dry_run: self.query.get("dryRun") == "All", strict, manager }
    }

    pub fn answer(&self, status: StatusCode, object: &Arc<Value>, dropped: &[String]) -> Answer {
        let quiet = self.query.get("fieldValidation") == "Ignore";
        let dropped = if quiet { &[] } else { dropped };
        answer::object_answer(status, &self.info, object, self.form, self.query.include(), dropped)
    }
}

/// Answers any request.
pub(super) async fn handle(server: &ApiServer, request: Request<Incoming>, peer: Option<&Identity>) -> Answer {
    let latency = server.inner.faults.current().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let answered = dispatch(server, request, peer).await;
    let answer = answered.unwrap_or_else(|error| answer::refusal(&error));
    tracing::debug!(%method, path, status = answer.status().as_u16(), "answered");
    answer
}

async fn dispatch(server: &ApiServer, request: Request<Incoming>, peer: Option<&Identity>) -> Result<Answer, ApiError> {
    let ok = |value: Value| Ok(answer::json_answer(StatusCode::OK, &value));
    let route = route(request.uri().path());
    match &route {
        Route::Health => return Ok(answer::plain("ok")),
        Route::Version => return ok(discovery::version()),
        _ => {}
    }
    if let Some(code) = server.inner.faults.take_error() {
        return Err(ApiError::injected(code));
    }
    let Some(identity) = auth::authenticate(&server.inner, request.headers(), peer) else {
        return Err(ApiError::unauthorized());
    };
    let registry = server.inner.store.registry();
    match route {
        Route::CoreVersions => ok(discovery::core_versions()),
        Route::Groups => ok(discovery::groups(&registry)),
        Route::Group(group) => ok(discovery::group(&registry, &group).ok_or_else(ApiError::no_such_path)?),
        Route::GroupVersion(group, version) => {
            ok(discovery::resources(&registry, &group, &version).ok_or_else(ApiError::no_such_path)?)
        }
        Route::OpenApiV2 => ok(openapi::v2()),
        Route::OpenApiV3 => ok(openapi::v3_index(&registry, server.inner.store.version())),
        Route::OpenApiV3Group(group, version) => {
            ok(openapi::v3_group(&registry, &group, &version).ok_or_else(ApiError::no_such_path)?)
        }
        Route::Objects(target) if reviews::is_review(&target) => {
            let media_type = body::media_type(request.headers());
            let object = body::parse(&media_type, &body::read(request.into_body()).await?)?;
            reviews::answer_review(server, &target, object, &identity)
        }
        Route::Objects(target) => {
            let accept: Vec<&str> =
                request.headers().get_all(http::header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
            let form = negotiate(&accept.join(","));
            let info = registry.find(&target.group, &target.version, &target.plural);
            let info = info.cloned().ok_or_else(ApiError::no_such_path)?;
            let query = Query::parse(request.uri().query().unwrap_or_default());
            // A log is text whatever is accepted.
            let form = match target.subresource.as_deref() {
                Some("log") => Form::Objects,
                _ => form.ok_or_else(ApiError::not_acceptable)?,
            };
            permitted(server, &info, &target, &query, &identity, request.method())?;
            let agent = agent(request.headers());
            objects(server, Call { info, target, query, form, who: identity, agent }, request).await
        }
        _ => Err(ApiError::no_such_path()),
    }
}

/// `kubectl` of `kubectl/v1.35.0 (linux/amd64)`.
fn agent(headers: &http::HeaderMap) -> String {
    let text = headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split('/').next().unwrap_or_default().chars().take(128).collect()
}

/// 403 where RBAC is enforced and does not allow it.
fn permitted(
    server: &ApiServer,
    info: &ResourceInfo,
    target: &Target,
    query: &Query,
    who: &Identity,
    method: &Method,
) -> Result<(), ApiError> {
    if !server.inner.rbac {
        return Ok(());
    }
    // A list or watch of the one object of a name counts as one of that name.
    let selected = query.get("fieldSelector").strip_prefix("metadata.name=").unwrap_or_default();
    let name = target.name.as_deref().unwrap_or(selected);
    let one = target.name.is_some();
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ if query.is("watch") => "watch",
        _ if one => "get",
        _ => "list",
    };
    let resource = match &target.subresource {
        Some(sub) => format!("{}/{sub}", target.plural),
        None => target.plural.clone(),
    };
    let asked = rbac::Asked { verb, group: &target.group, resource: &resource, name };
    let namespace = target.namespace.as_deref().unwrap_or_default();
    if rbac::allowed(&server.inner.store, who, namespace, &asked) {
        return Ok(());
    }
    let why = format!("User {:?} cannot {verb} resource {resource:?} in API group {:?}", who.user, target.group);
    Err(ApiError::forbidden(&info.gr, name, format!("{why} in the namespace {namespace:?}")))
}

/// 403 for a role or binding that would give more than its writer has.
fn not_more(server: &ApiServer, call: &Call, object: &Value) -> Result<(), ApiError> {
    if !server.inner.rbac || call.info.gr.group != "rbac.authorization.k8s.io" {
        return Ok(());
    }
    let excess = rbac::excess(&server.inner.store, &call.who, &call.info.gr.plural, call.namespace(), object);
    if excess.is_empty() {
        return Ok(());
    }
    let why = format!("user {:?} is attempting to grant what it does not have: {}", call.who.user, excess.join("; "));
    Err(ApiError::forbidden(&call.info.gr, call.name(), why))
}

async fn objects(server: &ApiServer, call: Call, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let part = match (call.target.name.is_some(), call.target.subresource.as_deref()) {
        (false, _) => return collection(server, call, request).await,
        (true, None) => Part::Main,
        (true, Some("status")) if call.info.has_status => Part::Status,
        (true, Some("finalize")) if call.info.kind == "Namespace" => Part::Main,
        (true, Some("scale")) if call.info.scale.is_some() => return scale::handle(server, &call, request).await,
        (true, Some("log")) if call.info.kind == "Pod" => return streams::logs(server, &call).await,
        (true, Some("eviction")) if call.info.kind == "Pod" => return reviews::evict(server, &call, request).await,
        (true, Some("token")) if call.info.kind == "ServiceAccount" => {
            return reviews::issue_token(server, &call, request).await;
        }
        (true, Some(_)) => return Err(ApiError::no_such_path()),
    };
    let store = &server.inner.store;
    match *request.method() {
        Method::GET if call.query.is("watch") => streams::watch(server, call),
        Method::GET | Method::HEAD => {
            pages::not_from_the_future(server, &call)?;
            let object = store.get_in(&call.info, call.namespace(), call.name())?;
            Ok(call.answer(StatusCode::OK, &object, &[]))
        }
        Method::PUT => {
            let object = read_object(request).await?;
            not_more(server, &call, &object)?;
            let options = call.write_options();
            let written = store.put_in(&call.info, call.namespace(), call.name(), part, object, &options)?;
            let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
            Ok(call.answer(status, &written.object, &written.dropped))
        }
        Method::PATCH => patch(server, &call, part, request).await,
        Method::DELETE if part == Part::Main => delete(server, &call, request).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

async fn collection(server: &ApiServer, call: Call, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let store = &server.inner.store;
    match *request.method() {
        Method::GET if call.query.is("watch") => streams::watch(server, call),
        Method::GET | Method::HEAD => pages::list(server, &call),
        Method::POST => {
            let object = read_object(request).await?;
            not_more(server, &call, &object)?;
            let namespace = match &call.target.namespace {
                Some(namespace) => namespace.clone(),
                None if call.info.namespaced => text(&object, "/metadata/namespace").to_owned(),
                None => String::new(),
            };
            let written = store.create_in(&call.info, &namespace, object, &call.write_options())?;
            Ok(call.answer(StatusCode::CREATED, &written.object, &written.dropped))
        }
        Method::DELETE => {
            let selection = call.selection()?;
            let options = delete_options(&call, request).await?;
            let namespace = call.target.namespace.as_deref();
            let items = store.delete_collection(&call.info, namespace, &selection, &options)?;
            let listed = super::super::store::Listed { version: store.version(), items, rest: None };
            Ok(answer::list_answer(&call.info, &listed, call.form, call.query.include()))
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

pub(super) async fn read_object(request: Request<Incoming>) -> Result<Value, ApiError> {
    let media_type = body::media_type(request.headers());
    let bytes = body::read(request.into_body()).await?;
    body::parse(&media_type, &bytes)
}

async fn patch(server: &ApiServer, call: &Call, part: Part, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let store = &server.inner.store;
    let media_type = body::media_type(request.headers());
    let patch_type =
        PatchType::from_media_type(&media_type).ok_or_else(|| ApiError::unsupported_media_type(&media_type))?;
    let change = read_object(request).await?;
    not_more(server, call, &change)?;
    let custom = call.info.custom.is_some();
    let options = call.write_options();
    if patch_type == PatchType::Apply {
        let wish = apply::wish(call, part, change)?;
        let written = store.apply_in(&call.info, call.namespace(), call.name(), &wish, &options)?;
        let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        return Ok(call.answer(status, &written.object, &written.dropped));
    }
    let apply = |old: &Value| {
        let new = apply_patch(patch_type, custom, old, &change)?;
        let (wanted, own) = (uid(&new), uid(old));
        if wanted == own || wanted.is_empty() {
            return Ok(new);
        }
        // Of a patch it is a field like others; of a PUT it is a precondition.
        let causes = [Cause::invalid("metadata.uid", &wanted.into(), "field is immutable")];
        Err(ApiError::invalid(&call.info.kind, &call.info.gr.group, call.name(), &causes))
    };
    let written = store.update_in(&call.info, call.namespace(), call.name(), part, apply, &options)?;
    Ok(call.answer(StatusCode::OK, &written.object, &written.dropped))
}

async fn delete(server: &ApiServer, call: &Call, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let options = delete_options(call, request).await?;
    let (object, gone) = server.inner.store.delete_in(&call.info, call.namespace(), call.name(), &options)?;
    if gone {
        return Ok(answer::json_answer(StatusCode::OK, &answer::deleted(&call.info, &object)));
    }
    Ok(call.answer(StatusCode::OK, &object, &[]))
}

async fn delete_options(call: &Call, request: Request<Incoming>) -> Result<DeleteOptions, ApiError> {
    let media_type = body::media_type(request.headers());
    let bytes = body::read(request.into_body()).await?;
    let body = if bytes.is_empty() { Value::Null } else { body::parse(&media_type, &bytes)? };
    Ok(to_delete_options(&body, &call.query))
}

/// Options of a delete; the body counts before the query.
pub(super) fn to_delete_options(body: &Value, query: &Query) -> DeleteOptions {
    let own = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let policy = own("/propagationPolicy").unwrap_or_else(|| query.get("propagationPolicy").to_owned());
    let dry_run = query.get("dryRun") == "All" || body["dryRun"].as_array().is_some_and(|all| !all.is_empty());
    DeleteOptions {
        grace: body["gracePeriodSeconds"].as_u64().or_else(|| query.number("gracePeriodSeconds")),
        uid: own("/preconditions/uid"),
        version: own("/preconditions/resourceVersion"),
        orphan: policy == "Orphan" || body["orphanDependents"] == true,
        dry_run,
    }
}
