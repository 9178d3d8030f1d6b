//! Mail: what is sent over a real socket, what a server's replies mean, and that nothing a cluster says becomes a header.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::events::{at, warning};
use crate::support::notices::{incident, story};
use crate::support::process::{output, podbell, printed};
use crate::support::smtp::{Answer, Mail, PASSWORD, SmtpServer};
use crate::support::world::{World, WorldSpec, web};
use podbell_core::event::{Event, Target};
use podbell_core::notice::{Newest, NoticeKind, Story};
use podbell_core::outbox::{Content, Outcome, SendContent};
use podbell_core::translations::Language;

const RULES: &str = "version: 1
rules:
  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 0s, min_gap: 10s, escalate: {counts: [10]}, resolve_after: 15m, severity: critical}
";
const TEAM: &str = "team@example.com";

fn world(server: &SmtpServer, password: &str, to: &str) -> World {
    let through = Some(server.wire(password, to));
    let mut world = World::new(WorldSpec { rules: vec![RULES.into()], through, ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(120);
    server.state().mails.clear();
    world
}

fn crash(name: &str, count: u64, last: i64) -> Event<'static> {
    warning(&format!("{name}-6d4cf56db6-x2x7v"), "FailedMount", "no such volume", count, 130, last)
}

#[test]
fn mails_about_an_incident_are_one_thread_and_each_has_an_id_of_its_own() {
    let server = SmtpServer::start();
    let mut world = world(&server, PASSWORD, TEAM);
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(180);
    world.kill();
    world.start();
    world.poll(&web(), &[crash("web", 12, 190)]);
    world.run_until(300);
    world.poll_until(&web(), &[crash("web", 12, 190)], 3600);
    let mails = server.mails();
    assert_eq!(mails.len(), 3, "{mails:?}");
    assert!(mails.iter().all(|mail| mail.to == [TEAM] && mail.from == "podbell@example.com"), "{mails:?}");
    let each = |name: &str| mails.iter().map(|mail| mail.header(name).unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(each("Message-ID").len(), 3);
    assert_eq!(each("References").len(), 1, "{:?}", each("References"));
    assert_eq!(each("References"), each("In-Reply-To"));
    assert_eq!(each("Auto-Submitted").into_iter().collect::<Vec<_>>(), ["auto-generated"]);
    assert_eq!(mails[0].header("Date").unwrap(), "Fri, 02 Jan 2026 03:06:00 +0000");
    assert!(mails[2].data.contains("Quiet"), "{}", mails[2].data);
}

#[test]
fn what_was_taken_though_its_answer_was_lost_is_the_same_mail_again() {
    let server = SmtpServer::start();
    let mut world = world(&server, PASSWORD, TEAM);
    server.state().answers = vec![Answer::Lost];
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(600);
    let mails = server.mails();
    assert_eq!(mails.len(), 2, "{mails:?}");
    assert_eq!(mails[0].data, mails[1].data);
}

#[test]
fn a_burst_keeps_to_the_pace_also_over_a_restart_and_everything_is_told() {
    let server = SmtpServer::start();
    let mut world = world(&server, PASSWORD, TEAM);
    let targets: Vec<Target> = (0..30).map(|n| Target::new("prod", "cls-1", "shop", &format!("web{n}"))).collect();
    world.watch(&targets);
    for target in &targets {
        world.poll(target, &[]);
    }
    world.run_until(400);
    for target in &targets {
        world.poll(target, &[crash(&target.service, 3, 405)]);
    }
    world.run_until(430);
    let first = server.mails().len();
    assert!(first <= 20, "{first}");
    world.kill();
    world.start();
    world.run_until(440);
    assert!(server.mails().len() <= 20);
    world.run_until(1000);
    let all: String = server.mails().iter().map(|mail| mail.data.replace("=\r\n", "")).collect();
    let missing: Vec<_> = targets.iter().filter(|target| !all.contains(&*target.service)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_login_that_is_refused_pauses_the_destination_and_nothing_is_lost() {
    let server = SmtpServer::start();
    let mut world = world(&server, "another-password", TEAM);
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(600);
    assert!(server.state().connections <= 3, "a pause, not a hail");
    assert!(server.mails().is_empty());
    world.kill();
    let wire = server.wire(PASSWORD, TEAM);
    world.respec(|spec| spec.through = Some(wire));
    world.start();
    world.run_until(1200);
    let about = |mail: &&Mail| mail.data.contains("web");
    assert_eq!(server.mails().iter().filter(about).count(), 1);
}

#[test]
fn a_server_that_puts_strangers_off_gets_the_mail_again_and_who_has_it_gets_it_once() {
    let server = SmtpServer::start();
    let mut world = world(&server, PASSWORD, "[team@example.com, oncall@example.com]");
    server.state().put_off = vec![("oncall@example.com".to_owned(), 3)];
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(900);
    let mails = server.mails();
    let got = |who: &str| mails.iter().filter(|mail| mail.to.iter().any(|to| to == who)).count();
    assert_eq!((got("team@example.com"), got("oncall@example.com")), (1, 1), "{mails:?}");
    assert_eq!(mails[0].data, mails[1].data);
}

fn notice(story: Story) -> [podbell_core::notice::Notice; 1] {
    [incident(1, NoticeKind::Opened, story)]
}

fn deliver(server: &SmtpServer, to: &str, content: &SendContent<'_>) -> Outcome {
    let wire = server.wire(PASSWORD, to);
    let body = wire.notifiers.render("team", content, "msg_1", at(0));
    let job = podbell::engine::SendJob {
        send: podbell_core::outbox::SendId(1),
        destination: "team".into(),
        message_id: "msg_1".into(),
        body,
    };
    (wire.deliver)(&job, at(0))
}

#[test]
fn what_each_reply_means() {
    let notices = notice(story());
    let content = SendContent::full(&notices);
    let with = |change: &dyn Fn(&SmtpServer), to: &str| {
        let server = SmtpServer::start();
        change(&server);
        (deliver(&server, to, &content), server.mails().len())
    };
    let unknown = |server: &SmtpServer| server.state().unknown = [TEAM.to_owned()].into();
    let (outcome, _) = with(&unknown, TEAM);
    let Outcome::InvalidDestination { text, advice, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("550") && text.contains(TEAM) && advice.contains("`to`"), "{text} {advice}");
    // The others get it.
    assert_eq!(with(&unknown, "[team@example.com, oncall@example.com]"), (Outcome::Delivered, 1));
    let put_off = |server: &SmtpServer| server.state().put_off = vec![(TEAM.to_owned(), 1)];
    assert!(matches!(with(&put_off, TEAM).0, Outcome::Refused { .. }));
    let small = |server: &SmtpServer| server.state().most = Some(500);
    assert!(matches!(with(&small, TEAM).0, Outcome::ContentRejected { .. }));
    let lost = |server: &SmtpServer| server.state().answers = vec![Answer::Lost];
    let (outcome, taken) = with(&lost, TEAM);
    assert!(matches!(outcome, Outcome::Unclear { .. }) && taken == 1, "{outcome:?}");
    for greeting in ["421 4.3.2 not now", "554 5.7.1 no mail here", "HTTP/1.1 400 Bad Request", ""] {
        let busy = |server: &SmtpServer| server.state().greeting = Some(greeting);
        let (outcome, _) = with(&busy, TEAM);
        assert!(matches!(outcome, Outcome::Refused { .. }), "{greeting}: {outcome:?}");
    }
    let server = SmtpServer::start();
    let wire = server.wire("marker-of-another-password", TEAM);
    let body = wire.notifiers.render("team", &content, "msg_1", at(0));
    let job = podbell::engine::SendJob {
        send: podbell_core::outbox::SendId(1),
        destination: "team".into(),
        message_id: "msg_1".into(),
        body,
    };
    let outcome = (wire.deliver)(&job, at(0));
    assert!(matches!(&outcome, Outcome::InvalidDestination { code, .. } if code == "535"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("marker-of"), "{outcome:?}");
}

fn made(language: Language, content: &SendContent<'_>) -> String {
    let config = podbell::notifiers::NamedNotifier {
        name: "team".into(),
        platform: crate::support::platform::platform(&SmtpServer::start().keys(PASSWORD, TEAM)),
        language,
        time_zone: jiff::tz::TimeZone::UTC,
        digest_after: None,
        template: Default::default(),
        logs: false,
    };
    let notifiers =
        podbell::notifiers::Notifiers::new(vec![config], Default::default(), crate::support::receiver::client());
    let body = notifiers.render("team", content, "msg_1", at(2_401));
    assert_eq!(body, notifiers.render("team", content, "msg_1", at(2_401)), "the same bytes");
    serde_json::from_slice::<Value>(&body).unwrap()["mail"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_that_a_cluster_says_becomes_a_header_a_part_or_a_mark() {
    let evil = "x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>\r\n.\r\nMAIL FROM:<a@b>\r\n--=_podbell_\r\n<a href=\"https://evil\">";
    let newest =
        Newest { reason: evil.to_owned(), obj_name: evil.to_owned(), message: evil.to_owned(), ..story().newest };
    let story = Story {
        newest,
        workload: evil.to_owned(),
        namespace: evil.to_owned(),
        cluster: evil.to_owned(),
        cluster_alias: None,
        object_names: vec![evil.to_owned()],
        ..story()
    };
    let notices = notice(story);
    for content in [Content::Full, Content::Short, Content::Minimal] {
        let content = SendContent { content, ..SendContent::full(&notices) };
        let mail = Mail { from: String::new(), to: Vec::new(), data: made(Language::En, &content) };
        let known = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "In-Reply-To",
            "References",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
            "MIME-Version",
            "Content-Type",
            "Content-Transfer-Encoding",
        ];
        let names = mail.names();
        assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
        assert!(mail.data.matches("\r\nContent-Type: text/").count() <= 2, "{}", mail.data);
        let unfolded = mail.data.replace("=\r\n", "");
        let html = unfolded.split_once("text/html").map_or("", |(_, html)| html);
        assert!(!html.contains("<script") && !html.contains("<a href=3D\"https://evil"), "{html}");
        // Over the wire, too: it is one mail to those whom podbell.yaml names.
        let server = SmtpServer::start();
        assert_eq!(deliver(&server, TEAM, &content), Outcome::Delivered);
        assert_eq!(server.mails().len(), 1);
        assert_eq!(server.mails()[0].to, [TEAM]);
    }
}

#[test]
fn a_megabyte_of_text_is_cut_and_says_so() {
    let newest = Newest { message: "错误 x y\n".repeat(120_000), ..story().newest };
    let notices = notice(Story { newest, ..story() });
    let server = SmtpServer::start();
    assert_eq!(deliver(&server, TEAM, &SendContent::full(&notices)), Outcome::Delivered);
    let mail = &server.mails()[0];
    assert!(mail.data.len() < 500_000, "{}", mail.data.len());
    assert!(mail.data.contains("more"), "{}", mail.data);
}

/// What the doctor says, with this item of `notifiers`.
async fn examined(keys: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("sources: [{{name: f, kind: file, path: events.json}}]\nnotifiers: [{{name: team, {keys}}}]\n");
    std::fs::write(folder.path().join("podbell.yaml"), text).unwrap();
    std::fs::write(folder.path().join("events.json"), "").unwrap();
    let output = output(podbell(folder.path(), &["doctor"])).await;
    (output.status.code(), printed(&output))
}

#[tokio::test]
async fn the_doctor_asks_for_every_recipient_and_sends_nothing() {
    let server = SmtpServer::start();
    let both = "[team@example.com, oncall@example.com]";
    let (_, said) = examined(&server.keys(PASSWORD, both)).await;
    assert!(said.contains("would take mail for team@example.com, oncall@example.com (nothing was sent)"), "{said}");
    server.state().unknown = ["oncall@example.com".to_owned()].into();
    let (code, said) = examined(&server.keys(PASSWORD, both)).await;
    assert!(code == Some(1) && said.contains("no such mailbox (oncall@example.com)"), "{said}");
    let (code, said) = examined(&server.keys("another-password", both)).await;
    assert!(code == Some(1) && said.contains("refuses the login") && !said.contains("another-password"), "{said}");
    assert!(server.mails().is_empty());
}

#[test]
fn the_keys_of_email_say_what_is_wrong_with_them() {
    let said = |keys: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbell.yaml");
        let text = format!(
            "sources: [{{name: f, kind: file, path: \"-\"}}]\nnotifiers: [{{name: n, kind: email, from: podbell@example.com, {keys}}}]\n"
        );
        std::fs::write(&path, text).unwrap();
        podbell::config::load(&path).diagnostics.iter().map(|one| format!("{one:?}")).collect::<String>()
    };
    for (keys, word) in [
        ("host: 'smtp.example.com:587', to: a@example.com", "not the name of a host"),
        ("host: smtp.example.com, to: nobody", "not an address of e-mail"),
        ("host: smtp.example.com, to: \"a@example.com\\r\\nBcc: b@example.com\"", "not an address of e-mail"),
        ("host: smtp.example.com, to: a@example.com, user: me", "belong together"),
        ("host: smtp.example.com, to: a@example.com, tls: none, user: me, password: x", "for everybody to read"),
        ("host: smtp.example.com, to: a@example.com, ca_file: no-such-file.pem", "no PEM certificates"),
        ("url: 'https://x', host: smtp.example.com, to: a@example.com", "a mail server has `host`"),
        ("host: smtp.example.com", "to"),
    ] {
        assert!(said(keys).contains(word), "{keys}: {}", said(keys));
    }
    for keys in [
        "host: smtp.example.com, to: [a@example.com, \"On call <b@example.com>\"], user: me, password: x",
        "host: localhost, to: a@example.com",
        "host: relay.internal, tls: none, to: a@example.com",
    ] {
        assert_eq!(said(keys), "", "{keys}");
    }
}

#[cfg(feature = "outside")]
mod real {
    use std::path::Path;
    use std::process::Command;

    use podbell::notifiers::{NamedNotifier, Notifiers};

    use super::*;
    use crate::support::fixture;
    use crate::support::notices::one_of_each;
    use crate::support::platform::platform;
    use crate::support::process::{PATIENCE, Process, eventually};
    use crate::support::receiver::{client, nobody};

    const CONFIG: &str = r"
primary_hostname = mail.example.com
spool_directory = FOLDER/spool
log_file_path = FOLDER/log-%s
pid_file_path = FOLDER/pid
daemon_smtp_ports = PORT
local_interfaces = 127.0.0.1
deliver_drop_privilege = true
domainlist local_domains = example.com
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
tls_advertise_hosts = *
tls_certificate = FOLDER/server.pem
tls_privatekey = FOLDER/server.key
keep_environment =
begin acl
mail:
  accept authenticated = *
  deny message = log in first
rcpt:
  accept verify = recipient
  deny message = no such mailbox
begin routers
local:
  driver = accept
  domains = +local_domains
  local_parts = team
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = FOLDER/mail/$local_part_data
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{podbell}}{eq{$auth3}{a-password}}}}
  server_set_id = $auth2
  server_advertise_condition = ${if def:tls_in_cipher}
";

    /// What Python's parser of mails makes of one: headers, and the text of each part.
    fn parsed(mail: &str) -> Value {
        let script = "
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not mail.defects, mail.defects
parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
print(json.dumps({'headers': {key: str(value) for key, value in mail.items()}, 'parts': parts, 'names': list(mail.keys())}))
";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), mail.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn every_kind_of_notice_as_mail_in_both_languages_read_by_another_parser() {
        let mut all = String::new();
        for language in [Language::En, Language::Zh] {
            for (kind, notice) in one_of_each() {
                let notices = [notice];
                let mail = parsed(&made(language, &SendContent::full(&notices)));
                let (headers, parts) = (&mail["headers"], &mail["parts"]);
                assert_eq!(headers["From"], "podbell <podbell@example.com>");
                assert_eq!(headers["Message-ID"], "<msg_1@example.com>");
                let thread = headers["References"].as_str().unwrap_or("-");
                let text = |kind: &str| parts[kind].as_str().unwrap().trim_end().to_owned();
                let (plain, html) = (text("text/plain"), text("text/html"));
                let subject = headers["Subject"].as_str().unwrap();
                assert!(plain.starts_with(subject), "{subject}: {plain}");
                let html = if language == Language::En { format!("{html}\n") } else { String::new() };
                all.push_str(&format!("--- {kind}\nSubject: {subject}\nReferences: {thread}\n{plain}\n{html}\n"));
            }
        }
        insta::assert_snapshot!(all);
    }

    fn notifiers(port: u16, keys: &str) -> Notifiers {
        let config = NamedNotifier {
            name: "team".into(),
            platform: platform(&format!(
                "kind: email, host: 127.0.0.1, port: {port}, user: podbell, from: \"值班 <podbell@example.com>\", {keys}"
            )),
            language: Language::Zh,
            time_zone: jiff::tz::TimeZone::UTC,
            digest_after: None,
            template: Default::default(),
            logs: false,
        };
        Notifiers::new(vec![config], Default::default(), client())
    }

    async fn said(notifiers: &Notifiers, id: &str, kind: NoticeKind) -> Outcome {
        let notices = [incident(1, kind, story())];
        let body = notifiers.render("team", &SendContent::full(&notices), id, at(2_401));
        notifiers.deliver("team", id, body, at(2_401)).await
    }

    fn maildir(folder: &Path) -> Vec<String> {
        let read = std::fs::read_dir(folder.join("mail/team/new"));
        let files = read.into_iter().flatten().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        files.collect()
    }

    #[tokio::test]
    async fn a_real_mail_server_takes_mail_over_tls_and_it_arrives_as_one_thread() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let port = url::Url::parse(&nobody().await).unwrap().port().unwrap();
        for name in ["server.pem", "server.key"] {
            std::fs::copy(fixture(&format!("tls/{name}")), folder.path().join(name)).unwrap();
        }
        let here = folder.path().display().to_string();
        std::fs::write(
            folder.path().join("exim.conf"),
            CONFIG.replace("FOLDER", &here).replace("PORT", &port.to_string()),
        )
        .unwrap();
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/exim"));
        command.arg(folder.path());
        let server = Process::start(command);
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        let started = tokio::time::timeout(PATIENCE, eventually(PATIENCE, "the server", up)).await;
        assert!(started.is_ok(), "{}{}", server.stdout(), server.stderr());

        let ca = fixture("tls/ca.pem").display().to_string();
        let tls = format!("tls: starttls, ca_file: \"{ca}\"");
        let right = notifiers(port, &format!("{tls}, password: a-password, to: team@example.com"));
        assert_eq!(said(&right, "msg_1", NoticeKind::Opened).await, Outcome::Delivered);
        assert_eq!(said(&right, "msg_2", NoticeKind::Resolved).await, Outcome::Delivered);
        let mails =
            eventually(PATIENCE, "two mails", || Some(maildir(folder.path())).filter(|mails| mails.len() == 2)).await;
        let mails: Vec<Value> = mails.iter().map(|mail| parsed(mail)).collect();
        let each = |name: &str| {
            mails.iter().map(|mail| mail["headers"][name].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        assert_eq!(each("Message-ID"), ["<msg_1@example.com>", "<msg_2@example.com>"].map(str::to_owned).into());
        assert_eq!(each("References").len(), 1);
        assert_eq!(each("From").into_iter().collect::<Vec<_>>(), ["值班 <podbell@example.com>"]);
        assert!(each("Subject").iter().any(|subject| subject.contains("严重")), "{:?}", each("Subject"));
        let log = std::fs::read_to_string(folder.path().join("log-main")).unwrap();
        assert!(log.matches("P=esmtpsa X=TLS1.3").count() == 2, "{log}");

        // Without the authority, without the right password, to nobody, and in the clear.
        let outcome = said(
            &notifiers(port, "tls: starttls, password: a-password, to: team@example.com"),
            "msg_3",
            NoticeKind::Opened,
        )
        .await;
        assert!(matches!(&outcome, Outcome::Refused { why, .. } if why.contains("certificate")), "{outcome:?}");
        let wrong = notifiers(port, &format!("{tls}, password: another-password, to: team@example.com"));
        let outcome = said(&wrong, "msg_4", NoticeKind::Opened).await;
        assert!(matches!(&outcome, Outcome::InvalidDestination { code, .. } if code == "535"), "{outcome:?}");
        let nobody = notifiers(port, &format!("{tls}, password: a-password, to: nobody@example.com"));
        let outcome = said(&nobody, "msg_5", NoticeKind::Opened).await;
        assert!(matches!(&outcome, Outcome::InvalidDestination { text, .. } if text.contains("550")), "{outcome:?}");
        let clear = notifiers(port, "tls: none, password: a-password, to: team@example.com");
        let outcome = said(&clear, "msg_6", NoticeKind::Opened).await;
        assert!(
            matches!(&outcome, Outcome::InvalidDestination { .. }),
            "no login is offered in the clear: {outcome:?}"
        );
        assert_eq!(maildir(folder.path()).len(), 2);
    }
}
