//! `1 3 12x20 _ !`: what successive polls show of a series.

use crate::yaml::{Node, Reader, Value};

/// The longest row: four weeks of a poll each minute.
pub const MAX_POLLS: usize = 40_320;

/// What one poll shows of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// An entry with this count.
    Count(u64),
    /// No entry of the series.
    Absent,
    /// Nothing at all: the poll of its target failed.
    Failed,
}

/// Reads what polls show of a series.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<Vec<Cell>> {
    // A count of 0 is a mistake: the API shows no entry that never happened.
    let help = "a count, `_` for absent, `!` for a failed poll, and `x20` behind it for 20 of them";
    let cells = cells(node, reader, |cell| *cell != Cell::Count(0), help)?;
    if !cells.iter().any(|cell| matches!(cell, Cell::Count(_))) {
        reader.error_help(&node.span, "no poll shows this event", "write at least one count");
        return None;
    }
    Some(cells)
}

/// Reads how many pods of a workload are ready.
pub(super) fn read_ready(node: &Node, reader: &mut Reader) -> Option<Vec<Cell>> {
    let help = "how many are ready, `_` where that is not known, and `x20` behind it for 20 polls";
    cells(node, reader, |cell| *cell != Cell::Failed, help)
}

/// Reads a row. Of several mistakes the first is noted.
fn cells(node: &Node, reader: &mut Reader, may_be: fn(&Cell) -> bool, help: &str) -> Option<Vec<Cell>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut cells = Vec::new();
    for item in items {
        let text = reader.text(item, "counts such as `1 3 12x20`")?;
        for word in text.split_whitespace() {
            let (cell, times) = match word_of(word).filter(|(cell, _)| may_be(cell)) {
                Some(read) => read,
                None => {
                    reader.error_help(&item.span, format!("`{word}` is not a count"), help);
                    return None;
                }
            };
            if cells.len().saturating_add(times) > MAX_POLLS {
                reader.error(&item.span, format!("more than {MAX_POLLS} polls"));
                return None;
            }
            cells.extend(std::iter::repeat_n(cell, times));
        }
    }
    Some(cells)
}

fn word_of(word: &str) -> Option<(Cell, usize)> {
    let (cell, times) = match word.split_once('x') {
        Some((cell, times)) => (cell, times.parse().ok().filter(|times| *times > 0)?),
        None => (word, 1),
    };
    let cell = match cell {
        "_" => Cell::Absent,
        "!" => Cell::Failed,
        count => Cell::Count(count.parse().ok()?),
    };
    Some((cell, times))
}

/// What the poll of this number shows: rows repeat their last count.
pub(crate) fn at(cells: &[Cell], poll: usize) -> Cell {
    match cells.get(poll) {
        Some(cell) => *cell,
        None => cells.iter().rev().find(|cell| **cell != Cell::Failed).copied().unwrap_or(Cell::Absent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counts_gaps_and_failures_with_repetitions() {
        for (word, read) in [
            ("3", Some((Cell::Count(3), 1))),
            ("12x20", Some((Cell::Count(12), 20))),
            ("_", Some((Cell::Absent, 1))),
            ("!x3", Some((Cell::Failed, 3))),
            ("0", Some((Cell::Count(0), 1))),
            ("3x0", None),
            ("-1", None),
            ("x3", None),
            ("3x", None),
            ("many", None),
        ] {
            assert_eq!(word_of(word), read, "{word}");
        }
    }

    #[test]
    fn short_rows_repeat_their_last_count_not_their_last_failure() {
        let cells = [Cell::Count(1), Cell::Count(3), Cell::Failed];
        assert_eq!(
            [1, 2, 3, 9].map(|poll| at(&cells, poll)),
            [Cell::Count(3), Cell::Failed, Cell::Count(3), Cell::Count(3)]
        );
    }
}
