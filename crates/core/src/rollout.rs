//! Rollouts: when what a workload runs was changed, and from which images to which.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, Level, Target};
use super::health::WorkloadKind;
use super::time::{Jump, Time};

/// An incident that opens within this time after a rollout names the rollout in its messages.
pub const LATELY: Duration = Duration::from_secs(30 * 60);
/// A change of the template and the scaling event of the same rollout are at most this far apart.
const SAME: Duration = Duration::from_secs(120);
/// How long rollouts are remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Most rollouts kept of a workload: the newest.
const MAX_KEPT: usize = 5;
/// Most images of a template, and most characters of one, that are kept.
const MAX_IMAGES: usize = 20;
const MAX_IMAGE_CHARS: usize = 300;
/// How many characters of a digest people see.
const DIGEST_CHARS: usize = 12;

/// A change of what a workload runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Rollout {
    /// When it began, by podbell's clock.
    pub at: Time,
    /// The images that it replaced; empty: unknown, or they stayed the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The images that it brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl Rollout {
    /// The images in few words: "web:v4 → web:v5"; `None` if none are known to have changed.
    pub fn images(&self) -> Option<String> {
        let short = |images: &[String]| images.iter().map(|image| short_image(image)).collect::<Vec<_>>().join(", ");
        match (self.before.is_empty(), self.after.is_empty()) {
            (false, false) => Some(format!("{} → {}", short(&self.before), short(&self.after))),
            _ => None,
        }
    }

    /// The clock was set.
    pub(crate) fn clock_set(&mut self, by: Jump) {
        self.at.carry(by);
    }
}

/// A rollout of a workload, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolloutOf {
    /// The workload.
    pub workload: String,
    /// Its rollout.
    #[serde(flatten)]
    pub rollout: Rollout,
}

/// What a source reports that a workload runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateReport {
    /// The target that the workload's events belong to.
    pub target: Target,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Arc<str>,
    /// What it runs.
    pub template: PodTemplate,
}

/// What a workload runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// The revision of its template, in its controller's count.
    pub revision: String,
    /// The images of its containers.
    pub images: Vec<String>,
}

impl PodTemplate {
    /// A template, bounded.
    pub fn new(revision: &str, images: impl IntoIterator<Item = String>) -> Self {
        let clipped = |image: String| image.chars().take(MAX_IMAGE_CHARS).collect();
        let images = images.into_iter().take(MAX_IMAGES).map(clipped).collect();
        Self { revision: revision.chars().take(MAX_IMAGE_CHARS).collect(), images }
    }
}

/// What is known of the rollouts of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollouts {
    /// The template hash of its newest replica set, by lists, and since when it is known.
    hash: Option<(String, Time)>,
    /// What it runs, by its object.
    template: Option<PodTemplate>,
    /// The newest rollouts, the oldest first.
    pub last: Vec<Rollout>,
}

impl Rollouts {
    /// Takes in what a workload runs. `missed`: it may have changed long before `now`. Returns whether anything changed.
    pub(crate) fn update_template(&mut self, template: &PodTemplate, missed: bool, now: Time) -> bool {
        let before = match &self.template {
            Some(known) if known == template => return false,
            before => before.clone(),
        };
        self.template = Some(template.clone());
        if let Some(before) = before.filter(|_| !missed) {
            let left_out = |images: &[String], others: &[String]| {
                images.iter().filter(|image| !others.contains(image)).cloned().collect()
            };
            let (old, new) = (left_out(&before.images, &template.images), left_out(&template.images, &before.images));
            self.add(Rollout { at: now, before: old, after: new });
        }
        true
    }

    /// Takes in that a replica set was scaled. Returns whether anything changed.
    pub(crate) fn scaled(&mut self, scaled: &Scaled<'_>, at: Time) -> bool {
        let new = match &self.hash {
            Some((known, _)) if known == scaled.hash => return false,
            // An older replica set shrinks: the newest known one replaced it, so a rollout began when that one became known.
            Some((_, since)) if !scaled.up => {
                let (since, told) = (*since, self.last.iter().any(|one| one.at >= *since));
                return !told && at >= since && self.add(Rollout { at: since, before: Vec::new(), after: Vec::new() });
            }
            Some(_) => true,
            // Nothing is known of what ran before: what begins with one pod, or from none, is new.
            None => scaled.up && scaled.begins,
        };
        if !scaled.up {
            return false;
        }
        self.hash = Some((scaled.hash.chars().take(MAX_IMAGE_CHARS).collect(), at));
        if new {
            self.add(Rollout { at, before: Vec::new(), after: Vec::new() });
        }
        true
    }

    /// Adds a rollout, or completes a known one: lists and the workload's object report the same rollout separately.
    fn add(&mut self, rollout: Rollout) -> bool {
        let near = |one: &Rollout| one.at.since(rollout.at).max(rollout.at.since(one.at)) <= SAME;
        match self.last.iter_mut().rev().find(|one| near(one)) {
            Some(one) => {
                one.at = one.at.min(rollout.at);
                if one.images().is_none() {
                    (one.before, one.after) = (rollout.before, rollout.after);
                }
            }
            None => self.last.push(rollout),
        }
        self.last.sort_by_key(|one| one.at);
        let newest = self.last.last().map(|one| one.at).unwrap_or_default();
        self.last.retain(|one| newest.since(one.at) < REMEMBERED);
        let excess = self.last.len().saturating_sub(MAX_KEPT);
        self.last.drain(..excess);
        true
    }

    /// The newest rollout before `began`, if it began at most [`LATELY`] before that.
    pub(crate) fn before(&self, began: Time) -> Option<&Rollout> {
        self.last.iter().rev().find(|one| one.at <= began).filter(|one| began.since(one.at) <= LATELY)
    }

    /// The clock was set.
    pub(crate) fn clock_set(&mut self, by: Jump) {
        self.last.iter_mut().for_each(|one| one.clock_set(by));
        self.hash.iter_mut().for_each(|(_, since)| since.carry(by));
    }
}

/// A replica set was scaled, as the controller of its deployment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaled<'e> {
    /// The deployment.
    pub(crate) workload: &'e str,
    /// The hash of the template.
    pub(crate) hash: &'e str,
    /// Whether it grew.
    pub(crate) up: bool,
    /// Whether it grew from nothing, or to its first pod.
    begins: bool,
}

impl<'e> Scaled<'e> {
    /// Reads "Scaled up replica set web-6d4cf56db6 to 1", also with "from 0 to 1".
    pub(crate) fn of(event: &'e Event<'_>) -> Option<Self> {
        if event.level != Level::Normal || event.reason.trim() != "ScalingReplicaSet" {
            return None;
        }
        let (way, rest) = event.message.trim().strip_prefix("Scaled ")?.split_once(" replica set ")?;
        let mut words = rest.split_whitespace();
        let (workload, set) = (event.obj_name.trim(), words.next()?);
        let hash = set.strip_prefix(workload)?.strip_prefix('-').filter(|hash| !hash.is_empty())?;
        let rest: Vec<&str> = words.collect();
        let begins = matches!(rest.as_slice(), ["from", "0", "to", ..] | ["to", "1", ..]);
        Some(Self { workload, hash, up: way == "up", begins })
    }
}

/// An image without its registry and path, with the beginning of a digest.
fn short_image(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once("@sha256:") {
        Some((name, digest)) => format!("{name}@{}", digest.chars().take(DIGEST_CHARS).collect::<String>()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(seconds: i64) -> Time {
        Time::from_seconds(1_000_000 + seconds)
    }

    fn event(message: &str) -> Event<'_> {
        Event {
            first_seen: t(0),
            last_seen: t(0),
            count: 1,
            level: Level::Normal,
            obj_type: "Deployment".into(),
            obj_name: "web".into(),
            reason: "ScalingReplicaSet".into(),
            message: message.into(),
            ..Event::default()
        }
    }

    fn scaled(rollouts: &mut Rollouts, message: &str, at: i64) -> Vec<i64> {
        let event = event(message);
        rollouts.scaled(&Scaled::of(&event).unwrap(), t(at));
        rollouts.last.iter().map(|one| one.at.seconds() - t(0).seconds()).collect()
    }

    #[test]
    fn a_new_template_hash_begins_a_rollout_and_scaling_does_not() {
        let mut known = Rollouts::default();
        assert_eq!(scaled(&mut known, "Scaled up replica set web-aaaa to 5", 0), [0; 0], "scaling, as far as is known");
        assert_eq!(scaled(&mut known, "Scaled up replica set web-aaaa to 9", 10), [0; 0]);
        assert_eq!(scaled(&mut known, "Scaled up replica set web-bbbb to 3", 1000), [1000]);
        assert_eq!(scaled(&mut known, "Scaled down replica set web-aaaa to 8", 1001), [1000]);
        assert_eq!(scaled(&mut known, "Scaled up replica set web-bbbb to 9", 1100), [1000]);
        assert_eq!(scaled(&mut known, "Scaled up replica set web-aaaa from 0 to 3", 3000), [1000, 3000], "a rollback");
        let mut new = Rollouts::default();
        assert_eq!(scaled(&mut new, "Scaled up replica set web-cccc to 1", 5), [5]);
        let mut large = Rollouts::default();
        assert_eq!(scaled(&mut large, "Scaled up replica set web-cccc to 25", 5), [0; 0]);
        assert_eq!(scaled(&mut large, "Scaled up replica set web-cccc to 30", 6), [0; 0]);
        assert_eq!(large.hash, Some(("cccc".to_owned(), t(5))));
        assert_eq!(scaled(&mut large, "Scaled down replica set web-bbbb to 75", 7), [5], "it takes another's place");
    }

    #[test]
    fn other_texts_are_no_scaling() {
        for message in ["Scaled up", "Scaled up replica set other-aaaa to 1", "Scaled up replica set web to 1"] {
            assert_eq!(Scaled::of(&event(message)), None, "{message}");
        }
    }

    #[test]
    fn a_template_that_changes_is_a_rollout_with_the_images_that_changed() {
        let template =
            |revision: &str, images: &[&str]| PodTemplate::new(revision, images.iter().map(|i| (*i).to_owned()));
        let mut known = Rollouts::default();
        let first = template("1", &["r.example.com/shop/web:v4", "envoy:1"]);
        assert!(known.update_template(&first, false, t(0)) && known.last.is_empty(), "what runs already is no rollout");
        assert!(!known.update_template(&first, false, t(5)));
        assert!(known.update_template(&template("1", &["r.example.com/shop/web:v5", "envoy:1"]), false, t(100)));
        // Its controller counts a moment later, and lists show the replica set.
        assert!(known.update_template(&template("2", &["r.example.com/shop/web:v5", "envoy:1"]), false, t(101)));
        let said = event("Scaled up replica set web-bbbb to 1");
        assert!(known.scaled(&Scaled::of(&said).unwrap(), t(99)));
        assert_eq!(known.last.len(), 1);
        assert_eq!((known.last[0].at, known.last[0].images()), (t(99), Some("web:v4 → web:v5".to_owned())));
        // A rollout without new images, and one that podbell was not there to see.
        known.update_template(&template("3", &["r.example.com/shop/web:v5", "envoy:1"]), false, t(1000));
        assert_eq!(known.last[1].images(), None);
        known.update_template(&template("4", &["r.example.com/shop/web@sha256:0123456789abcdef"]), true, t(9000));
        assert_eq!(known.last.len(), 2);
    }

    #[test]
    fn what_began_within_half_an_hour_after_a_rollout_may_follow_from_it() {
        let rollouts = Rollouts {
            last: [0, 100].map(|at| Rollout { at: t(at), before: Vec::new(), after: Vec::new() }).to_vec(),
            ..Rollouts::default()
        };
        let of = |began| rollouts.before(t(began)).map(|one| one.at.seconds() - t(0).seconds());
        assert_eq!([of(-1), of(99), of(100), of(1900), of(1901)], [None, Some(0), Some(100), Some(100), None]);
    }

    #[test]
    fn only_the_newest_of_a_day_are_kept() {
        let mut known = Rollouts::default();
        for n in 0..20_i64 {
            known.add(Rollout { at: t(n * 3600), before: Vec::new(), after: Vec::new() });
        }
        assert_eq!(known.last.len(), MAX_KEPT);
        known.add(Rollout { at: t(100 * 3600), before: Vec::new(), after: Vec::new() });
        assert_eq!(known.last.len(), 1);
    }
}
