//! Turns rules as written into the compiled set, checking each on the way.
//! Owns: ids, accounts, keywords and events of a rule. Uses: index, words, regexes. Never: reads TOML.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;

use super::compile::Options;
use super::diagnostic::{Code, Diagnostic, Place, Remarks, Words, did_you_mean};
use super::fields;
use super::index::{EventRules, Group, Lists, RegexRule, Rule, RuleNumber, RuleSet, Use};
use super::inline_tests::InlineTests;
use super::lint::{self, Spot, Trigger};
use super::normalize::normalize;
use super::pattern::Pattern;
use super::regexes;
use super::rule::Written;
use super::sheet::{Sheet, Text};
use super::source::Source;
use super::words::{Word, Words as Keywords};
use crate::model::{AccountName, RuleFiles, RuleId};

/// A rule set under construction.
pub(super) struct Build<'o> {
    options: &'o Options,
    pub(super) set: RuleSet,
    exact: Vec<(Word, RuleNumber)>,
    uses: Vec<(Word, Use)>,
    /// Every id and where it stands, those of rules that are switched off included.
    ids: HashMap<Box<str>, (u32, u32), RandomState>,
    groups: HashMap<Vec<AccountName>, u32, RandomState>,
    spots: Vec<Spot>,
    triggers: HashMap<String, u32, RandomState>,
    seen: usize,
    /// Rules of the present file that do not name accounts themselves.
    inheriting: Vec<RuleNumber>,
    default_accounts: Option<u32>,
}

/// What a rule listens to, checked.
#[derive(Default)]
struct Checked {
    exact: Vec<(Word, Range<usize>)>,
    all: Vec<(Word, Range<usize>)>,
    any: Vec<(Word, Range<usize>)>,
    none: Vec<(Word, Range<usize>)>,
    regexes: Vec<(regexes::Compiled, Range<usize>)>,
    messages: Vec<(&'static str, Range<usize>)>,
    events: Vec<(Box<str>, Range<usize>)>,
    patterns: Vec<(Pattern, Box<str>)>,
    /// Whether everything it says was understood.
    is_whole: bool,
}

impl<'o> Build<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        let set = RuleSet {
            settings: options.desk.clone(),
            rules: Vec::new(),
            files: Vec::new(),
            accounts: Vec::new(),
            words: Keywords::new(),
            exact: Lists::new(Vec::new(), 0),
            uses: Lists::new(Vec::new(), 0),
            groups: Vec::new(),
            regexes: Vec::new(),
            always: Vec::new(),
            events: HashMap::default(),
            messages: Vec::new(),
            tests: InlineTests::default(),
        };
        Self {
            options,
            set,
            exact: Vec::new(),
            uses: Vec::new(),
            ids: HashMap::default(),
            groups: HashMap::default(),
            spots: Vec::new(),
            triggers: HashMap::default(),
            seen: 0,
            inheriting: Vec::new(),
            default_accounts: None,
        }
    }

    /// How many rules were read, good or not.
    pub(super) const fn seen(&self) -> usize {
        self.seen
    }

    /// How many tests were read.
    pub(super) fn tests(&self) -> usize {
        self.set.tests.len()
    }

    pub(super) fn begin_file(&mut self, source: &Source<'_>) {
        self.set.files.push(Arc::clone(&source.name));
    }

    /// Gives the file's `[defaults]` to those of its rules that say nothing themselves, wherever in the file it stands.
    pub(super) fn end_file(&mut self) {
        let default = self.default_accounts.take();
        for number in self.inheriting.drain(..) {
            let rule = usize::try_from(number)
                .ok()
                .and_then(|number| self.set.rules.get_mut(number));
            if let Some(rule) = rule {
                rule.accounts = default;
            }
        }
    }

    /// Notes the accounts of `[defaults]`.
    pub(super) fn defaults(
        &mut self,
        sheet: &mut Sheet<'_>,
        accounts: &[Text<'_>],
        span: Range<usize>,
    ) {
        if self.default_accounts.is_some() {
            let words = Words::new(
                "一个文件只能有一个 [defaults]",
                "a file has one [defaults] only",
            );
            sheet.report(Code::Together, span, words);
            return;
        }
        self.default_accounts = self.accounts(sheet, accounts, span);
    }

    /// Adds a rule, reporting what is wrong with it.
    pub(super) fn add(&mut self, sheet: &mut Sheet<'_>, written: &Written<'_>) {
        self.seen += 1;
        let id = self.id(sheet, written);
        self.remark_on_care(sheet, written);
        fields::check_together(sheet, written);
        let checked = self.check(sheet, written);
        // Where a trigger was not understood, nobody can tell which placeholders it would give.
        let is_readable = checked.is_whole && written.is_understood;
        let replied = is_readable
            .then(|| fields::reply(sheet, written, &checked.regexes))
            .flatten();
        let accounts = match &written.accounts {
            Some(accounts) => Some(self.accounts(sheet, accounts, written.head.clone())),
            None => None,
        };
        let (Some(id), Some(reply), true, true) =
            (id, replied, checked.is_whole, written.is_enabled)
        else {
            return;
        };
        let number = narrow(self.set.rules.len());
        if accounts.is_none() {
            self.inheriting.push(number);
        }
        let place = sheet.place(written.head.clone());
        let all = self.group(&checked.all);
        let none = self.group(&checked.none);
        self.note_spots(number, written, &checked);
        self.register(number, checked);
        for test in &written.tests {
            self.set
                .tests
                .push(number, &sheet.place(test.span.clone()), &test.draft);
        }
        self.set.rules.push(Rule {
            id,
            reply,
            priority: written.priority,
            accounts: accounts.flatten(),
            file: narrow(self.set.files.len().saturating_sub(1)),
            line: place.line,
            all,
            none,
        });
    }

    fn id(&mut self, sheet: &mut Sheet<'_>, written: &Written<'_>) -> Option<RuleId> {
        let Some(id) = &written.id else {
            let words = Words::new("规则没有 id", "the rule has no id");
            let help = Words::new("加一行 id = \"…\",起个好认的名字", "add a line id = \"…\"");
            sheet.report_with_help(Code::BadId, written.head.clone(), words, help);
            return None;
        };
        let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let parsed = RuleId::parse(id.text)
            .ok()
            .filter(|_| id.text.chars().all(is_legal));
        if parsed.is_none() {
            let words = Words::new(
                "id 只能用字母、汉字、数字和 - _ .,1 到 128 字节",
                "an id has letters, digits and - _ . only, 1 to 128 bytes",
            );
            sheet.report(Code::BadId, id.span.clone(), words);
            return None;
        }
        let file = narrow(self.set.files.len().saturating_sub(1));
        match self.ids.entry(id.text.into()) {
            Entry::Vacant(entry) => {
                entry.insert((file, narrow(id.span.start)));
                parsed
            }
            Entry::Occupied(entry) => {
                let (file, start) = *entry.get();
                let name = self.set.files.get(widen(file)).cloned().unwrap_or_default();
                let new = (2..)
                    .map(|n| format!("{}-{n}", id.text))
                    .find(|new| !self.ids.contains_key(new.as_str()));
                let new = new.unwrap_or_default();
                let words = Words::new(
                    format!("id \"{}\" 已经用过", id.text),
                    format!("id \"{}\" is already used", id.text),
                );
                let help = Words::new(
                    format!("换一个,比如 \"{new}\""),
                    format!("choose another, such as \"{new}\""),
                );
                let mut diagnostic =
                    Diagnostic::new(Code::DuplicateId, sheet.place(id.span.clone()), words)
                        .help(help);
                if name == sheet.source.name {
                    let first = widen(start)..widen(start) + id.span.len();
                    diagnostic = diagnostic.label(
                        sheet.place(first),
                        Words::new("第一次在这里", "first used here"),
                    );
                } else {
                    diagnostic = diagnostic.caret(Words::new(
                        format!("第一次在 {name}"),
                        format!("first used in {name}"),
                    ));
                }
                sheet.remarks.push(diagnostic);
                None
            }
        }
    }

    /// Hints: rules without tests or owner work, but nobody will know when they go wrong.
    fn remark_on_care(&self, sheet: &mut Sheet<'_>, written: &Written<'_>) {
        let span = written
            .id
            .as_ref()
            .map_or_else(|| written.head.clone(), |id| id.span.clone());
        if !written.has_tests {
            let words = Words::new("这条规则没有测试", "this rule has no test");
            let help = Words::new(
                "加一行 tests = [{ say = \"…\", expect = \"…\" }]",
                "add a line tests = [{ say = \"…\", expect = \"…\" }]",
            );
            sheet.report_with_help(Code::NoTest, span.clone(), words, help);
        }
        if !written.has_owner {
            let words = Words::new("这条规则没有负责人", "nobody owns this rule");
            sheet.report_with_help(
                Code::NoOwner,
                span,
                words,
                Words::new("加一行 owner = \"…\"", "add a line owner = \"…\""),
            );
        }
    }

    /// The group of these accounts. `None` when a name is wrong.
    fn accounts(
        &mut self,
        sheet: &mut Sheet<'_>,
        names: &[Text<'_>],
        span: Range<usize>,
    ) -> Option<u32> {
        if names.is_empty() {
            let words = Words::new(
                "`accounts` 是空的:规则在哪个公众号都不起作用",
                "`accounts` is empty: the rule never speaks",
            );
            sheet.report(Code::BadValue, span, words);
        }
        let mut accounts = Vec::new();
        for name in names {
            accounts.push(fields::account(
                sheet,
                name,
                self.options.accounts.as_deref(),
            )?);
        }
        accounts.sort_unstable();
        accounts.dedup();
        let next = narrow(self.set.accounts.len());
        Some(*self.groups.entry(accounts).or_insert_with_key(|accounts| {
            self.set.accounts.push(accounts.clone().into());
            next
        }))
    }

    fn check(&mut self, sheet: &mut Sheet<'_>, written: &Written<'_>) -> Checked {
        let mut checked = Checked {
            is_whole: true,
            ..Checked::default()
        };
        let whole = &mut checked.is_whole;
        checked.exact = self.keywords(sheet, "exact", &written.exact, whole);
        checked.all = self.keywords(sheet, "all", &written.all, whole);
        checked.any = self.keywords(sheet, "any", &written.any, whole);
        checked.none = self.keywords(sheet, "none", &written.none, whole);
        for text in &written.regex {
            match fields::regex(sheet, text) {
                Some(compiled) => checked.regexes.push((compiled, text.span.clone())),
                None => *whole = false,
            }
        }
        for text in &written.message {
            match fields::message(sheet, text) {
                Some(kind) => checked.messages.push((kind, text.span.clone())),
                None => *whole = false,
            }
        }
        for text in &written.event {
            match fields::event(sheet, text, written.key.as_ref()) {
                Some(name) => checked.events.push((name, text.span.clone())),
                None => *whole = false,
            }
        }
        for text in written.key.iter().flat_map(|key| &key.patterns) {
            match fields::pattern(sheet, text) {
                Some(pattern) => checked.patterns.push((pattern, text.text.into())),
                None => *whole = false,
            }
        }
        checked
    }

    fn keywords(
        &mut self,
        sheet: &mut Sheet<'_>,
        key: &str,
        texts: &[Text<'_>],
        is_whole: &mut bool,
    ) -> Vec<(Word, Range<usize>)> {
        let mut words = Vec::with_capacity(texts.len());
        for text in texts {
            let normal = normalize(text.text);
            if normal.is_empty() {
                *is_whole = false;
                let message = if text.text.is_empty() {
                    Words::new(
                        format!("`{key}` 里有空的关键词"),
                        format!("an empty keyword in `{key}`"),
                    )
                } else {
                    Words::new(
                        format!("关键词「{}」去掉标点和空格就没有了", text.text),
                        format!(
                            "nothing is left of \"{}\" without punctuation and space",
                            text.text
                        ),
                    )
                };
                sheet.report(Code::EmptyKeyword, text.span.clone(), message);
            } else {
                words.push((self.set.words.intern(&normal), text.span.clone()));
            }
        }
        words
    }

    fn group(&mut self, words: &[(Word, Range<usize>)]) -> Group {
        let start = narrow(self.set.groups.len());
        let mut sorted: Vec<Word> = words.iter().map(|(word, _)| *word).collect();
        sorted.sort_unstable();
        sorted.dedup();
        self.set.groups.extend(sorted);
        Group {
            start,
            end: narrow(self.set.groups.len()),
        }
    }

    /// Remembers what each trigger is and where it stands, for the lints.
    fn note_spots(&mut self, rule: RuleNumber, written: &Written<'_>, checked: &Checked) {
        let mut note = |trigger, span: &Range<usize>| {
            self.spots.push(Spot {
                trigger,
                rule,
                start: narrow(span.start),
                end: narrow(span.end),
            });
        };
        checked
            .exact
            .iter()
            .for_each(|(word, span)| note(Trigger::Exact(*word), span));
        checked
            .any
            .iter()
            .for_each(|(word, span)| note(Trigger::Any(*word), span));
        let mut others: Vec<(String, Range<usize>)> = Vec::new();
        if let Some((_, first)) = checked.all.first() {
            let mut words: Vec<Word> = checked.all.iter().map(|(word, _)| *word).collect();
            words.sort_unstable();
            others.push((format!("all {words:?}"), first.clone()));
        }
        let regexes = written
            .regex
            .iter()
            .map(|text| (format!("regex {}", text.text), text.span.clone()));
        others.extend(regexes);
        others.extend(
            checked
                .messages
                .iter()
                .map(|(kind, span)| (format!("message {kind}"), span.clone())),
        );
        for (name, span) in &checked.events {
            let keys = checked
                .patterns
                .iter()
                .map(|(_, key)| format!("event {name} {key}"));
            let keys: Vec<String> = keys.collect();
            let plain = checked.patterns.is_empty().then(|| format!("event {name}"));
            others.extend(keys.into_iter().chain(plain).map(|key| (key, span.clone())));
        }
        for (key, span) in others {
            let next = narrow(self.triggers.len());
            let number = *self.triggers.entry(key).or_insert(next);
            let (start, end) = (narrow(span.start), narrow(span.end));
            self.spots.push(Spot {
                trigger: Trigger::Other(number),
                rule,
                start,
                end,
            });
        }
    }

    /// Enters a rule wherever it can be asked for.
    fn register(&mut self, number: RuleNumber, checked: Checked) {
        self.exact
            .extend(checked.exact.iter().map(|(word, _)| (*word, number)));
        self.uses.extend(
            checked
                .any
                .iter()
                .map(|(word, _)| (*word, Use::Any(number))),
        );
        // The longest word is the rarest: it alone leads to the rule.
        let longest = checked
            .all
            .iter()
            .max_by_key(|(word, _)| self.set.words.text(*word).len());
        self.uses
            .extend(longest.map(|(word, _)| (*word, Use::All(number))));
        for (compiled, _) in checked.regexes {
            let regex = narrow(self.set.regexes.len());
            if compiled.words.is_empty() {
                self.set.always.push(regex);
            }
            for word in &compiled.words {
                let word = self.set.words.intern(word);
                self.uses.push((word, Use::Regex(regex)));
            }
            self.set.regexes.push(RegexRule {
                regex: compiled.regex,
                rule: number,
            });
        }
        self.set.messages.extend(
            checked
                .messages
                .into_iter()
                .map(|(kind, _)| (kind.into(), number)),
        );
        for (name, _) in checked.events {
            let rules = self.set.events.entry(name).or_default();
            enter_event(rules, number, &checked.patterns);
        }
    }

    /// Checks what concerns rules together and makes everything findable.
    pub(super) fn finish(mut self, files: &RuleFiles, remarks: &mut Remarks) -> RuleSet {
        lint::check(self.spots, &self.set, files, remarks);
        check_regex_count(&self.set, remarks);
        check_expectations(
            &self.set,
            &self.ids,
            self.options.accounts.as_deref(),
            remarks,
        );
        drop(self.ids);
        drop(self.triggers);
        let count = self.set.words.len();
        let mut is_inner = vec![false; count];
        let used = self
            .uses
            .iter()
            .map(|(word, _)| word)
            .chain(&self.set.groups);
        for word in used {
            if let Some(is_inner) = is_inner.get_mut(widen(*word)) {
                *is_inner = true;
            }
        }
        self.set.exact = Lists::new(self.exact, count);
        self.set.uses = Lists::new(self.uses, count);
        self.set
            .words
            .build(|word| is_inner.get(widen(word)).copied().unwrap_or(false));
        self.set.rules.shrink_to_fit();
        self.set.groups.shrink_to_fit();
        self.set.tests.shrink();
        self.set
    }
}

fn enter_event(rules: &mut EventRules, number: RuleNumber, patterns: &[(Pattern, Box<str>)]) {
    if patterns.is_empty() {
        rules.plain.push(number);
    }
    for (pattern, text) in patterns {
        if pattern.stars() == 0 {
            rules.literal.entry(text.clone()).or_default().push(number);
        } else {
            rules.wild.push((pattern.clone(), number));
        }
    }
}

/// Regexes cost time one by one, so an account may have only so many.
fn check_regex_count(set: &RuleSet, remarks: &mut Remarks) {
    if set.regexes.len() <= regexes::PER_ACCOUNT {
        return;
    }
    let (mut of_all, mut of_one): (usize, HashMap<&AccountName, usize>) = (0, HashMap::new());
    for regex in &set.regexes {
        let Some(rule) = set.rule(regex.rule) else {
            continue;
        };
        match rule
            .accounts
            .and_then(|group| set.accounts.get(widen(group)))
        {
            Some(accounts) => accounts
                .iter()
                .for_each(|account| *of_one.entry(account).or_default() += 1),
            None => of_all += 1,
        }
        let most = of_all + of_one.values().max().copied().unwrap_or(0);
        if most > regexes::PER_ACCOUNT {
            let (file, line) = set.origin(regex.rule);
            let place = Place {
                file: file.into(),
                span: 0..0,
                line,
                column: 1,
            };
            let limit = regexes::PER_ACCOUNT;
            let words = Words::new(
                format!("一个公众号最多 {limit} 条正则"),
                format!("an account may have at most {limit} regexes"),
            );
            let help = Words::new(
                "能用 any、all 的改用它们,又快又不限数量",
                "use any or all where they do; they are unlimited",
            );
            remarks.push(Diagnostic::new(Code::TooMany, place, words).help(help));
            return;
        }
    }
}

/// Tests may expect rules that are further down, so names are checked at the end.
fn check_expectations(
    set: &RuleSet,
    ids: &HashMap<Box<str>, (u32, u32), RandomState>,
    accounts: Option<&[AccountName]>,
    remarks: &mut Remarks,
) {
    for test in set.inline_tests() {
        for id in [test.expect, test.expect_not].into_iter().flatten() {
            if id.is_empty() || ids.contains_key(id) {
                continue;
            }
            let words = Words::new(
                format!("测试说到的规则 \"{id}\" 不存在"),
                format!("there is no rule \"{id}\""),
            );
            let mut diagnostic = Diagnostic::new(Code::BadValue, test.place.clone(), words);
            if let Some(meant) = did_you_mean(id, ids.keys().map(|id| &**id)) {
                let help = Words::new(
                    format!("是不是 \"{meant}\"?"),
                    format!("did you mean \"{meant}\"?"),
                );
                diagnostic = diagnostic.help(help);
            }
            remarks.push(diagnostic);
        }
        if accounts.is_some_and(|known| test.is_account_named && !known.contains(&test.account)) {
            let words = Words::new(
                format!("没有公众号 \"{}\"", test.account),
                format!("there is no account \"{}\"", test.account),
            );
            remarks.push(Diagnostic::new(
                Code::UnknownAccount,
                test.place.clone(),
                words,
            ));
        }
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn widen(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
