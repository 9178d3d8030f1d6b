//! The engine's private state of an incident as bytes: MessagePack, its fields in their order.
//!
//! A new field goes to the end of its struct and has `#[serde(default)]`: then what was written without
//! it is still read. Any other change is a new version. Neither JSON nor names: reading ten thousand of
//! them back is most of a start, JSON takes twice as long, and names are a third of the bytes. What
//! people look for stands in columns beside it.

use std::error::Error;

use crate::core::incident::Incident;

/// The version of the form: 1 was JSON, which is still read. A higher one in the store is refused.
pub(super) const VERSION: i64 = 2;

/// Why a form cannot be written or read.
pub(super) type FormError = Box<dyn Error + Send + Sync>;

/// An incident as bytes.
///
/// # Errors
/// When it cannot be written; of a valid incident that does not happen.
pub fn write(incident: &Incident) -> Result<Vec<u8>, FormError> {
    Ok(rmp_serde::to_vec(incident)?)
}

/// An incident from its bytes.
///
/// # Errors
/// When the bytes are none.
pub fn read(bytes: &[u8]) -> Result<Incident, FormError> {
    match bytes.first() {
        // No map of MessagePack begins like that.
        Some(b'{') => Ok(serde_json::from_slice(bytes)?),
        _ => Ok(rmp_serde::from_slice(bytes)?),
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use crate::core::incident::telling::{Next, Telling};
    use crate::core::notice::Told;

    /// What a destination knew before it could flap or be held.
    #[derive(Default, Serialize)]
    struct Older {
        told: Option<Told>,
        count_step: u64,
        object_step: u64,
        topics: usize,
        next: Option<Next>,
    }

    #[test]
    fn what_was_written_before_a_field_was_added_is_still_read() {
        let bytes = rmp_serde::to_vec(&Older { count_step: 100, topics: 2, ..Older::default() }).unwrap();
        let read: Telling = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, Telling { count_step: 100, topics: 2, ..Telling::default() });
    }
}
