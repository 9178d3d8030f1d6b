//! The frames of a long connection: protobuf, in which requests of the platform come as JSON, perhaps in pieces. Pure.
//!
//! Source: the vendor's clients (`pbbp2.proto`; headers `type`, `message_id`, `sum`, `seq`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde_json::{Value, json};

use podbell_core::time::Time;

/// The largest frame, and the largest request that comes in pieces, in bytes.
pub(super) const MAX: usize = 1024 * 1024;
/// How many requests may be incomplete at once.
const MAX_INCOMPLETE: usize = 32;
/// The most pieces of a request.
const MAX_PIECES: usize = 64;
/// A request whose pieces take longer comes again as a whole.
const INCOMPLETE_FOR: Duration = Duration::from_secs(30);

const CONTROL: i32 = 0;
const DATA: i32 = 1;

/// A frame, in both directions.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Frame {
    #[prost(uint64, required, tag = "1")]
    sequence: u64,
    #[prost(uint64, required, tag = "2")]
    log: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<Header>,
    #[prost(string, optional, tag = "6")]
    payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    payload_type: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    payload: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    new_log: Option<String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Header {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

impl Frame {
    /// Asks whether the connection lives.
    pub(super) fn ping(service: i32) -> Vec<u8> {
        let header = Header { key: "type".to_owned(), value: "ping".to_owned() };
        Self { service, method: CONTROL, headers: vec![header], ..Self::default() }.encode_to_vec()
    }

    /// Reads a frame. `None` if it is not the platform's.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }

    /// Whether it brings a request, or a piece of one; others are about the connection.
    pub(super) fn is_request(&self) -> bool {
        self.method == DATA
    }

    fn header(&self, key: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.key == key).map(|header| header.value.as_str())
    }

    fn number(&self, key: &str) -> Option<usize> {
        self.header(key)?.parse().ok()
    }

    /// The answer to a request: a status as in HTTP, and what is shown. Without one the platform sends the request again.
    pub(super) fn answer(mut self, status: u16, shown: Option<&Value>) -> Vec<u8> {
        let mut payload = json!({"code": status});
        if let Some(shown) = shown {
            payload["data"] = json!(STANDARD.encode(shown.to_string()));
        }
        self.payload = Some(payload.to_string().into_bytes());
        self.encode_to_vec()
    }
}

/// Requests of which some pieces have come.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Incomplete>);

#[derive(Debug)]
struct Incomplete {
    id: String,
    since: Time,
    pieces: Vec<Option<Vec<u8>>>,
}

impl Pieces {
    /// Takes a frame's piece. Returns the request once it is whole; `None` also for what no request can be.
    pub(super) fn add(&mut self, frame: &mut Frame, now: Time) -> Option<Vec<u8>> {
        let payload = frame.payload.take().unwrap_or_default();
        let (sum, seq) = (frame.number("sum").unwrap_or(1), frame.number("seq").unwrap_or(0));
        if sum <= 1 {
            return Some(payload);
        }
        let id = frame.header("message_id")?;
        if sum > MAX_PIECES || seq >= sum {
            return None;
        }
        self.0.retain(|one| now.since(one.since) <= INCOMPLETE_FOR);
        let at = self.0.iter().position(|one| one.id == id).unwrap_or_else(|| {
            if self.0.len() >= MAX_INCOMPLETE {
                self.0.remove(0);
            }
            self.0.push(Incomplete { id: id.to_owned(), since: now, pieces: vec![None; sum] });
            self.0.len() - 1
        });
        let request = self.0.get_mut(at)?;
        *request.pieces.get_mut(seq)? = Some(payload);
        let size: usize = request.pieces.iter().flatten().map(Vec::len).sum();
        if size > MAX {
            self.0.remove(at);
            return None;
        }
        let whole = request.pieces.iter().all(Option::is_some);
        whole.then(|| self.0.remove(at).pieces.into_iter().flatten().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: &str, sum: usize, seq: usize, payload: &[u8]) -> Frame {
        let header = |key: &str, value: String| Header { key: key.to_owned(), value };
        Frame {
            method: DATA,
            headers: vec![
                header("message_id", id.to_owned()),
                header("sum", sum.to_string()),
                header("seq", seq.to_string()),
            ],
            payload: Some(payload.to_vec()),
            ..Frame::default()
        }
    }

    #[test]
    fn pieces_make_a_request_in_any_order_and_in_between_others() {
        let (mut pieces, now) = (Pieces::default(), Time::from_seconds(0));
        assert_eq!(pieces.add(&mut piece("a", 3, 2, b"z"), now), None);
        assert_eq!(pieces.add(&mut piece("b", 1, 0, b"whole"), now), Some(b"whole".to_vec()));
        assert_eq!(pieces.add(&mut piece("a", 3, 0, b"x"), now), None);
        assert_eq!(pieces.add(&mut piece("a", 3, 0, b"x"), now), None, "the same again");
        assert_eq!(pieces.add(&mut piece("a", 3, 1, b"y"), now), Some(b"xyz".to_vec()));
        assert!(pieces.0.is_empty());
    }

    #[test]
    fn what_is_never_whole_is_bounded() {
        let (mut pieces, now) = (Pieces::default(), Time::from_seconds(0));
        for n in 0..100 {
            assert_eq!(pieces.add(&mut piece(&n.to_string(), 2, 0, b"x"), now), None);
        }
        assert_eq!(pieces.0.len(), MAX_INCOMPLETE);
        for (sum, seq) in [(65, 0), (2, 2), (usize::MAX, 1)] {
            assert_eq!(pieces.add(&mut piece("c", sum, seq, b"x"), now), None);
        }
        let large = vec![0; MAX / 2 + 1];
        for seq in 0..2 {
            assert_eq!(pieces.add(&mut piece("d", 2, seq, &large), now), None);
        }
        assert_eq!(pieces.add(&mut piece("e", 2, 0, b"x"), Time::from_seconds(31)), None);
        assert_eq!(pieces.0.len(), 1, "the old ones are forgotten");
    }

    #[test]
    fn a_ping_is_written_as_the_vendor_s_descriptor_says() {
        let expected = b"\x08\x00\x10\x00\x18\x07\x20\x00\x2a\x0c\x0a\x04type\x12\x04ping";
        assert_eq!(Frame::ping(7), expected);
    }
}
