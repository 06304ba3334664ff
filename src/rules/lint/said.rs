//! Looks at how a text that followers read is written.
//! Owns: W204, W205, W212, W224, W225, W226, W230, and their lists of words. Uses: sheet, mend. Never: which rule says it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::super::diagnostic::{Code, Diagnostic, Fix, Words};
use super::super::handoff;
use super::super::moment::shown;
use super::super::sheet::{Sheet, Text};
use crate::model::desk::{DeskSettings, SlaClock};
use crate::model::entry::Priority;

/// Words that sell. One of them is harmless.
static SELLING: LazyLock<Regex> = LazyLock::new(|| {
    one_of(&[
        "限时",
        "抢购",
        "秒杀",
        "疯抢",
        "手慢无",
        "速来",
        "最后一天",
        "错过再等",
        "点击领取",
        "免费领",
        "立即抢",
        "立即购买",
        "全场",
        "大促",
        "惊爆",
        "特惠",
        "超值",
        "限量",
    ])
});
/// Sentences that say nothing. Only whole, unmistakable ones.
static STOCK: LazyLock<Regex> = LazyLock::new(|| {
    one_of(&[
        "您的意见非常宝贵",
        "您的意见对我们非常重要",
        "您的反馈对我们非常重要",
        "您的反馈是我们前进的动力",
        "您的满意是我们最大的",
        "您的支持是我们最大的动力",
        "竭诚为您服务",
        "给您带来的不便敬请谅解",
        "给您带来不便敬请谅解",
        "由此给您带来的不便",
        "感谢您的理解与支持",
        "感谢您的支持与理解",
        "感谢您对我们的支持",
        "感谢您的来信",
        "您的问题我们已经记录",
        "请您耐心等待",
        "祝您生活愉快",
        "祝您购物愉快",
        "亲爱的用户",
        "尊敬的用户",
        "如有任何问题请随时联系",
    ])
});
/// Words that promise an answer now.
static AT_ONCE: LazyLock<Regex> = LazyLock::new(|| {
    one_of(&[
        "马上",
        "立刻",
        "立即",
        "即刻",
        "秒回",
        "第一时间",
        "稍等片刻",
    ])
});
static SHOUTS: LazyLock<Regex> = LazyLock::new(|| one_of(&["!!", "！！", "!！", "！!"]));
/// So many characters fill the screen of a phone.
const SCREEN: usize = 400;
/// So many links in one reply are two questions for the follower.
const MANY_LINKS: usize = 2;
const PLAIN: &str = "http://";
/// Whoever answers within this time, day and night, may say "at once".
const SOON: Duration = Duration::from_secs(600);

/// Looks at a text that is sent.
pub(in crate::rules) fn check(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    let links = links(text.text);
    advert(sheet, text, &links);
    stock_phrase(sheet, text);
    length(sheet, text);
    for link in &links {
        around_link(sheet, text, link);
    }
    wide_braces(sheet, text);
}

const fn clock_words(clock: SlaClock) -> (&'static str, &'static str) {
    match clock {
        SlaClock::Always => ("", ""),
        SlaClock::Daytime => (",只算白天", " of the day"),
        SlaClock::Business => (",只算上班时间", " of business hours"),
    }
}

/// Looks at a text that is sent where people answer later, with this priority.
pub(in crate::rules) fn check_promise(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    settings: &DeskSettings,
    priority: Priority,
) {
    let sla = settings.sla_of(priority);
    if sla.first <= SOON && sla.clock == SlaClock::Always {
        return;
    }
    let Some((at, word)) = first_of(text.text, &AT_ONCE) else {
        return;
    };
    let span = sheet.inside(text, at..at + word.len());
    let (name, clock) = (handoff::word(priority), clock_words(sla.clock));
    let first = shown(sla.first);
    let words = Words::new(
        format!(
            "答应了「{word}」,可这时要等人来回答:[sla.{name}] 说好的是 {first} 内{}",
            clock.0
        ),
        format!(
            "promises \"{word}\", but a person has to answer first: within {first}{}, says [sla.{name}]",
            clock.1
        ),
    );
    let help = Words::new(
        "说大概多久、谁来回,或写 {promise},由时限和日历算出来",
        "say about how long and who, or write {promise}, which is reckoned from promise and calendar",
    );
    sheet.report_with_help(Code::AtOnce, span, words, help);
}

fn advert(sheet: &mut Sheet<'_>, text: &Text<'_>, links: &[Range<usize>]) {
    let selling = first_of(text.text, &SELLING);
    let shouts = first_of(text.text, &SHOUTS);
    let many = links.len() >= MANY_LINKS;
    let signs = usize::from(selling.is_some()) + usize::from(shouts.is_some()) + usize::from(many);
    if signs < 2 {
        return;
    }
    let mut zh = Vec::new();
    if many {
        zh.push(format!("{} 个网址", links.len()));
    }
    zh.extend(selling.map(|(_, word)| format!("「{word}」")));
    zh.extend(shouts.map(|(_, marks)| format!("「{marks}」")));
    let shown = zh.join("、");
    let place = selling.or(shouts);
    let span = place.map_or_else(
        || text.span.clone(),
        |(at, word)| sheet.inside(text, at..at + word.len()),
    );
    let words = Words::new(
        format!("读起来像广告:{shown}"),
        format!("reads like an ad: {shown}"),
    );
    let help = Words::new(
        "先回答问题,网址最多留一个",
        "answer the question first, one link at most",
    );
    sheet.report_with_help(Code::Advert, span, words, help);
}

fn stock_phrase(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    const FILLERS: [char; 3] = [',', '，', ' '];
    let plain = if text.text.contains(FILLERS) {
        Cow::Owned(text.text.replace(FILLERS, ""))
    } else {
        Cow::Borrowed(text.text)
    };
    let Some((_, phrase)) = first_of(&plain, &STOCK) else {
        return;
    };
    let span = match text.text.find(phrase) {
        Some(at) => sheet.inside(text, at..at + phrase.len()),
        None => text.span.clone(),
    };
    let words = Words::new(
        format!("套话「{phrase}」:看完不知道接下来怎样"),
        format!("stock phrase \"{phrase}\": the reader learns nothing"),
    );
    let help = Words::new(
        "换成接下来会怎样、什么时候",
        "say what happens next, and when",
    );
    sheet.report_with_help(Code::StockPhrase, span, words, help);
}

fn length(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    let length = text.text.chars().count();
    if length <= SCREEN {
        return;
    }
    let words = Words::new(
        format!("{length} 个字,手机一屏放不下"),
        format!("{length} characters do not fit on the screen of a phone"),
    );
    let help = Words::new(
        "先说最常问的,细节放进网页或图文",
        "say what most people ask, put the rest on a page",
    );
    let span = text.span.start..text.span.start + 1;
    sheet.report_with_help(Code::LongReply, span, words, help);
}

/// Web addresses in a text: up to a space or the first character that is not ASCII.
fn links(text: &str) -> Vec<Range<usize>> {
    let mut links = Vec::new();
    let mut from = 0;
    while let Some(at) = text
        .get(from..)
        .and_then(|rest| memchr::memmem::find(rest.as_bytes(), b"http"))
        .map(|at| at + from)
    {
        let rest = text.get(at..).unwrap_or_default();
        let length = rest
            .find(|c: char| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>'))
            .unwrap_or(rest.len());
        let is_link = rest.starts_with(PLAIN) || rest.starts_with("https://");
        if is_link {
            links.push(at..at + length);
        }
        from = at + length.max("http".len());
    }
    links
}

fn around_link(sheet: &mut Sheet<'_>, text: &Text<'_>, link: &Range<usize>) {
    let written = text.text.get(link.clone()).unwrap_or_default();
    let next = text
        .text
        .get(link.end..)
        .and_then(|rest| rest.chars().next());
    if let Some(next) = next.filter(|c| !c.is_ascii() && !c.is_whitespace()) {
        let address = written.trim_end_matches([',', '.', ';', ':', '!', '?', ')', ']', '}']);
        let span = sheet.inside(text, link.start..link.start + address.len());
        // A letter may belong to the link: then only a person can tell where it ends.
        let is_marked_off = !next.is_alphanumeric() || address.len() < written.len();
        let is_exact = is_marked_off && sheet.source.text.get(span.clone()) == Some(address);
        let title = Words::new("网址后面加空格", "put a space behind the link");
        let file = sheet.written().0;
        let fix = is_exact.then(|| Fix::replace(file, span.end..span.end, " ", title));
        let words = Words::new(
            "网址后面紧跟着文字,点开可能是错的网址",
            "text follows the link directly and may become part of it",
        );
        let help = Words::new(
            "网址后面加一个空格;网址里有汉字的,写成编码过的",
            "put a space behind the link; percent-encode letters that belong to it",
        );
        let diagnostic = Diagnostic::new(Code::LinkRunsOn, sheet.place(span), words);
        let diagnostic = diagnostic.help(help).fix(fix);
        sheet.remarks.push(diagnostic);
    }
    if written.starts_with(PLAIN) {
        let span = sheet.inside(text, link.start..link.start + PLAIN.len());
        let words = Words::new(
            "网址是 http://,没有加密",
            "the link is http://, not encrypted",
        );
        let help = Words::new(
            "网站支持的话换成 https://",
            "use https:// if the site has it",
        );
        sheet.report_with_help(Code::PlainHttp, span, words, help);
    }
}

fn wide_braces(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    let Some(open) = text.text.find('｛') else {
        return;
    };
    let inner = text.text.get(open + '｛'.len_utf8()..).unwrap_or_default();
    let name = inner.split('｝').next().unwrap_or_default();
    let is_name = !name.is_empty()
        && name.len() < inner.len()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    if is_name {
        let length = name.len() + 2 * '｛'.len_utf8();
        let span = sheet.inside(text, open..open + length);
        let words = Words::new(
            format!("全角大括号｛{name}｝不会换成内容,粉丝会原样看到"),
            format!("full-width braces are no placeholder; followers will read ｛{name}｝"),
        );
        let help = Words::new(
            format!("要用变量就写半角 {{{name}}}"),
            format!("write {{{name}}} for the placeholder"),
        );
        sheet.report_with_help(Code::WideBraces, span, words, help);
    }
}

/// One pass over a text for all the words: a set may have a hundred thousand texts.
fn one_of(words: &[&str]) -> Regex {
    let words: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
    Regex::new(&words.join("|")).expect("escaped words are a regex")
}

/// The first place where one of the words stands.
fn first_of<'t>(text: &'t str, words: &Regex) -> Option<(usize, &'t str)> {
    words
        .find(text)
        .map(|found| (found.start(), found.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_end_at_spaces_and_at_chinese() {
        let found = |text: &str| -> Vec<String> {
            links(text)
                .into_iter()
                .map(|link| text.get(link).unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            found("看 https://a.cn/x?y=1 ,或http://b.cn。http 不是"),
            ["https://a.cn/x?y=1", "http://b.cn"]
        );
    }
}
