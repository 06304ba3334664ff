//! Times building and searching.
//! Owns: the made-up rules for it. Uses: corpus, the index. Never: judges an answer.

use std::hint::black_box;
use std::time::{Duration, Instant};

use wxreply::rules::like::LikeIndex;

use crate::corpus::Corpus;

const WORDINGS: usize = 5;
const MESSAGES: usize = 2_000;

/// One row of the table.
pub(crate) fn measure(corpus: &Corpus, rules: usize) -> String {
    let texts: Vec<&str> = corpus.lines.iter().map(|line| line.text.as_str()).collect();
    let joined = wordings(&texts, rules * WORDINGS);
    let started = Instant::now();
    let index = LikeIndex::build(
        joined
            .iter()
            .enumerate()
            .map(|(n, text)| ((n / WORDINGS) as u32, text.as_str())),
    );
    let built = started.elapsed();
    let mut random = Random(7);
    let messages: Vec<&str> = (0..MESSAGES)
        .map(|n| {
            if n % 2 == 0 {
                texts[random.below(texts.len())]
            } else {
                &corpus.noise[random.below(corpus.noise.len())]
            }
        })
        .collect();
    for message in &messages {
        black_box(index.search(message, 3, &|_| true));
    }
    let mut times: Vec<Duration> = messages
        .iter()
        .map(|message| {
            let started = Instant::now();
            black_box(index.search(black_box(message), 3, &|_| true));
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    format!(
        "| {rules} | {:.0} | {:.1} | {:.1} |",
        built.as_secs_f64() * 1e3,
        micros(times[MESSAGES / 2]),
        micros(times[MESSAGES * 99 / 100])
    )
}

/// Different texts with the characters, lengths and rarities of real ones: the head of one and the tail of another.
fn wordings(texts: &[&str], count: usize) -> Vec<String> {
    let mut random = Random(1);
    let mut half = |is_head: bool| {
        let characters: Vec<char> = texts[random.below(texts.len())].chars().collect();
        let (head, tail) = characters.split_at(characters.len() / 2);
        if is_head {
            head.to_vec()
        } else {
            tail.to_vec()
        }
    };
    (0..count)
        .map(|_| half(true).into_iter().chain(half(false)).collect())
        .collect()
}

/// SplitMix64: the same rules in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((n ^ (n >> 31)) % count as u64) as usize
    }
}
