//! Reads a conversation's history back, newest entry first, and tells how every message fared since.
//! Owns: which line an entry is and what later entries say of it. Uses: shared. Never: changes anything.

use tokio::sync::mpsc;

use crate::model::conversation::line;
use crate::model::entry::{Change, Push, Settled};
use crate::model::message::PushError;
use crate::model::{
    Content, Conversation, ConversationId, Delivery, Entry, Message, MessageId, Noted, Turn,
    TurnKey,
};
use crate::store::Error;

use super::journal::{Kind, Reader};
use super::shared::Shared;

/// How many lines a piece of a whole history has at least, unless it is the last.
const PIECE: usize = 200;

/// See [`crate::store::Store::messages`]. Blocks.
pub(super) fn messages(
    shared: &Shared,
    id: ConversationId,
    before: Option<MessageId>,
    limit: usize,
) -> Result<Vec<Message>, Error> {
    let mut lines = Lines::new(before, limit);
    read(shared, id, &mut lines, |lines| !lines.is_full())?;
    Ok(lines.oldest_first())
}

/// See [`crate::store::Store::history`]. Blocks until all is taken, or nobody wants more.
pub(super) fn pieces(
    shared: &Shared,
    id: ConversationId,
    to: &mpsc::Sender<Result<Vec<Message>, Error>>,
) -> Result<(), Error> {
    let mut lines = Lines::new(None, usize::MAX);
    let mut is_wanted = true;
    read(shared, id, &mut lines, |lines| {
        if lines.lines.len() >= PIECE {
            is_wanted = to
                .blocking_send(Ok(std::mem::take(&mut lines.lines)))
                .is_ok();
        }
        is_wanted
    })?;
    if is_wanted && !lines.lines.is_empty() {
        // Nobody may read any more.
        let _gone = to.blocking_send(Ok(lines.lines));
    }
    Ok(())
}

/// Reads a conversation's entries, newest first, while `goes_on`.
fn read(
    shared: &Shared,
    id: ConversationId,
    lines: &mut Lines,
    mut goes_on: impl FnMut(&mut Lines) -> bool,
) -> Result<(), Error> {
    let Some(seat) = shared.seats.of(id) else {
        return Ok(());
    };
    let (known, mut number) = {
        let live = seat.live.lock();
        (live.conversation.clone(), live.last)
    };
    let Some(known) = known.filter(|known| known.id == id) else {
        return Ok(());
    };
    let mut reader = Reader::new(&shared.disk);
    let mut fates = Fates::of(&known);
    while number > 0 && goes_on(lines) {
        let Some(record) = shared.record(&mut reader, number)? else {
            break;
        };
        // Those before it are no longer there either.
        if record.kind == Kind::Erased {
            break;
        }
        if let Some(entry) = record.entry(number)? {
            fates.read(entry, lines);
        }
        number = record.prev;
    }
    Ok(())
}

/// What became of messages whose entry is still to be read, going back in time.
struct Fates {
    known: Vec<(MessageId, Delivery, Option<PushError>)>,
    late: Vec<(TurnKey, Push)>,
}

impl Fates {
    /// Pushes that are not finished are what the conversation says.
    fn of(conversation: &Conversation) -> Self {
        let pushes = conversation.pushes.iter();
        Self {
            known: pushes
                .map(|push| (push.id, push.state, push.error.clone()))
                .collect(),
            late: Vec::new(),
        }
    }

    /// The newest word counts, and it is read first.
    fn say(&mut self, id: MessageId, delivery: Delivery, error: Option<PushError>) {
        if !self.known.iter().any(|(known, ..)| *known == id) {
            self.known.push((id, delivery, error));
        }
    }

    fn read(&mut self, entry: Entry, lines: &mut Lines) {
        let at = entry.at;
        if let Some(line) = line(&entry) {
            lines.add(line);
        }
        match entry.change {
            Change::Turn(turn) => {
                for given in &turn.answer.given {
                    self.say(*given, Delivery::Passive, None);
                }
                if let Some(words) = self.last_words(&turn) {
                    lines.add(words);
                }
                for push in turn.answer.more.iter().rev() {
                    lines.add(self.fared(push.message()));
                }
                for line in self.said(&turn, turn.own(at)) {
                    lines.add(self.fared(line));
                }
                if is_kept(&turn) {
                    lines.add(turn.inbound(at));
                }
            }
            Change::Replied { push, .. } => lines.add(self.fared(push.message())),
            Change::Late { turn, push } => self.late.push((turn, push)),
            Change::Settled { push, result } => match result {
                Settled::Sent => self.say(push, Delivery::Sent, None),
                Settled::Failed { error } => self.say(push, Delivery::Failed, Some(error)),
                Settled::Unknown { error } => self.say(push, Delivery::Unknown, Some(error)),
                // Not finished by that.
                Settled::Again { .. } | Settled::Held { .. } => {}
            },
            Change::Uncollected { pushes } => {
                for push in pushes {
                    let message = "not collected within seven days".into();
                    self.say(push, Delivery::Failed, Some(PushError { code: 0, message }));
                }
            }
            _ => {}
        }
    }

    /// What a turn said, newest first: its own answer, or the push that took its place.
    fn said(&mut self, turn: &Turn, own: Option<Message>) -> Vec<Message> {
        let late = self.late.iter().position(|(key, _)| *key == turn.key);
        let late = late.map(|at| self.late.remove(at).1.message());
        let own = own.filter(|own| late.as_ref().is_none_or(|late| late.id != own.id));
        late.into_iter().chain(own).collect()
    }

    /// What was said when the time of the turn's form was over, if it came to that: until then nobody knows of it.
    fn last_words(&self, turn: &Turn) -> Option<Message> {
        let words = turn.answer.noted.iter().find_map(|noted| match noted {
            Noted::Form(form) => form.on_timeout.as_ref(),
            _ => None,
        })?;
        self.fate(words.id)?;
        Some(self.fared(Message {
            at: words.not_before,
            ..words.message()
        }))
    }

    fn fate(&self, id: MessageId) -> Option<&(MessageId, Delivery, Option<PushError>)> {
        self.known.iter().find(|(known, ..)| *known == id)
    }

    fn fared(&self, line: Message) -> Message {
        match self.fate(line.id) {
            Some((_, delivery, error)) => Message {
                delivery: *delivery,
                error: error.clone(),
                ..line
            },
            None => line,
        }
    }
}

/// Reports of places, page views and the like are counted, not shown.
fn is_kept(turn: &Turn) -> bool {
    match &turn.incoming.content {
        Content::Event(event) => event.kind.is_kept(),
        _ => true,
    }
}

/// The wanted lines, newest first.
struct Lines {
    before: Option<MessageId>,
    limit: usize,
    lines: Vec<Message>,
}

impl Lines {
    fn new(before: Option<MessageId>, limit: usize) -> Self {
        Self {
            before,
            limit,
            lines: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= self.limit
    }

    fn add(&mut self, line: Message) {
        match self.before {
            Some(before) if before == line.id => self.before = None,
            Some(_) => {}
            None if self.is_full() => {}
            None => self.lines.push(line),
        }
    }

    fn oldest_first(mut self) -> Vec<Message> {
        self.lines.reverse();
        self.lines
    }
}
