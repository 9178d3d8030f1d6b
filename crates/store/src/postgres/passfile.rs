//! A file of passwords as libpq reads it: lines `host:port:database:user:password`, where `*` stands for anything.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use secrecy::SecretString;

/// Why there is no password. No variant shows one.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassfileError {
    #[error("the passfile {path} cannot be read: {source}")]
    Io { path: String, source: io::Error },
    #[error("others may read the passfile {0}: run chmod 600 on it (or 640 if root owns it)")]
    Open(String),
    #[error("the passfile {path} has no line for {wanted}: add HOST:PORT:DATABASE:USER:PASSWORD")]
    Missing { path: String, wanted: String },
}

/// What a password is looked up for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The password of the first line that matches.
pub(super) fn look_up(path: &Path, wanted: Wanted<'_>) -> Result<SecretString, PassfileError> {
    let shown = || path.display().to_string();
    let io = |source| PassfileError::Io { path: shown(), source };
    let file = std::fs::metadata(path).map_err(io)?;
    // A secret of Kubernetes is owned by root and readable by the pod's group; libpq takes such a mode of keys, too.
    let forbidden = if file.uid() == 0 { 0o037 } else { 0o077 };
    if file.is_file() && file.mode() & forbidden != 0 {
        return Err(PassfileError::Open(shown()));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    find(&text, wanted).ok_or_else(|| {
        let Wanted { host, port, database, user } = wanted;
        PassfileError::Missing { path: shown(), wanted: format!("{host}:{port}:{database}:{user}") }
    })
}

fn find(text: &str, wanted: Wanted<'_>) -> Option<SecretString> {
    let port = wanted.port.to_string();
    let asked = [wanted.host, &port, wanted.database, wanted.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for asked in asked {
            let (field, after) = field(rest)?;
            if field != "*" && unescaped(field) != asked {
                return None;
            }
            rest = after;
        }
        // What follows a further colon is no part of the password.
        let password = field(rest).map_or(rest, |(password, _)| password);
        Some(unescaped(password).into())
    })
}

/// The text before the next colon that is not escaped, and the text after it.
fn field(line: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b':' if !escaped => return Some((line.get(..at)?, line.get(at + 1..)?)),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    const WANTED: Wanted<'_> = Wanted { host: "db", port: 5432, database: "pod:bell", user: "me" };

    fn found(text: &str) -> Option<String> {
        find(text, WANTED).map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_that_matches_has_the_password() {
        assert_eq!(
            found("# db:5432:*:me:no\nother:*:*:*:no\n*:*:*:me:first\n*:*:*:*:second\n").as_deref(),
            Some("first")
        );
        assert_eq!(found(r"db:5432:pod\:bell:me:a\:b\\c:rest").as_deref(), Some(r"a:b\c"));
        assert_eq!(found("db:5433:*:me:no\ndb:5432\n"), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:secret").unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            look_up(&path, WANTED)
        };
        assert_eq!(with_mode(0o600).unwrap().expose_secret(), "secret");
        assert!(with_mode(0o644).unwrap_err().to_string().contains("chmod 600"));
        assert!(with_mode(0o620).is_err());
    }
}
