//! Who is signed in. In memory: a restart signs everybody out. Time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::server::api::Token;
use podbell_core::time::Time;

/// How long somebody stays signed in.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// How many sessions there are at most: of one token, and in all.
const MAX_EACH: usize = 100;
const MAX: usize = 1_000;

/// The hash of a session's id. Only the hash is kept: whoever reads the memory cannot sign in with it.
pub(crate) type Hash = [u8; 32];

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose token opened it.
    pub token: Token,
    /// When it ends by itself.
    pub until: Time,
    ended: watch::Sender<()>,
}

impl Session {
    /// Closed as soon as the session is gone.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: HashMap<Hash, Session>,
}

impl Sessions {
    /// Opens a session; beyond the limits, the oldest is closed.
    pub(crate) fn open(&mut self, id: Hash, token: Token, now: Time) {
        self.sweep(now);
        while self.all.values().filter(|session| session.token.name == token.name).count() >= MAX_EACH {
            let name = token.name.clone();
            self.drop_oldest(|session| session.token.name == name);
        }
        if self.all.len() >= MAX {
            self.drop_oldest(|_| true);
        }
        self.all.insert(id, Session { token, until: now.plus(LIFETIME), ended: watch::channel(()).0 });
    }

    fn drop_oldest(&mut self, of: impl Fn(&Session) -> bool) {
        let oldest = self.all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.until);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.all.remove(&id);
        }
    }

    /// The session of this id, unless it is over.
    pub(crate) fn find(&self, id: &Hash, now: Time) -> Option<&Session> {
        // A clock that was set back must not make a session longer.
        self.all.get(id).filter(|session| now < session.until && session.until <= now.plus(LIFETIME))
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, id: &Hash) {
        self.all.remove(id);
    }

    /// Drops sessions that are over.
    fn sweep(&mut self, now: Time) {
        self.all.retain(|_, session| now < session.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::api::{Rights, hash};

    fn token(name: &str) -> Token {
        Token { name: name.into(), secret: "x".into(), rights: Rights::Read, scope: Default::default() }
    }

    #[test]
    fn a_session_ends_after_twelve_hours_or_when_somebody_signs_out_and_whoever_listens_hears_it() {
        let (mut sessions, start) = (Sessions::default(), Time::from_seconds(1_000_000));
        sessions.open(hash("a"), token("ann"), start);
        let before = start.plus(LIFETIME).minus(Duration::from_millis(1));
        assert_eq!(sessions.find(&hash("a"), before).unwrap().token.name, "ann");
        assert!(sessions.find(&hash("a"), start.plus(LIFETIME)).is_none());
        assert!(sessions.find(&hash("b"), start).is_none());
        let listening = sessions.find(&hash("a"), start).unwrap().watch();
        assert!(listening.has_changed().is_ok());
        sessions.close(&hash("a"));
        assert!(listening.has_changed().is_err(), "the sender is gone");
        assert!(sessions.find(&hash("a"), start).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_session_longer() {
        let mut sessions = Sessions::default();
        let now = Time::from_seconds(1_000_000);
        sessions.open(hash("a"), token("ann"), now);
        assert!(sessions.find(&hash("a"), now.minus(Duration::from_secs(1))).is_none());
    }

    #[test]
    fn sessions_are_bounded_in_number_and_one_token_never_pushes_out_another() {
        let mut sessions = Sessions::default();
        let at = |n: u64| Time::from_seconds(1_000_000).plus(Duration::from_secs(n));
        sessions.open(hash("bob"), token("bob"), at(0));
        for n in 0..500 {
            sessions.open(hash(n.to_string()), token("ann"), at(n));
        }
        assert_eq!(sessions.all.len(), MAX_EACH + 1);
        assert!(sessions.find(&hash("bob"), at(500)).is_some() && sessions.find(&hash("499"), at(500)).is_some());
        assert!(sessions.find(&hash("0"), at(500)).is_none(), "the oldest made room");
        for n in 0..2_000 {
            sessions.open(hash(n.to_string()), token(&(n / 50).to_string()), at(1_000));
        }
        assert!(sessions.all.len() <= MAX);
    }
}
