//! Time after the first poll, as tests write it: `0m`, `17m`, `1h30m`.

use std::fmt::Write as _;
use std::time::Duration;

/// Writes the offset as short as possible.
pub fn offset(span: Duration) -> String {
    let millis = span.as_millis();
    let mut text = String::new();
    let mut rest = millis;
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= size {
            // Writing into a text cannot fail.
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0m".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_read_as_they_are_written() {
        for (millis, text) in [(0, "0m"), (15_000, "15s"), (1_020_000, "17m"), (5_400_000, "1h30m"), (1, "1ms")] {
            assert_eq!(offset(Duration::from_millis(millis)), text);
        }
    }
}
