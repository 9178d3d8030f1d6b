//! Keeps a connection to a platform: how long to wait after each end, what of it is logged, and the loop that opens it
//! again. Every chat that connects by itself uses this; what a connection is, only its platform knows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use podbell_core::backoff::{doubled, jittered};
use podbell_core::outbox::Outcome;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disconnect {
    /// It could not be opened, or broke off, for this reason; the platform may ask for a pause.
    Lost {
        /// For the log.
        why: &'static str,
        /// Not before this.
        after: Option<Duration>,
    },
    /// The platform refuses podbell; only the operator can change that.
    Refused(&'static str),
    /// Another connection took its place, or all places are taken.
    Displaced(&'static str),
    /// podbell ends.
    Stopped,
}

impl Disconnect {
    /// It could not be opened, or broke off.
    pub(crate) fn lost(why: &'static str) -> Self {
        Self::Lost { why, after: None }
    }

    /// What the failure of a request means for a connection: `refused` says what the operator can do, `lost` what failed.
    pub(crate) fn of(outcome: &Outcome, refused: &'static str, lost: &'static str) -> Self {
        match outcome {
            Outcome::InvalidDestination { .. } => Self::Refused(refused),
            Outcome::Refused { retry_after, .. } | Outcome::Unclear { retry_after, .. } => {
                Self::Lost { why: lost, after: *retry_after }
            }
            _ => Self::lost(lost),
        }
    }
}

/// Opens a connection within `limit`, unless podbell is told to end before; `late` is why it was lost otherwise.
pub(crate) async fn open_in_time<T>(
    limit: Duration,
    stop: &CancellationToken,
    late: &'static str,
    opening: impl Future<Output = Result<T, Disconnect>>,
) -> Result<T, Disconnect> {
    tokio::select! {
        () = stop.cancelled() => Err(Disconnect::Stopped),
        opened = timeout(limit, opening) => opened.unwrap_or(Err(Disconnect::lost(late))),
    }
}

/// How a connection is kept; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTiming {
    /// How long opening it may take.
    pub open: Duration,
    /// How often podbell asks whether it lives.
    pub ping: Duration,
    /// Without any data for this long it is dead.
    pub silence: Duration,
    /// Before it is opened again.
    pub pauses: Pauses,
}

impl Default for ConnectionTiming {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { open: seconds(20), ping: seconds(20), silence: seconds(60), pauses: Pauses::default() }
    }
}

/// How long to wait before a connection is opened again.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// After the first loss; doubles each time.
    pub first: Duration,
    /// The longest after a loss.
    pub longest: Duration,
    /// After a refusal.
    pub refused: Duration,
    /// After it was displaced: two that displace each other without end answer nobody.
    pub displaced: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(1), longest: seconds(60), refused: seconds(5 * 60), displaced: seconds(5 * 60) }
    }
}

/// What is known of a connection over its ends.
pub(crate) struct Backoff {
    chat: String,
    what: &'static str,
    pauses: Pauses,
    chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// How often it failed since the platform last took it.
    tries: u32,
    /// Whether the trouble was logged.
    troubled: bool,
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("chat", &self.chat).field("tries", &self.tries).finish_non_exhaustive()
    }
}

impl Backoff {
    /// Of a chat's connection that never failed. `what` names it in the log; `chance` returns numbers from 0 to 1.
    pub(crate) fn new(
        chat: &str,
        what: &'static str,
        pauses: Pauses,
        chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    ) -> Self {
        Self { chat: chat.to_owned(), what, pauses, chance, tries: 0, troubled: false }
    }

    /// The platform took the connection.
    pub(crate) fn connected(&mut self) {
        self.tries = 0;
        if std::mem::take(&mut self.troubled) {
            tracing::info!(chat = %self.chat, "{} is connected again", self.what);
        } else {
            tracing::debug!(chat = %self.chat, "{} is connected", self.what);
        }
    }

    /// How long to wait after this end. Logs trouble once, until the connection works again.
    pub(crate) fn wait(&mut self, end: &Disconnect) -> Duration {
        let chance = (self.chance)();
        let jittered = |wait| jittered(wait, chance);
        let Pauses { first, longest, refused, displaced } = self.pauses;
        let backed_off = doubled(first, self.tries, longest);
        self.tries = self.tries.saturating_add(1);
        let (wait, why) = match *end {
            Disconnect::Stopped => return Duration::ZERO,
            Disconnect::Lost { why, after } => (jittered(backed_off).max(after.unwrap_or_default()), why),
            Disconnect::Refused(why) => (jittered(refused), why),
            Disconnect::Displaced(why) => (jittered(displaced), why),
        };
        // A single lost connection is normal; it is logged when the next attempt fails, too.
        if !self.troubled && (self.tries > 1 || !matches!(end, Disconnect::Lost { .. })) {
            self.troubled = true;
            tracing::warn!(chat = %self.chat, why, "{} is not connected; trying again", self.what);
        }
        wait
    }
}

/// A connection that is opened, used until it ends, and opened again.
pub(crate) trait Connection: Sync {
    /// One connection, from its opening to its end. Tells `backoff` when the platform took it.
    fn run<'a>(&'a self, backoff: &'a mut Backoff, stop: &'a CancellationToken) -> BoxFuture<'a, Disconnect>;
}

/// Keeps it until `stop` is cancelled.
pub(crate) async fn keep(connection: &impl Connection, mut backoff: Backoff, stop: CancellationToken) {
    loop {
        let end = connection.run(&mut backoff, &stop).await;
        if end == Disconnect::Stopped {
            return;
        }
        let wait = backoff.wait(&end);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        let seconds = Duration::from_secs;
        let pauses = Pauses { first: seconds(1), longest: seconds(60), refused: seconds(300), displaced: seconds(900) };
        Backoff::new("ops", "the bot", pauses, Arc::new(|| 0.0))
    }

    #[test]
    fn pauses_double_to_a_bound_and_begin_anew_when_the_connection_works() {
        let mut backoff = backoff();
        let waits: Vec<u64> = (0..8).map(|_| backoff.wait(&Disconnect::lost("x")).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.connected();
        assert_eq!(backoff.wait(&Disconnect::lost("x")).as_secs(), 1);
    }

    #[test]
    fn a_refusal_and_a_displacement_wait_longer_and_a_pause_that_is_asked_for_is_kept() {
        let mut backoff = backoff();
        assert_eq!(backoff.wait(&Disconnect::Refused("x")).as_secs(), 300);
        assert_eq!(backoff.wait(&Disconnect::Displaced("x")).as_secs(), 900);
        let asked = Disconnect::Lost { why: "x", after: Some(Duration::from_secs(77)) };
        assert_eq!(backoff.wait(&asked).as_secs(), 77);
    }
}
