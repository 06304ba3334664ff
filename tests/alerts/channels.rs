//! Speaks to every kind of channel as its platform wants it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::Sha256;
use wxreply::model::entry::{Move, Priority, Reason};
use wxreply::model::{
    AccountName, AgentName, Alert, AlertKind, Answer, ChannelKind, Content, ConversationId,
    Incoming, OpenId, Turn, TurnKey,
};
use wxreply::store::{Claim, Store};

use super::mail::MailServer;
use super::{Answer as Says, NIGHT, Plan, Receiver, TAKEN};

/// What a platform computes to check a signature.
fn hmac(key: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A conversation that waits for a person.
pub async fn waiting(store: &dyn Store) -> ConversationId {
    let account = AccountName::parse("shop").unwrap();
    let follower = OpenId::parse("oFollowerLi000000000000001").unwrap();
    let key = TurnKey::of_text("a question");
    let claim = store.claim_turn(&account, &follower, key, NIGHT).await;
    let Claim::First { ticket, .. } = claim.unwrap() else {
        panic!("it was never asked before");
    };
    let turn = Turn {
        key,
        account,
        incoming: Incoming {
            to: "gh_123456789abc".into(),
            from: follower,
            create_time: NIGHT.seconds(),
            msg_id: Some("1".into()),
            content: Content::Text {
                text: "吃出头发了".into(),
                menu_id: None,
            },
        },
        answer: Answer {
            moved: Some(Move::Escalate {
                reason: Reason::Unmatched,
                priority: Priority::Urgent,
                note: None,
            }),
            ..Answer::default()
        },
    };
    store.commit_turn(ticket, turn, NIGHT).await.unwrap().id
}

fn about(conversation: ConversationId, alert: Alert) -> Alert {
    Alert {
        conversation: Some(conversation),
        waiting: Duration::from_secs(300),
        to: Some(AgentName::parse("小李").unwrap()),
        ..alert
    }
}

#[tokio::test]
async fn a_webhook_gets_each_alert_as_a_signed_document() {
    let receiver = Receiver::answering(&[(204, "", "")]);
    let mut channel = receiver.channel("duty", ChannelKind::Webhook);
    channel.secret = Some("env:HOOK_DUTY".into());
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    let id = waiting(&*stand.store).await;
    let alert = stand.alert_of(AlertKind::Realert, "食品安全", Priority::Urgent);
    stand.raise(about(id, alert)).await;
    stand.expect("duty", "ok").await;
    let request = receiver.last();
    assert_eq!(
        request.json(),
        json!({
            "kind": "realert",
            "account": "shop",
            "conversation": id.to_string(),
            "priority": "urgent",
            "reason": "食品安全",
            "waiting_s": 300,
            "url": format!("https://wx.example.com/conversations/{id}"),
            "at": "2026-06-02T18:00:00Z",
        })
    );
    assert_eq!(
        request.header("content-type"),
        "application/json; charset=utf-8"
    );
    let timestamp = request.header("x-wxreply-timestamp");
    assert_eq!(timestamp, NIGHT.seconds().to_string());
    let expected: String = hmac("s3cret-of-duty", &format!("{timestamp}.{}", request.body))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let signature = request.header("x-wxreply-signature");
    assert_eq!(signature, format!("sha256={expected}"));

    let first = stand.alert("要求人工", Priority::Normal);
    let second = stand.alert("没有规则回答", Priority::Normal);
    stand.alerts.raise_all(vec![first, second]).await.unwrap();
    stand.expect("duty", "ok").await;
    stand.expect("duty", "ok").await;
    assert_eq!(
        receiver.count(),
        3,
        "a program reads one document at a time"
    );
    let keys = |request: &Value| {
        let fields = request.as_object().unwrap();
        fields.keys().cloned().collect::<Vec<_>>()
    };
    let documents: Vec<Value> = receiver
        .got
        .lock()
        .unwrap()
        .iter()
        .map(super::Request::json)
        .collect();
    stand.alerts.test("duty").await.unwrap();
    assert_eq!(receiver.last().json()["reason"], "测试");
    assert_eq!(keys(&receiver.last().json()), keys(&documents[0]));
}

/// Raises an urgent and an ordinary alert on a robot that leads to this receiver, and gives what was posted.
async fn told_by(kind: ChannelKind, has_secret: bool, taken: Says) -> [super::Request; 2] {
    let receiver = Receiver::answering(&[taken]);
    let mut channel = receiver.channel("duty", kind);
    channel.secret = has_secret.then(|| "env:HOOK_DUTY".into());
    channel.excerpt = 5;
    let mut stand = Plan::of(vec![channel], &[&receiver]).open().await;
    let id = waiting(&*stand.store).await;
    let alert = stand.alert("食品安全 <at user_id=\"all\">&", Priority::Urgent);
    stand.raise(about(id, alert)).await;
    stand.expect("duty", "ok").await;
    stand.raise(stand.alert("投诉", Priority::High)).await;
    stand.after(10);
    stand.expect("duty", "ok").await;
    let got = receiver.got.lock().unwrap().clone();
    let text = got[0].text();
    for part in [
        "wxreply:【紧急】shop 有人在等",
        "已等 5 分钟",
        "请 小李 看",
        "「吃出头发了」",
        &format!("https://wx.example.com/conversations/{id}"),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("怎么办"),
        "five characters may be shown: {text}"
    );
    got.try_into().unwrap()
}

#[tokio::test]
async fn a_wecom_robot_gets_text_and_calls_everybody_in_a_crisis() {
    let [urgent, other] = told_by(ChannelKind::Wecom, false, TAKEN).await;
    let json = urgent.json();
    assert_eq!(json["msgtype"], "text");
    assert_eq!(json["text"]["mentioned_list"], json!(["@all"]));
    assert_eq!(other.json()["text"]["mentioned_list"], json!([]));
    assert!(
        urgent
            .line
            .starts_with("POST /robot/send?key=very-secret-key ")
    );
    assert!(json["text"]["content"].as_str().unwrap().len() <= 2048);
}

#[tokio::test]
async fn a_dingtalk_robot_finds_the_signature_in_the_query() {
    let [urgent, other] = told_by(ChannelKind::Dingtalk, true, TAKEN).await;
    assert_eq!(urgent.json()["msgtype"], "text");
    assert_eq!(urgent.json()["at"]["isAtAll"], true);
    assert_eq!(other.json()["at"]["isAtAll"], false);
    assert_eq!(urgent.parameter("key"), "very-secret-key");
    let timestamp = urgent.parameter("timestamp");
    assert_eq!(timestamp, NIGHT.millis().to_string());
    let text = format!("{timestamp}\ns3cret-of-duty");
    let expected = STANDARD.encode(hmac("s3cret-of-duty", &text));
    let sign = percent_decode_str(urgent.parameter("sign"));
    assert_eq!(sign.decode_utf8().unwrap(), expected);
    // Without a secret the robot knows a keyword, and its address stays as it is.
    let [plain, _] = told_by(ChannelKind::Dingtalk, false, TAKEN).await;
    assert!(
        plain
            .line
            .starts_with("POST /robot/send?key=very-secret-key ")
    );
    assert!(plain.text().contains("wxreply"));
}

#[tokio::test]
async fn a_feishu_robot_finds_the_signature_in_the_body() {
    let taken = (
        200,
        "",
        r#"{"code":0,"msg":"success","data":{},"StatusCode":0}"#,
    );
    let [urgent, other] = told_by(ChannelKind::Feishu, true, taken).await;
    let json = urgent.json();
    assert_eq!(json["msg_type"], "text");
    let timestamp = json["timestamp"].as_str().unwrap();
    assert_eq!(timestamp, NIGHT.seconds().to_string());
    let expected = STANDARD.encode(hmac(&format!("{timestamp}\ns3cret-of-duty"), ""));
    assert_eq!(json["sign"], expected);
    assert_eq!(urgent.text().matches("<at ").count(), 1, "only our own");
    assert!(!other.text().contains("<at "));
}

#[tokio::test]
async fn slack_gets_text_with_its_three_characters_escaped() {
    let [urgent, other] = told_by(ChannelKind::Slack, false, (200, "", "ok")).await;
    assert!(urgent.text().contains("&lt;at user_id=\"all\"&gt;&amp;"));
    assert!(urgent.text().ends_with("<!channel>"));
    assert!(!other.text().contains("<!channel>"));
}

#[tokio::test]
async fn mail_goes_to_everybody_on_the_list() {
    let server = MailServer::wanting(Some("p:w"));
    let nobody = Receiver::taking();
    let mut channel = nobody.channel("mail", ChannelKind::Email);
    channel.url = "env:HOOK_MAIL".into();
    channel.from = Some("wxreply <bot@example.com>".into());
    channel.to = vec!["a@example.com".into(), "老板 <b@example.com>".into()];
    let mut plan = Plan::of(vec![channel], &[]);
    plan.allowed = vec![format!("http://{}", server.address)];
    let url = format!("smtp://bot%40example.com:p%3Aw@{}", server.address);
    plan.secrets.push(("HOOK_MAIL", url));
    let mut stand = plan.open().await;
    stand.raise(stand.alert("食品安全", Priority::Urgent)).await;
    stand.expect("mail", "ok").await;
    let letter = server.letters.lock().unwrap()[0].clone();
    let credentials = ("bot@example.com".to_owned(), "p:w".to_owned());
    assert_eq!(letter.credentials, Some(credentials));
    assert!(letter.from.contains("<bot@example.com>"), "{}", letter.from);
    assert_eq!(letter.to.len(), 2);
    assert!(letter.to[1].contains("<b@example.com>"), "{:?}", letter.to);
    assert_eq!(letter.subject(), "wxreply:【紧急】shop 有人在等");
    assert_eq!(letter.header("Date"), "Tue, 02 Jun 2026 18:00:00 +0000");
    assert!(letter.header("Message-ID").ends_with("@example.com>"));
    assert!(
        letter
            .header("Content-Type")
            .contains("text/plain; charset=utf-8")
    );
    assert!(letter.text().contains("食品安全"), "{}", letter.text());

    let strict = MailServer::wanting(Some("another"));
    let mut channel = nobody.channel("mail", ChannelKind::Email);
    channel.url = format!("smtp://bot:p@{}", strict.address).into();
    channel.from = Some("bot@example.com".into());
    channel.to = vec!["a@example.com".into()];
    let mut plan = Plan::of(vec![channel], &[]);
    plan.allowed = vec![format!("http://{}", strict.address)];
    let stand = plan.open().await;
    let refused = stand.alerts.test("mail").await.unwrap_err().to_string();
    assert!(refused.contains("535"), "{refused}");
    // Listed by its name alone, an unencrypted connection is not what was meant.
    let mut plan = stand.plan.clone();
    plan.allowed = vec![strict.address.to_string()];
    let stand = plan.open().await;
    let refused = stand.alerts.test("mail").await.unwrap_err().to_string();
    assert!(
        !refused.contains("535"),
        "no password in the clear: {refused}"
    );
    // A server that speaks no TLS where TLS is wanted.
    let mut plan = stand.plan.clone();
    plan.channels[0].url = format!("smtps://bot:p@{}", strict.address).into();
    let stand = plan.open().await;
    let refused = stand.alerts.test("mail").await.unwrap_err().to_string();
    assert!(refused.contains("加密连接"), "{refused}");
    assert!(strict.letters.lock().unwrap().is_empty());
}
