//! The access token of an app, fetched when a request needs one and kept while it is good.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::reply::Reply;
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

/// A token is not used in its last minutes.
const RESERVE: Duration = Duration::from_secs(5 * 60);

/// What a platform granted.
pub(crate) struct Granted {
    /// The token.
    pub token: SecretString,
    /// How long it is good.
    pub lives: Duration,
}

struct Kept {
    token: SecretString,
    until: Time,
}

/// One token.
#[derive(Default)]
pub(crate) struct TokenCache {
    last: Mutex<Last>,
    /// How often a token was asked for, and was granted or refused.
    fetches: AtomicU64,
}

/// What became of the last fetch.
#[derive(Default)]
enum Last {
    #[default]
    None,
    Kept(Kept),
    Failed(Outcome),
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}

impl TokenCache {
    /// The token that is kept, or the one that `fetch` gets. It is fetched once, however many callers wait, and a
    /// failure is the result for all of them: if each fetched in turn, the last would wait for all fetches before its own.
    ///
    /// # Errors
    /// What it means for a message that there is none: never [`Outcome::Unclear`], because nothing was sent.
    pub(crate) async fn get(
        &self,
        now: Time,
        fetch: impl Future<Output = Result<Granted, Outcome>>,
    ) -> Result<SecretString, Outcome> {
        self.other_than(None, now, fetch).await
    }

    /// Makes a request with the token. One that is refused for its token is made again with another token, once: nothing was
    /// carried out.
    ///
    /// # Errors
    /// When there is no token, or what `send` returns.
    pub(crate) async fn call<F, S>(
        &self,
        now: Time,
        fetch: impl Fn() -> F,
        send: impl Fn(SecretString) -> S,
        is_about_token: fn(&Reply) -> bool,
    ) -> Result<Reply, Outcome>
    where
        F: Future<Output = Result<Granted, Outcome>>,
        S: Future<Output = Result<Reply, Outcome>>,
    {
        let token = self.get(now, fetch()).await?;
        let reply = send(token.clone()).await?;
        if !is_about_token(&reply) {
            return Ok(reply);
        }
        send(self.other_than(Some(&token), now, fetch()).await?).await
    }

    async fn other_than(
        &self,
        refused: Option<&SecretString>,
        now: Time,
        fetch: impl Future<Output = Result<Granted, Outcome>>,
    ) -> Result<SecretString, Outcome> {
        let before = self.fetches.load(Ordering::Relaxed);
        let mut last = self.last.lock().await;
        match &*last {
            Last::Kept(Kept { token, until }) => {
                let is_refused = refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret());
                if !is_refused && now < *until {
                    return Ok(token.clone());
                }
            }
            Last::Failed(outcome) if self.fetches.load(Ordering::Relaxed) > before => return Err(outcome.clone()),
            Last::Failed(_) | Last::None => {}
        }
        *last = Last::None;
        let fetched = fetch.await.map_err(nothing_sent);
        self.fetches.fetch_add(1, Ordering::Relaxed);
        match fetched {
            Ok(Granted { token, lives }) => {
                let until = now.plus(lives.saturating_sub(RESERVE));
                *last = Last::Kept(Kept { token: token.clone(), until });
                Ok(token)
            }
            Err(outcome) => {
                *last = Last::Failed(outcome.clone());
                Err(outcome)
            }
        }
    }
}

/// Without a token, no message was sent, whatever became of the request for it.
fn nothing_sent(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unclear { retry_after, why } => Outcome::Refused { retry_after, why },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn a_token_is_fetched_anew_when_it_is_refused_and_before_it_ends() {
        let (cache, fetched) = (TokenCache::default(), AtomicUsize::new(0));
        let fetch = || async {
            let token = format!("t{}", fetched.fetch_add(1, Ordering::Relaxed)).into();
            Ok(Granted { token, lives: Duration::from_secs(7200) })
        };
        let said = |body: &str| Reply { status: 200, body: body.to_owned(), ..Reply::default() };
        let send = |token: SecretString| async move { Ok(said(token.expose_secret())) };
        let at = Time::from_seconds;
        for (now, is_refused, expected) in [
            (0, (|_| false) as fn(&Reply) -> bool, "t0"),
            (6899, |_| false, "t0"),
            (6900, |_| false, "t1"),
            (6901, |reply| reply.body == "t1", "t2"),
            (6902, |reply| reply.body == "t1", "t2"),
        ] {
            assert_eq!(cache.call(at(now), fetch, send, is_refused).await.unwrap().body, expected, "at {now}");
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_a_fetch_that_fails_does_not_fetch_again() {
        let (cache, fetched) = (TokenCache::default(), AtomicUsize::new(0));
        let fetch = || async {
            fetched.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(Outcome::Refused { retry_after: None, why: "down".into() })
        };
        let get = || cache.get(Time::default(), fetch());
        let (one, two, three) = tokio::join!(get(), get(), get());
        assert!([one, two, three].iter().all(Result::is_err));
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
        assert!(get().await.is_err());
        assert_eq!(fetched.load(Ordering::Relaxed), 2, "whoever comes later tries again");
    }

    #[tokio::test]
    async fn nothing_was_sent_when_there_is_no_token() {
        let lost = async { Err(Outcome::Unclear { retry_after: None, why: "lost".into() }) };
        let outcome = TokenCache::default().get(Time::default(), lost).await.unwrap_err();
        assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    }
}
