//! Gathers the values of all keys from the file and the environment, each with its origin.
//! Owns: precedence (environment over file over default), unknown names. Uses: toml, the key table. Never: what a value means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, Shape};
use super::problem::{Mark, Origin, Problem, Source, nearest};
use crate::outbound::Secrets;

/// The prefix of every variable of ours.
pub(super) const PREFIX: &str = "WXREPLY_";
/// The variable that holds an API token with all rights; not a key of the file.
pub(super) const API_TOKEN: &str = "WXREPLY_API_TOKEN";

/// What one key is set to.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) content: Content,
    pub(super) origin: Origin,
}

/// A value before it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    List(Vec<String>),
}

/// All values that somebody set, by path.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) set: BTreeMap<String, Value>,
    pub(super) api_token: Option<Value>,
    /// What hooks and alerts are signed with; never shown.
    pub(super) hook_secrets: Secrets,
    pub(super) problems: Vec<Problem>,
    /// Accounts that the file has a section for, even an empty one.
    sections: BTreeMap<String, Origin>,
}

impl Values {
    /// Adds what the file says.
    ///
    /// # Errors
    /// When the file is not TOML.
    pub(super) fn add_file(&mut self, path: &Path, text: String) -> Result<(), Problem> {
        let source = Arc::new(Source {
            path: path.to_owned(),
            text,
        });
        let table = DeTable::parse(&source.text).map_err(|error| {
            let mark = Mark::new(&source, error.span().unwrap_or(0..0), true);
            Problem::new(
                &Origin::File(mark),
                "TOML 语法不对",
                error.message().replace('\n', "; "),
            )
        })?;
        self.add_table("", table.get_ref(), &source);
        Ok(())
    }

    fn add_table(&mut self, parent: &str, table: &DeTable<'_>, source: &Arc<Source>) {
        for (name, value) in table {
            let path = if parent.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{parent}.{}", name.get_ref())
            };
            let at_key = Origin::File(Mark::new(source, name.span(), false));
            // A dot in a quoted name would read as a path.
            let key = if name.get_ref().contains('.') {
                None
            } else {
                Key::at(&path)
            };
            if let Some(key) = key {
                self.add_value(key, path, value, source);
            } else if is_section(&path) && !name.get_ref().contains('.') {
                let Some(inner) = value.get_ref().as_table() else {
                    self.problems.push(Problem::new(
                        &at_key,
                        format!("{path} 应该是一节"),
                        format!("`{path}` must be a section"),
                    ));
                    continue;
                };
                if parent == "account" {
                    self.sections.insert(name.get_ref().to_string(), at_key);
                }
                self.add_table(&path, inner, source);
            } else {
                self.problems
                    .push(unknown_key(&at_key, parent, name.get_ref()));
            }
        }
    }

    fn add_value(
        &mut self,
        key: &Key,
        path: String,
        value: &Spanned<DeValue<'_>>,
        source: &Arc<Source>,
    ) {
        let origin = Origin::File(Mark::new(source, value.span(), key.secret));
        let content = match (key.shape, value.get_ref()) {
            (Shape::Text, DeValue::String(text)) => Some(Content::Text(text.to_string())),
            (Shape::List, DeValue::Array(items)) => {
                let texts: Option<Vec<_>> = items
                    .iter()
                    .map(|item| item.get_ref().as_str().map(str::to_owned))
                    .collect();
                texts.map(Content::List)
            }
            _ => None,
        };
        match content {
            Some(content) => {
                self.set.insert(path, Value { content, origin });
            }
            None => {
                let (zh, en) = match key.shape {
                    Shape::Text => ("一段带引号的文字", "a text in quotes"),
                    Shape::List => ("一个文字列表", "a list of texts"),
                };
                self.problems.push(Problem::new(
                    &origin,
                    format!("{path} 应该是{zh}"),
                    format!("`{path}` must be {en}"),
                ));
            }
        }
    }

    /// Adds what the environment says, over what the file says.
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let Some((path, from_file)) = path_of(rest) else {
                self.problems.push(unknown_variable(&name, self.accounts()));
                continue;
            };
            if let Some(other) = seen.insert(path.clone(), name.clone()) {
                self.problems.push(Problem::new(
                    &Origin::Variable(name.clone()),
                    format!("与 {other} 重复,只能设一个"),
                    format!("{other} says the same; set only one"),
                ));
                continue;
            }
            match value_of(&path, &name, text, from_file) {
                Ok(value) if path == "api_token" => self.api_token = Some(value),
                Ok(value) => {
                    self.set.insert(path, value);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    /// The accounts that anything is set for, in order.
    pub(super) fn accounts(&self) -> Vec<String> {
        let of_values = self
            .set
            .keys()
            .filter_map(|path| path.strip_prefix("account.")?.split('.').next());
        let mut names: Vec<_> = of_values
            .chain(self.sections.keys().map(String::as_str))
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Where an account was first spoken of.
    pub(super) fn account_origin(&self, name: &str) -> Origin {
        let prefix = format!("account.{name}.");
        let first = || {
            self.set
                .iter()
                .find(|(path, _)| path.starts_with(&prefix))
                .map(|(_, value)| &value.origin)
        };
        self.sections
            .get(name)
            .or_else(first)
            .cloned()
            .unwrap_or(Origin::Default)
    }
}

fn is_section(path: &str) -> bool {
    matches!(
        path,
        "callback" | "desk" | "hooks" | "alerts" | "privacy" | "account"
    ) || path
        .strip_prefix("account.")
        .is_some_and(|name| !name.contains('.'))
}

/// The path that a variable's name, without prefix, stands for, and whether it names a file with the value.
fn path_of(rest: &str) -> Option<(String, bool)> {
    let plain = |rest: &str| -> Option<(String, &'static Key)> {
        let path = match rest.strip_prefix("ACCOUNT__") {
            // Account names have no `_`, so every one in the variable was a `-`.
            Some(account) => {
                let (name, key) = account.rsplit_once("__")?;
                format!(
                    "account.{}.{}",
                    name.to_ascii_lowercase().replace('_', "-"),
                    key.to_ascii_lowercase()
                )
            }
            None => rest.to_ascii_lowercase().replace("__", "."),
        };
        let is_upper = !rest.contains(|c: char| c.is_ascii_lowercase());
        Key::at(&path).filter(|_| is_upper).map(|key| (path, key))
    };
    match rest {
        "API_TOKEN" => return Some(("api_token".to_owned(), false)),
        "API_TOKEN_FILE" => return Some(("api_token".to_owned(), true)),
        _ => {}
    }
    if let Some((path, _)) = plain(rest) {
        return Some((path, false));
    }
    let (path, key) = plain(rest.strip_suffix("_FILE")?)?;
    key.secret.then_some((path, true))
}

fn value_of(path: &str, name: &str, text: String, from_file: bool) -> Result<Value, Problem> {
    if from_file {
        let origin = Origin::FileOfVariable(name.to_owned());
        let file = PathBuf::from(&text);
        let content = std::fs::read_to_string(&file).map_err(|error| {
            Problem::new(
                &origin,
                format!("读不了 {}", file.display()),
                format!("cannot read {}: {error}", file.display()),
            )
        })?;
        let content = Content::Text(content.trim_end_matches(['\r', '\n']).to_owned());
        return Ok(Value { content, origin });
    }
    let is_list = Key::at(path).is_some_and(|key| key.shape == Shape::List);
    let content = if is_list {
        Content::List(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    } else {
        Content::Text(text)
    };
    Ok(Value {
        content,
        origin: Origin::Variable(name.to_owned()),
    })
}

/// The variable that sets this path.
pub(super) fn variable_of(path: &str) -> String {
    format!(
        "{PREFIX}{}",
        path.replace('.', "__")
            .replace('-', "_")
            .to_ascii_uppercase()
    )
}

fn unknown_key(origin: &Origin, parent: &str, name: &str) -> Problem {
    let section = if parent.starts_with("account.") {
        "account.*"
    } else {
        parent
    };
    let keys = KEYS
        .iter()
        .filter(|key| key.section() == section)
        .map(Key::name);
    let sections: &[&str] = if parent.is_empty() {
        &["callback", "desk", "hooks", "alerts", "privacy", "account"]
    } else {
        &[]
    };
    let path = if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    };
    match nearest(name, keys.chain(sections.iter().copied())) {
        Some(near) => Problem::new(
            origin,
            format!("没有 {path} 这一项,是不是 {near}?"),
            format!("unknown key `{path}`, did you mean `{near}`?"),
        ),
        None => Problem::new(
            origin,
            format!("没有 {path} 这一项"),
            format!("unknown key `{path}`"),
        ),
    }
}

fn unknown_variable(name: &str, accounts: Vec<String>) -> Problem {
    let mut known: Vec<String> = vec![API_TOKEN.to_owned(), format!("{API_TOKEN}_FILE")];
    let meant = name
        .strip_prefix("WXREPLY_ACCOUNT__")
        .and_then(|rest| rest.split("__").next());
    let accounts: Vec<String> = accounts
        .into_iter()
        .chain(meant.map(str::to_ascii_lowercase))
        .collect();
    for key in KEYS {
        let names: Vec<String> = if key.section() == "account.*" {
            accounts
                .iter()
                .map(|account| variable_of(&key.path.replace('*', account)))
                .collect()
        } else {
            vec![variable_of(key.path)]
        };
        known.extend(
            names
                .iter()
                .filter(|_| key.secret)
                .map(|name| format!("{name}_FILE")),
        );
        known.extend(names);
    }
    let origin = Origin::Variable(name.to_owned());
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => Problem::new(
            &origin,
            format!("没有这个环境变量,是不是 {near}?"),
            format!("unknown variable, did you mean {near}?"),
        ),
        None => Problem::new(&origin, "没有这个环境变量", "unknown variable"),
    }
}
