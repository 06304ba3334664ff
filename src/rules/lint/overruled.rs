//! Finds wordings of rules that words of danger take away: those are looked for before every rule.
//! Owns: W202 of `_crisis.toml`. Uses: crisis, index. Never: other rules.

use super::super::diagnostic::{Code, Diagnostic, Remarks, Words};
use super::super::index::RuleSet;
use super::{Spot, Trigger, file_of, place};
use crate::model::RuleFiles;

/// Looks at whole texts and words of all rules.
pub(in crate::rules) fn check(
    spots: &[Spot],
    set: &RuleSet,
    files: &RuleFiles,
    remarks: &mut Remarks,
) {
    if set.crisis.is_empty() {
        return;
    }
    for spot in spots {
        let (word, is_whole) = match spot.trigger {
            Trigger::Exact(word) => (word, true),
            Trigger::Any(word) => (word, false),
            _ => continue,
        };
        let text = set.words.text(word);
        let Some(danger) = set.crisis.takes(text, is_whole) else {
            continue;
        };
        if remarks
            .room_in(file_of(*spot, set), Code::NeverWins)
            .is_none()
        {
            continue;
        }
        let words = Words::new(
            format!("「{text}」轮不到这条规则:里面有危机词「{danger}」,_crisis.toml 先回"),
            format!(
                "\"{text}\" never gets here: \"{danger}\" in it is a word of danger, and _crisis.toml answers first"
            ),
        );
        let help = Words::new(
            "不是危机的说法写进 _crisis.toml 的 except;不然就去掉这个词",
            "if it is no danger, put the phrase into `except` of _crisis.toml; else drop the wording",
        );
        let diagnostic = Diagnostic::new(Code::NeverWins, place(*spot, set, files), words);
        remarks.push(diagnostic.help(help));
    }
}
