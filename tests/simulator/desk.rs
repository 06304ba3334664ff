//! Tencent's own agents: who has a follower, and that the callback hears nothing meanwhile.

use std::time::Duration;

use serde_json::json;
use wxreply::simulator::{AccountSettings, Agent, Mode};

use super::api::Api;
use super::callback::{Answer, Callback};
use super::{START, account, wechat};

const CREATE: &str = "/customservice/kfsession/create";
const CLOSE: &str = "/customservice/kfsession/close";

fn agents() -> Vec<Agent> {
    let agent = |name: &str, online| Agent {
        account: format!("{name}@shop"),
        nick: name.to_owned(),
        online,
    };
    vec![agent("a1", true), agent("a2", false)]
}

#[test]
fn a_session_takes_the_messages_away_from_the_callback_until_it_ends() {
    let (callback, wechat) = (Callback::answering([]), wechat());
    let shop = account(&wechat, &callback, Mode::Plain);
    shop.change(|settings| settings.agents = agents());
    let api = Api::of(&wechat, &shop);
    let follower = shop.follower("oWang");
    let session = |agent: &str| json!({"kf_account": agent, "openid": "oWang"});
    let list = api.get("/cgi-bin/customservice/getkflist", "");
    assert_eq!(list["kf_list"][1]["kf_account"], "a2@shop");
    assert_eq!(api.code(CREATE, &session("a9@shop")), 65401);
    assert_eq!(api.code(CREATE, &session("a2@shop")), 65415);
    assert_eq!(api.code(CLOSE, &session("a1@shop")), 65413);
    assert_eq!(api.code(CREATE, &session("a1@shop")), 0);
    assert_eq!(api.code(CREATE, &session("a2@shop")), 65414);
    assert_eq!(api.code(CLOSE, &session("a2@shop")), 65414);
    let online = api.get("/cgi-bin/customservice/getonlinekflist", "");
    assert_eq!(online["kf_online_list"].as_array().unwrap().len(), 1);
    assert_eq!(online["kf_online_list"][0]["accepted_case"], 1);
    let taken = follower.says("在吗").wait();
    assert_eq!(
        (taken.attempts, taken.agent.as_deref()),
        (0, Some("a1@shop"))
    );
    assert!(follower.taps_menu("HELP").wait().is_silent());
    let held = api.get("/customservice/kfsession/getsession", "openid=oWang");
    assert_eq!(
        held,
        json!({"createtime": START.seconds(), "kf_account": "a1@shop"})
    );
    let sessions = api.get(
        "/customservice/kfsession/getsessionlist",
        "kf_account=a1@shop",
    );
    assert_eq!(sessions["sessionlist"][0]["openid"], "oWang");
    wechat.clock().advance(Duration::from_secs(29 * 60));
    assert!(follower.says("还在吗").wait().agent.is_some());
    wechat.clock().advance(Duration::from_secs(30 * 60));
    assert!(follower.says("没人了").wait().is_silent());
    assert_eq!(api.code(CREATE, &session("a1@shop")), 0);
    assert_eq!(api.code(CLOSE, &session("a1@shop")), 0);
    assert!(follower.says("又没人了").wait().is_silent());
    let held = api.get("/customservice/kfsession/getsession", "openid=oWang");
    assert_eq!(held["kf_account"], "");
}

#[test]
fn a_transfer_puts_the_follower_into_the_queue_or_to_one_agent_and_says_so() {
    let wechat = wechat();
    let gh_id = AccountSettings::plain("shop", "").gh_id;
    let transfer = move |to: &str| {
        format!(
            "<xml><ToUserName>oWang</ToUserName><FromUserName>{gh_id}</FromUserName><CreateTime>1</CreateTime>\
             <MsgType>transfer_customer_service</MsgType>{to}</xml>"
        )
    };
    let (heard, events) = std::sync::mpsc::channel();
    let heard = std::sync::Mutex::new(heard);
    let callback = Callback::new(move |seen| {
        if seen.field("MsgType") == "event" {
            let event = (
                seen.field("Event").to_owned(),
                seen.field("KfAccount").to_owned(),
            );
            heard.lock().unwrap().send(event).unwrap();
            return Answer::success();
        }
        Answer::Body(match seen.field("Content") {
            "人工" => transfer(""),
            _ => transfer("<TransInfo><KfAccount>a2@shop</KfAccount></TransInfo>"),
        })
    });
    let shop = account(&wechat, &callback, Mode::Plain);
    shop.change(|settings| settings.agents = agents());
    let api = Api::of(&wechat, &shop);
    let follower = shop.follower("oWang");
    assert!(follower.says("人工").wait().reply.is_some());
    let queue = api.get("/customservice/kfsession/getwaitcase", "");
    assert_eq!(
        (&queue["count"], &queue["waitcaselist"][0]["openid"]),
        (&json!(1), &json!("oWang"))
    );
    // One who waits still reaches the callback.
    assert_eq!(follower.says("找小二").wait().attempts, 1);
    let event = events.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(
        event,
        ("kf_create_session".to_owned(), "a2@shop".to_owned())
    );
    assert_eq!(
        follower.says("在吗").wait().agent.as_deref(),
        Some("a2@shop")
    );
    let close = json!({"kf_account": "a2@shop", "openid": "oWang"});
    assert_eq!(api.code(CLOSE, &close), 0);
    let event = events.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(event.0, "kf_close_session");
}
