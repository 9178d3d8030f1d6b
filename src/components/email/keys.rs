//! The keys of `kind: email`.

use std::net::IpAddr;
use std::sync::Arc;

use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use serde_json::{Value as Json, json};

use super::Email;
use super::smtp::{Encryption, Server};
use crate::notifiers::Notifier;
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::yaml::key::{Custom, Key, Number, OneOf, OneOrMany, Text, ValueType};
use podbell_core::yaml::{MapReader, Node, Reader};

pub(super) const HOST: Key<Custom<String>> = Key::required(
    "host",
    Custom { read: read_host, schema: host_schema },
    "The SMTP server, such as smtp.example.com.",
);
pub(super) const PORT: Key<Number> =
    Key::optional("port", Number(1, 65_535), "Its port [default: 587 with starttls, 465 with implicit, 25 with none].");
pub(super) const TLS: Key<OneOf<Tls>> = Key::optional(
    "tls",
    OneOf("a kind of TLS", &[("starttls", Tls::Starttls), ("implicit", Tls::Implicit), ("none", Tls::None)]),
    "`starttls` (demanded, never optional), `implicit`, or `none` [default: none on this machine, otherwise starttls].",
);
pub(super) const CA_FILE: Key<Text> =
    Key::optional("ca_file", Text("a path"), "Certificate authorities that are trusted beside the system's, PEM.");
pub(super) const USER: Key<Text> = Key::optional("user", Text("a user's name"), "For a server that wants a login.");
pub(super) const PASSWORD: Key<Secret> = Key::optional("password", Secret(SecretKind::Any), "The password of `user`.");
pub(super) const FROM: Key<Address> =
    Key::required("from", Address, "Who it is from, such as \"podbell <podbell@example.com>\".");
pub(super) const TO: Key<OneOrMany<Address>> =
    Key::required("to", OneOrMany(Address), "Who gets it: an address, or a list of them.");

/// How a connection is encrypted, as podbell.yaml writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    Starttls,
    Implicit,
    None,
}

impl Tls {
    fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

pub(super) fn read(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (host, port) = (HOST.take(map, reader), PORT.take(map, reader));
    let (tls, ca_file) = (TLS.node(map, reader), CA_FILE.node(map, reader));
    let (user, password) = (USER.node(map, reader), PASSWORD.node(map, reader));
    let (from, to) = (FROM.take(map, reader), TO.take(map, reader));
    let (host, from, to) = (host?, from?, to.filter(|to| !to.is_empty())?);
    let here = is_here(&host);
    let chosen = match tls {
        Some(node) => TLS.read(node, reader)?,
        None if here => Tls::None,
        None => Tls::Starttls,
    };
    let login = match (user, password) {
        (None, None) => None,
        (Some(user), Some(password)) => Some((USER.read(user, reader)?, PASSWORD.read(password, reader)?)),
        (Some(one), None) | (None, Some(one)) => {
            reader.error_help(&one.span, "`user` and `password` belong together", "write both, or none of them");
            return None;
        }
    };
    if let Some(node) = password.filter(|_| chosen == Tls::None && !here) {
        let help = "write `tls: starttls` or `tls: implicit`, or leave `user` and `password` out";
        reader.error_help(&node.span, "the password would go over the network for everybody to read", help);
        return None;
    }
    let encryption = encryption(&host, chosen, ca_file, reader)?;
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(chosen.port());
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let login = match login {
            Some((user, password)) => Some((user, secrets.get(&password)?)),
            None => None,
        };
        let server = Server::new(host, port, encryption, login);
        Some(Arc::new(Email::new(server, from, to)))
    }))
}

fn encryption(host: &str, tls: Tls, ca_file: Option<&Node>, reader: &mut Reader) -> Option<Encryption> {
    if tls == Tls::None {
        return Some(Encryption::None);
    }
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(node) = ca_file {
        let path = CA_FILE.read(node, reader)?;
        let path = reader.folder.join(path);
        let read = std::fs::read(&path).ok().and_then(|pem| Certificate::from_pem(&pem).ok());
        let Some(certificate) = read else {
            reader.error_help(
                &node.span,
                "no PEM certificates can be read there",
                "paths are relative to podbell.yaml",
            );
            return None;
        };
        parameters = parameters.add_root_certificate(certificate);
    }
    match (parameters.build_rustls(), tls) {
        (Ok(parameters), Tls::Implicit) => Some(Encryption::Implicit(parameters)),
        (Ok(parameters), _) => Some(Encryption::Starttls(parameters)),
        (Err(error), _) => {
            let span = ca_file.map(|node| node.span.clone()).unwrap_or_default();
            reader.error_help(&span, format!("TLS cannot be set up: {error}"), "check `ca_file`");
            None
        }
    }
}

/// Whether a host is this machine.
pub(super) fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn read_host(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a host such as smtp.example.com")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.chars().all(fits) && text.parse::<IpAddr>().is_err() {
        let help = "write the name alone; the port belongs to `port`, and encryption to `tls`";
        reader.error_help(&node.span, format!("`{text}` is not the name of a host"), help);
        return None;
    }
    Some(text.to_owned())
}

fn host_schema() -> Json {
    json!({"type": "string", "pattern": "^[A-Za-z0-9._:-]+$"})
}

/// An address, with or without a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address;

impl ValueType for Address {
    type Value = Mailbox;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Mailbox> {
        let text = reader.text(node, "an address such as podbell@example.com")?;
        // Not every server takes other addresses, and what it refuses would be found at the first incident.
        let mailbox = text.parse::<Mailbox>().ok().filter(|mailbox| AsRef::<str>::as_ref(&mailbox.email).is_ascii());
        let fits = |mailbox: &Mailbox| !mailbox.name.as_ref().is_some_and(|name| name.chars().any(char::is_control));
        let mailbox = mailbox.filter(fits);
        if mailbox.is_none() {
            let help = "write podbell@example.com, or \"podbell <podbell@example.com>\"";
            reader.error_help(&node.span, format!("`{text}` is not an address of e-mail"), help);
        }
        mailbox
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[^\\r\\n]*[^\\s@]+@[^\\s@]+$"})
    }
}
