//! Makes up rules and the messages they answer, the same ones in every run.
//! Owns: which words a rule has and which reply a message must get. Uses: nothing. Never: XML, HTTP, the server's own matching.
//!
//! Every word ends in a character of [`LAST`], which stands nowhere else, and no two words share their last three
//! characters: a text contains exactly the words that were put into it, so the right answer is known without a matcher.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

static INNER: LazyLock<Vec<char>> = LazyLock::new(|| COMMON.chars().collect());
static LAST: LazyLock<Vec<char>> = LazyLock::new(|| THINGS.chars().collect());
const COMMON: &str = "的一是了我不人在他有这个上们来到时大地为子中你说生国年就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者高已亲其进此话常与活正感见明问力理点文几定本公特做外孩相西果走将月十实向声全信重三机工物气每并别真打太新比才便夫再书部水像眼等体却加电主界门利海受听表德少克代员许先口由死安写性马光白或住难望教命花结乐色更拉东神记处让母父应直字场平报友关放至张认接告入笑内英军候民岁往何度山觉路带万男边风解叫任金快原吃妈变通师立象数四失满战远格士音轻目条呢";
const THINGS: &str = "店卡票券单货码费证盒瓶杯碗盘刀灯床椅桌柜窗锁车船药茶酒饭菜汤粉油盐糖肉鱼蛋奶瓜草砖瓦布衣裤鞋帽袜伞镜梳刷笔纸壶锅勺筷秤钟琴棋包球鼓旗帘毯枕被褥垫";
const BEFORE: &[&str] = &[
    "你好,请问",
    "我想问一下",
    "麻烦问下",
    "在吗,",
    "昨天看到",
    "老板,",
    "请教一下关于",
    "朋友说你们有",
];
const BETWEEN: &[&str] = &["和", "还有", "是不是带", "能不能换成", "跟"];
const AFTER: &[&str] = &[
    "怎么办理",
    "多少一份?",
    "还有没有",
    "可以改时间吗",
    "要提前几天说?",
    "我这里能用吗",
    "",
    "怎么走",
];

/// What a rule asks of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Any,
    All,
    AnyButNone,
}

/// A made-up rule set of a given size.
#[derive(Clone, Copy)]
pub(crate) struct Corpus {
    rules: usize,
}

impl Corpus {
    /// A set of so many rules: a fifth `exact`, two fifths `any`, a fifth `all`, a fifth `any` with `none`.
    pub(crate) fn new(rules: usize) -> Self {
        Self { rules }
    }

    fn kind(rule: usize) -> Kind {
        match rule % 5 {
            0 => Kind::Exact,
            1 | 3 => Kind::Any,
            2 => Kind::All,
            _ => Kind::AnyButNone,
        }
    }

    /// How many words a rule has. A small set has many wordings of each exact question, so that no follower asks the same
    /// thing three times in ten minutes, which would bring in a person.
    fn words(self, kind: Kind) -> usize {
        match kind {
            Kind::Exact if self.rules < 100 => WORDS_PER_RULE,
            Kind::Exact | Kind::All | Kind::AnyButNone => 2,
            Kind::Any => 3,
        }
    }

    /// Writes the set as rule files of 10,000 rules each.
    pub(crate) fn write(self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let rules: Vec<usize> = (0..self.rules).collect();
        for (file, rules) in rules.chunks(10_000).enumerate() {
            let mut text = String::new();
            for &rule in rules {
                self.rule(rule, &mut text);
            }
            fs::write(directory.join(format!("{file:02}-rules.toml")), text)?;
        }
        Ok(())
    }

    fn rule(self, rule: usize, out: &mut String) {
        let kind = Self::kind(rule);
        let words: Vec<String> = (0..self.words(kind))
            .map(|n| format!("\"{}\"", word(rule, n)))
            .collect();
        let words = words.join(", ");
        let keys = match kind {
            Kind::Exact => format!("exact = [{words}]"),
            Kind::Any => format!("any = [{words}]"),
            Kind::All => format!("all = [{words}]"),
            Kind::AnyButNone => format!(
                "any = [{words}]\nnone = [\"{}\"]",
                word(rule, WORDS_PER_RULE - 1)
            ),
        };
        let reply = reply(rule);
        write!(
            out,
            "[[rule]]\nid = \"r{rule}\"\n{keys}\nreply = \"{reply}\"\n\n"
        )
        .expect("a String takes everything");
    }

    /// The `n`-th question of a follower, with the reply it must get. Questions of one follower go through all the rules.
    pub(crate) fn question(self, follower: usize, n: usize) -> (String, String) {
        let rule = (follower * 7919 + n) % self.rules;
        let seed = scatter(follower * 1_000_003 + n);
        let kind = Self::kind(rule);
        let words = self.words(kind);
        let text = match kind {
            Kind::Exact => word(rule, n / self.rules % words),
            Kind::All => format!(
                "{}{}{}{}{}{}",
                pick(BEFORE, seed),
                numeral(n),
                word(rule, 0),
                pick(BETWEEN, seed >> 8),
                word(rule, 1),
                pick(AFTER, seed >> 16)
            ),
            Kind::Any | Kind::AnyButNone => {
                let which = usize::try_from(seed >> 24).unwrap_or(0) % words;
                format!(
                    "{}{}{}{}",
                    pick(BEFORE, seed),
                    numeral(n),
                    word(rule, which),
                    pick(AFTER, seed >> 16)
                )
            }
        };
        (text, reply(rule))
    }

    /// The `n`-th thing a follower says that no rule covers.
    pub(crate) fn unmatched(follower: usize, n: usize) -> String {
        let seed = scatter(follower * 1_000_003 + n);
        let mut text = (*pick(BEFORE, seed)).to_owned();
        let mut rest = seed;
        for _ in 0..8 {
            rest = scatter(usize::try_from(rest >> 1).unwrap_or(0));
            text.push(*pick(&INNER, rest));
        }
        text.push_str(&numeral(n));
        text
    }
}

/// Places kept for the words of one rule.
const WORDS_PER_RULE: usize = 16;

fn reply(rule: usize) -> String {
    format!("第{rule}条:每天十点到二十二点都有,到前台说编号{rule}就行,周末人多,早些来。")
}

/// The `n`-th word of a rule: three to five characters, the last three its own.
fn word(rule: usize, n: usize) -> String {
    let (inner, last) = (&*INNER, &*LAST);
    let space = inner.len() * inner.len() * last.len();
    // 1,000,003 is a prime above every prime factor of `space`: different numbers stay different.
    let number = (rule * WORDS_PER_RULE + n) * 1_000_003 % space;
    let seed = scatter(number);
    let mut word = String::new();
    for extra in 0..seed % 3 {
        word.push(*pick(inner, seed >> (8 * extra + 8)));
    }
    word.extend([
        inner[number % inner.len()],
        inner[number / inner.len() % inner.len()],
        last[number / inner.len() / inner.len()],
    ]);
    word
}

/// A number as a follower might write it, to make wordings differ.
fn numeral(n: usize) -> String {
    format!("{}号", n + 1)
}

fn pick<T>(from: &[T], seed: u64) -> &T {
    let at = usize::try_from(seed % 0xffff).unwrap_or(0) % from.len();
    &from[at]
}

/// SplitMix64: the next number looks nothing like this one.
pub(crate) fn scatter(number: usize) -> u64 {
    let mut z = u64::try_from(number)
        .unwrap_or(0)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether the promise at the top of this file holds.
pub(crate) fn is_sound() -> bool {
    let mut seen: Vec<char> = INNER.iter().chain(&*LAST).copied().collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    let fillers = BEFORE.iter().chain(BETWEEN).chain(AFTER).chain(&["号"]);
    seen.len() == count
        && fillers
            .copied()
            .flat_map(str::chars)
            .all(|c| !LAST.contains(&c))
}
