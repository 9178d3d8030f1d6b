//! The command language: what people type, what they are answered, what they may see, and what it costs.

mod answers;
mod language;
pub mod queries;
mod terminal;
