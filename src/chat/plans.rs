//! Turns a requested change into a user action, or into an answer that says why not. Names are resolved among what
//! the reader may see, so that nobody mutes what they did not mean.

use super::answer_context::Answers;
use super::answers::no_incident;
use super::find::{self, Found};
use podbell_core::ask::mute::{self, MuteArgument};
use podbell_core::ask::place::nearest;
use podbell_core::ask::{
    Answer, AnswerFacts, Change, Choice, FoundService, Kind, KnownRule, Named, Unknown, typed, word,
};
use podbell_core::mute::{Mute, Muted};
use podbell_core::user_action::Act;
use podbell_store::StoreError;

/// What a requested change leads to.
pub(super) enum ChangePlan {
    /// Carry it out.
    Act {
        act: Act,
        /// What it is about, as people type it.
        about: String,
    },
    Answer(Box<Answer>),
}

/// One thing that can be muted, or an answer.
type SubjectOrAnswer = Result<Muted, Box<Answer>>;

impl Answers<'_> {
    pub(super) fn plan(&self, change: &Change) -> Result<ChangePlan, StoreError> {
        match change {
            Change::Ack { id } => Ok(match self.stored_incident(*id)? {
                Some(_) => planned(self.known, Act::Acknowledge { id: *id }),
                None => ChangePlan::Answer(Box::new(no_incident(*id))),
            }),
            Change::Mute(ask) => {
                let act = |what| Act::Mute { what, lasts: ask.lasts, why: ask.why.clone() };
                Ok(meant(self.known, self.mutable(ask)?, act))
            }
            Change::Unmute(what) => Ok(meant(self.known, self.muted(what)?, |what| Act::Unmute { what })),
        }
    }

    fn mutable(&self, ask: &mute::Ask) -> Result<SubjectOrAnswer, StoreError> {
        match &ask.what {
            MuteArgument::Incident(id) => {
                let kept = self.stored_incident(*id)?;
                Ok(kept.map(|_| Muted::Incident { id: *id }).ok_or_else(|| Box::new(no_incident(*id))))
            }
            MuteArgument::Rule(name) => {
                let rules = self.rules_named(name)?;
                if rules.is_empty() {
                    let near: Vec<String> =
                        self.rules_near(name)?.iter().map(|near| word(&format!("rule:{near}"))).collect();
                    let unknown = find::unknown(Kind::Rule, name.clone(), &near, |near| ask.typed(near));
                    return Ok(Err(Box::new(Answer::Unknown(unknown))));
                }
                Ok(one_rule(name, &rules, ask))
            }
            MuteArgument::Named(named) => self.service_or_rule(named, ask),
        }
    }

    /// A bare name may be a service's, a workload's or a rule's.
    fn service_or_rule(&self, named: &Named, ask: &mute::Ask) -> Result<SubjectOrAnswer, StoreError> {
        let alone = named.namespace.is_none() && named.cluster.is_none();
        let rules = if alone { self.rules_named(&named.name)? } else { Vec::new() };
        let again = |what: &str| ask.typed(what);
        let as_rules = rules.iter().map(|rule| again(&word(&rule_word(rule, &rules))));
        Ok(match self.find(named)? {
            Found::One(place, _) if rules.is_empty() => Ok(service(&place)),
            Found::One(place, _) => {
                let commands = std::iter::once(again(&place.named().typed())).chain(as_rules).collect();
                Err(Box::new(Answer::Choice(Choice { word: named.name.clone(), commands })))
            }
            Found::Several(places) => {
                let mut choice = find::which(named, &places, again);
                choice.commands.extend(as_rules);
                Err(Box::new(Answer::Choice(choice)))
            }
            Found::None(_) if !rules.is_empty() => one_rule(&named.name, &rules, ask),
            Found::None(mut near) => {
                if near.is_empty() && alone {
                    near.extend(self.rules_near(&named.name)?.iter().map(|name| word(&format!("rule:{name}"))));
                }
                Err(Box::new(Answer::Unknown(find::unknown(Kind::Thing, named.typed(), &near, again))))
            }
        })
    }

    /// Finds the mute in force that is meant.
    fn muted(&self, what: &MuteArgument) -> Result<SubjectOrAnswer, StoreError> {
        let mutes = self.own_mutes()?;
        let mut meant: Vec<&Muted> =
            mutes.iter().map(|mute| &mute.what).filter(|muted| self.is_meant(what, muted)).collect();
        meant.sort();
        meant.dedup();
        Ok(match meant.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Box::new(Answer::Unknown(Unknown {
                kind: Kind::Mute,
                word: what.typed(),
                near: self.near_mutes(&what.typed(), &mutes),
            }))),
            several => {
                let commands =
                    several.iter().map(|muted| format!("unmute {}", typed(&self.known.in_names(muted)))).collect();
                Err(Box::new(Answer::Choice(Choice { word: what.typed(), commands })))
            }
        })
    }

    fn near_mutes(&self, asked: &str, mutes: &[Mute]) -> Vec<String> {
        let typed: Vec<String> = mutes.iter().map(|mute| typed(&self.known.in_names(&mute.what))).collect();
        let mut near = nearest(asked, typed.iter().map(String::as_str));
        if near.is_empty() && typed.len() <= 3 {
            near = typed;
        }
        near.iter().map(|near| format!("unmute {near}")).collect()
    }

    fn is_meant(&self, what: &MuteArgument, muted: &Muted) -> bool {
        match (what, muted) {
            (MuteArgument::Incident(id), Muted::Incident { id: muted }) => id == muted,
            (MuteArgument::Rule(name), Muted::Rule { rule }) => *rule.name == **name || rule.to_string() == *name,
            (MuteArgument::Named(named), Muted::Rule { rule }) => {
                named.namespace.is_none() && named.cluster.is_none() && *rule.name == *named.name
            }
            (MuteArgument::Named(named), Muted::Service { cluster, namespace, service }) => {
                let name = *service == named.name || *service == named.name.to_lowercase();
                let alias = cluster.as_deref().and_then(|id| self.known.alias(id));
                // Naming one namespace does not mean a mute that holds in all of them.
                let place = named.namespace.is_none() || named.namespace == *namespace;
                name && place
                    && named
                        .cluster
                        .as_ref()
                        .is_none_or(|asked| cluster.as_ref() == Some(asked) || alias == Some(asked.as_str()))
            }
            _ => false,
        }
    }
}

fn meant(known: &AnswerFacts, meant: SubjectOrAnswer, act: impl FnOnce(Muted) -> Act) -> ChangePlan {
    match meant {
        Ok(what) => planned(known, act(what)),
        Err(answer) => ChangePlan::Answer(answer),
    }
}

fn planned(known: &AnswerFacts, act: Act) -> ChangePlan {
    ChangePlan::Act { about: about(known, &act), act }
}

/// What an action is about, as people type it.
pub(super) fn about(known: &AnswerFacts, act: &Act) -> String {
    match act {
        Act::Acknowledge { id } => format!("#{id}"),
        Act::Mute { what, .. } | Act::Unmute { what } => typed(&known.in_names(what)),
    }
}

fn service(place: &FoundService) -> Muted {
    Muted::Service {
        cluster: Some(place.cluster.clone()),
        namespace: Some(place.namespace.clone()),
        service: place.name.clone(),
    }
}

fn one_rule(name: &str, rules: &[&KnownRule], ask: &mute::Ask) -> SubjectOrAnswer {
    match rules {
        [rule] => Ok(Muted::Rule { rule: rule.key.clone() }),
        _ => {
            let commands = rules.iter().map(|rule| ask.typed(&word(&rule_word(rule, rules)))).collect();
            Err(Box::new(Answer::Choice(Choice { word: format!("rule:{name}"), commands })))
        }
    }
}

/// `rule:NAME`, with its file if several rules have this name.
fn rule_word(rule: &KnownRule, among: &[&KnownRule]) -> String {
    if among.len() > 1 { format!("rule:{}", rule.key) } else { format!("rule:{}", rule.key.name) }
}
