//! The page that everybody sees first: what is open, worsening, muted. Pure.

use maud::{Markup, html};

use super::action::PageAction;
use super::html::{Context, Size, data, encoded, nothing};
use crate::chat::views::{Home, PAGE, Row};
use podbell_core::ask::{few, named, typed};
use podbell_core::event::Target;
use podbell_core::message::one_line;
use podbell_core::mute::Mute;
use podbell_core::translations::number;

pub(super) fn view(cx: &Context<'_>, home: &Home) -> Markup {
    let words = cx.words;
    // Worsening incidents are listed above.
    let elsewhere = |row: &&Row| !home.worsening.iter().any(|other| other.brief.id == row.brief.id);
    let pages = home.open.div_ceil(u64::from(PAGE)).max(1);
    html! {
        ul.tiles {
            (tile(words.open(), home.open, "#open", Some("bad").filter(|_| home.open > 0)))
            (tile(words.worsening(), home.worsening.len() as u64, "#worsening", Some("bad").filter(|_| !home.worsening.is_empty())))
            (tile(words.muted(), home.mutes.len() as u64, "#muted", None))
            li {
                a href=(cx.to("/services")) { b { (number(home.services)) } " " (words.watched()) }
                @if home.unreadable > 0 {
                    a.bad href=(cx.to("/sources")) { (words.unreadable(home.unreadable)) }
                }
            }
        }
        @if !home.worsening.is_empty() {
            section #worsening aria-labelledby="h-worsening" {
                h1 #h-worsening { (words.worsening()) } p.small { (words.worsening_about()) }
                ul.rows { @for row in &home.worsening { (line(cx, row, "w")) } }
            }
        }
        section #open aria-labelledby="h-open" {
            h1 #h-open { @if home.worsening.is_empty() { (words.open()) } @else { (words.also_open()) } }
            @if home.open == 0 { p.calm { (words.none_open()) } }
            ul.rows { @for row in home.incidents.iter().filter(elsewhere) { (line(cx, row, "o")) } }
            @if pages > 1 {
                nav.paging aria-label=(words.page_of(home.page, pages)) {
                    @if home.page > 1 {
                        a rel="prev" href=(cx.to(&format!("/?page={}", home.page - 1))) { (words.newer()) }
                    }
                    span { (words.page_of(home.page, pages)) }
                    @if u64::from(home.page) < pages {
                        a rel="next" href=(cx.to(&format!("/?page={}", home.page + 1))) { (words.older()) }
                    }
                }
            }
        }
        section #muted aria-labelledby="h-muted" {
            h1 #h-muted { (words.muted()) }
            @if home.mutes.is_empty() { p.calm { (words.none_muted()) } }
            ul.mutes { @for mute in &home.mutes { (muted(cx, mute)) } }
        }
    }
}

fn tile(name: &str, n: u64, to: &str, class: Option<&str>) -> Markup {
    html! { li { a class=[class] href=(to) { b { (number(n)) } " " (name) } } }
}

/// One incident of a list. `list` keeps ids unique: an incident may be on two lists.
fn line(cx: &Context<'_>, row: &Row, list: &str) -> Markup {
    let (brief, words, say) = (&row.brief, cx.words, cx.say());
    let id = brief.id;
    html! {
        li.row.acts[cx.may_write()].muted[!brief.muted.is_empty()] data-severity=(brief.severity.as_str()) data-incident=(id) {
            div.what {
                a.title id=(format!("{list}{id}")) href=(cx.to(&format!("/incidents/{id}"))) {
                    span.id { "#" (id) } " " (data(&brief.place())) ": " (data(&few(&brief.reasons)))
                }
                p.meta {
                    (cx.severity(brief.severity))
                    @if row.worsening { span.badge.worse { "↗ " (words.worsening()) } }
                    span { (say.times(brief.occurrences)) } span { (say.objects(brief.objects, &brief.obj_type)) }
                    span { (cx.ago(brief.last_at)) }
                    @if !brief.cluster.is_empty() { span { (data(&brief.cluster)) } }
                    @if let Some(mute) = brief.muted.iter().max_by_key(|mute| mute.until) {
                        span.badge { (words.muted_until(&say.at(mute.until))) (say.comma()) (data(&mute.by.name)) }
                    }
                    @if let Some(acknowledged) = &brief.acknowledged {
                        span.badge { (has_it(cx, &acknowledged.by.name)) }
                    }
                }
            }
            @if let (Some(target), Some(line)) = (&row.target, &row.timeline) {
                a.day href=(service_path(cx, target)) { (cx.timeline(line, Size::Small)) }
            }
            @if cx.may_write() { (action_forms(cx, row, list)) }
        }
    }
}

/// "acknowledged by ann", the name with its own text direction.
pub(super) fn has_it(cx: &Context<'_>, name: &str) -> Markup {
    let (before, after) = cx.words.acknowledged_by().split_once("{}").unwrap_or_default();
    html! { (before) (data(name)) (after) }
}

fn action_forms(cx: &Context<'_>, row: &Row, list: &str) -> Markup {
    let (id, words) = (row.brief.id, cx.words);
    let number = id.to_string();
    let own = |mute: &&Mute| mute.what == podbell_core::mute::Muted::Incident { id };
    html! {
        div.actions {
            @if row.brief.acknowledged.is_none() {
                form method="post" action=(cx.to("/do")) {
                    (cx.hidden(PageAction::Ack, &number))
                    button id=(format!("{list}{id}-ack")) data-key="a" aria-label=(format!("{} #{id}", words.acknowledge())) { (words.acknowledge()) }
                }
            }
            form method="post" action=(cx.to("/do")) {
                @if let Some(mute) = row.brief.muted.iter().find(own) {
                    (cx.hidden(PageAction::Unmute, &typed(&mute.what)))
                    button id=(format!("{list}{id}-mute")) data-key="m" aria-label=(format!("{} #{id}", words.unmute())) { (words.unmute()) }
                } @else {
                    (cx.hidden(PageAction::Mute, &number))
                    input type="hidden" name="lasts" value="1h";
                    @let mute = words.mute_for(words.hour());
                    button id=(format!("{list}{id}-mute")) data-key="m" aria-label=(format!("{mute} #{id}")) { (mute) }
                }
            }
        }
    }
}

/// A mute with its author, its end and its reason.
pub(super) fn muted(cx: &Context<'_>, mute: &Mute) -> Markup {
    let words = cx.words;
    html! {
        li {
            div {
                b {
                    @if let podbell_core::mute::Muted::Incident { id } = mute.what {
                        a href=(cx.to(&format!("/incidents/{id}"))) { "#" (id) }
                    } @else { (data(&named(&mute.what))) }
                }
                " " (words.until(&cx.say().at(mute.until))) " · " (data(&mute.by.name)) " (" (data(&cx.say().via(&mute.by.via))) ")"
                @if let Some(why) = &mute.why { " · " (data(why)) }
            }
            @if cx.may_write() {
                form method="post" action=(cx.to("/do")) {
                    (cx.hidden(PageAction::Unmute, &typed(&mute.what)))
                    button.quiet id=(format!("mute{}", mute.id)) aria-label=(format!("{}{}{}", words.unmute(), cx.say().colon(), one_line(&named(&mute.what), 200))) { (words.unmute()) }
                }
            } @else { (nothing()) }
        }
    }
}

/// The page of a service.
pub(super) fn service_path(cx: &Context<'_>, target: &Target) -> String {
    let (cluster, namespace, name) = (&target.cluster, &target.namespace, &target.service);
    cx.to(&format!("/service?cluster={}&namespace={}&name={}", encoded(cluster), encoded(namespace), encoded(name)))
}
