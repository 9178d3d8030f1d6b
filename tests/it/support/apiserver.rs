//! A real kube-apiserver with etcd on loopback, as `scripts/kube-apiserver` builds it. One is shared by the tests of the
//! binary, each of which has namespaces of its own; what kills servers has one for itself.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::kube_objects::kubeconfig;
use tempfile::TempDir;

/// May do anything.
pub const ADMIN: &str = "admin-token";
/// May do nothing that it is not allowed to.
pub const NOBODY: &str = "nobody-token";

const PATIENCE: Duration = Duration::from_secs(90);

/// A running server. It is killed when it is dropped.
pub struct ApiServer {
    folder: TempDir,
    port: u16,
    etcd: Daemon,
    /// What was in its place.
    unasked: Option<Daemon>,
    server: Option<Daemon>,
    programs: (PathBuf, PathBuf),
    etcd_port: u16,
}

/// A child that outlives neither its owner nor, whatever ends it, this process: it lives as long as a pipe is open.
struct Daemon(Child);

const GUARDED: &str = "\"$0\" \"$@\" & program=$!; cat >/dev/null; kill -9 $program; wait $program";
/// The same for etcd, whose data nobody else deletes when a process just ends.
const GUARDED_DATA: &str =
    "\"$0\" \"$@\" & program=$!; cat >/dev/null; kill -9 $program; wait $program; cd /; rm -rf \"$OLDPWD\"";

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Where a program is: made before tests run, see `scripts/kube-apiserver`.
fn program(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kube-apiserver");
    let output = Command::new(script).arg("--cached").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    PathBuf::from(line.unwrap_or_else(|| panic!("no {name} in {said}")))
}

/// kubectl of the server's version.
pub fn kubectl() -> PathBuf {
    program("KUBECTL")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An etcd of one member on this data, whoever's it was.
fn etcd(folder: &Path, program: &Path, data: &str, client: u16) -> Daemon {
    let peer = free_port();
    let args = [
        format!("--data-dir={data}"),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        "--force-new-cluster".to_owned(),
    ];
    start(folder, program, "etcd.log", &args)
}

fn start(folder: &Path, program: &Path, log_name: &str, args: &[String]) -> Daemon {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(log_name)).unwrap();
    let mut command = Command::new("sh");
    let guard = if log_name == "etcd.log" { GUARDED_DATA } else { GUARDED };
    command.args(["-c", guard]).arg(program).args(args).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    Daemon(command.spawn().unwrap())
}

impl ApiServer {
    /// The one that tests share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<ApiServer> = OnceLock::new();
        let server = match SHARED.get() {
            Some(server) => server,
            // Starting it blocks, and another test may be doing so.
            None => tokio::task::spawn_blocking(|| SHARED.get_or_init(Self::launch)).await.unwrap(),
        };
        server.ready().await;
        server
    }

    /// One of its own.
    pub async fn start() -> Self {
        let server = Self::launch();
        server.ready().await;
        server
    }

    fn launch() -> Self {
        let programs = (program("KUBE_APISERVER"), program("ETCD"));
        let folder = tempfile::tempdir().unwrap();
        let tokens = format!("{ADMIN},admin,1,\"system:masters\"\n{NOBODY},nobody,2\n");
        std::fs::write(folder.path().join("tokens.csv"), tokens).unwrap();
        let key = ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "sa.key"];
        assert!(Command::new("openssl").args(key).current_dir(folder.path()).status().unwrap().success());
        let etcd_port = free_port();
        let etcd = etcd(folder.path(), &programs.1, "etcd", etcd_port);
        let mut server = Self { folder, port: free_port(), etcd, unasked: None, server: None, programs, etcd_port };
        server.revive();
        server
    }

    /// Starts the server anew, with its old address and all that was written.
    pub fn revive(&mut self) {
        let args = [
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--cert-dir=certs".to_owned(),
            "--token-auth-file=tokens.csv".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-account-key-file=sa.key".to_owned(),
            "--service-account-signing-key-file=sa.key".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        self.server = Some(start(self.folder.path(), &self.programs.0, "server.log", &args));
    }

    /// Copies all that was written, as it is on the disk.
    pub fn back_up(&self) {
        let copied = Command::new("cp").args(["-r", "etcd", "backup"]).current_dir(self.folder.path()).status();
        assert!(copied.unwrap().success());
    }

    /// What was written since the copy was made never happened.
    pub fn restore(&mut self) {
        self.kill();
        self.etcd_port = free_port();
        // The other one goes on, unasked: with it would go the folder.
        let restored = etcd(self.folder.path(), &self.programs.1, "backup", self.etcd_port);
        self.unasked = Some(std::mem::replace(&mut self.etcd, restored));
        self.revive();
    }

    /// Kills the server; etcd stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Waits until it answers.
    pub async fn ready(&self) {
        let asking = async {
            let mut turns = tokio::time::interval(Duration::from_millis(100));
            loop {
                turns.tick().await;
                if self.certificate().exists()
                    && let Ok(response) = self.client().get(self.url("/readyz")).bearer_auth(ADMIN).send().await
                    && response.status() == StatusCode::OK
                {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
            // What it died of stands above what each of its threads did.
            let died = log.lines().position(|line| line.starts_with("fatal error:") || line.starts_with("panic:"));
            let from = died.unwrap_or(log.lines().count().saturating_sub(20));
            panic!("the API server is not ready: {}", log.lines().skip(from).take(20).collect::<Vec<_>>().join("\n"));
        }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certs/apiserver.crt")
    }

    fn client(&self) -> Client {
        super::receiver::client();
        let pem = std::fs::read(self.certificate()).unwrap();
        let trusted = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
        Client::builder().no_proxy().tls_certs_only(trusted).timeout(Duration::from_secs(20)).build().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// A kubeconfig for this token.
    pub fn kubeconfig(&self, token: &str) -> String {
        kubeconfig(&self.url(""), Some(&self.certificate()), token)
    }

    /// The same through a wire that can be cut.
    pub async fn through_wire(&self, token: &str) -> (Wire, String) {
        let wire = Wire::start(self.port).await;
        let kubeconfig = kubeconfig(&format!("https://127.0.0.1:{}", wire.port), Some(&self.certificate()), token);
        (wire, kubeconfig)
    }

    /// A connection of the administrator's, kept open.
    pub fn admin(&self) -> Admin {
        Admin { client: self.client(), server: self.url("") }
    }

    /// A namespace that no other test has.
    pub async fn namespace(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("shop-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.admin().post("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await;
        name
    }
}

/// Carries bytes to the server, and cuts all connections when it is told to, wherever they are.
pub struct Wire {
    port: u16,
    cut: tokio::sync::watch::Sender<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    async fn start(to: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, cuts) = tokio::sync::watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut to) = tokio::net::TcpStream::connect(("127.0.0.1", to)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { port, cut, task }
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Requests of an administrator.
#[derive(Clone)]
pub struct Admin {
    client: Client,
    server: String,
}

impl Admin {
    /// A request: what it was answered.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        self.ask_as(ADMIN, "application/json", method, path, body).await
    }

    /// Server-side apply, as if: what the object would be.
    pub async fn apply_dry(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let path = format!("{path}?dryRun=All&fieldManager=test&force=true");
        self.ask_as(ADMIN, "application/apply-patch+yaml", Method::PATCH, &path, Some(body)).await
    }

    /// A request with another token, or of another form.
    pub async fn ask_as(
        &self,
        token: &str,
        form: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.server)).bearer_auth(token);
        let request = request.header("content-type", form);
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Makes an object.
    /// Writes an object's status, over what it has.
    pub async fn status(&self, path: &str, status: Value) {
        let (_, mut object) = self.ask(Method::GET, path, None).await;
        object["status"] = status;
        self.put(&format!("{path}/status"), &object).await;
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// Replaces an object.
    pub async fn put(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(Method::PUT, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// Deletes an object.
    pub async fn delete(&self, path: &str) {
        let (status, answer) = self.ask(Method::DELETE, path, Some(&json!({"gracePeriodSeconds": 0}))).await;
        assert!(status.is_success(), "{path}: {answer}");
    }

    /// Writes an event, or writes it anew with what is in it now.
    pub async fn event(&self, event: &Value) {
        let namespace = event["metadata"]["namespace"].as_str().unwrap();
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let (status, answer) = self.ask(Method::POST, &path, Some(event)).await;
        if status == StatusCode::CONFLICT {
            self.put(&format!("{path}/{}", event["metadata"]["name"].as_str().unwrap()), event).await;
        } else {
            assert!(status.is_success(), "{answer}");
        }
    }
}
