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
    insta::assert_snapshot!(report.text(), @r"
    flagship may push: yes (40003)
    mini may push: no (48001)
    08:55 on duty: chen, jun, lili
    12:10 人工 → 收到,我请同事来回答,今天 14:10 前回你。
    12:12 不用了 → 好,先不找人了。有事随时说。
    12:30 two claim one: one has it, the other reads 409 and who has it
    12:44 chosen to wait: held
    11:30 to 13:00: 100 promises, from 「今天 13:30 前回你」 to 「今天 15:00 前回你」, all by what the server owes
    12:12 who wanted nobody: bot -
    06-03 13:06 still waiting: 4
    13:20 back for what waited → 下次来给你留靠窗的位子。⏎————⏎楼下 B2,吃饭免两小时。
    14:30 jun has 3
    14:30 jun is disabled; a call with jun's session: 401
    14:30 in the history: system: jun 的账号停用了,会话回到队列
    14:30 in the history: agent: 转给 lili:jun 走了
    14:30 lili has 2
    15:00 asked 06-03 12:59, owed until 06-03 14:59, broken: true
    15:00 oMiniA 有没有儿童套餐 → 收到,「有没有儿童套餐」我请同事来回答,同事回复后,你随便发一个字就能看到。
    15:00 oMiniB 能自己带饮料吗 → 收到,「能自己带饮料吗」我请同事来回答,同事回复后,你随便发一个字就能看到。
    15:00 oMiniC 可以带蛋糕进来吗 → 收到,「可以带蛋糕进来吗」我请同事来回答,同事回复后,你随便发一个字就能看到。
    15:00 oMiniD 有没有全素的套餐 → 收到,「有没有全素的套餐」我请同事来回答,同事回复后,你随便发一个字就能看到。
    15:00 oMiniE 周末有乐队演出吗 → 收到,「周末有乐队演出吗」我请同事来回答,同事回复后,你随便发一个字就能看到。
    15:10 waiting to be fetched: 5
    15:40 oMiniA 几点关门 → 有的,到店说一声就行。⏎————⏎每天 11:00 到 21:30。
    15:40 oMiniB 几点关门 → 有的,到店说一声就行。⏎————⏎每天 11:00 到 21:30。
    15:40 oMiniC 几点关门 → 有的,到店说一声就行。⏎————⏎每天 11:00 到 21:30。
    15:40 waiting to be fetched: 2
    16:00 oLate1 → 收到,「外卖等了41分钟还没送到」我请同事来回答,今天 18:00 前回你。
    16:30 incidents: 1, of 5 followers, chen: 骑手车坏了,刚换了人,十分钟内到。
    17:30 周六能包场吗 → 收到,「周六能包场吗」我请同事来回答,周六 9:00 上班后你再发一句,我们马上接上。
    18:00 shut before we reopen: oLate5 oLate6 oParty
    18:10 in the history: system: lili 下班了,会话回到队列
    23:40 吃出异物,我要投诉 → 非常抱歉!人有没有不舒服?值班经理已经收到,今天 23:45 前回你。
    00:02 follower chen
    00:40 服务员态度太差,我要投诉 → 对不起,让你不痛快了。店长亲自处理,今天 8:00 上班后回你。
    06-04 01:28 the server is back: oAngry waiting -
    06-04 14:00 粽子礼盒还有吗 → 收到,「粽子礼盒还有吗」我记下了。店里现在没人,周六 9:00 上班后回你。
    06-06 08:00 missed: oLate5 oLate6
    06-06 09:05 missed: nobody; oLate6: held lili
    06-06 10:00 oLate6 营业时间 → 刚看到,对不起。这单的钱退给你了。⏎————⏎每天 11:00 到 21:30。
    06-10 15:10 waiting to be fetched: 2
    06-10 15:11 missed: oMiniD oMiniE
    06-10 15:11 a call with chen's session of last week: 401
    06-10 15:11 oMiniD 几点关门 → 每天 11:00 到 21:30。
    06-10 15:11 missed: nobody

    # counted
    inbound_total account=flagship,kind=text: 1854
    inbound_total account=mini,kind=text: 209
    replies_total account=flagship,by=ack,result=ok,route=passive: 109
    replies_total account=flagship,by=agent,result=ok,route=held: 2
    replies_total account=flagship,by=agent,result=sent,route=push: 107
    replies_total account=flagship,by=crisis,result=ok,route=passive: 2
    replies_total account=flagship,by=form,result=ok,route=passive: 40
    replies_total account=flagship,by=rule,result=ok,route=passive: 1702
    replies_total account=flagship,by=system,result=ok,route=passive: 1
    replies_total account=mini,by=ack,result=ok,route=passive: 5
    replies_total account=mini,by=agent,result=ok,route=held: 3
    replies_total account=mini,by=rule,result=ok,route=passive: 204
    rule_hits_total account=flagship,rule=book: 60
    rule_hits_total account=flagship,rule=hours: 781
    rule_hits_total account=flagship,rule=invoice: 500
    rule_hits_total account=flagship,rule=parking: 401
    rule_hits_total account=mini,rule=hours: 104
    rule_hits_total account=mini,rule=parking: 100
    unmatched_total account=flagship: 108
    unmatched_total account=mini: 5
    escalations_total account=flagship,priority=high,reason=crisis: 1
    escalations_total account=flagship,priority=normal,reason=asked: 1
    escalations_total account=flagship,priority=normal,reason=unmatched: 108
    escalations_total account=flagship,priority=urgent,reason=crisis: 1
    escalations_total account=mini,priority=normal,reason=unmatched: 5
    crisis_hits_total account=flagship,tier=high: 1
    crisis_hits_total account=flagship,tier=urgent: 1
    sla_breaches_total account=flagship,priority=normal,timer=first: 3
    sla_breaches_total account=flagship,priority=urgent,timer=first: 1
    windows_missed_total account=flagship: 2
    notifications_total channel=duty,result=ok: 152
    notifications_total channel=lead,result=ok: 17
    notifications_total channel=lead,result=stale: 1
    notifications_total channel=owner,result=ok: 10
    first_response_seconds_bucket account=flagship,priority=high,le=7200: 1
    first_response_seconds_bucket account=flagship,priority=normal,le=7200: 104
    first_response_seconds_bucket account=flagship,priority=urgent,le=7200: 1
    first_response_seconds_bucket account=mini,priority=normal,le=7200: 3
    first_response_seconds_count account=flagship,priority=high: 1
    first_response_seconds_count account=flagship,priority=normal: 106
    first_response_seconds_count account=flagship,priority=urgent: 1
    first_response_seconds_count account=mini,priority=normal: 3

    # conversations
    flagship bot - -: 1809
    flagship closed - missed: 1
    flagship closed - solved: 1
    mini bot - -: 203
    mini closed - missed: 2

    # on record
    conversation.acknowledge by chen: 2
    conversation.acknowledge by lili or jun: 1
    conversation.assign by chen: 2
    conversation.claim by chen: 2
    conversation.claim by lili or jun: 5
    conversation.close by lili or jun: 1
    conversation.release by system: 4
    conversation.reply by chen: 3
    conversation.reply by lili or jun: 111
    conversation.timer alert by system: 129
    conversation.timer breach by system: 2
    conversation.timer held_expiry by system: 2
    conversation.timer missed by system: 2
    conversation.timer review by system: 2
    conversation.timer window by system: 7
    duty.off by chen: 1
    duty.off by lili or jun: 2
    duty.on by chen: 1
    duty.on by lili or jun: 3
    incident.edit by chen: 1
    login.good by chen: 2
    login.good by lili or jun: 3
    user.add by token:env: 3
    user.disable by token:env: 1
    rows of the table: 292

    # alerts
    06-03 08:45 heartbeat low - 过去 24 小时 0 起紧急,现在 0 人在等, 0 min → duty lead owner
    06-03 14:59 breach normal flagship 过了答应的时间还没回:没有规则回答, 120 min → duty lead
    06-03 16:04 surge high flagship 15 分钟里 5 位粉丝说差不多的事, 0 min → duty lead
    06-03 18:00 window normal - 3 个会话的回复时限在下次上班前就到了, 116 min → duty
    06-03 23:40 escalated urgent flagship 食品安全:异物, 0 min → duty
    06-03 23:42 realert urgent flagship 食品安全:异物, 2 min → duty
    06-03 23:45 breach urgent flagship 过了答应的时间还没回:食品安全:异物, 5 min → duty lead
    06-03 23:45 realert urgent flagship 食品安全:异物, 5 min → duty lead
    06-03 23:50 realert urgent flagship 食品安全:异物, 10 min → duty lead
    06-03 23:55 realert urgent flagship 食品安全:异物, 15 min → duty lead owner
    06-04 00:00 realert urgent flagship 食品安全:异物, 20 min → duty lead owner
    06-04 00:40 escalated high flagship 投诉:投诉, 0 min → duty
    06-04 00:55 realert high flagship 投诉:投诉, 15 min → duty
    06-04 01:28 realert high flagship 投诉:投诉(迟到的提醒), 48 min → duty
    06-04 08:00 heartbeat low - 过去 24 小时 1 起紧急,现在 2 人在等, 0 min → duty lead owner
    06-05 08:00 heartbeat low - 过去 24 小时 0 起紧急,现在 3 人在等, 0 min → duty lead owner
    06-05 09:59 window normal flagship 微信的回复时限还剩不到 6 小时:没有规则回答, 2515 min → duty
    06-05 10:00 window normal flagship 微信的回复时限还剩不到 6 小时:没有规则回答, 2515 min → duty
    06-05 14:59 window normal flagship 微信的回复时限还剩不到 1 小时:没有规则回答, 2815 min → duty
    06-05 15:00 window normal flagship 微信的回复时限还剩不到 1 小时:没有规则回答, 2815 min → duty
    06-05 15:10 window normal mini 两天前写的留言还没被取走,请看看是不是还对, 2880 min → duty ×2
    06-05 15:44 window normal flagship 微信的回复时限还剩不到 15 分钟:没有规则回答, 2860 min → duty
    06-05 15:45 window normal flagship 微信的回复时限还剩不到 15 分钟:没有规则回答, 2860 min → duty
    06-05 15:59 window normal flagship 48 小时内没有人回,已经错过:没有规则回答, 2875 min → duty lead
    06-05 16:00 window normal flagship 48 小时内没有人回,已经错过:没有规则回答, 2875 min → duty lead
    06-06 07:55 window normal flagship 微信的回复时限还剩不到 6 小时:没有规则回答, 2515 min → duty
    06-06 08:00 heartbeat low - 过去 24 小时 0 起紧急,现在 1 人在等, 0 min → duty lead owner
    06-07 08:00 heartbeat low - 过去 24 小时 0 起紧急,现在 0 人在等, 0 min → duty lead owner
    06-08 08:00 heartbeat low - 过去 24 小时 0 起紧急,现在 0 人在等, 0 min → duty lead owner
    06-09 08:00 heartbeat low - 过去 24 小时 0 起紧急,现在 0 人在等, 0 min → duty lead owner
    06-10 08:00 heartbeat low - 过去 24 小时 0 起紧急,现在 0 人在等, 0 min → duty lead owner
    duty escalated normal flagship 没有规则回答: 114
    duty escalated normal flagship 要找人: 1
    duty escalated normal mini 没有规则回答: 5
    given up: 0

    # phones
    oAsks
      06-03 12:10 我:人工
      06-03 12:10 答:收到,我请同事来回答,今天 14:10 前回你。
      06-03 12:12 我:不用了
      06-03 12:12 答:好,先不找人了。有事随时说。
    oNight
      06-03 23:40 我:吃出异物,我要投诉
      06-03 23:40 答:非常抱歉!人有没有不舒服?值班经理已经收到,今天 23:45 前回你。
      06-04 00:02 推:我是店长老陈。东西还在吗?我现在过来。
    oAngry
      06-04 00:40 我:服务员态度太差,我要投诉
      06-04 00:40 答:对不起,让你不痛快了。店长亲自处理,今天 8:00 上班后回你。
      06-04 01:35 推:对不起。明天上午我给你打电话,留个号码。
    oHoliday
      06-04 14:00 我:粽子礼盒还有吗
      06-04 14:00 答:收到,「粽子礼盒还有吗」我记下了。店里现在没人,周六 9:00 上班后回你。
      06-06 09:05 推:还有三盒,给你留着。
    oLate6
      06-03 16:05 我:外卖等了46分钟还没送到
      06-03 16:05 答:收到,「外卖等了46分钟还没送到」我请同事来回答,周六 9:00 上班后你再发一句,我们马上接上。
      06-06 10:00 我:营业时间
      06-06 10:00 答:刚看到,对不起。这单的钱退给你了。⏎————⏎每天 11:00 到 21:30。
    oMiniA
      06-03 15:00 我:有没有儿童套餐
      06-03 15:00 答:收到,「有没有儿童套餐」我请同事来回答,同事回复后,你随便发一个字就能看到。
      06-03 15:40 我:几点关门
      06-03 15:40 答:有的,到店说一声就行。⏎————⏎每天 11:00 到 21:30。
    oMiniD
      06-03 15:00 我:有没有全素的套餐
      06-03 15:00 答:收到,「有没有全素的套餐」我请同事来回答,同事回复后,你随便发一个字就能看到。
      06-10 15:11 我:几点关门
      06-10 15:11 答:每天 11:00 到 21:30。
    ");
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
    let push = &checked["account"]["capabilities"]["push"];
    format!("{} ({})", word(push, "state"), word(push, "evidence"))
}

fn word(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or("-").to_owned()
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
                report.line(format!(
                    "12:44 chosen to wait: {}",
                    word(&message, "delivery")
                ));
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
    here.rests();
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
    here.rests();
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
    format!("{}: {}", word(note, "by"), word(note, "text"))
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
        if n == 4 {
            eventually("the surge is told", || {
                here.told("lead").iter().any(|one| one["kind"] == "surge")
            });
        }
    }
    here.until("06-03 16:10");
    let incidents = || here.tries("lili", "GET", "/incidents", None).json()["incidents"].clone();
    let id = word(&incidents()[0], "id");
    let edit = json!({ "answer": "骑手车坏了,刚换了人,十分钟内到。" });
    let edited = here.tries("chen", "PATCH", &format!("/incidents/{id}"), Some(&edit));
    assert_eq!(edited.status, 200, "{}", edited.text());
    here.until("06-03 16:30");
    let incidents = incidents();
    let answer = word(&incidents[0], "answer");
    report.line(format!(
        "16:30 incidents: {}, of {} followers, {}: {answer}",
        incidents.as_array().unwrap().len(),
        incidents[0]["followers"],
        word(&incidents[0], "written_by"),
    ));
    for openid in &LATE[..4] {
        here.answers("lili", &here.id(openid), &answer);
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
    let lost = here.list("closing=reopening");
    let mut lost: Vec<String> = lost.iter().map(|known| word(known, "follower")).collect();
    lost.sort_unstable();
    report.line(format!("18:00 shut before we reopen: {}", lost.join(" ")));
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
    report.line(format!("06-06 08:00 missed: {}", missed(here)));
}

/// Followers whose episode ended without an answer that reached them, and nobody has looked at it.
fn missed(here: &Restaurant) -> String {
    let missed = here.list("missed=true");
    let mut missed: Vec<String> = missed.iter().map(|known| word(known, "follower")).collect();
    missed.sort_unstable();
    match missed.is_empty() {
        true => "nobody".to_owned(),
        false => missed.join(" "),
    }
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
        "06-06 09:05 missed: {}; {}: {}",
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
    report.line(format!("06-10 15:11 missed: {}", missed(here)));
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
    report.line(format!("06-10 15:11 missed: {}", missed(here)));
}

/// A text on one line.
fn shown(text: &str) -> String {
    text.replace('\n', "⏎")
}

fn clock(here: &Restaurant) -> String {
    on_the_wall(here.now())
}
