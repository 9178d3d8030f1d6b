//! Services with their last day, and one of them with its events. Pure.

use maud::{Markup, html};

use super::html::{Context, Size, data, encoded};
use super::incident::mute_form;
use super::incidents::service_path;
use crate::chat::views::{ServiceDetail, Services};
use podbell_core::ask::events::Row;
use podbell_core::ask::{few, typed};
use podbell_core::event::Level;
use podbell_core::mute::Muted;
use podbell_core::time::Time;
use podbell_core::translations::number;

pub(super) fn list(cx: &Context<'_>, services: &Services, beginning: &str, after: u64) -> Markup {
    let words = cx.words;
    let search = if beginning.is_empty() { String::new() } else { format!("&q={}", encoded(beginning)) };
    html! {
        h1 { (words.services()) }
        form.search method="get" action=(cx.to("/services")) role="search" {
            label for="q" { (words.find()) }
            input #q type="search" name="q" value=(beginning) maxlength="200" autocomplete="off";
            button { (words.search()) }
        }
        @if services.rows.is_empty() { p.calm { (words.no_services()) } }
        ul.rows {
            @for row in &services.rows {
                @let target = &row.service.target;
                @let cluster = row.alias.as_deref().unwrap_or(&target.cluster);
                li.row.service {
                    div.what {
                        a.title href=(service_path(cx, target)) { (data(&format!("{}/{}", target.namespace, target.service))) }
                        p.meta {
                            span { (data(cluster)) }
                            @if row.open > 0 { span.badge.worse { (words.open_of(row.open)) } }
                            (readable(cx, row.service.read_at, row.service.failing_since))
                            span { (cx.day(&row.timeline)) }
                        }
                    }
                    div.day { (cx.timeline(&row.timeline, Size::Small)) }
                }
            }
        }
        @if after > 0 || services.next.is_some() {
            nav.paging aria-label=(words.services()) {
                @if after > 0 { a href=(cx.to(&format!("/services?after=0{search}"))) { (words.first()) } }
                @if let Some(next) = services.next {
                    a rel="next" href=(cx.to(&format!("/services?after={next}{search}"))) { (words.next()) }
                }
            }
        }
    }
}

/// When it was read, or since when it cannot be.
fn readable(cx: &Context<'_>, read_at: Option<Time>, failing_since: Option<Time>) -> Markup {
    let (words, say) = (cx.words, cx.say());
    html! {
        @match (failing_since, read_at) {
            (Some(since), _) => { span.badge.bad { (words.cannot_read_since(&say.at(since))) } }
            (None, Some(_)) => {}
            (None, None) => { span { (words.never_read()) } }
        }
    }
}

pub(super) fn one(cx: &Context<'_>, detail: &ServiceDetail) -> Markup {
    let (words, events) = (cx.words, &detail.events);
    let place = &events.place;
    let muted = Muted::Service {
        cluster: Some(place.cluster.clone()),
        namespace: Some(place.namespace.clone()),
        service: place.name.clone(),
    };
    html! {
        h1 { (data(&place.short())) }
        p.meta {
            span { (data(place.cluster_for_people())) }
            (readable(cx, events.read_at, events.failing_since))
        }
        @if cx.may_write() { div.actions.large { (mute_form(cx, &typed(&muted))) } }
        section aria-labelledby="h-day" {
            h2 #h-day { (words.last_day()) }
            figure.day { figcaption.small { (cx.day(&detail.timeline)) } (cx.timeline(&detail.timeline, Size::Large)) }
            (cx.rollouts(&events.rollouts))
        }
        section aria-labelledby="h-open" {
            h2 #h-open { (words.incidents()) }
            @if events.incidents.is_empty() { p.calm { (words.none_open()) } }
            ul.plain {
                @for brief in &events.incidents {
                    li {
                        (cx.severity(brief.severity)) " "
                        a href=(cx.to(&format!("/incidents/{}", brief.id))) { "#" (brief.id) " " (data(&brief.place())) ": " (data(&few(&brief.reasons))) }
                        " · " (cx.ago(brief.last_at))
                    }
                }
            }
        }
        section aria-labelledby="h-events" {
            h2 #h-events { (words.events()) }
            @if events.rows.is_empty() { p.calm { (words.no_events()) } } @else {
                div.wide tabindex="0" role="group" aria-labelledby="h-events" {
                    table {
                        thead { tr { th scope="col" { (words.objects_and_reasons()) } th scope="col" { (words.workload()) } th.number scope="col" { (words.count()) } th scope="col" { (words.newest()) } } }
                        tbody { @for row in &events.rows { (event(cx, row)) } }
                    }
                }
            }
            @if events.pages > 1 {
                @let page = events.ask.page;
                @let at = |page: u32| format!("/service?cluster={}&namespace={}&name={}&page={page}", encoded(&place.cluster), encoded(&place.namespace), encoded(&place.name));
                nav.paging aria-label=(words.events()) {
                    @if page > 1 { a rel="prev" href=(cx.to(&at(page - 1))) { (words.previous()) } }
                    span { (words.page_of(page, events.pages)) }
                    @if page < events.pages { a rel="next" href=(cx.to(&at(page + 1))) { (words.next()) } }
                }
            }
        }
    }
}

fn event(cx: &Context<'_>, row: &Row) -> Markup {
    let say = cx.say();
    html! {
        tr.warn[row.level == Level::Warning] {
            td {
                (data(&row.reason))
                @if let Some(id) = row.incident { " " a href=(cx.to(&format!("/incidents/{id}"))) { "#" (id) } }
                @if row.silent && row.level == Level::Warning && row.incident.is_none() { " " span.badge { (cx.words.was_there()) } }
                p.small dir="auto" { (podbell_core::message::one_line(&row.message, 300)) }
            }
            td { (data(&row.workload)) p.small { (say.objects(row.objects, &row.obj_type)) } }
            td.number { (number(row.occurrences)) }
            td { (cx.ago(row.last_seen)) }
        }
    }
}
