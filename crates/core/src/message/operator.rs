//! Messages about podbell itself: its troubles and its announcements.

use super::translations::{About, Label};
use super::{Block, Message, MessageFormatter, Span, fill, plain, sign, text, words};
use crate::mute::Author;
use crate::notice::{ClockHint, Info, Notice, NoticeKind, StoreFate, Trouble, TroubleSubject};
use crate::rule::quiet::Window;
use crate::time::Time;

/// How many of the affected are listed.
const MAX_LISTED: usize = 5;
/// How many characters of an error's text are shown.
const MAX_WORDS: usize = 500;

impl MessageFormatter<'_> {
    pub(super) fn trouble(&self, notice: &Notice, trouble: &Trouble) -> Message {
        let mut blocks = vec![Block::Line(self.what_happened(trouble, notice.kind))];
        if !notice.kind.is_end() {
            self.how_bad(trouble, &mut blocks);
        }
        blocks.push(Block::Small(vec![words(format!("#{} · podbell · {}", trouble.incident, self.clock.offset()))]));
        self.own(notice, self.trouble_title(notice, trouble), blocks)
    }

    fn trouble_title(&self, notice: &Notice, trouble: &Trouble) -> String {
        let title = self.trouble_name(trouble, notice.kind);
        let status = self.texts.status(notice.kind, notice.severity);
        format!("{} {status} #{} · {title}", sign(notice.kind, notice.severity), trouble.incident)
    }

    /// "podbell cannot deliver to team-slack: not-found".
    pub(super) fn trouble_name(&self, trouble: &Trouble, kind: NoticeKind) -> String {
        let (about, name) = subject(trouble);
        let title = plain(&fill(self.texts.trouble_title(about, kind), &[name]));
        let code = text::one_line(&trouble.code, 60);
        if kind.is_end() || code.is_empty() { title } else { format!("{title}: {code}") }
    }

    fn what_happened(&self, trouble: &Trouble, kind: NoticeKind) -> Vec<Span> {
        let what = text::one_line(&trouble.text, MAX_WORDS);
        let what = if what.is_empty() { text::one_line(&trouble.code, 60) } else { what };
        let sentence = match trouble.until.filter(|_| kind.is_end()) {
            Some(until) => {
                let how_long = self.texts.duration(until.since(trouble.since).as_secs());
                self.texts.trouble_over(&how_long, &self.clock.span(trouble.since, until))
            }
            None => self.texts.trouble(&self.clock.at(trouble.since)),
        };
        // Filled by hand: the error's text may be longer than a name.
        let (before, after) = sentence.split_once("{}").unwrap_or((&sentence, ""));
        let spans = [words(before), Span::Data(what), words(after)];
        spans.into_iter().filter(|span| !plain(std::slice::from_ref(span)).is_empty()).collect()
    }

    fn how_bad(&self, trouble: &Trouble, blocks: &mut Vec<Block>) {
        let (about, _) = subject(trouble);
        let mut facts = Vec::new();
        if !trouble.code.trim().is_empty() {
            facts.push(self.fact(Label::Code, vec![Span::Data(text::one_line(&trouble.code, 60))]));
        }
        // A destination's trouble concerns the destination, which the title names already.
        if about == About::Source && trouble.affected_count > 0 {
            // A discovery or a watch is not a service: only the names of services contain a slash.
            let services = trouble.affected.iter().any(|name| name.contains('/'));
            let count = format!("{}{}", self.texts.affected(about, trouble.affected_count), self.texts.colon());
            let mut value = if services { vec![words(count)] } else { Vec::new() };
            value.extend(self.names(trouble.affected.iter(), MAX_LISTED, trouble.affected_count));
            facts.push(self.fact(Label::Affected, value));
        }
        if !facts.is_empty() {
            blocks.push(Block::Facts(facts));
        }
        let advice = text::one_line(&trouble.advice, MAX_WORDS);
        if !advice.is_empty() {
            let label = self.texts.label(Label::ToDo);
            blocks.push(Block::Line(vec![words(format!("{label}{}", self.texts.colon())), words(advice)]));
        }
    }

    pub(super) fn info(&self, notice: &Notice, info: &Info) -> Message {
        match info {
            Info::FirstContact { source, services, already_there, clock_hint } => {
                self.first_contact(notice, source, *services, *already_there, clock_hint.as_ref())
            }
            Info::Blind { source, services, from, until } => self.was_blind(notice, source, *services, (*from, *until)),
            Info::Held { window, from, until, over, over_count, still_open } => {
                self.was_held(notice, window, (*from, *until), (over, *over_count), *still_open)
            }
            Info::Daily { since, until, events, messages, incidents, untold } => {
                let seconds = until.since(*since).as_secs();
                let span = match (seconds + 1800) / 3600 {
                    0 => self.texts.duration(seconds),
                    hours => self.texts.hours(hours),
                };
                let mut line = self.texts.daily(&span, *events, *messages, *incidents);
                if *untold > 0 {
                    line.push_str(&self.texts.daily_untold_kinds(*untold));
                }
                let help = (*untold > 0).then(|| Block::Small(fill(self.texts.daily_untold(), &["podbell explain"])));
                self.own(notice, format!("📊 {line}"), help.into_iter().collect())
            }
            Info::Muted { what, by, why, until, holds } => {
                let gist = self.who_muted(by, why.as_deref(), *until);
                self.muted(notice, what, gist, &by.via, *holds)
            }
            Info::Store { fate, kept } => self.store(notice, fate, kept.as_deref()),
            Info::Test { destination } => self.test(notice, destination),
            Info::Dead { destination, deliveries, why } => self.given_up(notice, destination, *deliveries, why),
        }
    }

    fn first_contact(
        &self,
        notice: &Notice,
        source: &str,
        services: u64,
        already_there: u64,
        hint: Option<&ClockHint>,
    ) -> Message {
        let watching = match services {
            0 => self.texts.watching().to_owned(),
            services => self.texts.watching_services(services),
        };
        let watching = fill(&watching, &[source]);
        let title = format!("👀 {}", plain(&watching).trim_end_matches(['.', '。']));
        // The title says this already: repeat it only if there is more to say.
        let mut blocks = Vec::new();
        if already_there > 0 {
            let mut gist = watching;
            gist.push(words(format!("{}{}", self.texts.gap(), self.texts.already_there(already_there))));
            blocks.push(Block::Line(gist));
        }
        blocks.extend(hint.map(|hint| Block::Line(self.clock_is_off(hint))));
        self.own(notice, title, blocks)
    }

    fn clock_is_off(&self, hint: &ClockHint) -> Vec<Span> {
        let mut spans = vec![words(self.texts.clock_hint(hint.hours.unsigned_abs()))];
        match &hint.zone {
            Some(zone) => spans.extend(fill(self.texts.clock_hint_zone(), &[zone])),
            None => spans.extend(fill(self.texts.clock_hint_zone(), &["UTC"])),
        }
        spans
    }

    fn was_blind(&self, notice: &Notice, source: &str, services: u64, (from, until): (Time, Time)) -> Message {
        let (from, until) = self.clock.ends(from, until);
        let title = format!("🙈 {}", plain(&fill(self.texts.blind_title(), &[source])));
        let gist = self.texts.blind_source(&self.texts.blind(&from, &until), &self.texts.services(services));
        let gist = fill(&gist, &[source]);
        self.own(notice, title, vec![Block::Line(gist)])
    }

    /// Sums up what a window held that is over by now: no other notice covers it.
    fn was_held(
        &self,
        notice: &Notice,
        window: &Window,
        (from, until): (Time, Time),
        (over, over_count): (&[String], u64),
        still_open: u64,
    ) -> Message {
        let (name, sentence) = match window {
            Window::Hours(name) => (name, self.texts.held_outside()),
            Window::Maintenance { name, .. } => (name, self.texts.held_during()),
        };
        let title = format!("🤫 {}", self.texts.held_title(over_count));
        let (from, until) = self.clock.ends(from, until);
        let mut gist = fill(sentence, &[name]);
        gist.push(words(format!("{from}–{until}{}", self.texts.colon())));
        gist.extend(self.names(over.iter(), MAX_LISTED, over_count));
        let mut blocks = vec![Block::Line(gist)];
        if still_open > 0 {
            blocks.push(Block::Small(vec![words(self.texts.held_open(still_open))]));
        }
        self.own(notice, title, blocks)
    }

    /// Tells the destinations why they get no notices of it from now on.
    fn muted(&self, notice: &Notice, what: &str, gist: Vec<Span>, via: &str, holds: u64) -> Message {
        let what = text::one_line(what, MAX_WORDS);
        let mut blocks = vec![Block::Line(gist)];
        if holds > 0 {
            blocks.push(Block::Line(vec![words(self.texts.muted_holds(holds))]));
        }
        blocks.push(Block::Small(fill(self.texts.muted_how_to_end(), &[&self.texts.via(via)])));
        self.own(notice, format!("🔕 {}", plain(&fill(self.texts.muted_title(), &[&what]))), blocks)
    }

    fn who_muted(&self, by: &Author, why: Option<&str>, until: Time) -> Vec<Span> {
        let mut gist = fill(self.texts.muted(), &[&by.name]);
        gist.push(words(self.texts.muted_until(&self.clock.at(until))));
        if let Some(why) = why.map(|why| text::one_line(why, MAX_WORDS)).filter(|why| !why.is_empty()) {
            gist.extend([words(self.texts.colon()), Span::Data(why)]);
        }
        gist
    }

    fn store(&self, notice: &Notice, fate: &StoreFate, kept: Option<&str>) -> Message {
        let texts = self.texts;
        let written = |at: &Option<Time>| at.map(|at| texts.store_last_written(&self.clock.at(at))).unwrap_or_default();
        let (gist, why) = match fate {
            StoreFate::WentBack { commits, from, until } => {
                let until = self.clock.at(*until);
                let made = match from {
                    Some(from) => texts.store_made_between(&self.clock.at(*from), &until),
                    None => texts.store_made_before(&until),
                };
                (texts.store_went_back(*commits, &made), None)
            }
            StoreFate::Replaced { until } => (texts.store_replaced(&self.clock.at(*until)), None),
            StoreFate::Lost { until } => (texts.store_lost(&written(until)), None),
            StoreFate::Damaged { why, until } => (texts.store_damaged(&written(until)), Some(why)),
            StoreFate::Mended { why, rows } => (texts.store_mended(*rows), Some(why)),
            StoreFate::Rewritten => (texts.store_rewritten().to_owned(), None),
            StoreFate::Restored { from } => (texts.store_restored(&self.clock.at(*from)), None),
            StoreFate::Unsure => (texts.store_unsure().to_owned(), None),
        };
        let mut blocks = vec![Block::Line(vec![words(gist)])];
        if let Some(why) = why.map(|why| text::one_line(why, MAX_WORDS)).filter(|why| !why.is_empty()) {
            blocks.push(Block::Line(vec![Span::Data(why)]));
        }
        if let Some(kept) = kept {
            blocks.push(Block::Line(fill(texts.store_kept(), &[kept])));
        }
        let title = format!("{} {}", sign(notice.kind, notice.severity), fate.say(self.language));
        self.own(notice, title, blocks)
    }

    fn test(&self, notice: &Notice, destination: &str) -> Message {
        let gist = fill(self.texts.test(), &[destination]);
        let title = format!("🔔 {}", self.texts.test_title());
        self.own(notice, title, vec![Block::Line(gist)])
    }

    fn given_up(&self, notice: &Notice, destination: &str, deliveries: u64, why: &str) -> Message {
        let title = plain(&fill(&self.texts.dead_title(deliveries), &[destination]));
        let gist = fill(&self.texts.dead(deliveries), &[destination, why.trim_end_matches('.')]);
        let list = fill(self.texts.dead_list(), &["podbell outbox list"]);
        let title = format!("{} {title}", sign(notice.kind, notice.severity));
        self.own(notice, title, vec![Block::Line(gist), Block::Line(list)])
    }

    fn own(&self, notice: &Notice, title: String, blocks: Vec<Block>) -> Message {
        Message {
            title,
            severity: notice.severity,
            kind: notice.kind,
            over: notice.kind.is_end(),
            language: self.language,
            mentions: Vec::new(),
            blocks,
        }
    }
}

/// What it is about, and its name.
fn subject(trouble: &Trouble) -> (About, &str) {
    let about = match &trouble.subject {
        TroubleSubject::Source(_) => About::Source,
        TroubleSubject::Destination(_) => About::Destination,
        TroubleSubject::Rules(_) => About::Rules,
    };
    (about, trouble.subject.name())
}
