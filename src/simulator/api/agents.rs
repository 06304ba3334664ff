//! Plays Tencent's own customer-service desk: agents, sessions, the queue.
//! Owns: who has a follower. Uses: the platform's memory. Never: our console's agents, which WeChat does not know.

use serde_json::{Value, json};

use super::super::account::{Agent, Desk};
use super::super::delivery::announce;
use super::super::refusal::Refusal;
use super::{Answer, Call, Outcome};

/// `GET /cgi-bin/customservice/getkflist`.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of calls")]
pub(super) fn list(call: &Call<'_>) -> Outcome {
    let rows = numbered(&call.settings.agents).map(|(id, agent)| {
        json!({"kf_account": agent.account, "kf_nick": agent.nick, "kf_id": id, "kf_headimg": ""})
    });
    Ok(Answer::Json(json!({"kf_list": rows.collect::<Vec<_>>()})))
}

/// `GET /cgi-bin/customservice/getonlinekflist`.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of calls")]
pub(super) fn online(call: &Call<'_>) -> Outcome {
    let memory = call.office.memory.lock();
    let cases = |agent: &Agent| {
        let people = memory.people.values();
        people
            .filter(|person| person.agent(call.request.now) == Some(&agent.account))
            .count()
    };
    let there = numbered(&call.settings.agents).filter(|(_, agent)| agent.online);
    let rows = there.map(|(id, agent)| {
        json!({"kf_account": agent.account, "status": 1, "kf_id": id, "accepted_case": cases(agent)})
    });
    Ok(Answer::Json(
        json!({"kf_online_list": rows.collect::<Vec<_>>()}),
    ))
}

fn numbered(agents: &[Agent]) -> impl Iterator<Item = (String, &Agent)> {
    (1001..).map(|id: u32| id.to_string()).zip(agents)
}

/// `POST /customservice/kfsession/create`. From then on the follower's messages go to the agent, not to the callback.
pub(super) fn create(call: &Call<'_>) -> Outcome {
    let (agent, openid) = parties(call)?;
    let now = call.request.now;
    let found = call.settings.agents.iter().find(|one| one.account == agent);
    let online = found.ok_or(Refusal::new(65401))?.online;
    {
        let mut memory = call.office.memory.lock();
        let person = memory.person(&openid)?;
        match person.agent(now) {
            Some(holder) if holder == agent => return Ok(Answer::ok()),
            Some(_other) => return Err(Refusal::new(65414)),
            None if !online => return Err(Refusal::new(65415)),
            None => {}
        }
        person.desk = Desk::With {
            agent: agent.clone(),
            created: now,
            last: now,
        };
    }
    announce(
        call.platform,
        call.office,
        &openid,
        "kf_create_session",
        &agent,
    );
    Ok(Answer::ok())
}

/// `POST /customservice/kfsession/close`.
pub(super) fn close(call: &Call<'_>) -> Outcome {
    let (agent, openid) = parties(call)?;
    {
        let mut memory = call.office.memory.lock();
        let person = memory.person(&openid)?;
        match person.agent(call.request.now) {
            Some(holder) if holder == agent => person.desk = Desk::None,
            Some(_other) => return Err(Refusal::new(65414)),
            None => return Err(Refusal::new(65413)),
        }
    }
    announce(
        call.platform,
        call.office,
        &openid,
        "kf_close_session",
        &agent,
    );
    Ok(Answer::ok())
}

fn parties(call: &Call<'_>) -> Result<(String, String), Refusal> {
    let asked = call.request.json()?;
    let field = |name| asked.get(name).and_then(Value::as_str).unwrap_or("");
    if field("kf_account").is_empty() {
        return Err(Refusal::new(65401));
    }
    Ok((field("kf_account").to_owned(), field("openid").to_owned()))
}

/// `GET /customservice/kfsession/getsession?openid=…`.
pub(super) fn session(call: &Call<'_>) -> Outcome {
    let mut memory = call.office.memory.lock();
    let person = memory.person(call.request.query("openid"))?;
    let answer = match (&person.desk, person.agent(call.request.now)) {
        (Desk::With { agent, created, .. }, Some(_)) => {
            json!({"createtime": created.seconds(), "kf_account": agent})
        }
        _ => json!({"createtime": 0, "kf_account": ""}),
    };
    Ok(Answer::Json(answer))
}

/// `GET /customservice/kfsession/getsessionlist?kf_account=…`.
pub(super) fn sessions(call: &Call<'_>) -> Outcome {
    let wanted = call.request.query("kf_account");
    if wanted.is_empty() {
        return Err(Refusal::new(65401));
    }
    let memory = call.office.memory.lock();
    let rows = memory.people.iter().filter_map(|(openid, person)| {
        match (&person.desk, person.agent(call.request.now)) {
            (Desk::With { created, .. }, Some(agent)) if agent == wanted => {
                Some(json!({"createtime": created.seconds(), "openid": openid}))
            }
            _ => None,
        }
    });
    Ok(Answer::Json(
        json!({"sessionlist": rows.collect::<Vec<_>>()}),
    ))
}

/// `GET /customservice/kfsession/getwaitcase`: at most 100.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of calls")]
pub(super) fn waiting(call: &Call<'_>) -> Outcome {
    let memory = call.office.memory.lock();
    let queue: Vec<_> = memory
        .people
        .iter()
        .filter_map(|(openid, person)| match person.desk {
            Desk::Waiting { since } => {
                Some(json!({"latest_time": since.seconds(), "openid": openid}))
            }
            Desk::None | Desk::With { .. } => None,
        })
        .collect();
    let shown: Vec<_> = queue.iter().take(100).collect();
    Ok(Answer::Json(
        json!({"count": queue.len(), "waitcaselist": shown}),
    ))
}
