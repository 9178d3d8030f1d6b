//! A request to a platform where a message can be changed or answered, as it is stored: one message stands for an incident,
//! what follows answers it, and its end changes it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Rendering;
use podbell_core::outbox::{Outcome, Parent, is_end};

/// What a request does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Posts a message.
    Post,
    /// Posts an answer to this message.
    Answer(String),
    /// Changes this message.
    Change(String),
}

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What it does.
    pub act: Act,
    /// Whether the message that it posts stands for an incident from then on.
    pub stands: bool,
    /// A hash of the place that podbell.yaml named when it was made.
    place: String,
    /// Whether it only brings a message up to date.
    refresh: bool,
    /// What is sent.
    pub arguments: Value,
}

impl Request {
    /// The request that sends what was rendered to this place.
    pub(crate) fn new(rendering: &Rendering<'_>, place: &str, arguments: Value) -> Self {
        let about_one = !rendering.is_digest && rendering.notice.body.incident().is_some();
        let act = match rendering.parent {
            None => Act::Post,
            Some(parent) if rendering.refresh || is_end(rendering.message.kind) => {
                Act::Change(parent.message.to_string())
            }
            Some(parent) => Act::Answer(parent.message.to_string()),
        };
        let stands = about_one && act == Act::Post;
        Self { act, stands, place: place.to_owned(), refresh: rendering.refresh, arguments }
    }

    /// As it is stored.
    pub(crate) fn stored(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What is sent of a stored request.
    pub(crate) fn shown_body(stored: &[u8]) -> Cow<'_, [u8]> {
        match serde_json::from_slice::<Self>(stored) {
            Ok(request) => Cow::Owned(request.arguments.to_string().into_bytes()),
            Err(_) => Cow::Borrowed(stored),
        }
    }

    /// Reads a stored request that is for this place.
    ///
    /// # Errors
    /// What follows if it cannot be read, or was made for another place: what it carries goes to the place that podbell.yaml
    /// names now.
    pub(crate) fn read(body: &[u8], place: &str) -> Result<Self, Outcome> {
        let Ok(request) = serde_json::from_slice::<Self>(body) else {
            return Err(Outcome::ContentRejected { why: "the stored request cannot be read".into() });
        };
        match request.place == place {
            true => Ok(request),
            false => Err(Outcome::Orphaned { why: "podbell.yaml names another place now".into() }),
        }
    }

    /// The outcome of a request that arrived as this message of a channel.
    pub(crate) fn arrived(&self, channel: &str, message: &str) -> Outcome {
        match self.stands && !message.is_empty() {
            true => Outcome::Posted(Parent { channel: channel.into(), message: message.into() }),
            false => Outcome::Delivered,
        }
    }

    /// Whether it needs a message that was posted before.
    pub(crate) fn needs_a_message(&self) -> bool {
        self.act != Act::Post
    }

    /// The outcome if the message can no longer be changed, for this reason. If only a refresh was wanted, the message
    /// stays as it is.
    pub(crate) fn too_late(&self, why: String) -> Outcome {
        match self.refresh {
            true => Outcome::ContentRejected { why },
            false => Outcome::Orphaned { why },
        }
    }
}
