//! Looks at rules with more than one reply: by chance, in turn, all at once.

use std::collections::BTreeSet;

use super::{Stand, heard, new_name, pushed, pushes};

const RULES: &str = r#"
[[rule]]
id      = "joke"
any     = ["笑话"]
pick    = "random"
replies = [{ text = "甲" }, { text = "乙" }, { text = "丙" }]
[[rule]]
id      = "turn"
any     = ["推荐"]
pick    = "rotate"
replies = [{ text = "一" }, { text = "二" }, { text = "三" }]
[[rule]]
id      = "way"
any     = ["怎么来"]
pick    = "all"
replies = [{ text = "坐地铁" }, { image = "media_id:MAP" }, { text = "2 号口" }, { text = "走一百米" }]
[[rule]]
id      = "walk"
any     = ["走路"]
pick    = "all"
replies = [{ text = "一" }, { text = "二" }, { text = "三" }]
"#;

#[test]
fn one_is_drawn_by_chance_and_a_repeat_draws_the_same() {
    let stand = Stand::open(RULES);
    let mut drawn = BTreeSet::new();
    for _ in 0..24 {
        let li = stand.stranger();
        let delivered = li.says("笑话").wait();
        let said = delivered.text().unwrap().to_owned();
        assert_eq!(li.repeats(&delivered).wait().text(), Some(&*said));
        drawn.insert(said);
    }
    let all: BTreeSet<_> = ["甲", "乙", "丙"].map(str::to_owned).into();
    assert!(drawn.len() > 1 && drawn.is_subset(&all), "{drawn:?}");
}

#[test]
fn each_follower_hears_them_in_turn_also_after_a_crash() {
    let mut stand = Stand::open(RULES);
    let (li, zhao) = (stand.stranger(), stand.stranger());
    assert_eq!(heard(&li, "推荐"), "一");
    assert_eq!(heard(&li, "还有推荐吗"), "二");
    assert_eq!(heard(&zhao, "推荐"), "一");
    // What comes next is no promise: it may be lost with the last moments, not mixed up.
    let (stopped, status) = stand.world.take().unwrap().stop();
    assert!(status.success());
    stand.world = Some(stopped.start());
    stand.point_callbacks();
    assert_eq!(heard(&li, "别的推荐呢"), "三");
    assert_eq!(heard(&li, "再来个推荐"), "一");
}

#[test]
fn the_first_of_all_is_the_answer_and_the_others_are_pushed_as_far_as_the_bot_may() {
    let stand = Stand::open(RULES);
    let li = stand.stranger();
    // Of five pushes people keep three, so the last two texts are joined.
    assert_eq!(heard(&li, "怎么来"), "坐地铁");
    let [map, rest] = &pushes(&li, 2)[..] else {
        panic!("{:?}", pushed(&li))
    };
    assert!(map.starts_with("[image]") && map.contains("MAP"), "{map}");
    assert_eq!(rest, "2 号口\n\n走一百米");
    assert_eq!(li.pushes_left(), 3);
    let history = stand.history(&li);
    let rules: Vec<_> = history[1..].iter().map(|line| &line["rule"]).collect();
    assert_eq!(rules, ["way"; 3]);
}

#[test]
fn where_nothing_can_be_pushed_texts_are_joined_and_the_rest_is_left_out() {
    let stand = Stand::open(RULES);
    let li = stand.cafe.follower(&new_name());
    assert_eq!(heard(&li, "走路"), "一\n\n二\n\n三");
    assert_eq!(heard(&li, "怎么来"), "坐地铁");
    assert_eq!(stand.cafe.pushed(), []);
}
