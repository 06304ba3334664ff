//! Checks web addresses in rule files: http or https, a host that nobody can change, no password.
//! Owns: which addresses are good. Uses: sheet. Never: asks whether somebody answers there.

use std::ops::Range;

use super::diagnostic::{Code, Words};
use super::sheet::{Sheet, Text};

/// Whether a text is a web address; reports it if not. Behind the host it may have placeholders.
pub(super) fn is_good(sheet: &mut Sheet<'_>, key: &str, text: &Text<'_>) -> bool {
    let Some(host) = host(text.text) else {
        sheet.report(
            Code::BadValue,
            text.span.clone(),
            Words::new(
                format!("`{key}` 要写成 https:// 开头的网址"),
                format!("`{key}` must be an address that begins with https://"),
            ),
        );
        return false;
    };
    let written = text.text.get(host.clone()).unwrap_or_default();
    if written.contains('@') {
        secret(
            sheet,
            key,
            text.span.clone(),
            Words::new(
                "网址里不写用户名和密码",
                "leave user and password out of the address",
            ),
        );
        return false;
    }
    if let Some(gap) = written.find('{') {
        let end = written.find('}').map_or(written.len(), |end| end + 1);
        let span = sheet.inside(text, host.start + gap..host.start + end.max(gap + 1));
        sheet.report_with_help(
            Code::BadValue,
            span,
            Words::new(
                "网址的主机名里不能有变量:粉丝的话不能决定连到哪里",
                "a host cannot have placeholders: followers' words must not choose where it leads",
            ),
            Words::new(
                "变量写在主机名后面的 / 或 ? 之后",
                "put placeholders behind the / or ? after the host",
            ),
        );
        return false;
    }
    true
}

/// The bytes of the host, with port and what stands before it.
fn host(text: &str) -> Option<Range<usize>> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let start = text.len() - rest.len();
    let length = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let is_good = length > 0 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    is_good.then_some(start..start + length)
}

/// Reports a secret that stands in the file, without repeating it.
pub(super) fn secret(sheet: &mut Sheet<'_>, key: &str, span: Range<usize>, help: Words) {
    let words = Words::new(
        format!("`{key}` 把密钥写在文件里了"),
        format!("`{key}` has a secret written in the file"),
    );
    sheet.report_with_help(Code::SecretInFile, span, words, help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_stands_before_path_and_query() {
        for (text, part) in [
            ("https://example.com/a?b", Some("example.com")),
            ("http://example.com:8080", Some("example.com:8080")),
            ("https://u:p@example.com?x", Some("u:p@example.com")),
            ("https://{host}/a", Some("{host}")),
            ("https://a\\b", Some("a")),
            ("https://", None),
            ("https:///a", None),
            ("ftp://example.com", None),
            ("https://example.com/a b", None),
        ] {
            let found = host(text).and_then(|range| text.get(range));
            assert_eq!(found, part, "{text}");
        }
    }
}
