//! One incident: its story, why it was reported, what was sent, what people did. Pure.

use maud::{Markup, html};

use super::action::PageAction;
use super::html::{Context, Size, blocks, data};
use super::incidents::{has_it, service_path};
use crate::chat::views::Detail;
use podbell_core::ask::typed;
use podbell_core::mute::Muted;

pub(super) fn view(cx: &Context<'_>, detail: &Detail) -> Markup {
    let (words, say) = (cx.words, cx.say());
    let (brief, parts) = (&detail.shown.brief, detail.shown.parts(cx.style));
    let colon = say.colon();
    html! {
        article.incident data-severity=(brief.severity.as_str()) data-incident=(brief.id) {
            h1 { bdi { (parts.story.title) } }
            @if brief.resolved_at.is_some() || brief.acknowledged.is_some() || !brief.muted.is_empty() {
            p.meta {
                @if let Some(over) = brief.resolved_at { span.badge { (words.went_quiet()) " " (cx.ago(over)) } }
                @if let Some(acknowledged) = &brief.acknowledged { span.badge { (has_it(cx, &acknowledged.by.name)) " · " (cx.ago(acknowledged.at)) } }
                @for mute in &brief.muted {
                    span.badge { (words.muted_until(&say.at(mute.until))) (say.comma()) (data(&mute.by.name)) @if let Some(why) = &mute.why { (colon) (data(why)) } }
                }
            }
            }
            @if cx.may_write() && brief.resolved_at.is_none() { (action_forms(cx, detail)) }
            section aria-labelledby="h-story" {
                h2 #h-story { (words.story()) }
                (blocks(&parts.story.blocks, colon))
            }
            @if !detail.timelines.is_empty() {
                section aria-labelledby="h-day" {
                    h2 #h-day { (words.last_day()) }
                    @for (target, line, rollouts) in &detail.timelines {
                        figure.day {
                            figcaption {
                                a href=(service_path(cx, target)) { (data(&format!("{}/{}", target.namespace, target.service))) }
                                " " span.small { (cx.day(line)) }
                            }
                            (cx.timeline(line, Size::Large))
                            (cx.rollouts(rollouts))
                        }
                    }
                }
            }
            section #why aria-labelledby="h-why" {
                h2 #h-why { (words.explanation()) }
                (blocks(&detail.why.explanation(cx.style), colon))
                (other_changes(cx, detail))
            }
            section aria-labelledby="h-told" {
                h2 #h-told { (words.told()) }
                @if parts.told.is_empty() { p.calm { (words.nothing_told()) } }
                (blocks(&parts.told, colon))
            }
            section aria-labelledby="h-done" {
                h2 #h-done { (words.done()) }
                @if parts.actions.is_empty() { p.calm { (words.nothing_done()) } }
                (blocks(&parts.actions, colon))
            }
        }
    }
}

/// Links to the changes that this page leaves out.
fn other_changes(cx: &Context<'_>, detail: &Detail) -> Markup {
    let (words, changes) = (cx.words, &detail.why.changes);
    let at = |page: u32| cx.to(&format!("/incidents/{}?page={page}#why", detail.shown.brief.id));
    html! {
        @if changes.pages > 1 {
            nav.paging aria-label=(words.changes()) {
                @if changes.page > 1 { a rel="prev" href=(at(changes.page - 1)) { (words.newer()) } }
                span { (words.page_of(changes.page, changes.pages)) }
                @if let Some(older) = changes.older() { a rel="next" href=(at(older)) { (words.older()) } }
            }
        }
    }
}

fn action_forms(cx: &Context<'_>, detail: &Detail) -> Markup {
    let (words, brief) = (cx.words, &detail.shown.brief);
    let id = brief.id.to_string();
    let own = brief.muted.iter().find(|mute| mute.what == Muted::Incident { id: brief.id });
    html! {
        div.actions.large {
            @if brief.acknowledged.is_none() {
                form method="post" action=(cx.to("/do")) {
                    (cx.hidden(PageAction::Ack, &id))
                    button #ack data-key="a" { (words.acknowledge()) }
                }
            }
            @if let Some(mute) = own {
                form method="post" action=(cx.to("/do")) {
                    (cx.hidden(PageAction::Unmute, &typed(&mute.what)))
                    button #mute data-key="m" { (words.unmute()) }
                }
            } @else {
                (mute_form(cx, &id))
            }
        }
    }
}

/// A form that mutes something, for a while and for a reason.
pub(super) fn mute_form(cx: &Context<'_>, what: &str) -> Markup {
    let words = cx.words;
    html! {
        form method="post" action=(cx.to("/do")) {
            (cx.hidden(PageAction::Mute, what))
            label for="lasts" { (words.how_long()) }
            select #lasts name="lasts" {
                option value="1h" selected { (words.hour()) }
                option value="4h" { (words.four_hours()) }
                option value="24h" { (words.day()) }
            }
            label for="why-field" { (words.why_field()) }
            input #why-field name="why" maxlength="200" autocomplete="off";
            button #mute data-key="m" { (words.mute()) }
        }
    }
}
