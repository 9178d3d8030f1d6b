//! What an address means.

use std::net::TcpListener;

use super::super::call::Call;
use super::super::session::Session;
use super::*;
use crate::test_server;

fn connect(address: &str) -> Result<Session, String> {
    Session::open(&server(address)).map_err(|error| error.to_string())
}

#[test]
fn sslmode_means_what_it_means_for_libpq() {
    let plain = test_server::database();
    let named = plain.replace("127.0.0.1", "localhost");
    let fixture = |name: &str| format!("{}/../../tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let (ours, other) = (fixture("ca.pem"), fixture("self-signed.pem"));
    for (address, mode, root, is_taken) in [
        (&plain, "disable", None, true),
        (&plain, "prefer", None, true),
        (&plain, "require", None, true),
        (&plain, "require", Some(&ours), true),
        (&plain, "require", Some(&other), false),
        (&plain, "verify-ca", Some(&ours), true),
        (&named, "verify-ca", Some(&ours), true),
        (&named, "verify-ca", Some(&other), false),
        (&plain, "verify-full", Some(&ours), true),
        (&named, "verify-full", Some(&ours), false),
        (&plain, "verify-full", None, false),
    ] {
        let root = root.map(|root| format!("&sslrootcert={root}")).unwrap_or_default();
        let connected = connect(&format!("{address}?sslmode={mode}{root}"));
        assert_eq!(connected.is_ok(), is_taken, "{address} {mode} {root}: {connected:?}");
        let Ok(session) = connected else { continue };
        let rows = session.query(Call::new("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).unwrap();
        assert_eq!(rows[0].get::<_, bool>(0), mode != "disable", "{mode}");
    }
}

#[test]
fn a_password_comes_from_the_address_or_from_a_passfile_and_is_shown_nowhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let address = test_server::database();
    run(&address, "CREATE ROLE needs_password LOGIN PASSWORD 's3:cret'");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, "*:*:*:needs_password:s3\\:cret\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with = |user: &str, keys: String| connect(&(address.replace("podbell@", user) + &keys));
    with("needs_password:s3%3Acret@", String::new()).unwrap();
    with("needs_password@", format!("?passfile={}", file.display())).unwrap();
    for (user, keys, part) in [
        ("needs_password:wr0ng@", String::new(), "look at the password"),
        ("needs_password@", String::new(), "password missing"),
        ("someone@", format!("?passfile={}", file.display()), "has no line for"),
        ("needs_password@", "?passfile=/nowhere".to_owned(), "cannot be read"),
    ] {
        let error = with(user, keys).err().unwrap();
        assert!(error.contains(part) && !error.contains("wr0ng") && !error.contains("cret"), "{error}");
    }
}

#[test]
fn a_password_whose_end_is_not_clear_is_refused_and_not_shown() {
    for address in [
        "podbell:s3@cret/more@db/alerts",
        "podbell:s3@cret:more@db/alerts",
        "podbell:s3@cret?more@db/alerts",
        "podbell:s3/cret?more@db/alerts",
        "podbell:s3?cret@db/alerts",
    ] {
        let error = Server::parse(address, Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("write @ as %40"), "{error}");
        assert!(["s3", "cret", "more"].iter().all(|part| !error.contains(part)), "{error}");
    }
}

#[test]
fn of_several_hosts_one_that_answers_serves() {
    let address = test_server::database();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = test_server::shared_address();
    connect(&address.replace(&host, &format!("{silent},{host}"))).unwrap();
    assert!(connect(&address.replace(&host, &silent.to_string())).unwrap_err().contains("cannot connect"));
}
