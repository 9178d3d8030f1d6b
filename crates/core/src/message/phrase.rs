//! The small phrases that messages and answers share: spans of time, counts, clocks.

use super::{Clock, Style};
use crate::time::Time;
use crate::translations::messages::MessageTexts;

/// Anything fewer seconds ago than this was "just now".
const JUST_NOW: u64 = 5;

/// Phrases in a reader's language and zone.
pub struct Phrases<'a> {
    texts: MessageTexts,
    clock: Clock<'a>,
}

impl<'a> Phrases<'a> {
    /// The phrases for this reader.
    pub fn new(style: &'a Style) -> Self {
        let clock = Clock { zone: &style.time_zone, now: style.now };
        Self { texts: MessageTexts::of(style.language), clock }
    }

    /// `10:02`, or with its date on another day.
    pub fn at(&self, time: Time) -> String {
        self.clock.at(time)
    }

    /// How long something took or takes, `2 h 5 min`.
    pub fn duration(&self, seconds: u64) -> String {
        self.texts.duration(seconds)
    }

    /// How long ago something was, without the word "ago".
    pub fn age(&self, time: Time) -> String {
        self.duration(self.clock.now.since(time).as_secs())
    }

    /// How long ago something was: `3 min ago`.
    pub fn ago(&self, time: Time) -> String {
        let seconds = self.clock.now.since(time).as_secs();
        if seconds < JUST_NOW {
            return self.texts.just_now().to_owned();
        }
        self.texts.age(&self.duration(seconds))
    }

    /// Where somebody did something, see [`crate::mute::Author::via`].
    pub fn via(&self, via: &str) -> String {
        self.texts.via(via)
    }

    /// `134 times`.
    pub fn times(&self, n: u64) -> String {
        self.texts.times(n)
    }

    /// `6 pods`.
    pub fn objects(&self, n: u64, kind: &str) -> String {
        self.texts.objects(n, kind)
    }

    /// `42 services`.
    pub fn services(&self, n: u64) -> String {
        self.texts.services(n)
    }

    /// `+3 more`.
    pub fn more(&self, n: u64) -> String {
        self.texts.more(n)
    }

    /// Between items of one sentence.
    pub fn comma(&self) -> &'static str {
        self.texts.comma()
    }

    /// After a heading.
    pub fn colon(&self) -> &'static str {
        self.texts.colon()
    }
}
