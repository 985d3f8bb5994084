//! Query parameters and media types of a request, as data.

use super::super::table::Include;

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// A parameter, empty if absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    pub fn include(&self) -> Include {
        match self.get("includeObject") {
            "None" => Include::Nothing,
            "Object" => Include::Object,
            _ => Include::Metadata,
        }
    }
}

/// The form in which objects are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Objects,
    Table,
    Partial,
}

/// Chooses the form from `Accept`; `None` if only others are accepted.
pub(super) fn negotiate(accept: &str) -> Option<Form> {
    let mut ranges = accept.split(',').map(str::trim).filter(|range| !range.is_empty()).peekable();
    if ranges.peek().is_none() {
        return Some(Form::Objects);
    }
    ranges.find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next(), Some("application/json" | "application/*" | "*/*")) {
            return None;
        }
        match parts.find_map(|parameter| parameter.strip_prefix("as=")) {
            None => Some(Form::Objects),
            Some("Table") => Some(Form::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Form::Partial),
            // Aggregated discovery and the like: the next range is tried.
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Form, negotiate};

    #[test]
    fn the_first_form_that_can_be_served_is_served() {
        let cases = [
            ("", Some(Form::Objects)),
            ("*/*", Some(Form::Objects)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Form::Objects)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Form::Table)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(Form::Partial)),
            (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
                Some(Form::Objects),
            ),
            ("application/vnd.kubernetes.protobuf", None),
        ];
        for (accept, expected) in cases {
            assert_eq!(negotiate(accept), expected, "{accept}");
        }
    }
}
