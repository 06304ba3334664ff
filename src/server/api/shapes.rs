//! Describes the JSON that the API takes and gives.
//! Owns: field names and types of version 1. Uses: model. Never: fields that only the store needs.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rule_shapes::{DiagnosticShape, FileConflictShape};
use crate::model::Conversation;
use crate::model::desk::DeskSettings;
use crate::model::entry::{Outcome, Priority, Reason};
use crate::model::message::PushError;
use crate::model::{
    AccountName, AgentName, ApiToken, By, ConversationId, Delivery, Direction, Message, MessageId,
    OpenId, Role, RuleId, State, Time,
};
use crate::rules::Diagnostic;
use crate::server::rules::FileConflict;

/// One conversation without its history.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(super) struct ConversationShape {
    /// UUIDv7.
    #[schema(value_type = String, format = "uuid")]
    id: ConversationId,
    #[schema(value_type = String)]
    account: AccountName,
    /// The follower's openid.
    #[schema(value_type = String)]
    follower: OpenId,
    /// What to call the follower, who has no name here: `粉丝 7F3A`.
    alias: String,
    #[schema(inline, value_type = StateWord)]
    state: State,
    #[schema(inline, value_type = PriorityWord)]
    priority: Priority,
    /// Why a person is asked.
    #[schema(required, inline, value_type = Option<ReasonWord>)]
    reason: Option<Reason>,
    /// What the rule that handed over says about it.
    #[schema(required)]
    reason_note: Option<String>,
    /// Who has claimed it: `token:NAME` for an API token.
    #[schema(required, value_type = Option<String>)]
    owner: Option<AgentName>,
    /// Until when something can still be pushed to the follower.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    window_until: Option<Time>,
    /// How many pushes WeChat still allows.
    quota_left: u8,
    /// What opened the window, and what was sent of it; `null` when it is shut.
    #[schema(required)]
    window: Option<WindowShape>,
    /// What WeChat last said against this forecast: 45015 (shut) or 45047 (used up).
    #[schema(required)]
    window_refused: Option<RefusedShape>,
    /// Since when a person's answer is owed.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    asked_at: Option<Time>,
    /// Until when a person has promised to answer, or can.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    answer_due: Option<Time>,
    /// Whether that time has passed.
    breached: bool,
    /// Whether an episode ended without an answer and nobody has acknowledged that.
    missed: bool,
    /// Until when it is put off.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    snoozed_until: Option<Time>,
    /// What colleagues call the follower.
    #[schema(required, value_type = Option<String>)]
    remark: Option<Box<str>>,
    /// Who answered last.
    #[schema(required, value_type = Option<String>)]
    last_agent: Option<AgentName>,
    #[schema(value_type = String, format = "date-time")]
    opened_at: Time,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Time,
    /// Grows with every change.
    version: u64,
    /// Messages of the follower that nobody has looked after.
    unread: u32,
    /// How it ended, when it is closed.
    #[schema(required, inline, value_type = Option<OutcomeWord>)]
    outcome: Option<Outcome>,
    /// What people call the follower, sorted.
    #[schema(value_type = Vec<String>)]
    tags: Vec<Box<str>>,
    /// The newest line of the history.
    #[schema(required)]
    last_message: Option<MessageShape>,
}

/// What opened WeChat's window.
#[derive(Serialize, ToSchema)]
#[schema(as = Window)]
pub(super) struct WindowShape {
    /// `message`, or `tap` for a menu tap, a follow or a scan.
    opened_by: &'static str,
    #[schema(value_type = String, format = "date-time")]
    opened_at: Time,
    /// How many pushes went out of it.
    sent: u8,
}

/// What WeChat said.
#[derive(Serialize, ToSchema)]
#[schema(as = WindowRefused)]
pub(super) struct RefusedShape {
    code: i64,
    #[schema(value_type = String, format = "date-time")]
    at: Time,
}

/// Somebody who looks at a conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = Presence)]
pub(super) struct PresenceShape {
    #[schema(value_type = String)]
    pub(super) name: AgentName,
    pub(super) typing: bool,
}

/// One conversation with the newest part of its history.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationWithMessages)]
pub(super) struct ConversationWithMessages {
    #[serde(flatten)]
    conversation: ConversationShape,
    /// At most 200, oldest first; `before` leads further back.
    messages: Vec<MessageShape>,
    /// Who looks at it now.
    presence: Vec<PresenceShape>,
}

/// One line of a conversation's history.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageShape {
    /// UUIDv7.
    #[schema(value_type = String, format = "uuid")]
    id: MessageId,
    #[schema(value_type = String, format = "date-time")]
    at: Time,
    #[schema(inline, value_type = DirectionWord)]
    direction: Direction,
    #[schema(inline, value_type = ByWord)]
    by: By,
    /// Which person, when one spoke.
    #[schema(required, value_type = Option<String>)]
    agent: Option<AgentName>,
    /// Which rule, when one spoke.
    #[schema(required, value_type = Option<String>)]
    rule: Option<RuleId>,
    /// The revision of the rules then.
    #[schema(required)]
    revision: Option<u64>,
    /// `text`, `image`, … `event` or `note`.
    #[schema(value_type = String)]
    kind: Cow<'static, str>,
    #[schema(value_type = String)]
    text: Arc<str>,
    #[schema(inline, value_type = DeliveryWord)]
    delivery: Delivery,
    /// Why it did not arrive, or waits.
    #[schema(required)]
    error: Option<PushErrorShape>,
}

/// Why a push did not arrive.
#[derive(Serialize, ToSchema)]
#[schema(as = PushError)]
pub(super) struct PushErrorShape {
    /// WeChat's `errcode`; 0 for trouble on the way.
    code: i64,
    #[schema(value_type = String)]
    message: Arc<str>,
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversations)]
pub(super) struct ConversationsShape {
    /// Newest `updated_at` first.
    pub(super) conversations: Vec<ConversationShape>,
    /// The cursor of the next page.
    #[schema(required)]
    pub(super) next: Option<String>,
}

/// The message that an answer became.
#[derive(Serialize, ToSchema)]
#[schema(as = Replied)]
pub(super) struct RepliedShape {
    pub(super) message: MessageShape,
}

/// Which conversations to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Of this account.
    pub(super) account: Option<String>,
    /// In one of these states, comma-separated.
    pub(super) state: Option<String>,
    /// Of this follower.
    pub(super) follower: Option<String>,
    /// At most so many, 50 unless said; more than 200 is 200.
    pub(super) limit: Option<usize>,
    /// Looked for in tags, in the newest message, as the beginning of the openid, or as the alias; at most 100 characters.
    pub(super) q: Option<String>,
    /// Owned by this agent.
    pub(super) owner: Option<String>,
    /// Of one of these priorities, comma-separated.
    pub(super) priority: Option<String>,
    /// With this tag.
    pub(super) tag: Option<String>,
    /// `reopening`: with an answer owed and a window that ends before people are back after the next closing time; or a
    /// time, by which the window ends.
    pub(super) closing: Option<String>,
    /// `true`: ended without an answer, and nobody has acknowledged that.
    #[serde(default)]
    pub(super) missed: bool,
    /// `updated`: the newest `updated_at` first, the default; `urgency`: the highest priority, then the window that ends first.
    pub(super) sort: Option<String>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// Where to go on with the events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowQuery {
    /// The last event seen, for who cannot send `Last-Event-ID`; the header wins.
    pub(super) last_event_id: Option<String>,
}

/// Which part of the history to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// Only messages older than this one.
    pub(super) before: Option<String>,
}

/// Whether a lead acts over the owner's head.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AsLead {
    /// `true`: also where somebody else owns the conversation; leads only.
    #[serde(default)]
    pub(super) as_lead: bool,
}

/// How to end an episode.
#[derive(Deserialize, ToSchema)]
pub(super) struct Close {
    #[schema(inline, value_type = OutcomeWord)]
    pub(super) outcome: Outcome,
}

/// Whom to give a conversation to.
#[derive(Deserialize, ToSchema)]
pub(super) struct Assign {
    /// A user's name, or `token:NAME`.
    pub(super) agent: String,
    /// Why, for colleagues; needed to take it from its owner. At most 512 bytes.
    #[schema(value_type = Option<String>)]
    pub(super) reason: Option<Box<str>>,
}

/// Until when to put a conversation off.
#[derive(Deserialize, ToSchema)]
pub(super) struct Snooze {
    #[schema(value_type = String, format = "date-time")]
    pub(super) until: Time,
}

/// How urgent a conversation is.
#[derive(Deserialize, ToSchema)]
pub(super) struct Prioritise {
    #[schema(inline, value_type = PriorityWord)]
    pub(super) priority: Priority,
}

/// What colleagues call the follower.
#[derive(Deserialize, ToSchema)]
pub(super) struct Remark {
    /// At most 128 bytes; empty for nothing.
    #[schema(value_type = String)]
    pub(super) remark: Box<str>,
}

/// What was answered by another way.
#[derive(Deserialize, ToSchema)]
pub(super) struct Elsewhere {
    #[schema(value_type = String)]
    pub(super) text: Box<str>,
}

/// Which agent of Tencent's desk.
#[derive(Deserialize, ToSchema)]
pub(super) struct ToDesk {
    /// `kf@…`; none for the desk's pool.
    #[schema(value_type = Option<String>)]
    pub(super) agent: Option<Box<str>>,
}

/// A look at a conversation.
#[derive(Deserialize, ToSchema)]
pub(super) struct Seen {
    /// Whether an answer is being written.
    #[serde(default)]
    pub(super) typing: bool,
}

/// Something to write to colleagues.
#[derive(Deserialize, ToSchema)]
pub(super) struct Note {
    pub(super) text: Box<str>,
}

/// What to call the follower from now on.
#[derive(Deserialize, ToSchema)]
pub(super) struct Tags {
    /// All of them: at most 32, each of 1 to 64 bytes without control characters.
    #[schema(value_type = Vec<String>)]
    pub(super) tags: Vec<Box<str>>,
}

/// Whom to erase.
#[derive(Deserialize, ToSchema)]
pub(super) struct EraseFollower {
    /// The account.
    pub(super) account: String,
    /// The follower's openid.
    pub(super) follower: String,
}

/// What erasing a follower led to.
#[derive(Serialize, ToSchema)]
#[schema(as = Erased)]
pub(super) struct ErasedShape {
    /// Whether a conversation was known.
    pub(super) erased: bool,
}

/// Whose data to hand out.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// The account.
    pub(super) account: String,
    /// The follower's openid.
    pub(super) follower: String,
}

/// Everything that is kept of one follower.
#[derive(ToSchema)]
#[schema(as = Export)]
#[expect(
    dead_code,
    reason = "an export is written piece by piece; this is its schema"
)]
pub(super) struct ExportShape {
    account: String,
    follower: String,
    #[schema(value_type = String, format = "date-time")]
    exported_at: Time,
    conversation: ConversationShape,
    /// Files that the follower sent.
    media: Vec<serde_json::Value>,
    /// All messages and notes, newest first.
    messages: Vec<MessageShape>,
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewToken {
    /// Its name: a letter or digit, then letters, digits, `-`, `_`, `.`; 64 at most.
    pub(super) name: String,
    #[schema(inline, value_type = RoleWord)]
    pub(super) role: Role,
    /// The accounts it reaches; none means all.
    #[serde(default)]
    pub(super) accounts: Vec<String>,
}

/// A token as it is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenShape {
    name: Box<str>,
    #[schema(inline, value_type = RoleWord)]
    role: Role,
    /// None means all.
    #[schema(value_type = Vec<String>)]
    accounts: Vec<AccountName>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
}

/// A new token. Its text is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeToken)]
pub(super) struct MadeTokenShape {
    /// The text to send as bearer token.
    pub(super) secret: String,
    pub(super) token: TokenShape,
}

/// All tokens, by name.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct TokensShape {
    pub(super) tokens: Vec<TokenShape>,
}

/// What went wrong (RFC 9457). The members after `code` come with some codes only.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemShape {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// One word for programs.
    code: String,
    /// Who owns the conversation.
    #[schema(value_type = Option<String>, nullable = false)]
    owner: Option<String>,
    /// The follower's messages since the last one seen.
    #[schema(nullable = false)]
    arrived: Option<Vec<MessageShape>>,
    /// How long the text is, in bytes of UTF-8.
    #[schema(nullable = false)]
    bytes: Option<usize>,
    /// The most it may have.
    #[schema(nullable = false)]
    limit: Option<usize>,
    /// What keeps the rules from running.
    #[schema(value_type = Option<Vec<DiagnosticShape>>, nullable = false)]
    diagnostics: Option<Vec<Diagnostic>>,
    /// What the rules directory holds now.
    #[schema(nullable = false)]
    directory_hash: Option<String>,
    /// The role, or `lead`, that the caller lacks.
    #[schema(nullable = false)]
    needs: Option<String>,
    /// Who can grant it.
    #[schema(nullable = false)]
    granted_by: Option<Vec<String>>,
    /// After how many seconds it may be tried again.
    #[schema(nullable = false)]
    retry_after: Option<u64>,
    /// The rule files that somebody else changed, both ways.
    #[schema(value_type = Option<Vec<FileConflictShape>>, nullable = false)]
    files: Option<Vec<FileConflict>>,
}

impl ConversationShape {
    /// The conversation as it stands now.
    pub(super) fn new(conversation: &Conversation, settings: &DeskSettings, now: Time) -> Self {
        let desk = conversation.desk();
        Self {
            id: conversation.id,
            account: conversation.account.clone(),
            follower: conversation.follower.clone(),
            alias: conversation.follower.alias(),
            state: conversation.state,
            priority: conversation.priority,
            reason: conversation.reason,
            reason_note: conversation.reason_note.as_deref().map(str::to_owned),
            owner: conversation.owner.clone(),
            window_until: conversation.window.until(now),
            quota_left: conversation.window.left(now),
            window: conversation.window.opened(now).map(|opened| WindowShape {
                opened_by: opened.by,
                opened_at: opened.at,
                sent: opened.sent,
            }),
            window_refused: desk.refused.map(|(code, at)| RefusedShape { code, at }),
            asked_at: conversation.asked_at(),
            answer_due: conversation.answer_due(settings),
            breached: desk.is_breached,
            missed: desk.is_missed,
            snoozed_until: desk.snoozed_until,
            remark: desk.remark.clone(),
            last_agent: desk.last_agent.clone(),
            opened_at: conversation.opened_at,
            updated_at: conversation.updated_at,
            version: conversation.version,
            unread: conversation.unread,
            outcome: conversation.outcome,
            tags: conversation.tags().to_vec(),
            last_message: conversation.last_message.clone().map(MessageShape::from),
        }
    }

    /// The same with its history.
    pub(super) fn with(
        self,
        messages: Vec<Message>,
        presence: Vec<PresenceShape>,
    ) -> ConversationWithMessages {
        ConversationWithMessages {
            conversation: self,
            messages: messages.into_iter().map(MessageShape::from).collect(),
            presence,
        }
    }
}

impl From<Message> for MessageShape {
    fn from(message: Message) -> Self {
        let Message {
            id,
            at,
            direction,
            by,
            agent,
            rule,
            revision,
            kind,
            text,
            delivery,
            error,
        } = message;
        let error = error.map(|PushError { code, message }| PushErrorShape { code, message });
        Self {
            id,
            at,
            direction,
            by,
            agent,
            rule,
            revision,
            kind,
            text,
            delivery,
            error,
        }
    }
}

impl From<ApiToken> for TokenShape {
    fn from(token: ApiToken) -> Self {
        let ApiToken {
            name,
            role,
            accounts,
            created_at,
            ..
        } = token;
        Self {
            name,
            role,
            accounts,
            created_at,
        }
    }
}

/// Lists the words of a model's enumeration for the schema. The test fails to compile when the model has another variant,
/// and fails when serde writes another word.
macro_rules! words {
    ($($name:ident: $model:ident = $($word:ident $text:literal)+;)+) => {
        $(
            #[derive(ToSchema)]
            #[expect(dead_code, reason = "stands in the schema for a type of the model, which knows no schemas")]
            pub(super) enum $name { $(#[schema(rename = $text)] $word,)+ }
        )+

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn the_schema_knows_the_words_that_the_model_writes() {
                $(
                    let word = |value: $model| match value { $($model::$word => $text,)+ };
                    $(assert_eq!(serde_json::to_value($model::$word).unwrap(), word($model::$word));)+
                )+
            }
        }
    };
}

words! {
    StateWord: State = Bot "bot" Waiting "waiting" Assigned "assigned" Follower "follower" Held "held" External "external" Snoozed "snoozed" Closed "closed";
    PriorityWord: Priority = Urgent "urgent" High "high" Normal "normal" Low "low";
    ReasonWord: Reason = Unmatched "unmatched" Repeated "repeated" Handoff "handoff" Form "form" Hook "hook" Unsendable "unsendable" Asked "asked" Crisis "crisis";
    OutcomeWord: Outcome = Solved "solved" SolvedLate "solved-late" Missed "missed" NoAnswerNeeded "no-answer-needed" Spam "spam" Moved "moved";
    DirectionWord: Direction = In "in" Out "out" Internal "internal";
    ByWord: By = Follower "follower" Rule "rule" Ack "ack" Agent "agent" System "system" Form "form" Crisis "crisis";
    DeliveryWord: Delivery = Received "received" Passive "passive" Queued "queued" Sending "sending" Sent "sent" Held "held" Failed "failed" Unknown "unknown";
    RoleWord: Role = Viewer "viewer" Agent "agent" Operator "operator" Admin "admin";
}
