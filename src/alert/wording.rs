//! Says to people what happened: a heading and a few lines, in Chinese.
//! Owns: the words of each kind and priority, how many lines. Uses: model. Never: markup; anything the channel may not show.

use std::time::Duration;

use crate::model::Time;
use crate::model::alert::{AlertKind, ChannelKind};
use crate::model::entry::Priority;
use crate::model::notice::Notice;

/// A longer list is not read on a phone.
const MOST_LISTED: usize = 10;

/// A message to people, before it is written for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// One line that says what it is about. It always has the word `wxreply` in it, for robots that want a keyword.
    pub(super) heading: String,
    /// One block of lines for each alert.
    pub(super) blocks: Vec<String>,
    /// How many more there are.
    pub(super) more: usize,
    /// Where all of them can be seen.
    pub(super) link: Option<String>,
    /// Whether everybody in the group is called.
    pub(super) calls_all: bool,
}

impl Message {
    /// The text, shortened to whole blocks until it has at most `limit` bytes.
    pub(super) fn text(&self, limit: usize, escaped: impl Fn(&str) -> String) -> String {
        let mut shown = self.blocks.len();
        loop {
            let text = self.with(shown, &escaped);
            if text.len() <= limit || shown == 0 {
                return text;
            }
            shown -= 1;
        }
    }

    fn with(&self, shown: usize, escaped: &impl Fn(&str) -> String) -> String {
        let mut text = escaped(&self.heading);
        for block in self.blocks.iter().take(shown) {
            text.push_str("\n\n");
            text.push_str(&escaped(block));
        }
        let left_out = self.blocks.len().saturating_sub(shown) + self.more;
        if left_out > 0 {
            text.push_str(&format!("\n\n另有 {left_out} 起没有列出"));
        }
        if (left_out > 0 || self.blocks.len() > 1)
            && let Some(link) = &self.link
        {
            text.push('\n');
            text.push_str(&escaped(link));
        }
        text
    }
}

/// The address of a conversation's page, or of the first page.
pub(super) fn link(public_url: Option<&str>, notice: &Notice) -> Option<String> {
    let base = public_url?;
    Some(match notice.alert.conversation {
        Some(id) => format!("{base}/conversations/{id}"),
        None => format!("{base}/"),
    })
}

/// What is said of these, at least one, in this order; `unlisted` more were not kept.
pub(super) fn message(
    notices: &[Notice],
    unlisted: usize,
    public_url: Option<&str>,
    now: Time,
) -> Message {
    let is_urgent = |notice: &&Notice| notice.alert.priority == Priority::Urgent;
    let is_crisis = notices.iter().any(|notice| is_urgent(&notice));
    let heading = match notices {
        [one] => format!("wxreply:{}", title(one)),
        many => {
            let urgent = many.iter().filter(is_urgent).count();
            let all = many.len() + unlisted;
            match urgent {
                0 => format!("wxreply:{all} 条提醒"),
                _ => format!("wxreply:{all} 条提醒,{urgent} 条紧急"),
            }
        }
    };
    let blocks = notices.iter().take(MOST_LISTED);
    Message {
        heading,
        blocks: blocks
            .map(|one| {
                // The heading of a single one says the rest.
                let title = (notices.len() > 1).then(|| title(one));
                block(one, title, public_url, now)
            })
            .collect(),
        more: notices.len().saturating_sub(MOST_LISTED) + unlisted,
        link: public_url.map(|base| format!("{base}/")),
        calls_all: is_crisis,
    }
}

/// What a test says.
pub(super) fn trial(name: &str, public_url: Option<&str>) -> Message {
    Message {
        heading: format!("wxreply:测试通道「{}」", plain(name)),
        blocks: vec!["收到这条就说明这个通道是通的。".to_owned()],
        more: 0,
        link: public_url.map(|base| format!("{base}/")),
        calls_all: false,
    }
}

fn title(notice: &Notice) -> String {
    let alert = &notice.alert;
    let mark = match alert.priority {
        Priority::Urgent => "【紧急】",
        Priority::High => "【重要】",
        Priority::Normal | Priority::Low => "",
    };
    let account = alert.account.as_ref();
    let account = account.map_or(String::new(), |name| format!("{name} "));
    format!("{mark}{account}{}", kind_word(alert.kind))
}

fn block(notice: &Notice, title: Option<String>, public_url: Option<&str>, now: Time) -> String {
    let alert = &notice.alert;
    let mut line = plain(&alert.reason);
    if let Some(title) = title {
        line = format!("· {title}:{line}");
    }
    let waiting = alert.waiting.saturating_add(now.since(alert.at));
    if alert.conversation.is_some() {
        line.push_str(&format!(",{}", waited(waiting)));
    }
    if let Some(name) = &alert.to {
        line.push_str(&format!(",请 {} 看", plain(name.as_str())));
    }
    if !alert.excerpt.is_empty() {
        line.push_str(&format!("\n「{}」", plain(&alert.excerpt)));
    }
    if alert.conversation.is_some()
        && let Some(link) = link(public_url, notice)
    {
        line.push('\n');
        line.push_str(&link);
    }
    line
}

const fn kind_word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Escalated => "有人在等",
        AlertKind::Realert => "还没有人接",
        AlertKind::Breach => "超过了答应的时间",
        AlertKind::Window => "微信的回复窗口快关了",
        AlertKind::Surge => "很多人在说同一件事",
        AlertKind::ChannelFailed => "通知发不出去",
        AlertKind::Heartbeat => "每日报平安",
    }
}

/// The kind of a channel, for people.
pub(super) const fn channel_word(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Webhook => "webhook",
        ChannelKind::Wecom => "企业微信",
        ChannelKind::Dingtalk => "钉钉",
        ChannelKind::Feishu => "飞书",
        ChannelKind::Slack => "Slack",
        ChannelKind::Email => "邮件",
    }
}

fn waited(waiting: Duration) -> String {
    match waiting.as_secs() / 60 {
        0 => "刚刚开始等".to_owned(),
        minutes @ 1..60 => format!("已等 {minutes} 分钟"),
        minutes => format!("已等 {} 小时 {} 分钟", minutes / 60, minutes % 60),
    }
}

/// On one line, without characters that would be read as something else.
fn plain(text: &str) -> String {
    let is_text = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(is_text).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::alert::Alert;
    use crate::model::{AccountName, AgentName, ConversationId, TurnKey};

    pub(in crate::alert) const NOW: Time = Time::from_seconds(1_780_459_200);

    pub(in crate::alert) fn notice(kind: AlertKind, priority: Priority, reason: &str) -> Notice {
        let seed = TurnKey::of_text(reason);
        let alert = Alert {
            id: seed,
            kind,
            account: Some(AccountName::parse("shop").unwrap()),
            conversation: Some(ConversationId::at(NOW, 0, seed)),
            priority,
            reason: reason.into(),
            waiting: Duration::from_secs(300),
            at: NOW,
            tier: 1,
            to: None,
            excerpt: "吃出头发了,\n怎么办".into(),
        };
        Notice::new(&alert, &"duty".into(), 5, NOW)
    }

    const BASE: Option<&str> = Some("https://wx.example.com/bot");

    fn whole(message: &Message) -> String {
        message.text(usize::MAX, str::to_owned)
    }

    #[test]
    fn one_alert_says_who_why_how_long_and_where() {
        let mut one = notice(AlertKind::Realert, Priority::Urgent, "食品安全");
        one.alert.to = Some(AgentName::parse("小李").unwrap());
        let message = message(&[one], 0, BASE, NOW.plus(Duration::from_secs(3600)));
        insta::assert_snapshot!(whole(&message), @"
        wxreply:【紧急】shop 还没有人接

        食品安全,已等 1 小时 5 分钟,请 小李 看
        「吃出头发了」
        https://wx.example.com/bot/conversations/019e8ba3-5e00-7000-a335-9e7caeef7c0f
        ");
        assert!(message.calls_all);
    }

    #[test]
    fn several_are_listed_and_the_rest_is_counted() {
        let kinds = AlertKind::ALL.iter().cycle().take(12);
        let notices: Vec<Notice> = kinds
            .enumerate()
            .map(|(n, (kind, _))| {
                let mut one = notice(*kind, Priority::High, &format!("原因 {n}"));
                one.alert.excerpt = "".into();
                one.alert.conversation = None;
                one
            })
            .collect();
        let all = message(&notices, 3, BASE, NOW);
        insta::assert_snapshot!(whole(&all), @"
        wxreply:15 条提醒

        · 【重要】shop 有人在等:原因 0

        · 【重要】shop 还没有人接:原因 1

        · 【重要】shop 超过了答应的时间:原因 2

        · 【重要】shop 微信的回复窗口快关了:原因 3

        · 【重要】shop 很多人在说同一件事:原因 4

        · 【重要】shop 通知发不出去:原因 5

        · 【重要】shop 每日报平安:原因 6

        · 【重要】shop 有人在等:原因 7

        · 【重要】shop 还没有人接:原因 8

        · 【重要】shop 超过了答应的时间:原因 9

        另有 5 起没有列出
        https://wx.example.com/bot/
        ");
        let short = all.text(200, str::to_owned);
        assert!(short.len() <= 200, "{short}");
        assert!(short.contains("另有 13 起"), "{short}");
        let (one, two) = notices.split_at(1);
        let without = message(one, 0, None, NOW);
        assert!(!whole(&without).contains("http"), "nobody said where");
        assert!(!message(two, 0, None, NOW).calls_all);
    }
}
