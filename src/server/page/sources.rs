//! The state of reading: sources, their last poll and lag, and what cannot be read. Pure.

use std::time::Duration;

use maud::{Markup, html};

use super::html::{Context, data};
use super::incidents::service_path;
use crate::chat::views::Sources;
use crate::health::HealthSnapshot;
use podbell_core::notice::TroubleSubject;
use podbell_core::time::Time;
use podbell_core::translations::number;

/// What is known of sources from the configuration: name, and how often each service is read.
pub(crate) type Interval = (String, Duration);

pub(super) fn view(cx: &Context<'_>, sources: &Sources, health: &HealthSnapshot, intervals: &[Interval]) -> Markup {
    let words = cx.words;
    html! {
        h1 { (words.sources()) }
        div.wide tabindex="0" role="region" aria-label=(words.sources()) {
            table {
                thead { tr {
                    th scope="col" { (words.source()) } th.number scope="col" { (words.services()) }
                    th scope="col" { (words.last_read()) } th scope="col" { (words.lag()) } th scope="col" { (words.errors()) }
                } }
                tbody {
                    @for row in &sources.sources {
                        @let every = intervals.iter().find(|(name, _)| *name == row.name).map(|(_, every)| *every);
                        // The stored time lags behind: reads without a change are not stored.
                        @let of_health = health.sources.iter().find(|source| source.name == row.name);
                        @let read_at = of_health.and_then(|source| source.last_good).max(row.read_at);
                        tr {
                            th scope="row" { (data(&row.name)) @if let Some(every) = every { p.small { (words.every(&cx.say().duration(every.as_secs()))) } } }
                            td.number { (number(row.services)) }
                            td { @match read_at { Some(at) => { (cx.ago(at)) } None => { (words.never_read()) } } }
                            td { (lag(cx, read_at, every)) }
                            td { @if row.unreadable > 0 { span.badge.bad { (words.unreadable(row.unreadable)) } } @else { (words.no_errors()) } }
                        }
                    }
                }
            }
        }
        @if cx.visitor.is_some_and(|visitor| visitor.scope.is_everything()) {
            section aria-labelledby="h-troubles" {
                h2 #h-troubles { (words.troubles()) }
                @if sources.troubles.is_empty() { p.calm { (words.no_troubles()) } }
                @for trouble in &sources.troubles {
                    div.trouble {
                        p {
                            b { (data(subject(&trouble.subject))) } " · " (words.since(&cx.say().at(trouble.since)))
                            @if !trouble.code.is_empty() { " · " code { (data(&trouble.code)) } }
                        }
                        p { (data(&trouble.text)) }
                        p.small { (data(&trouble.advice)) }
                    }
                }
            }
        }
        @if !sources.failing.is_empty() {
            section aria-labelledby="h-failing" {
                h2 #h-failing { (words.unreadable_services()) }
                ul.plain {
                    @for service in &sources.failing {
                        li {
                            a href=(service_path(cx, &service.target)) { (data(&format!("{}/{}", service.target.namespace, service.target.service))) }
                            @if let Some(since) = service.failing_since { " · " (words.since(&cx.say().at(since))) }
                        }
                    }
                }
            }
        }
    }
}

/// How late the newest read is.
fn lag(cx: &Context<'_>, read_at: Option<Time>, every: Option<Duration>) -> Markup {
    let (Some(read_at), Some(every)) = (read_at, every) else { return html! { "–" } };
    let age = cx.style.now.since(read_at);
    // Tolerate that a read takes time, and that in a large installation the numbers are some seconds old.
    let late = age.saturating_sub(every + every / 2 + Duration::from_secs(15));
    html! {
        @if late.is_zero() { (cx.words.in_time()) } @else {
            span.badge.bad { (cx.words.late_by(&cx.say().duration((age - every).as_secs()))) }
        }
    }
}

fn subject(subject: &TroubleSubject) -> &str {
    match subject {
        TroubleSubject::Source(name) | TroubleSubject::Destination(name) | TroubleSubject::Rules(name) => name,
    }
}
