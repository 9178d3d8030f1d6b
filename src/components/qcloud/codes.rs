//! What the legacy API's error codes mean: whether to try again, and words for the operator.
//! Pure; the client acts on it.

use std::time::Duration;

use podbell_core::backoff::doubled;

/// What to do about an error within one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The API is unwell: again after about this long, doubling.
    Later {
        /// In units of the source's base delay.
        factor: u32,
    },
    /// The signature was refused for its time or nonce: sign again and retry once, at once.
    Afresh,
    /// Only the operator can fix it; trying again would only add load.
    Operator,
}

impl Retry {
    /// How long to wait before retry number `retry` (0 is the first), before jitter.
    pub(crate) fn delay(self, retry: u32, base: Duration) -> Duration {
        match self {
            Self::Later { factor } => doubled(base.saturating_mul(factor), retry, Duration::MAX),
            Self::Afresh | Self::Operator => Duration::ZERO,
        }
    }
}

pub(crate) use crate::sources::event_list::NO_SERVICE;
/// The cluster does not exist (any more).
pub(crate) const NO_CLUSTER: i64 = -16009;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning {
    /// `code` of the answer.
    pub code: i64,
    /// What to do.
    pub retry: Retry,
    /// What happened, in plain words.
    pub text: &'static str,
    /// What the operator can do about it.
    pub advice: &'static str,
    /// `codeDesc`, as the emulator answers it.
    pub desc: &'static str,
}

/// What a code means. An unknown one is left to the operator.
pub(crate) fn meaning(code: i64) -> Meaning {
    let known = TABLE.iter().find(|line| line.code == code).copied();
    known.unwrap_or(Meaning { code, ..UNKNOWN })
}

const fn line(code: i64, retry: Retry, desc: &'static str, text: &'static str, advice: &'static str) -> Meaning {
    Meaning { code, retry, text, advice, desc }
}

const LATER: Retry = Retry::Later { factor: 1 };
const UNKNOWN: Meaning = line(
    0,
    Retry::Operator,
    "Unknown",
    "the API answered with an unknown error code",
    "look the code up in the API's documentation",
);

#[rustfmt::skip]
const TABLE: &[Meaning] = &[
    line(4000, Retry::Operator, "InvalidParameter", "a parameter was refused", "check region, cluster, namespace and service names of this source"),
    line(4100, Retry::Operator, "SignatureFailure", "the signature was refused", "check secret_id and secret_key (of one pair?), token and signature_method"),
    line(4101, Retry::Operator, "AuthFailure", "the key may not call this API", "grant the key's user read access to the container service"),
    line(4102, Retry::Operator, "AuthFailure", "the key may not read this resource", "grant the key's user read access to this cluster"),
    line(4103, Retry::Operator, "AuthFailure", "keys of this account may not be used here", "use a key of a developer account"),
    line(4104, Retry::Operator, "SecretIdNotFound", "the secret_id is unknown", "check secret_id: was the key deleted or disabled?"),
    line(4105, Retry::Operator, "TokenFailure", "the token was refused", "check token: temporary credentials expire, and need their own secret_id and secret_key"),
    line(4106, Retry::Operator, "MFAFailure", "a second factor is asked for", "use a key whose user needs no second factor for API calls"),
    line(4110, Retry::Operator, "AuthFailure", "access was refused by the access management", "check the policies of the key's user"),
    line(4200, Retry::Afresh, "RequestExpired", "the request's time was refused", "check this machine's clock: it must be right within 5 minutes"),
    line(4300, Retry::Operator, "AccessDenied", "access was denied", "check whether the account is blocked or in arrears"),
    line(4400, Retry::Later { factor: 4 }, "QuotaExceeded", "the API's quota is used up", "lower requests_per_second, or raise poll_every"),
    line(4500, Retry::Afresh, "ReplayAttack", "the request was taken for a replay", "check whether something between podbell and the API repeats requests"),
    line(4600, Retry::Operator, "HttpsOnly", "the API wants HTTPS", "begin the source's endpoint with https://"),
    line(5000, Retry::Operator, "ResourceNotFound", "the resource does not exist", "check region, cluster, namespace and service names of this source"),
    line(5100, LATER, "ResourceOpFailed", "the operation failed on the API's side", "wait; if it lasts, ask the provider"),
    line(6000, LATER, "InternalError", "the API has an internal error", "wait; if it lasts, ask the provider"),
    line(6100, Retry::Operator, "VersionNotSupported", "the API no longer supports this call", "check endpoint; the successor of this API has no service events: use kind: kubernetes"),
    line(6200, LATER, "ServiceUnavailable", "the API is under maintenance", "wait; if it lasts, ask the provider"),
    line(NO_CLUSTER, Retry::Operator, "ClusterNotFound", "the cluster does not exist", "check the cluster's id and the source's region"),
    line(NO_SERVICE, Retry::Operator, "ServiceNotFound", "the service does not exist", "check the service's name and namespace, or take it out of podbell.yaml"),
];
