//! Turns rules as written into the compiled set, checking each on the way.
//! Owns: ids, accounts, keywords and events of a rule. Uses: index, words, regexes. Never: reads TOML.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;

use super::allow::{self, Allowed};
use super::checked::{self, Checked};
use super::compile::Options;
use super::condition::Hours;
use super::crisis::CrisisWords;
use super::diagnostic::{Code, Diagnostic, Fix, PER_FILE, Place, Remarks, Words};
use super::extra::{self, Around, Deeds};
use super::fields;
use super::index::{
    DeskLines, EventRules, Group, Lists, RegexRule, Rule, RuleNumber, RuleSet, Use,
};
use super::inline_tests::{self, InlineTests};
use super::like::LikeIndex;
use super::lint::{self, Numbered, Spot, Trigger};
use super::lookup::Tables;
use super::media::Library;
use super::media_use;
use super::mend;
use super::pattern::Pattern;
use super::regexes::Budget;
use super::resolve::Pending;
use super::rule::Written;
use super::script::{self, Asks};
use super::sheet::{Sheet, Text};
use super::source::Source;
use super::words::{Word, Words as Keywords};
use crate::model::desk::DeskSettings;
use crate::model::{AccountName, Calendar, RuleFiles, RuleId};

/// The day of `clock = "daytime"`, in the configured zone.
const DAYTIME: &str = "08:00-23:00";

/// Every id with its file's number and its first byte there, those of rules that are switched off included.
pub(super) type Ids = HashMap<Box<str>, (u32, u32), RandomState>;

/// A rule set under construction.
pub(super) struct Build<'o> {
    pub(super) options: &'o Options,
    files: &'o RuleFiles,
    pub(super) library: &'o Library<'o>,
    pub(super) set: RuleSet,
    exact: Vec<(Word, RuleNumber)>,
    uses: Vec<(Word, Use)>,
    ids: Ids,
    /// For ids that are used twice: the least number behind them that may be free.
    free: HashMap<Box<str>, u32, RandomState>,
    groups: HashMap<Vec<AccountName>, u32, RandomState>,
    spots: Vec<Spot>,
    triggers: HashMap<String, u32, RandomState>,
    seen: usize,
    /// Rules of the present file that do not name accounts themselves.
    inheriting: Vec<RuleNumber>,
    /// Where rules of the present file without an owner stand, as many as are shown.
    unowned: Vec<Place>,
    defaults: Defaults,
    tables: Tables,
    regexes: Budget,
    /// The wordings of `like`, rule by rule.
    wordings: Vec<(RuleNumber, Box<str>)>,
    written_hours: HashMap<Box<str>, u16>,
    pub(super) allowed: Vec<Allowed>,
    pub(super) pending: Pending,
}

/// `[defaults]` of the present file.
#[derive(Default)]
struct Defaults {
    is_there: bool,
    accounts: Option<u32>,
    has_owner: bool,
}

impl<'o> Build<'o> {
    pub(super) fn new(
        files: &'o RuleFiles,
        options: &'o Options,
        library: &'o Library<'o>,
    ) -> Self {
        let day = Calendar::hours(DAYTIME, options.timezone.clone());
        let settings = DeskSettings {
            daytime: day.ok().map(Arc::new),
            ..options.desk.clone()
        };
        let set = RuleSet {
            lines: Box::new(DeskLines::of(&settings, &Vec::new())),
            crisis: Box::new(CrisisWords::none()),
            canned: Vec::new(),
            settings: Box::new(settings),
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
            timezone: options.timezone.clone(),
            has_always: false,
            wants_queue: false,
            named: HashMap::default(),
            like: LikeIndex::default(),
            like_priority: i32::MIN,
            tables: Vec::new(),
            media: Vec::new(),
            pictures: Vec::new(),
            tests: InlineTests::default(),
            scripts: Vec::new(),
            calendars: Vec::new(),
        };
        Self {
            options,
            files,
            library,
            set,
            exact: Vec::new(),
            uses: Vec::new(),
            ids: HashMap::default(),
            free: HashMap::default(),
            groups: HashMap::default(),
            spots: Vec::new(),
            triggers: HashMap::default(),
            seen: 0,
            inheriting: Vec::new(),
            unowned: Vec::new(),
            defaults: Defaults::default(),
            tables: Tables::default(),
            regexes: Budget::default(),
            wordings: Vec::new(),
            written_hours: HashMap::new(),
            allowed: Vec::new(),
            pending: Pending::default(),
        }
    }

    /// How many rules were read, good or not.
    pub(super) const fn seen(&self) -> usize {
        self.seen
    }

    /// How many tests were read.
    pub(super) fn tests(&self) -> usize {
        self.set.tests.len() + self.pending.scripts()
    }

    pub(super) fn begin_file(&mut self, source: &Source<'_>) {
        self.set.files.push(Arc::clone(&source.name));
    }

    /// Gives the file's `[defaults]` to those of its rules that say nothing themselves, wherever in the file it stands.
    pub(super) fn end_file(&mut self, remarks: &mut Remarks) {
        let defaults = std::mem::take(&mut self.defaults);
        for number in self.inheriting.drain(..) {
            if let Some(rule) = self.set.rules.get_mut(widen(number)) {
                rule.accounts = defaults.accounts;
            }
        }
        for place in self.unowned.drain(..).filter(|_| !defaults.has_owner) {
            let words = Words::new("这条规则没有负责人", "nobody owns this rule");
            let help = Words::new("加一行 owner = \"…\"", "add a line owner = \"…\"");
            remarks.push(Diagnostic::new(Code::NoOwner, place, words).help(help));
        }
        self.end_allowed(usize::MAX);
    }

    /// Notes what `[defaults]` says.
    pub(super) fn defaults(
        &mut self,
        sheet: &mut Sheet<'_>,
        accounts: Option<&[Text<'_>]>,
        has_owner: bool,
        span: Range<usize>,
    ) {
        if self.defaults.is_there {
            let words = Words::new(
                "一个文件只能有一个 [defaults]",
                "a file has one [defaults] only",
            );
            sheet.report(Code::Together, span, words);
            return;
        }
        self.defaults = Defaults {
            is_there: true,
            accounts: accounts.and_then(|accounts| self.accounts(sheet, accounts, span)),
            has_owner,
        };
    }

    /// The remarks that the rule before this place allows end here.
    fn end_allowed(&mut self, at: usize) {
        if let Some(last) = self
            .allowed
            .last_mut()
            .filter(|last| last.span.end == usize::MAX)
        {
            last.span.end = at;
        }
    }

    /// Adds a rule, reporting what is wrong with it.
    pub(super) fn add(&mut self, sheet: &mut Sheet<'_>, written: &Written<'_>) {
        self.seen += 1;
        self.end_allowed(written.head.start);
        let id = self.id(sheet, written);
        self.remark_on_care(sheet, written);
        fields::check_together(sheet, written);
        let today = self
            .options
            .today
            .map(|today| (today, &self.options.timezone));
        if let (Some(review), Some(today)) = (&written.review_by, today) {
            lint::check_review(sheet, review, today);
        }
        let checked = checked::check(sheet, written, &mut self.set.words, &mut self.regexes);
        lint::check_keywords(sheet, written, &checked, &self.set.words);
        let deeds = extra::read(sheet, written, &checked, &mut self.around());
        if let Some(deeds) = &deeds {
            let handoff = deeds
                .extra
                .as_ref()
                .and_then(|extra| extra.handoff.as_ref());
            lint::check_asked(sheet, written, &checked, (handoff, &self.set.settings));
        }
        let conditions = deeds
            .as_ref()
            .and_then(|deeds| Some(&deeds.extra.as_ref()?.conditions));
        if let (Some(conditions), Some(key), Some(today)) =
            (conditions, written.rare("between"), today)
        {
            lint::check_over(sheet, conditions, key.span.clone(), today);
        }
        let named = written.accounts.as_ref();
        let accounts = named.map(|names| self.accounts(sheet, names, written.head.clone()));
        if let Some(allow) = written.rare("allow") {
            self.allowed.push(Allowed {
                file: Arc::clone(&sheet.source.name),
                span: written.head.start..usize::MAX,
                codes: allow::read(sheet, allow.value),
            });
        }
        let is_good = checked.is_whole && written.is_understood;
        let (Some(id), Some(deeds), true, true) = (id, deeds, is_good, written.is_enabled) else {
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
        self.note_deeds(number, &id, &deeds, &checked);
        self.register(number, checked);
        for test in &written.tests {
            self.test(sheet, Some(number), test);
        }
        self.pending.note(number, deeds.pointed, deeds.used);
        self.set.rules.push(Rule {
            id,
            reply: deeds.reply,
            extra: deeds.extra,
            priority: written.priority,
            accounts: accounts.flatten(),
            file: narrow(self.set.files.len().saturating_sub(1)),
            line: place.line,
            all,
            none,
        });
    }

    /// What a rule may refer to.
    fn around(&mut self) -> Around<'_> {
        Around {
            options: self.options,
            files: self.files,
            tables: &mut self.tables,
            hours: Hours {
                calendars: &mut self.set.calendars,
                written: &mut self.written_hours,
                zone: &self.options.timezone,
            },
            regexes: &mut self.regexes,
        }
    }

    /// Notes what the set as a whole must know of a rule's deeds.
    fn note_deeds(&mut self, number: RuleNumber, id: &RuleId, deeds: &Deeds, checked: &Checked) {
        let extra = deeds.extra.as_deref();
        self.set.has_always |= extra.is_some_and(|extra| extra.is_always);
        self.set.wants_queue |= deeds.wants_queue;
        if extra.is_some_and(|extra| extra.form.is_some()) || !checked.like.is_empty() {
            self.set.named.insert(id.as_str().into(), number);
        }
    }

    /// Adds a test, beside a rule or for itself.
    pub(super) fn test(
        &mut self,
        sheet: &mut Sheet<'_>,
        rule: Option<RuleNumber>,
        test: &script::Written<'_>,
    ) {
        let account = test.account.as_ref();
        // Of tests beside rules only the spelling: whether the account is there is checked for all of them at the end.
        let is_simple = rule.is_some() && matches!(test.asks, Asks::Once(_));
        let known = self.options.accounts.as_deref().filter(|_| !is_simple);
        let named = account.and_then(|text| fields::account(sheet, text, known));
        let place = sheet.place(test.span.clone());
        match (&test.asks, rule) {
            (Asks::Once(draft), Some(rule)) => {
                let account = account.map(|text| text.text);
                let draft = inline_tests::Draft { account, ..*draft };
                self.set.tests.push(rule, &place, &draft);
                self.set.tests.push_more(test.at, test.tags.clone());
            }
            _ => self.pending.script(rule, named, place, test),
        }
    }

    fn id(&mut self, sheet: &mut Sheet<'_>, written: &Written<'_>) -> Option<RuleId> {
        let Some(id) = &written.id else {
            if !written.is_understood {
                return None;
            }
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
                let new = self.free_id(id.text);
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
                        .help(help)
                        .fix(new_id(sheet, id, &new));
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

    /// An id like this one that no rule above has. Ids are never given up, so the search goes on where it ended last.
    fn free_id(&mut self, id: &str) -> String {
        let least = self.free.entry(id.into()).or_insert(2);
        loop {
            let new = format!("{id}-{least}");
            if !self.ids.contains_key(new.as_str()) {
                return new;
            }
            *least += 1;
        }
    }

    /// Hints: rules without tests or owner work, but nobody will know when they go wrong.
    fn remark_on_care(&mut self, sheet: &mut Sheet<'_>, written: &Written<'_>) {
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
        if !written.has_owner && self.unowned.len() < PER_FILE {
            self.unowned.push(sheet.place(span));
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
        for (number, (_, span)) in (0..).zip(&checked.like) {
            note(Trigger::Like(number), span);
        }
        let mut others: Vec<(Numbered, String, Range<usize>)> = Vec::new();
        if let Some((_, first)) = checked.all.first() {
            let mut words: Vec<Word> = checked.all.iter().map(|(word, _)| *word).collect();
            words.sort_unstable();
            others.push((Numbered::All, format!("all {words:?}"), first.clone()));
        }
        let regexes = written.regex.iter().map(|text| {
            let named = format!("regex {}", text.text);
            (Numbered::Regex, named, text.span.clone())
        });
        others.extend(regexes);
        others.extend(checked.messages.iter().map(|(kind, span)| {
            let named = format!("message {kind}");
            (Numbered::Other, named, span.clone())
        }));
        for (name, span) in &checked.events {
            let keys = checked
                .patterns
                .iter()
                .map(|(_, key)| format!("event {name} {key}"));
            let keys: Vec<String> = keys.collect();
            let plain = checked.patterns.is_empty().then(|| format!("event {name}"));
            let named = keys.into_iter().chain(plain);
            others.extend(named.map(|key| (Numbered::Other, key, span.clone())));
        }
        for (family, key, span) in others {
            let next = narrow(self.triggers.len());
            let number = *self.triggers.entry(key).or_insert(next);
            let (start, end) = (narrow(span.start), narrow(span.end));
            self.spots.push(Spot {
                trigger: family.trigger(number),
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
        let wordings = checked.like.into_iter().map(|(text, _)| (number, text));
        self.wordings.extend(wordings);
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
    pub(super) fn finish(mut self, remarks: &mut Remarks) -> RuleSet {
        self.set.tables = self.tables.tables;
        self.set.wants_queue |= self.set.lines.want_queue();
        let priorities = self
            .wordings
            .iter()
            .filter_map(|(rule, _)| self.set.rule(*rule));
        let highest = priorities.map(|rule| rule.priority).max();
        self.set.like_priority = highest.unwrap_or(i32::MIN);
        self.set.like = LikeIndex::build(self.wordings.iter().map(|(rule, text)| (*rule, &**text)));
        drop(self.wordings);
        self.pending.finish(&mut self.set, &self.ids, remarks);
        lint::check_regex_count(&self.set, remarks);
        lint::check_expectations(&self.set, &self.ids, remarks);
        if let Some(accounts) = &self.options.accounts {
            lint::check_test_accounts(&self.set, accounts, remarks);
        }
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
        lint::check_shadows(&self.spots, &self.set, self.files, remarks);
        lint::check_overruled(&self.spots, &self.set, self.files, remarks);
        lint::check_twins(&self.spots, &self.set, self.files, remarks);
        lint::check_unused(&self.set, self.files, remarks);
        drop(self.spots);
        self.set.rules.shrink_to_fit();
        self.set.groups.shrink_to_fit();
        self.set.tests.shrink();
        media_use::list(&mut self.set);
        self.set
    }
}

/// A fix that gives a rule another id.
fn new_id(sheet: &Sheet<'_>, id: &Text<'_>, new: &str) -> Option<Fix> {
    let span = sheet.inside(id, 0..id.text.len());
    mend::replace(sheet.written(), span, (id.text, new))
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

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn widen(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
