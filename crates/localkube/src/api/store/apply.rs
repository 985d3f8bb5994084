//! Server-side apply in the store: read, decided by who owns what, and written in one step.

use serde_json::Value;

use super::super::error::ApiError;
use super::super::fields;
use super::super::lifecycle::{self, Part};
use super::super::object::{set_meta, uid};
use super::super::resource::ResourceInfo;
use super::Store;
use super::write::{Wished, WriteOptions, Written};

/// What is applied.
#[derive(Debug)]
pub struct ApplyWish {
    /// Object or status.
    pub part: Part,
    /// What the manager wants.
    pub config: Value,
    /// Take what others own.
    pub force: bool,
}

impl Store {
    /// Applies a configuration, and creates the object where there is none.
    pub(in super::super) fn apply_in(
        &self,
        info: &ResourceInfo,
        namespace: &str,
        name: &str,
        wish: &ApplyWish,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let now = lifecycle::timestamp(jiff::Timestamp::now());
        let by = options.writer(wish.part, &now);
        let wished = |old: Option<&Value>| {
            let applied = fields::apply(info, old, &wish.config, &by, wish.force)?;
            Ok(Wished { object: applied.object, managers: Some(applied.managers) })
        };
        if wish.part == Part::Main && self.get_in(info, namespace, name).is_err() {
            if !uid(&wish.config).is_empty() {
                let why =
                    format!("Precondition failed: UID in precondition: {}, UID in object meta: ", uid(&wish.config));
                return Err(ApiError::conflict(&info.gr, name, why));
            }
            let mut new = wished(None)?;
            set_meta(&mut new.object, "name", name);
            return self.create_with(info, namespace, new, options);
        }
        self.change_in(info, namespace, name, wish.part, |old| wished(Some(old)), options)
    }
}
