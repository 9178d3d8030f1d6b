//! `version:` of a file: which one this podbell reads, and what to say if it is another.

use serde_json::json;

use super::key::{Key, SchemaOnly};
use super::{MapReader, Reader, Value};

/// The version of every format that this podbell reads.
const KNOWN: u64 = 1;
/// The key of every file that says its version.
pub const VERSION: Key<SchemaOnly> =
    Key::required("version", SchemaOnly(|| json!({"enum": [KNOWN, KNOWN.to_string()]})), "The version of this format.");
/// The same key for files that may leave it out.
pub const MAY_SAY_VERSION: Key<SchemaOnly> = Key::with_default(
    "version",
    SchemaOnly(|| json!({"enum": [KNOWN, KNOWN.to_string()]})),
    "1",
    "The version of this format.",
);

/// Whether a file must say its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionKey {
    /// It must.
    Required,
    /// It may; without it the version is 1.
    Optional,
}

/// Reads `version`. `false` if the file is of another version: its other keys are not known here, and complaints about
/// them would only hide the one thing to do.
pub fn version(map: &mut MapReader<'_>, presence: VersionKey, reader: &mut Reader) -> bool {
    let Some(node) = map.take("version") else {
        if presence == VersionKey::Required {
            reader.error_help(&map.head(), "the key `version` is missing", "begin the file with `version: 1`");
        }
        return true;
    };
    let text = match &node.value {
        Value::Scalar(text) => text.trim(),
        Value::Null => "",
        _ => {
            reader.expected(node, "a version: `version: 1`");
            return true;
        }
    };
    match text.parse::<u64>() {
        Ok(KNOWN) => true,
        Ok(newer) if newer > KNOWN => {
            let message = format!("written for a newer podbell: it has version {newer}, this podbell reads {KNOWN}");
            reader.error_help(&node.span, message, "update podbell, or write the file in version 1");
            false
        }
        _ => {
            let message =
                if text.is_empty() { "`version` is empty".into() } else { format!("`{text}` is not a version") };
            reader.error_help(&node.span, message, "write `version: 1`");
            true
        }
    }
}
