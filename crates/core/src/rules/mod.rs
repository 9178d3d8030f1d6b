//! Rules: what matters, when, where it goes and how it reads.
//!
//! Text becomes checked rules once, at load; afterwards [`Rules`] answers which rules an event
//! belongs to. Never counts, times or sends anything.

pub mod active;
pub mod builtin;
pub mod compile;
pub mod conditions;
mod context;
mod doubt;
mod escalate;
pub mod example;
pub mod explain;
pub mod file_keys;
pub mod in_force;
pub(crate) mod index;
pub mod keys;
pub mod lint;
mod memo;
pub mod notify;
mod open_when;
pub mod pace;
pub mod quiet;
mod schema;
pub mod set;
pub mod settings;
pub mod template;

pub use compile::{Compiled, Located, RuleFile, compile};
pub use context::Names;
pub use set::{Claim, RuleId, Rules};
