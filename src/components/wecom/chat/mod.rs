//! WeCom: an AI bot over a long connection ([`Bot`]), and an app whose messages WeCom posts ([`App`]).
//!
//! Both ways end in `Asker::submit`, which checks whether it was heard before, whether the speaker may ask, and
//! whether there is a place. Then the query service is asked once, however often the message comes again. The
//! adapter never reads the store and never parses a command.

mod answer;
mod app;
mod bot;
pub(super) mod config;
mod crypto;
mod frame;
mod outbox;
mod xml;

use podbell_core::ask::Entry;

pub use crate::chat::ChatSettings;
pub use crate::chat::access::{Access, DIRECT};
pub use app::{App, AppConfig, AppTiming};
pub use bot::{Bot, BotConfig, BotTiming, ENDPOINT};
pub use crypto::{BadKey, Crypto};

/// Strips the mention of the bot, with which a message in a group begins, and the command's first word.
fn command(text: &str, mentioned: bool) -> (Entry, String) {
    // WeCom puts U+2005 behind a mention; that is white space, too.
    let mut text = text.trim();
    if mentioned && text.starts_with('@') {
        text = text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    }
    crate::chat::asker::command(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_at_the_beginning_is_left_out() {
        for (text, mentioned, entry, rest) in [
            ("@RobotA /events web-service", true, Entry::Events, "web-service"),
            ("@RobotA\u{2005}help", true, Entry::Podbell, "help"),
            ("@RobotA", true, Entry::Podbell, ""),
            ("@x help", false, Entry::Podbell, "@x help"),
            ("", true, Entry::Podbell, ""),
        ] {
            assert_eq!(command(text, mentioned), (entry, rest.to_owned()), "{text}");
        }
    }
}
