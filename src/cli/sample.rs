//! Carries the sample rules inside the binary, so that the demo runs anywhere.
//! Owns: which files they are. Uses: nothing. Never: what is in them.

use std::io;
use std::path::Path;

macro_rules! sample {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../rules/", $name)))),+]
    };
}

/// File names under `rules/` and their texts.
pub(super) const RULES: &[(&str, &str)] = sample![
    "10-basics.toml",
    "20-order.toml",
    "30-stores.toml",
    "40-fun.toml",
    "50-events.toml",
    "60-people.toml",
    "_calendar.toml",
    "_canned.toml",
    "_crisis.toml",
    "_desk.toml",
];

/// Writes the sample rules into a directory, unless it is there already.
pub(super) fn unpack(directory: &Path) -> io::Result<()> {
    if directory.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    for (name, text) in RULES {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_rule_file_is_in_the_sample() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut shipped: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        shipped.sort();
        let mut carried: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
        carried.sort_unstable();
        assert_eq!(carried, shipped);
    }
}
