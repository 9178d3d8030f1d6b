//! Why a request to an API server came to nothing, in words that a person can act on.

use std::fmt::Display;
use std::time::Duration;

use podbell_core::source::Problem;

const MAX_WORDS: usize = 300;
/// The code of an answer that cannot be understood.
const NONSENSE: &str = "not-json";

/// Why a request came to nothing.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What it means for the caller.
    pub kind: FaultKind,
    /// How long to wait before a retry, if the server says so.
    pub retry_after: Option<Duration>,
    /// In words.
    pub error: Problem,
}

/// What a fault means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// What was asked for is too old (410): list again.
    Expired,
    /// The server does not understand this kind of request (400, 422).
    NotUnderstood,
    /// The credential is not valid (401): it is read again, because it may only have run out.
    Unauthenticated,
    /// Not allowed (403), or not there at all (404): only the operator can fix it.
    Refused,
    /// Anything else: try again.
    Passing,
}

impl Fault {
    fn new(kind: FaultKind, code: &str, text: impl Display, advice: &str) -> Self {
        let text = text.to_string().chars().take(MAX_WORDS).collect();
        let error = Problem { code: code.to_owned(), text, advice: advice.to_owned(), gone: false };
        Self { kind, retry_after: None, error }
    }

    /// The client for the cluster cannot be set up yet.
    pub fn setup(error: &dyn Display) -> Self {
        let advice = "check `kubeconfig` and `context` of this source, or the service account of the pod";
        Self::new(FaultKind::Passing, "kubeconfig", error, advice)
    }

    /// A request cannot be made of what is configured.
    pub(super) fn setup_of(error: http::Error) -> Self {
        Self::setup(&error)
    }

    /// The connection failed or broke.
    pub(crate) fn cut(text: impl Display) -> Self {
        Self::new(FaultKind::Passing, "connect", text, "check that podbell reaches the API server")
    }

    /// Nothing came for too long.
    pub(crate) fn silent() -> Self {
        let advice = "check the network between podbell and the API server, and how busy that is";
        Self::new(FaultKind::Passing, "timeout", "the API server said nothing for too long", advice)
    }

    /// A watch that ended as soon as it began.
    pub(crate) fn closed() -> Self {
        let advice = "check what stands between podbell and the API server: a proxy that does not stream?";
        Self::new(FaultKind::Passing, "closed", "the API server ends every watch at once", advice)
    }

    /// An answer that cannot be understood.
    pub(crate) fn nonsense(text: impl Display) -> Self {
        let advice = "check that the address is that of an API server";
        Self::new(FaultKind::Passing, NONSENSE, text, advice)
    }

    /// Whether the answer was the problem, not reaching the server.
    pub(crate) fn is_nonsense(&self) -> bool {
        self.error.code == NONSENSE
    }

    /// Setting up the client takes too long.
    pub(super) fn slow_setup() -> Self {
        Self::setup(&"the client was not ready in time: does the kubeconfig's `exec` plugin wait for something?")
    }

    /// A status that the server answered with.
    pub(crate) fn status(code: u16, reason: &str, words: &str) -> Self {
        let (kind, advice) = match code {
            401 => (
                FaultKind::Unauthenticated,
                "renew the token or certificate of this source's kubeconfig or service account",
            ),
            403 => {
                (FaultKind::Refused, "allow `list` and `watch` of events to podbell's account, see docs/kubernetes.md")
            }
            404 => (FaultKind::Refused, "check the address of the cluster"),
            410 => (FaultKind::Expired, ""),
            400 | 422 => (FaultKind::NotUnderstood, "this is podbell's mistake: please report it"),
            _ => (FaultKind::Passing, "podbell goes on trying; if it lasts, look at the API server's health"),
        };
        let kind = if reason == "Expired" { FaultKind::Expired } else { kind };
        Self::new(kind, &format!("http-{code}"), if words.is_empty() { reason } else { words }, advice)
    }
}
