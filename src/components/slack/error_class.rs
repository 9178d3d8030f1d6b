//! Which error codes of Slack's Web API pass by themselves, and which refuse a content: one table for notices, answers and
//! Socket Mode. What the operator must fix is `advice` in `requests.rs`.

/// What an error code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// Nothing was done, because of too many calls.
    RateLimited,
    /// It passes by itself; whether anything was done is not known.
    Transient,
    /// Slack does not take this content.
    Content,
    /// Anything else: it concerns the token, the channel or the message.
    Other,
}

impl ErrorClass {
    /// The class of a code, such as `ratelimited`.
    pub(super) fn of(code: &str) -> Self {
        match code {
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => Self::RateLimited,
            "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
                Self::Transient
            }
            "msg_too_long"
            | "msg_blocks_too_long"
            | "invalid_blocks"
            | "invalid_blocks_format"
            | "no_text"
            | "invalid_attachments"
            | "too_many_attachments"
            | "markdown_text_conflict"
            | "invalid_arguments" => Self::Content,
            _ => Self::Other,
        }
    }
}
