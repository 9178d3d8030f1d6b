//! The pages about deployments, as a new user walks through them: their commands are read from the pages and run as they stand
//! there, on a real cluster. It changes what the pages tell people to change, and the paths of files. The blocks about the Debian package
//! and systemd are walked by `package.rs`, that about Docker by `docker.rs`, without a cluster. Left out are `docker build` and `docker push`, for which no
//! registry is reachable: `scripts/image` builds the same Dockerfile.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::live::cluster;
use super::{install, root};
use crate::support::page::Page;
use crate::support::process::{Process, output, podbell, printed, within};
use crate::support::receiver::{Answer, Receiver};

/// Where the cluster's network reaches this test.
const ADDRESS: &str = "10.99.0.1:9001";
/// Enough for a pod that starts, or a file that the kubelet delivers.
const PATIENCE: Duration = Duration::from_secs(300);
const DOCTOR: &str = "kubectl -n podbell exec podbell-0 -- podbell doctor --config /etc/podbell/podbell.yaml";
const RESTART: &str =
    "kubectl -n podbell rollout restart statefulset/podbell\nkubectl -n podbell rollout status statefulset/podbell";

/// A folder with what a clone has, and a shell whose `kubectl` and `helm` are those of the cluster.
struct Shell {
    folder: PathBuf,
}

impl Shell {
    fn new() -> Self {
        let folder = root().join("target/cluster/walk");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        for program in ["kubectl", "helm"] {
            let shim = folder.join("bin").join(program);
            let cluster = root().join("scripts/cluster");
            std::fs::write(&shim, format!("#!/bin/sh\nexec {} {program} \"$@\"\n", cluster.display())).unwrap();
            std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let copied = Command::new("cp").arg("-r").arg(root().join("deploy")).arg(&folder).status().unwrap();
        assert!(copied.success());
        std::os::unix::fs::symlink(root().join("scripts"), folder.join("scripts")).unwrap();
        Self { folder }
    }

    /// Runs a block, with what people type into it; what it prints.
    async fn run(&self, block: &str, typed: &str) -> String {
        if block != DOCTOR {
            println!("{block}");
        }
        let path = format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap());
        let input = self.folder.join("typed");
        std::fs::write(&input, typed).unwrap();
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", block]).current_dir(&self.folder).env("PATH", path);
        command.stdin(Stdio::from(std::fs::File::open(&input).unwrap()));
        let done = output(command).await;
        assert!(done.status.success(), "{block}\n{}", printed(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::File::create(self.folder.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Replaces a word of a file, which must be there.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.folder.join(name)).unwrap();
        assert!(text.contains(from), "{name}: {from}");
        self.write(name, &text.replace(from, to));
    }

    /// Asks the doctor in the pod until it says this.
    async fn doctor_says(&self, words: &str) {
        let mut turns = tokio::time::interval(Duration::from_secs(1));
        let says = async {
            while !self.run(DOCTOR, "").await.contains(words) {
                turns.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, says).await.unwrap_or_else(|_| panic!("the doctor does not say {words}"));
    }
}

/// Waits until a message with these words came.
async fn hears(chat: &Receiver, words: &str) {
    let said = || chat.received().iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect::<Vec<_>>();
    let heard = within(PATIENCE, || said().iter().any(|one| one.contains(words)).then_some(())).await;
    assert!(heard.is_some(), "no message says {words}: {:#?}", said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test --cluster"]
async fn every_command_of_the_pages_about_deployments_does_what_the_page_says() {
    let shell = Shell::new();
    let chat = Receiver::at(ADDRESS).await;
    // As Slack answers a message without a text, with which the doctor asks.
    chat.behave(|request| match request.body.len() {
        0..3 => Answer::new(400, "no_text"),
        _ => Answer::new(200, "ok"),
    });
    install::clear().await;
    manifests(&shell, &chat).await;
    a_few_namespaces(&shell).await;
    install::clear().await;
    outside(&shell, &chat).await;
    install::clear().await;
    helm(&shell, &chat).await;
    tencent(&shell).await;
}

/// The URL of the chat, as people type it.
fn slack_url() -> String {
    format!("http://{ADDRESS}/services/T000/B000/walk")
}

async fn manifests(shell: &Shell, chat: &Receiver) {
    let [secret, apply] =
        <[String; 2]>::try_from(Page::read("deploy-kubernetes.md").blocks("Plain manifests", "sh")).unwrap();
    install::make_disk("podbell");
    shell.edit("deploy/kubernetes/config.yaml", "cluster: prod", "cluster: walked");
    shell.run(&secret, &slack_url()).await;
    let said = shell.run(&apply, "").await;
    assert!(said.contains("all good"), "{said}");
    hears(chat, "A test message of podbell").await;
    // Beside what this podbell finds of earlier troubles, it may be a line of a digest.
    cluster(&["kubectl", "-n", "shop", "create", "deployment", "till", "--image=registry.example.com/shop/till:v9"])
        .await;
    hears(chat, "shop/till").await;
    cluster(&["kubectl", "-n", "shop", "delete", "deployment", "till"]).await;
}

/// Instead of all of them, in the installation by the manifests.
async fn a_few_namespaces(shell: &Shell) {
    shell.run("kubectl delete -f deploy/kubernetes/clusterrole.yaml", "").await;
    shell.edit("deploy/kubernetes/config.yaml", "# namespaces: [shop, pay]", "namespaces: [shop, pay]");
    let roles = Page::read("deploy-kubernetes.md").blocks("A few namespaces instead of all", "sh");
    for block in &roles {
        shell.run(block, "").await;
    }
    shell.run(&format!("kubectl apply -f deploy/kubernetes/config.yaml\n{RESTART}"), "").await;
    shell.doctor_says("kubernetes: pay: may list and watch events").await;
    for block in &roles {
        shell.run(&block.replace(" apply ", " delete --ignore-not-found "), "").await;
    }
    // Its namespace goes with it, and everything in it.
    shell.run("kubectl delete -k deploy/kubernetes --ignore-not-found", "").await;
}

async fn outside(shell: &Shell, chat: &Receiver) {
    let page = Page::read("deploy-outside.md");
    let [account, kubeconfig] = <[String; 2]>::try_from(page.blocks("An account in each cluster", "sh")).unwrap();
    shell.run(&account, "").await;
    shell.run(&kubeconfig, "").await;
    // As the page has it, with this folder in place of the unit's, one cluster, and no rules beside the built-in ones.
    let config = page.blocks("podbell.yaml", "yaml").remove(0);
    let config: Vec<&str> =
        config.lines().filter(|line| !line.contains("staging") && !line.starts_with("rules:")).collect();
    let config = config.join("\n").replace("/run/credentials/podbell.service/kubeconfig", "prod.kubeconfig");
    let config = config.replace("/run/credentials/podbell.service/slack-url", "slack-url");
    shell.write("podbell.yaml", &config.replace("/var/lib/podbell/podbell.db", "podbell.db"));
    shell.write("slack-url", &slack_url());
    let before = chat.received().len();
    for args in [&["doctor"][..], &["send-test", "team-slack"]] {
        let done = output(podbell(&shell.folder, args)).await;
        assert!(done.status.success(), "{args:?}: {}", printed(&done));
    }
    assert!(chat.received().len() > before);
    cluster(&["kubectl", "-n", "shop", "create", "deployment", "desk", "--image=registry.example.com/shop/desk:v9"])
        .await;
    // If it finds earlier troubles, too, it tells those first, and this one with the end of their digest.
    let before = chat.received().len();
    let mut running = Process::start(podbell(&shell.folder, &["run"]));
    let found = || {
        let new = chat.received().split_off(before);
        new.iter().any(|one| String::from_utf8_lossy(&one.body).contains("shop/")).then_some(())
    };
    assert!(within(PATIENCE, found).await.is_some(), "{}", running.stderr());
    assert!(running.stop().await.success(), "{}", running.stderr());
    cluster(&["kubectl", "-n", "shop", "delete", "deployment", "desk"]).await;
    shell.run(&account.replace("kubectl apply", "kubectl delete --ignore-not-found"), "").await;
}

async fn helm(shell: &Shell, chat: &Receiver) {
    let page = Page::read("deploy-kubernetes.md");
    let blocks = page.blocks("Helm", "sh");
    install::make_disk("podbell");
    shell.run(&blocks[0], &slack_url()).await;
    shell.run("kubectl -n podbell rollout status statefulset/podbell", "").await;
    shell.doctor_says("in 2 files").await;
    shell.write("shop.yaml", "version: 1\ndefaults: {notify: [team-slack]}\nrules:\n  - {name: carts, match: {namespace: shop, workload: cart}}\n");
    shell.run(&blocks[1], "").await;
    // When the kubelet has delivered it.
    shell.doctor_says("in 3 files").await;
    assert!(
        page.text.contains("With Helm: `--set 'namespaces={shop,pay}'` does both"),
        "the next command is the page's"
    );
    shell
        .run("helm upgrade podbell deploy/helm/podbell -n podbell --reuse-values --set 'namespaces={shop,pay}'", "")
        .await;
    shell.run(RESTART, "").await;
    shell.doctor_says("kubernetes: pay: may list and watch events").await;
    let before = chat.received().len();
    shell
        .run("kubectl -n podbell exec podbell-0 -- podbell send-test team-slack --config /etc/podbell/podbell.yaml", "")
        .await;
    assert!(chat.received().len() > before);
    shell.write("my-values.yaml", "namespaces: [shop]\n");
    assert!(shell.run(&blocks[2], "").await.contains("namespace: ops"));
    shell.run("helm uninstall podbell -n podbell", "").await;
    // The store stays.
    shell.run("kubectl -n podbell get pvc store-podbell-0", "").await;
}

async fn tencent(shell: &Shell) {
    let page = Page::read("deploy-tke.md");
    let [values, claim, class] = <[String; 3]>::try_from(page.blocks("The store: a cloud disk (CBS)", "yaml")).unwrap();
    shell.write("tke.yaml", &values);
    let dry_run = "kubectl create namespace podbell --dry-run=client -o yaml | kubectl apply -f -
        scripts/render-chart -f tke.yaml | kubectl -n podbell apply --dry-run=server -f -";
    shell.run(dry_run, "").await;
    assert!(shell.run("scripts/render-chart -f tke.yaml", "").await.contains("storageClassName: cbs"));
    shell.write("class.yaml", &class);
    shell.run("kubectl apply --dry-run=server -f class.yaml", "").await;
    let file = std::fs::read_to_string(root().join("deploy/kubernetes/statefulset.yaml")).unwrap();
    let (before, _) = file.split_once("  volumeClaimTemplates:\n").unwrap();
    shell.write("statefulset.yaml", &(before.to_owned() + &claim));
    shell.run("kubectl apply --dry-run=server -f statefulset.yaml", "").await;
    let [endpoints] = <[String; 1]>::try_from(page.blocks("Reaching the API server", "sh")).unwrap();
    assert!(shell.run(&endpoints, "").await.contains("6443"));
}
