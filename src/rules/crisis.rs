//! Finds words of danger in a message, in one pass, before any rule is asked.
//! Owns: which occurrence counts, which entry speaks. Uses: words, normalize, line. Never: what follows from it.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::explain::Matched;
use super::handoff;
use super::index::{Lists, RuleSet};
use super::line::Line;
use super::normalize::{normalize, normalize_with_origins};
use super::words::{Hits, Word, Words};
use crate::model::entry::Priority;

/// One `[[crisis]]` of `_crisis.toml`.
#[derive(Clone, Debug)]
pub struct Crisis {
    /// How urgent it is.
    pub tier: Priority,
    /// What people call it: 「食品安全」.
    pub name: Option<Arc<str>>,
    /// What the follower reads; `None`: what everybody reads whose message goes to a person.
    pub reply: Option<Line>,
}

/// Words of danger that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// How urgent it is.
    pub tier: Priority,
    /// What people call it.
    pub name: Option<Arc<str>>,
    /// The words, as typed and where they stand.
    pub matched: Vec<Matched>,
    entry: u32,
}

impl Alarm {
    /// How urgent it is, as files and the API write it.
    pub fn tier_word(&self) -> &'static str {
        handoff::word(self.tier)
    }

    /// What it is about, for people: 「食品安全:异物」.
    pub fn shown(&self) -> String {
        let mut words: Vec<&str> = Vec::new();
        for matched in &self.matched {
            if !words.contains(&matched.text.as_str()) {
                words.push(&matched.text);
            }
        }
        let words = words.join("、");
        match &self.name {
            Some(name) => format!("{name}:{words}"),
            None => words,
        }
    }
}

/// What a word means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// Danger, as the entry of this number says.
    Danger(u32),
    /// No danger for this entry inside of it.
    Except(u32),
    /// An insult.
    Insult,
}

/// All words of `_crisis.toml`, findable in one pass.
pub(super) struct CrisisWords {
    entries: Vec<Crisis>,
    words: Words,
    /// What each word means, as it was added.
    pairs: Vec<(Word, Meaning)>,
    meanings: Lists<Meaning>,
}

impl CrisisWords {
    /// No words.
    pub(super) fn none() -> Self {
        Self {
            entries: Vec::new(),
            words: Words::new(),
            pairs: Vec::new(),
            meanings: Lists::new(Vec::new(), 0),
        }
    }

    /// Adds an entry. Words and excepted phrases are in normal form and not empty.
    pub(super) fn add(&mut self, crisis: Crisis, words: &[String], excepts: &[String]) {
        let entry = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(crisis);
        for word in words {
            let word = self.words.intern(word);
            self.pairs.push((word, Meaning::Danger(entry)));
        }
        for phrase in excepts {
            let phrase = self.words.intern(phrase);
            self.pairs.push((phrase, Meaning::Except(entry)));
        }
    }

    /// Adds an insult, in normal form and not empty.
    pub(super) fn add_insult(&mut self, word: &str) {
        let word = self.words.intern(word);
        self.pairs.push((word, Meaning::Insult));
    }

    /// Makes what was added findable.
    pub(super) fn build(&mut self) {
        self.meanings = Lists::new(self.pairs.clone(), self.words.len());
        self.words.build(|_| true);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.len() == 0
    }

    /// The entry that a normalised text is about, with the places of its words: of several the most urgent, of equals the
    /// first in the file. A word inside an excepted phrase does not count.
    fn scan(&self, text: &str) -> Option<(u32, Places)> {
        let hits = self.words.inside(text);
        let mut dangers: SmallVec<[(u32, Range<usize>); 4]> = SmallVec::new();
        let mut excepts: SmallVec<[(u32, Range<usize>); 4]> = SmallVec::new();
        for (meaning, place) in self.meant(&hits) {
            match meaning {
                Meaning::Danger(entry) => dangers.push((entry, place)),
                Meaning::Except(entry) => excepts.push((entry, place)),
                Meaning::Insult => {}
            }
        }
        dangers.retain(|(entry, place)| {
            let is_around = |(of, phrase): &(u32, Range<usize>)| {
                of == entry && phrase.start <= place.start && place.end <= phrase.end
            };
            !excepts.iter().any(is_around)
        });
        let tier = |entry: u32| self.entry(entry).map(|crisis| crisis.tier);
        let best = dangers
            .iter()
            .map(|(entry, _)| *entry)
            .min_by_key(|entry| (tier(*entry), *entry))?;
        let of_best = dangers.into_iter().filter(|(entry, _)| *entry == best);
        let mut places: Places = of_best.map(|(_, place)| place).collect();
        places.sort_by_key(|place| (place.start, Reverse(place.end)));
        // A word inside another of the same entry says nothing new.
        let mut end = 0;
        places.retain(|place| {
            let is_new = place.end > end;
            end = end.max(place.end);
            is_new
        });
        Some((best, places))
    }

    /// The word of danger because of which a text, or every text with this word in it, is never left to the rules.
    pub(super) fn takes<'t>(&self, text: &'t str, is_whole: bool) -> Option<&'t str> {
        let (entry, places) = self.scan(text)?;
        // A longer phrase may except the word.
        let is_excepted = |(phrase, meaning): &(Word, Meaning)| {
            *meaning == Meaning::Except(entry) && self.words.text(*phrase).contains(text)
        };
        if !is_whole && self.pairs.iter().any(is_excepted) {
            return None;
        }
        text.get(places.first()?.clone())
    }

    fn has_insult(&self, text: &str) -> bool {
        let hits = self.words.inside(text);
        self.meant(&hits)
            .any(|(meaning, _)| meaning == Meaning::Insult)
    }

    fn meant<'h>(&'h self, hits: &'h Hits) -> impl Iterator<Item = (Meaning, Range<usize>)> + 'h {
        let widen = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        hits.iter().flat_map(move |hit| {
            let place = widen(hit.start)..widen(hit.end);
            let meanings = self.meanings.of(hit.word).iter();
            meanings.map(move |meaning| (*meaning, place.clone()))
        })
    }

    fn entry(&self, entry: u32) -> Option<&Crisis> {
        self.entries.get(usize::try_from(entry).ok()?)
    }
}

/// Where words stand in a normalised text.
type Places = SmallVec<[Range<usize>; 4]>;

impl RuleSet {
    /// The words of danger in what a follower wrote. One pass, however many words there are.
    pub fn alarm(&self, typed: &str) -> Option<Alarm> {
        if self.crisis.is_empty() {
            return None;
        }
        let (entry, places) = self.crisis.scan(&normalize(typed))?;
        let crisis = self.crisis.entry(entry)?;
        let normal = normalize_with_origins(typed);
        let matched = places
            .into_iter()
            .map(|place| Matched::new(typed, normal.origin(place)));
        Some(Alarm {
            tier: crisis.tier,
            name: crisis.name.clone(),
            matched: matched.collect(),
            entry,
        })
    }

    /// What a follower reads for this alarm of this set; `None`: what everybody reads who waits for a person.
    pub fn alarm_reply(&self, alarm: &Alarm) -> Option<&Line> {
        self.crisis.entry(alarm.entry)?.reply.as_ref()
    }

    /// Whether a follower insults.
    pub fn has_insult(&self, typed: &str) -> bool {
        !self.crisis.is_empty() && self.crisis.has_insult(&normalize(typed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entry = (Priority, Vec<String>, Vec<String>);

    fn compiled(entries: &[Entry]) -> CrisisWords {
        let mut all = CrisisWords::none();
        for (tier, words, excepts) in entries {
            let crisis = Crisis {
                tier: *tier,
                name: None,
                reply: None,
            };
            all.add(crisis, words, excepts);
        }
        all.build();
        all
    }

    fn all_places(text: &str, word: &str) -> Vec<Range<usize>> {
        let starts = text.char_indices().map(|(at, _)| at);
        starts
            .filter(|at| text.get(*at..).unwrap().starts_with(word))
            .map(|at| at..at + word.len())
            .collect()
    }

    /// What the one pass must find, looked for word by word.
    fn naive(entries: &[Entry], text: &str) -> Option<(usize, Vec<Range<usize>>)> {
        let counted = |(_, words, excepts): &Entry| -> Vec<Range<usize>> {
            let around: Vec<_> = excepts.iter().flat_map(|e| all_places(text, e)).collect();
            let places = words.iter().flat_map(|word| all_places(text, word));
            let is_free = |place: &Range<usize>| {
                !around
                    .iter()
                    .any(|a| a.start <= place.start && place.end <= a.end)
            };
            places.filter(is_free).collect()
        };
        let found = entries.iter().enumerate().map(|(n, e)| (n, e, counted(e)));
        let (entry, _, places) = found
            .filter(|(_, _, places)| !places.is_empty())
            .min_by_key(|(n, e, _)| (e.0, *n))?;
        Some((entry, places))
    }

    fn any_text() -> impl Strategy<Value = String> {
        // Few letters, so that words overlap, repeat and stand inside each other.
        "[甲乙ab]{0,12}"
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let tier = prop::sample::select(vec![
            Priority::Urgent,
            Priority::High,
            Priority::Normal,
            Priority::Low,
        ]);
        let words = prop::collection::vec("[甲乙ab]{1,3}", 1..4);
        let excepts = prop::collection::vec("[甲乙ab]{2,5}", 0..3);
        (tier, words, excepts)
    }

    proptest! {
        #[test]
        fn one_pass_finds_exactly_what_looking_for_each_word_finds(
            entries in prop::collection::vec(any_entry(), 0..4),
            text in any_text(),
        ) {
            let found = compiled(&entries).scan(&text);
            let expected = naive(&entries, &text);
            prop_assert_eq!(
                found.as_ref().map(|(entry, _)| usize::try_from(*entry).unwrap()),
                expected.as_ref().map(|(entry, _)| *entry)
            );
            if let (Some((_, found)), Some((_, expected))) = (found, expected) {
                for place in &found {
                    prop_assert!(expected.contains(place), "{place:?} is no word that counts");
                }
                let is_covered = |place: &Range<usize>| {
                    found.iter().any(|f| f.start <= place.start && place.end <= f.end)
                };
                prop_assert!(expected.iter().all(is_covered), "{found:?} of {expected:?}");
            }
        }

        #[test]
        fn insults_are_found_wherever_they_stand(
            words in prop::collection::vec("[甲乙ab]{1,3}", 0..4),
            text in any_text(),
        ) {
            let mut all = CrisisWords::none();
            words.iter().for_each(|word| all.add_insult(word));
            all.build();
            prop_assert_eq!(all.has_insult(&text), words.iter().any(|w| text.contains(w.as_str())));
            prop_assert_eq!(all.scan(&text), None);
        }
    }

    #[test]
    fn a_word_counts_unless_all_of_it_is_in_an_excepted_phrase() {
        let entries = [(
            Priority::High,
            vec!["投诉".to_owned()],
            vec!["投诉电话".to_owned()],
        )];
        let words = compiled(&entries);
        assert_eq!(words.scan("投诉电话是多少"), None);
        assert!(words.scan("我要投诉").is_some());
        let (_, places) = words.scan("投诉电话打不通,我要投诉").unwrap();
        assert_eq!(places.len(), 1, "the second one alone");
    }
}
