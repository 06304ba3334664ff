//! Prints what a code of `check` means and how to mend it.
//! Owns: what is said about an unknown code. Uses: the pages of rules. Never: reads a rule.

use std::process::ExitCode;

use super::check::Language;
use super::{complain, print};
use crate::rules::diagnostic::{did_you_mean, explanation, list};
use crate::rules::{Code, Lang};

/// Which code to explain.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// check 报的编号,例如 E101;不写就列出全部 | A code that check reports, such as E101; without it all are listed
    code: Option<String>,
    /// 语言 | Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

impl Args {
    /// Explains: 2 for a code that does not exist.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.into();
        let Some(named) = self.code else {
            print(&list(lang))?;
            return Ok(ExitCode::SUCCESS);
        };
        if let Some(code) = Code::named(&named) {
            print(&explanation(code, lang))?;
            return Ok(ExitCode::SUCCESS);
        }
        let codes = Code::ALL.iter().map(|code| code.text());
        let meant = did_you_mean(&named, codes).map_or_else(
            || "wxreply explain".to_owned(),
            |meant| format!("wxreply explain {meant}"),
        );
        complain(&match lang {
            Lang::Zh => format!("没有编号 {named};试试 {meant}"),
            Lang::En => format!("there is no code {named}; try {meant}"),
        });
        Ok(ExitCode::from(2))
    }
}
