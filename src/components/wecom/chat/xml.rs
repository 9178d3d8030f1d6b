//! The XML of WeCom's callbacks: one element that holds elements with text. Pure.
//!
//! Never reads a DTD or an entity: a document with `<!DOCTYPE`, an entity that XML does not define by itself, a
//! processing instruction or anything deeper is refused as a whole.
//!
//! Source: "Receiving messages: message format" of WeCom.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// The longest document that is read, in bytes. WeCom's messages have at most 2,048 bytes of text.
pub(crate) const MAX: usize = 64 * 1024;
/// The most elements that are read, more than any message has.
const MAX_FIELDS: usize = 64;
/// The deepest nesting: the root, a field, and what some events put into a field.
const DEEPEST: usize = 6;

/// A document that is not WeCom's. What is wrong with it, in words of podbell's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub &'static str);

/// The texts of the elements in the root. What is nested deeper is passed over.
///
/// # Errors
/// When it is not such a document.
pub(crate) fn fields(document: &[u8]) -> Result<BTreeMap<String, String>, Malformed> {
    if document.len() > MAX {
        return Err(Malformed("a document that is too long"));
    }
    let text = std::str::from_utf8(document).map_err(|_| Malformed("a document that is not UTF-8"))?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let broken = |_| Malformed("a document that is not XML");
    let mut fields = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    let (mut value, mut ended) = (String::new(), false);
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Eof if ended => return Ok(fields),
            Event::Eof => return Err(Malformed("a document that was cut off")),
            Event::DocType(_) => return Err(Malformed("a document with a DTD")),
            Event::PI(_) => return Err(Malformed("a document with an instruction")),
            Event::Comment(_) => {}
            Event::Decl(_) if path.is_empty() && !ended => {}
            Event::Decl(_) => return Err(Malformed("a declaration in the middle")),
            Event::Start(_) | Event::Empty(_) if ended => return Err(Malformed("two documents in one")),
            Event::Start(start) => {
                if path.len() >= DEEPEST {
                    return Err(Malformed("a document that is too deep"));
                }
                if path.len() == 1 {
                    value.clear();
                }
                path.push(name(start.name().as_ref())?);
            }
            Event::Empty(empty) if path.len() == 1 => put(&mut fields, name(empty.name().as_ref())?, String::new())?,
            Event::Empty(_) => ended = path.is_empty(),
            Event::End(_) => {
                let closed = path.pop().ok_or(Malformed("a document that is not XML"))?;
                match path.len() {
                    0 => ended = true,
                    1 => put(&mut fields, closed, std::mem::take(&mut value))?,
                    _ => {}
                }
            }
            Event::Text(piece) => {
                let piece = piece.decode().map_err(|_| Malformed("a document that is not UTF-8"))?;
                match path.len() {
                    2 => value.push_str(&piece),
                    _ if piece.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
                    0 | 1 => return Err(Malformed("text between elements")),
                    _ => {}
                }
            }
            Event::CData(piece) => {
                let piece = piece.decode().map_err(|_| Malformed("a document that is not UTF-8"))?;
                match path.len() {
                    2 => value.push_str(&piece),
                    0 | 1 => return Err(Malformed("text between elements")),
                    _ => {}
                }
            }
            Event::GeneralRef(entity) => {
                let c = character(&entity)?;
                if path.len() == 2 {
                    value.push(c);
                }
            }
        }
    }
}

fn name(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed("a document that is not UTF-8"))
}

/// Refuses a field that occurs twice: it could mean different things to different readers.
fn put(fields: &mut BTreeMap<String, String>, name: String, value: String) -> Result<(), Malformed> {
    if fields.len() >= MAX_FIELDS {
        return Err(Malformed("a document with too many fields"));
    }
    match fields.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(Malformed("a field that is there twice")),
    }
}

/// The five entities that XML itself defines, and characters by their number.
fn character(entity: &BytesRef<'_>) -> Result<char, Malformed> {
    let undefined = Malformed("an entity that is not XML's own");
    if let Some(c) = entity.resolve_char_ref().map_err(|_| undefined)? {
        return if is_character(c) { Ok(c) } else { Err(undefined) };
    }
    match &**entity {
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"amp" => Ok('&'),
        b"quot" => Ok('"'),
        b"apos" => Ok('\''),
        _ => Err(undefined),
    }
}

/// Whether XML 1.0 allows the character.
fn is_character(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// A text as CDATA. What would end it is split between two sections, and characters that XML forbids are left out.
pub(crate) fn cdata(text: &str) -> String {
    let clean: String = text.chars().filter(|c| is_character(*c)).collect();
    format!("<![CDATA[{}]]>", clean.replace("]]>", "]]]]><![CDATA[>"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>, Malformed> {
        fields(text.as_bytes())
    }

    #[test]
    fn fields_are_read_with_their_characters_and_divided_cdata() {
        let fields = read(
            "<?xml version=\"1.0\"?>\n<xml>\n<A><![CDATA[a]]]]><![CDATA[>b]]></A>\n<B>1 &lt;&#x4e2d;&amp;</B><C/><D><E>x</E></D></xml>\n",
        );
        let fields = fields.unwrap();
        assert_eq!(fields["A"], "a]]>b");
        assert_eq!(fields["B"], "1 <中&");
        assert_eq!((fields["C"].as_str(), fields["D"].as_str()), ("", ""));
    }

    #[test]
    fn no_dtd_and_no_entity_is_read() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><xml><A>&b;</A></xml>";
        assert_eq!(read(bomb), Err(Malformed("a document with a DTD")));
        assert!(read("<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><xml/>").is_err());
        assert!(read("<xml><A>1</A><!DOCTYPE x></xml>").is_err());
        assert!(read("<xml><A>&e;</A></xml>").is_err());
        assert!(read("<xml><A>&#0;</A></xml>").is_err());
        assert!(read("<xml><A>&#xD800;</A></xml>").is_err());
        assert!(read("<?xml version=\"1.0\"?><?php x?><xml/>").is_err());
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        for text in [
            "",
            "x",
            "<xml>",
            "<xml><A>1</A>",
            "<xml><A>1</B></xml>",
            "<xml/><xml/>",
            "<xml><A>1</A><A>2</A></xml>",
            "<xml>text</xml>",
            "<xml></xml>text",
            "<a><b><c><d><e><f><g/><g></g></f></e></d></c></b></a>",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(fields(b"<xml><A>\xff</A></xml>").is_err());
        assert!(fields(&vec![b' '; MAX + 1]).is_err());
        let many: String = (0..=MAX_FIELDS).map(|n| format!("<A{n}/>")).collect();
        assert!(read(&format!("<xml>{many}</xml>")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "[ -~中]{0,40}(\\]\\]>)?[ -~]{0,10}") {
            let fields = read(&format!("<xml><A>{}</A></xml>", cdata(&text))).unwrap();
            prop_assert_eq!(&fields["A"], &text);
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "(<|>|/|!|\\[|\\]|&|;|x|CDATA|DOCTYPE| ){0,40}") {
            let _ = fields(&bytes);
            let _ = fields(text.as_bytes());
        }
    }
}
