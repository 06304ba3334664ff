//! Serves users: adds, lists, changes and disables them, sets passwords, says who calls.
//! Owns: parameters and their limits, who may touch whom. Uses: store, people. Never: decides what change is legal; removes a user.

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::json_body;
use super::people_shapes::{
    AddedUserShape, ChangeUser, ChangedPasswordShape, ChangedUserShape, MeShape, NewPassword,
    NewUser, UserShape, UsersShape,
};
use super::shapes::ProblemShape;
use crate::model::audit::What;
use crate::model::people::{NAME_RULE, SHOWN_LENGTH, folded, user_name};
use crate::model::{AccountName, AgentName, Role, User, UserChange, UserEdit};
use crate::server::access::{Admin, Caller, Known, Lead, Needs};
use crate::server::error::{Code, Problem};
use crate::server::people::{Did, made_up};
use crate::server::{Site, body};
use crate::store::{ChangedUser, Query};

/// How many conversations are named that somebody gives back.
const HANDED_OVER: usize = 200;

/// Says who calls.
#[utoipa::path(
    get, path = "/me", operation_id = "showMe",
    responses(
        (status = 200, body = MeShape),
        (status = 401, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn me(Known(caller): Known) -> Json<MeShape> {
    Json(MeShape {
        kind: if caller.user().is_some() {
            "user"
        } else {
            "token"
        },
        user: caller.user().cloned().map(|user| UserShape::new(user, &[])),
        session: caller.session().cloned().map(Into::into),
        name: caller.name,
        role: caller.role,
        lead: caller.is_lead,
        accounts: caller.accounts,
    })
}

/// Lists users, disabled ones too: for leads, those with whom they share an account.
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers",
    responses(
        (status = 200, body = UsersShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Lead(caller): Lead,
    site: Data<Site>,
) -> Result<Json<UsersShape>, Problem> {
    let users = site.store.users().await?.into_iter();
    let users = users
        .filter(|user| shares(&caller, user))
        .map(|user| UserShape::new(user, &caller.accounts))
        .collect();
    Ok(Json(UsersShape { users }))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/users/{name}", operation_id = "showUser",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = UserShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn show(
    Lead(caller): Lead,
    site: Data<Site>,
    name: Path<String>,
) -> Result<Json<UserShape>, Problem> {
    let user = found(&site, &name).await?;
    if !shares(&caller, &user) {
        return Err(no_user());
    }
    Ok(Json(UserShape::new(user, &caller.accounts)))
}

/// Adds a user. Without a password one is made, shown this once: it is good for one day, and for setting another.
#[utoipa::path(
    post, path = "/users", operation_id = "addUser",
    request_body = NewUser,
    responses(
        (status = 201, body = AddedUserShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 429, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn add(
    Admin(caller): Admin,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    caller.must_reach_all()?;
    let wanted: NewUser = json_body(&request, payload).await?;
    let name = user_name(&wanted.name)
        .ok_or_else(|| Problem::new(Code::BadRequest, format!("a user's name is {NAME_RULE}")))?;
    let shown = wanted.shown.as_deref().unwrap_or(name.as_str());
    let (shown, accounts) = (legible(shown)?, known(&site, &wanted.accounts)?);
    if site.store.user(&name).await?.is_some() {
        return Err(taken(&name));
    }
    let now = site.clock.now();
    let (given, made) = given_or_made(wanted.password);
    let is_initial = wanted.must_change.unwrap_or(made.is_some());
    let password = site.people.password(name.as_str(), &given, is_initial, now);
    let user = User {
        password: password.await?,
        name,
        shown,
        role: wanted.role,
        is_lead: wanted.lead,
        accounts,
        is_disabled: false,
        is_on_duty: false,
        duty_since: now,
        created_at: now,
        epoch: 0,
    };
    if !site.store.add_user(user.clone()).await? {
        return Err(taken(&user.name));
    }
    let did = Did::to(What::UserAdded, user.name.as_str()).after(facts(&user));
    site.audit(&caller, &request, did).await?;
    Ok(HttpResponse::Created().json(AddedUserShape {
        user: UserShape::new(user, &[]),
        initial_password: made,
    }))
}

/// Changes a user. With another role or lead, and when disabled, all their sessions end.
#[utoipa::path(
    patch, path = "/users/{name}", operation_id = "changeUser",
    params(("name" = String, Path)), request_body = ChangeUser,
    responses(
        (status = 200, body = ChangedUserShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn change(
    Admin(caller): Admin,
    site: Data<Site>,
    name: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ChangedUserShape>, Problem> {
    caller.must_reach_all()?;
    let wanted: ChangeUser = json_body(&request, payload).await?;
    let edit = UserEdit {
        shown: wanted.shown.as_deref().map(legible).transpose()?,
        role: wanted.role,
        is_lead: wanted.lead,
        accounts: wanted
            .accounts
            .as_deref()
            .map(|accounts| known(&site, accounts))
            .transpose()?,
        is_disabled: wanted.disabled,
    };
    edited(&site, &caller, &request, &name, edit).await
}

/// Disables a user: their sessions end at once, they go off duty. They stay known; `PATCH` with `disabled` enables them again.
#[utoipa::path(
    delete, path = "/users/{name}", operation_id = "disableUser",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ChangedUserShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn disable(
    Admin(caller): Admin,
    site: Data<Site>,
    name: Path<String>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<Json<ChangedUserShape>, Problem> {
    caller.must_reach_all()?;
    body::discard(&mut payload).await;
    let edit = UserEdit {
        is_disabled: Some(true),
        ..UserEdit::default()
    };
    edited(&site, &caller, &request, &name, edit).await
}

/// Sets a password: one's own with the one so far, or as admin somebody else's. All sessions of the user end, the caller's
/// own too.
#[utoipa::path(
    post, path = "/users/{name}/password", operation_id = "setPassword",
    params(("name" = String, Path)), request_body = NewPassword,
    responses(
        (status = 200, body = ChangedPasswordShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 429, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn set_password(
    Known(caller): Known,
    site: Data<Site>,
    name: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ChangedPasswordShape>, Problem> {
    let is_own = caller
        .user()
        .is_some_and(|user| folded(user.name.as_str()) == folded(&name));
    if !is_own {
        site.access
            .permit(&caller, Needs::Role(Role::Admin))
            .await?;
        caller.must_reach_all()?;
    }
    let NewPassword {
        old,
        new,
        must_change,
    } = json_body(&request, payload).await?;
    let user = if is_own {
        proven_own(&site, &caller, &request, old, new.as_ref()).await?
    } else {
        found(&site, &name).await?
    };
    let now = site.clock.now();
    let (given, made) = given_or_made(new);
    let is_initial = !is_own && must_change.unwrap_or(made.is_some());
    let password = site
        .people
        .password(user.name.as_str(), &given, is_initial, now);
    let change = UserChange::Password(password.await?);
    site.store.change_user(&user.name, change, now).await?;
    let did = Did::to(What::PasswordSet, user.name.as_str());
    let did = did.after(json!({"must_change": is_initial}));
    site.audit(&caller, &request, did).await?;
    Ok(Json(ChangedPasswordShape {
        initial_password: made,
    }))
}

/// The caller, who gave the password so far again.
async fn proven_own(
    site: &Site,
    caller: &Caller,
    request: &HttpRequest,
    old: Option<SecretString>,
    new: Option<&SecretString>,
) -> Result<User, Problem> {
    let (Some(old), Some(new)) = (old, new) else {
        let detail = "give `old` and `new`";
        return Err(Problem::new(Code::BadRequest, detail));
    };
    if old.expose_secret() == new.expose_secret() {
        let detail = "新密码和旧的一样 | the new password is the old one";
        return Err(Problem::new(Code::WeakPassword, detail));
    }
    super::sessions::proven(site, request, caller.name.as_str(), old).await
}

/// The password given, or one made up with its text to show.
fn given_or_made(given: Option<SecretString>) -> (SecretString, Option<String>) {
    given.map_or_else(
        || {
            let made = made_up();
            let text = made.expose_secret().to_owned();
            (made, Some(text))
        },
        |given| (given, None),
    )
}

async fn edited(
    site: &Site,
    caller: &Caller,
    request: &HttpRequest,
    name: &str,
    edit: UserEdit,
) -> Result<Json<ChangedUserShape>, Problem> {
    let name = user_name(name).ok_or_else(no_user)?;
    let change = UserChange::Edit(edit);
    let now = site.clock.now();
    let is_leaving = matches!(&change, UserChange::Edit(edit) if edit.is_disabled == Some(true));
    let conversations = match is_leaving {
        true => owned(site, &name).await?,
        false => Vec::new(),
    };
    let ChangedUser { before, after } = site.store.change_user(&name, change, now).await?;
    if before != after {
        let what = match (before.is_disabled, after.is_disabled) {
            (false, true) => What::UserDisabled,
            (true, false) => What::UserEnabled,
            _ => What::UserChanged,
        };
        let did = Did::to(what, after.name.as_str())
            .before(facts(&before))
            .after(facts(&after));
        // Whoever was disabled is off the roster, whatever becomes of the record.
        let listed = site.people.roster.changed(&before, &after).await;
        site.audit(caller, request, did).await?;
        listed?;
    }
    Ok(Json(ChangedUserShape {
        user: UserShape::new(after, &[]),
        conversations,
    }))
}

/// The conversations that somebody has, for whoever takes over.
async fn owned(site: &Site, name: &AgentName) -> Result<Vec<String>, Problem> {
    let query = Query {
        owner: Some(name.clone()),
        limit: HANDED_OVER,
        ..Query::default()
    };
    let page = site.store.conversations(&query).await?;
    let ids = page.conversations.iter().map(|known| known.id.to_string());
    Ok(ids.collect())
}

/// What is written down about a user.
fn facts(user: &User) -> Value {
    json!({
        "shown": user.shown, "role": user.role, "lead": user.is_lead, "accounts": user.accounts,
        "disabled": user.is_disabled,
    })
}

/// Whether the caller and the user reach an account in common.
pub(super) fn shares(caller: &Caller, user: &User) -> bool {
    user.accounts.is_empty()
        || caller.accounts.is_empty()
        || user.accounts.iter().any(|account| caller.reaches(account))
}

/// The user of this name, whatever its case.
pub(super) async fn found(site: &Site, name: &str) -> Result<User, Problem> {
    let name = user_name(name).ok_or_else(no_user)?;
    site.store.user(&name).await?.ok_or_else(no_user)
}

pub(super) fn no_user() -> Problem {
    Problem::new(Code::NotFound, "there is no such user")
}

fn taken(name: &AgentName) -> Problem {
    Problem::new(Code::Taken, format!("there is a user {name} already"))
}

fn known(site: &Site, accounts: &[String]) -> Result<Vec<AccountName>, Problem> {
    let known: Result<Vec<AccountName>, Problem> =
        accounts.iter().map(|account| site.known(account)).collect();
    let mut known = known?;
    known.sort_unstable();
    known.dedup();
    Ok(known)
}

fn legible(shown: &str) -> Result<Box<str>, Problem> {
    let shown = shown.trim();
    let is_good = !shown.is_empty()
        && shown.chars().count() <= SHOWN_LENGTH
        && !shown.chars().any(char::is_control);
    if is_good {
        Ok(shown.into())
    } else {
        let detail = format!("`shown` has 1 to {SHOWN_LENGTH} characters, all of them visible");
        Err(Problem::new(Code::BadRequest, detail))
    }
}
