//! Rules: what matters, when, where it goes and how it reads.

pub mod rule;
