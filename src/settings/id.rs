//! Ids that platforms give: of people, channels, applications.

use serde_json::{Value as Json, json};

use podbell_core::yaml::key::ValueType;
use podbell_core::yaml::{Node, Reader};

/// An id of a platform's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id {
    /// Whose id: `a user`.
    pub what: &'static str,
    /// An example.
    pub example: &'static str,
    /// Where people find it: the name of the platform, or a page of it.
    pub found_in: &'static str,
    /// Whether a text is one.
    pub fits: fn(&str) -> bool,
    /// The same, as a regular expression for JSON Schema.
    pub pattern: &'static str,
}

impl ValueType for Id {
    type Value = String;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<String> {
        let Self { what, example, found_in, .. } = *self;
        let text = reader.text(node, &format!("the id of {what}, such as {example}"))?;
        if !(self.fits)(text) {
            let help =
                format!("copy it from {found_in}; it looks like {example}. Names can be taken by others, ids cannot");
            reader.error_help(&node.span, format!("`{text}` is not the id of {what}"), help);
            return None;
        }
        Some(text.to_owned())
    }

    fn schema(&self) -> Json {
        json!({"type": ["string", "integer"], "pattern": self.pattern})
    }
}
