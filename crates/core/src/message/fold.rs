//! Several notices of one incident that wait together become one that tells the whole story.

use crate::notice::{Notice, NoticeBody, NoticeKind, Story};

/// Folds due notices of one incident, in any order, into one. `None` without notices.
///
/// The facts are those of the newest notice. What the reader knows already (`told`) and when it happened are those of
/// the oldest, so that the difference covers everything that waited.
pub fn fold(notices: &[Notice]) -> Option<Notice> {
    let mut ordered: Vec<&Notice> = notices.iter().collect();
    ordered.sort_by_key(|notice| notice.id);
    let (oldest, newest) = (ordered.first()?, ordered.last()?);
    let mut folded = Notice {
        kind: kind_of(&ordered, newest.kind),
        caused_at: oldest.caused_at,
        made_at: oldest.made_at,
        severity: ordered.iter().map(|notice| notice.severity).max().unwrap_or(newest.severity),
        ..(*newest).clone()
    };
    if let NoticeBody::Incident(story) = &mut folded.body {
        unite(story, &ordered);
    }
    Some(folded)
}

/// An end says more than what came before it; without an end, the beginning says most.
fn kind_of(ordered: &[&Notice], last: NoticeKind) -> NoticeKind {
    let any = |kind| ordered.iter().any(|notice| notice.kind == kind);
    match last {
        NoticeKind::Resolved | NoticeKind::Closed | NoticeKind::Info => last,
        _ if any(NoticeKind::Opened) => NoticeKind::Opened,
        _ if any(NoticeKind::Reopened) => NoticeKind::Reopened,
        _ => last,
    }
}

fn unite(newest: &mut Story, ordered: &[&Notice]) {
    let stories = || {
        ordered.iter().filter_map(|notice| match &notice.body {
            NoticeBody::Incident(story) => Some(story),
            _ => None,
        })
    };
    newest.told = stories().next().and_then(|story| story.told);
    let mut news: Vec<String> = Vec::new();
    for word in stories().flat_map(|story| &story.news) {
        if !news.contains(word) {
            news.push(word.clone());
        }
    }
    newest.news = news;
}
