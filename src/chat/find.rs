//! Resolves a name for a reader: to a service, else to a workload, in one place or several; or to the nearest names
//! that the reader may see.

use std::collections::BTreeMap;

use super::answer_context::Answers;
use podbell_core::ask::place::{Kind, nearest};
use podbell_core::ask::{Choice, FoundService, KnownRule, Named, Unknown, word};
use podbell_core::event::Target;
use podbell_store::{Service, StoreError};

/// At most this many services of a workload are read.
const MAX_TARGETS: usize = 50;

/// What a name resolves to.
pub(super) enum Found {
    /// One place, and the services that show it.
    One(FoundService, Vec<Service>),
    Several(Vec<FoundService>),
    /// No match; the nearest names, as people type them.
    None(Vec<String>),
}

impl<'k> Answers<'k> {
    /// Resolves a name for this reader. Also tries the name in lower case: phones capitalize words unasked.
    pub(super) fn find(&self, named: &Named) -> Result<Found, StoreError> {
        self.find_among(named, |name| self.store.services_named(name))
    }

    /// The same, for an answer that shows what there is about the service.
    pub(super) fn find_to_show(&self, named: &Named) -> Result<Found, StoreError> {
        self.find_among(named, |name| self.store.services_to_show(name, self.now))
    }

    fn find_among(
        &self,
        named: &Named,
        of_name: impl Fn(&str) -> Result<Vec<Service>, StoreError>,
    ) -> Result<Found, StoreError> {
        let lower = Named { name: named.name.to_lowercase(), ..named.clone() };
        let spellings = if lower == *named { vec![named] } else { vec![named, &lower] };
        let mut elsewhere = Vec::new();
        for named in spellings {
            let seen = self.services(named, of_name(&named.name)?)?;
            let places = self.places(named, &seen.here);
            elsewhere.extend(seen.elsewhere);
            match places.as_slice() {
                [] => {}
                [place] => return Ok(Found::One(place.clone(), seen.here)),
                _ => return Ok(Found::Several(places)),
            }
        }
        // The name exists, but in another place.
        let mut near: Vec<String> = self.places(&lower, &elsewhere).iter().map(|place| place.named().typed()).collect();
        if near.is_empty() {
            let mine = self.own_targets()?;
            near = nearest(&lower.name, mine.iter().map(|target| &*target.service))
                .iter()
                .map(|name| word(name))
                .collect();
        }
        near.truncate(5);
        Ok(Found::None(near))
    }

    /// The services of a name, or else of a workload of this name, that this reader may see.
    fn services(&self, named: &Named, of_name: Vec<Service>) -> Result<Seen, StoreError> {
        let mine = |service: &Service| self.scope.sees(&service.target);
        let mut services: Vec<Service> = of_name.into_iter().filter(mine).collect();
        let here = |service: &Service| named.lies_in(&service.target, self.known.alias(&service.target.cluster));
        if !services.iter().any(here) {
            let of_workload = self.store.services_of_workload(&named.name)?.into_iter();
            let service = |target| Service { target, read_at: None, failing_since: None };
            services.extend(of_workload.map(service).filter(mine));
        }
        let (here, elsewhere) = services.into_iter().partition(here);
        Ok(Seen { here, elsewhere })
    }

    /// The places in which these services lie, sorted.
    fn places(&self, named: &Named, services: &[Service]) -> Vec<FoundService> {
        let place = |target: &Target| FoundService {
            namespace: target.namespace.to_string(),
            cluster: target.cluster.to_string(),
            alias: self.known.alias(&target.cluster).map(str::to_owned),
            name: named.name.clone(),
            workload: *target.service != *named.name,
        };
        let mut places: Vec<FoundService> = services.iter().map(|service| place(&service.target)).collect();
        places.sort();
        // Several sources may watch one place, and several services may show one workload.
        places.dedup_by(|a, b| (&a.namespace, &a.cluster) == (&b.namespace, &b.cluster));
        places
    }

    /// All services that this reader may see.
    pub(super) fn own_targets(&self) -> Result<Vec<Target>, StoreError> {
        let own = self.store.services(&|names| self.scope.sees_names(names))?;
        Ok(own.into_iter().map(|service| service.target).collect())
    }

    /// The rules of this name that may tell of a service that this reader sees.
    pub(super) fn rules_named(&self, name: &str) -> Result<Vec<&'k KnownRule>, StoreError> {
        let rules: Vec<&'k KnownRule> = self.known.rules_named(name).collect();
        if rules.is_empty() || self.scope.is_everything() {
            return Ok(rules);
        }
        let own = self.own_targets()?;
        Ok(rules.into_iter().filter(|rule| rule.may_notify_of(self.scope, &own)).collect())
    }

    /// The nearest names of rules that may tell of a service that this reader sees.
    pub(super) fn rules_near(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let own = if self.scope.is_everything() { Vec::new() } else { self.own_targets()? };
        let mine = self.known.rules.values().filter(|rule| rule.may_notify_of(self.scope, &own));
        Ok(nearest(name, mine.map(|rule| &*rule.key.name)))
    }
}

struct Seen {
    here: Vec<Service>,
    elsewhere: Vec<Service>,
}

/// Asks which of several places is meant.
pub(super) fn which(asked: &Named, places: &[FoundService], command: impl Fn(&str) -> String) -> Choice {
    let mut namespaces: BTreeMap<&str, usize> = BTreeMap::new();
    for place in places {
        *namespaces.entry(&place.namespace).or_default() += 1;
    }
    let named = |place: &FoundService| {
        let one = namespaces.get(place.namespace.as_str()).is_none_or(|n| *n < 2);
        let cluster = if one { asked.cluster.clone() } else { Some(place.cluster_for_people().to_owned()) };
        Named { cluster, ..place.named() }
    };
    Choice { word: asked.name.clone(), commands: places.iter().map(|place| command(&named(place).typed())).collect() }
}

/// The answer that there is no such thing, with the nearest names.
pub(super) fn unknown(kind: Kind, word: String, near: &[String], command: impl Fn(&str) -> String) -> Unknown {
    Unknown { kind, word, near: near.iter().map(|near| command(near)).collect() }
}

/// The services whose events are read: at most `MAX_TARGETS`.
pub(super) fn to_read(services: &[Service]) -> impl Iterator<Item = &Service> {
    services.iter().take(MAX_TARGETS)
}
