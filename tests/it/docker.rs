//! The page's way with Docker, by a Docker engine: `scripts/test --cluster` runs this beside one (`scripts/with-docker`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::page::Page;
use crate::support::process::{output, printed};
use crate::support::receiver::{Answer, Receiver, client};

/// Where containers reach this test.
const ADDRESS: &str = "172.17.0.1:9000";

/// The engine's own, see `scripts/with-docker`.
const FOLDER: &str = "/etc/podbell";

/// Runs commands as people type them; what they print.
async fn shell(commands: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", commands]);
    let done = output(command).await;
    assert!(done.status.success(), "{commands}\n{}", printed(&done));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine and the image: scripts/test --cluster"]
async fn the_image_has_what_it_needs_runs_in_docker_as_the_page_says_and_ends_in_time() {
    // What is there otherwise is somebody's.
    assert!(std::env::var_os("DOCKER_HOST").is_some() && std::fs::read_dir(FOLDER).unwrap().next().is_none());
    let page = Page::read("deploy-outside.md");
    let text = page.text.split("\n## With Docker\n").nth(1).unwrap();
    let block = page.blocks("With Docker", "sh").remove(0);
    let (build, run) = block.split_once('\n').unwrap();
    let image = build.strip_prefix("docker build -t ").and_then(|rest| rest.strip_suffix(" .")).unwrap();
    // No registry has the images that a build begins with; scripts/image made the same of the same file.
    shell(&format!("docker load --input {}", std::env::var("PODBELL_IMAGE").unwrap())).await;
    let made: Value = serde_json::from_str(&shell(&format!("docker image inspect {image}")).await).unwrap();
    assert_eq!(made[0]["Config"]["User"], "10001:10001");
    for label in ["title", "description", "version", "revision", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        assert!(made[0]["Config"]["Labels"][&label].as_str().is_some_and(|text| !text.is_empty()), "{label}: {made}");
    }
    let files = shell(&format!("docker create --name looked-at {image} && docker export looked-at | tar -tf -")).await;
    assert!(files.lines().any(|file| file == "etc/ssl/certs/ca-certificates.crt"), "{files}");
    // Beside what Docker itself puts there: one program, and no library.
    let programs: Vec<&str> = files.lines().filter(|file| file.contains("bin/") || file.contains(".so")).collect();
    assert!(programs.iter().all(|file| file.ends_with('/') || *file == "usr/local/bin/podbell"), "{programs:?}");
    shell("docker rm looked-at").await;

    let receiver = Receiver::at(ADDRESS).await;
    receiver.otherwise(Answer::new(200, "ok"));
    let write = |name: &str, text: &str| {
        let path = Path::new(FOLDER).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let secrets = page
        .blocks("podbell.yaml", "yaml")
        .remove(0)
        .replace("/run/credentials/podbell.service", "/etc/podbell/secrets");
    let one_cluster: String = secrets.split_inclusive('\n').filter(|line| !line.contains("staging")).collect();
    write("podbell.yaml", &(one_cluster + "server: {listen: \"0.0.0.0:8080\"}\n"));
    write("rules/kubernetes.yaml", include_str!("../../rules/kubernetes.yaml"));
    write("secrets/slack-url", &format!("http://{ADDRESS}/services/T000/B000/docker"));
    write(
        "secrets/kubeconfig",
        "{apiVersion: v1, kind: Config, current-context: prod, clusters: [{name: prod, cluster: {server: 'https://172.17.0.1:1'}}],\n \
         users: [{name: prod, user: {token: t}}], contexts: [{name: prod, context: {cluster: prod, user: prod}}]}\n",
    );
    // What the page says about rights, after files that only root reads.
    shell("chmod -R go= /etc/podbell/secrets").await;
    let rights = text.split("`chown ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    shell(&format!("chown {rights}")).await;

    shell(run).await;
    let started = async {
        let mut turns = tokio::time::interval(Duration::from_millis(100));
        let healthy = async || {
            let answer = client().get("http://127.0.0.1:8080/healthz").send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        while !healthy().await {
            turns.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), started).await.expect("it answers");
    let inside = |args: &str| format!("docker exec podbell podbell {args} --config /etc/podbell/podbell.yaml");
    let said = shell(&inside("check")).await;
    assert!(said.contains("all good"), "{said}");
    shell(&inside("send-test team-slack")).await;
    assert_eq!(receiver.received().len(), 1);

    // The engine kills it after the page's 30 s, with another code.
    shell("docker stop podbell").await;
    assert_eq!(shell("docker inspect --format '{{.State.ExitCode}}' podbell").await.trim(), "0");
    shell("docker rm --volumes podbell && docker volume rm podbell").await;
}
