//! Drives the pretend WeChat against a callback that a script plays, to see that it behaves as WeChat does.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod api;
mod callback;
mod command;
mod delivery;
mod desk;
mod faults;
mod replies;
mod server;
mod windows;

use std::time::Duration;

use wxreply::clock::Clock;
use wxreply::model::Time;
use wxreply::simulator::{Account, AccountSettings, Mode, Settings, Wechat};

use callback::Callback;

/// Far more than a good answer needs, so that a busy machine fails no test.
const PATIENT: Duration = Duration::from_secs(30);

/// What a test pays for each answer that does not come.
const IMPATIENT: Duration = Duration::from_millis(300);

/// The moment at which the platform's clock stands.
const START: Time = Time::from_seconds(1_718_200_000);

/// A platform whose clock a test moves.
fn wechat() -> Wechat {
    with_limit(PATIENT)
}

fn with_limit(limit: Duration) -> Wechat {
    Wechat::start(Settings {
        clock: Clock::stopped_at(START),
        limit,
        ..Settings::default()
    })
    .unwrap()
}

/// An account in that mode whose pushes go to the callback.
fn account(wechat: &Wechat, callback: &Callback, mode: Mode) -> Account {
    wechat.account(AccountSettings {
        mode,
        ..AccountSettings::secure("shop", &callback.url())
    })
}

/// A text reply to the usual follower of [`account`].
fn text_reply(from: &str, text: &str) -> String {
    format!(
        "<xml><ToUserName>oWang</ToUserName><FromUserName>{from}</FromUserName><CreateTime>1718200000</CreateTime>\
         <MsgType>text</MsgType><Content><![CDATA[{text}]]></Content></xml>"
    )
}
