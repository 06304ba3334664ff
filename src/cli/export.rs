//! Prints the rules of a directory as a table.
//! Owns: where it goes. Uses: rules. Never: changes a rule, writes over a file without being told.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;

use super::check::{Language, read};
use super::complain;
use crate::rules::Lang;
use crate::rules::export::{Encoding, csv, remark, rows};

/// What to export, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// 规则目录 | The rules directory
    #[arg(default_value = "rules")]
    rules_dir: PathBuf,
    /// 表格还是 JSON | A table or JSON
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// 表格的编码 | The encoding of a table
    #[arg(long, value_enum, default_value_t)]
    encoding: Coding,
    /// 写到哪里;不写就是标准输出,已有的文件不覆盖 | Where to write, never over a file; by default standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// 表头的语言 | The language of the header
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Csv,
    Json,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Coding {
    /// UTF-8,Excel 认得 | UTF-8 with the mark by which Excel knows it
    #[default]
    Utf8,
    /// GBK,给老表格 | GBK, for old spreadsheets
    Gbk,
}

impl Args {
    /// Reads the directory and writes the table.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang: Lang = self.lang.into();
        let rows = rows(&read(&self.rules_dir)?)?;
        let bytes = match self.format {
            Format::Json => {
                let mut text = serde_json::to_string_pretty(&rows)?;
                text.push('\n');
                text.into_bytes()
            }
            Format::Csv => {
                let encoding = match self.encoding {
                    Coding::Utf8 => Encoding::Utf8,
                    Coding::Gbk => Encoding::Gbk,
                };
                csv(&rows, encoding, lang)?
            }
        };
        match &self.out {
            Some(path) => {
                let written =
                    std::fs::File::create_new(path).and_then(|mut file| file.write_all(&bytes));
                written.with_context(|| path.display().to_string())?;
            }
            None => print(&bytes)?,
        }
        if let (Format::Csv, Some(words)) = (self.format, remark(&rows)) {
            complain(words.get(lang));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints bytes, which need not be UTF-8. A reader who has gone away is no error.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
