//! A message as text with a platform's marks: one walk over its blocks, each platform with its own marks and escapes.
//!
//! Text from outside is escaped here and nowhere else. What does not fit is cut at the end of a line, and says so.

use super::budget::{self, Cost};
use podbell_core::message::{Block, Message, Span};

/// How long one line may become, if that leaves a quarter of the whole for others.
const LINE: usize = 1200;
const TITLE: usize = 500;
const HEADING: usize = 200;
/// How much of a quote is shown: the first that lets the whole message fit.
const QUOTES: [usize; 5] = [2400, 1200, 600, 200, 60];

/// The marks of a platform.
pub(crate) struct Markup {
    /// One line of text from outside, so that nothing in it is a mark, a mention or a link.
    pub escape: fn(&str) -> String,
    /// The title and headings, of escaped text.
    pub bold: fn(&str) -> String,
    /// A command, in letters, digits, dots, hyphens and blanks.
    pub code: fn(&str) -> String,
    /// An address, with an escaped text for it.
    pub link: fn(url: &str, text: &str) -> String,
    /// Escaped lines, quoted.
    pub quote: fn(&[&str]) -> String,
    /// What matters less, of escaped text.
    pub small: fn(&str) -> String,
    /// What ends a line.
    pub line_end: &'static str,
    /// The platform's unit of length.
    pub cost: Cost,
}

impl Markup {
    /// The title, as a line of its own.
    pub(crate) fn title(&self, message: &Message) -> String {
        (self.bold)(&self.plain(&message.title, TITLE))
    }

    /// All below the title, at most `limit` long. `mentions` is already in the platform's form; it stands below the first
    /// line, because what is cut is cut from the end.
    pub(crate) fn body(&self, message: &Message, mentions: Option<&str>, limit: usize) -> String {
        let mut lines = Vec::new();
        for quote in QUOTES {
            lines = self.lines(message, mentions, quote, LINE.min(limit * 3 / 4));
            if self.length(&lines) <= limit {
                return lines.join(self.line_end);
            }
        }
        self.cut(message, lines, limit)
    }

    /// Two lines without marks: the title and the gist.
    pub(crate) fn minimal(&self, message: &Message, limit: usize) -> String {
        let [title, gist] = [&message.title, &message.gist()].map(|text| self.plain(text, limit / 2 - 10));
        format!("{title}{}{gist}", self.line_end)
    }

    /// A text from outside of at most `limit`, on one line.
    pub(crate) fn plain(&self, text: &str, limit: usize) -> String {
        let whole = (self.escape)(text);
        if budget::cost(&whole, self.cost) <= limit {
            return whole;
        }
        // What is escaped grows: the text is cut before that, so that no escape is torn apart.
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = (low + high).div_ceil(2);
            let fits = budget::cost(&(self.escape)(&budget::fit(text, middle, self.cost)), self.cost) <= limit;
            if fits { low = middle } else { high = middle - 1 }
        }
        (self.escape)(&budget::fit(text, low, self.cost))
    }

    fn length(&self, lines: &[String]) -> usize {
        let end = budget::cost(self.line_end, self.cost);
        lines.iter().map(|line| budget::cost(line, self.cost) + end).sum::<usize>().saturating_sub(end)
    }

    /// Keeps whole lines only: half a line could end inside of a mark.
    fn cut(&self, message: &Message, mut lines: Vec<String>, limit: usize) -> String {
        let all = lines.len();
        let mut more = String::new();
        let end = budget::cost(self.line_end, self.cost);
        let mut length = self.length(&lines);
        while length + budget::cost(&more, self.cost) + end > limit
            && let Some(dropped) = lines.pop()
        {
            length = length.saturating_sub(budget::cost(&dropped, self.cost) + end);
            more = message.more(all - lines.len());
        }
        lines.push(more);
        lines.join(self.line_end)
    }

    fn lines(&self, message: &Message, mentions: Option<&str>, quote: usize, line: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut mentions = mentions.map(str::to_owned);
        for block in &message.blocks {
            match block {
                Block::Line(spans) => {
                    lines.push(self.spans(spans, line));
                    lines.extend(mentions.take());
                }
                Block::Facts(facts) => lines.extend(facts.iter().map(|fact| {
                    let label = (self.bold)(&self.plain(&fact.label, HEADING));
                    format!("{label}{}{}", message.colon(), self.spans(&fact.value, line))
                })),
                Block::Quote { of, text } => {
                    lines.push(self.plain(of, HEADING));
                    let text = budget::fit_lines(text, quote, self.cost, |n| message.more(n));
                    let escaped: Vec<String> =
                        text.lines().filter(|line| !line.trim().is_empty()).map(self.escape).collect();
                    lines.push((self.quote)(&escaped.iter().map(String::as_str).collect::<Vec<_>>()));
                }
                Block::Command(command) => lines.push((self.code)(command)),
                Block::Text(text) => {
                    lines.extend(mentions.take());
                    lines.extend(text.lines().map(|text| self.plain(text, line)));
                }
                Block::Small(spans) => lines.push((self.small)(&self.spans(spans, line))),
            }
        }
        lines.extend(mentions.take());
        lines
    }

    fn spans(&self, spans: &[Span], line: usize) -> String {
        let mut text = String::new();
        for span in spans {
            let left = line.saturating_sub(budget::cost(&text, self.cost));
            match span {
                Span::Words(outside) | Span::Data(outside) => text.push_str(&self.plain(outside, left)),
                Span::Link(url) => text.push_str(&self.link(url, left)),
            }
        }
        text
    }

    fn link(&self, url: &str, limit: usize) -> String {
        // What is read is without scheme and query.
        let label = url.split(['?', '#']).next().unwrap_or(url);
        let label = self.plain(label.split_once("://").map_or(label, |(_, rest)| rest), 120);
        let link = (self.link)(url, &label);
        if budget::cost(&link, self.cost) <= limit { link } else { label }
    }
}

/// One line of text in a platform whose markdown knows backslashes, without mentions: an `@` is its full-width twin.
pub(crate) fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // At the beginning of a line, these make a list, a rule or a heading.
    let begins = text.trim_start();
    let number = begins.trim_start_matches(|c: char| c.is_ascii_digit());
    let lists = begins.starts_with(['-', '+', '=']) || number.len() < begins.len() && number.starts_with('.');
    let first = lists.then(|| text.len() - if number.len() < begins.len() { number.len() } else { begins.len() });
    for (at, c) in text.char_indices() {
        let is_mark =
            matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '~' | '&' | '$');
        if is_mark || first == Some(at) {
            escaped.push('\\');
        }
        escaped.push(if c == '@' { '＠' } else { c });
    }
    escaped
}

/// What stands for a character where a platform has no escape: its full-width twin, which looks the same and is no mark. They are
/// those of tags, links, mentions, emphasis and code.
pub(crate) fn full_width(c: char) -> char {
    match c {
        '&' => '＆',
        '<' => '＜',
        '>' => '＞',
        '[' => '［',
        ']' => '］',
        '@' => '＠',
        '*' => '＊',
        '`' => '\u{2cb}',
        c => c,
    }
}

/// Text in HTML, without mentions: an `@` is its full-width twin.
pub(crate) fn escape_html(text: &str) -> String {
    escape_tags(text).replace('@', "＠")
}

/// Text in HTML where an `@` calls nobody.
pub(crate) fn escape_tags(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An address inside of `(…)` or quotes: nothing in it may end it early.
pub(crate) fn escape_address(url: &str) -> String {
    let special = |c: char| {
        matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | '"' | '\'' | '`' | '\\' | '|' | '*' | ' ') || c.is_control()
    };
    url.chars().map(|c| if special(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use podbell_core::notice::NoticeKind;
    use podbell_core::rule::Severity;
    use podbell_core::translations::Language;

    use super::*;

    #[test]
    fn one_long_line_is_cut_and_leaves_room_for_others() {
        let markup = Markup {
            escape: str::to_owned,
            bold: str::to_owned,
            code: str::to_owned,
            link: |url, _| url.to_owned(),
            quote: |lines| lines.concat(),
            small: str::to_owned,
            line_end: "\n",
            cost: budget::bytes,
        };
        let message = Message {
            title: String::new(),
            severity: Severity::Warning,
            kind: NoticeKind::Opened,
            over: false,
            language: Language::Zh,
            mentions: Vec::new(),
            blocks: vec![Block::Text("一行很长的话".repeat(500)), Block::Text("下一行".to_owned())],
        };
        for limit in [400, 1_000, 1_500, 15_000] {
            let text = markup.body(&message, None, limit);
            assert!(
                text.len() <= limit && text.starts_with("一行很长的话") && text.ends_with("下一行"),
                "{limit}: {text}"
            );
        }
    }

    #[test]
    fn what_would_be_a_mark_is_escaped_and_names_stay_readable() {
        for (text, escaped) in [
            ("web-6d4cf56db6-x2x7v: 1.5", "web-6d4cf56db6-x2x7v: 1.5"),
            ("- a", "\\- a"),
            ("  + a", "  \\+ a"),
            ("12. a", "12\\. a"),
            ("1) a", "1\\) a"),
            ("# a_b *c* `d` @all", "\\# a\\_b \\*c\\* \\`d\\` ＠all"),
            ("[x](https://y)", "\\[x\\]\\(https://y\\)"),
            ("<@1> ||x||", "\\<＠1\\> \\|\\|x\\|\\|"),
        ] {
            assert_eq!(escape_markdown(text), escaped);
        }
        assert_eq!(escape_html("<b>&\"@"), "&lt;b&gt;&amp;&quot;＠");
        assert_eq!(escape_address("https://x/(a)\"<b>"), "https://x/%28a%29%22%3Cb%3E");
    }
}
