//! A message by a team's template, or in podbell's own words if the template fails.
//!
//! The output of a template is text from outside: it is cleaned here and escaped by the platform, so that nothing in
//! it, least of all the cluster's words, becomes markup.

use super::{Block, Message, MessageFormatter, Span, fill, text};
use crate::notice::{Notice, Story};
use crate::template::{Failure, Part, Template, TemplateValues, render};

/// How much of a title is kept.
const MAX_TITLE: usize = 400;
/// How many characters of a failure are shown.
const MAX_WHY: usize = 200;

/// A message, and why its template failed, if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// What is said.
    pub message: Message,
    /// Why the template failed: then the message is in podbell's own words.
    pub failed: Option<Failure>,
}

impl Composed {
    pub(super) fn plain(message: Message) -> Self {
        Self { message, failed: None }
    }
}

impl MessageFormatter<'_> {
    /// Applies the rule's template, completed by the destination's. Without a template, or if it fails, the message is in
    /// podbell's own words.
    pub(super) fn with_template(
        &self,
        notice: &Notice,
        story: &Story,
        destination: &Template,
        built_in: Message,
    ) -> Composed {
        let template = story.template.or(destination);
        if template.is_empty() {
            return Composed::plain(built_in);
        }
        let facts = self.model(notice, story, &built_in);
        match apply(&template, &facts, &built_in) {
            Ok(message) => Composed::plain(message),
            Err(failure) => {
                let why = text::one_line(&failure.to_string(), MAX_WHY);
                let mut message = built_in;
                message.blocks.push(Block::Small(fill(self.texts.template_failed(), &[&why])));
                Composed { message, failed: Some(failure) }
            }
        }
    }
}

fn apply(template: &Template, facts: &TemplateValues, built_in: &Message) -> Result<Message, Failure> {
    let mut message = built_in.clone();
    if let Some(source) = &template.title {
        message.title = text::one_line(&render(Part::Title, source, facts)?, MAX_TITLE);
        if message.title.is_empty() {
            let help = Some("a title must say something in every kind of notice".to_owned());
            return Err(Failure { part: Part::Title, why: "it gives an empty title".to_owned(), help, at: None });
        }
    }
    if let Some(source) = &template.text {
        let said = text::lines(&render(Part::Text, source, facts)?);
        message.blocks = if said.is_empty() { Vec::new() } else { vec![Block::Text(said)] };
    }
    Ok(message)
}

/// The first line of a text, which a lock screen shows.
pub(super) fn first_line(text: &str) -> Vec<Span> {
    text.lines().find(|line| !line.trim().is_empty()).map(|line| Span::Data(line.to_owned())).into_iter().collect()
}
