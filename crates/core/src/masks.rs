//! Masks secrets in text that programs wrote, by what secrets look like. It cannot know all of them: who must be sure
//! leaves logs where they are, which is the default.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Secrets that are known by their own form; the group `keep`, if there is one, stays.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    const FORMS: [&str; 10] = [
        // A private key, also one whose end was cut off.
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)",
        // A password in an address: scheme://user:secret@host, or user:secret@tcp(host). It may have an `@`, and a slash
        // unless what is before the slash is a port.
        r"(?P<keep>://[^\s:/@\[]*:)([^\s/'\x22]*|[^\s/'\x22]*[^\d\s/'\x22][^\s'\x22]*|[^\s@/]+)@",
        r"(?P<keep>\b[\w.-]+:)([^\s'\x22(]+|[^\s@:/]+)@(tcp|unix)\(",
        // Headers that carry a credential: one word after a scheme that is known, else two words.
        r"(?i)(?P<keep>\b(proxy-)?authorization['\x22\\]*\s*[:=]\s*\[?['\x22\\]*)((?P<scheme>(bearer|basic|token|digest)[ \t]+)[^\s'\x22,;\\\]]+|[^\s'\x22,;\\\]]+([ \t]+[^\s'\x22,;\\\]]+)?)",
        r"(?i)(?P<keep>\bbearer\s+)[\w.~+/=-]{8,}",
        r"(?i)(?P<keep>\b(set-)?cookie['\x22]?\s*[:=]\s*)[^\r\n]+",
        // A web token.
        r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
        // Keys of clouds and services, by their prefixes.
        r"\b((AKIA|ASIA)[0-9A-Z]{16}|AKID[0-9A-Za-z]{32}|LTAI[0-9A-Za-z]{12,30}|AIza[\w-]{35}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|npm_\w{30,}|xox[abeoprs]-[\w-]{10,}|(sk|rk|pk)_(live|test)_\w{10,}|sk-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,})\b",
        // The signature of an address.
        r"(?i)(?P<keep>[?&]sig=)[^\s&'\x22]+",
        // The address of a webhook is its secret.
        r"(?P<keep>https?://[^\s/'\x22]+/)[^\s'\x22]*(hook[^\s'\x22]*/[^\s'\x22]+|hook[^\s'\x22]*\?[^\s'\x22]+|services/T[^\s/'\x22]+/B[^\s/'\x22]+/[^\s'\x22]+)",
    ];
    FORMS.iter().filter_map(|form| Regex::new(form).ok()).collect()
});

/// A name that says secret, and its value: in JSON, YAML, an environment, a query, or words.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?imx)
        (?P<name>[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|credential|signature)[\w.-]*|[\w.-]+[_.-]pass)
        (?P<between>['"\\]*\s*[:=]\s*)
        (?P<value>\\"(?:\\\\\\"|\\[^"]|[^"\\\r\n])*(?:\\"|"|$)|"(?:\\.|[^"\\\r\n])*"|"[^\s,}\]"](?:\\.|[^"\\\r\n])*\\?\r?$|'[^'\r\n]*'|'[^\s,}\]'"][^'"\r\n]*\r?$|[^\s'",;&}\]]+)
        "#,
    )
    .ok()
});

/// A variable of an environment whose name says secret: its value goes up to the next blank, whatever is in it.
static VARIABLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (?P<name>\b[A-Z0-9_]*(?:PASSW(?:OR)?D|PASSPHRASE|PWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|ACCOUNT_?KEY|CREDENTIAL|SIGNATURE)[A-Z0-9_]*|\b[A-Z0-9_]+_PASS)
        (?P<between>=)
        (?P<value>(?:[^\s'"\\]|\\[^\s'"])+)
        "#,
    )
    .ok()
});

/// A long run of letters and digits that no word is.
static RANDOM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{40,}={0,2}").ok());

/// The text with every secret replaced that is recognised.
pub fn mask(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    for form in FORMS.iter() {
        let replaced = form.replace_all(&text, |found: &Captures<'_>| {
            let end = found.get(0).map_or("", |all| all.as_str());
            // What follows a password in an address is no secret.
            let rest = ["@tcp(", "@unix(", "@"].into_iter().find(|rest| end.ends_with(rest)).unwrap_or_default();
            let group = |name| found.name(name).map_or("", |group| group.as_str());
            format!("{}{}{MASK}{rest}", group("keep"), group("scheme"))
        });
        text = Cow::Owned(replaced.into_owned());
    }
    if let Some(variable) = VARIABLE.as_ref() {
        text = Cow::Owned(variable.replace_all(&text, variable_masked).into_owned());
    }
    if let Some(named) = NAMED.as_ref() {
        text = Cow::Owned(named.replace_all(&text, value_masked).into_owned());
    }
    match RANDOM.as_ref() {
        Some(random) => random.replace_all(&text, |found: &Captures<'_>| random_masked(&found[0])).into_owned(),
        None => text.into_owned(),
    }
}

/// Other variables may follow without a blank, and brackets around all of them.
fn variable_masked(found: &Captures<'_>) -> String {
    let value = &found["value"];
    let is_assignment = |text: &str| {
        text.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let next = value.match_indices([';', ',', '&']).find(|(at, _)| is_assignment(&value[at + 1..]));
    let end = next.map_or_else(|| value.trim_end_matches([']', '}', ')', ',', ';']).len(), |(at, _)| at);
    match value[..end].trim_start_matches('*').is_empty() {
        true => found[0].to_owned(),
        false => format!("{}={MASK}{}", &found["name"], &value[end..]),
    }
}

fn value_masked(found: &Captures<'_>) -> String {
    let value = &found["value"];
    let quote = ["\\\"", "\"", "'"].into_iter().find(|quote| value.starts_with(quote)).unwrap_or_default();
    let bare = value.trim_matches(['"', '\'', '\\']);
    // "token: expired" says something; a secret has a digit, or is in quotes, or is long.
    let quoted = !quote.is_empty();
    let is_word = bare.chars().all(|c| c.is_ascii_lowercase()) && bare.len() < 12 && !found["between"].contains('=');
    if bare.is_empty() || bare.starts_with(MASK) || (is_word && !quoted) {
        return found[0].to_owned();
    }
    format!("{}{}{quote}{MASK}{quote}", &found["name"], &found["between"])
}

/// Hashes of commits and images are no secrets, paths and words with dashes neither.
fn random_masked(text: &str) -> String {
    let has = |class: fn(&char) -> bool| text.chars().any(|c| class(&c));
    let hex = text.chars().all(|c| c.is_ascii_hexdigit());
    let mixed = has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    // A path has a slash every few characters, a name a dash.
    let longest = text.split(['/', '-', '_']).map(str::len).max().unwrap_or_default();
    if mixed && !hex && longest >= 24 { MASK.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_one() {
        assert!(FORMS.len() == 10 && VARIABLE.is_some() && NAMED.is_some() && RANDOM.is_some());
    }

    #[test]
    fn secrets_of_many_kinds_are_masked_and_what_is_around_them_stays() {
        let cases = [
            ("connect postgres://app:s3cr3t@db:5432/shop failed", "connect postgres://app:***@db:5432/shop failed"),
            ("dial root:hunter2@tcp(10.0.0.1:3306)/shop", "dial root:***@tcp(10.0.0.1:3306)/shop"),
            ("DB_PASSWORD=hunter2 DB_HOST=db", "DB_PASSWORD=*** DB_HOST=db"),
            (r#"{"password": "correct horse", "user": "app"}"#, r#"{"password": "***", "user": "app"}"#),
            (r#"msg="{\"apiKey\":\"abc123\"}""#, r#"msg="{\"apiKey\":\"***\"}""#),
            ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
            ("authorization=Basic dXNlcjpwYXNz, next", "authorization=Basic ***, next"),
            ("Cookie: session=abc; other=def", "Cookie: ***"),
            ("key AKIAIOSFODNN7EXAMPLE is refused", "key *** is refused"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl expired", "jwt *** expired"),
            ("use ghp_0123456789abcdefghij0123456789abcdef", "use ***"),
            ("xoxb-123456789012-abcdefghij said no", "*** said no"),
            ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "***"),
            (
                "posting to https://chat.example.com/services/T0/B0/xyz failed",
                "posting to https://chat.example.com/*** failed",
            ),
            ("https://chat.example.com/cgi-bin/webhook/send?key=693a91f6", "https://chat.example.com/***"),
            ("GET /v1?access_token=abc123&page=2", "GET /v1?access_token=***&page=2"),
            (r#"msg="{\"token\":\"s3cret1"#, r#"msg="{\"token\":\"***\""#),
            ("secret_key: 'a b c'", "secret_key: '***'"),
            ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "***"),
            (r#"{"password":"Tr0ub\u0026dor","user":"app"}"#, r#"{"password":"***","user":"app"}"#),
            (r#"{"password":"ab\"cd","user":"app"}"#, r#"{"password":"***","user":"app"}"#),
            (r#"{"password":"a\/b\\c","n":1}"#, r#"{"password":"***","n":1}"#),
            (r#"msg="{\"token\":\"a\\u0026b\\\"c\",\"n\":1}""#, r#"msg="{\"token\":\"***\",\"n\":1}""#),
            ("Authorization: ApiKey VnVhQ2ZHY0JDZGJr", "Authorization: ***"),
            (
                "headers map[Accept:[*/*] Authorization:[Bearer s3cr3t]] sent",
                "headers map[Accept:[*/*] Authorization:[Bearer ***]] sent",
            ),
            ("headers map[Authorization:[s3cr3t]] sent", "headers map[Authorization:[***]] sent"),
            (r#"{"Authorization":"GenieKey 0a1b-2c"}"#, r#"{"Authorization":"***"}"#),
            ("connect postgres://app:p@ss@db:5432/shop failed", "connect postgres://app:***@db:5432/shop failed"),
            ("connect amqp://u:pa/ss@h/v failed", "connect amqp://u:***@h/v failed"),
            ("redis://:s3c/ret@cache:6379/0", "redis://:***@cache:6379/0"),
            ("dial root:p@ss@tcp(db:3306)/shop", "dial root:***@tcp(db:3306)/shop"),
            ("Authorization: Bearer abc.def-123 status=401", "Authorization: Bearer *** status=401"),
            ("postgres://u:pa'ss@db/x", "postgres://u:***@db/x"),
            ("DB_PASS=hunter2 SMTP_PASS: x1", "DB_PASS=*** SMTP_PASS: ***"),
            ("AccountName=a;AccountKey=Zm9vYmFy;Endpoint=b", "AccountName=a;AccountKey=***;Endpoint=b"),
            (
                "GET https://a.blob.example.com/c?sv=1&sig=abc%3D&se=2",
                "GET https://a.blob.example.com/c?sv=1&sig=***&se=2",
            ),
            (
                "{\"user\":\"app\",\"password\":\"hunter2\nnext line",
                "{\"user\":\"app\",\"password\":\"***\"\nnext line",
            ),
            ("password: 'abc1", "password: '***'"),
            ("{\"token\":\"ab\\", "{\"token\":\"***\""),
            ("DB_PASSWORD=k9]Rf;2&x DB_HOST=db", "DB_PASSWORD=*** DB_HOST=db"),
            (r#"{"env":["DB_PASSWORD=a\u0026bcd9"]}"#, r#"{"env":["DB_PASSWORD=***"]}"#),
            (r"DB_PASSWORD=ab\cd9 x", "DB_PASSWORD=*** x"),
            ("Server=db;UID=sa;PWD=x1;Database=shop failed", "Server=db;UID=sa;PWD=***;Database=shop failed"),
            ("[A=b TOKEN=a1,HOST=c]", "[A=b TOKEN=***,HOST=c]"),
            ("[DB_PASSWORD=a1]", "[DB_PASSWORD=***]"),
            (r#"{"env":["DB_PASSWORD=k9,Rf","A=b"]}"#, r#"{"env":["DB_PASSWORD=***","A=b"]}"#),
            ("value Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3A9 read", "value *** read"),
        ];
        for (text, masked) in cases {
            assert_eq!(mask(text), masked, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for text in [
            "error: token: expired",
            "panic: runtime error: index out of range [3] with length 3",
            "pulled sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "at com.example.shop.checkout.PaymentServiceImplementation.authorize(PaymentServiceImplementation.java:42)",
            "open /var/lib/kubelet/pods/0c4d3a9e-7f3e-4a52-9a1c-3f7d4b0d8f8e/volumes/kubernetes.io~secret/config",
            "dial tcp 10.0.0.1:5432: connect: connection refused",
            "http://db:5432/path and user@example.com",
            "passwordless login is on",
            r#"{"t":1,"msg":"Enter password: "}"#,
            r#"{"msg":"Unexpected token: ' in x","level":"error"}"#,
            r#"msg="invalid token: " status=401 path=/x"#,
            "http://db:5432/users?mail=user@example.com is 404",
            "tests: pass=12 fail=0",
            "http://[fd00::1]:8080/u?mail=a@b",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
