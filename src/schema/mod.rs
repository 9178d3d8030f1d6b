//! JSON Schemas (draft 2020-12) of the files that people write. They are for editors: podbell itself
//! reads with places and suggestions, which no schema has. A test holds both together.

/// Of rule files.
pub const RULES: &str = include_str!("rules.json");
/// Of podbell.yaml.
pub const CONFIG: &str = include_str!("config.json");
/// Of rule tests.
pub const TESTS: &str = include_str!("tests.json");
