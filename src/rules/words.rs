//! Keeps every keyword once, finds a whole text among them and all of them inside a text.
//! Owns: the automaton, the table of whole words. Uses: daachorse. Never: knows what a keyword is for.

use ahash::RandomState;
use daachorse::{CharwiseDoubleArrayAhoCorasick, CharwiseDoubleArrayAhoCorasickBuilder};
use hashbrown::HashTable;
use smallvec::SmallVec;

/// A keyword's number.
pub(super) type Word = u32;

/// A keyword in a text: where it stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) word: Word,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// What was found in a text, by word and place.
pub(super) type Hits = SmallVec<[Hit; 16]>;

/// All keywords of a rule set, each once.
pub(super) struct Words {
    text: String,
    ends: Vec<u32>,
    table: HashTable<Word>,
    hasher: RandomState,
    automaton: Option<CharwiseDoubleArrayAhoCorasick<Word>>,
}

impl Words {
    /// No words yet.
    pub(super) fn new() -> Self {
        // Fixed seeds: the keys are the operator's own, and compiling must give the same set every time.
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        Self {
            text: String::new(),
            ends: Vec::new(),
            table: HashTable::new(),
            hasher,
            automaton: None,
        }
    }

    /// The number of this word; a new one if it was not known.
    pub(super) fn intern(&mut self, word: &str) -> Word {
        if let Some(known) = self.find(word) {
            return known;
        }
        let number =
            u32::try_from(self.ends.len()).expect("fewer words than bytes of all rule files");
        self.text.push_str(word);
        self.ends.push(
            u32::try_from(self.text.len())
                .expect("a file has at most 64 MiB, a set less than 4 GiB"),
        );
        let Self {
            text,
            ends,
            table,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(word);
        table.insert_unique(hash, number, |word| {
            hasher.hash_one(slice(text, ends, *word))
        });
        number
    }

    /// The word that is this whole text.
    pub(super) fn find(&self, text: &str) -> Option<Word> {
        let hash = self.hasher.hash_one(text);
        self.table
            .find(hash, |word| self.text(*word) == text)
            .copied()
    }

    /// A word.
    pub(super) fn text(&self, word: Word) -> &str {
        slice(&self.text, &self.ends, word)
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Makes the words for which `is_inner` holds findable inside texts.
    pub(super) fn build(&mut self, is_inner: impl Fn(Word) -> bool) {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let mut inner = (0..count)
            .filter(|word| is_inner(*word))
            .map(|word| (self.text(word), word))
            .peekable();
        self.automaton = inner.peek().is_some().then(|| {
            CharwiseDoubleArrayAhoCorasickBuilder::new()
                .build_with_values(inner)
                .expect("words are not empty, not repeated, and together below the automaton's 2^31 states")
        });
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Every occurrence of every inner word, also overlapping ones, in one pass; sorted by word and place.
    pub(super) fn inside(&self, text: &str) -> Hits {
        let mut hits = Hits::new();
        if let Some(automaton) = &self.automaton {
            for found in automaton.find_overlapping_iter(text) {
                let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
                hits.push(Hit {
                    word: found.value(),
                    start: place(found.start()),
                    end: place(found.end()),
                });
            }
        }
        hits.sort_unstable();
        hits
    }
}

fn slice<'t>(text: &'t str, ends: &[u32], word: Word) -> &'t str {
    let at = usize::try_from(word).unwrap_or(usize::MAX);
    let place = |at: Option<usize>| {
        at.and_then(|at| ends.get(at))
            .map_or(0, |end| usize::try_from(*end).unwrap_or(0))
    };
    text.get(place(at.checked_sub(1))..place(Some(at)))
        .unwrap_or_default()
}

/// The hits of one word.
pub(super) fn of_word(hits: &[Hit], word: Word) -> &[Hit] {
    let start = hits.partition_point(|hit| hit.word < word);
    let end = hits.partition_point(|hit| hit.word <= word);
    hits.get(start..end).unwrap_or_default()
}
