//! Delays, ports and ids that are plain numbers with bounds.

/// A number lies outside its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: it must be from {least} to {most}")]
pub struct OutOfBounds {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: i64,
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
}

fn within(field: &'static str, value: i64, least: i64, most: i64) -> Result<u32, OutOfBounds> {
    let wrong = OutOfBounds { field, value, least, most };
    if (least..=most).contains(&value) { u32::try_from(value).map_err(|_| wrong) } else { Err(wrong) }
}

/// A delay of the Cluster in seconds (`stopDelay`, `switchoverDelay`, `startDelay`, `smartShutdownTimeout`,
/// `failoverDelay`): not negative, and no longer than a day, so that a typing error does not look like a hang.
///
/// # Errors
/// [`OutOfBounds`] names the field.
pub fn delay_seconds(field: &'static str, value: i64) -> Result<u32, OutOfBounds> {
    within(field, value, 0, 86_400)
}

/// `postgresUID` and `postgresGID`: postgres refuses to run as root.
///
/// # Errors
/// [`OutOfBounds`] names the field.
pub fn postgres_id(field: &'static str, value: i64) -> Result<u32, OutOfBounds> {
    within(field, value, 1, i64::from(u32::MAX) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_and_the_error_names_the_field() {
        assert_eq!(delay_seconds("stopDelay", 1800), Ok(1800));
        assert_eq!(delay_seconds("stopDelay", 0), Ok(0));
        assert!(delay_seconds("stopDelay", -1).unwrap_err().to_string().starts_with("stopDelay is -1"));
        assert!(delay_seconds("stopDelay", i64::MAX).is_err());
        assert_eq!(postgres_id("postgresUID", 26), Ok(26));
        assert!(postgres_id("postgresUID", 0).is_err());
    }
}
