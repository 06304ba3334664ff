//! Lets channels fail in every way, and looks at what people are told of it.

use std::sync::atomic::Ordering;

use wxreply::model::entry::Priority;
use wxreply::model::{Act, AlertKind, ChannelKind, TurnKey};
use wxreply::store::Error;

use super::{Answer, Plan, Receiver, TAKEN};

const BUSY: Answer = (500, "", "oops");
const UNSIGNED: Answer = (200, "", r#"{"errcode":310000,"errmsg":"sign not match"}"#);
const LIMITED: Answer = (200, "", r#"{"errcode":130101,"errmsg":"send too fast"}"#);

#[tokio::test]
async fn three_retries_then_it_is_given_up_and_can_be_sent_again() {
    let receiver = Receiver::answering(&[BUSY]);
    let channel = receiver.clocked("duty");
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    stand.raise(stand.alert("投诉", Priority::High)).await;
    for pause in [10, 15, 60, 300] {
        stand.after(pause - 1);
        stand.after(1);
        stand.expect("duty", "failed").await;
    }
    assert_eq!(receiver.seconds(), [10, 25, 85, 385]);
    stand.expect("duty", "dead").await;
    let standing = stand.standing("duty");
    assert_eq!((standing.waiting, standing.dead), (0, 1));
    assert_eq!(standing.failure.as_deref(), Some("对方回应 HTTP 500"));
    let since = NIGHT_AND_TEN;
    assert_eq!(standing.failing_since, Some(since));

    // It is all still known after a restart.
    let mut stand = stand.restarted().await;
    let standing = stand.standing("duty");
    assert_eq!((standing.dead, standing.failing_since), (1, Some(since)));
    let dead = stand.alerts.dead().await.unwrap();
    assert_eq!((dead.len(), dead[0].notice.attempts), (1, 4));
    assert_eq!(
        &*dead[0].notice.alert.excerpt, "",
        "the channel may show nothing"
    );
    receiver.answers(&[TAKEN]);
    let id = dead[0].notice.id;
    assert!(stand.alerts.resend(id).await.unwrap());
    assert!(!stand.alerts.resend(id).await.unwrap(), "it waits already");
    stand.after(10);
    stand.expect("duty", "ok").await;
    assert!(receiver.texts().last().unwrap().contains("投诉"));
    let standing = stand.standing("duty");
    assert_eq!((standing.dead, standing.failing_since), (0, None));
    assert_eq!(standing.failure, None);
    assert!(stand.alerts.dead().await.unwrap().is_empty());
}

const NIGHT_AND_TEN: wxreply::model::Time =
    wxreply::model::Time::from_seconds(super::NIGHT.seconds() + 10);

#[tokio::test]
async fn a_crisis_is_tried_again_sooner_and_passes_what_is_paused() {
    let receiver = Receiver::answering(&[BUSY, BUSY, TAKEN]);
    let channel = receiver.channel("duty", ChannelKind::Wecom);
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    stand.raise(stand.alert("投诉", Priority::High)).await;
    stand.after(10);
    stand.expect("duty", "failed").await;
    stand.raise(stand.alert("危机", Priority::Urgent)).await;
    stand.expect("duty", "failed").await;
    stand.after(5);
    stand.expect("duty", "ok").await;
    stand.after(10);
    stand.expect("duty", "ok").await;
    let texts = receiver.texts();
    assert!(
        texts[2].contains("危机") && texts[3].contains("投诉"),
        "{texts:#?}"
    );
}

#[tokio::test]
async fn a_robot_that_was_asked_too_often_is_left_alone() {
    let receiver = Receiver::answering(&[LIMITED, (429, "retry-after: 200\r\n", ""), TAKEN]);
    let channel = receiver.clocked("duty");
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    stand.raise(stand.alert("投诉", Priority::High)).await;
    stand.after(10);
    stand.expect("duty", "failed").await;
    let failure = stand.standing("duty").failure.unwrap();
    assert!(
        failure.contains("130101") && failure.contains("太频繁"),
        "{failure}"
    );
    for (pause, result) in [(60, "failed"), (200, "ok")] {
        stand.after(pause - 1);
        stand.after(1);
        stand.expect("duty", result).await;
    }
    assert_eq!(receiver.seconds(), [10, 70, 270]);
}

#[tokio::test]
async fn a_channel_that_fails_is_reported_by_another_once() {
    let (broken, good) = (Receiver::answering(&[UNSIGNED]), Receiver::taking());
    let mut first = broken.channel("duty", ChannelKind::Dingtalk);
    first.secret = Some("env:HOOK_DUTY".into());
    let mut second = good.channel("owner", ChannelKind::Feishu);
    second.tier = 3;
    good.answers(&[(200, "", r#"{"code":0}"#)]);
    let mut stand = Plan::of(vec![first, second], &[&broken, &good])
        .open()
        .await;
    stand.raise(stand.alert("投诉", Priority::High)).await;
    stand.after(10);
    stand.expect("duty", "failed").await;
    stand.after(10);
    stand.expect("owner", "ok").await;
    let text = good.texts()[0].clone();
    assert!(text.contains("通知发不出去"), "{text}");
    assert!(
        text.contains("通道「duty」(钉钉):机器人拒绝:310000"),
        "{text}"
    );
    assert!(
        !text.contains("very-secret-key") && !text.contains("s3cret"),
        "{text}"
    );
    // Further failures, and a restart, say nothing new.
    stand.after(5);
    stand.expect("duty", "failed").await;
    let mut stand = stand.restarted().await;
    stand.after(60);
    stand.expect("duty", "failed").await;
    stand.after(300);
    stand.expect("duty", "failed").await;
    stand.expect("duty", "dead").await;
    assert_eq!(good.count(), 1);
    // It works, and fails again: that is another failure.
    broken.answers(&[TAKEN, UNSIGNED]);
    stand.raise(stand.alert("好了", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    stand.raise(stand.alert("又坏了", Priority::Urgent)).await;
    stand.expect("duty", "failed").await;
    // What is urgent was not told: neither does its report wait.
    stand.expect("owner", "ok").await;
    assert_eq!(good.count(), 2);
}

#[tokio::test]
async fn one_failure_may_pass_and_two_in_a_row_are_reported() {
    let (shaky, good) = (
        Receiver::answering(&[BUSY, TAKEN, BUSY]),
        Receiver::taking(),
    );
    let first = shaky.channel("duty", ChannelKind::Wecom);
    let second = good.channel("other", ChannelKind::Wecom);
    let mut stand = Plan::of(vec![first], &[&shaky, &good]).open().await;
    stand.raise(stand.alert("甲", Priority::High)).await;
    stand.after(10);
    stand.expect("duty", "failed").await;
    stand.after(15);
    stand.expect("duty", "ok").await;
    let mut settings = (**stand.desk.lock().unwrap()).clone();
    settings.alerts.push(second);
    *stand.desk.lock().unwrap() = settings.into();
    let mut alert = stand.alert("乙", Priority::High);
    alert.tier = 1;
    stand.raise(alert).await;
    stand.after(10);
    let mut seen = [stand.result().await, stand.result().await];
    seen.sort();
    assert_eq!(
        seen,
        [("duty".to_owned(), "failed"), ("other".to_owned(), "ok")]
    );
    assert!(good.texts()[0].contains("乙"));
    stand.after(15);
    stand.expect("duty", "failed").await;
    stand.after(10);
    stand.expect("other", "ok").await;
    assert!(good.texts()[1].contains("通道「duty」"));
}

#[tokio::test]
async fn when_every_channel_fails_it_ends() {
    let (first, second) = (
        Receiver::answering(&[UNSIGNED]),
        Receiver::answering(&[UNSIGNED]),
    );
    let (a, mut b) = (first.clocked("a"), second.clocked("b"));
    b.tier = 3;
    let mut stand = Plan::of(vec![a, b], &[&first, &second]).open().await;
    stand.raise(stand.alert("危机", Priority::Urgent)).await;
    // The second one is told that the first one fails; there is nobody to be told of the second.
    stand.expect("a", "failed").await;
    stand.expect("b", "failed").await;
    for pause in [5, 15, 60] {
        stand.after(pause);
        let mut seen = [stand.result().await, stand.result().await];
        if pause == 60 {
            let more = [stand.result().await, stand.result().await];
            let all = [seen, more].concat();
            assert_eq!(
                all.iter().filter(|(_, result)| *result == "dead").count(),
                2
            );
            break;
        }
        seen.sort();
        assert_eq!(seen.map(|(name, _)| name), ["a", "b"]);
    }
    let dead = stand.alerts.dead().await.unwrap();
    let mut kinds: Vec<_> = dead
        .iter()
        .map(|dead| dead.notice.alert.kind.word())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["channel_failed", "escalated"]);
    // Whatever else they had to say would have come before this.
    stand.after(3600);
    first.answers(&[TAKEN]);
    stand.raise(stand.alert("好了", Priority::Urgent)).await;
    stand.expect("a", "ok").await;
    assert_eq!((first.count(), second.count()), (5, 4));
}

#[tokio::test]
async fn what_the_store_does_not_take_is_told_all_the_same() {
    let receiver = Receiver::taking();
    let channel = receiver.channel("duty", ChannelKind::Wecom);
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    let alert = stand.alert("危机", Priority::Urgent);
    stand.plan.is_full.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let error = stand.alerts.raise(alert.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Unwritable(_)), "{error}");
    }
    stand.expect("duty", "ok").await;
    let another = stand.alert("另一件", Priority::Urgent);
    assert!(stand.alerts.raise(another).await.is_err());
    stand.expect("duty", "ok").await;
    let texts = receiver.texts();
    assert!(
        texts[0].contains("危机") && texts[1].contains("另一件"),
        "{texts:#?}"
    );
}

#[tokio::test]
async fn only_listed_hosts_are_told_and_no_redirect_is_followed() {
    let (receiver, elsewhere) = (Receiver::taking(), Receiver::taking());
    let location: &'static str = format!("location: {}/\r\n", elsewhere.host()).leak();
    let redirecting = Receiver::answering(&[(307, location, "")]);
    let mut channels = Vec::new();
    for (name, url) in [
        // Nobody listed this one.
        ("private", receiver.url()),
        ("metadata", "http://169.254.169.254/latest".to_owned()),
        // A robot's own host is known, by https and at its own port only.
        (
            "plain",
            "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x".to_owned(),
        ),
        ("port", "https://qyapi.weixin.qq.com:8443/x".to_owned()),
        ("other", "https://oapi.dingtalk.com/robot/send".to_owned()),
        (
            "user",
            "https://qyapi.weixin.qq.com@evil.example.com/".to_owned(),
        ),
        ("unset", "env:HOOK_UNSET".to_owned()),
        ("path", "env:PATH".to_owned()),
    ] {
        let mut channel = receiver.channel(name, ChannelKind::Wecom);
        channel.url = url.into();
        channels.push(channel);
    }
    channels.push(redirecting.channel("redirect", ChannelKind::Webhook));
    let plan = Plan::of(channels.clone(), &[&redirecting, &elsewhere]);
    let stand = plan.open().await;
    for channel in &channels {
        let name = &*channel.name;
        let failure = stand.alerts.test(name).await.unwrap_err().to_string();
        let expected = match name {
            "redirect" => "HTTP 307",
            "unset" | "path" => "环境变量没有设",
            _ => "不在允许名单里",
        };
        assert!(failure.contains(expected), "{name}: {failure}");
        let standing = stand.standing(name);
        assert_eq!(standing.failure.as_deref(), Some(&*failure), "{name}");
    }
    assert_eq!((receiver.count(), elsewhere.count()), (0, 0));
    assert_eq!(redirecting.count(), 1);
    let unknown = stand.alerts.test("nobody").await.unwrap_err().to_string();
    assert!(unknown.contains("no channel"), "{unknown}");
    let shown = format!("{:?}", stand.alerts.standing());
    assert!(
        !shown.contains("very-secret") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_unless_that_is_listed() {
    let receiver = Receiver::taking();
    let port = receiver.address.port();
    let mut channel = receiver.channel("duty", ChannelKind::Wecom);
    channel.url = format!("http://robots.example.com:{port}/x").into();
    let mut plan = Plan::of(vec![channel], &[]);
    plan.leads_to = Some(receiver.address);
    plan.allowed = vec![format!("http://robots.example.com:{port}")];
    let stand = plan.clone().open().await;
    let refused = stand.alerts.test("duty").await.unwrap_err().to_string();
    assert!(refused.contains("不在允许名单里"), "{refused}");
    // A robot's own host counts as listed, and is looked at in the same way.
    plan.channels[0].url = "https://qyapi.weixin.qq.com/x".into();
    let stand = plan.clone().open().await;
    let refused = stand.alerts.test("duty").await.unwrap_err().to_string();
    assert!(refused.contains("不在允许名单里"), "{refused}");
    assert_eq!(receiver.count(), 0);
    plan.channels[0].url = format!("http://robots.example.com:{port}/x").into();
    plan.allowed.push("127.0.0.0/8".to_owned());
    let stand = plan.open().await;
    stand.alerts.test("duty").await.unwrap();
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_digest_lists_only_who_still_waits() {
    let receiver = Receiver::taking();
    let channel = receiver.channel("duty", ChannelKind::Wecom);
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    let id = super::channels::waiting(&*stand.store).await;
    stand.raise(stand.alert("先前", Priority::Normal)).await;
    stand.after(10);
    stand.expect("duty", "ok").await;
    let mut alert = stand.alert("被接走的", Priority::Normal);
    alert.conversation = Some(id);
    let others = stand.alert("还在等的", Priority::Normal);
    stand.alerts.raise_all(vec![alert, others]).await.unwrap();
    let lili = wxreply::model::AgentName::parse("lili").unwrap();
    let lili = wxreply::model::Actor::agent(lili);
    let (now, seed) = (stand.clock.now(), TurnKey::of_text("claim"));
    let claimed = stand.store.act(id, Act::Claim, &lili, now, seed).await;
    assert!(!claimed.unwrap().already);
    stand.after(900);
    stand.expect("duty", "stale").await;
    stand.expect("duty", "ok").await;
    let text = receiver.texts()[1].clone();
    assert!(
        text.contains("还在等的") && !text.contains("被接走的"),
        "{text}"
    );
}

#[tokio::test]
async fn who_was_erased_meanwhile_is_not_told_of() {
    let receiver = Receiver::taking();
    let channel = receiver.channel("duty", ChannelKind::Wecom);
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    let id = super::channels::waiting(&*stand.store).await;
    let mut alert = stand.alert_of(AlertKind::Escalated, "普通", Priority::Normal);
    alert.conversation = Some(id);
    stand.raise(alert.clone()).await;
    let account = alert.account.clone().unwrap();
    let follower = wxreply::model::OpenId::parse("oFollowerLi000000000000001").unwrap();
    assert!(stand.store.erase(&account, &follower).await.unwrap());
    assert!(
        stand.store.notices().await.unwrap().is_empty(),
        "gone with the follower"
    );
    stand.after(10);
    stand.expect("duty", "stale").await;
    assert_eq!((receiver.count(), stand.standing("duty").waiting), (0, 0));
}
