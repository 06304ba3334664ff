//! Serves duty: who is there to answer, and who comes or goes.
//! Owns: who may say so for whom. Uses: store, people. Never: gives anybody a conversation.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};

use super::json_body;
use super::people_shapes::{DutyShape, PresentShape, SetDuty, UserShape, visible};
use super::shapes::ProblemShape;
use super::users::{found, no_user, shares};
use crate::model::audit::What;
use crate::model::people::folded;
use crate::model::{User, UserChange};
use crate::server::Site;
use crate::server::access::{Agent, Caller, Needs, Viewer};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::store::ChangedUser;

/// Lists who is there to answer: those with whom the caller shares an account.
#[utoipa::path(
    get, path = "/duty", operation_id = "listDuty",
    responses(
        (status = 200, body = DutyShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Viewer(caller): Viewer,
    site: Data<Site>,
) -> Result<Json<DutyShape>, Problem> {
    let users = site.store.users().await?.into_iter();
    let now = site.people.roster.now();
    let load = |user: &User| {
        let present = now.people.iter().find(|who| who.name == user.name);
        present.map_or(0, |who| who.load)
    };
    let people = users
        .filter(|user| user.is_on_duty && shares(&caller, user))
        .map(|user| PresentShape {
            conversations: load(&user),
            name: user.name,
            shown: user.shown,
            accounts: visible(user.accounts, &caller.accounts),
            since: user.duty_since,
        })
        .collect();
    Ok(Json(DutyShape { people }))
}

/// Says that somebody comes or goes: the caller, or as lead another user all of whose accounts the caller reaches.
#[utoipa::path(
    post, path = "/duty", operation_id = "setDuty",
    request_body = SetDuty,
    responses(
        (status = 200, body = UserShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn set(
    Agent(caller): Agent,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<UserShape>, Problem> {
    let SetDuty { on, user } = json_body(&request, payload).await?;
    let user = meant(&site, &caller, user.as_deref()).await?;
    let change = UserChange::Duty { on };
    let now = site.clock.now();
    let ChangedUser { before, after } = site.store.change_user(&user.name, change, now).await?;
    if before != after {
        let what = if on { What::DutyOn } else { What::DutyOff };
        let listed = site.people.roster.changed(&before, &after).await;
        let did = Did::to(what, after.name.as_str());
        site.audit(&caller, &request, did).await?;
        listed?;
    }
    Ok(Json(UserShape::new(after, &caller.accounts)))
}

/// The user whom a caller may send on and off duty.
async fn meant(site: &Site, caller: &Caller, name: Option<&str>) -> Result<User, Problem> {
    let own = caller.user();
    let is_own = |name: &str| own.is_some_and(|own| folded(own.name.as_str()) == folded(name));
    match (name, own) {
        (None, Some(own)) => Ok(own.clone()),
        (None, None) => {
            let detail = "an API token is not on duty; name a `user`";
            Err(Problem::new(Code::NoDuty, detail))
        }
        (Some(name), _) if is_own(name) => found(site, name).await,
        (Some(name), _) => {
            site.access.permit(caller, Needs::Lead).await?;
            let user = found(site, name).await?;
            if !shares(caller, &user) {
                return Err(no_user());
            }
            let reaches_all = caller.accounts.is_empty()
                || !user.accounts.is_empty()
                    && user.accounts.iter().all(|account| caller.reaches(account));
            if !reaches_all {
                let detail = "this user answers for accounts that you do not reach";
                return Err(Problem::new(Code::Forbidden, detail));
            }
            Ok(user)
        }
    }
}
