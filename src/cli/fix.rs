//! Mends rule files: applies every fix that a machine may apply, then writes what changed.
//! Owns: the rounds of fixing, how a file is replaced. Uses: rules, decide. Never: decides what a fix is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;

use crate::model::RuleFiles;
use crate::rules::diagnostic::apply;
use crate::rules::{Diagnostic, Lang, Options, Severity, compile};

/// A fix can bring to light what another one mends; no more than so many times.
const MOST_ROUNDS: usize = 10;

/// What fixing did to a directory.
pub(super) struct Outcome {
    /// The files as they are now.
    pub(super) files: RuleFiles,
    /// A line for each fix.
    pub(super) report: String,
}

/// Applies fixes until none is left, and writes the files that changed.
pub(super) fn fix(
    directory: &Path,
    before: &RuleFiles,
    options: &Options,
    root: &str,
    lang: Lang,
) -> anyhow::Result<Outcome> {
    let mut files = before.clone();
    let mut report = String::new();
    let mut recoded = BTreeSet::new();
    let mut diagnostics = compile(&files, options).diagnostics;
    for _ in 0..MOST_ROUNDS {
        let (mended, applied) = apply(&files, &diagnostics);
        if mended.is_empty() {
            break;
        }
        let mut next = files.clone();
        for one in mended {
            if one.is_recoded {
                recoded.insert(one.file.clone());
            }
            if let Some((_, bytes)) = next.0.iter_mut().find(|(path, _)| *path == one.file) {
                *bytes = one.bytes;
            }
        }
        applied
            .iter()
            .for_each(|remark| report.push_str(&line(remark, root, lang)));
        files = next;
        diagnostics = compile(&files, options).diagnostics;
    }
    write_changed(directory, before, &files, &recoded)?;
    Ok(Outcome { files, report })
}

fn line(remark: &Diagnostic, root: &str, lang: Lang) -> String {
    let place = &remark.place;
    let title = remark.fix.as_ref().map_or("", |fix| fix.title.get(lang));
    let done = match lang {
        Lang::Zh => "已修正",
        Lang::En => "fixed",
    };
    format!(
        "{done} {root}{}:{}:{} {} {title}\n",
        place.file,
        place.line,
        place.column,
        remark.code.text()
    )
}

fn write_changed(
    directory: &Path,
    before: &RuleFiles,
    after: &RuleFiles,
    recoded: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let old: BTreeMap<&str, &Bytes> = before
        .0
        .iter()
        .map(|(path, bytes)| (&**path, bytes))
        .collect();
    for (path, bytes) in &after.0 {
        let Some(was) = old.get(&**path).filter(|was| **was != bytes) else {
            continue;
        };
        // A link stays a link: what it leads to is replaced.
        let target = directory
            .join(path)
            .canonicalize()
            .with_context(|| format!("{path} is gone"))?;
        replace(&target, was, bytes, recoded.contains(path))
            .with_context(|| target.display().to_string())?;
    }
    Ok(())
}

/// Replaces a file in one step, with the same permissions, unless it changed meanwhile.
fn replace(target: &Path, was: &[u8], bytes: &[u8], keeps_copy: bool) -> anyhow::Result<()> {
    if fs::read(target)? != was {
        anyhow::bail!(
            "这个文件刚被改过,没有动它;再运行一次 | the file changed meanwhile and was left alone; run again"
        );
    }
    let permissions = fs::metadata(target)?.permissions();
    if keeps_copy {
        let mut copy = target.as_os_str().to_owned();
        copy.push(".bak");
        fs::copy(target, copy)?;
    }
    let parent = target.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".wxreply-")
        .tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    fs::set_permissions(file.path(), permissions)?;
    file.persist(target)?;
    Ok(())
}

/// How many remarks a machine could mend.
pub(super) fn fixable(diagnostics: &[Diagnostic], hints: bool) -> usize {
    let counts =
        |one: &&Diagnostic| one.fix.is_some() && (hints || one.severity() != Severity::Hint);
    diagnostics.iter().filter(counts).count()
}
