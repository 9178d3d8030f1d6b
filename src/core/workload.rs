//! From the name of an object to its workload: the name without generated suffixes.
//!
//! The table is DESIGN.md section 3, point 10. It was measured there on 14,530 real pods; what
//! Kubernetes generates is defined by `SafeEncodeString` (pod-template hashes) and `utilrand`
//! (the five random characters of `generateName`).

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
        _ => None,
    };
    cut.filter(|cut| !cut.is_empty()).unwrap_or(name)
}

fn pod(name: &str) -> Option<&str> {
    cut_off_at_63(name)
        .or_else(|| uuid(name))
        .or_else(|| dashed(name, 5..=5, is_random).and_then(|rest| dashed(rest, 6..=10, is_hash)))
        .or_else(|| dashed(name, 5..=5, is_lower_alnum).and_then(|rest| dashed(rest, 8..=10, is_digit)))
        .or_else(|| dashed(name, 5..=5, is_random).and_then(|rest| dashed(rest, 1..=5, is_digit)))
        .or_else(|| dashed(name, 5..=5, is_random))
        .or_else(|| node_address(name))
        .or_else(|| dashed(name, 1..=4, is_digit))
}

/// What stands before a final `-` and `len` characters of a class, if anything does.
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

#[cfg(test)]
mod tests {
    use super::of;

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
