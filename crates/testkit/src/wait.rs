//! Waiting for a condition with a deadline, never for a fixed time.

use core::time::Duration;
use tokio::time::Instant;

/// The condition did not come about.
#[derive(Debug, thiserror::Error)]
#[error("failed to see {what} within {within:?}: {last}")]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub within: Duration,
    /// What was seen last.
    pub last: String,
}

/// Between two looks, where they cost next to nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks `look` every 50 ms until it brings a value; what it says meanwhile goes into the error.
///
/// # Errors
/// [`Timeout`] with what was seen last.
pub async fn until<T, F, L>(what: &str, within: Duration, look: L) -> Result<T, Timeout>
where
    L: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    until_every(PAUSE, what, within, look).await
}

/// The same with another pause between two looks.
///
/// # Errors
/// As [`until`].
pub async fn until_every<T, F, L>(pause: Duration, what: &str, within: Duration, mut look: L) -> Result<T, Timeout>
where
    L: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + within;
    loop {
        let last = match look().await {
            Ok(value) => return Ok(value),
            Err(last) => last,
        };
        if Instant::now() >= deadline {
            return Err(Timeout { what: what.to_owned(), within, last });
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_comes_about_is_returned_and_one_that_does_not_says_what_was_seen() {
        let mut looks = 0;
        let seen = until("three looks", Duration::from_secs(1), || {
            looks += 1;
            let now = looks;
            async move { if now == 3 { Ok(now) } else { Err(format!("{now} looks")) } }
        });
        assert_eq!(seen.await.unwrap(), 3);
        let never = until("rain", Duration::from_secs(1), || async { Err::<(), _>("sun".to_owned()) });
        assert_eq!(never.await.unwrap_err().to_string(), "failed to see rain within 1s: sun");
    }
}
