//! Replicas of one podbell: each a process with a network of its own to the database.

use std::collections::BTreeMap;
use std::time::Duration;

use podbell::clock;
use podbell_core::time::Time;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::process::{PATIENCE, Process, podbell, within};
use crate::support::proxy::Proxy;
use crate::support::receiver;
use crate::support::reckoning::Ledger;
use crate::support::site::{Running, Site};

pub const WRITE: &str = "token-that-may-write-0123456789";
/// The server of each replica; `bank` sees one namespace only.
pub const SERVER: &str = "server: {listen: \"127.0.0.1:0\", tokens: [
  {name: bot, token: token-that-may-write-0123456789, rights: write},
  {name: bank, token: token-of-another-team-0123456789, rights: write, namespace: bank}]}";
pub const BANK: &str = "token-of-another-team-0123456789";

/// How long anything may take that happens within seconds on a machine with time.
pub const PATIENT: Duration = Duration::from_secs(150);

/// The library that sets a process's clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// One place for a replica. What runs in it may end and be started again.
pub struct Replica {
    pub proxy: Proxy,
    config: String,
    pub running: Option<Running>,
}

/// A database and its replicas.
pub struct Fleet {
    pub database: Database,
    pub replicas: Vec<Replica>,
}

impl Fleet {
    /// Replicas of the podbell of a site, none of which runs yet.
    pub async fn new(site: &Site, size: usize) -> Self {
        let database = Database::start().await;
        let server = database.port;
        Self::before(site, size, database, server).await
    }

    /// The same, but they speak to the database through PgBouncer.
    pub async fn pooled(site: &Site, size: usize) -> Self {
        let database = Database::start().await;
        let server = database.pooled;
        Self::before(site, size, database, server).await
    }

    async fn before(site: &Site, size: usize, database: Database, server: u16) -> Self {
        let text = std::fs::read_to_string(site.path("podbell.yaml")).unwrap();
        let mut replicas = Vec::new();
        for number in 0..size {
            let proxy = Proxy::start(server).await;
            let config = format!("r{number}.yaml");
            let store = format!("store: \"{}\"", Database::address(proxy.address.port()));
            let text = text.replace("store: sqlite:podbell.db", &store);
            site.write(&config, &text.replace("server: {listen: \"127.0.0.1:0\"}", SERVER));
            replicas.push(Replica { proxy, config, running: None });
        }
        let fleet = Self { database, replicas };
        fleet.make_tables(site).await;
        fleet.log_epochs();
        fleet
    }

    /// Lets a podbell that reaches no source make the tables, so that they can be watched from the first commit on.
    async fn make_tables(&self, site: &Site) {
        let text = std::fs::read_to_string(site.path("r0.yaml")).unwrap();
        let endpoint = text.lines().find(|line| line.contains("endpoint:")).unwrap().to_owned();
        let nobody = format!("    endpoint: \"{}\"", receiver::nobody().await);
        site.write("first.yaml", &text.replace(&endpoint, &nobody));
        let process = Process::start(podbell(site.folder(), &["run", "--config", "first.yaml"]));
        let listen = process.word_after("listen=").await;
        let mut first = Running { process, listen };
        first.reaches("podbell_commits_total", |commits| commits > 0).await;
        assert!(first.process.stop().await.success(), "{}", first.process.stderr());
    }

    /// Starts a replica, whose clock is off by so many seconds.
    pub async fn start(&mut self, site: &Site, replica: usize, clock_off: i64) {
        let place = &mut self.replicas[replica];
        let mut command = podbell(site.folder(), &["run", "--config", &place.config]);
        if clock_off != 0 {
            assert!(std::path::Path::new(FAKETIME).exists(), "scripts/test --prepare installs faketime");
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME", format!("{clock_off:+}"));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        let process = Process::start(command);
        let listen = process.word_after("listen=").await;
        place.running = Some(Running { process, listen });
    }

    /// Starts all that do not run.
    pub async fn start_all(&mut self, site: &Site) {
        for replica in 0..self.replicas.len() {
            if self.replicas[replica].running.is_none() {
                self.start(site, replica, 0).await;
            }
        }
    }

    /// Tells all that run to end.
    pub async fn stop_all(&mut self) {
        for replica in &mut self.replicas {
            if let Some(mut running) = replica.running.take() {
                running.process.signal(Signal::TERM);
                let ended = running.process.end(PATIENCE).await;
                assert!(ended.success(), "{}", running.process.stderr());
            }
        }
    }

    /// A replica that runs.
    pub fn running(&self, replica: usize) -> &Running {
        self.replicas[replica].running.as_ref().unwrap()
    }

    /// Kills a replica.
    pub async fn kill(&mut self, replica: usize) {
        let mut running = self.replicas[replica].running.take().unwrap();
        running.process.signal(Signal::KILL);
        running.process.end(PATIENCE).await;
    }

    /// The replica that owns the store by what it says itself, once there is one.
    pub async fn active(&self) -> usize {
        self.active_but(None).await
    }

    /// The same, but another one than this.
    pub async fn active_but(&self, but: Option<usize>) -> usize {
        let looking = async {
            let mut turns = tokio::time::interval(Duration::from_millis(50));
            loop {
                turns.tick().await;
                for (number, replica) in self.replicas.iter().enumerate().filter(|(number, _)| Some(*number) != but) {
                    let Some(running) = &replica.running else { continue };
                    if readiness(running)
                        .await
                        .is_some_and(|(status, body)| status == 200 && body.contains("ok: active"))
                    {
                        return number;
                    }
                }
            }
        };
        match tokio::time::timeout(PATIENT, looking).await {
            Ok(number) => number,
            Err(_) => panic!("no replica is active:\n{}", self.logs()),
        }
    }

    /// A replica that runs and is not this one.
    pub fn other(&self, than: usize) -> usize {
        let standby = |(number, replica): &(usize, &Replica)| *number != than && replica.running.is_some();
        self.replicas.iter().enumerate().find(standby).map(|(number, _)| number).unwrap()
    }

    /// What all that run have logged.
    pub fn logs(&self) -> String {
        let log = |(number, replica): (usize, &Replica)| {
            let log = replica.running.as_ref().map(|running| running.process.stderr()).unwrap_or_default();
            let newest: Vec<&str> = log.lines().rev().take(40).collect();
            format!("--- replica {number}\n{}\n", newest.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        self.replicas.iter().enumerate().map(log).collect()
    }

    /// Has the database record each change of the lease, each change of a send with the epoch of that time, and the
    /// transactions that wrote any table.
    fn log_epochs(&self) {
        self.database.run(
            "CREATE TABLE public.lease_log (n bigserial, epoch bigint, turn bigint, at double precision,
               transaction bigint DEFAULT txid_current());
             CREATE TABLE public.write_log (transaction bigint, tab text, op text, PRIMARY KEY (transaction, tab, op));
             CREATE FUNCTION public.log_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.write_log VALUES (txid_current(), TG_TABLE_NAME, TG_OP) ON CONFLICT DO NOTHING;
               RETURN NULL; END $$;
             DO $$ DECLARE t name; BEGIN
               FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'podbell' AND tablename <> 'lease' LOOP
                 EXECUTE format('CREATE TRIGGER log_write AFTER INSERT OR UPDATE OR DELETE ON podbell.%I
                   FOR EACH STATEMENT EXECUTE FUNCTION public.log_write()', t);
               END LOOP; END $$;
             CREATE TABLE public.send_log (n bigserial, send bigint, attempts bigint, settled text, epoch bigint);
             CREATE FUNCTION public.log_lease() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF NEW.turn <> OLD.turn OR NEW.epoch <> OLD.epoch THEN
                 INSERT INTO public.lease_log (epoch, turn, at)
                   VALUES (NEW.epoch, NEW.turn, extract(epoch FROM clock_timestamp()));
               END IF; RETURN NULL; END $$;
             CREATE TRIGGER log_lease AFTER UPDATE ON podbell.lease FOR EACH ROW EXECUTE FUNCTION public.log_lease();
             CREATE FUNCTION public.log_send() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.send_log (send, attempts, settled, epoch)
                 SELECT NEW.id, NEW.attempts, NEW.settled, epoch FROM podbell.lease;
               RETURN NULL; END $$;
             CREATE TRIGGER log_send AFTER INSERT OR UPDATE ON podbell.send
               FOR EACH ROW EXECUTE FUNCTION public.log_send()",
        );
    }

    /// The epoch of the store's owner.
    pub fn epoch(&self) -> u64 {
        self.database.rows("SELECT epoch FROM lease")[0].parse().unwrap()
    }

    /// Who owns the store, if its lease is not over.
    pub fn owner(&self) -> Option<String> {
        self.database.rows("SELECT holder FROM lease WHERE expires_at > clock_timestamp()").pop()
    }

    /// When an epoch began, by the database's clock, which is this machine's.
    pub fn began(&self, epoch: u64) -> Option<Time> {
        let rows = self.database.rows(&format!("SELECT (min(at) * 1000)::bigint FROM lease_log WHERE epoch = {epoch}"));
        rows.first().and_then(|millis| millis.parse().ok()).map(Time::from_millis)
    }

    /// What wrote without taking a turn of the lease in the same transaction. Any replica may put a command into the inbox and
    /// take it back; the insertion that finds it there counts as an update, too.
    pub fn written_without_the_lease(&self) -> Vec<String> {
        self.database.rows(
            "SELECT tab, op, count(*) FROM write_log w
             WHERE NOT EXISTS (SELECT FROM lease_log l WHERE l.transaction = w.transaction)
             AND NOT (tab = 'inbox' AND (op <> 'UPDATE' OR EXISTS
               (SELECT FROM write_log i WHERE i.transaction = w.transaction AND i.tab = 'inbox' AND i.op = 'INSERT')))
             GROUP BY tab, op",
        )
    }

    /// Commits are in one order, each by the owner of its time: epochs only grow, each turn follows the one before, and nothing
    /// is written without a turn.
    pub fn check_epochs(&self) {
        let unowned = self.written_without_the_lease();
        assert!(unowned.is_empty(), "written by nobody who owned the store: {unowned:?}");
        let rows = self.database.rows("SELECT epoch, turn FROM lease_log ORDER BY n");
        let numbers = |row: &String| {
            let (epoch, turn) = row.split_once(' ').unwrap();
            (epoch.parse::<u64>().unwrap(), turn.parse::<u64>().unwrap())
        };
        let log: Vec<(u64, u64)> = rows.iter().map(numbers).collect();
        for pair in log.windows(2) {
            let ((epoch, turn), (next_epoch, next_turn)) = (pair[0], pair[1]);
            assert!(next_epoch == epoch || next_epoch == epoch + 1, "epoch {next_epoch} wrote after epoch {epoch}");
            assert_eq!(next_turn, turn + 1, "a turn of epoch {next_epoch} does not follow the one before");
        }
    }

    /// In how many epochs each send was on its way. After it was settled, nothing may happen to it.
    pub fn epochs_of_sends(&self) -> BTreeMap<u64, usize> {
        let rows = self.database.rows("SELECT send, coalesce(settled, '-'), epoch FROM send_log ORDER BY n");
        let mut epochs: BTreeMap<u64, Vec<(bool, u64)>> = BTreeMap::new();
        for row in rows {
            let [send, settled, epoch] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let (send, settled): (u64, bool) = (str::parse(send).unwrap(), settled != "-");
            let changes = epochs.entry(send).or_default();
            assert!(!changes.iter().any(|(settled, _)| *settled), "send {send} was settled and changed again");
            changes.push((settled, str::parse(epoch).unwrap()));
        }
        let distinct = |changes: Vec<(bool, u64)>| {
            let mut epochs: Vec<u64> = changes.into_iter().map(|(_, epoch)| epoch).collect();
            epochs.dedup();
            epochs.len()
        };
        epochs.into_iter().map(|(send, changes)| (send, distinct(changes))).collect()
    }
}

/// Status and body of /readyz; `None` if nobody answers in time.
pub async fn readiness(running: &Running) -> Option<(u16, String)> {
    let url = format!("http://{}/readyz", running.listen);
    let response = receiver::client().get(url).timeout(Duration::from_secs(2)).send().await.ok()?;
    Some((response.status().as_u16(), response.text().await.ok()?))
}

/// Types a command, and says what came of it and how long that took; `None` if there was no answer in time.
pub async fn command(running: &Running, token: &str, text: &str) -> Option<(Value, Duration)> {
    let request = receiver::client().post(format!("http://{}/api/v1/commands", running.listen)).bearer_auth(token);
    let body = json!({"text": text, "user": "zhang"}).to_string();
    let begun = clock::monotonic();
    let sent = request.header("content-type", "application/json").body(body).timeout(Duration::from_secs(15)).send();
    let text = sent.await.ok()?.text().await.ok()?;
    Some((serde_json::from_str(&text).ok()?, begun.elapsed()))
}

/// Waits for the first request that a receiver gets after a moment.
pub async fn first_after(receiver: &receiver::Receiver, moment: Time, patience: Duration) -> Option<Duration> {
    let look = || {
        let received = receiver.received();
        received.iter().map(|request| request.at).filter(|at| *at > moment).min().map(|at| at.since(moment))
    };
    within(patience, look).await
}

/// For how long something on this machine waited for a processor, since it started: measured times are longer by that.
/// Zero where the kernel does not say.
pub fn starved() -> Duration {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = pressure.lines().next().and_then(|some| some.rsplit_once("total=")?.1.parse().ok());
    Duration::from_micros(total.unwrap_or(0))
}
