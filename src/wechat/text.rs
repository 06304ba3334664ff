//! Makes text fit to be sent: what XML forbids is taken out, what is too long is cut where it hurts least.
//! Owns: forbidden characters, line ends, where a text may be cut. Uses: model. Never: XML.

use std::borrow::Cow;

use memchr::memchr_iter;
use unicode_segmentation::GraphemeCursor;

/// Whether XML 1.0 forbids the character; one of them makes a whole reply unreadable.
pub const fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// The text without forbidden characters, its line ends as line feeds.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.chars().filter(|c| !is_forbidden(*c)) {
        match c {
            '\r' => kept.push('\n'),
            '\n' if after_return => {}
            _ => kept.push(c),
        }
        after_return = c == '\r';
    }
    Cow::Owned(kept)
}

fn is_clean(text: &str) -> bool {
    // Over all bytes without a way out in between, which the compiler makes wide steps of.
    let control =
        |byte: u8| u8::from(byte < 0x20) & u8::from(byte != b'\t') & u8::from(byte != b'\n');
    let bytes = text.as_bytes();
    let controls = bytes.iter().fold(0, |found, byte| found | control(*byte));
    // U+FFFE and U+FFFF begin with EF BF, and hardly anything else does.
    let mut seconds = memchr_iter(0xEF, bytes).map(|at| bytes.get(at + 1));
    controls == 0 && (!seconds.any(|byte| byte == Some(&0xBF)) || !text.chars().any(is_forbidden))
}

/// The longest beginning of the text within so many bytes that splits no visible character and no link.
pub fn fit(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let cut = grapheme_end(text, text.floor_char_boundary(limit));
    let cut = link_around(text, cut).unwrap_or(cut);
    text.get(..cut).unwrap_or("")
}

/// The last boundary between visible characters at or before this boundary between code points. A single visible
/// character longer than all that (a pile of accents) is split after all.
fn grapheme_end(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    let end = match cursor.is_boundary(text, 0) {
        Ok(true) => Ok(Some(at)),
        Ok(false) => cursor.prev_boundary(text, 0),
        Err(incomplete) => Err(incomplete),
    };
    end.ok().flatten().filter(|end| *end > 0).unwrap_or(at)
}

/// Where the link `<a …>…</a>` starts that a cut here would split.
fn link_around(text: &str, cut: usize) -> Option<usize> {
    let mut from = 0;
    while let Some(start) = find(text, from, "<a").filter(|start| *start < cut) {
        let opens = text
            .get(start + 2..)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '>'));
        if !opens {
            from = start + 2;
            continue;
        }
        let end = find(text, start, "</a>")? + "</a>".len();
        if cut < end {
            return Some(start);
        }
        from = end;
    }
    None
}

/// Where this ASCII text, in any case, next stands at or after `from`.
fn find(text: &str, from: usize, what: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    let at = bytes
        .windows(what.len())
        .position(|window| window.eq_ignore_ascii_case(what.as_bytes()))?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_xml_forbids_goes() {
        assert_eq!(clean("a\0b\u{8}\u{fffe}\td\r\ne\rf\n\r"), "ab\td\ne\nf\n\n");
        assert!(matches!(clean("好的👌🏽\n❤️"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_visible_character_stays_whole() {
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(fit(&format!("a{family}"), family.len()), "a");
        assert_eq!(
            fit(&format!("a{family}"), family.len() + 1),
            format!("a{family}")
        );
        assert_eq!(fit("好好", 5), "好");
    }

    #[test]
    fn a_link_stays_whole_or_goes() {
        let link = "<A href=\"x\">y</A>";
        assert_eq!(fit(&format!("12{link}34"), 5), "12");
        assert_eq!(
            fit(&format!("12{link}34"), 2 + link.len()),
            format!("12{link}")
        );
        assert_eq!(
            fit(&format!("12{link}34"), 3 + link.len()),
            format!("12{link}3")
        );
        assert_eq!(fit(&format!("{link}{link}"), 2 * link.len() - 1), link);
        // What only looks like a link may be cut.
        assert_eq!(fit("<abbr>1234", 8), "<abbr>12");
        assert_eq!(fit("<a 123456", 5), "<a 12");
    }

    proptest! {
        #[test]
        fn a_cut_is_a_beginning_within_the_limit(text in any::<String>(), limit in 1..100usize) {
            let fitted = fit(&text, limit);
            prop_assert!(fitted.len() <= limit && text.starts_with(fitted));
        }
    }
}
