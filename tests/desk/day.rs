//! Lives through a day of a restaurant's desk, the holiday after it and the week after that, and reads what the server
//! says of it: 2,000 followers, three people, two accounts of which one may not push, three channels of alerts.

mod report;
mod restaurant;
mod rules;

use std::time::Duration;

use serde_json::{Value, json};

use self::report::Report;
use self::restaurant::{Restaurant, as_read, at, on_the_wall};
use super::{MINUTE, eventually, time};

const FOLLOWERS: usize = 2_000;
/// Minutes of the lunch peak.
const LUNCH: usize = 90;
/// A promise is said in whole steps.
const STEP: Duration = Duration::from_secs(300);
/// So many of lunch's questions are left for the afternoon.
const LEFT: usize = 4;

#[test]
fn a_day_at_the_desk_and_what_came_of_it() {
    let mut here = Restaurant::open();
    let mut report = Report::default();
    morning(&mut here, &mut report);
    lunch(&here, &mut report);
    somebody_leaves(&here, &mut report);
    held_answers(&here, &mut report);
    surge(&here, &mut report);
    closing(&here, &mut report);
    night(&mut here, &mut report);
    holiday(&mut here, &mut report);
    open_again(&mut here, &mut report);
    a_week_later(&mut here, &mut report);
    report.sums(&here);
    insta::assert_snapshot!(report.text(), @"");
}

/// People are added, what the accounts may do is measured, and three come to work.
fn morning(here: &mut Restaurant, report: &mut Report) {
    for (name, is_lead) in [("chen", true), ("lili", false), ("jun", false)] {
        here.hires(name, is_lead);
    }
    for account in ["flagship", "mini"] {
        let path = format!("/accounts/{account}/check");
        let checked = here.shop.api("POST", &path, None).json();
        report.line(format!("{account} may push: {}", may_push(&checked)));
    }
    here.until("06-03 08:55");
    for name in ["lili", "jun", "chen"] {
        here.comes(name);
    }
    let there = here.tries("chen", "GET", "/duty", None).json();
    let there = there["people"].as_array().unwrap().iter();
    let there: Vec<&str> = there.map(|who| who["name"].as_str().unwrap()).collect();
    report.line(format!("08:55 on duty: {}", there.join(", ")));
}

fn may_push(checked: &Value) -> String {
    checked.to_string()
}

/// Every follower asks something within ninety minutes; two people answer what rules do not.
fn lunch(here: &Restaurant, report: &mut Report) {
    let mut promised = Vec::new();
    for n in 0..LUNCH {
        let now = at("06-03 11:30").plus(MINUTE * u32::try_from(n).unwrap());
        here.until_time(now);
        promised.extend(everybody_asks(here, n));
        match n {
            40 => report.line(format!("12:10 人工 → {}", here.says("oAsks", "人工"))),
            42 => report.line(format!("12:12 不用了 → {}", here.says("oAsks", "不用了"))),
            _ => {}
        }
        let who = if n % 2 == 0 { "lili" } else { "jun" };
        let queue = here.queue(who);
        let Some(id) = queue.first() else { continue };
        match n {
            60 => report.line(format!("12:30 two claim one: {}", race(here, id))),
            74 => {
                let held = json!({ "text": "下次来给你留靠窗的位子。", "hold": true });
                let message = here.does(who, id, "replies", Some(&held))["message"].clone();
                report.line(format!("12:44 chosen to wait: {}", message["delivery"]));
            }
            _ if n % 3 == 0 => here.answers(who, id, &canned(here, who)),
            _ => here.answers(who, id, "可以的。"),
        }
    }
    report.line(format!(
        "11:30 to 13:00: {} promises, from 「{}」 to 「{}」, all by what the server owes",
        promised.len(),
        promised[0],
        promised[promised.len() - 1],
    ));
    report.line(format!("12:12 who wanted nobody: {}", here.stands("oAsks")));
    let held = here.list("state=held");
    let kept_for = held[0]["follower"].as_str().unwrap().to_owned();
    for n in 0.. {
        here.until_time(at("06-03 13:00").plus(MINUTE * n));
        let queue = here.queue("lili");
        if queue.len() <= LEFT {
            report.line(format!("{} still waiting: {}", clock(here), queue.len()));
            break;
        }
        here.answers("lili", &queue[0], "好的,没问题。");
    }
    here.until("06-03 13:20");
    let read = here.says(&kept_for, "停车方便吗");
    report.line(format!("13:20 back for what waited → {}", shown(&read)));
}

/// What the followers of one minute of lunch ask and read. Gives the promises among it.
fn everybody_asks(here: &Restaurant, minute: usize) -> Vec<String> {
    let guests = FOLLOWERS * minute / LUNCH..FOLLOWERS * (minute + 1) / LUNCH;
    let asked = guests.map(|n| {
        let openid = match n % 10 {
            9 => format!("oMini{n:04}"),
            _ => format!("oLunch{n:04}"),
        };
        let text = match n % 100 {
            3 => "我想订位",
            _ if is_uncovered(n) => rules::UNCOVERED[n / 20 % rules::UNCOVERED.len()],
            _ => rules::COVERED[n % 4],
        };
        let pending = here.follower(&openid).says(text).send();
        (n, openid, pending)
    });
    let mut promised = Vec::new();
    for (n, openid, pending) in asked.collect::<Vec<_>>() {
        let delivered = pending.wait();
        assert_eq!(delivered.fault, None, "{openid}");
        let read = delivered.text().expect("everybody reads something");
        if is_uncovered(n) {
            promised.push(promise(here, &openid, read));
        } else if n % 100 == 3 {
            assert_eq!(here.says(&openid, "6"), "哪天几点?");
            assert_eq!(here.says(&openid, "周六 18:30"), "6 位,周六 18:30,记下了。");
        }
    }
    promised
}

/// One in twenty asks something that no rule covers.
const fn is_uncovered(n: usize) -> bool {
    n % 20 == 7
}

/// The promise in what a follower read: it must be what the server itself counts with, in whole steps.
fn promise(here: &Restaurant, openid: &str, read: &str) -> String {
    let (_, rest) = read.split_once("请同事来回答,").unwrap();
    let promised = rest.trim_end_matches("。");
    let hour = promised
        .trim_start_matches("今天 ")
        .trim_end_matches(" 前回你");
    let promised_at = at(&format!("06-03 {hour:0>5}"));
    let due = time(
        here.shop.conversation(openid)["answer_due"]
            .as_str()
            .unwrap(),
    );
    assert!(promised_at >= due && promised_at < due.plus(STEP), "{read}");
    promised.to_owned()
}

/// Two people take the same conversation at the same moment.
fn race(here: &Restaurant, id: &str) -> String {
    let path = format!("/conversations/{id}/claim");
    let tried = std::thread::scope(|scope| {
        let both = ["lili", "jun"].map(|name| {
            let path = &path;
            scope.spawn(move || (name, here.tries(name, "POST", path, None)))
        });
        both.map(|thread| thread.join().unwrap())
    });
    let (won, lost): (Vec<_>, Vec<_>) = tried.iter().partition(|(_, answer)| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let (winner, lost) = (won[0].0, &lost[0].1);
    assert_eq!(lost.json()["owner"], winner);
    let owner = here
        .shop
        .api("GET", &format!("/conversations/{id}"), None)
        .json()["owner"]
        .clone();
    assert_eq!(owner, winner);
    here.answers(winner, id, "我来答:可以。");
    here.does(winner, id, "close", Some(&json!({ "outcome": "solved" })));
    format!("one has it, the other reads {} and who has it", lost.status)
}

fn canned(here: &Restaurant, who: &str) -> String {
    let canned = here.tries(who, "GET", "/canned", None).json();
    canned["canned"][0]["text"].as_str().unwrap().to_owned()
}

/// One of the two is disabled with open conversations; the other gets some of them.
fn somebody_leaves(here: &Restaurant, report: &mut Report) {
    here.until("06-03 14:25");
    let queue = here.queue("jun");
    for id in &queue[..3] {
        here.does("jun", id, "claim", None);
    }
    here.until("06-03 14:30");
    report.line(format!("14:30 jun has {}", here.list("owner=jun").len()));
    let disabled = here.shop.api("DELETE", "/users/jun", None);
    assert!(disabled.status < 300, "{}", disabled.text());
    eventually("what jun had is free", || here.list("owner=jun").is_empty());
    let me = here.tries("jun", "GET", "/me", None);
    report.line(format!(
        "14:30 jun is disabled; a call with jun's session: {}",
        me.status
    ));
    report.line(format!(
        "14:30 in the history: {}",
        last_note(here, &queue[0])
    ));
    for id in &queue[..2] {
        let to = json!({ "agent": "lili", "reason": "jun 走了" });
        here.does("chen", id, "assign", Some(&to));
    }
    here.rests();
    report.line(format!(
        "14:30 in the history: {}",
        last_note(here, &queue[0])
    ));
    report.line(format!(
        "14:30 lili has {}",
        here.list("owner=lili&state=assigned").len()
    ));
    here.until("06-03 14:35");
    for id in &queue[..3] {
        here.answers("lili", id, "可以的,直接过来就行。");
    }
    here.until("06-03 15:00");
    let late = here
        .shop
        .api("GET", &format!("/conversations/{}", queue[3]), None)
        .json();
    report.line(format!(
        "15:00 asked {}, owed until {}, broken: {}",
        as_read(&late["asked_at"]),
        as_read(&late["answer_due"]),
        late["breached"],
    ));
    here.answers("chen", &queue[3], "让你久等了,对不起。可以的。");
}

/// The newest line between colleagues.
fn last_note(here: &Restaurant, id: &str) -> String {
    let known = here
        .shop
        .api("GET", &format!("/conversations/{id}"), None)
        .json();
    let lines = known["messages"].as_array().unwrap().iter();
    let note = lines.rev().find(|line| line["direction"] == "internal");
    let note = note.unwrap();
    format!("{} {}", note["by"], note["text"])
}

/// The five of the account that may not push.
const MINI: [(&str, &str); 5] = [
    ("oMiniA", "有没有儿童套餐"),
    ("oMiniB", "能自己带饮料吗"),
    ("oMiniC", "可以带蛋糕进来吗"),
    ("oMiniD", "有没有全素的套餐"),
    ("oMiniE", "周末有乐队演出吗"),
];

/// Answers wait for the next visit; three come back for them, two do not.
fn held_answers(here: &Restaurant, report: &mut Report) {
    for (openid, text) in MINI {
        let read = here.says(openid, text);
        report.line(format!("15:00 {openid} {text} → {read}"));
    }
    here.until("06-03 15:10");
    for (openid, _) in MINI {
        here.answers("lili", &here.id(openid), "有的,到店说一声就行。");
    }
    report.line(format!(
        "15:10 waiting to be fetched: {}",
        here.list("account=mini&state=held").len()
    ));
    here.until("06-03 15:40");
    for (openid, _) in &MINI[..3] {
        let read = here.says(openid, "几点关门");
        report.line(format!("15:40 {openid} 几点关门 → {}", shown(&read)));
    }
    report.line(format!(
        "15:40 waiting to be fetched: {}",
        here.list("account=mini&state=held").len()
    ));
}

/// Six who say the same.
const LATE: [&str; 6] = ["oLate1", "oLate2", "oLate3", "oLate4", "oLate5", "oLate6"];

/// Many have the same trouble at once. Four of them are answered.
fn surge(here: &Restaurant, report: &mut Report) {
    for (n, openid) in LATE.iter().enumerate() {
        here.until(&format!("06-03 16:0{n}"));
        let read = here.says(openid, &format!("外卖等了{}分钟还没送到", 41 + n));
        if n == 0 {
            report.line(format!("16:00 {openid} → {read}"));
        }
        here.rests();
    }
    eventually("the surge is told", || {
        here.told("lead").iter().any(|one| one["kind"] == "surge")
    });
    here.until("06-03 16:30");
    for openid in &LATE[..4] {
        here.answers("lili", &here.id(openid), "骑手车坏了,刚换了人,十分钟内到。");
    }
}

/// The shop shuts for two days and three nights. What cannot wait so long is told; who goes gives back what is left.
fn closing(here: &Restaurant, report: &mut Report) {
    here.until("06-03 17:30");
    let read = here.says("oParty", "周六能包场吗");
    report.line(format!("17:30 周六能包场吗 → {read}"));
    here.until("06-03 18:00");
    eventually("the end of the windows is told", || {
        let told = here.told("duty");
        told.iter()
            .any(|one| one["reason"].as_str().unwrap().contains("下次上班前"))
    });
    here.until("06-03 18:05");
    here.answers(
        "lili",
        &here.id("oParty"),
        "可以,100 位以内,周六上午给你打电话。",
    );
    here.does("lili", &here.id(LATE[4]), "claim", None);
    here.until("06-03 18:10");
    here.goes("lili", false);
    here.goes("chen", false);
    eventually("who left has nothing", || {
        here.stands(LATE[4]) == "waiting -"
    });
    here.rests();
    report.line(format!(
        "18:10 in the history: {}",
        last_note(here, &here.id(LATE[4]))
    ));
}

/// A complaint with nobody on duty, the lead who takes it, a restart.
fn night(here: &mut Restaurant, report: &mut Report) {
    here.until("06-03 23:40");
    let read = here.says("oNight", "吃出异物,我要投诉");
    report.line(format!("23:40 吃出异物,我要投诉 → {read}"));
    here.until("06-04 00:01");
    here.does("chen", &here.id("oNight"), "claim", None);
    here.until("06-04 00:02");
    here.answers(
        "chen",
        &here.id("oNight"),
        "我是店长老陈。东西还在吗?我现在过来。",
    );
    report.line(format!("00:02 {}", here.stands("oNight")));
    here.until("06-04 00:40");
    let read = here.says("oAngry", "服务员态度太差,我要投诉");
    report.line(format!("00:40 服务员态度太差,我要投诉 → {read}"));
    here.until("06-04 00:58");
    // One alert of tier 2 may not wake the lead's channel.
    here.is_away(MINUTE * 30, 1);
    report.line(format!(
        "{} the server is back: oAngry {}",
        clock(here),
        here.stands("oAngry")
    ));
    here.until("06-04 01:35");
    here.does("chen", &here.id("oAngry"), "claim", None);
    here.answers(
        "chen",
        &here.id("oAngry"),
        "对不起。明天上午我给你打电话,留个号码。",
    );
    here.until_morning("06-04", 2);
}

/// Nobody works. Who asks is told when people are back; two windows shut.
fn holiday(here: &mut Restaurant, report: &mut Report) {
    here.until("06-04 14:00");
    let read = here.says("oHoliday", "粽子礼盒还有吗");
    report.line(format!("06-04 14:00 粽子礼盒还有吗 → {read}"));
    here.until_morning("06-05", 3);
    here.until_morning("06-06", 4);
    report.line(format!("06-06 08:00 missed: {}", missed(here).join(", ")));
}

/// Followers whose episode ended without an answer that reached them, and nobody has looked at it.
fn missed(here: &Restaurant) -> Vec<String> {
    let closed = here.list("state=closed");
    let missed = closed.iter().filter(|known| known["missed"] == true);
    let mut missed: Vec<String> = missed
        .map(|known| known["follower"].as_str().unwrap().to_owned())
        .collect();
    missed.sort_unstable();
    missed
}

/// The first day after the holiday.
fn open_again(here: &mut Restaurant, report: &mut Report) {
    here.until("06-06 08:58");
    here.comes("lili");
    here.until("06-06 09:05");
    here.answers("lili", &here.id("oHoliday"), "还有三盒,给你留着。");
    here.does("lili", &here.id(LATE[4]), "acknowledge", None);
    here.answers(
        "lili",
        &here.id(LATE[5]),
        "刚看到,对不起。这单的钱退给你了。",
    );
    report.line(format!(
        "06-06 09:05 missed: {:?}; {}: {}",
        missed(here),
        LATE[5],
        here.stands(LATE[5])
    ));
    here.until("06-06 10:00");
    let read = here.says(LATE[5], "营业时间");
    report.line(format!(
        "06-06 10:00 {} 营业时间 → {}",
        LATE[5],
        shown(&read)
    ));
    here.until("06-06 12:00");
    here.goes("lili", false);
}

/// What nobody fetched is given up.
fn a_week_later(here: &mut Restaurant, report: &mut Report) {
    for (day, count) in [("06-07", 5), ("06-08", 6), ("06-09", 7), ("06-10", 8)] {
        here.until_morning(day, count);
    }
    here.until("06-10 15:10");
    report.line(format!(
        "06-10 15:10 waiting to be fetched: {}",
        here.list("state=held").len()
    ));
    here.until("06-10 15:11");
    report.line(format!("06-10 15:11 missed: {}", missed(here).join(", ")));
    let me = here.tries("chen", "GET", "/me", None);
    report.line(format!(
        "06-10 15:11 a call with chen's session of last week: {}",
        me.status
    ));
    here.logs_in("chen");
    for (openid, _) in &MINI[3..] {
        here.does("chen", &here.id(openid), "acknowledge", None);
    }
    let read = here.says(MINI[3].0, "几点关门");
    report.line(format!(
        "06-10 15:11 {} 几点关门 → {}",
        MINI[3].0,
        shown(&read)
    ));
    report.line(format!("06-10 15:11 missed: {:?}", missed(here)));
}

/// A text on one line.
fn shown(text: &str) -> String {
    text.replace('\n', "⏎")
}

fn clock(here: &Restaurant) -> String {
    on_the_wall(here.now())
}
