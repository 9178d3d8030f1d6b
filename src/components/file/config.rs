//! `kind: file` of `sources:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{FileConfig, examine, run};
use crate::examine::Checked;
use crate::settings::Draft;
use crate::settings::keys::{ALIASES, FIRST_POLL_WINDOW, FilePath, POLL_EVERY};
use crate::sources::{EVENTS_SHOWN, Rhythm, Source, SourceFacts, SourceKind, SourceTask, WantedMetadata};
use podbell_core::source::Extent;
use podbell_core::yaml::key::{Key, Zone};
use podbell_core::yaml::{MapReader, Reader};

const PATH: Key<FilePath> = Key::required(
    "path",
    FilePath { what: "the path of a recording", stdin: true },
    "A recording, or a single answer that is read again and again; `-` is standard input.",
);
const TIME_ZONE: Key<Zone> = Key::with_default("time_zone", Zone, "UTC", "The zone of the times in event lists.");

/// Its registry row.
pub(crate) const SOURCE: SourceKind = SourceKind {
    name: "file",
    about: "A recording.",
    keys: &[&PATH, &TIME_ZONE, &POLL_EVERY, &FIRST_POLL_WINDOW, &ALIASES],
    is_built: true,
    read,
};

fn read(map: &mut MapReader<'_>, name: &str, reader: &mut Reader) -> Option<(SourceFacts, Draft<dyn Source>)> {
    let path = PATH.take(map, reader);
    let time_zone = TIME_ZONE.take(map, reader);
    let every = POLL_EVERY.take(map, reader);
    let first_poll_window = FIRST_POLL_WINDOW.take(map, reader);
    let aliases = ALIASES.take(map, reader).unwrap_or_default();
    let every = every?;
    let facts = SourceFacts {
        time_zone: time_zone?,
        rhythm: Rhythm::Polls { every, really: every },
        first_poll_window: first_poll_window?,
        memory: EVENTS_SHOWN,
        aliases,
        extent: Extent::Found,
        is_dated: false,
    };
    let time_zone = facts.time_zone.clone();
    let config = FileConfig { time_zone, poll_every: every, ..FileConfig::new(name, path?) };
    Some((facts, Draft::<dyn Source>::new(move |_| Some(Arc::new(FileSource(config))))))
}

/// A source of podbell.yaml.
#[derive(Debug)]
struct FileSource(FileConfig);

impl Source for FileSource {
    fn task(self: Arc<Self>, _: reqwest::Client, _: WantedMetadata) -> SourceTask {
        Box::new(move |events, stop| Box::pin(run(self.0.clone(), events, stop)))
    }

    fn examine<'a>(&'a self, _: &'a reqwest::Client) -> BoxFuture<'a, Checked> {
        Box::pin(examine::examine(&self.0))
    }
}
