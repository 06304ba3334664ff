//! Writes a draft as a rule file, as an operator would write it.
//! Owns: the order of keys, alignment, comments about what is missing. Uses: toml_edit. Never: decides what carries over.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

use super::draft::{Draft, DraftRule, Pace, Says};

impl Draft {
    /// The rule file. What did not carry over stands in it as comments.
    pub fn to_toml(&self) -> String {
        let mut document = DocumentMut::new();
        let mut before = format!("# {}\n", one_line(&self.source));
        if !self.accounts.is_empty() {
            let mut defaults = Table::new();
            defaults.insert("accounts", value(list(&self.accounts)));
            defaults.decor_mut().set_prefix(format!("{before}\n"));
            before.clear();
            document.insert("defaults", Item::Table(defaults));
        }
        let mut rules = ArrayOfTables::new();
        for rule in &self.rules {
            if !rule.is_written() {
                before.push_str(&missing(rule));
                continue;
            }
            let mut table = self.rule(rule);
            let remarks: String = rule.losses.iter().map(|words| remark(&words.zh)).collect();
            table.decor_mut().set_prefix(format!("{before}\n{remarks}"));
            before.clear();
            rules.push(table);
        }
        if !rules.is_empty() {
            document.insert("rule", Item::ArrayOfTables(rules));
        }
        for aside in &self.asides {
            before.push('\n');
            before.push_str(&remark(&format!("{}:{}", aside.what.zh, aside.why.zh)));
            before.extend(aside.suggestion.lines().map(remark));
        }
        document.set_trailing(before);
        document.to_string()
    }

    fn rule(&self, rule: &DraftRule) -> Table {
        let mut table = Table::new();
        table.insert("id", value(&rule.id));
        if !rule.title.trim().is_empty() {
            table.insert("title", value(&rule.title));
        }
        for (key, words) in [
            ("exact", &rule.exact),
            ("any", &rule.any),
            ("all", &rule.all),
            ("none", &rule.none),
        ] {
            if !words.is_empty() {
                table.insert(key, value(list(words)));
            }
        }
        if let Some(event) = rule.event {
            table.insert("event", value(event));
        }
        if !rule.accounts.is_empty() {
            table.insert("accounts", value(list(&rule.accounts)));
        }
        if rule.priority != 0 {
            table.insert("priority", value(rule.priority));
        }
        if !rule.is_enabled {
            table.insert("enabled", value(false));
        }
        let mut replies = ArrayOfTables::new();
        match &rule.says[..] {
            [Says::Text(text)] => drop(table.insert("reply", value(literal(text)))),
            several => several.iter().for_each(|says| replies.push(entry(says))),
        }
        if rule.says.len() > 1 {
            let pick = match rule.pace {
                Pace::Random => "random",
                Pace::All => "all",
            };
            table.insert("pick", value(pick));
        }
        if !rule.owner.is_empty() {
            table.insert("owner", value(&rule.owner));
        }
        table.insert("source", value(&self.source));
        if let Some(question) = &rule.proof {
            let mut test = InlineTable::new();
            let key = if rule.event.is_some() { "event" } else { "say" };
            test.insert(key, question.as_str().into());
            test.insert("expect", rule.id.as_str().into());
            table.insert("tests", value(Array::from_iter([test])));
        }
        align(&mut table);
        if !replies.is_empty() {
            table.insert("replies", Item::ArrayOfTables(replies));
        }
        table
    }
}

/// One entry of `[[rule.replies]]`.
fn entry(says: &Says) -> Table {
    let mut table = Table::new();
    match says {
        Says::Text(text) => table.insert("text", value(literal(text))),
        Says::Image(path) => table.insert("image", value(path)),
        Says::Voice(path) => table.insert("voice", value(path)),
        Says::News {
            title,
            description,
            image,
            url,
        } => {
            let mut news = InlineTable::new();
            for (key, text) in [
                ("title", title),
                ("description", description),
                ("image", image),
                ("url", url),
            ] {
                if !text.is_empty() {
                    news.insert(key, literal(text).into());
                }
            }
            table.insert("news", value(news))
        }
    };
    table
}

fn list(words: &[String]) -> Array {
    words.iter().map(String::as_str).collect()
}

/// A text in which braces mean themselves.
fn literal(text: &str) -> String {
    text.replace('{', "{{")
}

/// Puts all equals signs of a rule under each other.
fn align(table: &mut Table) {
    let widest = table.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for key in keys {
        if let Some(mut written) = table.key_mut(&key) {
            let gap = " ".repeat(widest.saturating_sub(key.len()) + 1);
            written.leaf_decor_mut().set_suffix(gap);
        }
    }
}

/// The comment for a rule that is not there.
fn missing(rule: &DraftRule) -> String {
    let name = if rule.title.is_empty() {
        &rule.id
    } else {
        &rule.title
    };
    let words: Vec<&str> = rule.questions().collect();
    let heard = if words.is_empty() {
        String::new()
    } else {
        format!("({})", words.join("、"))
    };
    let mut text = String::from("\n");
    text.push_str(&remark(&format!("没带过来:{name}{heard}")));
    text.extend(rule.losses.iter().map(|words| remark(&words.zh)));
    text
}

/// A line of comment.
fn remark(text: &str) -> String {
    format!("# {}\n", one_line(text))
}

/// A text without what would end a comment or is not allowed in one.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
