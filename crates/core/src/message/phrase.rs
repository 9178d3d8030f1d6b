//! The small phrases that messages and answers share: spans of time, counts, clocks.

use std::ops::Deref;

use super::translations::MessageTexts;
use super::{Clock, Style};
use crate::time::Time;

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

    /// How long ago something was, without the word "ago".
    pub(crate) fn age(&self, time: Time) -> String {
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
}

impl Deref for Phrases<'_> {
    type Target = MessageTexts;

    fn deref(&self) -> &MessageTexts {
        &self.texts
    }
}
