//! Finds thousands of distinct messages: made up, or real ones from a directory that stays outside the project.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// Names a directory with `noise_*.tsv` and `faq_*.tsv`: TAB-separated, a header, the message in the column `text`.
const CORPORA: &str = "WXREPLY_CORPORA";
/// How many real messages are taken, and how many are made up at least.
const REAL: usize = 5000;
const MADE_UP: usize = 1000;
/// How many are made up for each time that the server is killed.
const PER_KILL: usize = 250;

/// What the sample rules answer, with a place for something that makes it distinct.
const COVERED: &[&str] = &[
    "请问{}号店在哪里呀",
    "现在等位要多久,我们{}点到",
    "{}路那边可以外卖配送吗",
    "店里的wifi{}",
    "{}人能不能预订包间",
    "开车来,{}点还有车位吗",
    "我这桌{}想退款",
    "{}楼不吃辣的菜有吗",
];
/// Common characters; words made of them mean nothing, and no rule covers them.
const SYLLABLES: &str = "的一是了我有这上们来到时大为子中你说国年着那和要出也得里后自以会家可下而过天去能对小多然心学么之都好看起发当没成只如事把还用第样道想作种美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感";

/// Chance that a seed repeats (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(end - 1, self.below(end));
        }
    }
}

/// Distinct messages, in an order that is always the same; enough for so many kills.
pub fn distinct(kills: usize) -> Vec<String> {
    let mut dice = Dice(2026);
    let Some(corpora) = std::env::var_os(CORPORA) else {
        return made_up(&mut dice, MADE_UP.max(kills * PER_KILL));
    };
    let mut real = read(Path::new(&corpora));
    dice.shuffle(&mut real);
    assert!(real.len() >= REAL, "{} distinct messages", real.len());
    real.truncate(REAL);
    real
}

fn made_up(dice: &mut Dice, count: usize) -> Vec<String> {
    let syllables: Vec<char> = SYLLABLES.chars().collect();
    let mut messages = Vec::new();
    for n in 0..count {
        messages.push(if dice.below(3) == 0 {
            COVERED[dice.below(COVERED.len())].replace("{}", &n.to_string())
        } else {
            let length = 2 + dice.below(24);
            let words = (0..length).map(|_| syllables[dice.below(syllables.len())]);
            format!("{}{n}", words.collect::<String>())
        });
    }
    messages
}

fn read(directory: &Path) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or("");
            name.ends_with(".tsv") && (name.starts_with("noise_") || name.starts_with("faq_"))
        })
        .collect();
    files.sort();
    let mut seen = HashSet::new();
    let mut messages = Vec::new();
    for file in files {
        let table = fs::read_to_string(file).unwrap();
        let mut rows = table.lines();
        let header = rows.next().unwrap();
        let column = header.split('\t').position(|name| name == "text").unwrap();
        for row in rows {
            let text = row.split('\t').nth(column).unwrap_or("");
            if !text.is_empty() && seen.insert(text.to_owned()) {
                messages.push(text.to_owned());
            }
        }
    }
    messages
}
