//! Serves the rules to those who edit them: the directory, revisions, drafts, single rules.
//! Owns: parameters and their limits. Uses: the keeper of the rules, store. Never: writes a file; decides what is good.
//!
//! A token's accounts do not restrict these: a rule file speaks for any account.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Data, Json, Path, Payload};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::rule_shapes::{
    ChangedFileShape, DifferenceShape, KeptFileShape, Publish, PublishedShape, RevisionFilesShape,
    RevisionShape, RevisionsShape, Rollback, RuleFileShape, RulesShape,
};
use super::shapes::ProblemShape;
use super::{json_body, json_body_up_to};
use crate::model::audit::What;
use crate::model::media::{from_hex, hex};
use crate::model::{FileChanges, RuleFiles};
use crate::rules::difference::{count, unified};
use crate::server::Site;
use crate::server::access::{Caller, Operator, Viewer};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::server::rules::{Draft, Keeper, Published, Refused, State};
use crate::store::Revision;

/// The most a draft may have.
const DRAFT_LIMIT: usize = 16 << 20;
/// The longest name of an author, in characters.
const AUTHOR_LENGTH: usize = 64;
/// The word for what the directory holds now, where a revision may stand.
const DIRECTORY: &str = "directory";

/// Says what the directory holds, and what runs. A token's accounts do not restrict what it may do with rules.
#[utoipa::path(
    get, path = "/rules", operation_id = "showRules",
    responses(
        (status = 200, body = RulesShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn show(Viewer(_): Viewer, site: Data<Site>) -> Json<RulesShape> {
    let standing = site.keeper.standing();
    let mut files: BTreeMap<&str, RuleFileShape> = BTreeMap::new();
    let file = |path: &str, rules| RuleFileShape {
        path: path.to_owned(),
        rules,
        diagnostics: Vec::new(),
    };
    for summary in &standing.files {
        files.insert(&summary.path, file(&summary.path, summary.rules));
    }
    let of_media = site.media.remarks();
    for remark in standing.diagnostics.iter().chain(&of_media) {
        let path = &*remark.place.file;
        let of = files.entry(path).or_insert_with(|| file(path, 0));
        of.diagnostics.push(remark.clone());
    }
    Json(RulesShape {
        revision: site.keeper.active().revision,
        loaded_at: standing.loaded_at,
        state: match standing.state {
            State::Live => "live",
            State::Broken => "broken",
            State::Pinned => "pinned",
        },
        directory_hash: hex(&standing.digest),
        problem: standing.problem.clone(),
        files: files.into_values().collect(),
    })
}

/// Lists the revisions that are kept, newest first.
#[utoipa::path(
    get, path = "/rules/revisions", operation_id = "listRevisions",
    responses(
        (status = 200, body = RevisionsShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn revisions(
    Viewer(_): Viewer,
    site: Data<Site>,
) -> Result<Json<RevisionsShape>, Problem> {
    let running = site.keeper.active().revision;
    let revisions = site.store.revisions().await?;
    let revisions = revisions
        .into_iter()
        .map(|revision| revision_shape(revision, running))
        .collect();
    Ok(Json(RevisionsShape { revisions }))
}

/// Shows a revision with its files.
#[utoipa::path(
    get, path = "/rules/revisions/{revision}", operation_id = "showRevision",
    params(("revision" = u64, Path)),
    responses(
        (status = 200, body = RevisionFilesShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn revision(
    Viewer(_): Viewer,
    site: Data<Site>,
    number: Path<String>,
) -> Result<Json<RevisionFilesShape>, Problem> {
    let number = revision_number(&number)?;
    let missing = || Problem::from(Refused::NoRevision(number));
    let all = site.store.revisions().await?;
    let revision = all
        .into_iter()
        .find(|revision| revision.revision == number)
        .ok_or_else(missing)?;
    let files = site.store.revision_files(number).await?;
    let files = files.ok_or_else(missing)?.0;
    let files = spawn_blocking(move || files.into_iter().map(kept_file).collect()).await;
    Ok(Json(RevisionFilesShape {
        revision: revision_shape(revision, site.keeper.active().revision),
        files: files.map_err(|_panicked| Refused::Panicked)?,
    }))
}

fn kept_file((path, bytes): (String, Bytes)) -> KeptFileShape {
    KeptFileShape {
        path,
        bytes: bytes.len(),
        sha256: hex(&Sha256::digest(&bytes).into()),
        text: String::from_utf8(bytes.into()).ok(),
    }
}

/// Compares two revisions, or a revision and the directory (`directory`).
#[utoipa::path(
    get, path = "/rules/revisions/{from}/diff/{to}", operation_id = "compareRevisions",
    params(("from" = String, Path), ("to" = String, Path)),
    responses(
        (status = 200, body = DifferenceShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn difference(
    Viewer(_): Viewer,
    site: Data<Site>,
    sides: Path<(String, String)>,
) -> Result<Json<DifferenceShape>, Problem> {
    let (from, to) = sides.into_inner();
    let (old, new) = (side(&site, &from).await?, side(&site, &to).await?);
    let compared = spawn_blocking(move || compare(&old, &new)).await;
    Ok(Json(DifferenceShape {
        files: compared.map_err(|_panicked| Refused::Panicked)?,
    }))
}

/// Brings a revision back: its files are written and it runs. Where the directory cannot be written the revision is
/// pinned: it runs until the directory's content changes.
#[utoipa::path(
    post, path = "/rules/rollback", operation_id = "rollBackRules",
    request_body = Rollback,
    responses(
        (status = 200, body = PublishedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn roll_back(
    Operator(caller): Operator,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<PublishedShape>, Problem> {
    let Rollback { revision } = json_body(&request, payload).await?;
    let by = author(&caller, None)?;
    let change = |keeper: Arc<Keeper>, turn| keeper.roll_back(turn, revision, by);
    let done = site.keeper.in_turn(change).await?;
    let did = Did::to(What::RulesRolledBack, format!("revision {revision}"));
    recorded(&site, &caller, &request, did, done).await
}

/// Lays files over the directory, if the whole compiles and its tests pass: nothing is written before that is known.
#[utoipa::path(
    post, path = "/rules/publish", operation_id = "publishRules",
    request_body = Publish,
    responses(
        (status = 200, body = PublishedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn publish(
    Operator(caller): Operator,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<PublishedShape>, Problem> {
    let Publish {
        files,
        delete,
        replace,
        base,
        author: by,
    } = json_body_up_to(&request, payload, DRAFT_LIMIT).await?;
    let mut changes: FileChanges = delete.into_iter().map(|path| (path, None)).collect();
    for (path, text) in files {
        if changes.insert(path.clone(), Some(text.into())).is_some() {
            let detail = format!("{path:?} is both in `files` and in `delete`");
            return Err(Problem::new(Code::BadRequest, detail));
        }
    }
    let made_for = base.as_deref().map(|base| digest("base", base));
    let draft = Draft {
        made_for: made_for.transpose()?,
        changes,
        is_whole: replace,
    };
    let by = author(&caller, by.as_deref())?;
    let paths: Vec<String> = draft.changes.keys().cloned().collect();
    let change = |keeper: Arc<Keeper>, turn| keeper.publish(turn, draft, by);
    let done = site.keeper.in_turn(change).await?;
    let did = Did::to(What::RulesPublished, paths.join(", "));
    recorded(&site, &caller, &request, did, done).await
}

/// Writes down a change of the rules, and says what it led to.
pub(super) async fn recorded(
    site: &Site,
    caller: &Caller,
    request: &HttpRequest,
    did: Did,
    done: Published,
) -> Result<Json<PublishedShape>, Problem> {
    let after = json!({"revision": done.revision, "directory_hash": hex(&done.digest)});
    site.audit(caller, request, did.after(after)).await?;
    Ok(published(done))
}

/// What a change led to, as callers read it.
fn published(done: Published) -> Json<PublishedShape> {
    let Published {
        revision,
        digest,
        diagnostics,
        pinned,
    } = done;
    Json(PublishedShape {
        revision,
        directory_hash: hex(&digest),
        pinned: pinned.is_some(),
        problem: pinned,
        diagnostics,
    })
}

/// Under whose name a change is kept: the token's, and before it the name of the person who used it, if told.
pub(super) fn author(caller: &Caller, person: Option<&str>) -> Result<String, Problem> {
    let Some(person) = person.map(str::trim).filter(|person| !person.is_empty()) else {
        return Ok(caller.name.to_string());
    };
    if person.chars().count() > AUTHOR_LENGTH || person.chars().any(char::is_control) {
        let detail =
            format!("`author` has at most {AUTHOR_LENGTH} characters, all of them visible");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    Ok(format!("{person} ({})", caller.name))
}

/// A SHA-256 as people write it.
pub(super) fn digest(name: &str, text: &str) -> Result<[u8; 32], Problem> {
    let digest = from_hex(&text.to_ascii_lowercase());
    digest.ok_or_else(|| {
        let detail = format!("`{name}` is a SHA-256: 64 hexadecimal digits");
        Problem::new(Code::BadRequest, detail)
    })
}

fn revision_shape(revision: Revision, running: Option<u64>) -> RevisionShape {
    let Revision {
        revision,
        hash,
        at,
        author,
        ..
    } = revision;
    RevisionShape {
        active: running == Some(revision),
        revision,
        hash,
        at,
        author,
    }
}

fn revision_number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_not_a_number| Problem::not_found())
}

/// The files of a revision, or of the directory.
async fn side(site: &Site, name: &str) -> Result<RuleFiles, Problem> {
    if name == DIRECTORY {
        let files = site.keeper.directory_files().await?;
        return Ok(files.map_err(Refused::Unreadable)?);
    }
    let number = revision_number(name)?;
    let files = site.store.revision_files(number).await?;
    Ok(files.ok_or(Refused::NoRevision(number))?)
}

fn compare(old: &RuleFiles, new: &RuleFiles) -> Vec<ChangedFileShape> {
    let changed = old.changes_to(new).into_iter().map(|(path, bytes)| {
        let before = old.find(&path);
        let change = match (&before, &bytes) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let text = |bytes: Option<&Bytes>| {
            std::str::from_utf8(bytes.map_or(&[], |bytes| &bytes[..])).map(str::to_owned)
        };
        let (added, removed, diff) = match (text(before), text(bytes.as_ref())) {
            (Ok(before), Ok(after)) => {
                let (added, removed) = count(&before, &after);
                (added, removed, Some(unified(&path, &before, &after)))
            }
            _ => (0, 0, None),
        };
        ChangedFileShape {
            path,
            change,
            added,
            removed,
            diff,
        }
    });
    changed.collect()
}
