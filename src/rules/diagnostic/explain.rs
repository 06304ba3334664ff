//! Explains every code: what it is, why it matters, an example, and how to mend it.
//! Owns: how a page is split into languages. Uses: the pages in `docs/lints`. Never: formats a remark.

use super::{Code, Lang};

/// The page of a code in one language: what, why, example, fix.
///
/// In the pages Chinese stands as it is and English as quotes (`> `) behind it; headings carry both, and code is shared.
pub fn explanation(code: Code, lang: Lang) -> String {
    let mut out = String::new();
    let (mut is_code, mut is_blank) = (false, true);
    for line in code.page().lines() {
        let is_fence = line.starts_with("```");
        let shown = if is_code || is_fence {
            Some(line)
        } else if line.starts_with('#') {
            let (zh, en) = line.split_once(" | ").unwrap_or((line, line));
            let marks = line.len() - line.trim_start_matches('#').len();
            match lang {
                Lang::Zh => Some(zh),
                Lang::En => {
                    out.push_str(line.get(..marks).unwrap_or_default());
                    out.push(' ');
                    Some(en)
                }
            }
        } else {
            match (line.strip_prefix('>'), lang) {
                (Some(english), Lang::En) => Some(english.trim_start()),
                (None, Lang::Zh) => Some(line),
                (Some(_), Lang::Zh) | (None, Lang::En) => line.is_empty().then_some(line),
            }
        };
        is_code ^= is_fence;
        let Some(shown) = shown else { continue };
        if shown.is_empty() && !is_code && is_blank {
            continue;
        }
        is_blank = shown.is_empty();
        out.push_str(shown);
        out.push('\n');
    }
    out
}

/// Every code with its title, a line each.
pub fn list(lang: Lang) -> String {
    let line = |code: &Code| {
        let (zh, en) = code.title();
        let title = match lang {
            Lang::Zh => zh,
            Lang::En => en,
        };
        format!("{}  {title}\n", code.text())
    };
    Code::ALL.iter().map(line).collect()
}
