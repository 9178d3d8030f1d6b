//! The frames of Socket Mode. Pure.
//!
//! Source: "Socket Mode implementation": `hello`, `disconnect`, and envelopes that want to be
//! acknowledged by their id.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::payload::{self, Malformed, Payload};

/// The largest frame. A click carries the message that the button is in.
pub(super) const MAX: usize = 1024 * 1024;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The connection is ready.
    Hello,
    /// The connection will end, or must be ended.
    Disconnect(Reason),
    /// Something for the app.
    Envelope {
        /// What acknowledges it.
        id: String,
        /// What is in it.
        payload: Box<Result<Payload, Malformed>>,
    },
    /// Something that later versions of the protocol may know.
    Unknown,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The connection is renewed: a new one should be open first. Stands for unknown reasons, too.
    Refresh,
    /// The app has too many connections.
    TooMany,
    /// Socket Mode was switched off.
    Off,
}

#[derive(Deserialize)]
struct Raw<'a> {
    r#type: String,
    envelope_id: Option<String>,
    reason: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl Frame {
    /// Reads one.
    pub(super) fn read(text: &str) -> Result<Self, Malformed> {
        let raw: Raw<'_> = serde_json::from_str(text).map_err(|_| Malformed("a frame whose JSON cannot be read"))?;
        Ok(match (raw.r#type.as_str(), raw.envelope_id) {
            ("hello", _) => Self::Hello,
            ("disconnect", _) => Self::Disconnect(match raw.reason.as_deref() {
                Some("too_many_websockets") => Reason::TooMany,
                Some("link_disabled") => Reason::Off,
                _ => Reason::Refresh,
            }),
            (kind, Some(id)) if (1..=256).contains(&id.len()) => {
                let payload = raw.payload.map(|payload| payload.get().as_bytes()).unwrap_or_default();
                let payload = match kind {
                    "slash_commands" => payload::slash(payload),
                    "interactive" => payload::interactive(payload),
                    "events_api" => payload::event(payload),
                    _ => Ok(Payload::Ignored("an envelope of another kind")),
                };
                Self::Envelope { id, payload: Box::new(payload) }
            }
            _ => Self::Unknown,
        })
    }
}

/// The frame that acknowledges an envelope.
pub(super) fn acknowledgement(id: &str) -> String {
    json!({"envelope_id": id}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn every_frame_of_the_vectors_is_read() {
        let vectors = include_str!("../../../../tests/fixtures/vectors/slack_socket_mode.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let frames = vectors["frames"].as_array().unwrap();
        let read: Vec<Frame> = frames.iter().map(|case| Frame::read(&case["frame"].to_string()).unwrap()).collect();
        assert_eq!(read.len(), 8);
        assert_eq!(read[0], Frame::Hello);
        for (frame, case) in read[1..4].iter().zip(&frames[1..]) {
            let Frame::Envelope { id, payload } = frame else { panic!("{frame:?}") };
            assert_eq!(case["expect_ack"]["envelope_id"], **id);
            assert_eq!(acknowledgement(id), case["expect_ack"].to_string());
            assert!(payload.is_ok(), "{payload:?}");
        }
        let reasons = [Reason::Refresh, Reason::Refresh, Reason::TooMany, Reason::Off];
        assert_eq!(read[4..], reasons.map(Frame::Disconnect));
    }

    #[test]
    fn what_is_not_known_is_left_alone_and_what_is_broken_is_an_error() {
        let read = |text| Frame::read(text);
        assert_eq!(read(r#"{"type": "later"}"#), Ok(Frame::Unknown));
        assert_eq!(read(r#"{"type": "slash_commands", "envelope_id": ""}"#), Ok(Frame::Unknown));
        let other = read(r#"{"type": "later", "envelope_id": "e"}"#).unwrap();
        assert!(matches!(other, Frame::Envelope { payload, .. } if matches!(*payload, Ok(Payload::Ignored(_)))));
        let empty = read(r#"{"type": "slash_commands", "envelope_id": "e"}"#).unwrap();
        assert!(matches!(empty, Frame::Envelope { payload, .. } if payload.is_err()));
        assert!(read("ping").is_err() && read("[]").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in r#"(\{"type": "(hello|events_api|disconnect)"|,|"envelope_id": "x"|"payload": |\{|\}|\[|"|a){0,12}"#) {
            let _ = Frame::read(&text);
        }
    }
}
