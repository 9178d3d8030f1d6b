//! What all views share: the frame, text from outside, times, timelines, messages. Pure. `maud` escapes every text;
//! text from outside also loses its control characters, and its text direction is isolated.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::access::Visitor;
use super::action::PageAction;
use super::words::PageTexts;
use podbell_core::message::{Block, Phrases, Span, Style, one_line};
use podbell_core::rollout::RolloutOf;
use podbell_core::rule::Severity;
use podbell_core::time::Time;
use podbell_core::timeline::Timeline;

/// How much of a name is shown.
const MAX_NAME: usize = 160;

/// For whom a view is drawn.
pub(super) struct Context<'a> {
    /// The reader's words.
    pub words: PageTexts,
    /// Language, zone and moment.
    pub style: &'a Style,
    /// The prefix of every path.
    pub base: &'a str,
    /// The names of the assets.
    pub assets: &'a super::assets::Assets,
    /// Who reads; `None` if nobody is signed in.
    pub visitor: Option<&'a Visitor>,
    /// The token in the visitor's forms.
    pub token: String,
    /// Where forms lead back to: path and query.
    pub here: String,
    /// The confirmation of the last user action.
    pub said: Option<&'static str>,
}

/// How large a timeline is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// In a row of a list.
    Small,
    /// Alone, with its hours below.
    Large,
}

/// The tab that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Incidents,
    Services,
    Sources,
    Destinations,
    None,
}

impl Context<'_> {
    /// An address of the page.
    pub(super) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Phrases in the reader's language.
    pub(super) fn say(&self) -> Phrases<'_> {
        Phrases::new(self.style)
    }

    /// Whether the reader may change anything.
    pub(super) fn may_write(&self) -> bool {
        self.visitor.is_some_and(|visitor| visitor.may_write)
    }

    /// A time as its age, with the exact time in its title and for machines.
    pub(super) fn ago(&self, at: Time) -> Markup {
        let say = self.say();
        let (age, exact) = (say.ago(at), say.at(at));
        html! { time datetime=(at.timestamp()) title=(exact) { (age) } }
    }

    /// A time as date and clock.
    pub(super) fn at(&self, at: Time) -> Markup {
        html! { time datetime=(at.timestamp()) { (self.say().at(at)) } }
    }

    /// The hidden fields of a form that changes something.
    pub(super) fn hidden(&self, action: PageAction, what: &str) -> Markup {
        html! {
            input type="hidden" name="token" value=(self.token);
            input type="hidden" name="do" value=(action.as_str());
            input type="hidden" name="what" value=(what);
            input type="hidden" name="back" value=(self.here);
        }
    }

    /// The whole page around a view.
    pub(super) fn frame(&self, tab: Tab, title: &str, main: &Markup) -> Markup {
        let words = self.words;
        let sees_all = self.visitor.is_some_and(|visitor| visitor.scope.is_everything());
        let tabs = [
            (Tab::Incidents, "/", words.incidents()),
            (Tab::Services, "/services", words.services()),
            (Tab::Sources, "/sources", words.sources()),
            (Tab::Destinations, "/destinations", words.destinations()),
        ];
        html! {
            (DOCTYPE)
            html lang=(if self.style.language == podbell_core::translations::Language::Zh { "zh-Hans" } else { "en" }) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · podbell" }
                    link rel="icon" href=(self.to(&self.assets.icon));
                    link rel="stylesheet" href=(self.to(&self.assets.css));
                    @if self.visitor.is_some() {
                        script src=(self.to(&self.assets.js)) data-live=(self.to("/live")) defer {}
                    }
                }
                body {
                    a.skip href="#main" { (words.skip()) }
                    header {
                        a.name href=(self.to("/")) { "podbell" }
                        @if let Some(visitor) = self.visitor {
                            nav aria-label=(words.pages()) {
                                @for (of, path, name) in tabs {
                                    @if of != Tab::Destinations || sees_all {
                                        a href=(self.to(path)) aria-current=[(of == tab).then_some("page")] { (name) }
                                    }
                                }
                            }
                            div.who {
                                span { (data(&visitor.name)) @if !visitor.may_write { " · " (words.may_only_read()) } }
                                @if visitor.signed_in {
                                    form method="post" action=(self.to("/sign-out")) {
                                        input type="hidden" name="token" value=(self.token);
                                        button.quiet { (words.sign_out()) }
                                    }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        @if let Some(said) = self.said { p.said role="status" { (said) } }
                        (main)
                    }
                    @if self.visitor.is_some() { (self.footer()) }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        let words = self.words;
        html! {
            footer {
                details #keys {
                    summary { (words.keys()) }
                    dl {
                        @for (keys, what) in [
                            (&["j", "k"][..], words.key_rows()), (&["Enter"], words.key_open()), (&["a"], words.key_ack()),
                            (&["m"], words.key_mute()), (&["?"], words.key_keys()),
                        ] {
                            div { dt { @for key in keys { kbd { (key) } " " } } dd { (what) } }
                        }
                    }
                }
                a #refresh href=(self.here) { (words.refresh()) }
                span #live hidden { (words.live()) }
            }
        }
    }

    /// A bar chart of a day, with a description in words for those who do not see it.
    pub(super) fn timeline(&self, line: &Timeline, size: Size) -> Markup {
        let small = size == Size::Small;
        let line = if small { line.coarser(2) } else { line.clone() };
        let peak = line.peak().max(1);
        // The height grows with the square root, so that few are visible beside many.
        let height = |n: u64| if n == 0 { 0 } else { (n as f64 / peak as f64).sqrt().mul_add(26.0, 2.0) as u64 };
        let width = line.bars.len() * 5;
        let middle = line.from.plus(line.each.saturating_mul(u32::try_from(line.bars.len() / 2).unwrap_or(0)));
        html! {
            svg.timeline.small[small] viewBox=(format!("0 0 {width} 30")) preserveAspectRatio="none" role="img" aria-label=(self.day(&line)) {
                path.ground d=(format!("M0 29.5H{width}")) {}
                @for (place, bar) in line.bars.iter().enumerate() {
                    @let (all, warnings) = (height(bar.warnings.saturating_add(bar.others)), height(bar.warnings));
                    @if bar.others > 0 {
                        rect.other x=(place * 5) y=(30 - all.min(30)) width="4" height=(all) {}
                    }
                    @if bar.warnings > 0 {
                        rect.warn x=(place * 5) y=(30 - warnings.min(30)) width="4" height=(warnings) {}
                    }
                }
            }
            @if !small {
                div.axis aria-hidden="true" {
                    span { (self.say().at(line.from)) } span { (self.say().at(middle)) } span { (self.words.now()) }
                }
            }
        }
    }

    /// The rollouts of a day, below its chart.
    pub(super) fn rollouts(&self, rollouts: &[RolloutOf]) -> Markup {
        html! {
            @if !rollouts.is_empty() {
                ul.plain.rollouts {
                    @for RolloutOf { workload, rollout } in rollouts {
                        li.small {
                            "🚀 " (self.words.rollout_at(&self.say().at(rollout.at))) (self.say().colon()) (data(workload))
                            @if let Some(images) = rollout.images() { " · " (data(&images)) }
                        }
                    }
                }
            }
        }
    }

    /// The day in words.
    pub(super) fn day(&self, line: &Timeline) -> String {
        match line.worst() {
            Some((most, at)) => {
                let all = self.words.warnings_in_day(line.warnings());
                let most = self.words.most_at(most, &self.say().at(at));
                format!("{all}{}{most}", self.say().comma())
            }
            None => self.words.no_warnings().to_owned(),
        }
    }

    /// A severity as a word with a colour.
    pub(super) fn severity(&self, severity: Severity) -> Markup {
        html! { span class=(format!("severity {}", severity.as_str())) { (self.words.severity(severity)) } }
    }
}

/// Text from outside: on one line, with its own direction.
pub(super) fn data(text: &str) -> Markup {
    html! { bdi { (one_line(text, MAX_NAME)) } }
}

/// A message's blocks.
pub(super) fn blocks(blocks: &[Block], colon: &str) -> Markup {
    html! {
        @for block in blocks {
            @match block {
                Block::Line(spans) => { p { (self::spans(spans)) } }
                Block::Small(spans) => { p.small { (self::spans(spans)) } }
                Block::Facts(facts) => {
                    dl.facts { @for fact in facts { div { dt { (fact.label) } dd { (self::spans(&fact.value)) } } } }
                }
                Block::Quote { of, text } => {
                    figure { figcaption { bdi { (of) } (colon.trim_end()) } pre dir="auto" { (text) } }
                }
                Block::Command(command) => { pre.command { code { (command) } } }
                Block::Text(text) => { pre.text dir="auto" { (text) } }
            }
        }
    }
}

fn spans(spans: &[Span]) -> Markup {
    html! {
        @for span in spans {
            @match span {
                Span::Words(text) => { (text) }
                Span::Data(text) => { bdi { (text) } }
                // Only http and https addresses are links; others were filtered out before.
                Span::Link(url) => { a href=(url) rel="noreferrer noopener" { bdi { (url) } } }
            }
        }
    }
}

/// Encodes a value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Empty markup.
pub(super) fn nothing() -> Markup {
    PreEscaped(String::new())
}
