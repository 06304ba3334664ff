//! Looks at when things are told: together, first, not too often, not at night, once a day.

use wxreply::model::entry::Priority;
use wxreply::model::{AlertKind, ChannelKind};

use super::{NIGHT, Plan, Receiver, Stand};

/// One robot, at two in the morning, that is told at night too.
async fn robot(receiver: &Receiver) -> Stand {
    let channel = receiver.channel("duty", ChannelKind::Wecom);
    Plan::of(vec![channel], &[receiver]).open().await
}

#[tokio::test]
async fn what_comes_within_ten_seconds_is_one_message_and_a_crisis_does_not_wait() {
    let receiver = Receiver::taking();
    let mut stand = robot(&receiver).await;
    stand.raise(stand.alert("第一件", Priority::High)).await;
    stand.after(4);
    stand.raise(stand.alert("危机", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    stand.raise(stand.alert("第二件", Priority::High)).await;
    stand.after(6);
    stand.expect("duty", "ok").await;
    let texts = receiver.texts();
    assert!(
        texts[0].contains("危机") && !texts[0].contains("第一件"),
        "{texts:#?}"
    );
    assert!(texts[1].contains("wxreply:2 条提醒"), "{texts:#?}");
    assert!(
        texts[1].contains("第一件") && texts[1].contains("第二件"),
        "{texts:#?}"
    );
}

#[tokio::test]
async fn the_same_alert_twice_is_told_once_over_a_restart_too() {
    let receiver = Receiver::taking();
    let mut stand = robot(&receiver).await;
    let alert = stand.alert("一件事", Priority::Urgent);
    stand
        .alerts
        .raise_all(vec![alert.clone(), alert.clone()])
        .await
        .unwrap();
    stand.expect("duty", "ok").await;
    stand.raise(alert.clone()).await;
    let mut stand = stand.restarted().await;
    stand.raise(alert).await;
    stand.raise(stand.alert("另一件", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    assert_eq!(receiver.count(), 2);
    assert!(receiver.texts()[1].contains("另一件"));
}

#[tokio::test]
async fn what_was_raised_and_not_told_is_told_after_a_restart() {
    let receiver = Receiver::taking();
    let stand = robot(&receiver).await;
    stand.raise(stand.alert("等着", Priority::High)).await;
    let mut stand = stand.restarted().await;
    assert_eq!(stand.standing("duty").waiting, 1);
    assert_eq!(receiver.count(), 0);
    stand.after(10);
    stand.expect("duty", "ok").await;
    assert!(receiver.texts()[0].contains("等着"));
    let stand = stand.restarted().await;
    let standing = stand.standing("duty");
    assert_eq!(
        (standing.waiting, standing.told_at),
        (0, Some(stand.clock.now()))
    );
}

#[tokio::test]
async fn ordinary_things_come_once_in_a_quarter_of_an_hour() {
    let receiver = Receiver::taking();
    let mut stand = robot(&receiver).await;
    stand.raise(stand.alert("甲", Priority::Normal)).await;
    stand.after(10);
    stand.expect("duty", "ok").await;
    stand.raise(stand.alert("乙", Priority::Normal)).await;
    stand.after(300);
    stand.raise(stand.alert("丙", Priority::Low)).await;
    stand.raise(stand.alert("急", Priority::High)).await;
    stand.after(10);
    stand.expect("duty", "ok").await;
    // The digest's time is kept over a restart.
    let mut stand = stand.restarted().await;
    stand.after(600);
    stand.expect("duty", "ok").await;
    let texts = receiver.texts();
    assert!(
        texts[1].contains("急") && !texts[1].contains("乙"),
        "{texts:#?}"
    );
    assert!(
        texts[2].contains("乙") && texts[2].contains("丙"),
        "{texts:#?}"
    );
}

#[tokio::test]
async fn a_robot_is_told_twenty_times_a_minute_at_most_and_urgent_things_come_first() {
    let receiver = Receiver::taking();
    let mut stand = robot(&receiver).await;
    for n in 0..20 {
        stand
            .raise(stand.alert(&format!("第 {n} 起"), Priority::Urgent))
            .await;
        stand.expect("duty", "ok").await;
    }
    stand.raise(stand.alert("普通的事", Priority::High)).await;
    stand.after(20);
    stand.raise(stand.alert("第 21 起", Priority::Urgent)).await;
    stand.after(39);
    stand.raise(stand.alert("第 22 起", Priority::Urgent)).await;
    stand.after(1);
    stand.expect("duty", "ok").await;
    stand.expect("duty", "ok").await;
    let texts = receiver.texts();
    assert_eq!(texts.len(), 22);
    assert!(
        texts[20].contains("第 21 起") && texts[20].contains("第 22 起"),
        "{}",
        texts[20]
    );
    assert!(texts[21].contains("普通的事"), "{}", texts[21]);
}

#[tokio::test]
async fn at_night_only_what_is_urgent_disturbs_who_sleeps() {
    let (sleeper, owl) = (Receiver::taking(), Receiver::taking());
    let mut quiet = sleeper.channel("quiet", ChannelKind::Wecom);
    quiet.night = false;
    let awake = owl.channel("awake", ChannelKind::Wecom);
    let plan = Plan::of(vec![quiet, awake], &[&sleeper, &owl]);
    let mut stand = plan.open().await;
    stand.raise(stand.alert("投诉", Priority::High)).await;
    stand.raise(stand.alert("窗口", Priority::Normal)).await;
    stand.after(10);
    stand.expect("awake", "ok").await;
    stand.raise(stand.alert("危机", Priority::Urgent)).await;
    let mut told = [stand.result().await.0, stand.result().await.0];
    told.sort();
    assert_eq!(told, ["awake", "quiet"]);
    assert!(sleeper.texts()[0].contains("危机") && sleeper.count() == 1);
    // Six hours later it is eight: one message for the night, with the heartbeat in it.
    stand.after(6 * 3600 - 10);
    let mut told = [stand.result().await.0, stand.result().await.0];
    told.sort();
    assert_eq!(told, ["awake", "quiet"]);
    let texts = sleeper.texts();
    assert_eq!(texts.len(), 2, "{texts:#?}");
    for part in ["投诉", "窗口", "每日报平安", "3 条提醒"] {
        assert!(texts[1].contains(part), "{part}: {}", texts[1]);
    }
}

#[tokio::test]
async fn once_a_day_the_way_is_proved_over_restarts_too() {
    let receiver = Receiver::taking();
    let mut stand = robot(&receiver).await;
    stand.raise(stand.alert("危机", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    stand.after(6 * 3600);
    stand.expect("duty", "ok").await;
    let text = receiver.texts()[1].clone();
    assert!(text.contains("每日报平安"), "{text}");
    assert!(
        text.contains("过去 24 小时 1 起紧急,现在 3 人在等"),
        "{text}"
    );
    let stand = stand.restarted().await;
    stand.after(3600);
    let mut stand = stand.restarted().await;
    // Another alert shows that nothing else came.
    stand.raise(stand.alert("另一件", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    assert!(receiver.texts()[2].contains("另一件"));
    stand.after(23 * 3600);
    stand.expect("duty", "ok").await;
    let text = receiver.texts()[3].clone();
    assert!(text.contains("1 起紧急"), "{text}");
    assert_eq!(receiver.count(), 4);
    // A server that was off at eight says it when it is back.
    stand.after(15 * 3600 + 3600);
    stand.raise(stand.alert("夜里", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    let mut plan = stand.plan.clone();
    plan.start = NIGHT.plus(std::time::Duration::from_secs(12 * 3600));
    let mut stand = plan.open().await;
    stand.expect("duty", "ok").await;
    assert!(receiver.texts()[5].contains("每日报平安"));
}

#[tokio::test]
async fn each_tier_is_told_of_its_own_and_what_concerns_those_below() {
    let (duty, lead) = (Receiver::taking(), Receiver::taking());
    let first = duty.channel("duty", ChannelKind::Wecom);
    let mut second = lead.channel("lead", ChannelKind::Wecom);
    second.tier = 2;
    let mut stand = Plan::of(vec![first, second], &[&duty, &lead]).open().await;
    stand.raise(stand.alert("第一层", Priority::Urgent)).await;
    stand.expect("duty", "ok").await;
    let mut alert = stand.alert_of(AlertKind::Realert, "第二层", Priority::Urgent);
    alert.tier = 2;
    stand.raise(alert).await;
    let mut told = [stand.result().await.0, stand.result().await.0];
    told.sort();
    assert_eq!(told, ["duty", "lead"]);
    assert_eq!((duty.count(), lead.count()), (2, 1));
    assert!(lead.texts()[0].contains("第二层"));
}

#[tokio::test]
async fn a_reload_is_seen_and_what_waits_for_a_channel_that_is_gone_is_kept() {
    let (old, new) = (Receiver::taking(), Receiver::taking());
    let channel = old.channel("old", ChannelKind::Wecom);
    let mut stand = Plan::of(vec![channel], &[&old, &new]).open().await;
    stand.raise(stand.alert("老通道的事", Priority::High)).await;
    let mut settings = (**stand.desk.lock().unwrap()).clone();
    settings.alerts = vec![new.channel("new", ChannelKind::Wecom)];
    *stand.desk.lock().unwrap() = settings.into();
    stand
        .raise(stand.alert("新通道的事", Priority::Urgent))
        .await;
    let mut seen = [stand.result().await, stand.result().await];
    seen.sort();
    assert_eq!(seen, [("new".to_owned(), "ok"), ("old".to_owned(), "dead")]);
    let dead = stand.alerts.dead().await.unwrap();
    assert!(dead[0].failure.contains("不在规则里"), "{dead:?}");
    assert_eq!((old.count(), new.count()), (0, 1));
}
