//! Answers on their way to the bot's connection: they wait for a working connection, and go over the next one when
//! it breaks. An answer always uses the newest `req_id` of its question, and one stream.
//!
//! Source: "AI bot: long connection: stream replies" (a stream ends within 10 min).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use podbell_core::time::Time;

/// How long WeCom takes an answer.
const GOOD_FOR: Duration = Duration::from_secs(10 * 60);
/// How many questions wait for their answer; the query service has fewer in hand.
const MAX: usize = 1_000;

/// One frame of an answer.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The question's id.
    pub id: String,
    /// The text so far.
    pub content: Arc<str>,
    /// Whether that is all.
    pub finish: bool,
    /// How often WeCom refused it.
    pub tries: u32,
}

/// A question without its whole answer.
#[derive(Clone, Debug)]
struct Waiting {
    req_id: String,
    stream: String,
    since: Time,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Job>,
    waiting: HashMap<String, Waiting>,
}

/// The questions in hand, and the frames to send.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    wake: Notify,
}

/// What to send now.
#[derive(Debug)]
pub(crate) struct Next {
    /// The frame.
    pub job: Job,
    /// What it answers.
    pub req_id: String,
    /// Its stream.
    pub stream: String,
}

impl Outbox {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a new question. Returns whether there was a place.
    pub(crate) fn expect(&self, id: &str, req_id: &str, stream: String, now: Time) -> bool {
        let mut inner = self.inner();
        if inner.waiting.len() >= MAX {
            inner.waiting.retain(|_, waiting| now.since(waiting.since) <= GOOD_FOR);
        }
        let room = inner.waiting.len() < MAX;
        if room {
            inner.waiting.insert(id.to_owned(), Waiting { req_id: req_id.to_owned(), stream, since: now });
        }
        room
    }

    /// The question came again: an answer that was not sent yet goes to the newer request.
    pub(crate) fn moved(&self, id: &str, req_id: &str) {
        if let Some(waiting) = self.inner().waiting.get_mut(id) {
            req_id.clone_into(&mut waiting.req_id);
        }
    }

    /// Queues a frame until there is a connection. It replaces a queued frame of the same question.
    pub(crate) fn push(&self, job: Job) {
        let mut inner = self.inner();
        let newer = |queued: &Job| queued.id == job.id && queued.finish && !job.finish;
        if !inner.waiting.contains_key(&job.id) || inner.queue.iter().any(newer) {
            return;
        }
        inner.queue.retain(|queued| queued.id != job.id);
        inner.queue.push_back(job);
        drop(inner);
        self.wake.notify_one();
    }

    /// The next frame, if any, and how many were dropped because they were too old.
    pub(crate) fn next(&self, now: Time) -> (Option<Next>, usize) {
        let mut inner = self.inner();
        let mut dropped = 0;
        while let Some(job) = inner.queue.pop_front() {
            let Some(waiting) = inner.waiting.get(&job.id).cloned() else { continue };
            if now.since(waiting.since) <= GOOD_FOR {
                return (Some(Next { job, req_id: waiting.req_id, stream: waiting.stream }), dropped);
            }
            inner.waiting.remove(&job.id);
            dropped += 1;
        }
        (None, dropped)
    }

    /// The question is settled: its whole answer was sent, or never will be.
    pub(crate) fn done(&self, id: &str) {
        self.inner().waiting.remove(id);
    }

    /// Whether the question came again under another `req_id` than this.
    pub(crate) fn has_moved(&self, id: &str, req_id: &str) -> bool {
        self.inner().waiting.get(id).is_some_and(|waiting| waiting.req_id != req_id)
    }

    /// Whether every question has its answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.inner().waiting.is_empty()
    }

    /// Resolves when there may be something to send.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, content: &str, finish: bool) -> Job {
        Job { id: id.into(), content: content.into(), finish, tries: 0 }
    }

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    #[test]
    fn the_whole_answer_takes_the_place_of_its_first_word_and_goes_to_the_newest_request() {
        let outbox = Outbox::default();
        assert!(outbox.expect("m1", "r1", "s1".into(), at(0)));
        outbox.push(job("m1", "working", false));
        outbox.push(job("m1", "done", true));
        outbox.push(job("m1", "working", false));
        outbox.push(job("unknown", "x", true));
        outbox.moved("m1", "r2");
        let next = outbox.next(at(1)).0.unwrap();
        assert_eq!((&*next.job.content, next.req_id.as_str(), next.stream.as_str()), ("done", "r2", "s1"));
        assert!(outbox.has_moved("m1", "r1") && !outbox.has_moved("m1", "r2"));
        assert!(outbox.next(at(1)).0.is_none() && !outbox.is_idle());
        outbox.done("m1");
        assert!(outbox.is_idle());
        outbox.push(job("m1", "late", true));
        assert!(outbox.next(at(1)).0.is_none());
    }

    #[test]
    fn what_is_too_old_is_dropped_and_the_number_that_waits_is_bounded() {
        let outbox = Outbox::default();
        for n in 0..MAX {
            assert!(outbox.expect(&n.to_string(), "r", "s".into(), at(0)));
        }
        assert!(!outbox.expect("one more", "r", "s".into(), at(600)));
        outbox.push(job("1", "x", true));
        let (next, dropped) = outbox.next(at(601));
        assert!(next.is_none() && dropped == 1);
        assert!(outbox.expect("one more", "r", "s".into(), at(601)));
    }
}
