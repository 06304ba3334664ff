//! Draws remarks for a terminal, with the source line and carets, and for GitHub's log.
//! Owns: how a remark looks. Uses: annotate-snippets. Never: changes what is said.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Code, Diagnostic, Lang, Place, Severity, Words};
use crate::model::RuleFiles;

/// A line longer than this is cut around the place that matters.
const LONGEST_LINE: usize = 400;
/// The caret marks at most so many bytes of a line.
const LONGEST_CARET: usize = 120;

/// Draws remarks as text, each with its source line. `root` stands before every path; colours are terminal escapes.
pub fn render(
    diagnostics: &[Diagnostic],
    files: &RuleFiles,
    root: &str,
    lang: Lang,
    is_coloured: bool,
) -> String {
    let renderer = if is_coloured {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer
        .decor_style(DecorStyle::Ascii)
        .term_width(LONGEST_LINE);
    let mut out = String::new();
    let files = &without_secrets(files, diagnostics);
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&[group(diagnostic, files, root, lang)]));
        out.push_str("\n\n");
    }
    out
}

/// The files with a star for every byte of a secret that a remark is about: other remarks may show the same line.
fn without_secrets(files: &RuleFiles, diagnostics: &[Diagnostic]) -> RuleFiles {
    let mut files = files.clone();
    let secrets = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code == Code::SecretInFile);
    for Place { file, span, .. } in secrets.map(|diagnostic| &diagnostic.place) {
        let found = files.0.iter_mut().find(|(path, _)| **path == **file);
        let Some((_, bytes)) = found else { continue };
        let mut hidden = bytes.to_vec();
        if let Some(secret) = hidden.get_mut(span.clone()) {
            secret
                .iter_mut()
                .filter(|byte| **byte != b'\n')
                .for_each(|byte| *byte = b'*');
        }
        *bytes = hidden.into();
    }
    files
}

fn group<'a>(diagnostic: &'a Diagnostic, files: &RuleFiles, root: &str, lang: Lang) -> Group<'a> {
    let level = |severity| match (severity, lang) {
        (Severity::Error, Lang::Zh) => Level::ERROR.with_name("错误"),
        (Severity::Error, Lang::En) => Level::ERROR,
        (Severity::Warning, Lang::Zh) => Level::WARNING.with_name("警告"),
        (Severity::Warning, Lang::En) => Level::WARNING,
        (Severity::Hint, Lang::Zh) => Level::INFO.with_name("提示"),
        (Severity::Hint, Lang::En) => Level::INFO.with_name("hint"),
    };
    let mut group = level(diagnostic.severity())
        .primary_title(diagnostic.message.get(lang))
        .id(diagnostic.code.text())
        .element(snippet(
            &diagnostic.place,
            diagnostic.caret.as_ref(),
            AnnotationKind::Primary,
            files,
            root,
            lang,
        ));
    for label in &diagnostic.labels {
        group = group.element(snippet(
            &label.place,
            Some(&label.text),
            AnnotationKind::Context,
            files,
            root,
            lang,
        ));
    }
    if let Some(help) = &diagnostic.help {
        let level = match lang {
            Lang::Zh => Level::HELP.with_name("建议"),
            Lang::En => Level::HELP,
        };
        group = group
            .element(level.message(annotate_snippets::normalize_untrusted_str(help.get(lang))));
    }
    if let Some(fix) = &diagnostic.fix {
        let title = fix.title.get(lang);
        let shown = match lang {
            Lang::Zh => format!("[修正: {title}]"),
            Lang::En => format!("[fix: {title}]"),
        };
        group = group.element(
            Level::HELP
                .no_name()
                .message(annotate_snippets::normalize_untrusted_str(&shown)),
        );
    }
    group
}

fn snippet<'a>(
    place: &Place,
    label: Option<&'a Words>,
    kind: AnnotationKind,
    files: &RuleFiles,
    root: &str,
    lang: Lang,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let (line, span) = line_of(place, files);
    let line_number = usize::try_from(place.line).unwrap_or(usize::MAX);
    let annotation = kind.span(span).label(label.map(|label| label.get(lang)));
    Snippet::source(line)
        .path(format!("{root}{}", place.file))
        .line_start(line_number)
        .annotation(annotation)
}

/// The line on which a place begins, cut to a readable length, and the part of it to mark.
fn line_of(place: &Place, files: &RuleFiles) -> (String, Range<usize>) {
    let bytes = files
        .0
        .iter()
        .find(|(path, _)| **path == *place.file)
        .map(|(_, bytes)| &**bytes);
    let bytes = bytes.unwrap_or_default();
    let at = place.span.start.min(bytes.len());
    let (head, tail) = bytes.split_at(at);
    let start = head
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let rest = tail
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(tail.len());
    let before = head.get(start..).unwrap_or_default();
    let cut = whole(before, before.len().saturating_sub(LONGEST_LINE / 2));
    let before = before.get(cut..).unwrap_or_default();
    let after = tail.get(..rest).unwrap_or_default();
    let after = after.get(..whole(after, LONGEST_LINE)).unwrap_or_default();
    let marked = place.span.len().min(LONGEST_CARET);
    let (marked, after) = after.split_at(whole(after, marked));
    let mut line = readable(before);
    let from = line.len();
    line.push_str(readable(marked).trim_end());
    let to = line.len();
    line.push_str(&readable(after));
    (line, from..to)
}

/// The last place up to `at` where no character is cut in two.
fn whole(bytes: &[u8], at: usize) -> usize {
    let mut at = at.min(bytes.len());
    while bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) && at > 0 {
        at -= 1;
    }
    at
}

/// Bytes as text that a terminal may show; what is not UTF-8 becomes U+FFFD.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .collect()
}

/// Writes remarks in the form that GitHub turns into annotations of a change.
pub fn render_github(diagnostics: &[Diagnostic], root: &str, lang: Lang) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "notice",
        };
        let Place {
            file, line, column, ..
        } = &diagnostic.place;
        let mut message = diagnostic.message.get(lang).to_owned();
        if let Some(help) = &diagnostic.help {
            message.push('\n');
            message.push_str(help.get(lang));
        }
        let file = property(&format!("{root}{file}"));
        let message = message
            .replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A");
        writeln!(
            out,
            "::{level} file={file},line={line},col={column},title={}::{message}",
            diagnostic.code.text()
        )
        .expect("writing to a String cannot fail");
    }
    out
}

fn property(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace(':', "%3A")
        .replace(',', "%2C")
}
