//! Serves incidents: what many followers say at once, and what people answer to it.
//! Owns: the requests and their limits. Uses: store, model. Never: decides what an incident is.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::json_body;
use super::shapes::ProblemShape;
use crate::model::Time;
use crate::model::audit::What;
use crate::model::incident::{Incident, IncidentEdit, WORDS_LIMIT};
use crate::server::Site;
use crate::server::access::{Agent, Caller, Viewer};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;

/// Incidents, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Incidents)]
pub(super) struct IncidentsShape {
    incidents: Vec<IncidentShape>,
}

/// Something that many followers say.
#[derive(Serialize, ToSchema)]
#[schema(as = Incident)]
pub(super) struct IncidentShape {
    id: String,
    #[schema(value_type = String, format = "date-time")]
    at: Time,
    /// `urgent` for words of danger, else `high`.
    priority: String,
    /// The words of danger by their name.
    #[schema(required)]
    about: Option<String>,
    /// How many followers had said it when it became an incident.
    followers: u32,
    accounts: Vec<String>,
    /// Some of their conversations.
    conversations: Vec<String>,
    /// What colleagues should know.
    note: String,
    /// What everybody may answer.
    answer: String,
    /// Who wrote that last.
    #[schema(required)]
    written_by: Option<String>,
    /// Who said that it is over.
    #[schema(required)]
    closed_by: Option<String>,
}

/// What is to be different; what is left out stays.
#[derive(Deserialize, ToSchema)]
pub(super) struct EditIncident {
    /// At most 2047 bytes.
    #[schema(value_type = Option<String>)]
    note: Option<Box<str>>,
    /// At most 2047 bytes.
    #[schema(value_type = Option<String>)]
    answer: Option<Box<str>>,
    /// Whether it is over.
    closed: Option<bool>,
}

impl From<Incident> for IncidentShape {
    fn from(incident: Incident) -> Self {
        let by = |who: Option<(crate::model::AgentName, Time)>| who.map(|(who, _)| who.to_string());
        Self {
            id: incident.id.to_string(),
            at: incident.at,
            priority: match json!(incident.priority) {
                Value::String(word) => word,
                _ => String::new(),
            },
            about: incident.about.map(|about| about.to_string()),
            followers: incident.followers,
            accounts: incident.accounts.iter().map(ToString::to_string).collect(),
            conversations: incident
                .conversations
                .iter()
                .map(ToString::to_string)
                .collect(),
            note: incident.note.into(),
            answer: incident.answer.into(),
            written_by: by(incident.written),
            closed_by: by(incident.closed),
        }
    }
}

fn reaches(caller: &Caller, incident: &Incident) -> bool {
    incident
        .accounts
        .iter()
        .any(|account| caller.reaches(account))
}

/// Lists incidents, the newest first, at most 200.
#[utoipa::path(
    get, path = "/incidents", operation_id = "listIncidents",
    responses(
        (status = 200, body = IncidentsShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Viewer(caller): Viewer,
    site: Data<Site>,
) -> Result<Json<IncidentsShape>, Problem> {
    let all = site.store.incidents().await?.into_iter();
    let seen = all.filter(|incident| reaches(&caller, incident));
    Ok(Json(IncidentsShape {
        incidents: seen.map(IncidentShape::from).collect(),
    }))
}

/// Writes the note for colleagues or the answer for everybody, or says that it is over.
#[utoipa::path(
    patch, path = "/incidents/{id}", operation_id = "editIncident",
    params(("id" = String, Path)), request_body = EditIncident,
    responses(
        (status = 200, body = IncidentShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn edit(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<IncidentShape>, Problem> {
    let EditIncident {
        note,
        answer,
        closed,
    } = json_body(&request, payload).await?;
    for words in [&note, &answer].into_iter().flatten() {
        if words.len() > WORDS_LIMIT {
            let detail = format!("at most {WORDS_LIMIT} bytes");
            return Err(Problem::new(Code::TooLong, detail));
        }
    }
    let edit = IncidentEdit {
        note,
        answer,
        is_closed: closed,
    };
    let known = site.store.incidents().await?.into_iter();
    let mut known = known.filter(|incident| reaches(&caller, incident));
    let no_incident = || Problem::new(Code::NotFound, "there is no such incident");
    let wanted = known
        .find(|incident| incident.id.to_string() == *id)
        .ok_or_else(no_incident)?;
    let now = site.clock.now();
    let edited = site
        .store
        .edit_incident(wanted.id, edit, &caller.name, now)
        .await?;
    let (before, after) = edited.ok_or_else(no_incident)?;
    let words = |incident: &Incident| {
        json!({
            "note_bytes": incident.note.len(),
            "answer_bytes": incident.answer.len(),
            "closed": incident.closed.is_some(),
        })
    };
    let did = Did::to(What::IncidentEdited, after.id.to_string());
    let did = did.before(words(&before)).after(words(&after));
    site.audit(&caller, &request, did).await?;
    Ok(Json(after.into()))
}
