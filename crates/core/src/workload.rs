//! From the name of an object to its workload: the name without generated suffixes.
//!
//! Measured on the names of 14,530 real pods. What Kubernetes generates is defined by its functions `SafeEncodeString`
//! (pod-template hashes) and `utilrand` (the five random characters of `generateName`).

use crate::health::WorkloadKind;

/// The characters that Kubernetes draws random suffixes from.
fn is_random(b: u8) -> bool {
    b"bcdfghjklmnpqrstvwxz2456789".contains(&b)
}

/// The characters that a pod-template hash can hold: decimal digits, encoded.
fn is_hash(b: u8) -> bool {
    b"456789bcdf".contains(&b)
}

fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

fn is_lower_alnum(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// The workload of an object. Never empty unless the name is.
pub fn of<'a>(obj_type: &str, obj_name: &'a str) -> &'a str {
    let name = obj_name.trim();
    let cut = match obj_type {
        "Pod" => pod(name),
        "ReplicaSet" | "ReplicationController" => {
            dashed(name, 6..=10, is_hash).or_else(|| dashed(name, 8..=10, is_digit))
        }
        "Job" => dashed(name, 8..=10, is_digit).or_else(|| dashed(name, 5..=5, is_random)),
        "PersistentVolumeClaim" => dashed(name, 1..=4, is_digit),
        "EndpointSlice" => dashed(name, 5..=5, is_random),
        // cert-manager makes them of a certificate, each name from the one before.
        "CertificateRequest" => request(name),
        "Order" => dashed(name, 8..=10, is_digit).map(|rest| request(rest).unwrap_or(rest)),
        "Challenge" => dashed(name, 8..=10, is_digit)
            .and_then(|rest| dashed(rest, 8..=10, is_digit))
            .map(|rest| request(rest).unwrap_or(rest)),
        _ => None,
    };
    cut.filter(|cut| !cut.is_empty()).unwrap_or(name)
}

fn pod(name: &str) -> Option<&str> {
    pipeline(name)
        .or_else(|| cut_off_at_63(name))
        .or_else(|| uuid(name))
        .or_else(|| dashed(name, 5..=5, is_random).and_then(|rest| dashed(rest, 6..=10, is_hash)))
        .or_else(|| dashed(name, 5..=5, is_lower_alnum).and_then(|rest| dashed(rest, 8..=10, is_digit)))
        .or_else(|| dashed(name, 5..=5, is_random).and_then(|rest| dashed(rest, 1..=5, is_digit)))
        .or_else(|| dashed(name, 5..=5, is_random))
        .or_else(|| node_address(name))
        .or_else(|| dashed(name, 1..=4, is_digit))
}

/// The name of a request of cert-manager ends in the number of the attempt, in older versions in five random
/// characters.
fn request(name: &str) -> Option<&str> {
    dashed(name, 1..=4, is_digit).or_else(|| dashed(name, 5..=5, is_random))
}

/// Whether a job's name ends in the number that a cron job gives to each of its runs: the minutes or seconds of its
/// schedule, eight to ten digits.
pub fn is_a_scheduled_run(job: &str) -> bool {
    dashed(job.trim(), 8..=10, is_digit).is_some()
}

/// The name of the job of a cron job's run, if an object is that job or a pod of it. Of two runs of one cron job, the
/// later one has the greater name.
pub(crate) fn run_of<'a>(obj_type: &str, obj_name: &'a str) -> Option<&'a str> {
    let name = obj_name.trim();
    let job = match obj_type {
        "Job" => Some(name),
        "Pod" => dashed(name, 5..=5, is_lower_alnum),
        _ => None,
    };
    job.filter(|job| is_a_scheduled_run(job))
}

/// Whether an object is a job, or a pod of a cron job's run.
pub(crate) fn is_of_a_job(obj_type: &str, obj_name: &str) -> bool {
    let is_of_a_run = || dashed(obj_name.trim(), 5..=5, is_lower_alnum).is_some_and(is_a_scheduled_run);
    obj_type == "Job" || obj_type == "Pod" && is_of_a_run()
}

/// The name of the replica set that made a pod, if the pod's name has the hash of a template: a deployment, which people named,
/// and that hash.
pub(crate) fn template_of(pod_name: &str) -> Option<&str> {
    dashed(pod_name.trim(), 5..=5, is_random).filter(|rest| dashed(rest, 6..=10, is_hash).is_some())
}

/// Whether a pod's name can be one that a controller of this kind gives to the pods of a workload.
pub(crate) fn may_be_of(kind: WorkloadKind, workload: &str, pod: &str) -> bool {
    let pod = pod.trim();
    let Some(rest) = pod.strip_prefix(workload) else { return false };
    // A name that was cut off, or of a form that other controllers do not use.
    let cut = pod.len() >= 63;
    let own = match kind {
        WorkloadKind::Deployment => dashed(pod, 5..=5, is_random).and_then(|rest| dashed(rest, 1..=10, is_hash)),
        WorkloadKind::StatefulSet => dashed(pod, 1..=5, is_digit),
        WorkloadKind::DaemonSet => dashed(pod, 5..=5, is_random),
    };
    rest.starts_with('-') && (cut || own == Some(workload))
}

/// Pods that a pipeline makes for one run each.
fn pipeline(name: &str) -> Option<&str> {
    gitlab(name).or_else(|| tekton(name)).or_else(|| argo(name)).or_else(|| jenkins(name)).or_else(|| airflow(name))
}

/// `runner-TOKEN-project-ID-concurrent-N-RANDOM`: of one project, whichever runner took it.
fn gitlab(name: &str) -> Option<&str> {
    let project = name.strip_prefix("runner-").and_then(|_| name.find("-project-"))?;
    let id = project + "-project-".len();
    let digits = name.get(id..)?.bytes().take_while(u8::is_ascii_digit).count();
    let end = id + digits;
    let rest = name.get(end..)?;
    (digits > 0 && rest.starts_with("-concurrent")).then(|| name.get(project + 1..end)).flatten()
}

/// `PIPELINE-RANDOM-TASK-pod`: of one pipeline.
fn tekton(name: &str) -> Option<&str> {
    let run = name.strip_suffix("-pod")?;
    run.match_indices('-').find_map(|(at, _)| {
        let (rest, after) = (run.get(..at)?, run.get(at + 1..)?);
        let random = after.split('-').next()?;
        let mixed = random.len() == 5 && random.bytes().all(is_random) && random.bytes().any(is_digit);
        let whole = random.len() == 5 && random.bytes().all(is_random) && after.len() == 5;
        (!rest.is_empty() && (mixed || whole)).then_some(rest)
    })
}

/// `WORKFLOW-RANDOM-HASH`, where the hash of a step is a decimal number: of one workflow.
fn argo(name: &str) -> Option<&str> {
    let run = dashed(name, 8..=10, is_digit)?;
    // The name of the step's template may be in between.
    dashed(run, 5..=5, is_random).filter(|rest| rest.bytes().any(|b| b.is_ascii_lowercase())).or_else(|| {
        let (workflow, _) = run.rsplit_once('-')?;
        dashed(workflow, 5..=5, is_random)
            .filter(|_| workflow.rsplit_once('-').is_some_and(|(_, random)| random.bytes().any(is_digit)))
    })
}

/// `JOB-NUMBER-RANDOM-RANDOM-RANDOM`, where any letters and digits are drawn: of one job.
fn jenkins(name: &str) -> Option<&str> {
    let run = (0..2).try_fold(name, |rest, _| dashed(rest, 5..=5, is_lower_alnum))?;
    let run = dashed(run, 5..=5, is_lower_alnum).unwrap_or(run);
    // A part of five letters may also be a word.
    let drawn = name.get(run.len()..)?.split('-').filter(|part| {
        part.bytes().any(is_digit) || (!part.is_empty() && !part.bytes().any(|b| b"aeiou".contains(&b)))
    });
    let agent = name.starts_with("jnlp-").then_some(run);
    if drawn.count() > 0 { dashed(run, 1..=6, is_digit).or(agent) } else { None }
}

/// `DAG-TASK-RANDOM`, where the random part has eight characters, digits among them: of one task.
fn airflow(name: &str) -> Option<&str> {
    let (_, random) = name.rsplit_once('-')?;
    let (digits, letters) = (random.bytes().any(is_digit), random.bytes().any(|b| b.is_ascii_lowercase()));
    // Hexadecimal ones are hashes of a template or of a commit.
    let hash = random.bytes().all(|b| b.is_ascii_hexdigit());
    if digits && letters && !hash { dashed(name, 8..=8, is_lower_alnum) } else { None }
}

/// What is before a final `-` and `len` characters of a class, if anything is.
fn dashed(name: &str, len: std::ops::RangeInclusive<usize>, class: fn(u8) -> bool) -> Option<&str> {
    let (rest, suffix) = name.rsplit_once('-')?;
    (!rest.is_empty() && len.contains(&suffix.len()) && suffix.bytes().all(class)).then_some(rest)
}

/// A generated name is cut so that base and five random characters fit in 63: the dash, and part
/// of the hash before it, can be lost.
fn cut_off_at_63(name: &str) -> Option<&str> {
    let base = name.len().checked_sub(5).filter(|_| name.len() == 63)?;
    let (base, random) = name.split_at_checked(base)?;
    if !random.bytes().all(is_random) {
        return None;
    }
    let base = base.strip_suffix('-').unwrap_or(base);
    let base = dashed(base, 1..=10, is_hash).unwrap_or(base);
    Some(base.strip_suffix('-').unwrap_or(base))
}

fn uuid(name: &str) -> Option<&str> {
    const LENGTHS: [usize; 5] = [12, 4, 4, 4, 8];
    LENGTHS.iter().try_fold(name, |rest, &len| dashed(rest, len..=len, |b| b.is_ascii_hexdigit()))
}

/// `-10-0-0-1` or `-ip-10-0-0-1.ec2.internal`: a static pod carries the name of its node.
fn node_address(name: &str) -> Option<&str> {
    name.match_indices('-').find_map(|(at, _)| {
        let (rest, suffix) = (name.get(..at)?, name.get(at + 1..)?);
        let address = suffix.strip_prefix("ip-").unwrap_or(suffix);
        let address = address.split_once('.').map_or(address, |(address, _domain)| address);
        let mut parts = 0;
        let numbers = address.split('-').all(|part| {
            parts += 1;
            (1..=3).contains(&part.len()) && part.bytes().all(is_digit)
        });
        (numbers && parts == 4 && !rest.is_empty()).then_some(rest)
    })
}

/// The shape of a workload's name: the same for workloads whose names a tool generates, one for each pipeline run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The name with a `*` for what differs.
    pub text: String,
    /// Whether what differs looks generated; else only the beginning of the name is the same.
    pub sure: bool,
}

/// The shape of a name: parts that look generated are replaced; without such parts, of a name with three parts or more
/// only the beginning stays. `None` for a short name that people gave, or if nothing else is left. Workloads of one
/// shape may be runs of the same thing, by a maker that podbell does not know.
pub(crate) fn shape(workload: &str) -> Option<Shape> {
    let parts: Vec<&str> = workload.split(['-', '.']).collect();
    let mut shape: Vec<&str> = Vec::with_capacity(parts.len());
    let (mut at, mut generated) = (0, 0);
    while let Some(part) = parts.get(at) {
        let after = shape.last() == Some(&"*");
        let length = match is_uuid(parts.get(at..at + 5).unwrap_or_default()) {
            true => 5,
            // Perhaps a shortened UUID.
            false if looks_generated(part) || (after && part.len() == 4 && is_hex(part)) => 1,
            false => 0,
        };
        at += length.max(1);
        generated += if length == 5 { 36 } else { part.len() * length };
        if length == 0 {
            shape.push(part);
        } else if !after {
            shape.push("*");
        }
    }
    // A name of generated parts only is sure only if they are long.
    let named = shape.iter().any(|part| *part != "*");
    if generated >= 16 || (generated > 0 && named) {
        return Some(Shape { text: shape.join("-"), sure: true });
    }
    match parts.as_slice() {
        [first, second, _, ..] if generated == 0 => Some(Shape { text: format!("{first}-{second}-*"), sure: false }),
        _ => None,
    }
}

fn is_hex(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether parts of a name are a UUID's.
fn is_uuid(parts: &[&str]) -> bool {
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| is_hex(part))
}

/// Whether part of a name looks generated. It has five characters or more, and they are all such as Kubernetes draws,
/// or all digits, or letters and digits that take turns at least three times, or a long hexadecimal number.
fn looks_generated(part: &str) -> bool {
    if part.len() < 5 || !part.bytes().all(is_lower_alnum) {
        return false;
    }
    let turns = part.as_bytes().windows(2).filter(|pair| is_digit(pair[0]) != is_digit(pair[1])).count();
    let hex = part.len() >= 8 && is_hex(part) && part.bytes().any(is_digit);
    part.bytes().all(is_random) || part.bytes().all(is_digit) || turns >= 3 || hex
}

#[cfg(test)]
mod tests {
    use super::{of, shape};

    #[test]
    fn names_of_one_maker_have_one_shape_and_names_that_people_gave_have_none() {
        for (name, expected) in [
            ("ci-8f3k2m1q-build", Some("ci-*-build")),
            ("step-20418-x", Some("step-*-x")),
            ("job-kzvwq", Some("job-*")),
            ("c6016f94-1806-e711", Some("*")),
            ("kzvwq", None),
            ("0b54e8d0-93b0-4a1b-8b9d-2f0a3d6f3a11", Some("*")),
            ("dag.0b54e8d093b04a1b8b9d2f0a3d6f3a11", Some("dag-*")),
            ("web", None),
            ("svc-12", None),
            ("svc-web100", None),
            ("svc-w100x", None),
            ("mysql-main", None),
            ("api-v2", None),
            ("checkout-worker", None),
        ] {
            let shape = shape(name).filter(|shape| shape.sure).map(|shape| shape.text);
            assert_eq!(shape.as_deref(), expected, "{name}");
        }
        let begins = |name| shape(name).map(|shape| (shape.text, shape.sure));
        assert_eq!(begins("jnlp-slave-gkazp-oio"), Some(("jnlp-slave-*".to_owned(), false)));
        assert_eq!(begins("checkout-worker"), None);
    }

    #[test]
    fn names_lose_their_generated_suffixes_and_plain_names_stay() {
        let long = format!("{}-6d4cf{}", "a".repeat(52), "x2x7v");
        let long_at_dash = format!("{}-6d4cf56db6-x2x7v", "a".repeat(46));
        let cases = [
            ("Pod", "frontend-542052039-h2yj8", "frontend"),
            ("Pod", "web-6d4cf56db6-x2x7v", "web"),
            ("Pod", "backup-28391040-x2x7v", "backup"),
            ("Pod", "backup-28391040-a1b2c", "backup"),
            ("Pod", "indexed-3-x2x7v", "indexed"),
            ("Pod", "daemon-x2x7v", "daemon"),
            ("Pod", "db-0", "db"),
            ("Pod", "db-12345", "db-12345"),
            ("Pod", "kube-proxy-ip-10-0-12-1.ec2.internal", "kube-proxy"),
            ("Pod", "kube-apiserver-10-0-0-1", "kube-apiserver"),
            ("Pod", "runner-0b54e8d0-93b0-4a1b-8b9d-2f0a3d6f3a11", "runner"),
            ("Pod", "0b54e8d0-93b0-4a1b-8b9d-2f0a3d6f3a11", "0b54e8d0-93b0-4a1b-8b9d-2f0a3d6f3a11"),
            ("Pod", "runner-kxwgpzt2-project-4711-concurrent-0-xdzb9tlw", "project-4711"),
            ("Pod", "runner-6b47dh7x-project-4711-concurrent-12bk7d", "project-4711"),
            ("Pod", "build-x7k2p-unit-tests-pod", "build"),
            ("Pod", "release-main-9bzq4-pod", "release-main"),
            ("Pod", "nightly-x7k2p-2093482734", "nightly"),
            ("Pod", "nightly-x7k2p-unit-2093482734", "nightly"),
            ("Pod", "etl-load-4gq81zpx", "etl-load"),
            ("Pod", "shop-main-12-b7c2d-9rkxq-x2x7v", "shop-main"),
            ("Pod", "shop-main-12-b7c2d-9rkxq", "shop-main"),
            ("Pod", "single-pod", "single-pod"),
            ("Pod", "web-frontend", "web-frontend"),
            ("Pod", "web-deadbee1", "web-deadbee1"),
            ("Pod", "web-proxy", "web-proxy"),
            ("Pod", "nginx", "nginx"),
            ("Pod", "-x2x7v", "-x2x7v"),
            ("Pod", "", ""),
            ("Pod", &long, &"a".repeat(52)),
            ("Pod", &long_at_dash, &"a".repeat(46)),
            ("ReplicaSet", "web-6d4cf56db6", "web"),
            ("ReplicationController", "web-542052039", "web"),
            ("Job", "backup-28391040", "backup"),
            ("Job", "backup-x2x7v", "backup"),
            ("PersistentVolumeClaim", "data-db-0", "data-db"),
            ("EndpointSlice", "web-x2x7v", "web"),
            ("Certificate", "shop-tls", "shop-tls"),
            ("CertificateRequest", "shop-tls-1", "shop-tls"),
            ("CertificateRequest", "shop-tls-x2x7v", "shop-tls"),
            ("Order", "shop-tls-1-1234567890", "shop-tls"),
            ("Challenge", "shop-tls-1-1234567890-987654321", "shop-tls"),
            ("Pod", "web-1-redis-cache", "web-1-redis-cache"),
            ("Node", "node-6d4cf56db6-x2x7v", "node-6d4cf56db6-x2x7v"),
            ("Deployment", "web-0", "web-0"),
        ];
        for (kind, name, workload) in cases {
            assert_eq!(of(kind, name), workload, "{kind} {name}");
        }
    }

    #[test]
    fn any_text_is_safe() {
        for name in ["--", "-", "💥-💥-12345", "é".repeat(31).as_str(), "a-ip-1-2-3-4", "ip-1-2-3-4"] {
            of("Pod", name);
        }
    }
}
