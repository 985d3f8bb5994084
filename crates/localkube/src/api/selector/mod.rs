//! Label and field selectors of list, watch and deletecollection.

mod field;
mod label;

pub use field::FieldSelector;
pub use label::LabelSelector;

use serde_json::Value;

use super::error::ApiError;
use super::resource::ResourceInfo;

/// Both selectors together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// By labels.
    pub labels: LabelSelector,
    /// By fields.
    pub fields: FieldSelector,
}

impl Selection {
    /// From the query parameters `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 if a selector cannot be parsed or names a field that this resource cannot be selected by.
    pub fn parse(info: &ResourceInfo, labels: &str, fields: &str) -> Result<Self, ApiError> {
        Ok(Self { labels: LabelSelector::parse(labels)?, fields: FieldSelector::parse(info, fields)? })
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }
}
