//! YAML with places: text to a tree of nodes that know their bytes, and typed readers over it that
//! collect every mistake instead of stopping at the first.
//!
//! Not a serde format on purpose: serde ends at its first error, and `podbell check` shows all of
//! them at once. Never touches files.

mod duration;
pub mod key;
mod read;
mod tree;
mod version;

pub use duration::{DurationError, parse_duration, write_duration};
use read::MAX_ITEMS;
pub(crate) use read::valid_or_absent;
pub use read::{MapReader, Reader};
pub use tree::{MAX_BYTES, Node, Value, parse};
pub use version::{MAY_SAY_VERSION, VERSION, VersionKey, version};
