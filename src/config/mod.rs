//! The operator's configuration: raw text to checked types, once.
