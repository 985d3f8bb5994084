//! Schedules as people write them.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Fields {
    match text.parse() {
        Ok(Schedule::Fields(fields)) => fields,
        other => panic!("{text}: {other:?}"),
    }
}

fn bits(values: &[u32]) -> u64 {
    values.iter().fold(0, |bits, n| bits | 1 << n)
}

#[test]
fn five_fields_begin_with_the_minute_and_six_with_the_second() {
    let five = read("0 2 * * *");
    assert_eq!((five.second, five.minute, five.hour), (bits(&[0]), bits(&[0]), bits(&[2])));
    assert_eq!(read("0 0 2 * * *"), five);
    assert_eq!(read("@daily"), read("0 0 0 * * *"));
}

#[test]
fn lists_ranges_steps_and_names_are_read() {
    let fields = read("*/20 1,3-5 8-18/5 1/10 jan-MAR,12 Mon-fri,7");
    assert_eq!(fields.second, bits(&[0, 20, 40]));
    assert_eq!(fields.minute, bits(&[1, 3, 4, 5]));
    assert_eq!(fields.hour, bits(&[8, 13, 18]));
    assert_eq!(fields.day_of_month, bits(&[1, 11, 21, 31]));
    assert_eq!(fields.month, bits(&[1, 2, 3, 12]));
    assert_eq!(fields.day_of_week, bits(&[0, 1, 2, 3, 4, 5]));
    assert!(fields.either_day);
    assert!(!read("0 0 2 1 * ?").either_day);
}

#[test]
fn every_takes_a_duration() {
    for (text, seconds) in [("@every 1h30m", 5_400), ("@every 90s", 90), ("@every  2m", 120)] {
        assert_eq!(text.parse(), Ok(Schedule::Every(Duration::from_secs(seconds))));
    }
    for text in ["@every", "@every ", "@every 0s", "@every 5", "@every 10ms", "@every -1h", "@never", "@", "@every 1é"]
    {
        assert_eq!(text.parse::<Schedule>(), Err(CronError::Descriptor(text.to_owned())), "{text}");
    }
}

#[test]
fn the_error_names_the_field() {
    let field = |text: &str| match text.parse::<Schedule>() {
        Err(CronError::Field { field, .. }) => field,
        other => panic!("{text}: {other:?}"),
    };
    for (text, name) in [
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("x 0 2 * * *", "second"),
        ("5-1 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("1,, * * * *", "minute"),
        ("+1 * * * *", "minute"),
        ("1/x * * * *", "minute"),
    ] {
        assert_eq!(field(text), name, "{text}");
    }
    for (text, count) in [("", 0), ("0 2 * *", 4), ("0 0 2 * * * *", 7)] {
        assert_eq!(text.parse::<Schedule>(), Err(CronError::Count { schedule: text.to_owned(), count }));
    }
}

#[test]
fn a_day_that_no_month_has_is_refused() {
    assert!(matches!("0 0 31 2,4 *".parse::<Schedule>(), Err(CronError::Never(_))));
    assert!("0 0 29 2 *".parse::<Schedule>().is_ok());
    assert!("0 0 31 2 mon".parse::<Schedule>().is_ok(), "any Monday of February will do");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([0-9*/,?-]{1,5} ){4,6}|@every [0-9hms]{0,8}|\\PC*") {
        if let Ok(Schedule::Fields(fields)) = text.parse() {
            prop_assert!(fields.second != 0 && fields.minute != 0 && fields.hour != 0);
            prop_assert!(fields.day_of_week != 0 && fields.day_of_week < 1 << 7);
        }
    }
}
