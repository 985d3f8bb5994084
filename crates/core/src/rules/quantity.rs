//! Kubernetes quantities (`resource.Quantity`): 100Gi, 1.5G, 1e3, 250m.

/// A quantity, or a change of one, is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a quantity.
    #[error("{0:?} is no quantity: write a number and a unit, as 10Gi, 500M or 1.5Ti")]
    Syntax(String),
    /// More than can be counted.
    #[error("{0:?} is too large")]
    TooLarge(String),
    /// A volume of no size.
    #[error("storage.size is {0:?}: a volume needs a size above zero, as 10Gi")]
    Empty(String),
    /// A volume that should shrink.
    #[error(
        "storage.size cannot shrink from {old} to {new}: volumes only grow; create a new cluster and restore into it"
    )]
    Shrink {
        /// What it is.
        old: String,
        /// What it should become.
        new: String,
    },
}

/// Numerator and denominator of a suffix; nothing if it is none.
fn unit(suffix: &str) -> Option<(u128, u128)> {
    let whole = |n: u128| Some((n, 1));
    match suffix {
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "" => whole(1),
        "k" => whole(1_000),
        "M" => whole(1_000_000),
        "G" => whole(1_000_000_000),
        "T" => whole(1_000_000_000_000),
        "P" => whole(1_000_000_000_000_000),
        "E" => whole(1_000_000_000_000_000_000),
        "Ki" => whole(1 << 10),
        "Mi" => whole(1 << 20),
        "Gi" => whole(1 << 30),
        "Ti" => whole(1 << 40),
        "Pi" => whole(1 << 50),
        "Ei" => whole(1 << 60),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            let power: i32 =
                digits.strip_prefix('+').unwrap_or(digits).parse().ok().filter(|_| !digits.starts_with("+-"))?;
            let factor = 10_u128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

/// Reads a quantity as a whole number of its base unit (bytes, for storage), rounded up as Kubernetes does.
///
/// # Errors
/// [`QuantityError::Syntax`], [`QuantityError::TooLarge`]; a negative number is no quantity here.
pub fn quantity(text: &str) -> Result<u64, QuantityError> {
    let syntax = || QuantityError::Syntax(text.to_owned());
    let large = || QuantityError::TooLarge(text.to_owned());
    let number = text.strip_prefix('+').unwrap_or(text);
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let (number, suffix) = number.split_at_checked(end).ok_or_else(syntax)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(syntax());
    }
    let (times, over) = unit(suffix).ok_or_else(syntax)?;
    let digits = format!("{whole}{fraction}");
    let mantissa: u128 = digits.parse().map_err(|_| large())?;
    let scale = u32::try_from(fraction.len()).ok().and_then(|n| 10_u128.checked_pow(n)).ok_or_else(large)?;
    let over = scale.checked_mul(over).ok_or_else(large)?;
    let value = mantissa.checked_mul(times).ok_or_else(large)?.div_ceil(over);
    u64::try_from(value).map_err(|_| large())
}

/// `storage.size`, in bytes.
///
/// # Errors
/// As [`quantity`], and [`QuantityError::Empty`].
pub fn storage_size(text: &str) -> Result<u64, QuantityError> {
    match quantity(text)? {
        0 => Err(QuantityError::Empty(text.to_owned())),
        bytes => Ok(bytes),
    }
}

/// A change of `storage.size`: volumes only grow.
///
/// # Errors
/// As [`storage_size`], and [`QuantityError::Shrink`].
pub fn storage_change(old: &str, new: &str) -> Result<u64, QuantityError> {
    let bytes = storage_size(new)?;
    if bytes < storage_size(old)? {
        return Err(QuantityError::Shrink { old: old.to_owned(), new: new.to_owned() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_kubernetes_reads() {
        for (text, value) in [
            ("100Gi", 100 << 30),
            ("1.5Gi", 3 << 29),
            ("1G", 1_000_000_000),
            ("250m", 1),
            ("1500m", 2),
            ("0", 0),
            (".5k", 500),
            ("5.", 5),
            ("1e3", 1000),
            ("1E3", 1000),
            ("1E", 1_000_000_000_000_000_000),
            ("12e-1", 2),
            ("+1Ki", 1024),
            ("15Ei", 15 << 60),
        ] {
            assert_eq!(quantity(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for text in ["", ".", "Gi", "1 Gi", "1GiB", "1g", "-1", "1.2.3", "1e", "1e+-3", "0x10", "١", "1KI"] {
            assert_eq!(quantity(text), Err(QuantityError::Syntax(text.to_owned())), "{text}");
        }
        for text in ["16Ei", "1e30", &"9".repeat(60), &format!("0.{}", "0".repeat(60))] {
            assert_eq!(quantity(text), Err(QuantityError::TooLarge(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_volume_grows_and_never_shrinks() {
        assert_eq!(storage_change("100Gi", "0.1Ti"), Ok(109_951_162_778));
        assert_eq!(storage_change("1Gi", "1024Mi"), Ok(1 << 30));
        assert!(matches!(storage_change("1Gi", "1G"), Err(QuantityError::Shrink { .. })));
        assert_eq!(storage_size("0Gi"), Err(QuantityError::Empty("0Gi".to_owned())));
    }

    proptest! {
        #[test]
        fn whole_numbers_are_themselves(value: u64) {
            prop_assert_eq!(quantity(&value.to_string()), Ok(value));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.]{0,30}(e-?[0-9]{0,12}|[KMGTPE]i?|[numk])?|\\PC*") {
            let _ = quantity(&text);
        }
    }
}
