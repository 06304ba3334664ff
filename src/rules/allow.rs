//! Reads which remarks a rule puts up with, `allow`, and takes those away.
//! Owns: that errors cannot be allowed. Uses: diagnostic. Never: finds what is wrong.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::diagnostic::{Code, Diagnostic, Severity, Words, did_you_mean};
use super::sheet::{Sheet, Text, Value};

/// What a rule allows, and where in which file it stands.
pub(super) struct Allowed {
    pub(super) file: Arc<str>,
    /// From its header to the next one.
    pub(super) span: Range<usize>,
    pub(super) codes: Box<[Code]>,
}

impl Allowed {
    /// Whether a remark is about this rule and allowed by it.
    pub(super) fn covers(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.severity() != Severity::Error
            && diagnostic.place.file == self.file
            && self.span.contains(&diagnostic.place.span.start)
            && self.codes.contains(&diagnostic.code)
    }
}

/// Reads `allow = ["W204"]` or `{ W204 = "why" }`; what is wrong is reported and left out.
pub(super) fn read(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Box<[Code]> {
    if let DeValue::Table(table) = value.get_ref() {
        let mut codes = Vec::new();
        for (key, value) in table {
            let text = Text {
                text: key.get_ref(),
                span: sheet.span(key.span()),
            };
            codes.extend(code(sheet, &text));
            sheet.string(text.text, value);
        }
        return codes.into();
    }
    let texts = sheet.strings("allow", value);
    texts.iter().filter_map(|text| code(sheet, text)).collect()
}

fn code(sheet: &mut Sheet<'_>, text: &Text<'_>) -> Option<Code> {
    let codes = || Code::ALL.iter();
    let found = codes().find(|code| code.text() == text.text);
    if let Some(code) = found.filter(|code| code.severity() != Severity::Error) {
        return Some(*code);
    }
    if found.is_some() {
        let words = Words::new(
            format!("{} 是错误,不能放过", text.text),
            format!("{} is an error and cannot be allowed", text.text),
        );
        sheet.report(Code::NotAllowed, text.span.clone(), words);
        return None;
    }
    let words = Words::new(
        format!("没有代码 \"{}\"", text.text),
        format!("there is no code \"{}\"", text.text),
    );
    let allowed = codes().filter(|code| code.severity() != Severity::Error);
    let help = match did_you_mean(text.text, allowed.map(|code| code.text())) {
        Some(meant) => Words::new(format!("是不是 {meant}?"), format!("did you mean {meant}?")),
        None => Words::new(
            "写 `check` 显示的代码,像 W203",
            "write a code as `check` shows it, such as W203",
        ),
    };
    sheet.report_with_help(Code::NotAllowed, text.span.clone(), words, help);
    None
}
