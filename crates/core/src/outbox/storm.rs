//! Storms: more notices for a chat within a minute than people can read.
//!
//! In a storm the two most severe go alone and the rest is one digest, at most one a minute and later one every five
//! minutes. At most three messages go out in any minute. Critical ones are exempt: they wait for no digest, and have
//! three places a minute of their own. All of it follows from a few times that are stored with the destination, so that
//! a restart changes nothing.
//!
//! Only messages that arrived count, and only those with news: ends and podbell's announcements take no place and make
//! no storm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::queue::Class;
use crate::rule::Severity;
use crate::time::{Jump, Time};

/// The span by which storms are measured.
const MINUTE: Duration = Duration::from_secs(60);
/// In a storm no more messages than this go out in any minute, digests included.
pub const MAX_MESSAGES: usize = 3;
/// How many of them tell one incident each.
const MAX_ALONE: usize = 2;
/// This many digests are a minute apart; later ones are [`LATER`] apart.
const MINUTELY: u32 = 5;
/// How far apart later digests are.
const LATER: Duration = Duration::from_secs(300);
/// A storm is over when fewer notices than make one came within this time.
const CALM: Duration = Duration::from_secs(300);

/// After this many messages about ends within [`ENDS_WITHIN`], the next digest of ends waits for [`LATER`].
const MAX_ENDS: usize = 3;
const ENDS_WITHIN: Duration = Duration::from_secs(600);

/// A destination's recent messages, and its storm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storm {
    /// When messages with news arrived: the last [`MAX_MESSAGES`], or as many as make no storm.
    messages: Vec<Time>,
    /// Those of them that told something critical.
    critical: Vec<Time>,
    /// When messages that told only ends arrived.
    ends: Vec<Time>,
    /// When the newest notices fell due: one more than makes no storm.
    #[serde(rename = "arrived")]
    fell_due: Vec<Time>,
    /// Since when a storm is on.
    since: Option<Time>,
    /// Notices since the storm began.
    notices: u64,
    /// Whether a digest was sent since then: after it only critical notices go alone.
    summed: bool,
    /// Digests since the storm began.
    digests: u32,
    /// When the newest digest arrived.
    last_digest: Option<Time>,
}

/// What a digest says of its storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StormFacts {
    /// Since when the storm is on.
    pub since: Time,
    /// Notices since then, sent or not.
    pub notices: u64,
}

/// A message that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// Its class.
    pub class: Class,
    /// Whether it tells something critical.
    pub critical: bool,
    /// Whether it is a digest.
    pub digest: bool,
}

/// News that waits for a destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingNews {
    /// How many incidents have news.
    pub count: usize,
    /// How urgent the news is that comes first.
    pub first: Severity,
    /// Whether several of them are critical.
    pub several_critical: bool,
}

/// How what waits is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// What comes first is sent by itself.
    Alone,
    /// All of it is sent as one message.
    Digest,
    /// Nothing is sent before this time.
    At(Time),
}

impl Storm {
    /// Counts a new notice that fell due at `now`.
    pub(super) fn note_due(&mut self, after: usize, now: Time) {
        keep(&mut self.fell_due, after + 1, now);
        self.notices += u64::from(self.since.is_some());
    }

    /// Notes a message that arrived.
    pub(super) fn message(&mut self, after: usize, what: Arrived, now: Time) {
        let most = after.max(MAX_MESSAGES);
        match what.class {
            Class::News => {
                keep(&mut self.messages, most, now);
                if what.critical {
                    keep(&mut self.critical, MAX_MESSAGES, now);
                }
                if what.digest {
                    self.digests += 1;
                    self.last_digest = Some(now);
                }
            }
            Class::End => keep(&mut self.ends, most.max(MAX_ENDS), now),
            Class::Announcement => {}
        }
    }

    /// Whether a storm is on while so many incidents wait.
    fn is_on(&self, waiting: usize, after: usize, now: Time) -> bool {
        let going_on = self.since.is_some()
            && self.fell_due.len() > after
            && self.fell_due.first().is_some_and(|first| now.since(*first) < CALM);
        going_on || waiting + lately(&self.messages, now).count() > after
    }

    /// Notes that a storm began or ended.
    pub(super) fn turn(&mut self, waiting: usize, after: usize, now: Time) {
        match (self.is_on(waiting, after, now), self.since) {
            (true, None) => {
                let told = lately(&self.messages, now).count();
                let first = lately(&self.messages, now).chain(self.fell_due.iter().copied()).min();
                self.since = Some(first.map_or(now, |first| first.min(now)));
                self.notices = (waiting + told) as u64;
            }
            (false, Some(_)) => {
                self.since = None;
                self.notices = 0;
                self.summed = false;
                self.digests = 0;
                self.last_digest = None;
            }
            _ => {}
        }
    }

    /// How news is sent while a storm is on; `None` while there is none.
    pub(super) fn release_news(&self, waiting: WaitingNews, after: usize, now: Time) -> Option<Release> {
        if !self.is_on(waiting.count, after, now) {
            return None;
        }
        // A single incident needs no digest.
        let digest = if waiting.count > 1 { Release::Digest } else { Release::Alone };
        let apart = if self.digests < MINUTELY { MINUTE } else { LATER };
        let last = self.last_digest.filter(|last| *last <= now);
        let digest_at = last.map_or(now, |last| last.plus(apart));
        if waiting.first == Severity::Critical {
            // A critical notice must call somebody now and does not wait for a digest.
            let told: Vec<Time> = lately(&self.critical, now).collect();
            return Some(match room_at(&told) {
                Some(free_at) => Release::At(free_at),
                None if told.len() < MAX_ALONE => Release::Alone,
                None if digest_at <= now || waiting.several_critical => digest,
                None => Release::Alone,
            });
        }
        let told: Vec<Time> = lately(&self.messages, now).collect();
        Some(match room_at(&told) {
            Some(free_at) => Release::At(free_at),
            None if told.len() < MAX_ALONE && !self.summed => Release::Alone,
            None if digest_at <= now => digest,
            None => Release::At(digest_at),
        })
    }

    /// How ends are sent, which come after all news; `None`: each by itself and at once. Those that wait together share
    /// a message. More than a few within a minute wait for each other, and such messages become rarer.
    pub(super) fn release_ends(&self, waiting: usize, after: usize, now: Time) -> Option<Release> {
        let told = lately(&self.ends, now).count();
        if waiting + told <= after && !self.is_on(0, after, now) {
            return (waiting > 1).then_some(Release::Digest);
        }
        let mut all: Vec<Time> = lately(&self.messages, now).chain(lately(&self.ends, now)).collect();
        all.sort_unstable();
        let newest = self.ends.last().copied().filter(|last| *last <= now);
        let often = self.ends.len().checked_sub(MAX_ENDS).and_then(|at| self.ends.get(at));
        let often = often.is_some_and(|first| *first <= now && now.since(*first) < ENDS_WITHIN);
        let next_at = newest.map(|newest| newest.plus(if often { LATER } else { MINUTE }));
        // In a storm ends wait for the next digest of news, if there is one.
        let of_storm = self.last_digest.filter(|last| *last <= now).map(|last| last.plus(LATER));
        let free_at = next_at.into_iter().chain(of_storm).chain(room_at(&all)).max().filter(|at| *at > now);
        Some(match free_at {
            Some(free_at) => Release::At(free_at),
            None if waiting == 1 => Release::Alone,
            None => Release::Digest,
        })
    }

    pub(super) fn clock_set(&mut self, by: Jump) {
        let Self { messages, critical, ends, fell_due, since, notices: _, summed: _, digests: _, last_digest } = self;
        let times = [messages, critical, ends, fell_due].into_iter().flatten();
        times.chain([since, last_digest].into_iter().flatten()).for_each(|at| at.carry(by));
    }

    /// Notes that a digest is on its way.
    pub(super) fn sum_up(&mut self) {
        self.summed = self.since.is_some();
    }

    /// What a digest says of the storm that is on.
    pub(super) fn facts(&self) -> Option<StormFacts> {
        self.since.map(|since| StormFacts { since, notices: self.notices })
    }
}

/// The times of the last minute, ascending. Future ones are skipped: a clock that was set back must not silence
/// anybody.
fn lately(times: &[Time], now: Time) -> impl Iterator<Item = Time> + '_ {
    times.iter().copied().filter(move |at| *at <= now && now.since(*at) < MINUTE)
}

fn keep(times: &mut Vec<Time>, most: usize, now: Time) {
    times.push(now);
    let excess = times.len().saturating_sub(most);
    times.drain(..excess);
}

/// When one more fits into a minute that holds at most [`MAX_MESSAGES`]; `None`: at once.
fn room_at(times: &[Time]) -> Option<Time> {
    times.len().checked_sub(MAX_MESSAGES).and_then(|at| times.get(at)).map(|leaving| leaving.plus(MINUTE))
}
