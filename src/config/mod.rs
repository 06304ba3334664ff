//! Reads `wxreply.toml`: which accounts there are.
//! Owns: where account names stand. Uses: model. Never: secrets.

use std::path::Path;

use crate::model::AccountName;

/// Why the configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file is not readable.
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    /// The file is not TOML.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
}

/// The accounts that a file has sections for, without asking whether they are complete.
///
/// # Errors
/// [`Problem`] when the file cannot be read or is not TOML.
pub fn account_names(path: &Path) -> Result<Vec<AccountName>, Problem> {
    let table: toml::Table = std::fs::read_to_string(path)?.parse()?;
    let accounts = table.get("account").and_then(toml::Value::as_table);
    let names = accounts.into_iter().flat_map(toml::Table::keys);
    Ok(names
        .filter_map(|name| AccountName::parse(name.as_str()).ok())
        .collect())
}
