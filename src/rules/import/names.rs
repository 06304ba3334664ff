//! Makes ids of rules from what people called them.
//! Owns: which characters stay, how equal names part. Uses: nothing. Never: reads a rule file.

use std::collections::{HashMap, HashSet};

/// The longest id that is made, in bytes; a number may follow. A rule file takes 128.
const LONGEST: usize = 60;

/// The ids that are taken.
#[derive(Clone, Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
    /// The number at which the search for a free one begins, by name.
    next: HashMap<String, usize>,
}

impl Names {
    /// Nothing is taken but these.
    pub fn taken(ids: impl IntoIterator<Item = String>) -> Self {
        Self {
            taken: ids.into_iter().collect(),
            next: HashMap::new(),
        }
    }

    /// A free id like the name, or like `otherwise` where nothing of the name can stay. It is taken then.
    pub fn give(&mut self, name: &str, otherwise: &str) -> String {
        let legal = legal(name);
        let wanted = if legal.is_empty() { otherwise } else { &legal };
        if self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        let next = self.next.entry(wanted.to_owned()).or_insert(2);
        loop {
            let id = format!("{wanted}-{next}");
            *next += 1;
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
    }
}

/// The letters and digits of a name, of any script, with single dashes for what stood between.
fn legal(name: &str) -> String {
    let mut id = String::new();
    let mut gap = false;
    for c in name.chars() {
        if !(c.is_alphanumeric() || c == '_' || c == '.') {
            gap = true;
            continue;
        }
        let dash = gap && !id.is_empty();
        if id.len() + usize::from(dash) + c.len_utf8() > LONGEST {
            break;
        }
        if dash {
            id.push('-');
        }
        gap = false;
        id.push(c);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_what_is_legal_and_differ() {
        let mut names = Names::taken(["退款".to_owned()]);
        assert_eq!(names.give("退款", "x"), "退款-2");
        assert_eq!(names.give("退款", "x"), "退款-3");
        assert_eq!(names.give(" 【关于】退款? (新) ", "x"), "关于-退款-新");
        assert_eq!(names.give("😀!!", "native"), "native");
        assert_eq!(names.give("", "native"), "native-2");
        let long = names.give(&"长".repeat(100), "x");
        assert_eq!((long.chars().count(), long.len()), (20, 60));
    }
}
