//! Hands out turns and takes them back answered.
//! Owns: who is first, who repeats, who waits. Uses: shared. Never: decides an answer.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::model::entry::{Change, Push};
use crate::model::{
    AccountName, Conversation, ConversationId, Entry, OpenId, Reply, Time, Turn, TurnKey,
};
use crate::store::{Claim, Error, Lanes, Ticket};

use super::journal::{Kind, Reader, Record};
use super::lanes::Word;
use super::queue::Told;
use super::seats::Seat;
use super::shared::{Shared, blocking, durable};

/// See [`crate::store::Store::claim_turn`].
pub(super) async fn claim(
    shared: &Arc<Shared>,
    account: &AccountName,
    follower: &OpenId,
    key: TurnKey,
) -> Result<Claim, Error> {
    let mut others = Numbers::new();
    loop {
        match begin(shared, account, follower, key, &others)? {
            Begun::First(conversation) => {
                return Ok(first(shared, account, follower, key, conversation));
            }
            Begun::Known(number) => match answer(shared, number, key).await? {
                Some((passive, at)) => return Ok(Claim::Repeat { passive, at }),
                None => others.push(number),
            },
            Begun::Waits(waiting) => match waiting.word().await? {
                (Word::Go, conversation) => {
                    return Ok(first(shared, account, follower, key, conversation));
                }
                (Word::Answered, _) => {}
            },
        }
    }
}

/// Numbers that the ledger offered for a key and that belong to another one.
type Numbers = SmallVec<[u64; 2]>;

enum Begun {
    First(Option<Arc<Conversation>>),
    Known(u64),
    Waits(Waiting),
}

fn begin(
    shared: &Arc<Shared>,
    account: &AccountName,
    follower: &OpenId,
    key: TurnKey,
    others: &Numbers,
) -> Result<Begun, Error> {
    loop {
        shared.open()?;
        let seat = shared.seats.take(account, follower);
        let mut live = seat.live.lock();
        if live.is_gone {
            drop(live);
            shared.seats.forget(&seat);
            continue;
        }
        if !live.lane.runs(key) {
            let known = shared.ledger.find(key);
            if let Some(number) = known.into_iter().find(|number| !others.contains(number)) {
                drop(live);
                shared.seats.vacate(&seat);
                return Ok(Begun::Known(number));
            }
            if live.lane.enter(key) {
                return Ok(Begun::First(live.conversation.clone()));
            }
        }
        let told = live.lane.wait(key);
        drop(live);
        return Ok(Begun::Waits(Waiting {
            shared: Arc::clone(shared),
            seat,
            key,
            told,
            is_told: false,
        }));
    }
}

fn first(
    shared: &Arc<Shared>,
    account: &AccountName,
    follower: &OpenId,
    key: TurnKey,
    conversation: Option<Arc<Conversation>>,
) -> Claim {
    let lanes: Arc<dyn Lanes> = Arc::<Shared>::clone(shared);
    Claim::First {
        ticket: Ticket::new(lanes, account.clone(), follower.clone(), key),
        conversation,
    }
}

/// A place in a lane; dropping it gives the place up.
struct Waiting {
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    key: TurnKey,
    told: oneshot::Receiver<Word>,
    is_told: bool,
}

impl Waiting {
    async fn word(mut self) -> Result<(Word, Option<Arc<Conversation>>), Error> {
        let word = (&mut self.told).await;
        self.is_told = true;
        let word = word.map_err(|_lane_is_gone| Error::Closed)?;
        Ok((word, self.seat.live.lock().conversation.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let mut live = self.seat.live.lock();
        self.told.close();
        match self.told.try_recv() {
            Ok(Word::Go) => live.lane.leave(self.key, false),
            Ok(Word::Answered) | Err(_) => live.lane.tidy(),
        }
        drop(live);
        self.shared.seats.vacate(&self.seat);
    }
}

/// The answer that the entry with this number gives to the turn, if it is about this turn.
async fn answer(
    shared: &Arc<Shared>,
    number: u64,
    key: TurnKey,
) -> Result<Option<(Option<Reply>, Time)>, Error> {
    let record = match shared.queue.record(number) {
        Some(record) => Some(record),
        None => {
            blocking(shared, move |shared| {
                // Written meanwhile, or long ago.
                shared.record(&mut Reader::new(&shared.disk), number)
            })
            .await?
        }
    };
    record.map_or(Ok(None), |record| answer_of(&record, number, key))
}

fn answer_of(
    record: &Record,
    number: u64,
    key: TurnKey,
) -> Result<Option<(Option<Reply>, Time)>, Error> {
    if record.kind == Kind::Erased {
        let stub = record.stub(number)?.filter(|(known, _)| *known == key);
        return Ok(stub.map(|(_, at)| (None, at)));
    }
    let Some(entry) = record.entry(number)? else {
        return Ok(None);
    };
    Ok(match entry.change {
        Change::Turn(turn) if turn.key == key => Some((turn.answer.passive().cloned(), entry.at)),
        Change::Late { turn, .. } if turn == key => Some((None, entry.at)),
        _ => None,
    })
}

/// See [`crate::store::Store::commit_turn`]. Everything happens before this returns; what is told is only whether it became
/// durable, so whoever stops waiting stops nothing.
pub(super) fn commit(
    shared: &Shared,
    ticket: Ticket,
    turn: Turn,
    at: Time,
) -> Result<(Arc<Conversation>, Option<Told>), Error> {
    shared.open()?;
    let key = ticket.key;
    debug_assert!(
        key == turn.key && ticket.account == turn.account && ticket.follower == turn.incoming.from,
        "the ticket is of this turn"
    );
    let seat = shared.seats.find(&ticket.account, &ticket.follower);
    let seat = seat.ok_or_else(|| Error::Unwritable("the turn is not claimed".into()))?;
    let mut live = seat.live.lock();
    let id = live
        .conversation
        .as_ref()
        .map_or_else(|| ConversationId::at(at, 0, key), |known| known.id);
    let is_durable = turn.answer.is_durable();
    let entry = Entry {
        at,
        conversation: id,
        change: Change::Turn(Box::new(turn)),
    };
    let appended = shared.append(&seat, &mut live, &entry, is_durable);
    if appended.is_ok() {
        if !is_durable {
            live.lane.leave(key, true);
        }
        ticket.redeem();
    } else {
        // The ticket goes back on its own, and needs the seat for that.
        drop(live);
        drop(ticket);
    }
    appended
}

/// See [`crate::store::Store::answer_late`].
pub(super) async fn answer_late(
    shared: &Shared,
    conversation: ConversationId,
    turn: TurnKey,
    push: Push,
    at: Time,
) -> Result<(), Error> {
    // When the conversation was erased meanwhile, nobody is left to be answered.
    let change = |_: &Conversation| Some(Change::Late { turn, push });
    match append_if(shared, conversation, at, change)? {
        Some((_, told)) => durable(told).await,
        None => Ok(()),
    }
}

/// The conversation after an entry, and who tells when that is durable.
pub(super) type Appended = (Arc<Conversation>, Option<Told>);

/// Makes the entry that `decide` wants of a conversation as it is now, if there is such a conversation.
pub(super) fn append_if(
    shared: &Shared,
    conversation: ConversationId,
    at: Time,
    decide: impl FnOnce(&Conversation) -> Option<Change>,
) -> Result<Option<Appended>, Error> {
    shared.open()?;
    let Some(seat) = shared.seats.of(conversation) else {
        return Ok(None);
    };
    let mut live = seat.live.lock();
    let known = live.conversation.as_ref();
    let Some(change) = known
        .filter(|known| known.id == conversation)
        .and_then(|known| decide(known))
    else {
        return Ok(None);
    };
    let entry = Entry {
        at,
        conversation,
        change,
    };
    shared.append(&seat, &mut live, &entry, true).map(Some)
}
