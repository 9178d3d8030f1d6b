//! A real browser, driven over its DevTools protocol: Debian's Chromium. Its absence is a failure, never a
//! skip (`scripts/install-chromium`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use super::process::{PATIENCE, Process};

/// A running browser with one tab. It is killed when it is dropped.
pub struct Browser {
    commands: mpsc::UnboundedSender<Message>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    events: Arc<Mutex<Vec<Value>>>,
    next: AtomicU64,
    session: String,
    // In this order: the process ends before its folder goes.
    _process: Process,
    _folder: tempfile::TempDir,
}

/// Where the browser is.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut all = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    all.find(|file| file.is_file()).expect("no Chromium: scripts/install-chromium installs it")
}

impl Browser {
    /// Starts one, with an empty tab.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        command.args([
            "--headless=new",
            // Its sandbox does not work for root, nor in most containers; it sees nothing but this page.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-default-browser-check",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--lang=en-US",
            "--remote-debugging-port=0",
        ]);
        command.arg(format!("--user-data-dir={}", folder.path().display())).arg("about:blank").stdin(Stdio::null());
        let process = Process::start(command);
        let address = process.word_after("DevTools listening on ").await;
        let host = address.strip_prefix("ws://").unwrap().split('/').next().unwrap().to_owned();
        let stream = TcpStream::connect(host).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(&address, stream).await.unwrap();
        let (mut send, mut receive) = socket.split();
        let (commands, mut queue) = mpsc::unbounded_channel::<Message>();
        tokio::spawn(async move {
            while let Some(command) = queue.recv().await {
                if send.send(command).await.is_err() {
                    return;
                }
            }
        });
        let waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>> = Arc::default();
        let events: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (answers, heard) = (waiting.clone(), events.clone());
        tokio::spawn(async move {
            while let Some(Ok(message)) = receive.next().await {
                let Ok(text) = message.to_text() else { continue };
                let Ok(said) = serde_json::from_str::<Value>(text) else { continue };
                match said["id"].as_u64() {
                    Some(id) => {
                        if let Some(answer) = answers.lock().unwrap().remove(&id) {
                            let _ = answer.send(said);
                        }
                    }
                    None => heard.lock().unwrap().push(said),
                }
            }
        });
        let mut browser = Self {
            commands,
            waiting,
            events,
            next: AtomicU64::new(1),
            session: String::new(),
            _process: process,
            _folder: folder,
        };
        let tab = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": tab["targetId"], "flatten": true})).await;
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// One command of the protocol.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut command = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, answer);
        self.commands.send(Message::text(command.to_string())).unwrap();
        let said = tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("no answer to {method}"));
        let said = said.unwrap();
        assert!(said["error"].is_null(), "{method}: {}", said["error"]);
        said["result"].clone()
    }

    /// What an expression is in the page.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let said = self.call("Runtime.evaluate", params).await;
        assert!(said["exceptionDetails"].is_null(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page. It may be false because a page is just loading.
    pub async fn until(&self, expression: &str) {
        let looking = async {
            let mut turns = tokio::time::interval(Duration::from_millis(20));
            loop {
                turns.tick().await;
                let params = json!({"expression": expression, "returnByValue": true});
                if self.call("Runtime.evaluate", params).await["result"]["value"] == true {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            let text = self.evaluate("location.href + ' ' + document.body.innerText").await;
            panic!("never true: {expression}\n{text}\n{:#?}", self.complaints());
        }
    }

    /// Goes somewhere, until it is loaded.
    pub async fn go(&self, url: &str) {
        // A mark of the page before would be a wrong "loaded".
        self.call("Page.navigate", json!({"url": url})).await;
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
    }

    /// A screen of this size, dark or light, as a phone or not.
    pub async fn screen(&self, width: u32, height: u32, dark: bool) {
        let phone = width < 500;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Presses a key: `Tab`, `Enter`, or a letter.
    pub async fn press(&self, key: &str) {
        let (code, number, text) = match key {
            "Tab" => ("Tab".to_owned(), 9, None),
            "Enter" => ("Enter".to_owned(), 13, Some("\r")),
            letter => {
                let upper = letter.to_uppercase();
                (format!("Key{upper}"), u32::from(upper.chars().next().unwrap()), Some(letter))
            }
        };
        for kind in [if text.is_some() { "keyDown" } else { "rawKeyDown" }, "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number});
            if let Some(text) = text.filter(|_| kind == "keyDown") {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types into what has the focus.
    pub async fn write(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// A picture of what is on the screen, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let said = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        base64::engine::general_purpose::STANDARD.decode(said["data"].as_str().unwrap()).unwrap()
    }

    fn heard(&self, method: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event["method"] == method).map(|event| event["params"].clone()).collect()
    }

    /// Errors of scripts, of the console, and of what could not be loaded.
    pub fn complaints(&self) -> Vec<String> {
        let mut all: Vec<String> = self.heard("Runtime.exceptionThrown").iter().map(Value::to_string).collect();
        let console = self.heard("Runtime.consoleAPICalled").into_iter();
        all.extend(console.filter(|call| call["type"] == "error").map(|call| call.to_string()));
        let log = self.heard("Log.entryAdded").into_iter();
        all.extend(log.filter(|entry| entry["entry"]["level"] == "error").map(|entry| entry.to_string()));
        all.extend(
            self.heard("Network.loadingFailed")
                .iter()
                .filter(|failed| failed["canceled"] != true)
                .map(Value::to_string),
        );
        all
    }

    /// Every address that was asked for.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.heard("Network.requestWillBeSent");
        asked.iter().map(|request| request["request"]["url"].as_str().unwrap().to_owned()).collect()
    }
}
