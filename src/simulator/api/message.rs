//! Takes customer-service messages: all types, windows, counts, and 「对方正在输入」.
//! Owns: what makes a message good. Uses: the platform's memory of followers. Never: passive replies.

use std::time::Duration;

use serde_json::Value;

use super::super::media::MediaKind;
use super::super::phone::{Pushed, Sight};
use super::super::refusal::Refusal;
use super::super::window::Shut;
use super::{Answer, Call, Outcome};

/// The most bytes of a text, from what developers measured.
const TEXT_LIMIT: usize = 2048;
/// The most messages kept in the account's log; the oldest go first.
const KEPT: usize = 100_000;
/// Typing needs an interaction this recent.
const INTERACTION: Duration = Duration::from_secs(30);
/// How long the phone shows it.
const TYPING: Duration = Duration::from_secs(15);

/// `POST /cgi-bin/message/custom/send`.
pub(super) fn send(call: &Call<'_>) -> Outcome {
    let message = call.request.json()?;
    let now = call.request.now;
    let to = text(&message, "/touser").to_owned();
    let kind = text(&message, "/msgtype").to_owned();
    reachable(call, &to)?;
    check_content(call, &kind, &message)?;
    let agent = text(&message, "/customservice/kf_account");
    let known = |agent: &str| call.settings.agents.iter().any(|one| one.account == agent);
    if !agent.is_empty() && !known(agent) {
        return Err(Refusal::new(65401));
    }
    let pushed = Pushed {
        at: now,
        to: to.clone(),
        kind,
        agent: Some(agent.to_owned()).filter(|agent| !agent.is_empty()),
        request: message,
    };
    {
        let mut memory = call.office.memory.lock();
        let person = memory.person(&to)?;
        person.window.check(now).map_err(refuse)?;
        person.window.spend(now);
        person.typing_until = now;
        if memory.pushed.len() == KEPT {
            memory.pushed.pop_front();
        }
        memory.pushed.push_back(pushed.clone());
    }
    call.platform.show(call.office, &to, Sight::Pushed(pushed));
    Ok(Answer::ok())
}

/// `POST /cgi-bin/message/custom/typing`.
pub(super) fn typing(call: &Call<'_>) -> Outcome {
    let asked = call.request.json()?;
    let now = call.request.now;
    let to = text(&asked, "/touser");
    let starts = match text(&asked, "/command") {
        "Typing" => true,
        "CancelTyping" => false,
        _ => return Err(Refusal::new(45072)),
    };
    reachable(call, to)?;
    {
        let mut memory = call.office.memory.lock();
        let person = memory.person(to)?;
        person.window.check(now).map_err(refuse)?;
        if !starts {
            person.typing_until = now;
            return Ok(Answer::ok());
        }
        if person.acted_at.is_none_or(|at| now.since(at) > INTERACTION) {
            return Err(Refusal::new(45080));
        }
        if now < person.typing_until {
            return Err(Refusal::new(45081));
        }
        person.typing_until = now.plus(TYPING);
    }
    call.platform.show(call.office, to, Sight::Typing);
    Ok(Answer::ok())
}

/// Whether the openid is somebody who takes messages.
fn reachable(call: &Call<'_>, to: &str) -> Result<(), Refusal> {
    let mut memory = call.office.memory.lock();
    let person = memory.person(to)?;
    if person.blacklisted {
        Err(Refusal::new(43019))
    } else if person.refuses {
        Err(Refusal::new(48002))
    } else if !person.following {
        // 「response out of time limit or subscription is canceled」: one code for both.
        Err(Refusal::new(45015))
    } else {
        Ok(())
    }
}

fn refuse(shut: Shut) -> Refusal {
    Refusal::new(match shut {
        Shut::Closed => 45015,
        Shut::UsedUp => 45047,
    })
}

fn text<'a>(message: &'a Value, pointer: &str) -> &'a str {
    message
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("")
}

fn check_content(call: &Call<'_>, kind: &str, message: &Value) -> Result<(), Refusal> {
    let refused = |code| Err(Refusal::new(code));
    let media = |field: &str, kind| good_media(call, text(message, field), kind);
    let filled = |fields: &[&str]| {
        let empty = fields.iter().any(|field| text(message, field).is_empty());
        if empty { refused(40035) } else { Ok(()) }
    };
    match kind {
        "text" => match text(message, "/text/content").len() {
            0 => refused(44004),
            length if length > TEXT_LIMIT => refused(45002),
            _ => Ok(()),
        },
        "image" => media("/image/media_id", MediaKind::Image),
        "voice" => media("/voice/media_id", MediaKind::Voice),
        "video" => {
            media("/video/media_id", MediaKind::Video)?;
            match text(message, "/video/thumb_media_id") {
                "" => Ok(()),
                thumb => good_media(call, thumb, MediaKind::Thumb),
            }
        }
        "music" => {
            filled(&["/music/musicurl", "/music/hqmusicurl"])?;
            media("/music/thumb_media_id", MediaKind::Thumb)
        }
        "news" => match message.pointer("/news/articles").and_then(Value::as_array) {
            Some(articles) if articles.len() == 1 => {
                filled(&["/news/articles/0/title", "/news/articles/0/url"])
            }
            Some(articles) if !articles.is_empty() => refused(45008),
            _ => refused(44003),
        },
        // Gone since drafts replaced permanent articles in 2022: no such media id is good any more.
        "mpnews" => refused(40007),
        "mpnewsarticle" => filled(&["/mpnewsarticle/article_id"]),
        "msgmenu" if !call.settings.rights.msgmenu => refused(40200),
        "msgmenu" => {
            let entries = message.pointer("/msgmenu/list").and_then(Value::as_array);
            let is_good = |entry: &Value| {
                !text(entry, "/id").is_empty() && !text(entry, "/content").is_empty()
            };
            match entries {
                Some(entries) if !entries.is_empty() && entries.iter().all(is_good) => Ok(()),
                _ => refused(40035),
            }
        }
        "wxcard" => filled(&["/wxcard/card_id"]),
        "miniprogrampage" => {
            filled(&["/miniprogrampage/appid", "/miniprogrampage/pagepath"])?;
            media("/miniprogrampage/thumb_media_id", MediaKind::Thumb)
        }
        _ => refused(40008),
    }
}

fn good_media(call: &Call<'_>, id: &str, kind: MediaKind) -> Result<(), Refusal> {
    let is_good = || {
        let memory = call.office.memory.lock();
        memory.shelf.is_good(id, kind, call.request.now)
    };
    match id {
        "" => Err(Refusal::new(41006)),
        _ if call.settings.any_media || is_good() => Ok(()),
        _ => Err(Refusal::new(40007)),
    }
}
