//! Tells who follows the account, without names or pictures, as since December 2021.
//! Owns: the shape of user information. Uses: the platform's memory. Never: changes it.

use serde_json::json;

use super::{Answer, Call, Outcome};

/// `user/get` gives this many openids at once.
const PAGE: usize = 10_000;

/// `GET /cgi-bin/user/info?openid=…`.
pub(super) fn one(call: &Call<'_>) -> Outcome {
    let openid = call.request.query("openid");
    let mut memory = call.office.memory.lock();
    let person = memory.person(openid)?;
    if !person.following {
        return Ok(Answer::Json(json!({"subscribe": 0, "openid": openid})));
    }
    let through_code = !person.scene.is_empty();
    Ok(Answer::Json(json!({
        "subscribe": 1,
        "openid": openid,
        "nickname": "",
        "sex": 0,
        "language": "zh_CN",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": person.followed_at.seconds(),
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": if through_code { "ADD_SCENE_QR_CODE" } else { "ADD_SCENE_SEARCH" },
        "qr_scene": person.scene.parse::<u32>().unwrap_or(0),
        "qr_scene_str": person.scene,
    })))
}

/// `GET /cgi-bin/user/get?next_openid=…`: those who follow, after that openid.
pub(super) fn list(call: &Call<'_>) -> Outcome {
    let after = call.request.query("next_openid");
    let memory = call.office.memory.lock();
    let followers = || {
        let people = memory.people.iter();
        people
            .filter(|(_, person)| person.following)
            .map(|(openid, _)| openid)
    };
    let page: Vec<_> = followers()
        .filter(|openid| openid.as_str() > after)
        .take(PAGE)
        .collect();
    Ok(Answer::Json(json!({
        "total": followers().count(),
        "count": page.len(),
        "next_openid": page.last().map_or("", |openid| openid),
        "data": {"openid": page},
    })))
}
