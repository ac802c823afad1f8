//! Waiting for a condition, never for a length of time.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until `look` finds something; the last reason why not is part of the error.
///
/// Returns what was found and how long that took.
pub async fn until<T, Fut>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Fut,
) -> Result<(T, Duration)>
where
    Fut: Future<Output = Result<T, String>>,
{
    let begin = Instant::now();
    loop {
        let why_not = match look().await {
            Ok(found) => return Ok((found, begin.elapsed())),
            Err(why_not) => why_not,
        };
        if begin.elapsed() > within {
            bail!(
                "waited {:.1} s for {what}; at last: {why_not}",
                within.as_secs_f32()
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_what_was_missing_at_last() {
        let mut looks = 0;
        let within = Duration::from_millis(300);
        let error = until("the show", within, || {
            looks += 1;
            let look = looks;
            async move { Err::<(), _>(format!("look {look}")) }
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("waited 0.3 s for the show; at last: look {looks}")
        );
    }

    #[tokio::test]
    async fn returns_at_the_first_success() {
        let (found, took) = until("it", Duration::from_secs(5), || async { Ok(7) })
            .await
            .unwrap();
        assert_eq!(found, 7);
        assert!(took < Duration::from_millis(50));
    }
}
