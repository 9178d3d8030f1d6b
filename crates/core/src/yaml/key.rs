//! Keys as rows of tables: what a key is called, what it takes, whether it must be there. The reader, the JSON Schema
//! and the tables of the documentation follow from the same row.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::tree::{Node, Value, parse};
use super::{MapReader, Reader};
use crate::diagnostic::Source;
use crate::zone;

/// What a value may look like: reads it, and describes it as JSON Schema.
pub trait ValueType: Sync {
    /// The type of what is read.
    type Value;

    /// Reads it; `None` after a mistake, which is noted.
    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Self::Value>;

    /// A JSON Schema (draft 2020-12) that takes what [`ValueType::read`] takes, as far as a schema can say it.
    fn schema(&self) -> Json;
}

/// A key of a map.
#[derive(Clone, Copy)]
pub struct Key<S> {
    name: &'static str,
    shape: S,
    about: &'static str,
    presence: Presence,
}

/// Whether a key must be there, and what its absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be there.
    Required,
    /// It may be left out, which means what `about` says.
    Optional,
    /// Leaving it out means this, as it would be written.
    Default(&'static str),
}

/// A row of a table of keys, whatever the type of its value.
pub trait Row: Sync {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// What it means, in a sentence.
    fn about(&self) -> &'static str;
    /// Whether it must be there.
    fn presence(&self) -> Presence;
    /// The JSON Schema of its value, with description and default.
    fn schema(&self) -> Json;
}

/// The keys of a map.
pub type Rows = &'static [&'static dyn Row];

impl<S: ValueType> Key<S> {
    /// A key that must be there.
    pub const fn required(name: &'static str, shape: S, about: &'static str) -> Self {
        Self { name, shape, about, presence: Presence::Required }
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str, shape: S, about: &'static str) -> Self {
        Self { name, shape, about, presence: Presence::Optional }
    }

    /// A key that means `default` if it is left out.
    pub const fn with_default(name: &'static str, shape: S, default: &'static str, about: &'static str) -> Self {
        Self { name, shape, about, presence: Presence::Default(default) }
    }

    /// The node of the key, if it is there. Notes an error if a required key is missing.
    pub fn node<'n>(&self, map: &mut MapReader<'n>, reader: &mut Reader) -> Option<&'n Node> {
        match self.presence {
            Presence::Required => map.need(self.name, self.about, reader),
            Presence::Optional | Presence::Default(_) => map.take(self.name),
        }
    }

    /// Its value, or its default if it is left out; `None` if it has no default, or is wrong.
    pub fn take(&self, map: &mut MapReader<'_>, reader: &mut Reader) -> Option<S::Value> {
        match (self.node(map, reader), self.presence) {
            (Some(node), _) => self.read(node, reader),
            (None, Presence::Default(default)) => {
                self.shape.read(&Node { span: map.head(), ..default_node(default) }, reader)
            }
            (None, _) => None,
        }
    }

    /// Its value if it is written; the default is not used.
    pub(crate) fn take_written(&self, map: &mut MapReader<'_>, reader: &mut Reader) -> Option<S::Value> {
        let node = self.node(map, reader)?;
        self.read(node, reader)
    }

    /// Its default; `None` if it has none.
    pub(crate) fn default_value(&self) -> Option<S::Value> {
        let Presence::Default(default) = self.presence else { return None };
        self.shape.read(&default_node(default), &mut Reader::new(Source::new(self.name, default)))
    }

    /// Reads a node as its value.
    pub fn read(&self, node: &Node, reader: &mut Reader) -> Option<S::Value> {
        reader.within(self.name, |reader| self.shape.read(node, reader))
    }
}

impl<S: ValueType> Row for Key<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn presence(&self) -> Presence {
        self.presence
    }

    fn schema(&self) -> Json {
        let mut schema = self.shape.schema();
        if let Some(fields) = schema.as_object_mut() {
            if !self.about.is_empty() {
                fields.insert("description".to_owned(), json!(self.about));
            }
            if let Presence::Default(default) = self.presence {
                fields.insert("default".to_owned(), as_json(&default_node(default)));
            }
        }
        schema
    }
}

impl<S> fmt::Debug for Key<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A default as a node: in brackets it is a list, else a scalar, whatever YAML would take it for.
fn default_node(text: &str) -> Node {
    let list = text.starts_with('[').then(|| parse(&Source::new("a default", text), &mut Vec::new())).flatten();
    list.unwrap_or(Node { value: Value::Scalar(text.to_owned()), span: 0..0 })
}

/// A default as JSON: numbers and truth values are not quoted.
fn as_json(default: &Node) -> Json {
    if let Value::List(items) = &default.value {
        return items.iter().map(as_json).collect();
    }
    let text = default.text().unwrap_or_default();
    match (text, text.parse::<u64>()) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Ok(number)) => json!(number),
        _ => json!(text),
    }
}

/// The JSON Schema of a map that has these keys and no others.
pub fn map_schema(about: &str, rows: &[&dyn Row]) -> Json {
    let properties: serde_json::Map<String, Json> =
        rows.iter().map(|row| (row.name().to_owned(), row.schema())).collect();
    let required = rows.iter().filter(|row| row.presence() == Presence::Required).map(|row| row.name());
    let required: Vec<&str> = required.collect();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if let Some(fields) = schema.as_object_mut() {
        if !required.is_empty() {
            fields.insert("required".to_owned(), json!(required));
        }
        if !about.is_empty() {
            fields.insert("description".to_owned(), json!(about));
        }
    }
    schema
}

/// The JSON Schema of a file that has these keys and no others.
pub fn file_schema(title: &str, about: &str, rows: &[&dyn Row]) -> Json {
    let mut schema = map_schema(about, rows);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

/// The JSON Schema of one item, or of a list of at least `least` of them.
pub fn one_or_many_schema(one: &Json, least: usize) -> Json {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": least, "maxItems": super::MAX_ITEMS}]})
}

/// Items of a list, or the one value that stands for a list of one.
#[derive(Clone, Copy, Debug)]
pub struct OneOrMany<S>(pub S);

impl<S: ValueType> ValueType for OneOrMany<S> {
    type Value = Vec<S::Value>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Vec<S::Value>> {
        Some(reader.one_or_many(node).iter().filter_map(|item| self.0.read(item, reader)).collect())
    }

    fn schema(&self) -> Json {
        one_or_many_schema(&self.0.schema(), 1)
    }
}

/// `off`, which is read as `None`, or a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrOff<S>(pub S);

impl<S: ValueType> ValueType for OrOff<S> {
    type Value = Option<S::Value>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Option<S::Value>> {
        match node.text() {
            Some("off" | "false") => Some(None),
            _ => self.0.read(node, reader).map(Some),
        }
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"enum": ["off", false, "false"]}, self.0.schema()]})
    }
}

/// A value that the caller reads from [`Key::node`]; here it only has a schema.
#[derive(Clone, Copy)]
pub struct SchemaOnly(pub fn() -> Json);

impl ValueType for SchemaOnly {
    type Value = ();

    fn read(&self, _: &Node, _: &mut Reader) -> Option<()> {
        Some(())
    }

    fn schema(&self) -> Json {
        (self.0)()
    }
}

/// A text that is not blank. The field is what messages call it, such as "a region".
#[derive(Clone, Copy, Debug)]
pub struct Text(pub &'static str);

impl ValueType for Text {
    type Value = String;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<String> {
        reader.text(node, self.0).map(str::to_owned)
    }

    fn schema(&self) -> Json {
        json!({"type": ["string", "number", "boolean"]})
    }
}

/// A map of texts. The fields are what messages call it, and one of its values.
#[derive(Clone, Copy, Debug)]
pub struct TextMap(pub &'static str, pub &'static str);

impl ValueType for TextMap {
    type Value = BTreeMap<String, String>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Self::Value> {
        let map = reader.map(node, self.0)?;
        let pair = |(key, value): &(Node, Node)| Some((key.text()?.to_owned(), Text(self.1).read(value, reader)?));
        Some(map.pairs().iter().filter_map(pair).collect())
    }

    fn schema(&self) -> Json {
        json!({"type": "object", "additionalProperties": Text(self.1).schema()})
    }
}

/// `true` or `false`.
#[derive(Clone, Copy, Debug)]
pub struct Bool;

impl ValueType for Bool {
    type Value = bool;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<bool> {
        reader.truth(node)
    }

    fn schema(&self) -> Json {
        json!({"type": "boolean"})
    }
}

/// A whole number from the first to the second, both included.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub u64, pub u64);

impl ValueType for Number {
    type Value = u64;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<u64> {
        reader.number(node, self.0..self.1.saturating_add(1))
    }

    fn schema(&self) -> Json {
        json!({"type": "integer", "minimum": self.0, "maximum": self.1})
    }
}

/// A duration such as `90s`, and the least that it may be.
#[derive(Clone, Copy, Debug)]
pub struct AtLeast(pub Duration);

impl ValueType for AtLeast {
    type Value = Duration;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Duration> {
        reader.duration(node, self.0)
    }

    fn schema(&self) -> Json {
        duration_schema()
    }
}

/// The JSON Schema of a duration.
pub(crate) fn duration_schema() -> Json {
    json!({"anyOf": [{"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}, {"enum": [0, "0"]}]})
}

/// One of a few words. The first field is what messages call it, such as "a language".
#[derive(Clone, Copy, Debug)]
pub struct OneOf<T: 'static>(pub &'static str, pub &'static [(&'static str, T)]);

impl<T: Copy + Sync> ValueType for OneOf<T> {
    type Value = T;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<T> {
        reader.word(node, self.0, self.1)
    }

    fn schema(&self) -> Json {
        json!({"enum": self.1.iter().map(|(word, _)| *word).collect::<Vec<_>>()})
    }
}

/// One of a table's rows, by its name: what it is called in errors, the table, a row's name.
#[derive(Clone, Copy, Debug)]
pub struct TableEntry<T: 'static> {
    /// What the rows are, for people: "a kind of source".
    pub what: &'static str,
    /// The rows.
    pub rows: &'static [T],
    /// A row's name.
    pub name: fn(&T) -> &'static str,
    /// Other words that people write, each with the name of the row that they mean. They are hints only.
    pub other_names: &'static [(&'static str, &'static str)],
}

impl<T: Sync> ValueType for TableEntry<T> {
    type Value = &'static T;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<&'static T> {
        let names: Vec<_> = self.rows.iter().map(|row| ((self.name)(row), row)).collect();
        reader.word_or_hint(node, self.what, &names, self.other_names)
    }

    fn schema(&self) -> Json {
        json!({"enum": self.rows.iter().map(self.name).collect::<Vec<_>>()})
    }
}

/// A time zone by its name in the IANA database.
#[derive(Clone, Copy, Debug)]
pub struct Zone;

impl ValueType for Zone {
    type Value = TimeZone;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<TimeZone> {
        let name = reader.text(node, "a time zone such as Asia/Shanghai")?;
        match zone::named(name) {
            Ok(zone) => Some(zone),
            Err(help) => {
                reader.error_help(&node.span, format!("unknown time zone `{name}`"), help.to_string());
                None
            }
        }
    }

    fn schema(&self) -> Json {
        json!({"type": "string"})
    }
}

/// A value that is read and described by functions of its own.
#[derive(Clone, Copy)]
pub struct Custom<T> {
    /// Reads it; `None` after a mistake, which is noted.
    pub read: fn(&Node, &mut Reader) -> Option<T>,
    /// Describes it.
    pub schema: fn() -> Json,
}

impl<T> ValueType for Custom<T> {
    type Value = T;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<T> {
        (self.read)(node, reader)
    }

    fn schema(&self) -> Json {
        (self.schema)()
    }
}
