//! Sends an answer until the platform takes it: with pauses, within the time that it is good for, and in its plainest
//! form when the platform refuses the other.

use std::time::Duration;

use podbell_core::backoff::doubled;
use podbell_core::outbox::Outcome;
use podbell_core::outbox::pace::Pace;
use podbell_core::time::Time;

use super::ChatDeps;
use super::rate::Rate;

/// How often an answer is posted where the platform does not count: for some five minutes.
const MAX_POSTS: u32 = 10;
/// How often the pause between posts doubles.
const DOUBLINGS: u32 = 6;

/// What became of one post.
pub(crate) enum Posted {
    /// It was taken.
    Done,
    /// It may be taken later.
    Later(Option<Duration>),
    /// This content is refused.
    ContentRejected,
    /// The address does not work, now or later, for this short code of the other side.
    Never(String),
}

impl From<Outcome> for Posted {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Delivered | Outcome::Posted(_) | Outcome::NotNeeded => Self::Done,
            Outcome::Refused { retry_after, .. } | Outcome::Unclear { retry_after, .. } => Self::Later(retry_after),
            Outcome::ContentRejected { .. } => Self::ContentRejected,
            Outcome::Orphaned { why } => Self::Never(why),
            Outcome::InvalidDestination { text, .. } => Self::Never(text),
        }
    }
}

/// How answers are posted; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTiming {
    /// The pause before an answer is posted again; doubles each time.
    pub again: Duration,
    /// How fast answers are posted in one conversation.
    pub pace: Pace,
}

impl AnswerTiming {
    /// At this pace, with the pause of every chat.
    pub(crate) fn at(pace: Pace) -> Self {
        Self { again: Duration::from_secs(1), pace }
    }
}

/// Whose answers, and how long they are tried.
pub(crate) struct AnswerDelivery<'a> {
    /// The chat's name.
    pub chat: &'a str,
    /// The clock.
    pub deps: &'a ChatDeps,
    /// How fast answers are posted, and the conversation that they belong to; `None` where each has a place of its own.
    pub rate: Option<(&'a Rate, &'a str)>,
    /// The pause before the second post; doubles each time.
    pub again: Duration,
    /// How long the platform takes an answer.
    pub within: Duration,
    /// How often it takes one, where it counts.
    pub max_posts: Option<u32>,
}

impl AnswerDelivery<'_> {
    /// Posts `body` until it is taken; `plain` is the same in the plainest form.
    pub(crate) async fn post<B, F, A>(&self, body: B, plain: B, post: F)
    where
        B: Clone,
        F: Fn(B) -> A,
        A: Future<Output = Posted>,
    {
        let started: Time = (self.deps.now)();
        let (mut body, mut plain) = (body, Some(plain));
        let max_posts = self.max_posts.unwrap_or(MAX_POSTS);
        for attempt in 0..max_posts {
            if !self.takes_a_place(started).await {
                break;
            }
            let wait = match post(body.clone()).await {
                Posted::Done => return,
                Posted::Never(why) => {
                    tracing::warn!(chat = %self.chat, why, "an answer could not be delivered");
                    return;
                }
                Posted::ContentRejected => match plain.take() {
                    Some(plain) => {
                        body = plain;
                        Duration::ZERO
                    }
                    None => break,
                },
                Posted::Later(after) => {
                    after.unwrap_or_else(|| doubled(self.again, attempt.min(DOUBLINGS), Duration::MAX))
                }
            };
            if attempt + 1 == max_posts || (self.deps.now)().since(started).saturating_add(wait) > self.within {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        tracing::warn!(chat = %self.chat, "an answer could not be delivered: the chat does not take it");
    }

    /// Waits for a place in the conversation. Returns whether there was one in time.
    async fn takes_a_place(&self, started: Time) -> bool {
        let Some((rate, conversation)) = self.rate else { return true };
        loop {
            let now = (self.deps.now)();
            let Err(wait) = rate.take(conversation, now) else { return true };
            if now.since(started) + wait > self.within {
                return false;
            }
            tokio::time::sleep(wait).await;
        }
    }
}
