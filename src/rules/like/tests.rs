//! Tries the index on made-up rules, and holds it against comparing all wordings.
//! Owns: what a score must keep. Uses: the index. Never: real customers' messages.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;

use super::symbols::{Gram, grams};
use super::*;

const PARKING: [&str; 3] = ["停车方便吗", "有没有停车场", "开车来停哪里"];
const REFUND: [&str; 3] = ["怎么退款", "钱什么时候退回来", "我不想要了能退吗"];

fn of(rules: &[&[&str]]) -> LikeIndex {
    LikeIndex::build(rules_of(rules))
}

fn rules_of<'a>(rules: &[&[&'a str]]) -> Vec<(u32, &'a str)> {
    let numbered = (0..).zip(rules);
    numbered
        .flat_map(|(rule, texts)| texts.iter().map(move |text| (rule, *text)))
        .collect()
}

fn best(index: &LikeIndex, text: &str) -> Option<Similar> {
    index.search(text, 3, &|_| true).first().copied()
}

/// Two characters of their own for each rule.
fn thousand() -> Vec<String> {
    let mut characters = '\u{4E00}'..='\u{9FFF}';
    let mut next = || characters.next().unwrap();
    (0..1000)
        .map(|_| format!("请问{}{}怎么办理", next(), next()))
        .collect()
}

#[test]
fn an_identical_wording_scores_one_with_one_rule_or_a_thousand() {
    let many = thousand();
    let mut wordings: Vec<(u32, &str)> = (1..).zip(many.iter().map(String::as_str)).collect();
    wordings.extend(PARKING.map(|text| (0, text)));
    let (alone, among) = (of(&[&PARKING]), LikeIndex::build(wordings));
    for text in PARKING {
        for index in [&alone, &among] {
            let found = index.search(text, 3, &|_| true);
            assert_eq!((found[0].rule, found[0].score), (0, 1.0), "{text}");
            assert_eq!(index.wording(found[0].wording), text);
            assert_eq!(certain(&found, MIN_SCORE), found.first());
        }
    }
    for (rule, text) in (1..).zip(&many) {
        let found = best(&among, text).unwrap();
        assert_eq!((found.rule, found.score), (rule, 1.0), "{text}");
    }
}

#[test]
fn what_means_nearly_the_same_is_found_and_what_is_foreign_is_not() {
    let index = of(&[&PARKING, &REFUND]);
    for (text, rule) in [
        ("你们那停车方便不", 0),
        ("附近有停车场没有", 0),
        ("如何退款", 1),
        ("不想要了,能退不", 1),
    ] {
        let found = index.search(text, 3, &|_| true);
        assert_eq!(
            certain(&found, MIN_SCORE).map(|best| best.rule),
            Some(rule),
            "{text} {found:?}"
        );
    }
    for text in [
        "今天天气怎么样",
        "你是谁",
        "车",
        "方便面多少钱一箱",
        "晚上一起吃饭吗",
    ] {
        let found = index.search(text, 3, &|_| true);
        assert_eq!(certain(&found, MIN_SCORE), None, "{text} {found:?}");
    }
}

#[test]
fn the_more_is_unknown_the_less_it_scores() {
    let index = of(&[&PARKING, &REFUND]);
    let scores: Vec<f32> = [
        "停车方便吗",
        "停车方便吗朋友",
        "停车方便吗朋友聚餐庆祝",
        "停车方便吗朋友聚餐庆祝领导莅临检查",
    ]
    .map(|text| best(&index, text).unwrap().score)
    .to_vec();
    assert!(scores.is_sorted_by(|one, other| one > other), "{scores:?}");
}

#[test]
fn a_wording_of_two_rules_is_certain_for_neither() {
    let index = of(&[&["怎么退款"], &["怎么退款", "退钱"], &PARKING]);
    let found = index.search("怎么退款", 3, &|_| true);
    let scores: Vec<(u32, f32)> = found
        .iter()
        .take(2)
        .map(|similar| (similar.rule, similar.score))
        .collect();
    assert_eq!(scores, [(0, 1.0), (1, 1.0)]);
    assert_eq!(certain(&found, MIN_SCORE), None);
    let found = index.search("怎么退款", 3, &|rule| rule != 0);
    assert_eq!(certain(&found, MIN_SCORE).map(|best| best.rule), Some(1));
}

#[test]
fn rules_that_are_not_eligible_neither_answer_nor_damp() {
    let index = of(&[&["怎么退款到卡里"], &["怎么退款到微信"], &PARKING]);
    let all = index.search("怎么退款到支付宝", 3, &|_| true);
    let one = index.search("怎么退款到支付宝", 3, &|rule| rule == 1);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].rule, 1);
    let damped = all.iter().find(|similar| similar.rule == 1).unwrap();
    assert!(one[0].score > damped.score, "{one:?} {all:?}");
    assert_eq!(index.search("怎么退款", 3, &|_| false).len(), 0);
    assert_eq!(index.search("怎么退款", 0, &|_| true).len(), 0);
}

#[test]
fn odd_texts_are_bounded() {
    let huge = "停".repeat(64 * 1024 / 3);
    let index = of(&[&PARKING, &[huge.as_str(), "……", ""]]);
    assert_eq!(
        best(&index, &huge).map(|found| (found.rule, found.score)),
        Some((1, 1.0))
    );
    let various: String = ('\u{4E00}'..='\u{9FFF}').collect();
    for text in ["", "……", "\u{0}", " ", "龘", "a1a1a1", various.as_str()] {
        for found in index.search(text, 3, &|_| true) {
            assert!(
                found.score.is_finite() && found.score < MIN_SCORE,
                "{text:.9} {found:?}"
            );
        }
    }
    assert!(LikeIndex::build([(7, "……"), (8, "")]).is_empty());
    assert_eq!(LikeIndex::default().search("停车", 3, &|_| true).len(), 0);
}

#[test]
fn what_is_shared_can_be_shown() {
    let index = of(&[&PARKING]);
    let text = "你们那儿开车停哪里呀";
    let found = best(&index, text).unwrap();
    assert_eq!(index.wording(found.wording), "开车来停哪里");
    let shared: Vec<&str> = index
        .shared(text, found.wording)
        .into_iter()
        .map(|range| text.get(range).unwrap())
        .collect();
    assert_eq!(shared, ["开车停哪里"]);
    assert_eq!(index.wording(99), "");
}

/// All wordings compared with the message one by one, by what the module's first lines say: the cosine is computed from
/// sets of grams, no list of postings and no bound is used.
fn nearest(index: &LikeIndex, rules: &[(u32, String)], text: &str) -> BTreeMap<u32, (f32, u32)> {
    let weight = |gram: &Gram| {
        let number = index.numbers.get(gram);
        let term = number.and_then(|number| index.terms.get(widen(*number)));
        term.map(|term| term.weight)
    };
    let length = |grams: &[Gram]| {
        let unknown = |gram: &Gram| symbols::size(*gram) * index.unknown * search::UNKNOWN;
        let weights = grams
            .iter()
            .map(|gram| weight(gram).unwrap_or_else(|| unknown(gram)));
        weights.map(|weight| weight * weight).sum::<f32>().sqrt()
    };
    let message = grams(text);
    let mut all: BTreeMap<u32, (f32, u32)> = BTreeMap::new();
    for (place, (rule, wording)) in (0..).zip(rules) {
        let wording = grams(wording);
        let shared: HashSet<&Gram> = message
            .iter()
            .filter(|gram| wording.contains(gram))
            .collect();
        if shared.is_empty() {
            continue;
        }
        let sum: f32 = message
            .iter()
            .filter(|gram| shared.contains(gram))
            .filter_map(weight)
            .map(|weight| weight * weight)
            .sum();
        let likeness = (sum / (length(&message) * length(&wording))).min(1.0);
        let best = all.entry(*rule).or_insert((likeness, place));
        if likeness > best.0 {
            *best = (likeness, place);
        }
    }
    all
}

fn a_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "停", "车", "退", "款", "怎么", "如何", "卡", "吗", "店", "wifi", "12", ",", "开",
    ]);
    prop::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

fn some_rules() -> impl Strategy<Value = Vec<(u32, String)>> {
    prop::collection::vec((0..12_u32, a_text()), 1..40)
}

fn build(rules: &[(u32, String)]) -> LikeIndex {
    LikeIndex::build(rules.iter().map(|(rule, text)| (*rule, text.as_str())))
}

proptest! {
    #[test]
    fn the_search_misses_none_that_comparing_all_finds(rules in some_rules(), text in a_text(), most in 1..5_usize) {
        let index = build(&rules);
        let all = index.search(&text, usize::MAX - 1, &|_| true);
        let near = nearest(&index, &rules, &text);
        let found: BTreeSet<u32> = all.iter().map(|similar| similar.rule).collect();
        prop_assert_eq!(&found, &near.keys().copied().collect());
        for similar in &all {
            let (likeness, _) = near[&similar.rule];
            prop_assert!((similar.likeness - likeness).abs() < 1e-3, "{:?} {}", similar, likeness);
            prop_assert!((0.0..=1.0).contains(&similar.score));
        }
        prop_assert!(all.windows(2).all(|pair| pair[0].score >= pair[1].score));
        // What bounds leave out is not among the best.
        let few = index.search(&text, most, &|_| true);
        prop_assert_eq!(&few[..], &all[..most.min(all.len())]);
    }

    #[test]
    fn any_wording_finds_its_rule(rules in some_rules(), pick in any::<prop::sample::Index>()) {
        let index = build(&rules);
        let (rule, text) = pick.get(&rules);
        if !grams(text).is_empty() {
            let found = index.search(text, 12, &|_| true);
            let own = found.iter().find(|similar| similar.rule == *rule);
            prop_assert_eq!(own.map(|similar| similar.score), Some(1.0));
        }
    }

    #[test]
    fn scores_do_not_depend_on_the_order_of_wordings(rules in some_rules(), text in a_text()) {
        let mut turned = rules.clone();
        turned.reverse();
        let scores = |rules: &[(u32, String)]| -> Vec<(u32, u32, String)> {
            let index = build(rules);
            let found = index.search(&text, 12, &|_| true);
            let mut scores: Vec<_> = found.iter().map(|similar| {
                (similar.rule, similar.score.to_bits(), similar.likeness.to_string())
            }).collect();
            scores.sort();
            scores
        };
        prop_assert_eq!(scores(&rules), scores(&turned));
    }

    #[test]
    fn any_text_is_answered_within_bounds(wordings in prop::collection::vec(any::<String>(), 0..6), text in any::<String>()) {
        let index = LikeIndex::build((0..).zip(wordings.iter().map(String::as_str)));
        for found in index.search(&text, 3, &|_| true) {
            prop_assert!((0.0..=1.0).contains(&found.score));
            for range in index.shared(&text, found.wording) {
                prop_assert!(text.get(range).is_some());
            }
        }
    }
}
