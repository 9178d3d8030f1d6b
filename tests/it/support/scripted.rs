//! An HTTP server that answers from a script, also with what no HTTP library would send.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone)]
pub enum Reply {
    /// A whole answer; the connection stays.
    Http(u16, String),
    /// These bytes, and the end of the connection.
    Raw(String),
    /// A whole answer after a while.
    Late(Duration, String),
    /// Nothing, for ever.
    Hang,
}

#[derive(Default)]
struct Log {
    script: VecDeque<Reply>,
    requests: Vec<String>,
    connections: usize,
}

pub struct Scripted {
    pub endpoint: String,
    log: Arc<Mutex<Log>>,
}

impl Scripted {
    /// Each request takes the next reply; the last one stays.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v2/index.php", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Log { script: script.into_iter().collect(), ..Log::default() }));
        let shared = log.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { endpoint, log }
    }

    /// First lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().requests.clone()
    }

    pub fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Log>>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let reply = {
            let mut log = log.lock().unwrap();
            log.requests.push(text.lines().next().unwrap().to_owned());
            if log.script.len() > 1 { log.script.pop_front().unwrap() } else { log.script[0].clone() }
        };
        let answer = match reply {
            Reply::Http(status, body) => http(status, &body),
            Reply::Late(after, body) => {
                tokio::time::sleep(after).await;
                http(200, &body)
            }
            Reply::Hang => std::future::pending().await,
            Reply::Raw(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn http(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\nLocation: /elsewhere\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
