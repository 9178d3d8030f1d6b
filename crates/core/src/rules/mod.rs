//! Rules: what matters, when, where it goes and how it reads.
//!
//! Text becomes checked rules once, at load; afterwards [`Rules`] answers which rules an event
//! belongs to. Never counts, times or sends anything.

pub mod active;
pub mod builtin;
pub mod compile;
pub mod conditions;
mod doubt;
pub mod example;
pub mod explain;
pub mod in_force;
pub(crate) mod index;
pub mod keys;
pub mod lint;
mod memo;
pub mod notify;
pub mod pace;
pub mod partial;
pub mod quiet;
pub mod raw;
mod schema;
pub mod set;
pub mod template;
mod values;

pub use compile::{Compiled, Located, RuleFile, compile};
pub use partial::Names;
pub use set::{Claim, RuleId, Rules};
