//! What all answers share: texts in the reader's language, commands as they are typed at the reader's prompt, and the
//! shape of the message.

use super::translations::AnswerTexts;
use crate::message::{self, Block, Message, Phrases, Span, Style};
use crate::mute::{Author, Mute, Muted};
use crate::notice::NoticeKind;
use crate::rollout::Rollout;
use crate::rule::Severity;
use crate::time::Time;

/// How many characters of a text by a person or a cluster are shown.
const MAX_SENTENCE: usize = 160;

/// Where commands are typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prompt {
    /// In a chat: `/podbell ack 1042`, `/events web`.
    #[default]
    Chat,
    /// In a terminal: `podbell ack 1042`.
    Terminal,
}

impl Prompt {
    /// A command as it is typed.
    pub(crate) fn line(self, command: &str) -> String {
        match self {
            Self::Chat if command == "events" || command.starts_with("events ") => format!("/{command}"),
            Self::Chat => format!("/podbell {command}"),
            Self::Terminal => format!("podbell {command}"),
        }
    }
}

/// Writes answers.
pub(super) struct AnswerFormatter<'a> {
    pub(super) texts: AnswerTexts,
    pub(super) say: Phrases<'a>,
    pub(super) style: &'a Style,
    prompt: Prompt,
}

impl<'a> AnswerFormatter<'a> {
    pub(super) fn new(style: &'a Style, prompt: Prompt) -> Self {
        Self { texts: AnswerTexts::of(style.language), say: Phrases::new(style), style, prompt }
    }

    pub(super) fn message(&self, title: String, blocks: Vec<Block>) -> Message {
        Message {
            title,
            severity: Severity::Info,
            kind: NoticeKind::Info,
            over: false,
            language: self.style.language,
            mentions: Vec::new(),
            blocks,
        }
    }

    /// Fills each `{}` of a sentence with text from outside, which is clipped.
    pub(super) fn fill(&self, sentence: &str, outside: &[&str]) -> Vec<Span> {
        let clipped: Vec<String> = outside.iter().map(|text| message::one_line(text, MAX_SENTENCE)).collect();
        let clipped: Vec<&str> = clipped.iter().map(String::as_str).collect();
        message::fill(sentence, &clipped)
    }

    /// A line of podbell's own words.
    pub(super) fn line(&self, text: impl Into<String>) -> Block {
        Block::Line(vec![message::words(text)])
    }

    /// A line whose `{}` are filled with text from outside.
    pub(super) fn filled(&self, sentence: &str, outside: &[&str]) -> Block {
        Block::Line(self.fill(sentence, outside))
    }

    /// Commands that can be typed next.
    pub(super) fn next(&self, commands: &[String]) -> Block {
        Block::Small(self.commands(self.texts.next(), commands))
    }

    /// Commands that were probably meant.
    pub(super) fn meant(&self, commands: &[String]) -> Block {
        Block::Line(self.commands(self.texts.meant(), commands))
    }

    /// The option that was probably meant.
    pub(super) fn meant_option(&self, option: &str) -> Block {
        self.line(format!("{}{}--{option}", self.texts.meant(), self.say.colon()))
    }

    /// The usage of a command.
    pub(super) fn type_this(&self, usage: &str) -> Block {
        Block::Small(self.commands(self.texts.type_this(), &[usage.to_owned()]))
    }

    /// A command as an example.
    pub(super) fn example(&self, command: &str) -> Block {
        Block::Small(vec![Span::Data(self.prompt.line(command))])
    }

    fn commands(&self, head: &str, commands: &[String]) -> Vec<Span> {
        let mut spans = vec![message::words(format!("{head}{}", self.say.colon()))];
        for (place, command) in commands.iter().enumerate() {
            if place > 0 {
                spans.push(message::words(" · "));
            }
            spans.push(Span::Data(message::one_line(&self.prompt.line(command), 400)));
        }
        spans
    }

    /// Says how many services have lists with entries that cannot be understood: nobody is notified of those.
    pub(super) fn unusable(&self, services: u64) -> Option<Block> {
        (services > 0).then(|| self.line(format!("⚠️ {}", self.texts.unusable(&self.say.services(services)))))
    }

    /// Who did something, and where.
    pub(super) fn author(&self, by: &Author) -> Vec<Span> {
        vec![message::data(&by.name), message::words(" ("), message::data(&self.say.via(&by.via)), message::words(")")]
    }

    /// How often something happened, to how many objects, and how long ago.
    pub(super) fn figures(&self, occurrences: u64, (objects, obj_type): (u64, &str), last: Time) -> String {
        let (times, objects) = (self.say.times(occurrences), self.say.objects(objects, obj_type));
        format!(" · {times} · {objects} · {}", self.say.ago(last))
    }

    /// A mute as a line of its own.
    pub(super) fn muted(&self, mute: &Mute) -> Block {
        let mut spans = vec![message::words("🔇 ")];
        spans.extend(self.mute(mute));
        Block::Line(spans)
    }

    /// "🚀 10:00 rollout of web: web:v4 → web:v5".
    pub(super) fn rollout(&self, workload: &str, rollout: &Rollout) -> Block {
        let at = self.say.at(rollout.at);
        let mut spans = vec![message::words("🚀 ")];
        match rollout.images() {
            Some(images) => spans.extend(self.fill(&self.texts.rollout_of_images(&at), &[workload, &images])),
            None => spans.extend(self.fill(&self.texts.rollout_of(&at), &[workload])),
        }
        Block::Line(spans)
    }

    /// What a list leaves out, if anything.
    pub(super) fn more(&self, more: u64) -> Option<Block> {
        (more > 0).then(|| Block::Small(vec![message::words(self.say.more(more))]))
    }

    /// "muted by ann (ops) until 12:00: deploy".
    pub(super) fn mute(&self, mute: &Mute) -> Vec<Span> {
        let by = format!("{} ({})", mute.by.name, self.say.via(&mute.by.via));
        let mut spans = self.fill(&self.texts.muted_until(&self.say.at(mute.until)), &[&by]);
        if let Some(why) = &mute.why {
            spans.push(message::words(self.say.colon()));
            spans.push(Span::Data(message::one_line(why, MAX_SENTENCE)));
        }
        spans
    }
}

/// What is muted, as people call it.
pub fn named(what: &Muted) -> String {
    match what {
        Muted::Incident { id } => format!("#{id}"),
        Muted::Rule { rule } => format!("rule:{}", rule.name),
        Muted::Service { namespace: Some(namespace), service, .. } => format!("{namespace}/{service}"),
        Muted::Service { service, .. } => service.clone(),
    }
}

/// What is muted, as the argument of a command.
pub fn typed(what: &Muted) -> String {
    match what {
        Muted::Incident { id } => id.to_string(),
        Muted::Rule { rule } => word(&format!("rule:{rule}")),
        Muted::Service { cluster, namespace, service } => format!("{}{}", word(service), narrowed(namespace, cluster)),
    }
}

/// The options that narrow a command to a namespace and a cluster, as they are typed.
pub(super) fn narrowed(namespace: &Option<String>, cluster: &Option<String>) -> String {
    let options = [("-n", namespace), ("-c", cluster)].into_iter();
    options.filter_map(|(name, value)| Some(format!(" {name} {}", word(value.as_ref()?)))).collect()
}

/// Quotes a word that would otherwise be split or taken for an option.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '#' | '@');
    let simple = !text.is_empty() && !text.starts_with('-') && text.chars().all(plain);
    match text {
        text if simple => text.to_owned(),
        text if text.contains('"') => format!("'{text}'"),
        text => format!("\"{text}\""),
    }
}
