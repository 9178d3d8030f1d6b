//! What `scripts/release` makes: the same bytes each time, complete, and a package that a minimal Debian installs, runs
//! and forgets. The program in it is the one of the tests, without its debugging symbols.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::page::Page;
use crate::support::process::{PATIENCE, Process, eventually, printed};
use crate::support::receiver::Receiver;
use crate::support::site;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a command prints, if it ends well.
fn good(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", printed(&output));
    printed(&output)
}

/// Files of a release.
struct Release {
    folder: TempDir,
    program: PathBuf,
}

impl Release {
    fn file(&self, end: &str) -> PathBuf {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let named: Vec<PathBuf> = files.filter(|path| path.to_str().unwrap().ends_with(end)).collect();
        let [file] = named.as_slice() else { panic!("not one file ends with {end}: {named:?}") };
        file.clone()
    }

    /// Runs the script and takes what it made away, so that it begins anew the next time.
    fn make(program: &Path) -> TempDir {
        let to = tempfile::tempdir().unwrap();
        let mut script = Command::new(root().join("scripts/release"));
        good(script.arg("--binary").arg(program).env("PODBELL_RELEASE_LEVEL", "1"));
        let made = root().join("target/release-files");
        good(Command::new("cp").arg("-a").arg(made.join(".")).arg(to.path()));
        to
    }
}

/// Made twice, and compared: here because each time takes some seconds.
static RELEASE: LazyLock<Release> = LazyLock::new(|| {
    let program = root().join("target/tmp/podbell-stripped");
    good(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_podbell")));
    let folder = Release::make(&program);
    let again = Release::make(&program);
    let sums = |folder: &TempDir| std::fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&folder), sums(&again), "the same program and revision, other bytes");
    Release { folder, program }
});

#[test]
fn a_release_has_every_file_and_their_checksums() {
    let folder = RELEASE.folder.path();
    good(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder));
    let listed = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap().lines().count();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), listed + 1);
    let archive = good(Command::new("tar").arg("-tzf").arg(RELEASE.file("-linux.tar.gz")));
    let wanted = [
        "/podbell",
        "/LICENSE",
        "/README.md",
        "/rules/kubernetes.yaml",
        "/rules.example.yaml",
        "/man/podbell.1",
        "/man/podbell-run.1",
        "/completions/podbell.bash",
        "/completions/_podbell",
        "/completions/podbell.fish",
    ];
    for file in wanted {
        assert!(archive.lines().any(|line| line.ends_with(file)), "no {file} in {archive}");
    }
}

#[test]
fn the_chart_s_archive_renders_as_its_folder_does() {
    let render = |chart: &Path| good(Command::new(root().join("scripts/render-chart")).arg(chart));
    assert_eq!(render(&RELEASE.file(".tgz")), render(&root().join("deploy/helm/podbell")));
}

/// Name and version to the checksum, of every crate in Cargo.lock.
fn locked() -> BTreeMap<(String, String), Option<String>> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let of = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages.map(|one| ((of(one, "name").unwrap(), of(one, "version").unwrap()), of(one, "checksum"))).collect()
}

#[test]
fn the_bill_of_materials_names_every_crate_in_the_program_with_the_checksum_of_the_lock_file() {
    let bill: Value = serde_json::from_slice(&std::fs::read(RELEASE.file(".cdx.json")).unwrap()).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = bill["components"].as_array().unwrap();
    let (crates, others): (Vec<_>, Vec<_>) =
        components.iter().partition(|one| text(&one["purl"]).starts_with("pkg:cargo/"));
    assert_eq!(others.iter().map(|one| text(&one["name"])).collect::<Vec<_>>(), ["sqlite"]);
    let locked = locked();
    let mut named = BTreeSet::new();
    for one in crates {
        let crate_ = (text(&one["name"]), text(&one["version"]));
        let checksum = locked.get(&crate_).unwrap_or_else(|| panic!("{crate_:?} is not in Cargo.lock"));
        assert_eq!(one["hashes"][0]["content"].as_str(), checksum.as_deref(), "{crate_:?}");
        assert!(one["licenses"][0]["expression"].is_string(), "{crate_:?}");
        named.insert(crate_);
    }
    // By what the program says itself: paths of sources, for the messages of panics.
    let program = std::fs::read(&RELEASE.program).unwrap();
    let program = String::from_utf8_lossy(&program);
    let source = Regex::new(r"registry/src/[^/\s]+/([A-Za-z0-9_-]+?)-([0-9]+\.[^/\s]*)/").unwrap();
    let inside: BTreeSet<_> = source.captures_iter(&program).map(|of| (of[1].to_owned(), of[2].to_owned())).collect();
    assert!(inside.len() > 50, "{inside:?}");
    assert_eq!(inside.difference(&named).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    // By Cargo.toml: what it names for the program.
    let toml = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, rest) = toml.split_once("\n[dependencies]\n").unwrap();
    let (dependencies, _) = rest.split_once("\n[").unwrap();
    for line in dependencies.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())) {
        let name = line.split(['.', ' ']).next().unwrap();
        assert!(named.iter().any(|(one, _)| one == name), "no {name}");
    }
    assert!(!named.iter().any(|(name, _)| name == "syn"), "macros are not in the program");
    // Another processor's names its own crates.
    let other = good(Command::new(root().join("scripts/release.d/sbom")).arg("aarch64"));
    let other: Value = serde_json::from_str(&other).unwrap();
    assert!(other["components"].as_array().unwrap().len() > 100);
    // Everything that something depends on is there.
    let refs: BTreeSet<_> = components.iter().map(|one| text(&one["bom-ref"])).collect();
    for dependency in
        bill["dependencies"].as_array().unwrap().iter().flat_map(|one| one["dependsOn"].as_array().unwrap())
    {
        assert!(refs.contains(dependency.as_str().unwrap()), "no {dependency}");
    }
}

/// How the pages have podbell started.
const STARTS: &str = "systemctl enable --now podbell\njournalctl -u podbell -f\n";

/// A Debian in a folder of its own.
struct Debian {
    folder: TempDir,
}

impl Debian {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        good(Command::new(root().join("scripts/debian-folder")).arg(folder.path()));
        Self { folder }
    }

    fn path(&self, absolute: &str) -> PathBuf {
        self.folder.path().join(absolute.trim_start_matches('/'))
    }

    fn read(&self, absolute: &str) -> String {
        std::fs::read_to_string(self.path(absolute)).unwrap()
    }

    /// A command in it, with an environment of its own.
    fn command(&self, user: &str, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={user}")).arg(self.folder.path()).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn as_root(&self, words: &[&str]) -> String {
        good(&mut self.command("root:root", words))
    }

    /// Prepares a folder for the blocks of a page. `editor` writes what a test left for a file of that name, `cargo` installs the
    /// program that is there, and calls of systemd's programs are noted down.
    fn prepare_walk(&self) {
        let bin = self.path("/tmp/bin");
        for folder in [&bin, &self.path("/tmp/walk"), &self.path("/tmp/typed")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let note = "printf '%s %s\\n' \"${0##*/}\" \"$*\" >>/tmp/noted";
        let programs = [
            ("editor", "cat \"/tmp/typed/${1##*/}\" >\"$1\"".to_owned()),
            ("cargo", format!("{note}; install -D -m 755 /tmp/podbell /usr/local/bin/podbell")),
            ("systemctl", note.to_owned()),
            ("journalctl", note.to_owned()),
        ];
        for (name, text) in programs {
            std::fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            good(Command::new("chmod").arg("755").arg(bin.join(name)));
        }
    }

    /// Runs commands of a page as root, in that folder, with what is typed into them.
    fn walk(&self, commands: &str, typed: &str) -> String {
        std::fs::write(self.path("/tmp/typed/stdin"), typed).unwrap();
        // Some read /dev/stdin, which is in /proc.
        let inside = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" bash -euc 'cd /tmp/walk; exec <\"$1\"; eval \"$0\"' \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", inside]).arg(self.folder.path()).args([commands, "/tmp/typed/stdin"]);
        command.env_clear().env("PATH", "/tmp/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        good(&mut command)
    }

    /// Every path, but those of logs, of what runs, and of the package manager; and every account.
    fn everything(&self) -> BTreeSet<String> {
        let find = ["find", "/", "-xdev", "-not", "-path", "/var/lib/dpkg/*", "-not", "-path", "/var/log/*"];
        let backups = [
            "-not",
            "-path",
            "/var/lib/apt/*",
            "-not",
            "-path",
            "/etc/*-",
            "-not",
            "-path",
            "/tmp/*",
            "-not",
            "-path",
            "/var/cache/*",
            "-not",
            "-path",
            "/run/*",
        ];
        let files = self.as_root(&[&find[..], &backups].concat());
        let accounts = ["passwd", "group", "shadow", "gshadow"].map(|file| self.read(&format!("/etc/{file}")));
        files.lines().chain(accounts.iter().flat_map(|file| file.lines())).map(str::to_owned).collect()
    }
}

/// The value of a key of a unit.
fn setting<'a>(unit: &'a str, key: &str) -> &'a str {
    unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_else(|| panic!("no {key}"))
}

/// The service as systemd would start it: this command, this account, this folder, this environment.
fn started(debian: &Debian, unit: &str) -> Process {
    let account = format!("{}:{}", setting(unit, "User"), setting(unit, "Group"));
    let folder = format!("--chdir={}", setting(unit, "WorkingDirectory"));
    let environment = debian.read(setting(unit, "EnvironmentFile").trim_start_matches('-'));
    let variables = environment.lines().filter(|line| !line.starts_with('#'));
    let words: Vec<&str> = ["env", "-i", &folder].into_iter().chain(variables).collect();
    let command: Vec<&str> = words.into_iter().chain(setting(unit, "ExecStart").split(' ')).collect();
    Process::start(debian.command(&account, &command))
}

#[tokio::test]
async fn the_package_installs_in_a_minimal_debian_tells_and_leaves_nothing_when_it_is_purged() {
    let debian = Debian::new();
    let before = debian.everything();
    debian.prepare_walk();
    let package = RELEASE.file(".deb");
    let name = package.file_name().unwrap().to_str().unwrap();
    std::fs::copy(&package, debian.path("/tmp/walk").join(name)).unwrap();
    let block = Page::read("deploy-outside.md").blocks("The Debian package", "sh").remove(0);
    let (install, configure) = block.split_once('\n').unwrap();
    assert_eq!(install, format!("apt install ./{name}"));
    debian.walk(install, "");
    assert_eq!(debian.as_root(&["dpkg", "--verify", "podbell"]), "");
    assert_eq!(debian.as_root(&["podbell", "--version"]), concat!("podbell ", env!("CARGO_PKG_VERSION"), "\n"));
    // The configuration that comes with it has no mistake, and secrets are nobody else's.
    debian.as_root(&["podbell", "check", "--config", "/etc/podbell/podbell.yaml"]);
    let owned = |path: &str| debian.as_root(&["stat", "--format=%U:%G %a", path]);
    assert_eq!(owned("/etc/podbell/podbell.env"), "root:podbell 640\n");
    assert_eq!(owned("/etc/podbell/secrets"), "root:podbell 750\n");
    assert_eq!(owned("/var/lib/podbell"), "podbell:podbell 700\n");
    debian.as_root(&["bash", "-n", "/usr/share/bash-completion/completions/podbell"]);
    assert!(debian.path("/usr/share/man/man1/podbell-run.1.gz").exists());

    let receiver = Receiver::start().await;
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let notifier = "  - {name: audit, kind: webhook, url: \"${HOOK}\"}";
    let config = site::config(&emulator.endpoint(), "{cluster: c, namespace: shop, names: [web]}", notifier);
    let config = config.replace("sqlite:podbell.db", "sqlite:/var/lib/podbell/podbell.db");
    std::fs::write(debian.path("/tmp/typed/podbell.yaml"), config).unwrap();
    std::fs::write(debian.path("/etc/podbell/rules.yaml"), site::QUICK_RULES).unwrap();
    let environment = format!("# Secrets.\nHOOK={}\n", receiver.url("/hook"));
    std::fs::write(debian.path("/tmp/typed/podbell.env"), environment).unwrap();
    std::fs::write(debian.path("/tmp/walk/prod.kubeconfig"), "").unwrap();
    debian.walk(configure, "");
    assert_eq!(debian.read("/tmp/noted"), STARTS);
    assert_eq!(owned("/etc/podbell/podbell.env"), "root:podbell 640\n");
    assert_eq!(owned("/etc/podbell/secrets/kubeconfig"), "root:podbell 640\n");
    let mut service = started(&debian, &debian.read("/usr/lib/systemd/system/podbell.service"));
    let told = || receiver.received().iter().any(|one| one.json()["type"] == "incident.opened").then_some(());
    eventually(PATIENCE, "told", told).await;
    assert!(service.stop().await.success(), "{}", service.stderr());
    assert_eq!(owned("/var/lib/podbell/podbell.db"), "podbell:podbell 600\n");

    // Removed, it keeps what the administrator wrote and what it knows; purged, nothing.
    debian.as_root(&["dpkg", "--remove", "podbell"]);
    assert!(!debian.path("/usr/bin/podbell").exists());
    assert!(debian.path("/etc/podbell/podbell.yaml").exists() && debian.path("/var/lib/podbell/podbell.db").exists());
    std::fs::remove_file(debian.path("/etc/podbell/rules.yaml")).unwrap();
    debian.as_root(&["dpkg", "--purge", "podbell"]);
    let after = debian.everything();
    assert_eq!(after.symmetric_difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn what_the_page_installs_without_the_package_is_what_the_unit_needs() {
    let debian = Debian::new();
    debian.prepare_walk();
    let page = Page::read("deploy-outside.md");
    for copied in ["rules", "deploy"] {
        good(Command::new("cp").arg("-r").arg(root().join(copied)).arg(debian.path("/tmp/walk")));
    }
    std::fs::copy(&RELEASE.program, debian.path("/tmp/podbell")).unwrap();
    let kubeconfig = page.blocks("An account in each cluster", "sh").remove(1);
    let (_, kubeconfig) = kubeconfig.split_once("<<END\n").unwrap();
    let kubeconfig = kubeconfig.replace("END\n", "").replace("$server", "https://127.0.0.1:1");
    let kubeconfig = kubeconfig.replace(", certificate-authority-data: \"$(secret ca.crt)\"", "");
    std::fs::write(debian.path("/tmp/walk/prod.kubeconfig"), kubeconfig.replace("$(secret token | base64 -d)", "t"))
        .unwrap();
    // The page's configuration, but for the second cluster, whose credential the unit does not have.
    let config = page.blocks("podbell.yaml", "yaml").remove(0);
    let config: String = config.split_inclusive('\n').filter(|line| !line.contains("staging")).collect();
    std::fs::write(debian.path("/tmp/walk/podbell.yaml"), config).unwrap();
    let block = page.blocks("With systemd, without the package", "sh").remove(0);
    debian.walk(&block, "https://hooks.slack.com/services/T000/B000/xyz");
    let reload = "systemctl daemon-reload\n";
    assert_eq!(
        debian.read("/tmp/noted"),
        format!("cargo install --path . --locked --root /usr/local\n{reload}{STARTS}")
    );

    // As systemd does: an account of its own, with the credentials and the folder that the unit names.
    let unit = debian.read("/etc/systemd/system/podbell.service");
    let program = setting(&unit, "ExecStart").split(' ').next().unwrap();
    let account = "65534:65534";
    for line in unit.lines().filter_map(|line| line.strip_prefix("LoadCredential=")) {
        let (name, file) = line.split_once(':').unwrap();
        assert_eq!(debian.as_root(&["stat", "--format=%U %a", file]), "root 600\n", "{file}");
        let credential = format!("/run/credentials/podbell.service/{name}");
        debian.as_root(&["install", "-D", "-m", "400", "-o", "65534", file, &credential]);
    }
    debian.as_root(&["install", "-d", "-m", "700", "-o", "65534", setting(&unit, "WorkingDirectory")]);
    let check = [program, "check", "--config", "/etc/podbell/podbell.yaml"];
    let said = good(&mut debian.command(account, &check));
    assert!(said.contains("all good"), "{said}");
}

#[test]
fn the_unit_in_the_package_is_understood_and_as_confined_as_the_other() {
    let folder = tempfile::tempdir().unwrap();
    good(Command::new("dpkg-deb").arg("-x").arg(RELEASE.file(".deb")).arg(folder.path()));
    let unit = std::fs::read_to_string(folder.path().join("usr/lib/systemd/system/podbell.service")).unwrap();
    assert!(!unit.contains("/usr/local") && !unit.contains("DynamicUser") && !unit.contains("LoadCredential"));
    // The program that it starts is not installed here.
    let here = unit.replace("/usr/bin/podbell", env!("CARGO_BIN_EXE_podbell"));
    std::fs::write(folder.path().join("podbell.service"), here).unwrap();
    let analyze = |args: &[&str]| {
        good(Command::new("systemd-analyze").args(args).arg("./podbell.service").current_dir(folder.path()))
    };
    let said = analyze(&["verify", "--man=no"]);
    assert!(!said.contains("podbell.service"), "{said}");
    analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
}
