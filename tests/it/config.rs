//! podbell.yaml: what it means, what is wrong with it, and where secrets come from.

use std::collections::HashMap;
use std::path::Path;

use podbell::config::{
    Config, Loaded, NotifierKind, SecretRef, ServiceSelection, SourceConfig, StoreConfig, Surroundings, load,
};
use podbell_core::diagnostic::Diagnostic;
use podbell_core::rules::{Field, compile};
use secrecy::ExposeSecret as _;

struct Fake(HashMap<&'static str, &'static str>);

impl Surroundings for Fake {
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

fn good(text: &str) -> Config<SecretRef> {
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
    assert!(matches!(config.store, StoreConfig::Sqlite(path) if path.ends_with("podbell.db") && path.is_absolute()));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert!(!config.has_rules);
    let SourceConfig::Qcloud(source) = &config.sources[0] else { panic!("qcloud") };
    assert_eq!(source.endpoint.as_str(), "https://ccs.api.qcloud.com/v2/index.php");
    assert_eq!(source.time_zone.iana_name(), Some("Asia/Shanghai"));
    assert_eq!((source.poll_every.as_secs(), source.first_poll_window.as_secs()), (60, 600));
    assert_eq!(source.requests_per_second, 10);
    let names = ["web", "api"].map(str::to_owned).to_vec();
    let expected = ServiceSelection::Named { cluster: "c".into(), namespace: "shop".into(), names };
    assert_eq!(source.services, [expected]);
}

#[test]
fn secrets_are_put_in_and_never_shown() {
    let around = Fake(HashMap::from([
        ("ID", "AKID"),
        ("key.txt", "k3y\n"),
        ("TOKEN", "t0ken"),
        ("HOOK", "https://example.com/h00k"),
        ("SECRET", "s3cret"),
    ]));
    let config = good(SMALL).resolve(&around).unwrap();
    let SourceConfig::Qcloud(source) = &config.sources[0] else { panic!("qcloud") };
    assert_eq!(source.secret_key.expose_secret(), "k3y");
    let NotifierKind::Slack { url } = &config.notifiers[0].kind else { panic!("slack") };
    assert_eq!(url.expose_secret(), "https://hooks.example.com/${x}/t0ken");
    let shown = format!("{config:?}{:?}", good(SMALL));
    for secret in ["AKID", "k3y", "t0ken", "h00k", "s3cret", "hooks.example.com"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn a_webhook_signs_with_one_secret_or_with_two_while_one_replaces_the_other() {
    let around = Fake(HashMap::from([("NEW", "bmV3"), ("OLD", "b2xk")]));
    for (secret, expected) in [("\"${NEW}\"", vec!["bmV3"]), ("[\"${NEW}\", \"${OLD}\"]", vec!["bmV3", "b2xk"])] {
        let text = format!(
            "sources: [{{name: f, kind: file, path: \"-\"}}]\nnotifiers:\n  - {{name: h, kind: webhook, url: \"https://e.com/x\", secret: {secret}}}\n"
        );
        let config = good(&text).resolve(&around).unwrap();
        let NotifierKind::Webhook { secrets, .. } = &config.notifiers[0].kind else { panic!("webhook") };
        assert_eq!(secrets.iter().map(|secret| secret.expose_secret()).collect::<Vec<_>>(), expected);
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
    assert_eq!(errors[2], "the secret for notifiers: hook: url is no http(s) address");
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
    insta::assert_snapshot!(said(&loaded.diagnostics).replace(_folder.path().to_str().unwrap(), "FOLDER"));
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
    assert_eq!(config.store, StoreConfig::Sqlite(folder.path().join("data/p.db")));
    assert_eq!(config.http.ca_file, Some(folder.path().join("ca.pem")));
}

fn with_chat(chat: &str) -> String {
    format!("{SMALL}chats:\n  - {{name: ops, kind: slack, {chat}}}\n")
}

#[test]
fn a_chat_is_read_with_what_each_channel_sees() {
    use podbell::config::ChatKind;
    use podbell_core::event::Target;
    let config = good(&with_chat(
        "app_token: \"${APP}\", teams: T1, channels: [C1, {id: C2, namespace: [shop, \"shop-*\"], read_only: true}]",
    ));
    let [chat] = config.chats.as_slice() else { panic!("{:?}", config.chats) };
    let ChatKind::Slack(slack) = &chat.kind else { panic!() };
    assert_eq!((chat.name.as_str(), slack.api.as_str(), slack.connections), ("ops", "https://slack.com/api", 1));
    assert!(slack.signing_secret.is_none() && slack.bot_token.is_none() && slack.access.users.is_none());
    let channels = slack.access.channels.as_ref().unwrap();
    assert!(channels["C1"].scope.is_everything() && !channels["C1"].read_only && channels["C2"].read_only);
    let target = |namespace| Target::new("prod", "c", namespace, "web");
    assert!(channels["C2"].scope.sees(&target("shop-eu")) && !channels["C2"].scope.sees(&target("bank")));
    assert!(good(SMALL).chats.is_empty());
    let config = config.resolve(&Fake(HashMap::from([
        ("ID", "a"),
        ("key.txt", "b"),
        ("TOKEN", "c"),
        ("HOOK", "https://x.example.com"),
        ("SECRET", "ZGRkZA=="),
        ("APP", "xapp-1-secret"),
    ])));
    let config = config.unwrap();
    let ChatKind::Slack(slack) = &config.chats[0].kind else { panic!() };
    assert_eq!(slack.app_token.as_ref().unwrap().expose_secret(), "xapp-1-secret");
    assert!(!format!("{config:?}").contains("xapp-1-secret"));
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
        ("app_token: xapp-1, channels: [C1, {id: C1}]", "the channel C1 is there twice", "its keys take lists"),
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
    use podbell::config::ChatKind;
    use podbell_core::message::Language;
    let with = |chat: &str| format!("{SMALL}chats:\n  - {{name: wx, {chat}}}\n");
    let config =
        good(&with("kind: wecom-bot, bot_id: b1, secret: \"${S}\", channels: [direct, {id: g1, namespace: shop}]"));
    let [chat] = config.chats.as_slice() else { panic!("{:?}", config.chats) };
    assert_eq!((chat.language, chat.time_zone.iana_name()), (Language::Zh, Some("Asia/Shanghai")));
    let ChatKind::WecomBot(bot) = &chat.kind else { panic!() };
    assert_eq!((bot.bot_id.as_str(), bot.endpoint.as_str()), ("b1", "wss://openws.work.weixin.qq.com/"));
    let channels = bot.access.channels.as_ref().unwrap();
    assert!(channels["direct"].scope.is_everything() && !channels["g1"].scope.is_everything());
    let config = good(&with(
        "kind: wecom-app, corp_id: ww1, token: t, encoding_aes_key: \"${K}\", agent_id: 1000002, language: en, time_zone: UTC",
    ));
    assert_eq!((config.chats[0].language, config.chats[0].time_zone.iana_name()), (Language::En, Some("UTC")));
    let ChatKind::WecomApp(app) = &config.chats[0].kind else { panic!() };
    assert_eq!((app.corp_id.as_str(), app.agent_id.as_deref()), ("ww1", Some("1000002")));
    for (chat, message, help) in [
        ("kind: wecom-bot, bot_id: b, secret: s, token: t", "unknown key `token`", "kind: wecom-app"),
        ("kind: wecom-bot, bot_id: b, secret: s, url: x", "unknown key `url`", "belongs to `notifiers`"),
        ("kind: wecom-bot, bot_id: b, secret: s, endpoint: \"https://x\"", "is no ws(s) address", "wss://"),
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
