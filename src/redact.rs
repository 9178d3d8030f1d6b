//! The spellings in which others may repeat a secret that they were sent: as it is, as a URL or a form encodes it, with
//! the escaped slashes of some JSON writers. Code that shows text of the other side must remove all of them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the characters that RFC 3986 leaves as they are.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Every spelling of a secret, the longest first, so that removing one leaves no part of another.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned(), secret.replace('/', "\\/")];
    all.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    for reserved in [RESERVED, NON_ALPHANUMERIC] {
        all.push(utf8_percent_encode(secret, reserved).to_string());
    }
    let small: Vec<String> = all.iter().skip(1).map(|spelling| small_hex(spelling)).collect();
    all.extend(small);
    all.retain(|spelling| !spelling.is_empty());
    all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    all.dedup();
    all
}

/// `%2F` as `%2f`.
fn small_hex(text: &str) -> String {
    let mut digits = 0_u8;
    let small = |c: char| {
        if c == '%' {
            digits = 2;
            return c;
        }
        let of_hex = digits > 0;
        digits = digits.saturating_sub(1);
        if of_hex { c.to_ascii_lowercase() } else { c }
    };
    text.chars().map(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_in_every_spelling() {
        let all = spellings("a/B+c-=");
        for spelling in ["a/B+c-=", "a\\/B+c-=", "a%2FB%2Bc-%3D", "a%2fB%2bc-%3d", "a%2FB%2Bc%2D%3D"] {
            assert!(all.iter().any(|one| one == spelling), "{spelling} is not in {all:?}");
        }
        assert!(all.is_sorted_by_key(|spelling| std::cmp::Reverse(spelling.len())));
        assert_eq!(spellings("AB12"), ["AB12"]);
        assert!(spellings("").is_empty());
    }
}
