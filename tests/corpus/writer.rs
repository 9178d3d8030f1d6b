//! How Kubernetes writes events: client-go's correlator, and the hour that lists reach back.
//!
//! Equal occurrences are counted in one entry. After 10 different messages of one reason within ten
//! minutes the rest is "(combined from similar events)". A component writes 25 times at once about
//! an object and then once in five minutes; what it may not write is counted all the same and shows
//! with the next write. A component that restarts forgets all that.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use podbell_core::event::{Event, Level};
use podbell_core::time::Time;

const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;
const SIMILAR: usize = 10;
const SIMILAR_SECONDS: i64 = 600;
const SHOWN_SECONDS: i64 = 3600;

/// Who writes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    Kubelet,
    Scheduler,
    Controllers,
}

/// Something that happened, and was or was not written. Times are seconds of the day.
#[derive(Clone, Debug)]
pub struct Occurrence {
    pub at: i64,
    /// The services whose lists show it.
    pub targets: Vec<usize>,
    /// Whose it truly is.
    pub workload: (&'static str, String),
    pub by: Component,
    pub level: Level,
    pub obj_type: &'static str,
    pub obj_name: String,
    pub reason: &'static str,
    pub message: String,
    /// The injected problem that it belongs to.
    pub problem: Option<usize>,
    /// The node that its object is on, where the source knows that.
    pub node: Option<String>,
    /// It is a signal: no component wrote it.
    pub signal: Option<Signal>,
}

/// What the state of an object says, and until when it does.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// When it began.
    pub since: i64,
    pub until: i64,
}

impl Occurrence {
    /// Whom its reporter takes it to be about, since the reporter's newest start.
    fn object(&self, start: usize) -> Object {
        (self.by, start, self.workload.0, self.obj_type, self.obj_name.clone())
    }
}

/// One entry of lists, through the day.
#[derive(Debug)]
pub struct Entry {
    level: Level,
    obj_type: &'static str,
    obj_name: String,
    reason: &'static str,
    message: String,
    node: Option<String>,
    signal: Option<Signal>,
    /// When it was written, and the count that it showed then; ascending.
    writes: Vec<(i64, u64)>,
}

/// The entries of each target, in the order of their first write.
pub fn write(mut occurrences: Vec<Occurrence>, targets: usize, restarts: &[(Component, i64)]) -> Vec<Vec<Entry>> {
    occurrences.sort_by_key(|occurrence| occurrence.at);
    let mut lists: Vec<Vec<Entry>> = (0..targets).map(|_| Vec::new()).collect();
    let mut writer = Writer::default();
    for occurrence in occurrences {
        if occurrence.signal.is_some() {
            for target in &occurrence.targets {
                lists[*target].push(Entry::new(&occurrence, occurrence.message.clone(), vec![(occurrence.at, 1)]));
            }
            continue;
        }
        let epoch = restarts.iter().filter(|(by, at)| *by == occurrence.by && *at <= occurrence.at).count();
        let message = writer.combined(&occurrence, epoch);
        let object = occurrence.object(epoch);
        let series = (object.clone(), occurrence.level, occurrence.reason, message.clone());
        let entry = writer.entries.entry(series).or_default();
        entry.0 += 1;
        let count = entry.0;
        if !writer.buckets.entry(object).or_insert(Bucket { tokens: BURST, at: occurrence.at }).take(occurrence.at) {
            continue;
        }
        for target in &occurrence.targets {
            let list = &mut lists[*target];
            let place = *entry.1.entry(*target).or_insert_with(|| {
                list.push(Entry::new(&occurrence, message.clone(), Vec::new()));
                list.len() - 1
            });
            list[place].writes.push((occurrence.at, count));
        }
    }
    lists
}

type Object = (Component, usize, &'static str, &'static str, String);
type Series = (Object, Level, &'static str, String);

#[derive(Default)]
struct Writer {
    /// The count, and the place in the list of each target.
    entries: HashMap<Series, (u64, BTreeMap<usize, usize>)>,
    buckets: HashMap<Object, Bucket>,
    similar: HashMap<(Object, Level, &'static str), (HashSet<String>, i64)>,
}

impl Writer {
    fn combined(&mut self, occurrence: &Occurrence, epoch: usize) -> String {
        let object = occurrence.object(epoch);
        let (messages, last) = self
            .similar
            .entry((object, occurrence.level, occurrence.reason))
            .or_insert((HashSet::new(), occurrence.at));
        if occurrence.at - *last > SIMILAR_SECONDS {
            messages.clear();
        }
        *last = occurrence.at;
        messages.insert(occurrence.message.clone());
        if messages.len() < SIMILAR {
            occurrence.message.clone()
        } else {
            // The text behind it is the newest in a real list; its series is the same.
            format!("(combined from similar events): {}", without_names(&occurrence.message))
        }
    }
}

/// The rest of a combined message varies and does not count: here it is the same each time.
fn without_names(message: &str) -> &str {
    message.split('"').next().unwrap_or_default()
}

struct Bucket {
    tokens: f64,
    at: i64,
}

impl Bucket {
    #[allow(clippy::cast_precision_loss, reason = "seconds of a day")]
    fn take(&mut self, now: i64) -> bool {
        self.tokens = (self.tokens + (now - self.at) as f64 / REFILL_SECONDS).min(BURST);
        self.at = now;
        let may = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(may));
        may
    }
}

/// One target's lists, poll after poll.
#[derive(Debug)]
pub struct Reader<'a> {
    entries: &'a [Entry],
    met: usize,
    /// Entries that are shown now or later again, each with its next write.
    alive: Vec<(usize, usize)>,
}

impl<'a> Reader<'a> {
    pub fn new(entries: &'a [Entry]) -> Self {
        Self { entries, met: 0, alive: Vec::new() }
    }

    /// The list at that second; never goes back.
    pub fn list(&mut self, now: i64, start: Time) -> Vec<Event<'a>> {
        let entries = self.entries;
        while entries.get(self.met).is_some_and(|entry| entry.writes[0].0 <= now) {
            self.alive.push((self.met, 0));
            self.met += 1;
        }
        let mut list = Vec::with_capacity(self.alive.len());
        self.alive.retain_mut(|(place, next)| {
            let entry = &entries[*place];
            while entry.writes.get(*next).is_some_and(|(at, _)| *at <= now) {
                *next += 1;
            }
            let (last, count) = entry.writes[*next - 1];
            let gone = entry.signal.is_some_and(|signal| signal.until <= now);
            if now - last <= SHOWN_SECONDS && !gone {
                list.push(entry.event(last, count, start));
            }
            !gone && (now - last <= SHOWN_SECONDS || *next < entry.writes.len())
        });
        list
    }
}

impl Entry {
    fn new(occurrence: &Occurrence, message: String, writes: Vec<(i64, u64)>) -> Self {
        Self {
            level: occurrence.level,
            obj_type: occurrence.obj_type,
            obj_name: occurrence.obj_name.clone(),
            reason: occurrence.reason,
            message,
            node: occurrence.node.clone(),
            signal: occurrence.signal,
            writes,
        }
    }

    pub fn is_warning(&self) -> bool {
        self.level == Level::Warning
    }

    /// What it is about.
    pub fn object(&self) -> (&str, &str, &str) {
        (&self.obj_name, self.reason, &self.message)
    }

    /// How often it was written.
    pub fn writes(&self) -> usize {
        self.writes.len()
    }

    fn event(&self, last: i64, count: u64, start: Time) -> Event<'_> {
        let time = |second: i64| Time::from_seconds(start.seconds() + second);
        let since = self.signal.map(|signal| signal.since);
        Event {
            first_seen: time(since.unwrap_or(self.writes[0].0)),
            last_seen: time(since.unwrap_or(last)),
            count,
            signal: self.signal.is_some(),
            node: self.node.as_deref().map(Cow::Borrowed),
            level: self.level,
            obj_type: Cow::Borrowed(self.obj_type),
            obj_name: Cow::Borrowed(&self.obj_name),
            reason: Cow::Borrowed(self.reason),
            message: Cow::Borrowed(&self.message),
            ..Event::default()
        }
    }
}
