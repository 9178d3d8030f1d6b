//! From a notice to words: a platform-neutral [`Message`] in a reader's language and time zone.
//!
//! Pure. Decides *what* is said, and keeps podbell's words apart from text of a cluster ([`Span`]), so that every
//! platform can escape the latter in its own way. Knows no platform, no budget and no markup: those belong to the
//! notifiers, which call [`compose`].

mod digest;
mod fold;
mod help;
mod link;
mod model;
mod operator;
mod phrase;
mod reasons;
pub mod sample;
mod story;
mod templated;
mod text;
mod translations;
mod when;

use jiff::tz::TimeZone;

pub use digest::compose_digest;
pub use fold::fold;
pub use link::page_path;
pub use phrase::Phrases;
pub use story::{command, help};
pub use templated::Composed;
pub use text::{clip, one_line};

use self::when::Clock;
use super::notice::{Notice, NoticeBody, NoticeKind};
use super::template::{Template, TemplateValues};
use super::time::Time;
use crate::rule::Severity;
use crate::translations::Language;
use translations::{Label, MessageTexts};

/// A message that is sent this many seconds after its notice was made says so.
const LATE_AFTER: u64 = 300;

/// For whom a message is written, and when.
#[derive(Clone, Debug)]
pub struct Style {
    /// The reader's language.
    pub language: Language,
    /// The reader's time zone.
    pub time_zone: TimeZone,
    /// When it is sent.
    pub now: Time,
}

impl Style {
    /// The time of day at which it is sent, as `10:02`.
    pub fn clock(&self) -> String {
        Clock { zone: &self.time_zone, now: self.now }.at(self.now)
    }
}

/// What is said, before a platform gives it a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How urgent, what and where, on one line: enough on a phone's lock screen. Contains text
    /// of the cluster, without control characters, not escaped.
    pub title: String,
    /// How urgent it is; decides colours.
    pub severity: Severity,
    /// What happened to the incident; decides colours.
    pub kind: NoticeKind,
    /// Whether it is over.
    pub over: bool,
    /// The language it is in.
    pub language: Language,
    /// Whom to mention, in the words of the rule file; the platform resolves them.
    pub mentions: Vec<String>,
    /// What it says, the most important first.
    pub blocks: Vec<Block>,
}

impl Message {
    /// The first sentence, as plain text.
    pub fn gist(&self) -> String {
        let first = self.blocks.iter().find_map(|block| match block {
            Block::Line(spans) => Some(plain(spans)),
            Block::Text(text) => Some(plain(&templated::first_line(text))),
            _ => None,
        });
        first.unwrap_or_default()
    }

    /// All that it says below its title, as plain text of several lines.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for block in &self.blocks {
            match block {
                Block::Line(spans) | Block::Small(spans) => lines.push(plain(spans)),
                Block::Facts(facts) => {
                    lines.extend(
                        facts.iter().map(|fact| format!("{}{}{}", fact.label, self.colon(), plain(&fact.value))),
                    );
                }
                Block::Quote { of, text } => {
                    lines.push(format!("{of}{}", self.colon().trim_end()));
                    lines.extend(text.lines().map(|line| format!("  {line}")));
                }
                Block::Command(command) => lines.push(format!("$ {command}")),
                Block::Text(text) => lines.push(text.clone()),
            }
        }
        lines.join("\n")
    }

    /// What is written between a heading and its fact.
    pub fn colon(&self) -> &'static str {
        MessageTexts::of(self.language).colon()
    }

    /// "+3 more", where a platform's budget ends.
    pub fn more(&self, n: usize) -> String {
        MessageTexts::of(self.language).more(n as u64)
    }

    /// What a button that leads to the status page says.
    pub fn open_page(&self) -> &'static str {
        MessageTexts::of(self.language).open_page()
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A sentence. The first one of a message is its gist.
    Line(Vec<Span>),
    /// Facts, each with its heading.
    Facts(Vec<Fact>),
    /// Text of the cluster as it is, on one or several lines, with a heading (data too).
    Quote {
        /// Where it comes from, such as `BackOff of pod web-1`.
        of: String,
        /// The text.
        text: String,
    },
    /// A command to type. Safe for a shell.
    Command(String),
    /// The output of a template: text from outside on one or several lines, cleaned of control characters; never to be
    /// read as markup.
    Text(String),
    /// What is good to know, in small print.
    Small(Vec<Span>),
}

/// A fact with its heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The heading.
    pub label: String,
    /// The fact.
    pub value: Vec<Span>,
}

/// A piece of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Podbell's own words and numbers.
    Words(String),
    /// Text from outside (a cluster, a rule file, another server), on one line, cleaned of control
    /// characters; never to be read as markup.
    Data(String),
    /// An http or https address from a rule file.
    Link(String),
}

/// Composes the message of a notice, by its rule's template if it has one.
pub fn compose(notice: &Notice, style: &Style) -> Message {
    compose_for(notice, style, &Template::default()).message
}

/// Like [`compose`], for a destination with a template of its own. The rule's template comes first.
pub fn compose_for(notice: &Notice, style: &Style, destination: &Template) -> Composed {
    let formatter = MessageFormatter::new(style);
    let mut composed = match &notice.body {
        NoticeBody::Incident(story) => {
            formatter.with_template(notice, story, destination, formatter.incident(notice, story))
        }
        _ => Composed::plain(formatter.built_in(notice)),
    };
    formatter.note_late(notice, &mut composed.message);
    composed
}

/// Like [`compose_for`], for a reader who sees it below the incident's first message: news of an incident says what is new, and
/// repeats neither facts nor advice.
pub fn compose_below(notice: &Notice, style: &Style, destination: &Template) -> Composed {
    let formatter = MessageFormatter::new(style);
    match &notice.body {
        NoticeBody::Incident(story) if matches!(notice.kind, NoticeKind::Escalated | NoticeKind::Reminded) => {
            let mut composed = formatter.with_template(notice, story, destination, formatter.news_of(notice, story));
            formatter.note_late(notice, &mut composed.message);
            composed
        }
        _ => compose_for(notice, style, destination),
    }
}

/// Composes the message of a notice in podbell's own words, whatever the templates say.
pub fn compose_built_in(notice: &Notice, style: &Style) -> Message {
    let formatter = MessageFormatter::new(style);
    let mut message = formatter.built_in(notice);
    formatter.note_late(notice, &mut message);
    message
}

/// The facts that a template can use; empty if the notice is not about an incident.
pub fn facts(notice: &Notice, style: &Style) -> TemplateValues {
    let formatter = MessageFormatter::new(style);
    match &notice.body {
        NoticeBody::Incident(story) => formatter.model(notice, story, &formatter.incident(notice, story)),
        _ => TemplateValues::default(),
    }
}

/// What every part of a message is composed with.
struct MessageFormatter<'a> {
    language: Language,
    texts: MessageTexts,
    clock: Clock<'a>,
}

impl<'a> MessageFormatter<'a> {
    fn new(style: &'a Style) -> Self {
        Self {
            language: style.language,
            texts: MessageTexts::of(style.language),
            clock: Clock { zone: &style.time_zone, now: style.now },
        }
    }

    fn built_in(&self, notice: &Notice) -> Message {
        match &notice.body {
            NoticeBody::Incident(story) => self.incident(notice, story),
            NoticeBody::Trouble(trouble) => self.trouble(notice, trouble),
            NoticeBody::Info(info) => self.info(notice, info),
        }
    }

    /// Adds to a late message, after its first sentence, when it happened and when it was sent.
    fn note_late(&self, notice: &Notice, message: &mut Message) {
        if self.clock.now.since(notice.made_at).as_secs() > LATE_AFTER {
            let (happened, sent) = self.clock.both(notice.caused_at, self.clock.now);
            let late = Block::Line(vec![Span::Words(self.texts.late(&happened, &sent))]);
            message.blocks.insert(message.blocks.len().min(1), late);
        }
    }

    fn fact(&self, label: Label, value: Vec<Span>) -> Fact {
        Fact { label: self.texts.label(label).to_owned(), value }
    }

    /// The first few of several names, and how many more there are.
    fn names<'n>(&self, names: impl Iterator<Item = &'n String>, shown: usize, all: u64) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut listed = 0;
        for name in names.take(shown) {
            if listed > 0 {
                spans.push(words(self.texts.comma()));
            }
            spans.push(data(name));
            listed += 1;
        }
        if all > listed && listed > 0 {
            spans.push(words(self.texts.comma()));
            spans.push(Span::Words(self.texts.more(all - listed)));
        }
        spans
    }
}

pub(crate) fn words(text: impl Into<String>) -> Span {
    Span::Words(text.into())
}

pub(crate) fn data(text: &str) -> Span {
    Span::Data(text::one_line(text, text::MAX_NAME))
}

/// Fills each `{}` of a sentence with text from outside.
pub(crate) fn fill(sentence: &str, outside: &[&str]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut values = outside.iter();
    for (at, part) in sentence.split("{}").enumerate() {
        if at > 0 {
            spans.extend(values.next().map(|value| data(value)));
        }
        if !part.is_empty() {
            spans.push(words(part));
        }
    }
    spans
}

/// The sign at the beginning of a title.
pub(crate) fn sign(kind: NoticeKind, severity: Severity) -> &'static str {
    match (kind, severity) {
        (NoticeKind::Resolved, _) => "✅",
        (NoticeKind::Closed, _) => "⚪",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Warning) => "🟠",
        (_, Severity::Info) => "🔵",
    }
}

/// The spans as plain text.
pub fn plain(spans: &[Span]) -> String {
    let text = |span: &Span| match span {
        Span::Words(text) | Span::Data(text) | Span::Link(text) => text.clone(),
    };
    spans.iter().map(text).collect()
}
