//! What a cut connection and a crash of the server leave.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::test_server::{self, Postgres};
use crate::{ErrorKind, Location};

/// What the proxy does with the next data of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Trouble {
    None,
    /// Cuts the connection before the server gets it.
    CutBefore,
    /// Cuts the connection when the server says that it has committed.
    CutAfter,
    /// Holds it back until [`Proxy::let_go`], and the client hears nothing.
    Hold,
}

/// Data that is held back, each with the connection that it is for.
type Held = Mutex<Vec<(TcpStream, Vec<u8>)>>;

/// A connection to the server that can be cut.
struct Proxy {
    port: u16,
    trouble: Arc<AtomicU8>,
    held: Arc<Held>,
}

impl Proxy {
    fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let trouble = Arc::new(AtomicU8::new(Trouble::None as u8));
        let held: Arc<Held> = Arc::default();
        let (doing, holding) = (trouble.clone(), held.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
                let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (ask, answer, holding) = (doing.clone(), doing.clone(), holding.clone());
                std::thread::spawn(move || asks(client, to_server, &ask, &holding));
                std::thread::spawn(move || answers(server, to_client, &answer));
            }
        });
        Self { port, trouble, held }
    }

    fn next(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, Ordering::SeqCst);
    }

    fn let_go(&self) {
        for (mut server, data) in self.held.lock().unwrap().drain(..) {
            server.write_all(&data).unwrap();
        }
    }
}

fn is(trouble: &AtomicU8, which: Trouble) -> bool {
    trouble.load(Ordering::SeqCst) == which as u8
}

fn asks(mut client: TcpStream, mut server: TcpStream, trouble: &AtomicU8, held: &Held) {
    let mut data = [0; 65536];
    while let Ok(length @ 1..) = client.read(&mut data) {
        if is(trouble, Trouble::CutBefore) {
            trouble.store(Trouble::None as u8, Ordering::SeqCst);
            break;
        }
        if is(trouble, Trouble::Hold) {
            trouble.store(Trouble::None as u8, Ordering::SeqCst);
            held.lock().unwrap().push((server, data[..length].to_vec()));
            return;
        }
        if server.write_all(&data[..length]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

fn answers(mut server: TcpStream, mut client: TcpStream, trouble: &AtomicU8) {
    let mut data = [0; 65536];
    let mut heard = Vec::new();
    while let Ok(length @ 1..) = server.read(&mut data) {
        if is(trouble, Trouble::CutAfter) {
            heard.extend_from_slice(&data[..length]);
            if heard.windows(7).any(|bytes| bytes == b"COMMIT\0") {
                trouble.store(Trouble::None as u8, Ordering::SeqCst);
                break;
            }
            continue;
        }
        if client.write_all(&data[..length]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

fn proxied() -> (Proxy, Location, String) {
    let address = test_server::database();
    let direct = test_server::shared_address();
    let proxy = Proxy::start(direct.clone());
    let through = address.replace(&direct, &format!("127.0.0.1:{}", proxy.port));
    // The proxy reads what the server says.
    (proxy, location(&format!("{through}?sslmode=disable")), address)
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_to_be_written() {
    let (proxy, location, _) = proxied();
    let mut writer = active(&location, "only");
    writer.commit(&one_target("web")).unwrap();
    proxy.next(Trouble::CutAfter);
    writer.commit(&one_target("api")).unwrap();
    assert_eq!((targets(&location), writer.unknown_commits()), (2, 1));
    writer.commit(&one_target("next")).unwrap();
    assert_eq!(writer.load().unwrap().state.targets.len(), 3);
}

#[test]
fn a_commit_that_never_arrived_is_found_not_to_be_written() {
    let (proxy, location, _) = proxied();
    let mut writer = active(&location, "only");
    writer.load().unwrap();
    proxy.next(Trouble::CutBefore);
    let error = writer.commit(&one_target("web")).unwrap_err();
    assert_eq!((error.kind(), writer.unknown_commits(), targets(&location)), (ErrorKind::Unavailable, 1, 0), "{error}");
    writer.reconnect().unwrap();
    assert!(writer.load().unwrap().state.targets.is_empty());
    writer.commit(&one_target("web")).unwrap();
    assert_eq!((targets(&location), writer.lease().unwrap().epoch), (1, 1));
}

#[test]
fn a_commit_that_arrives_after_it_was_found_not_to_be_written_changes_nothing() {
    let (proxy, location, _) = proxied();
    let mut writer = active(&location, "only");
    writer.load().unwrap();
    proxy.next(Trouble::Hold);
    let error = writer.commit(&one_target("late")).unwrap_err();
    assert_eq!((error.kind(), writer.unknown_commits(), targets(&location)), (ErrorKind::Unavailable, 1, 0), "{error}");
    writer.reconnect().unwrap();
    proxy.let_go();
    writer.commit(&one_target("web")).unwrap();
    writer.commit(&one_target("api")).unwrap();
    let names: Vec<_> = writer.load().unwrap().state.targets.into_iter().map(|(target, _)| target.service).collect();
    assert_eq!(names, ["web".into(), "api".into()] as [Arc<str>; 2]);
}

#[test]
fn a_server_that_crashes_loses_no_commit_and_no_lease() {
    let mut server = Postgres::start();
    let location = location(&server.database());
    let mut writer = active(&location, "only");
    writer.commit(&one_target("web")).unwrap();
    server.crash();
    let tried = writer.commit(&one_target("api"));
    assert_eq!(tried.unwrap_err().kind(), ErrorKind::Unavailable);
    writer.reconnect().unwrap();
    assert_eq!(writer.load().unwrap().state.targets.len(), 1);
    writer.commit(&one_target("api")).unwrap();
    server.stop();
    assert_eq!(location.candidate("other").claim(NOW).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(writer.renew().unwrap_err().kind(), ErrorKind::Unavailable);
    server.go_on();
    writer.reconnect().unwrap();
    assert_eq!((targets(&location), writer.lease().unwrap().epoch), (2, 1));
}
