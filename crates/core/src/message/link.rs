//! Links from a message to the status page.

use super::translations::{Label, MessageTexts};
use super::{Block, Message, Span};
use crate::notice::{Notice, NoticeBody, TroubleSubject};

/// The path on the status page that shows what a notice is about; `None` if the page does not show it.
pub fn page_path(notice: &Notice) -> Option<String> {
    match &notice.body {
        NoticeBody::Incident(story) => Some(format!("/incidents/{}", story.incident)),
        NoticeBody::Trouble(trouble) => match trouble.subject {
            TroubleSubject::Source(_) => Some("/sources".to_owned()),
            TroubleSubject::Destination(_) => Some("/destinations".to_owned()),
            TroubleSubject::Rules(_) => None,
        },
        NoticeBody::Info(_) => None,
    }
}

impl Message {
    /// Adds a link to the page, above the small print. The platform escapes it.
    pub fn link_to(&mut self, url: String) {
        let texts = MessageTexts::of(self.language);
        let label = Span::Words(format!("{}{}", texts.label(Label::Page), texts.colon()));
        let small = self.blocks.iter().rev().take_while(|block| matches!(block, Block::Small(_))).count();
        let place = self.blocks.len() - small;
        self.blocks.insert(place, Block::Line(vec![label, Span::Link(url)]));
    }
}
