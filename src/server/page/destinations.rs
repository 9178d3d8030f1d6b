//! The state of deliveries: queues, pace, what was given up. Pure.

use maud::{Markup, html};

use super::html::{Context, data};
use crate::chat::lists::DeliveryRow;
use crate::chat::views::Destinations;
use podbell_core::outbox::DestinationHealth;
use podbell_core::outbox::pace::Pace;
use podbell_core::translations::number;

/// What is known of destinations from the configuration: name and pace.
pub(crate) type Paced = (String, Option<Pace>);

pub(super) fn view(cx: &Context<'_>, destinations: &Destinations, dead: &[DeliveryRow], paces: &[Paced]) -> Markup {
    let words = cx.words;
    let queue = |name: &str| destinations.queues.iter().find(|queue| queue.destination == name);
    html! {
        h1 { (words.destinations()) }
        div.wide tabindex="0" role="region" aria-label=(words.destinations()) {
            table {
                thead { tr {
                    th scope="col" { (words.destination()) } th scope="col" { (words.state()) } th.number scope="col" { (words.waiting()) }
                    th scope="col" { (words.pace()) } th.number scope="col" { (words.dead()) }
                } }
                tbody {
                    @for (name, pace) in paces {
                        @let health = destinations.health.iter().find(|(known, _)| **known == **name).map(|(_, health)| health);
                        tr {
                            th scope="row" { (data(name)) }
                            td { (state(cx, health)) }
                            td.number { (number(queue(name).map_or(0, |queue| queue.waiting))) }
                            td { (self::pace(cx, *pace)) }
                            td.number { @let n = queue(name).map_or(0, |queue| queue.dead); @if n > 0 { span.badge.bad { (number(n)) } } @else { "0" } }
                        }
                    }
                }
            }
        }
        @if !dead.is_empty() {
            section aria-labelledby="h-dead" {
                h2 #h-dead { (words.dead_newest()) }
                ul.plain {
                    @for row in dead {
                        li {
                            (data(&row.destination)) " · " (cx.at(row.made_at))
                            @if let Some(id) = row.incident { " · " a href=(cx.to(&format!("/incidents/{id}"))) { "#" (id) } }
                            @if let Some(why) = &row.why { " · " (data(why)) }
                        }
                    }
                }
            }
        }
    }
}

fn state(cx: &Context<'_>, health: Option<&DestinationHealth>) -> Markup {
    let words = cx.words;
    let Some(health) = health else { return html! { (words.works()) } };
    let until = health.retry_at.max(health.rate_limited_until).filter(|at| *at > cx.style.now);
    html! {
        @if let Some(paused) = &health.paused {
            span.badge.bad { (words.paused()) (data(&paused.code)) }
            p.small { (data(&paused.text)) }
        } @else if health.failures > 0 {
            span.badge.bad { (words.failing(health.failures)) }
        } @else { (words.works()) }
        @if let (Some(until), None) = (until, &health.paused) { p.small { (words.again_at(&cx.say().at(until))) } }
    }
}

fn pace(cx: &Context<'_>, pace: Option<Pace>) -> String {
    let Some(pace) = pace else { return cx.words.no_pace().to_owned() };
    // Round down to minutes: `per` includes a reserve for the network that readers need not see.
    let per = match pace.per.as_secs() / 60 {
        0 => cx.words.seconds(&pace.per.as_secs_f64().to_string()),
        minutes => cx.say().duration(minutes * 60),
    };
    cx.words.per(pace.limit, &per)
}
