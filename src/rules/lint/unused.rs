//! Finds calendars and files beside the rules that nothing names.
//! Owns: W219. Uses: source. Never: reads what is in a table.

use std::sync::Arc;

use memchr::memmem;

use super::super::diagnostic::{Code, Diagnostic, Place, Remarks, Words};
use super::super::index::RuleSet;
use super::super::source::place_in;
use super::content;
use crate::model::RuleFiles;

/// With more of them than this the search would take long, and nobody would read what it finds.
const MOST: usize = 200;
const CALENDAR_FILE: &str = "_calendar.toml";

/// Looks for names in all rule files; one that stands in a comment counts as used.
pub(in crate::rules) fn check(set: &RuleSet, files: &RuleFiles, remarks: &mut Remarks) {
    let written = || files.0.iter().filter(|(path, _)| path.ends_with(".toml"));
    let beside = files.0.iter().map(|(path, _)| path);
    let unread = beside.filter(|path| !path.ends_with(".toml")).take(MOST);
    for path in unread {
        if written().any(|(_, bytes)| memmem::find(bytes, path.as_bytes()).is_some()) {
            continue;
        }
        let place = Place {
            file: path.as_str().into(),
            span: 0..0,
            line: 1,
            column: 1,
        };
        let words = Words::new(
            format!("没有规则用到 {path}"),
            format!("no rule uses {path}"),
        );
        remarks.push(Diagnostic::new(Code::Unused, place, words));
    }
    let names = set.calendars.iter().filter_map(|(name, _)| name.as_deref());
    for name in names.take(MOST) {
        let quoted = [
            format!("\"{name}\""),
            format!("'{name}'"),
            format!("{{calendar.{name}."),
        ];
        let is_used = written().any(|(_, bytes)| {
            quoted
                .iter()
                .any(|used| memmem::find(bytes, used.as_bytes()).is_some())
        });
        let file: Arc<str> = CALENDAR_FILE.into();
        let bytes = content(files, &file);
        let header = format!("calendar.{name}");
        let Some(at) = memmem::find(bytes, header.as_bytes()).filter(|_| !is_used) else {
            continue;
        };
        let place = place_in(&file, bytes, at..at + header.len());
        let words = Words::new(
            format!("没有规则用到日历 \"{name}\""),
            format!("no rule uses calendar \"{name}\""),
        );
        remarks.push(Diagnostic::new(Code::Unused, place, words));
    }
}
