//! Says which files of the active rules cannot be sent on which account, and what followers get instead.
//! Owns: the words of it. Uses: rules. Never: changes anything.

use super::Uploader;
use super::shelf::Refusal;
use crate::model::AccountName;
use crate::rules::diagnostic::{Place, Words};
use crate::rules::{Code, Diagnostic, MediaUse};

impl Uploader {
    /// Warnings about the active rules: files that an account cannot send, in the order of the rules. A file that is
    /// still on its way is not among them.
    pub fn remarks(&self) -> Vec<Diagnostic> {
        let now = self.clock.now();
        let mut remarks = Vec::new();
        for used in self.uses.load().iter() {
            for account in self.accounts.iter().filter(|account| used.is_for(account)) {
                let key = (used.file.kind, used.file.hash);
                let why = match self.docks.get(account) {
                    None => Some(Words::new("没有配 secret", "it has no secret")),
                    Some(dock) => {
                        let shelf = dock.shelf.lock();
                        let is_there = shelf.id(&key, now).is_some();
                        shelf.why_not(&key).filter(|_| !is_there).map(in_words)
                    }
                };
                remarks.extend(why.map(|why| remark(used, account, &why)));
            }
        }
        remarks
    }
}

fn in_words(why: &Refusal) -> Words {
    let Refusal { code, message } = why;
    match code {
        0 => Words::new(
            format!("还没传上去:{message}"),
            format!("not uploaded yet: {message}"),
        ),
        _ => Words::new(
            format!("微信说 {code}:{message}"),
            format!("WeChat said {code}: {message}"),
        ),
    }
}

fn remark(used: &MediaUse, account: &AccountName, why: &Words) -> Diagnostic {
    let (path, Words { zh, en }) = (&used.file.path, why);
    let (instead_zh, instead_en) = if used.has_fallback {
        ("改发 fallback 的文字", "the fallback text is sent instead")
    } else {
        ("转给人回答", "a person answers instead")
    };
    let place = Place {
        file: used.rule_file.clone(),
        span: 0..0,
        line: used.line,
        column: 1,
    };
    let words = Words::new(
        format!("公众号 {account} 发不了 {path}({zh}),{instead_zh}"),
        format!("account {account} cannot send {path} ({en}); {instead_en}"),
    );
    let diagnostic = Diagnostic::new(Code::NotUploaded, place, words);
    if used.has_fallback {
        return diagnostic;
    }
    diagnostic.help(Words::new(
        "给这个回复加一行 fallback = \"…\"",
        "add a line fallback = \"…\" to the reply",
    ))
}
