//! YAML text to a tree of nodes with places.
//!
//! Owns the budgets: size, nesting, number of nodes after aliases are followed. Syntax errors end a
//! file; doubled keys and unknown aliases are reported and reading goes on.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use crate::diagnostic::{Diagnostic, Source};

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
const MAX_NODES: usize = 1_000_000;
const MAX_DEPTH: usize = 64;

/// A value and where it is written.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Its bytes in the file.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing: `null`, `~` or an empty place.
    Null,
    /// One text. Numbers and truth values are texts here; readers interpret them.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in order; keys are texts without duplicates.
    Map(Vec<(Node, Node)>),
    /// Something that was reported already.
    Broken,
}

impl Node {
    /// What a reader of messages calls it.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Broken => "something broken",
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// What a copy costs: one for each node, and one for each 16 bytes of text.
    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(text) => text.len() / 16,
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(pairs) => pairs.iter().map(|(key, value)| key.count() + value.count()).sum(),
            _ => 0,
        }
    }
}

/// The tree of a file; `None` after a syntax error.
pub fn parse(source: &Arc<Source>, out: &mut Vec<Diagnostic>) -> Option<Node> {
    if source.text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are allowed", source.text.len());
        out.push(Diagnostic::error(source, 0..0, message).help("split it into several files"));
        return None;
    }
    let mut options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        disallow_directives: true
    };
    options.set_emit_comments(false);
    let mut builder =
        Builder { source, out, open: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0, documents: 0 };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, bytes(&span)),
            Err(error) => Err(syntax_error(source, &error)),
        };
        if let Err(diagnostic) = step {
            builder.out.push(diagnostic);
            return None;
        }
    }
    builder.root.or(Some(Node { value: Value::Null, span: 0..0 }))
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

/// A collection whose end was not reached yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Node>,
    seen: HashSet<String>,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    out: &'a mut Vec<Diagnostic>,
    open: Vec<Open>,
    root: Option<Node>,
    /// Finished nodes that aliases may refer to, with their size.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let error = Diagnostic::error(self.source, span, "a second document in one file");
                    return Err(error.help("use one file each, or remove the `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                self.close(Node { value: scalar(&text, style), span }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                self.begin(Value::List(Vec::new()), span, anchor);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                self.begin(Value::Map(Vec::new()), span, anchor);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.open.pop() {
                    open.node.span.end = span.end.max(open.node.span.start);
                    self.close(open.node, open.anchor)?;
                }
            }
            Event::Alias(id) => {
                let node = self.follow(id, &span)?;
                self.close(Node { span, ..node }, 0)?;
            }
            Event::UnresolvedAlias(name) => {
                let message = format!("`*{name}` is read as a YAML alias, and no `&{name}` was defined");
                let error = Diagnostic::error(self.source, span.clone(), message);
                self.out.push(error.help(format!("for a pattern that begins with a star, quote it: \"*{name}\"")));
                self.close(Node { value: Value::Broken, span }, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Range<usize>) {
        if tagged {
            let error = Diagnostic::error(self.source, span.clone(), "YAML tags (`!…`) mean nothing here");
            self.out.push(error.help("remove the tag; quote a text that begins with `!`"));
        }
    }

    fn begin(&mut self, value: Value, span: Range<usize>, anchor: usize) {
        self.open.push(Open { node: Node { value, span }, anchor, key: None, seen: HashSet::new() });
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.spend(1, &node.span)?;
        if anchor != 0 {
            let count = node.count();
            // The copy is kept apart from the tree, so that it counts again.
            self.spend(count, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), count));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(_), None) => open.key = Some(node),
            (Value::Map(pairs), Some(key)) => {
                if let Some(error) = key_error(self.source, &key, &mut open.seen) {
                    self.out.push(error);
                } else {
                    pairs.push((key, node));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The node that an alias refers to. Every use counts in full, which stops a bomb of nested aliases.
    fn follow(&mut self, id: usize, span: &Range<usize>) -> Result<Node, Diagnostic> {
        let count = self.anchors.get(&id).map_or(0, |(_, count)| *count);
        self.spend(count, span)?;
        match self.anchors.get(&id) {
            Some((node, _)) => Ok(node.clone()),
            None => Err(Diagnostic::error(self.source, span.clone(), "an alias inside of what it stands for")),
        }
    }

    fn spend(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("more than {MAX_NODES} values once aliases are followed");
        Err(Diagnostic::error(self.source, span.clone(), message).help("split the file, or use fewer aliases"))
    }
}

/// The mistake in a key; a key without one is remembered.
fn key_error(source: &Arc<Source>, key: &Node, seen: &mut HashSet<String>) -> Option<Diagnostic> {
    match &key.value {
        Value::Scalar(text) if text == "<<" => {
            let error = Diagnostic::error(source, key.span.clone(), "merge keys (`<<`) are not supported");
            Some(error.help("write the keys out, or use `defaults`"))
        }
        Value::Scalar(text) if !seen.insert(text.clone()) => {
            let error = Diagnostic::error(source, key.span.clone(), format!("the key `{text}` is there twice"));
            Some(error.help("keep one of them; several values go into one list: [a, b]"))
        }
        Value::Scalar(_) => None,
        Value::Broken => None,
        _ => Some(Diagnostic::error(source, key.span.clone(), format!("a key must be a text, not {}", key.kind()))),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
        _ => Value::Scalar(text.to_owned()),
    }
}

fn syntax_error(source: &Arc<Source>, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(0).min(source.text.len());
    let at = source.text.floor_char_boundary(at);
    if let Some(at) = indenting_tab(&source.text, at) {
        return Diagnostic::error(source, at..at + 1, "YAML does not allow a tab for indentation")
            .help("indent with spaces");
    }
    let width = source.text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    let diagnostic = Diagnostic::error(source, at..at + width, format!("not YAML: {}", error.info()));
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnclosedQuotedScalar => diagnostic.help("is a quote or a bracket left open above?"),
        _ => diagnostic.help("quote texts that contain `: `, ` #`, or begin with one of * & ! % @ ` { [ \" '"),
    }
}

/// A tab in the blanks that begin the line of an error or the next line. The parser may report the text before the tab,
/// if that text could have gone on.
fn indenting_tab(text: &str, at: usize) -> Option<usize> {
    let mut start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    for line in text[start..].split_inclusive('\n').take(2) {
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..blank].find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}
