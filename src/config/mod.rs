//! Reads `wxreply.toml` and the environment into settings that the rest of the program takes as arguments.
//! Owns: sources, precedence, what a value means, how it is shown. Uses: each module's own settings. Never: opens a store or a socket.

mod build;
mod keys;
mod parse;
mod problem;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub use keys::{KEYS, Key, Shape, example};
pub use problem::{Origin, Problem};

use crate::model::AccountName;
use crate::server::Settings;
use values::{Content, Value, Values};

/// The file that is read when nobody names one; it may be absent then.
pub const DEFAULT_FILE: &str = "wxreply.toml";

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// What the server needs.
    pub server: Settings,
    /// What is logged, in the syntax of `RUST_LOG`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Every value with its origin, for people.
    pub lines: Vec<Line>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// One value as `config show` prints it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its path.
    pub path: String,
    /// The value as TOML, masked when it is secret.
    pub shown: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The environment of this process.
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Reads the configuration from a file and the environment. Without a path, [`DEFAULT_FILE`] is read if it is there.
///
/// # Errors
/// All [`Problems`] at once.
pub fn load(
    path: Option<&Path>,
    environment: Vec<(OsString, OsString)>,
) -> Result<Config, Problems> {
    let (values, base) = gather(path, environment)?;
    build::config(values, &base)
}

/// What rules must know of a configuration.
#[derive(Clone, Debug)]
pub struct ForRules {
    /// The accounts that the file has sections for.
    pub accounts: Vec<AccountName>,
    /// The zone of times in rules.
    pub timezone: jiff::tz::TimeZone,
}

/// What rules must know of a file, without asking whether the rest is complete: secrets may live elsewhere.
///
/// # Errors
/// [`Problems`] when the file cannot be read or understood.
pub fn for_rules(path: &Path) -> Result<ForRules, Problems> {
    let (values, _) = gather(Some(path), Vec::new())?;
    build::for_rules(values)
}

fn gather(
    path: Option<&Path>,
    environment: Vec<(OsString, OsString)>,
) -> Result<(Values, PathBuf), Problems> {
    let mut values = Values::default();
    let file = path.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(file) {
        Ok(text) => values
            .add_file(file, text)
            .map_err(|problem| Problems(vec![problem]))?,
        Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Problems(vec![Problem::unreadable(file, &error)])),
    }
    let mut readable = Vec::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => readable.push((name, value)),
            Err(_) if name.starts_with(values::PREFIX) => values.problems.push(Problem::new(
                &Origin::Variable(name),
                "不是 UTF-8",
                "is not UTF-8",
            )),
            Err(_) => {}
        }
    }
    readable.sort_unstable();
    values.hook_secrets = readable.iter().cloned().collect();
    values.add_environment(readable);
    Ok((values, file.parent().unwrap_or(Path::new("")).to_owned()))
}

impl Value {
    /// The value as TOML.
    fn shown(&self, secret: bool) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        match &self.content {
            _ if secret => "\"********\"".to_owned(),
            Content::Text(text) => quoted(text),
            Content::List(items) => format!(
                "[{}]",
                items
                    .iter()
                    .map(|item| quoted(item))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }
}
