//! The options of a list: of which version it is to be, and which page of it.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine as _};
use http::StatusCode;
use serde_json::{Value, json};

use super::super::error::{ApiError, Cause};
use super::super::object::{as_map, at, text};
use super::super::store::{At, Gone, Page, Rest};
use super::answer::{Answer, json_answer, list_answer};
use super::query::Query;
use super::resources::Call;
use super::server::ApiServer;

/// A list, or the page of one that was asked for.
pub(super) fn list(server: &ApiServer, call: &Call) -> Result<Answer, ApiError> {
    let page = page(&call.query)?;
    let listed = server.inner.store.page_in(&call.info, call.target.namespace.as_deref(), &call.selection()?, &page);
    match (listed, page.after) {
        (Ok(listed), _) => Ok(list_answer(&call.info, &listed, call.form, call.query.include())),
        (Err(Gone::Refused(error)), _) => Err(error),
        (Err(Gone::Expired), None) => {
            Err(ApiError::list_expired("The resourceVersion for the provided list is too old."))
        }
        (Err(Gone::Expired), Some(after)) => {
            let mut status = ApiError::list_expired(TOO_OLD).to_status();
            let token = encoded(&json!(-1), &after);
            as_map(&mut status).insert("metadata".to_owned(), json!({"continue": token}));
            Ok(json_answer(StatusCode::GONE, &status))
        }
    }
}

/// The real server's words: what a client that cannot start anew may do.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a \
    new list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
    the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
    modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// A version that is not there yet cannot be waited for here.
pub(super) fn not_from_the_future(server: &ApiServer, call: &Call) -> Result<(), ApiError> {
    let current = server.inner.store.version();
    match call.query.number("resourceVersion") {
        Some(asked) if asked > current => Err(ApiError::too_large_version(asked, current)),
        _ => Ok(()),
    }
}

/// Where the next page begins.
pub(super) fn token(version: u64, rest: &Rest) -> String {
    encoded(&version.into(), &rest.after)
}

fn encoded(version: &Value, (namespace, name): &(String, String)) -> String {
    let start = json!({"v": "meta.k8s.io/v1", "rv": version, "start": format!("{namespace}/{name}")});
    URL_SAFE_NO_PAD.encode(start.to_string())
}

fn page(query: &Query) -> Result<Page, ApiError> {
    let (version, rule, token) =
        (query.get("resourceVersion"), query.get("resourceVersionMatch"), query.get("continue"));
    let why = match rule {
        "" => None,
        _ if version.is_empty() => {
            Some(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        }
        _ if !token.is_empty() => Some(forbidden("resourceVersionMatch is forbidden when continue is provided")),
        "Exact" if version == "0" => {
            Some(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
        }
        "Exact" | "NotOlderThan" => None,
        other => Some(Cause {
            field: "resourceVersionMatch".to_owned(),
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""),
        }),
    };
    if let Some(why) = why {
        return Err(ApiError::invalid("ListOptions", "meta.k8s.io", "", &[why]));
    }
    let limit = query.number("limit").filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
    if !token.is_empty() {
        let (at, after) = decoded(token)?;
        if !matches!(version, "" | "0") {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        return Ok(Page { at, after: Some(after), limit });
    }
    let bad = |_| ApiError::bad_request(format!("Invalid value: {version:?}: resourceVersion must be a number"));
    let number = || version.parse::<u64>().map_err(bad);
    Ok(match (version, rule) {
        ("", _) => Page { at: At::Now, after: None, limit },
        // From memory, and then whole.
        ("0", _) => Page { at: At::Now, after: None, limit: None },
        (_, "Exact") => Page { at: At::Exactly(number()?), after: None, limit },
        // What a list with both meant before it could be said.
        (_, "") if limit.is_some() => Page { at: At::Exactly(number()?), after: None, limit },
        _ => Page { at: At::NotOlderThan(number()?), after: None, limit },
    })
}

fn forbidden(why: &str) -> Cause {
    Cause::forbidden("resourceVersionMatch", why)
}

fn decoded(token: &str) -> Result<(At, (String, String)), ApiError> {
    let bad = |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
    let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            _ => token.len() / 4 * 4,
        };
        bad(&format!("illegal base64 data at input byte {at}"))
    })?;
    let start: Value = serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))?;
    let after = text(&start, "/start").split_once('/').ok_or_else(|| bad("it has no start"))?;
    let at = match at(&start, "/rv") {
        version if version.as_i64() == Some(-1) => At::Now,
        version => At::Exactly(version.as_u64().ok_or_else(|| bad("it has no version"))?),
    };
    Ok((at, (after.0.to_owned(), after.1.to_owned())))
}
