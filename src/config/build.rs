//! Turns gathered values into settings, or says all that is wrong with them.
//! Owns: which key fills which setting, what must be there. Uses: the modules whose settings it fills. Never: reads a file or the environment.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::SecretString;

use super::keys::{KEYS, Key};
use super::parse::{self, Wrong};
use super::problem::{Origin, Problem};
use super::values::{API_TOKEN, Content, Value, Values, variable_of};
use super::{Config, ForRules, Line, Problems};
use crate::clock::Clock;
use crate::hook::HookSettings;
use crate::model::AccountName;
use crate::model::desk::DeskSettings;
use crate::server::{AccountSettings, Settings};
use crate::wechat::client::ClientSettings;
use crate::wechat::{Account, Mode};

/// The fewest characters of `WXREPLY_API_TOKEN`.
const API_TOKEN_LENGTH: usize = 24;

/// Builds the configuration; relative paths start at `base`.
pub(super) fn config(values: Values, base: &Path) -> Result<Config, Problems> {
    let mut reader = Reader {
        values,
        problems: Vec::new(),
    };
    reader.problems.append(&mut reader.values.problems);
    let log_format = reader.needed("log_format", parse::log_format);
    let log = reader.needed("log", parse::log_filter);
    let server = settings(&mut reader, base);
    match (server, log, log_format, reader.problems.is_empty()) {
        (Some(server), Some(log), Some(log_format), true) => Ok(Config {
            server,
            log,
            log_format,
            lines: lines(&reader.values),
        }),
        _ => Err(Problems(reader.problems)),
    }
}

/// Builds what rules must know, whatever else is missing.
pub(super) fn for_rules(values: Values) -> Result<ForRules, Problems> {
    let mut reader = Reader {
        values,
        problems: Vec::new(),
    };
    reader.problems.append(&mut reader.values.problems);
    let timezone = reader.needed("timezone", parse::timezone);
    let names = reader.values.accounts().into_iter();
    let accounts = names.filter_map(|name| AccountName::parse(name).ok());
    match (timezone, reader.problems.is_empty()) {
        (Some(timezone), true) => Ok(ForRules {
            accounts: accounts.collect(),
            timezone,
        }),
        _ => Err(Problems(reader.problems)),
    }
}

fn settings(reader: &mut Reader, base: &Path) -> Option<Settings> {
    let listen = reader.needed("listen", parse::listen);
    let data = reader.needed("data", parse::path);
    let rules = reader.needed("rules", parse::path);
    let public_url = reader.wanted("public_url", parse::public_url);
    let timezone = reader.needed("timezone", parse::timezone);
    let trusted_proxies = reader.list("trusted_proxies", parse::network);
    let max_skew = reader.needed("callback.max_skew", parse::duration);
    let deadline = reader.needed("callback.deadline", parse::deadline);
    let ack = reader.needed("desk.ack", parse::ack);
    let ack_every = reader.needed("desk.ack_every", parse::duration);
    let keep_messages = reader.needed("privacy.keep_messages", parse::keep_messages);
    let hooks = HookSettings {
        allowed: reader.list("hooks.allow", parse::hook_host),
        secrets: reader.values.hook_secrets.clone(),
    };
    let alerts = reader.list("alerts.allow", parse::hook_host);
    let accounts = accounts(reader);
    let api_token = api_token(reader);
    Some(Settings {
        clock: Clock::system(),
        listen: listen?,
        data: base.join(data?),
        rules: base.join(rules?),
        public_url: public_url.unwrap_or_default(),
        timezone: timezone?,
        trusted_proxies,
        max_skew: max_skew?,
        deadline: deadline?,
        desk: DeskSettings {
            ack: ack?,
            ack_every: ack_every?,
            ..DeskSettings::default()
        },
        alerts,
        keep_messages: keep_messages?,
        hooks,
        accounts,
        api_token,
    })
}

fn accounts(reader: &mut Reader) -> Vec<AccountSettings> {
    let names = reader.values.accounts();
    if names.is_empty() {
        reader.problems.push(Problem::general(
            "还没有公众号:写一节 [account.名字],样例见 wxreply config show --example",
            "there is no account: write a section [account.NAME]; see `wxreply config show --example`",
        ));
    }
    names
        .iter()
        .filter_map(|name| account(reader, name))
        .collect()
}

fn account(reader: &mut Reader, name: &str) -> Option<AccountSettings> {
    let origin = reader.values.account_origin(name);
    let account_name = AccountName::parse(name).map_err(|_error| {
        reader.problems.push(Problem::new(
            &origin,
            format!("公众号的名字 {name:?} 不行:小写字母开头,只含小写字母、数字和 -,最长 64"),
            format!("{name:?} cannot name an account: a lower-case letter, then letters, digits or '-', 64 at most"),
        ));
    });
    let at = |key: &str| format!("account.{name}.{key}");
    let app_id = reader.needed(&at("app_id"), parse::app_id);
    let mode = reader.needed(&at("mode"), parse::mode);
    let token = reader.needed(&at("token"), parse::secret);
    let aes_key = reader.wanted(&at("aes_key"), parse::encoding_key);
    let client_secret = reader.wanted(&at("secret"), parse::secret);
    let api_base = reader.needed(&at("api_base"), parse::api_base);
    let previous_token = reader.wanted(&at("previous_token"), parse::secret);
    let previous_aes_key = reader.wanted(&at("previous_aes_key"), parse::encoding_key);
    let (account_name, app_id, mode, token, api_base) =
        (account_name.ok()?, app_id?, mode?, token?, api_base?);
    if aes_key.is_none() && mode != Mode::Plain {
        if !reader.values.set.contains_key(&at("aes_key")) {
            let path = at("aes_key");
            reader.problems.push(Problem::new(
                &reader.values.set.get(&at("mode")).map_or(origin, |value| value.origin.clone()),
                format!("公众号 {name} 的 mode 需要 aes_key,但没有设({} 也没有)", variable_of(&path)),
                format!("account `{name}` has a mode that needs `aes_key`, which is not set (nor is ${})", variable_of(&path)),
            ));
        }
        return None;
    }
    let client = client_secret.map(|secret| ClientSettings {
        api_base,
        app_id: app_id.clone(),
        secret,
    });
    match Account::new(
        account_name,
        app_id,
        mode,
        token,
        previous_token,
        aes_key,
        previous_aes_key,
    ) {
        Ok(account) => Some(AccountSettings {
            account: Arc::new(account),
            client,
        }),
        Err(error) => {
            reader.problems.push(Problem::new(
                &origin,
                format!("公众号 {name} 的设置不行"),
                error.to_string(),
            ));
            None
        }
    }
}

fn api_token(reader: &mut Reader) -> Option<SecretString> {
    let value = reader.values.api_token.clone()?;
    let Content::Text(text) = value.content else {
        return None;
    };
    if text.chars().count() < API_TOKEN_LENGTH || text.chars().any(char::is_whitespace) {
        reader.problems.push(Problem::new(
            &value.origin,
            format!("{API_TOKEN} 至少要 {API_TOKEN_LENGTH} 个字符,不含空白"),
            format!("{API_TOKEN} needs at least {API_TOKEN_LENGTH} characters and no blanks"),
        ));
        return None;
    }
    Some(text.into())
}

/// Every value that is set or has a default, in the table's order.
fn lines(values: &Values) -> Vec<Line> {
    let accounts = values.accounts();
    let (of_accounts, plain): (Vec<&Key>, Vec<&Key>) =
        KEYS.iter().partition(|key| key.section() == "account.*");
    let plain = plain.into_iter().map(|key| (key.path.to_owned(), key));
    let rest = accounts.iter().flat_map(|name| {
        of_accounts
            .iter()
            .map(move |key| (key.path.replace('*', name), *key))
    });
    let mut lines: Vec<Line> = plain
        .chain(rest)
        .filter_map(|(path, key)| {
            let value = effective(values, &path)?;
            Some(Line {
                shown: value.shown(key.secret),
                path,
                origin: value.origin,
            })
        })
        .collect();
    if let Some(token) = &values.api_token {
        lines.push(Line {
            path: API_TOKEN.to_owned(),
            shown: token.shown(true),
            origin: token.origin.clone(),
        });
    }
    lines
}

/// What is set, or the default.
fn effective(values: &Values, path: &str) -> Option<Value> {
    values.set.get(path).cloned().or_else(|| {
        let value: toml::Value = toml::Value::from_str(Key::at(path)?.default?).ok()?;
        let content = match value {
            toml::Value::String(text) => Content::Text(text),
            toml::Value::Array(items) => Content::List(
                items
                    .iter()
                    .filter_map(|item| item.as_str().map(str::to_owned))
                    .collect(),
            ),
            _ => return None,
        };
        Some(Value {
            content,
            origin: Origin::Default,
        })
    })
}

/// Reads values one by one and collects what is wrong with them.
struct Reader {
    values: Values,
    problems: Vec<Problem>,
}

impl Reader {
    /// The value at this path if there is one and it can be understood.
    fn wanted<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let Value {
            content: Content::Text(text),
            origin,
        } = effective(&self.values, path)?
        else {
            return None;
        };
        parse(&text)
            .map_err(|(zh, en)| self.problems.push(about(&origin, path, &zh, &en)))
            .ok()
    }

    /// The same; that nobody set it is a problem.
    fn needed<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        if effective(&self.values, path).is_none() {
            let origin = path
                .strip_prefix("account.")
                .and_then(|rest| rest.rsplit_once('.'))
                .map_or(Origin::Default, |(name, _)| {
                    self.values.account_origin(name)
                });
            self.problems.push(Problem::new(
                &origin,
                format!("缺 {path}(也可以设 {})", variable_of(path)),
                format!(
                    "`{path}` is missing (${} would do as well)",
                    variable_of(path)
                ),
            ));
            return None;
        }
        self.wanted(path, parse)
    }

    /// Every item of a list that can be understood.
    fn list<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        let Some(Value {
            content: Content::List(items),
            origin,
        }) = effective(&self.values, path)
        else {
            return Vec::new();
        };
        let mut parsed = Vec::new();
        for item in items {
            match parse(&item) {
                Ok(value) => parsed.push(value),
                Err((zh, en)) => self.problems.push(about(&origin, path, &zh, &en)),
            }
        }
        parsed
    }
}

fn about(origin: &Origin, path: &str, zh: &str, en: &str) -> Problem {
    Problem::new(origin, format!("{path} {zh}"), format!("`{path}` {en}"))
}
