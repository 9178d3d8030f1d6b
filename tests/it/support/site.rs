//! A place where the real binary runs: a folder with podbell.yaml, rules and a store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::emulated::{SECRET_ID, SECRET_KEY};
use super::process::{PATIENCE, Process, output, podbell, printed};

/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_cG9kYmVsbC1zaWduaW5nLWtleS1vZi10ZXN0cw==";

/// Rules for the impatient; webhooks `audit` hear everything.
pub const QUICK_RULES: &str = "version: 1
defaults: {notify: [audit], group_wait: 0s, min_gap: 0s, resolve_after: 1s, until: silence}
rules:
  - {name: everything, match: {reason: \"*\"}}
";

/// See the module.
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// A folder with these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            site.write(name, text);
        }
        site
    }

    /// One that polls everything of the cluster `c` at `endpoint` and tells a signed webhook
    /// `audit` under [`QUICK_RULES`].
    pub fn quick(endpoint: &str, webhook: &str) -> Self {
        let notifiers = format!("  - {{name: audit, kind: webhook, url: \"{webhook}\", secret: \"{WEBHOOK_SECRET}\"}}");
        let config = config(endpoint, "{cluster: c, discover: true}", &notifiers);
        Self::new(&[("podbell.yaml", &config), ("rules.yaml", QUICK_RULES)])
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Changes podbell.yaml.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("podbell.yaml")).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.write("podbell.yaml", &text.replace(from, to));
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `podbell run`, as soon as it listens.
    pub async fn run(&self) -> Running {
        self.run_with(&[]).await
    }

    /// The same with more arguments.
    pub async fn run_with(&self, args: &[&str]) -> Running {
        let mut all = vec!["run"];
        all.extend(args);
        let process = Process::start(podbell(self.folder(), &all));
        let listen = process.word_after("listen=").await;
        Running { process, listen }
    }

    /// Another command, until it ends: its exit code and what it printed.
    pub async fn command(&self, args: &[&str]) -> (i32, String) {
        let output = output(podbell(self.folder(), args)).await;
        (output.status.code().unwrap_or(-1), printed(&output))
    }

    /// The store, for reading.
    pub fn store(&self) -> Connection {
        let connection =
            Connection::open_with_flags(self.path("podbell.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    /// The rows of a query, their columns joined by blanks.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let store = self.store();
        let mut query = store.prepare(sql).unwrap();
        let columns = query.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cell = |column| match row.get_ref(column)? {
                rusqlite::types::ValueRef::Integer(n) => Ok(n.to_string()),
                rusqlite::types::ValueRef::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
                other => Ok(format!("{other:?}")),
            };
            let cells: rusqlite::Result<Vec<String>> = (0..columns).map(cell).collect();
            Ok(cells?.join(" "))
        };
        query.query_map([], row).unwrap().map(Result::unwrap).collect()
    }
}

/// A running service.
pub struct Running {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub listen: String,
}

impl Running {
    /// Status, content type and text of a page.
    pub async fn page(&self, path: &str) -> (u16, String, String) {
        let client = super::receiver::client();
        let response = client.get(format!("http://{}{path}", self.listen)).timeout(PATIENCE).send().await.unwrap();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
    }

    /// A number of /metrics, by the text before it.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let (_, _, page) = self.page("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Waits until a number of /metrics is what is wanted.
    pub async fn reaches(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        let looking = async {
            let mut turns = tokio::time::interval(Duration::from_millis(50));
            while !self.metric(name).await.is_some_and(&wanted) {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            panic!("{name} is {:?}", self.metric(name).await);
        }
    }
}

/// A podbell.yaml that polls an emulator every second.
pub fn config(endpoint: &str, services: &str, notifiers: &str) -> String {
    format!(
        "sources:
  - name: prod
    kind: qcloud
    endpoint: \"{endpoint}\"
    region: any
    secret_id: {SECRET_ID}
    secret_key: {SECRET_KEY}
    poll_every: 1s
    requests_per_second: 1000
    services: [{services}]
notifiers:
{notifiers}
rules: [rules.yaml]
store: sqlite:podbell.db
server: {{listen: \"127.0.0.1:0\"}}
"
    )
}
