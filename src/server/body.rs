//! Reads the body of a request up to a limit, and drains what lies beyond so that the sender can read its refusal.
//! Owns: bounds in bytes and time. Uses: actix-web. Never: looks into a body.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// How much of a refused body is read and thrown away before the connection is given up.
const DRAINED: usize = 32 << 20;
/// How long a sender may take for its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than the limit.
    TooLarge,
    /// It broke off or did not come in time.
    Broken,
}

/// Reads a body of at most `limit` bytes. One that came in one piece is not copied.
///
/// # Errors
/// [`Unread`]; the rest of the body has been thrown away as far as that is bearable.
pub(super) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
) -> Result<Bytes, Unread> {
    let until = Instant::now() + PATIENCE;
    let announced = announced(request);
    if announced.is_some_and(|length| length > limit) {
        drain(payload, until, 0).await;
        return Err(Unread::TooLarge);
    }
    let Some(first) = first(payload, until).await? else {
        return Ok(Bytes::new());
    };
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    loop {
        if whole.len() > limit {
            drain(payload, until, whole.len()).await;
            return Err(Unread::TooLarge);
        }
        match next(payload, until).await? {
            Some(more) => whole.extend_from_slice(&more),
            None => return Ok(whole.freeze()),
        }
    }
}

/// Throws the body away, so that an answer that does not need it reaches its reader.
pub(super) async fn discard(payload: &mut Payload) {
    drain(payload, Instant::now() + PATIENCE, 0).await;
}

async fn drain(payload: &mut Payload, until: Instant, already: usize) {
    let mut read = already;
    while read <= DRAINED {
        match next(payload, until).await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// The first piece. Mostly it has been read together with the head and is handed over when this is polled again: a clock is
/// set only if it is not.
async fn first(payload: &mut Payload, until: Instant) -> Result<Option<Bytes>, Unread> {
    let mut piece = poll_once(payload).await;
    if piece.is_pending() {
        yield_now().await;
        piece = poll_once(payload).await;
    }
    match piece {
        Poll::Ready(piece) => known(piece),
        Poll::Pending => next(payload, until).await,
    }
}

/// Whether there is a piece now; if not, its coming wakes whoever asks.
async fn poll_once(payload: &mut Payload) -> Poll<Option<Result<Bytes, PayloadError>>> {
    poll_fn(|context| Poll::Ready(payload.poll_next_unpin(context))).await
}

async fn next(payload: &mut Payload, until: Instant) -> Result<Option<Bytes>, Unread> {
    timeout_at(until, payload.next())
        .await
        .map_or(Err(Unread::Broken), known)
}

fn known(piece: Option<Result<Bytes, PayloadError>>) -> Result<Option<Bytes>, Unread> {
    piece.transpose().map_err(|_broken| Unread::Broken)
}

fn announced(request: &HttpRequest) -> Option<usize> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
