//! Keeps the secrets of calls to others, by the names of their environment variables.
//! Owns: which variables hold one. Uses: secrecy. Never: reads the environment.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// Secrets by the name of their variable.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<Box<str>, SecretString>);

impl Secrets {
    /// The secret of a variable; an empty one counts as not set.
    pub fn of(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }
}

impl FromIterator<(String, String)> for Secrets {
    /// Keeps those of the variables that hold a secret.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let secrets = variables
            .into_iter()
            .filter(|(name, value)| holds_hook_secret(name) && !value.is_empty())
            .map(|(name, value)| (name.into_boxed_str(), value.into()));
        Self(secrets.collect())
    }
}

/// Whether a variable of this name may hold a hook's secret: `HOOK` is one of its words, as in `HOOK_ERP` and
/// `ORDER_HOOK_SECRET`. Rules can name no other, so that no rule file can have the machine's other secrets used.
fn holds_hook_secret(variable: &str) -> bool {
    variable.split('_').any(|word| word == "HOOK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_with_the_word_hook_are_kept() {
        let variables = [
            ("HOOK_ERP", "a"),
            ("ORDER_HOOK_SECRET", "b"),
            ("WEBHOOK", "c"),
            ("HOOKS", "d"),
            ("hook_erp", "e"),
            ("EMPTY_HOOK", ""),
            ("PATH", "/bin"),
        ];
        let kept: Secrets = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let names: Vec<&str> = kept.0.keys().map(|name| &**name).collect();
        assert_eq!(names, ["HOOK_ERP", "ORDER_HOOK_SECRET"]);
        assert!(!format!("{kept:?}").contains("\"a\""), "{kept:?}");
    }
}
