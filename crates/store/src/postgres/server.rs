//! Where a PostgreSQL store is: `store: postgres://…` of podbell.yaml as a checked type. Keys and modes mean what they
//! mean for libpq.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

/// The port of a server whose address names none.
const PORT: u16 = 5432;

/// A database, and how to connect to it. `Display` and `Debug` show no password.
#[derive(Clone)]
pub struct Server {
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Password,
    pub(super) tls: TlsMode,
    /// PEM, the authorities that a server's certificate is checked against.
    pub(super) root_certificates: Option<PathBuf>,
    /// Whether a server that takes no writes is passed over.
    pub(super) wants_writable: bool,
}

/// Where the password comes from.
#[derive(Clone)]
pub(super) enum Password {
    /// The server asks for none.
    None,
    /// From the address.
    Written(SecretString),
    /// From a file in libpq's format, read at each connection.
    File(PathBuf),
}

/// How a connection is encrypted, and what is checked of the server. As libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can; nothing is checked.
    Prefer,
    /// Encrypted. The certificate is checked only if `sslrootcert` is given, and not its name.
    Require,
    /// Encrypted, and the certificate must be of an authority of `sslrootcert`.
    VerifyCa,
    /// The same, and its name must be the host's. Without `sslrootcert`, the system's authorities count.
    VerifyFull,
}

/// Why a text is no address of a database. No variant shows a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has no user.
    #[error("it names no user: write postgres://USER@HOST/DATABASE")]
    NoUser,
    /// It has no host.
    #[error("it names no host: write postgres://USER@HOST/DATABASE")]
    NoHost,
    /// A part is not valid.
    #[error("`{0}` is not a port")]
    Port(String),
    /// Characters that stand for others are wrong.
    #[error("{0} is not valid: in an address, write @ as %40, / as %2F, : as %3A, % as %25")]
    Encoding(&'static str),
    /// A key that podbell does not know.
    #[error("`{0}` is not known; known are sslmode, sslrootcert, passfile and target_session_attrs")]
    Key(String),
    /// A value that podbell does not know.
    #[error("{key}={value} is not known; write {known}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What can be written.
        known: &'static str,
    },
    /// A password twice.
    #[error("it has both a password and a passfile: leave one out")]
    TwoPasswords,
    /// Nothing to check a certificate against.
    #[error("sslmode=verify-ca needs sslrootcert, the file with the authority of the server's certificate")]
    NoAuthority,
}

impl Server {
    /// Reads what follows `postgres://`. Paths are relative to `folder`.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn parse(address: &str, folder: &Path) -> Result<Self, AddressError> {
        // The end of the password would be guessed, and the rest of it shown as something else.
        let unclear = address.matches('@').count() > 1;
        let (rest, query) = address.split_once('?').unwrap_or((address, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if unclear || address.contains('@') && !authority.contains('@') {
            return Err(AddressError::Encoding("its user or password"));
        }
        let (user, hosts) = authority.split_once('@').ok_or(AddressError::NoUser)?;
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password, "its password")?)),
            None => (user, None),
        };
        let user = decoded(user, "its user")?;
        if user.is_empty() {
            return Err(AddressError::NoUser);
        }
        let hosts = hosts.split(',').map(host).collect::<Result<Vec<_>, _>>()?;
        let database = match decoded(database, "its database")? {
            none if none.is_empty() => user.clone(),
            database => database,
        };
        let password = password.map_or(Password::None, |password| Password::Written(password.into()));
        let mut server = Self {
            hosts,
            user,
            database,
            password,
            tls: TlsMode::Prefer,
            root_certificates: None,
            wants_writable: true,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            server.set(key, decoded(value, "one of its values")?, folder)?;
        }
        if server.tls == TlsMode::VerifyCa && server.root_certificates.is_none() {
            return Err(AddressError::NoAuthority);
        }
        Ok(server)
    }

    fn set(&mut self, key: &str, value: String, folder: &Path) -> Result<(), AddressError> {
        match key {
            "sslmode" => {
                self.tls = match &*value {
                    "disable" => TlsMode::Disable,
                    "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => {
                        let known = "disable, prefer, require, verify-ca or verify-full";
                        return Err(AddressError::Value { key: "sslmode", value, known });
                    }
                }
            }
            "sslrootcert" => self.root_certificates = Some(folder.join(value)),
            "passfile" if matches!(self.password, Password::Written(_)) => return Err(AddressError::TwoPasswords),
            "passfile" => self.password = Password::File(folder.join(value)),
            "target_session_attrs" => {
                self.wants_writable = match &*value {
                    "read-write" => true,
                    "any" => false,
                    _ => {
                        let (key, known) = ("target_session_attrs", "read-write or any");
                        return Err(AddressError::Value { key, value, known });
                    }
                }
            }
            other => return Err(AddressError::Key(other.to_owned())),
        }
        Ok(())
    }

    /// How connections are encrypted.
    pub fn tls_mode(&self) -> TlsMode {
        self.tls
    }

    /// Whether every host is this machine, so that nothing is sent over a network.
    pub fn is_local(&self) -> bool {
        self.hosts
            .iter()
            .all(|(host, _)| host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()))
    }

    /// The password of the address, so that it can be kept out of any output.
    pub fn written_password(&self) -> Option<&SecretString> {
        match &self.password {
            Password::Written(password) => Some(password),
            Password::None | Password::File(_) => None,
        }
    }
}

fn decoded(text: &str, what: &'static str) -> Result<String, AddressError> {
    // `percent_decode_str` leaves a % that begins no code as it is.
    let codes = |(at, _): (usize, &str)| {
        text.get(at + 1..at + 3).is_some_and(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if !text.match_indices('%').all(codes) {
        return Err(AddressError::Encoding(what));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::Encoding(what))?;
    if decoded.contains('\0') { Err(AddressError::Encoding(what)) } else { Ok(decoded.into_owned()) }
}

fn host(text: &str) -> Result<(String, u16), AddressError> {
    // The address of IPv6 stands in brackets, because it has colons.
    let (name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| AddressError::Port(port.to_owned()))?,
    };
    if name.is_empty() {
        return Err(AddressError::NoHost);
    }
    Ok((decoded(name, "its host")?, port))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.user)?;
        for (at, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
            write!(f, "{comma}{open}{host}{close}")?;
            if *port != PORT {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.database)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self}, {:?})", self.tls)
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        let password = |server: &Self| match &server.password {
            Password::None => (None, None),
            Password::Written(password) => (Some(password.expose_secret().to_owned()), None),
            Password::File(path) => (None, Some(path.clone())),
        };
        (&self.hosts, &self.user, &self.database, self.tls, &self.root_certificates, self.wants_writable)
            == (&other.hosts, &other.user, &other.database, other.tls, &other.root_certificates, other.wants_writable)
            && password(self) == password(other)
    }
}

impl Eq for Server {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Server, AddressError> {
        Server::parse(address, Path::new("/etc/podbell"))
    }

    #[test]
    fn an_address_is_read_with_all_its_parts_and_shown_without_its_password() {
        let server =
            parse("pod%40bell:s3cr%3At@db-1,db-2:5433,[::1]:6432/alerts?sslmode=verify-full&sslrootcert=ca.pem")
                .unwrap();
        let hosts = [("db-1".to_owned(), 5432), ("db-2".to_owned(), 5433), ("::1".to_owned(), 6432)];
        assert_eq!(server.hosts, hosts);
        assert_eq!((&*server.user, &*server.database), ("pod@bell", "alerts"));
        assert_eq!(server.written_password().unwrap().expose_secret(), "s3cr:t");
        assert_eq!(
            (server.tls, server.root_certificates.as_deref()),
            (TlsMode::VerifyFull, Some(Path::new("/etc/podbell/ca.pem")))
        );
        let shown = format!("{server} {server:?}");
        assert!(
            shown.starts_with("postgres://pod@bell@db-1,db-2:5433,[::1]:6432/alerts ") && !shown.contains("s3cr"),
            "{shown}"
        );
    }

    #[test]
    fn a_short_address_has_the_defaults_of_libpq() {
        let server = parse("podbell@db").unwrap();
        assert_eq!(
            (server.hosts, server.database, server.tls),
            (vec![("db".to_owned(), 5432)], "podbell".to_owned(), TlsMode::Prefer)
        );
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_in_words_and_without_the_password() {
        for (address, part) in [
            ("db/podbell", "names no user"),
            (":secret@db", "names no user"),
            ("podbell:secret@/podbell", "names no host"),
            ("podbell:secret@db:port", "`port` is not a port"),
            ("podbell:secret%@db", "its password is not valid"),
            ("podbell:secret@db?sslmode=on", "verify-full"),
            ("podbell:secret@db?ssl=on", "`ssl` is not known"),
            ("podbell:secret@db?passfile=x", "both"),
            ("podbell:secret@db?sslmode=verify-ca", "sslrootcert"),
            ("podbell@db?target_session_attrs=primary", "read-write"),
        ] {
            let error = parse(address).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{address}: {error}");
        }
    }
}
