//! Prints the effective configuration, or one with every key explained.
//! Owns: that printout. Uses: config. Never: a secret in clear.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, print};
use crate::config::{self, Line};

/// 查看配置 | Look at the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// 打印生效的配置,密钥打码 | Print the effective configuration, secrets masked
    Show(Show),
}

/// What to print.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    config: ConfigFile,
    /// 注明每个值来自哪里 | Say where each value comes from
    #[arg(long)]
    origin: bool,
    /// 打印一份带说明的样例 | Print a sample with every key explained
    #[arg(long, conflicts_with_all = ["config", "origin"])]
    example: bool,
}

/// Prints it.
pub(super) fn run(Args::Show(show): &Args) -> anyhow::Result<ExitCode> {
    if show.example {
        print(&config::example())?;
    } else {
        print(&listing(&show.config.load()?.lines, show.origin))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The values as a TOML file.
fn listing(lines: &[Line], with_origin: bool) -> String {
    let mut text = String::new();
    let mut section = "";
    for line in lines {
        let origin = if with_origin {
            format!("    # {}", line.origin)
        } else {
            String::new()
        };
        // A variable of the environment that is no key of the file.
        if line.path.starts_with("WXREPLY_") {
            let _ = writeln!(text, "\n# {} = {}{origin}", line.path, line.shown);
            continue;
        }
        let (parent, key) = line.path.rsplit_once('.').unwrap_or(("", &line.path));
        if parent != section {
            section = parent;
            let _ = writeln!(text, "\n[{section}]");
        }
        let _ = writeln!(text, "{key} = {}{origin}", line.shown);
    }
    text
}
