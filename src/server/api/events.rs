//! Tells consoles which conversations have changed, as server-sent events.
//! Owns: the stream's form, who may follow how long, how fast it tells. Uses: store, access. Never: what was said; a change of an account that the caller does not reach.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::shapes::{FollowQuery, ProblemShape};
use crate::model::AccountName;
use crate::server::access::Viewer;
use crate::server::error::{Code, Problem};
use crate::server::{Site, chance};
use crate::store::{Changes, Missed, Store};

/// How many may follow at once.
const CLIENTS: usize = 256;
/// How much may wait for a client that reads slowly, in pieces; one that is slower must come again.
const PIECES: usize = 8;

/// How fast the stream tells. Wall time plays no part: a clock that is set must not hold a stream up.
#[derive(Clone, Copy)]
struct Pace {
    /// How often it says that it lives, and looks whether the caller still may follow.
    heartbeat: Duration,
    /// What changes within this time after something was told is told together.
    gather: Duration,
    /// How often at most a client is told to load its lists again because rules answered more than it could follow.
    reload: Duration,
}

const PACE: Pace = Pace {
    heartbeat: Duration::from_secs(20),
    gather: Duration::from_millis(250),
    reload: Duration::from_secs(10),
};
/// How soon a browser comes again.
const RETRY_MILLIS: u32 = 2000;

/// What all streams of this start have in common.
pub(in crate::server) struct Events {
    /// Tells this start from others in the ids of events.
    start: Box<str>,
    room: Arc<Semaphore>,
    stopping: CancellationToken,
}

impl Events {
    /// Nobody follows yet; all streams end when `stopping` is cancelled.
    pub(in crate::server) fn new(stopping: CancellationToken) -> Self {
        let start = u64::from_be_bytes(chance::random::<8>());
        Self {
            start: format!("{start:016x}").into(),
            room: Arc::new(Semaphore::new(CLIENTS)),
            stopping,
        }
    }

    /// The place that an event's id names, if it is of this start.
    fn place(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&*self.start)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }
}

/// Follows the changes of conversations as server-sent events: `event: conversation` with `{"id","version"}` in `data`, never
/// what was said. `event: reload` says that some were missed and lists are to be loaded again. A comment comes every 20
/// seconds. The stream ends when the token is revoked or the server stops.
#[utoipa::path(
    get, path = "/events", operation_id = "followEvents",
    params(FollowQuery, ("Last-Event-ID" = Option<String>, Header, description = "The last event seen.")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 401, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn follow(
    Viewer(caller): Viewer,
    site: Data<Site>,
    request: HttpRequest,
    query: web::Query<FollowQuery>,
) -> Result<HttpResponse, Problem> {
    let Ok(room) = Arc::clone(&site.events.room).try_acquire_owned() else {
        return Err(Problem::new(
            Code::Crowded,
            format!("{CLIENTS} follow the events already"),
        ));
    };
    let header = request.headers().get("last-event-id");
    let last = header
        .and_then(|value| value.to_str().ok())
        .or(query.last_event_id.as_deref())
        .filter(|id| !id.is_empty());
    let (pieces, waiting) = mpsc::channel(PIECES);
    let mut stream = Stream {
        store: Arc::clone(&site.store),
        start: site.events.start.clone(),
        accounts: caller.accounts,
        pieces,
        stopping: site.events.stopping.clone(),
        pace: PACE,
        place: 0,
        reloaded: None,
        owes_reload: false,
    };
    let is_lost = stream
        .begin(last.map(|id| site.events.place(id)))
        .await
        .is_none();
    let counted = site.metrics.sse_client();
    actix_web::rt::spawn(async move {
        let _until_it_ends = (room, counted);
        if is_lost {
            return;
        }
        let still = async || {
            let caller = site.access.caller(&request).await;
            caller.ok().map(|caller| caller.accounts)
        };
        stream.run(still).await;
    });
    let pieces = stream::unfold(waiting, |mut waiting| async {
        let piece: Bytes = waiting.recv().await?;
        Some((Ok::<_, Infallible>(piece), waiting))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"))
        .streaming(pieces))
}

/// One client's stream.
struct Stream {
    store: Arc<dyn Store>,
    start: Box<str>,
    /// Those that the caller reaches; none means all.
    accounts: Vec<AccountName>,
    pieces: mpsc::Sender<Bytes>,
    stopping: CancellationToken,
    pace: Pace,
    /// Everything up to here was told.
    place: u64,
    reloaded: Option<Instant>,
    owes_reload: bool,
}

impl Stream {
    /// Says hello and where the stream begins: at `last`, if that is known (`Some(Some(place))`), or now; a client whose last
    /// event is not known here must load everything again. `None` when the client has gone.
    async fn begin(&mut self, last: Option<Option<u64>>) -> Option<()> {
        let newest = self.store.changes(None).await.place;
        let known = last.flatten().filter(|place| *place <= newest);
        self.place = known.unwrap_or(newest);
        let mut text = format!("retry: {RETRY_MILLIS}\n");
        if last.is_some() && known.is_none() {
            self.reload(&mut text);
        } else {
            self.mark(&mut text);
        }
        self.send(text)
    }

    /// Tells until the client goes, is too slow, may not follow any more, or the server stops.
    async fn run(mut self, still: impl AsyncFn() -> Option<Vec<AccountName>>) {
        while self.step(&still).await.is_some() {}
    }

    async fn step(&mut self, still: &impl AsyncFn() -> Option<Vec<AccountName>>) -> Option<()> {
        let beat = Instant::now() + self.pace.heartbeat;
        loop {
            let changes = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                () = self.pieces.closed() => return None,
                () = sleep_until(beat) => break,
                changes = self.store.changes(Some(self.place)) => changes,
            };
            let text = self.told(&changes);
            if !text.is_empty() {
                self.send(text)?;
            }
            self.pause(self.pace.gather.min(beat - Instant::now()))
                .await?;
        }
        self.accounts = still().await?;
        let mut text = String::from(":\n");
        if self.owes_reload {
            self.reload(&mut text);
        } else {
            self.mark(&mut text);
        }
        self.send(text)
    }

    async fn pause(&self, time: Duration) -> Option<()> {
        tokio::select! {
            () = self.stopping.cancelled() => None,
            () = self.pieces.closed() => None,
            () = sleep(time) => Some(()),
        }
    }

    /// What a client reads of these changes.
    fn told(&mut self, changes: &Changes) -> String {
        let mut text = String::new();
        self.place = changes.place;
        if changes.missed == Missed::OfPeople {
            self.reload(&mut text);
            return text;
        }
        for changed in &changes.changed {
            let is_reached = self.accounts.is_empty() || self.accounts.contains(&changed.account);
            if is_reached {
                let _ = write!(
                    text,
                    "event: conversation\nid: {}-{}\ndata: {{\"id\":\"{}\",\"version\":{}}}\n\n",
                    self.start, changed.place, changed.conversation, changed.version
                );
            }
        }
        if changes.missed == Missed::OfRules {
            let is_early = |at: Instant| at.elapsed() < self.pace.reload;
            self.owes_reload = true;
            if !self.reloaded.is_some_and(is_early) {
                self.reload(&mut text);
            }
        }
        text
    }

    fn reload(&mut self, text: &mut String) {
        self.reloaded = Some(Instant::now());
        self.owes_reload = false;
        let _ = write!(
            text,
            "event: reload\nid: {}-{}\ndata: {{}}\n\n",
            self.start, self.place
        );
    }

    /// Where a client that loses the connection now goes on.
    fn mark(&self, text: &mut String) {
        let _ = write!(text, "id: {}-{}\n\n", self.start, self.place);
    }

    /// `None` when the client has gone, or does not read.
    fn send(&self, text: String) -> Option<()> {
        self.pieces.try_send(text.into()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Content, Incoming, OpenId, Time, Turn, TurnKey};
    use crate::store::Claim;
    use crate::store::sled::SledStore;

    const NOW: Time = Time::from_millis(1_718_200_000_000);

    /// A stream over a store of its own, whose heart beats as often as this.
    struct Followed {
        _directory: tempfile::TempDir,
        store: Arc<SledStore>,
        stopping: CancellationToken,
    }

    impl Followed {
        async fn open() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = SledStore::open(directory.path(), NOW).await.unwrap();
            Self {
                _directory: directory,
                store,
                stopping: CancellationToken::new(),
            }
        }

        fn stream(
            &self,
            accounts: &[&str],
            heartbeat: Duration,
        ) -> (Stream, mpsc::Receiver<Bytes>) {
            let (pieces, read) = mpsc::channel(PIECES);
            let accounts = accounts
                .iter()
                .map(|name| AccountName::parse(*name).unwrap());
            let stream = Stream {
                store: Arc::<SledStore>::clone(&self.store),
                start: "s".into(),
                accounts: accounts.collect(),
                pieces,
                stopping: self.stopping.clone(),
                pace: Pace {
                    heartbeat,
                    gather: Duration::from_millis(1),
                    reload: Duration::from_secs(10),
                },
                place: 0,
                reloaded: None,
                owes_reload: false,
            };
            (stream, read)
        }

        /// A follower writes to an account.
        async fn says(&self, account: &str, name: &str) {
            let account = AccountName::parse(account).unwrap();
            let (from, key) = (OpenId::parse("oLi").unwrap(), TurnKey::of_text(name));
            let claim = self.store.claim_turn(&account, &from, key, NOW).await;
            let Ok(Claim::First { ticket, .. }) = claim else {
                panic!("{claim:?}")
            };
            let content = Content::Text {
                text: "distinctive words".into(),
                menu_id: None,
            };
            let turn = Turn {
                key,
                account,
                incoming: Incoming {
                    to: "gh_1".into(),
                    from,
                    create_time: NOW.seconds(),
                    msg_id: Some(name.into()),
                    content,
                },
                answer: Answer::default(),
            };
            self.store.commit_turn(ticket, turn, NOW).await.unwrap();
        }
    }

    const NEVER: Duration = Duration::from_secs(3600);
    const OFTEN: Duration = Duration::from_millis(2);

    async fn next(read: &mut mpsc::Receiver<Bytes>) -> String {
        let piece = read.recv().await.expect("the stream goes on");
        String::from_utf8(piece.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn it_tells_of_accounts_that_are_reached_and_says_no_words() {
        let world = Followed::open().await;
        let (mut stream, mut read) = world.stream(&["shop"], NEVER);
        stream.begin(None).await.unwrap();
        assert_eq!(next(&mut read).await, "retry: 2000\nid: s-0\n\n");
        let run = tokio::spawn(stream.run(async || Some(Vec::new())));
        world.says("other", "1").await;
        world.says("shop", "2").await;
        let told = next(&mut read).await;
        assert!(
            told.starts_with("event: conversation\nid: s-2\ndata: {\"id\":\""),
            "{told}"
        );
        assert!(told.ends_with("\",\"version\":1}\n\n"), "{told}");
        assert_eq!(told.matches("event:").count(), 1);
        world.stopping.cancel();
        run.await.unwrap();
        assert!(read.recv().await.is_none());
    }

    #[tokio::test]
    async fn it_goes_on_where_it_was_and_an_unknown_place_means_load_again() {
        let world = Followed::open().await;
        world.says("shop", "1").await;
        world.says("shop", "2").await;
        let (mut stream, mut read) = world.stream(&[], NEVER);
        stream.begin(Some(Some(1))).await.unwrap();
        assert_eq!(next(&mut read).await, "retry: 2000\nid: s-1\n\n");
        tokio::spawn(stream.run(async || Some(Vec::new())));
        assert!(next(&mut read).await.contains("id: s-2\n"));
        for unknown in [None, Some(3)] {
            let (mut stream, mut read) = world.stream(&[], NEVER);
            stream.begin(Some(unknown)).await.unwrap();
            let hello = next(&mut read).await;
            assert!(hello.contains("event: reload\nid: s-2\n"), "{hello}");
        }
        let events = Events::new(CancellationToken::new());
        let id = format!("{}-17", events.start);
        assert_eq!(events.place(&id), Some(17));
        for bad in [
            "",
            "17",
            "-17",
            "0000000000000000-17",
            id.trim_end_matches("-17"),
            &format!("{id}x"),
        ] {
            assert_eq!(events.place(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_answers_leads_to_one_reload_and_a_backlog_of_people_to_another() {
        let world = Followed::open().await;
        let (mut stream, _read) = world.stream(&[], NEVER);
        let changes = |missed| Changes {
            place: 9,
            missed,
            ..Changes::default()
        };
        let reloads = |text: String| text.matches("event: reload").count();
        assert_eq!(reloads(stream.told(&changes(Missed::OfRules))), 1);
        assert_eq!(reloads(stream.told(&changes(Missed::OfRules))), 0);
        assert!(stream.owes_reload);
        assert_eq!(reloads(stream.told(&changes(Missed::OfPeople))), 1);
        assert!(!stream.owes_reload);
    }

    #[tokio::test]
    async fn its_heart_beats_until_the_caller_may_not_follow_any_more() {
        let world = Followed::open().await;
        let (mut stream, mut read) = world.stream(&[], OFTEN);
        stream.begin(None).await.unwrap();
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let still = {
            let asked = Arc::clone(&asked);
            async move || {
                let n = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                (n < 3).then(Vec::new)
            }
        };
        let run = tokio::spawn(stream.run(still));
        next(&mut read).await;
        for _ in 0..3 {
            assert_eq!(next(&mut read).await, ":\nid: s-0\n\n");
        }
        assert!(read.recv().await.is_none());
        run.await.unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_client() {
        let world = Followed::open().await;
        let (mut stream, read) = world.stream(&[], NEVER);
        stream.begin(None).await.unwrap();
        let run = tokio::spawn(stream.run(async || Some(Vec::new())));
        drop(read);
        run.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go() {
        let world = Followed::open().await;
        let (mut stream, mut read) = world.stream(&[], OFTEN);
        stream.begin(None).await.unwrap();
        // Nobody reads: the heart beats until the channel is full.
        stream.run(async || Some(Vec::new())).await;
        let mut pieces = 0;
        while read.recv().await.is_some() {
            pieces += 1;
        }
        assert_eq!(pieces, PIECES);
    }
}
