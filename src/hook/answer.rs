//! Reads what another system answered: a JSON object, flattened into fields of text.
//! Owns: how much of it is kept. Uses: serde_json. Never: what a field means.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{HookAnswer, HookFault};

/// The most fields that are kept, in the answer's order.
const MOST_FIELDS: usize = 64;
/// The longest value that is kept, in characters.
const LONGEST_VALUE: usize = 500;
/// A field with a longer name is left out, in bytes.
const LONGEST_NAME: usize = 200;
/// What is nested deeper is left out.
const DEPTH: usize = 16;

/// Reads a body.
///
/// # Errors
/// [`HookFault::Unreadable`] when it is neither a JSON object nor `null`.
pub(super) fn read(body: &[u8]) -> Result<HookAnswer, HookFault> {
    let whole: &RawValue =
        serde_json::from_slice(body).map_err(|_not_json| HookFault::Unreadable)?;
    let mut fields = Fields(Vec::new());
    match whole.get().as_bytes() {
        b"null" => {}
        [b'{', ..] => fields.add("", whole, DEPTH),
        _ => return Err(HookFault::Unreadable),
    }
    if fields.0.is_empty() {
        return Ok(HookAnswer::Missing);
    }
    Ok(HookAnswer::Found(fields.0))
}

/// Fields by name, as far as they were read.
struct Fields(Vec<(Box<str>, Box<str>)>);

impl Fields {
    fn add(&mut self, name: &str, value: &RawValue, depth: usize) {
        if depth == 0 || name.len() > LONGEST_NAME {
            return;
        }
        let inner = |key: &dyn fmt::Display| match name {
            "" => key.to_string(),
            outer => format!("{outer}.{key}"),
        };
        let text = value.get();
        match text.as_bytes() {
            [b'{', ..] => {
                let Members(members) = serde_json::from_str(text).unwrap_or_default();
                for (key, value) in members {
                    self.add(&inner(&key), value, depth - 1);
                }
            }
            [b'[', ..] => {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                for (place, value) in items.into_iter().enumerate() {
                    self.add(&inner(&place), value, depth - 1);
                }
            }
            [b'"', ..] => {
                let text: String = serde_json::from_str(text).unwrap_or_default();
                self.set(name, &text);
            }
            b"null" => self.set(name, ""),
            _ => self.set(name, text),
        }
    }

    /// Of several fields with one name the last counts.
    fn set(&mut self, name: &str, value: &str) {
        let value: String = value.chars().take(LONGEST_VALUE).collect();
        let is_full = self.0.len() >= MOST_FIELDS;
        match self.0.iter_mut().find(|(known, _)| &**known == name) {
            Some((_, old)) => *old = value.into(),
            None if is_full => {}
            None => self.0.push((name.into(), value.into())),
        }
    }
}

/// An object in the order of its text, its values unread.
#[derive(Default)]
struct Members<'j>(Vec<(String, &'j RawValue)>);

impl<'j> Deserialize<'j> for Members<'j> {
    fn deserialize<D: Deserializer<'j>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'j> Visitor<'j> for Read {
            type Value = Members<'j>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(body: &str) -> Vec<(String, String)> {
        let HookAnswer::Found(fields) = read(body.as_bytes()).unwrap() else {
            panic!("nothing was found in {body}");
        };
        let owned = fields
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        owned.collect()
    }

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = fields
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        owned.collect()
    }

    #[test]
    fn objects_are_flattened_and_numbers_stay_as_they_were_written() {
        let body = r#" {"state":"已发货\n","price":12.50,"id":123456789012345678901234567890,"paid":true,
            "eta":null,"items":[{"name":"茶"},"x",[]],"to":{"city":"北京","geo":{}},"state":"已签收"} "#;
        assert_eq!(
            found(body),
            pairs(&[
                ("state", "已签收"),
                ("price", "12.50"),
                ("id", "123456789012345678901234567890"),
                ("paid", "true"),
                ("eta", ""),
                ("items.0.name", "茶"),
                ("items.1", "x"),
                ("to.city", "北京"),
            ])
        );
    }

    #[test]
    fn nothing_known_is_told_from_nothing_readable() {
        for missing in ["null", " {} ", r#"{"a":{},"b":[]}"#] {
            assert_eq!(
                read(missing.as_bytes()),
                Ok(HookAnswer::Missing),
                "{missing}"
            );
        }
        for wrong in [
            "",
            "[]",
            "1",
            "\"x\"",
            "<html>",
            "{\"a\":1",
            "{\"a\":1}x",
            "{a:1}",
        ] {
            assert_eq!(
                read(wrong.as_bytes()),
                Err(HookFault::Unreadable),
                "{wrong}"
            );
        }
        assert_eq!(read(b"{\"a\":\"\xff\"}"), Err(HookFault::Unreadable));
    }

    #[test]
    fn only_so_much_is_kept() {
        let many: Vec<String> = (0..100).map(|n| format!("\"f{n}\":{n}")).collect();
        let fields = found(&format!("{{{}}}", many.join(",")));
        assert_eq!(fields.len(), 64);
        assert_eq!(fields[63].0, "f63");
        let long = found(&format!(
            "{{\"a\":\"{}\",\"{}\":1}}",
            "长".repeat(600),
            "n".repeat(300)
        ));
        assert_eq!(long.len(), 1);
        assert_eq!(long[0].1.chars().count(), 500);
        let deep = format!(
            "{{\"a\":{}1{},\"b\":1}}",
            "[".repeat(20_000),
            "]".repeat(20_000)
        );
        assert_eq!(found(&deep), pairs(&[("b", "1")]));
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body in "[{}\\[\\]\",:0-9a-z\\\\ ]{0,40}", tail in prop::collection::vec(any::<u8>(), 0..4)) {
            let mut body = body.into_bytes();
            body.extend(tail);
            if let Ok(HookAnswer::Found(fields)) = read(&body) {
                prop_assert!(!fields.is_empty() && fields.len() <= MOST_FIELDS);
            }
        }
    }
}
