//! Schemas for editors and the readers of podbell know the same keys and refuse the same mistakes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::process::podbell;
use crate::support::schema::{faults, faults_of};
use podbell::config;
use podbell_core::diagnostic::{Diagnostic, Source};
use podbell_core::rules::settings::Partial;
use podbell_core::rules::{Names, RuleFile, compile};
use podbell_core::{ruletest, yaml};

#[derive(Clone, Copy, Debug)]
enum Of {
    Rules,
    Config,
    Tests,
}

impl Of {
    fn schema(self) -> Value {
        match self {
            Self::Rules => podbell_core::rules::file_keys::schema(),
            Self::Config => config::schema(),
            Self::Tests => ruletest::keys::schema(),
        }
    }

    /// The errors that the reader finds in a file with this text.
    fn errors(self, text: &str) -> Vec<Diagnostic> {
        let source = Source::new("file.yaml", text);
        let found = match self {
            Self::Rules => {
                let (scope, names, defaults) = (None, Names::default(), Partial::default());
                compile(&RuleFile { source, entry: 0, scope, names, defaults }).diagnostics
            }
            Self::Tests => ruletest::read(&source).1,
            Self::Config => {
                let folder = tempfile::tempdir().unwrap();
                std::fs::write(folder.path().join("r.yaml"), "version: 1\nrules: []\n").unwrap();
                let path = folder.path().join("podbell.yaml");
                std::fs::write(&path, text).unwrap();
                config::load(&path).diagnostics
            }
        };
        found.into_iter().filter(Diagnostic::is_error).collect()
    }

    fn maintenance() -> Value {
        let about = json!({"source": "a", "cluster": "b", "namespace": "c", "service": "d", "workload": "e"});
        json!([{"name": "n", "from": "2026-01-05 09:00", "until": "2026-01-05 10:00", "zone": "UTC", "match": about}])
    }

    /// A file that says everything that can be said.
    fn everything(self) -> Value {
        match self {
            Self::Rules => {
                let conditions = json!({
                    "level": "Warning", "reason": ["a", "b"], "objType": "c", "objName": "d", "workload": "e",
                    "message": "/f/", "source": "g", "cluster": "h", "namespace": "i", "service": "j", "node": "k",
                });
                let settings = json!({
                    "severity": "critical", "open_when": {"count": 3, "within": "10m", "per": "object", "lasts": "5m", "settled": "5m"}, "until": "event", "family": "pods", "sustain": conditions,
                    "group_by": ["cluster"], "group_wait": "15s", "min_gap": "1h30m", "resolve_after": "15m", "recovered_after": "5m",
                    "reopen_within": "2h", "remind_every": "off", "send_resolved": true, "notify": ["x"],
                    "unacknowledged": [{"after": "15m", "notify": ["y"]}],
                    "mention": {"critical": ["@a"], "warning": "@b", "info": []}, "runbook": "https://x",
                    "labels": {"team": "shop"}, "escalate": {"counts": [10, 100], "objects": [], "news": false},
                    "template": {"title": "{{ place }}", "text": "{{ text }}"},
                    "active": [{"days": ["mon-fri"], "hours": "09:00-18:00", "zone": "UTC"}],
                });
                let mut rule = settings.clone();
                for (key, value) in [
                    ("name", json!("n")),
                    ("match", conditions.clone()),
                    ("except", json!([conditions])),
                    ("action", json!("notify")),
                    ("inhibit", json!([{"rules": "m", "equal": ["cluster", "node"], "into": "cause"}])),
                ] {
                    rule[key] = value;
                }
                let mut other = rule.clone();
                other["name"] = json!("m");
                other["inhibit"] = json!([]);
                other["notify"] = json!({"by": "label:team", "map": {"a": ["x"]}, "default": "y"});
                let maintenance = Self::maintenance();
                json!({"version": 1, "scope": conditions, "defaults": settings, "maintenance": maintenance, "rules": [rule, other]})
            }
            Self::Tests => json!({"version": 1, "rule_files": ["r.yaml"], "tests": [{
                "name": "n", "start": "2026-01-05 09:00:00", "every": "1m",
                "target": {"source": "a", "cluster": "b", "namespace": "c", "service": "d"},
                "events": [{
                    "source": "a", "cluster": "b", "namespace": "c", "service": "d", "level": "Normal",
                    "objType": "Pod", "objName": "x", "reason": "y", "message": "", "node": "n1", "signal": true,
                    "labels": {"a": "b"}, "annotations": {"c": "d"},
                    "counts": "1 3 12x20 _ !",
                }],
                "health": [{
                    "source": "a", "cluster": "b", "namespace": "c", "service": "d", "kind": "DaemonSet",
                    "name": "x", "wanted": 3, "ready": "3 0x20 _",
                }],
                "expect": [{
                    "at": "0m", "notice": "opened", "rule": "r", "to": ["a"], "severity": "info", "title": "*",
                    "text": "/x/",
                }],
            }]}),
            Self::Config => {
                let source = |name: &str, kind: &str| {
                    json!({"name": name, "kind": kind, "time_zone": "UTC", "poll_every": "60s", "first_poll_window": 0,
                        "aliases": {"a": "b"}})
                };
                let mut qcloud = source("a", "qcloud");
                for (key, value) in [
                    ("endpoint", json!("https://example.com/")),
                    ("region", json!("gz")),
                    ("secret_id", json!("${ID}")),
                    ("secret_key", json!({"file": "key"})),
                    ("token", json!("${TOKEN}")),
                    ("signature_method", json!("HmacSHA1")),
                    ("requests_per_second", json!(10)),
                    ("services", json!([{"cluster": "c", "discover": false, "namespace": "d", "names": ["e"]}])),
                ] {
                    qcloud[key] = value;
                }
                let mut file = source("b", "file");
                file["path"] = json!("x.jsonl");
                let kubernetes = json!({
                    "name": "k", "kind": "kubernetes", "kubeconfig": "kubeconfig", "context": "x", "cluster": "y",
                    "namespaces": ["a", "b"], "service_labels": ["app"], "watch_for": "30s", "event_ttl": "2h",
                    "watch_list": true, "enrich": "logs", "first_poll_window": "5m", "aliases": {"y": "prod"},
                });
                let notifier = |kind: &str| {
                    json!({"name": kind, "kind": kind, "language": "zh", "time_zone": "UTC", "logs": true,
                        "template": {"title": "{{ place }}", "text": "{{ text }}"}})
                };
                let chat = |kind: &str| {
                    let mut chat = notifier(kind);
                    (chat["digest"], chat["digest_after"], chat["daily"]) = (json!(true), json!(5), json!("09:00"));
                    chat
                };
                let (mut slack, mut wecom, mut webhook) = (chat("slack"), chat("wecom"), notifier("webhook"));
                let mut feishu = chat("feishu");
                feishu["secret"] = json!("${SIGN}");
                let mut dingtalk = chat("dingtalk");
                dingtalk["secret"] = json!("${SIGN}");
                let [mut teams, mut discord] = ["teams", "discord"].map(chat);
                let [mut googlechat, mut mattermost] = ["googlechat", "mattermost"].map(chat);
                let all = [&mut slack, &mut wecom, &mut feishu, &mut dingtalk, &mut webhook];
                let more = [&mut teams, &mut discord, &mut googlechat, &mut mattermost];
                for notifier in all.into_iter().chain(more) {
                    notifier["url"] = json!("${URL}");
                }
                let with = |mut item: Value, keys: &[(&str, &str)]| {
                    keys.iter().for_each(|(key, value)| item[*key] = json!(value));
                    item
                };
                let bot = with(
                    chat("mattermost"),
                    &[
                        ("name", "bot"),
                        ("token", "${BOT}"),
                        ("channel", "abcdefghijklmnopqrstuvwxyz"),
                        ("actions_url", "https://x.example.com/mattermost/m"),
                        ("server", "https://m.example.com"),
                    ],
                );
                let telegram = with(
                    chat("telegram"),
                    &[("token", "${BOT}"), ("chat", "-1001/7"), ("api", "https://api.telegram.org")],
                );
                let mut telegram = telegram;
                telegram["buttons"] = json!(true);
                let mut dingtalk_app = with(
                    chat("dingtalk-app"),
                    &[
                        ("app_key", "ding1"),
                        ("app_secret", "${BOT}"),
                        ("robot_code", "ding2"),
                        ("conversation", "cid6KeBBLoveMJOGXoYKF5x7EeiodoA=="),
                        ("api", "https://api.dingtalk.com"),
                    ],
                );
                dingtalk_app["cards"] = json!(true);
                let mut feishu_app = with(
                    chat("feishu-app"),
                    &[
                        ("app_id", "cli_a1"),
                        ("app_secret", "${KEY}"),
                        ("chat", "oc_1"),
                        ("api", "https://open.larksuite.com"),
                    ],
                );
                feishu_app["buttons"] = json!(true);
                let pagerduty = with(
                    notifier("pagerduty"),
                    &[("routing_key", "${KEY}"), ("api", "https://events.pagerduty.com/v2/enqueue")],
                );
                let mut alertmanager =
                    with(notifier("alertmanager"), &[("user", "podbell"), ("password", "${PASSWORD}")]);
                alertmanager["url"] = json!(["https://am-0.example.com", "http://am-1:9093/prefix"]);
                let alertmanager_token = with(
                    notifier("alertmanager"),
                    &[("name", "alerts"), ("url", "https://am.example.com"), ("token", "${TOKEN}")],
                );
                let mut email = with(
                    chat("email"),
                    &[
                        ("host", "smtp.example.com"),
                        ("tls", "implicit"),
                        ("ca_file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem")),
                        ("user", "podbell"),
                        ("password", "${PASSWORD}"),
                        ("from", "podbell <podbell@example.com>"),
                    ],
                );
                email["port"] = json!(465);
                email["to"] = json!(["a@example.com", "B <b@example.com>"]);
                webhook["secret"] = json!(["${NEW}", "${OLD}"]);
                let mut slack_app = chat("slack");
                for (key, value) in [
                    ("name", json!("app")),
                    ("token", json!("${BOT}")),
                    ("channel", json!("C0123ABC")),
                    ("api", json!("https://slack.com/api")),
                    ("buttons", json!(false)),
                ] {
                    slack_app[key] = value;
                }
                let conditions = Self::Rules.everything()["scope"].clone();
                let app = json!({
                    "name": "c", "kind": "slack", "language": "zh", "time_zone": "UTC", "signing_secret": "${SIGN}",
                    "app_token": "${APP}", "bot_token": "${BOT}", "api": "https://slack.com/api", "connections": 2,
                    "teams": ["T1"], "users": "U1", "channels": ["C2", {
                        "id": "C1", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                let bound = json!(["g2", {
                    "id": "g1", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                }]);
                let wecom_bot = json!({
                    "name": "b", "kind": "wecom-bot", "language": "en", "time_zone": "UTC", "bot_id": "b1",
                    "secret": "${BOT}", "endpoint": "wss://example.com", "users": ["u.1", "u2"], "channels": bound,
                });
                let wecom_app = json!({
                    "name": "a", "kind": "wecom-app", "language": "en", "time_zone": "UTC", "corp_id": "ww1",
                    "token": "${TOKEN}", "encoding_aes_key": {"file": "key"}, "agent_id": "1000002", "users": "u1",
                    "channels": bound,
                });
                let telegram_chat = json!({
                    "name": "t", "kind": "telegram", "language": "zh", "time_zone": "UTC", "token": "${BOT}",
                    "api": "https://api.telegram.org", "users": ["123"], "channels": [{
                        "id": "-1001", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                let dingtalk_chat = json!({
                    "name": "da", "kind": "dingtalk-app", "language": "en", "time_zone": "UTC", "app_key": "ding1",
                    "app_secret": "${BOT}", "api": "https://api.dingtalk.com", "companies": ["dingcorp"],
                    "users": ["manager4220"], "channels": [{
                        "id": "cid6KeBBLoveMJOGXoYKF5x7EeiodoA==", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                let mattermost_chat = json!({
                    "name": "m", "kind": "mattermost", "language": "zh", "time_zone": "UTC", "events_token": "${BOT}",
                    "podbell_token": "${BOT}", "token": "${BOT}", "server": "https://m.example.com",
                    "actions_url": "https://x.example.com/mattermost/m", "teams": ["4xp9fdt77pncbef59f4k1qe83o"],
                    "users": ["4xp9fdt77pncbef59f4k1qe83o"], "channels": [{
                        "id": "direct", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                let discord_chat = json!({
                    "name": "d", "kind": "discord", "language": "zh", "time_zone": "UTC", "application_id": "2",
                    "public_key": "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
                    "api": "https://discord.com/api/v10", "guilds": ["3"], "users": ["5"], "channels": [{
                        "id": "4", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                let teams_chat = json!({
                    "name": "o", "kind": "teams", "language": "zh", "time_zone": "UTC",
                    "security_token": "${BOT}", "teams": ["t"], "users": ["u"], "channels": [{
                        "id": "19:abc@thread.tacv2", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                let feishu_chat = json!({
                    "name": "f", "kind": "feishu-app", "language": "zh", "time_zone": "UTC", "app_id": "cli_a1", "encrypt_key": "${EXAMPLE_KEY}", "verification_token": "${EXAMPLE_TOKEN}",
                    "app_secret": "${BOT}", "api": "https://open.larksuite.com", "tenants": ["736588c9260f175d"],
                    "users": ["ou_1"], "channels": [{
                        "id": "oc_1", "cluster": "a", "namespace": ["shop"], "service": "/x/", "read_only": true,
                    }],
                });
                json!({
                    "version": 1, "sources": [qcloud, kubernetes, file], "chats": [app, wecom_bot, wecom_app, telegram_chat, dingtalk_chat, mattermost_chat, discord_chat, teams_chat, feishu_chat], "notifiers": [slack, slack_app, wecom, feishu, feishu_app, dingtalk, dingtalk_app, teams, discord, googlechat, mattermost, bot, telegram, pagerduty, alertmanager, alertmanager_token, email, webhook, chat("console")],
                    "mentions": {"@a": {"slack": "S1", "wecom": "x", "feishu": "all", "feishu-app": "ou_1", "dingtalk": "all", "teams": "a@example.com", "discord": "&80351110224678912", "googlechat": "all", "mattermost": "here", "telegram": "alice"}},
                    "rules": [{"files": ["r.yaml"], "scope": conditions, "may_notify": ["slack"]}],
                    "maintenance": Self::maintenance(),
                    "operator": {"notify": ["slack"], "heartbeat": {"url": "https://x.example.com", "every": "1m"}},
                    "store": "sqlite:x.db",
                    "server": {"listen": "127.0.0.1:8080", "public_url": "https://x.example.com", "tokens": [{
                        "name": "t", "token": "${TOKEN}", "rights": "write", "cluster": "a", "namespace": ["shop"], "service": "/x/",
                    }], "page": {"language": "zh", "time_zone": "UTC", "proxy": {
                        "header": "X-User", "secret_header": "X-Proof", "secret": "${PROOF}", "rights": "read",
                        "cluster": "a", "namespace": ["shop"], "service": "/x/",
                    }}},
                    "gateway": {"keys": [{
                        "secret_id": "AKID", "secret_key": "${KEY}", "cluster": "a", "namespace": ["shop"], "service": "/x/",
                    }]},
                    "export": {"otlp": {"endpoint": "http://collector:4318", "headers": {"authorization": "${TOKEN}"}}},
                    "http": {"proxy": null, "ca_file": null},
                })
            }
        }
    }
}

const ALL: [Of; 3] = [Of::Rules, Of::Config, Of::Tests];

/// The keys of every map that a schema describes, and the description.
fn maps_of(schema: &Value, all: &mut BTreeSet<(Vec<String>, String)>) {
    match schema {
        Value::Object(fields) => {
            if let Some(known) = schema["properties"].as_object() {
                let about = schema["description"].as_str().unwrap_or_default();
                all.insert((known.keys().cloned().collect(), about.to_owned()));
            }
            fields.values().for_each(|field| maps_of(field, all));
        }
        Value::Array(items) => items.iter().for_each(|item| maps_of(item, all)),
        _ => {}
    }
}

/// A map of a file: where it is, and which keys the schema knows there.
type Place = (String, BTreeSet<String>);

/// Every map of a value for which the schema lists the keys. `seen`: those keys.
fn places(schema: &Value, value: &Value, at: &str, seen: &mut BTreeSet<Vec<String>>, all: &mut Vec<Place>) {
    // Beside `properties` it only says what must be there.
    let forms = schema["anyOf"].as_array().filter(|_| schema.get("properties").is_none());
    for one in forms.into_iter().flatten() {
        if faults_of(schema, one, value).is_empty() {
            return places(one, value, at, seen, all);
        }
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            places(items, item, &format!("{at}/{place}"), seen, all);
        }
    }
    if let (Some(known), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        assert_eq!(schema["additionalProperties"], false, "{at}: unknown keys are mistakes");
        seen.insert(known.keys().cloned().collect());
        all.push((at.to_owned(), known.keys().cloned().collect()));
        for (key, field) in fields {
            places(&known[key], field, &format!("{at}/{key}"), seen, all);
        }
    } else if let (Some(fields), Some(others)) = (value.as_object(), schema.get("additionalProperties")) {
        for (key, field) in fields {
            places(others, field, &format!("{at}/{key}"), seen, all);
        }
    }
}

#[test]
fn a_schema_and_its_reader_know_the_same_keys_in_every_place() {
    const UNKNOWN: &str = "qqqqqqqqqqqq";
    for of in ALL {
        let (schema, everything) = (of.schema(), of.everything());
        assert_eq!(faults(&schema, &everything), Vec::<String>::new(), "{of:?}");
        assert_eq!(of.errors(&everything.to_string()), [], "{of:?}");
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        places(&schema, &everything, "", &mut seen, &mut all);
        let mut maps = BTreeSet::new();
        maps_of(&schema, &mut maps);
        for (keys, about) in maps {
            assert!(seen.contains(&keys), "{of:?}: no example has this map: {about}");
        }
        for (at, known) in all {
            let here = everything.pointer(&at).unwrap().as_object().unwrap();
            let said: BTreeSet<String> = here.keys().cloned().collect();
            assert_eq!(said, known, "{of:?} {at}: the example says everything");
            let mut wrong = everything.clone();
            wrong.pointer_mut(&at).unwrap()[UNKNOWN] = json!(1);
            assert_ne!(faults(&schema, &wrong), Vec::<String>::new(), "{of:?} {at}: the schema refuses it");
            let errors = of.errors(&wrong.to_string());
            let [error] = errors.as_slice() else { panic!("{of:?} {at}: {errors:?}") };
            assert!(error.message.contains(UNKNOWN), "{of:?} {at}: {error}");
            let help = error.help.as_deref().unwrap().strip_prefix("known keys here: ").unwrap();
            let read: BTreeSet<String> = help.split(", ").map(str::to_owned).collect();
            assert_eq!(read, known, "{of:?} {at}: what the reader asks for is what the schema knows");
        }
    }
}

/// YAML as editors take it: numbers and truth values are such.
fn as_json(node: &yaml::Node) -> Value {
    match &node.value {
        yaml::Value::Null | yaml::Value::Broken => Value::Null,
        yaml::Value::Scalar(text) => match (text.as_str(), text.parse::<u64>()) {
            ("true", _) => json!(true),
            ("false", _) => json!(false),
            (_, Ok(number)) => json!(number),
            _ => json!(text),
        },
        yaml::Value::List(items) => items.iter().map(as_json).collect(),
        yaml::Value::Map(pairs) => {
            pairs.iter().map(|(key, value)| (key.text().unwrap().to_owned(), as_json(value))).collect()
        }
    }
}

fn parsed(text: &str) -> Value {
    let mut found = Vec::new();
    let root = yaml::parse(&Source::new("file.yaml", text), &mut found).unwrap();
    assert_eq!(found, []);
    as_json(&root)
}

#[test]
fn the_files_that_come_with_podbell_are_good() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![
        (Of::Rules, root.join("rules.example.yaml")),
        (Of::Rules, root.join("crates/core/src/rules/builtin.yaml")),
        (Of::Config, root.join("podbell.example.yaml")),
        (Of::Tests, root.join("rules.example.test.yaml")),
    ];
    for file in std::fs::read_dir(root.join("rules")).into_iter().flatten() {
        let path = file.unwrap().path();
        let of = if path.to_string_lossy().ends_with(".test.yaml") { Of::Tests } else { Of::Rules };
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push((of, path));
        }
    }
    for (of, path) in files {
        let value = parsed(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(faults(&of.schema(), &value), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn typical_mistakes_are_refused_by_schema_and_reader_alike() {
    let rule = |rest: &str| format!("version: 1\nrules:\n  - {{name: a, match: {{reason: A}}, notify: x, {rest}}}\n");
    let config = |rest: &str| {
        let sources = "sources: [{name: f, kind: file, path: x}]";
        format!("{sources}\nnotifiers: [{{name: c, kind: console, {rest}}}]\n")
    };
    let test = |rest: &str| format!("rule_files: r.yaml\ntests: [{{name: t, expect: [], events: [{{{rest}}}]}}]\n");
    let mistakes = [
        (Of::Rules, "rules: []\n".to_owned()),
        (Of::Rules, "version: 2\nrules: []\n".to_owned()),
        (Of::Rules, "version: [1]\nrules: []\n".to_owned()),
        (Of::Rules, "version: 1\nrules: {}\n".to_owned()),
        (Of::Rules, "version: 1\nrules: [{match: {reason: A}, notify: x}]\n".to_owned()),
        (Of::Rules, rule("severity: urgent")),
        (Of::Rules, rule("group_wait: 15")),
        (Of::Rules, rule("min_gap: 5 min")),
        (Of::Rules, rule("open_when: {count: 0}")),
        (Of::Rules, rule("open_when: {within: 5m}")),
        (Of::Rules, rule("send_resolved: yes")),
        (Of::Rules, rule("escalate: {counts: [many]}")),
        (Of::Rules, rule("group_by: [pod]")),
        (Of::Rules, rule("except: {reson: A}")),
        (Of::Rules, rule("action: drop")),
        (Of::Rules, rule("template: {}")),
        (Of::Rules, rule("labels: [a]")),
        (Of::Config, "sources: []\n".to_owned()),
        (Of::Config, config("") + "version: 3\n"),
        (Of::Config, config("language: fr")),
        (Of::Config, config("digest_after: 0")),
        (Of::Config, config("url: https://x.example.com")),
        (Of::Config, config("").replace("console", "pager")),
        (Of::Config, config("").replace("name: c", "name: a b")),
        (Of::Config, config("").replace("kind: file", "kind: file, poll_every: fast")),
        (Of::Config, config("") + "store: podbell.db\n"),
        (Of::Config, config("") + "server: {listen: everywhere}\n"),
        (Of::Config, config("") + "rules: {files: x}\n"),
        (Of::Config, config("") + "gateway: {keys: []}\n"),
        (Of::Config, config("") + "export: {otlp: {headers: {a: b}}}\n"),
        (Of::Config, config("") + "export: {otlp: {endpoint: \"http://x.example.com\", headers: [a]}}\n"),
        (Of::Config, config("") + "gateway: {keys: [{secret_id: x}]}\n"),
        (Of::Config, config("").replace("kind: console", "kind: slack, token: xoxb-1")),
        (Of::Config, config("").replace("kind: console", "kind: slack, token: xoxb-1, channel: ops")),
        (
            Of::Config,
            config("")
                .replace("kind: console", "kind: slack, token: xoxb-1, channel: C1, url: 'https://x.example.com'"),
        ),
        (Of::Config, config("") + "chats: [{name: c, kind: teams, app_token: x}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: slack, app_token: xapp-1, teams: example.com}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: slack, app_token: xapp-1, users: []}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: slack, app_token: xapp-1, channels: [\"#ops\"]}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: slack, app_token: xapp-1, channels: [{namespace: a}]}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: slack, app_token: xapp-1, connections: 11}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: wecom-bot, bot_id: b}]\n"),
        (Of::Config, config("") + "chats: [{name: c, kind: wecom-bot, bot_id: b c, secret: s}]\n"),
        (
            Of::Config,
            config("") + "chats: [{name: c, kind: wecom-bot, bot_id: b, secret: s, endpoint: \"https://x\"}]\n",
        ),
        (Of::Config, config("") + "chats: [{name: c, kind: wecom-bot, bot_id: b, secret: s, users: []}]\n"),
        (
            Of::Config,
            config("") + "chats: [{name: c, kind: wecom-bot, bot_id: b, secret: s, channels: [{namespace: a}]}]\n",
        ),
        (Of::Config, config("") + "chats: [{name: c, kind: wecom-app, corp_id: ww1, token: t}]\n"),
        (Of::Tests, "tests: []\n".to_owned()),
        (Of::Tests, test("reason: A")),
        (Of::Tests, test("counts: 0")),
        (Of::Tests, test("counts: \"1 many\"")),
        (Of::Tests, test("counts: 1, level: Error")),
        (Of::Tests, test("counts: 1").replace("expect: []", "expect: [{notice: exploded}]")),
        (Of::Tests, test("counts: 1").replace("expect: []", "every: often, expect: []")),
    ];
    for (of, text) in mistakes {
        assert_ne!(faults(&of.schema(), &parsed(&text)), Vec::<String>::new(), "{of:?}: {text}");
        assert_ne!(of.errors(&text), [], "{of:?}: {text}");
    }
    for (of, text) in
        [(Of::Rules, rule("severity: info")), (Of::Config, config("language: zh")), (Of::Tests, test("counts: 1"))]
    {
        assert_eq!(
            (faults(&of.schema(), &parsed(&text)), of.errors(&text)),
            (Vec::new(), Vec::new()),
            "{of:?}: {text}"
        );
    }
}

#[test]
fn a_file_of_a_newer_version_gets_one_clear_word_and_no_other() {
    let newer = "written for a newer podbell: it has version 2, this podbell reads 1";
    for (of, rest) in [
        (Of::Rules, "rules: [{name: a, when: {reason: A}}]"),
        (Of::Config, "inputs: [{name: f}]"),
        (Of::Tests, "cases: []"),
    ] {
        let errors = of.errors(&format!("# a comment\nversion: 2\n{rest}\n"));
        let [error] = errors.as_slice() else { panic!("{of:?}: {errors:?}") };
        assert_eq!(error.message, newer);
        assert_eq!(error.source.position(error.span.start), (2, 10));
        assert!(error.help.as_deref().unwrap().starts_with("update podbell"));
        for (wrong, message) in
            [("one", "`one` is not a version"), ("0", "`0` is not a version"), ("[1]", "expected a version")]
        {
            let errors = of.errors(&format!("version: {wrong}\n{rest}\n"));
            assert!(errors.iter().any(|error| error.message.contains(message)), "{of:?}: {errors:?}");
        }
    }
    assert!(Of::Rules.errors("rules: []\n")[0].message.contains("`version` is missing"));
}

#[test]
fn the_command_prints_the_schema_of_a_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, of) in [("rules", Of::Rules), ("config", Of::Config), ("tests", Of::Tests)] {
        let output = podbell(folder.path(), &["schema", kind]).output().unwrap();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), printed), (Some(0), of.schema()));
    }
    assert_eq!(podbell(folder.path(), &["schema", "everything"]).output().unwrap().status.code(), Some(2));
}
