//! Warns of hours and planned work whose zone may be a mistake: without a zone they are UTC, but somebody who reads
//! times in Shanghai's zone means Shanghai's hours.

use std::sync::Arc;

use super::{NotifierConfig, Stage};
use podbell_core::diagnostic::{Diagnostic, Source};
use podbell_core::rule::Destination;
use podbell_core::rules::Located;
use podbell_core::rules::quiet::Planned;
use podbell_core::time::Time;

/// Rule hours and planned work that lack a zone, and so are UTC, though their readers' clocks show another zone.
pub(crate) fn on_other_clocks<S: Stage>(
    notifiers: &[NotifierConfig<S>],
    rules: &[Located],
    planned: &[(Arc<Source>, Planned)],
) -> Vec<Diagnostic> {
    let zone_of = |name: &Destination| {
        let notifier = notifiers.iter().find(|notifier| notifier.name == *name)?;
        let zone = notifier.time_zone.iana_name()?;
        let is_utc = ["UTC", "Etc/UTC", "GMT", "Etc/GMT"].contains(&zone);
        (!is_utc).then(|| (name.clone(), zone.to_owned()))
    };
    let mut found = Vec::new();
    for located in rules {
        let settings = &located.rule.settings;
        let unzoned = settings.active.iter().flat_map(|active| &active.hours).find(|hours| !hours.zoned);
        let Some((hours, (to, zone))) = unzoned.zip(settings.notify.iter().find_map(zone_of)) else { continue };
        let message = format!(
            "the hours `{}` of the rule `{}` have no time zone, so they are UTC; {to} shows times in {zone}",
            hours.written, settings.key.name
        );
        let help = format!("write `zone: {zone}` (or `zone: UTC`, if that is meant) into `active`");
        found.push(Diagnostic::warning(&located.source, located.at.clone(), message).help(help));
    }
    let Some((to, zone)) = notifiers.iter().find_map(|notifier| zone_of(&notifier.name)) else { return found };
    for (source, planned) in planned.iter().filter(|(_, planned)| !planned.zoned) {
        let name = &planned.maintenance.name;
        let message = format!(
            "the times of the maintenance `{name}` have no time zone, so they are UTC; {to} shows times in {zone}"
        );
        let help = format!("write `zone: {zone}` (or `zone: UTC`, if that is meant) beside them");
        found.push(Diagnostic::warning(source, planned.at.clone(), message).help(help));
    }
    found
}

/// Planned work that is over.
pub(crate) fn over(planned: &[(Arc<Source>, Planned)], now: Time) -> Vec<Diagnostic> {
    let over = planned.iter().filter(|(_, planned)| planned.maintenance.until <= now);
    over.map(|(source, planned)| {
        let days = now.since(planned.maintenance.until).as_secs() / 86_400;
        let ago = match days {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            days => format!("{days} days ago"),
        };
        let message = format!("the maintenance `{}` ended {ago}: it holds nothing any more", planned.maintenance.name);
        Diagnostic::warning(source, planned.at.clone(), message).help("remove it, or give it a new `until`")
    })
    .collect()
}
