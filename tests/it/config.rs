//! podbell.yaml: what it means, what is wrong with it, and where secrets come from.

use std::collections::HashMap;
use std::path::Path;

use secrecy::ExposeSecret as _;

use podbell::config::{Config, Loaded, Unresolved, load};
use podbell::settings::{Environment, SecretError};
use podbell::sources::Rhythm;
use podbell_core::diagnostic::Diagnostic;
use podbell_core::rule::Field;
use podbell_core::rules::compile;
use podbell_store::Location;

struct Fake(HashMap<&'static str, &'static str>);

impl Environment for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        self.variable(path.file_name().unwrap().to_str().unwrap()).ok_or(std::io::ErrorKind::NotFound.into())
    }
}

fn loaded(text: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Loaded) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain(&[("podbell.yaml", text)]) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let loaded = load(&folder.path().join("podbell.yaml"));
    (folder, loaded)
}

fn good(text: &str) -> Config<Unresolved> {
    let (_folder, loaded) = loaded(text, &[]);
    assert_eq!(said(&loaded.diagnostics), "", "{text}");
    loaded.config.unwrap()
}

/// Findings as `line:column: message (help)`.
fn said(diagnostics: &[Diagnostic]) -> String {
    let one = |diagnostic: &Diagnostic| {
        let (line, column) = diagnostic.source.position(diagnostic.span.start);
        let help = diagnostic.help.as_deref().unwrap_or("");
        format!("{line}:{column}: {}: {} ({help})\n", diagnostic.gravity.as_str(), diagnostic.message)
    };
    diagnostics.iter().map(one).collect()
}

const SMALL: &str = r#"
sources:
  - {name: prod, kind: qcloud, region: gz, secret_id: "${ID}", secret_key: {file: key.txt}, services: [{cluster: c, namespace: shop, names: [web, api]}]}
notifiers:
  - {name: team, kind: slack, url: "https://hooks.example.com/$${x}/${TOKEN}"}
  - {name: hook, kind: webhook, url: "${HOOK}", secret: "${SECRET}"}
"#;

#[test]
fn a_small_file_gets_all_defaults() {
    let config = good(SMALL);
    assert_eq!(config.operator.notify.iter().map(|name| &**name).collect::<Vec<_>>(), ["team"]);
    let store = store(&config, &[]).unwrap();
    assert!(matches!(store, Location::Sqlite(path) if path.ends_with("podbell.db") && path.is_absolute()));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert!(!config.has_rules);
    let facts = &config.sources[0].facts;
    assert_eq!(facts.time_zone.iana_name(), Some("Asia/Shanghai"));
    let minute = std::time::Duration::from_secs(60);
    assert_eq!((facts.rhythm, facts.first_poll_window), (Rhythm::Polls { every: minute, really: minute }, 10 * minute));
    let source = format!("{:?}", complete(config).sources[0].source);
    for said in ["ccs.api.qcloud.com", "requests_per_second: 10,", "namespace: \"shop\", names: [\"web\", \"api\"]"] {
        assert!(source.contains(said), "{source}");
    }
}

/// With secrets, whatever they are.
fn complete(config: Config<Unresolved>) -> Config {
    struct Any;
    impl Environment for Any {
        fn variable(&self, name: &str) -> Option<String> {
            Some(match name {
                "HOOK" => "https://example.com/hook".to_owned(),
                "APP" => "xapp-1-secret".to_owned(),
                "K" => "k".repeat(43),
                _ => "c2VjcmV0cw==".to_owned(),
            })
        }
        fn file(&self, _: &Path) -> std::io::Result<String> {
            Ok("key".to_owned())
        }
    }
    config.resolve(&Any).unwrap()
}

#[test]
fn secrets_are_put_in_and_never_shown() {
    let around = Fake(HashMap::from([
        ("ID", "AKID"),
        ("key.txt", "k3y\n"),
        ("TOKEN", "t0ken"),
        ("HOOK", "https://example.com/h00k"),
        ("SECRET", "c2VjcmV0"),
    ]));
    let partly = good(SMALL).resolve_partly(&around);
    let known: Vec<&str> = partly.known.iter().map(|secret| secret.expose_secret()).collect();
    let url = "https://hooks.example.com/${x}/t0ken";
    assert_eq!(known, ["AKID", "k3y", url, "https://example.com/h00k", "c2VjcmV0"]);
    let config = partly.config;
    let shown = format!("{config:?}{:?}", good(SMALL));
    for secret in ["AKID", "k3y", "t0ken", "h00k", "c2VjcmV0", "hooks.example.com"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn a_webhook_signs_with_one_secret_or_with_two_while_one_replaces_the_other() {
    let around = Fake(HashMap::from([("NEW", "bmV3"), ("OLD", "b2xk")]));
    for (secret, expected) in [("\"${NEW}\"", 1), ("[\"${NEW}\", \"${OLD}\"]", 2)] {
        let text = format!(
            "sources: [{{name: f, kind: file, path: \"-\"}}]\nnotifiers:\n  - {{name: h, kind: webhook, url: \"https://e.com/x\", secret: {secret}}}\n"
        );
        let config = good(&text).resolve(&around).unwrap();
        assert_eq!(format!("{:?}", config.notifiers[0].platform), format!("Webhook {{ keys: {expected} }}"));
    }
}

#[test]
fn every_missing_secret_is_named_with_its_place() {
    let around = Fake(HashMap::from([("ID", " "), ("HOOK", "s3cret"), ("TOKEN", "x")]));
    let errors = good(SMALL).resolve(&around).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors[0], "the secret for sources: prod: secret_id is empty");
    assert!(errors[1].starts_with("cannot read the secret file /"), "{}", errors[1]);
    assert!(errors[1].ends_with("(needed for sources: prod: secret_key)"), "{}", errors[1]);
    assert_eq!(errors[2], "the secret for notifiers: hook: url is not an http(s) address");
    assert_eq!(errors[3], "the environment variable SECRET is not set (needed for notifiers: hook: secret)");
    assert_eq!(errors.len(), 4);
}

#[test]
fn mistakes_are_listed_all_at_once() {
    let (_folder, loaded) = loaded(
        r#"
sources:
  - {name: prod, kind: qcloud, region: gz, secret_id: "${ID", secret_key: 1, signature_method: HmacSha256, time_zone: Asia/Shanhai, services: []}
  - {name: prod, kind: kubernetes, namespaces: ["shop-*", a, a], watch_for: 1s, service_labels: [], contexts: [x]}
  - {name: "a b", kind: file}
  - {name: c, kind: qcloud, services: [{cluster: x}, {cluster: y, discover: true, names: [a]}, {cluster: z, namespace: n, names: [a, a]}], polls: 1}
notifier: []
notifiers:
  - {name: team, kind: slak, url: "https://x"}
  - {name: team, kind: slack, token: x, language: cn}
  - {name: hook, kind: webhook, url: "ftp://x"}
mentions: {"@oncall": {slak: S1}}
rules: [{file: a.yaml}, {files: nothing.yaml, scope: {namespaces: a}, may_notify: [tam]}]
operator: {notify: [temm], heartbeat: {every: 5}}
store: postgres://x
server: {listen: localhost, public_url: podbell.example.com}
http: {proxy: null, ca_file: 1, no_proxy: a}
"#,
        &[],
    );
    insta::assert_snapshot!(said(&loaded.findings()).replace(_folder.path().to_str().unwrap(), "FOLDER"));
}

#[test]
fn a_pace_that_cannot_be_held_is_said() {
    let pace = |services: usize, rate: usize| {
        let names: Vec<String> = (0..services).map(|i| format!("s{i}")).collect();
        let text = SMALL
            .replace("[web, api]", &format!("[{}]", names.join(", ")))
            .replace("region: gz", &format!("region: gz, requests_per_second: {rate}"));
        said(&loaded(&text, &[]).1.diagnostics)
    };
    assert_eq!(pace(600, 10), "");
    let slow = pace(900, 10);
    assert!(slow.contains("warning: 900 services at 10 requests a second take 90 s a round, not 60 s"), "{slow}");
    let names = |n: usize, i: usize| (0..n).map(|k| format!("s{i}-{k}")).collect::<Vec<_>>().join(", ");
    let selections: Vec<String> =
        (0..5).map(|i| format!("{{cluster: c, namespace: shop, names: [{}]}}", names(1000, i))).collect();
    let text = SMALL
        .replace("{cluster: c, namespace: shop, names: [web, api]}", &selections.join(", "))
        .replace("region: gz", "region: gz, requests_per_second: 1");
    let hours = said(&loaded(&text, &[]).1.diagnostics);
    assert!(hours.contains("error: 5000 services at 1 requests a second take 84 min a round"), "{hours}");
}

#[test]
fn rule_files_are_read_in_the_order_of_entries_and_bytewise() {
    let rule = |name: &str| format!("version: 1\nrules:\n  - {{name: {name}, match: {{reason: a}}, notify: team}}\n");
    let text = format!(
        "{SMALL}rules:\n  - {{files: [rules/*.yaml, extra.yaml], scope: {{namespace: shop}}, may_notify: [team]}}\n  - \"*.yaml\"\n  - none/*.yaml\n"
    );
    let files = [
        ("rules/b.yaml", rule("b")),
        ("rules/B.yaml", rule("upper")),
        ("rules/a.yaml", rule("a")),
        ("rules/.hidden.yaml", rule("hidden")),
        ("rules/note.txt", rule("note")),
        ("extra.yaml", rule("extra")),
        ("zz.yaml", rule("zz")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (_folder, loaded) = loaded(&text, &files);
    let order: Vec<(u32, &str)> = loaded.rule_files.iter().map(|file| (file.entry, &*file.source.name)).collect();
    assert_eq!(
        order,
        [
            (0, "rules/B.yaml"),
            (0, "rules/a.yaml"),
            (0, "rules/b.yaml"),
            (0, "extra.yaml"),
            (1, "podbell.yaml"),
            (1, "zz.yaml")
        ]
    );
    let warnings = said(&loaded.findings());
    assert!(!loaded.has_errors(), "podbell starts");
    assert!(warnings.contains("`extra.yaml` was read already"), "{warnings}");
    assert!(warnings.contains("`none/*.yaml` matches no file"), "{warnings}");
    let compiled = compile(&loaded.rule_files[0]);
    let rule = &compiled.rules[0].rule;
    assert_eq!(rule.scopes[0].keys()[0].0, Field::Namespace);
    assert_eq!(rule.settings.key.to_string(), "rules/B.yaml:upper");
}

#[test]
fn paths_start_at_the_folder_of_podbell_yaml() {
    let (folder, loaded) = loaded(&format!("{SMALL}store: sqlite:data/p.db\nhttp: {{ca_file: ca.pem}}\n"), &[]);
    let config = loaded.config.unwrap();
    assert_eq!(store(&config, &[]), Ok(Location::Sqlite(folder.path().join("data/p.db"))));
    assert_eq!(config.http.ca_file, Some(folder.path().join("ca.pem")));
}

#[test]
fn a_database_is_a_store_and_its_password_is_shown_nowhere() {
    let address = "postgres://podbell:s3cret@db.example.com:6432/alerts?sslmode=verify-full";
    let (_folder, loaded) = loaded(&format!("{SMALL}store: {address}\n"), &[]);
    let config = loaded.config.unwrap();
    assert_eq!(store(&config, &[]).unwrap().to_string(), "postgres://podbell@db.example.com:6432/alerts");
    assert!(!format!("{config:?}").contains("s3cret"));
    let wrong = address.replace("verify-full", "on");
    let (_folder, loaded) = self::loaded(&format!("{SMALL}store: {wrong}\n"), &[]);
    let said = said(&loaded.diagnostics);
    assert!(said.contains("sslmode=on is not known") && !said.contains("s3cret"), "{said}");
}

#[test]
fn the_address_of_a_database_comes_from_a_variable_or_a_file_too() {
    let address = "postgres://podbell:s3cret@db/alerts";
    for written in ["\"${DATABASE}\"", "{file: /etc/db/DATABASE}", "postgres://podbell:${PASSWORD}@db/alerts"] {
        let config = good(&format!("{SMALL}store: {written}\n"));
        let around = [("DATABASE", address), ("PASSWORD", "s3cret")];
        assert_eq!(store(&config, &around).unwrap().to_string(), "postgres://podbell@db/alerts");
        let known = config.resolve_partly(&Fake(around.into())).known;
        assert!(known.iter().any(|secret| secret.expose_secret() == "s3cret"), "{written}");
    }
    let config = good(&format!("{SMALL}store: \"${{DATABASE}}\"\n"));
    let missing = store(&config, &[]).unwrap_err();
    assert_eq!(missing.to_string(), "the environment variable DATABASE is not set (needed for store)");
    let wrong = store(&config, &[("DATABASE", "mysql://s3cret@db")]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the secret for store is no address of a store; write postgres://USER:PASSWORD@HOST/DATABASE"
    );
    assert!(config.resolve_partly(&Fake(HashMap::new())).store.is_none());
}

/// Where a configuration's store is, in this environment.
fn store(config: &Config<Unresolved>, around: &[(&'static str, &'static str)]) -> Result<Location, SecretError> {
    config.store.location(&Fake(around.iter().copied().collect()))
}

fn with_chat(chat: &str) -> String {
    format!("{SMALL}chats:\n  - {{name: ops, kind: slack, {chat}}}\n")
}

#[test]
fn a_chat_is_read_with_what_each_channel_sees() {
    let config = good(&with_chat(
        "app_token: \"${APP}\", teams: T1, channels: [C1, {id: C2, namespace: [shop, \"shop-*\"], read_only: true}]",
    ));
    assert!(good(SMALL).chats.is_empty());
    let config = complete(config);
    let [chat] = config.chats.as_slice() else { panic!("{:?}", config.chats) };
    insta::assert_snapshot!(format!("{:#?}", chat.chat));
    assert!(!format!("{config:?}").contains("xapp-1-secret"));
}

/// Messages name where somebody did something.
#[test]
fn a_chat_cannot_be_called_as_the_status_page_is() {
    let text = with_chat("app_token: xapp-1").replace("name: ops", "name: page");
    let (_folder, loaded) = loaded(&text, &[]);
    let said = said(&loaded.diagnostics);
    assert!(said.starts_with("8:") && said.contains("a chat cannot be called `page`"), "{said}");
}

#[test]
fn mistakes_in_a_chat_say_what_to_do() {
    for (chat, message, help) in [
        ("bot_token: \"${B}\"", "nothing reaches the chat `ops`: it has no secret", "app-level token"),
        ("app_token: xoxb-1", "does not begin with xapp-", "Slack shows it"),
        ("signing_secert: x, app_token: xapp-1", "unknown key `signing_secert`", "did you mean `signing_secret`?"),
        ("token: x, app_token: xapp-1", "unknown key `token`", "`app_token`"),
        ("url: \"https://x\", app_token: xapp-1", "unknown key `url`", "belong to `notifiers`"),
        ("app_token: xapp-1, channels: [\"#ops\"]", "`#ops` is not the id of a channel", "Names can be taken"),
        ("app_token: xapp-1, channels: [C1, {id: C1}]", "the channel C1 is there twice", "take lists"),
        ("app_token: xapp-1, teams: []", "allows nobody", "leave the key out"),
        ("app_token: xapp-1, channels: [{id: C1, namespace: []}]", "`namespace` lists nothing", "leave the key out"),
        ("app_token: xapp-1, channels: [{id: C1, service: \"/(/\"}]", "", "backslash"),
    ] {
        let (_folder, loaded) = loaded(&with_chat(chat), &[]);
        let said = said(&loaded.diagnostics);
        assert!(said.contains(message) && said.contains(help) && said.lines().count() == 1, "{chat}: {said}");
        assert!(said.starts_with("8:"), "{said}");
    }
}

#[test]
fn wecom_s_chats_read_chinese_on_china_s_clock_and_their_mistakes_say_what_to_do() {
    let with = |chat: &str| format!("{SMALL}chats:\n  - {{name: wx, {chat}}}\n");
    let bot = "kind: wecom-bot, bot_id: b1, secret: \"${S}\", channels: [direct, {id: g1, namespace: shop}]";
    let app = "kind: wecom-app, corp_id: ww1, token: t, encoding_aes_key: \"${K}\", agent_id: 1000002, language: en, time_zone: UTC";
    let chats = [bot, app].map(|chat| format!("{:#?}", complete(good(&with(chat))).chats[0].chat));
    insta::assert_snapshot!(chats.join("\n"));
    for (chat, message, help) in [
        ("kind: wecom-bot, bot_id: b, secret: s, token: t", "unknown key `token`", "kind: wecom-app"),
        ("kind: wecom-bot, bot_id: b, secret: s, url: x", "unknown key `url`", "belongs to `notifiers`"),
        (
            "kind: wecom-bot, bot_id: b, secret: s, endpoint: \"https://x\"",
            "is not an address that begins with wss://",
            "wss://",
        ),
        ("kind: wecom-bot, bot_id: b, secret: s, users: [\"a b\"]", "`a b` is not the id of a user", "Names can be"),
        ("kind: wecom-bot, bot_id: b, secret: s, users: []", "allows nobody", "leave the key out"),
        ("kind: wecom-bot, bot_id: b, secret: s, channels: [g, g]", "the channel g is there twice", "take lists"),
        ("kind: wecom-app, corp_id: w, token: t, encoding_aes_key: short", "the `encoding_aes_key` of `wx`", "43"),
    ] {
        let (_folder, loaded) = loaded(&with(chat), &[]);
        let said = said(&loaded.diagnostics);
        assert!(said.contains(message) && said.contains(help) && said.lines().count() == 1, "{chat}: {said}");
    }
}

#[test]
fn the_pages_proxy_is_checked_before_anybody_relies_on_it() {
    let of = |page: &str| format!("{SMALL}\nserver: {{page: {page}}}\n");
    let config = good(&of(
        "{language: zh, time_zone: Asia/Shanghai, proxy: {secret: \"${PROOF}\", rights: write, namespace: shop}}",
    ));
    let proxy = config.server.page.proxy.as_ref().unwrap();
    assert_eq!((proxy.header.as_str(), proxy.secret_header.as_str()), ("x-forwarded-user", "x-podbell-proxy"));
    assert!(config.server.has_page() && !proxy.scope.is_everything());
    assert!(!good(SMALL).server.has_page());
    for (page, expected) in [
        ("{proxy: {}}", "secret"),
        ("{proxy: {secret: short}}", "fewer than 16 characters"),
        ("{proxy: {secret: \"${A}\", header: Cookie}}", "`Cookie` cannot be that header"),
        ("{proxy: {secret: \"${A}\", header: \"x y\"}}", "`x y` cannot be that header"),
        ("{proxy: {secret: \"${A}\", header: X-A, secret_header: x-a}}", "are the same"),
        ("{proxy: {secret: \"${A}\", rights: admin}}", "rights"),
        ("{language: fr}", "fr"),
        ("{time_zone: Asia/Shanhai}", "Shanhai"),
        ("{off: true}", "off"),
    ] {
        let findings = said(&loaded(&of(page), &[]).1.diagnostics);
        assert!(findings.contains("error") && findings.contains(expected), "{page}: {findings}");
    }
}

#[test]
fn what_people_also_call_a_platform_names_the_kind_that_they_mean() {
    for (section, kind, meant) in [
        ("notifiers", "lark-app", "feishu-app"),
        ("notifiers", "企业微信", "wecom"),
        ("notifiers", "msteams", "teams"),
        ("notifiers", "smtp", "email"),
        ("sources", "k8s", "kubernetes"),
        ("chats", "lark-app", "feishu-app"),
    ] {
        let (_folder, loaded) = loaded(&format!("{section}: [{{name: n, kind: {kind}}}]\n"), &[]);
        let said = said(&loaded.diagnostics);
        let hint = format!("did you mean `{meant}`?");
        assert!(said.contains(&format!("`{kind}` is not a kind of")) && said.contains(&hint), "{kind}: {said}");
    }
    // A kind that the section does not have is no hint.
    let (_folder, loaded) = loaded("chats: [{name: n, kind: wechat}]\n", &[]);
    assert!(!said(&loaded.diagnostics).contains("did you mean"));
}
