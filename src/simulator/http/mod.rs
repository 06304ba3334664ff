//! Speaks just enough HTTP/1.1 to deliver pushes: kept-alive plain connections, `https` through ureq.
//! Owns: the connections to callbacks, the bounds on answers. Uses: tokio, ureq. Never: signatures, meanings of answers, time limits.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

mod address;
mod connection;
mod tls;

pub use address::Address;
use connection::{Connection, Failed};

/// The most bytes of an answer's body.
const BODY_LIMIT: usize = 1024 * 1024;
/// Idle connections kept to one address.
const IDLE: usize = 256;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be called.
    #[error("{0:?} is not an http or https URL")]
    Address(String),
    /// The connection failed or broke.
    #[error("no answer: {0}")]
    Io(#[from] io::Error),
    /// What came back is not HTTP/1, or more of it than a callback has reason to send.
    #[error("not an HTTP answer: {0}")]
    Malformed(&'static str),
    /// What ureq says of an `https` callback.
    #[error("no answer over TLS: {0}")]
    Tls(String),
}

/// A complete answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`, empty when there is none.
    pub content_type: String,
    /// The body, transfer coding removed.
    pub body: Vec<u8>,
}

/// Calls callbacks; clones share the idle connections. All calls must run on one tokio runtime.
#[derive(Clone, Debug, Default)]
pub struct Client {
    idle: Arc<Mutex<HashMap<String, Vec<Connection>>>>,
}

impl Client {
    /// Sends one request and reads its answer; `body` of `None` is a GET, else a POST of `text/xml`.
    /// A kept connection that turns out to be closed is replaced once. `limit` only bounds what a TLS call may leave behind:
    /// the caller's own time limit ends the others by dropping the future.
    ///
    /// # Errors
    /// [`Error`] when no complete answer came.
    pub async fn call(
        &self,
        to: &Address,
        body: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Answer, Error> {
        if to.https {
            return tls::call(to.url(), body.map(<[u8]>::to_vec), limit).await;
        }
        let request = request(to, body);
        while let Some(mut kept) = self.take(&to.authority) {
            if kept.is_dead() {
                continue;
            }
            match kept.exchange(&request).await {
                Ok(answer) => return Ok(self.settle(to, kept, answer)),
                Err(Failed { began: false, .. }) => break,
                Err(Failed { error, .. }) => return Err(error),
            }
        }
        let mut fresh = Connection::open(to).await?;
        match fresh.exchange(&request).await {
            Ok(answer) => Ok(self.settle(to, fresh, answer)),
            Err(Failed { error, .. }) => Err(error),
        }
    }

    fn take(&self, authority: &str) -> Option<Connection> {
        self.idle.lock().get_mut(authority)?.pop()
    }

    fn settle(
        &self,
        to: &Address,
        connection: Connection,
        (answer, keep): (Answer, bool),
    ) -> Answer {
        if keep {
            let mut idle = self.idle.lock();
            let kept = idle.entry(to.authority.clone()).or_default();
            if kept.len() < IDLE {
                kept.push(connection);
            }
        }
        answer
    }
}

/// WeChat's own headers, as seen in logs.
fn request(to: &Address, body: Option<&[u8]>) -> Vec<u8> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut request = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\nPragma: no-cache\r\n",
        to.target, to.authority
    )
    .into_bytes();
    if let Some(body) = body {
        let head = format!(
            "Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
    } else {
        request.extend_from_slice(b"\r\n");
    }
    request
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Answers each request on one connection with the next of `answers`, then closes.
    async fn serve(answers: &'static [&'static str]) -> Address {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut answers = answers.iter();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut seen = [0; 4096];
                while stream.read(&mut seen).await.unwrap_or(0) > 0 {
                    let Some(answer) = answers.next() else { return };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains("close") || !answer.contains("Length") {
                        break;
                    }
                }
            }
        });
        Address::parse(&format!("http://127.0.0.1:{port}/")).unwrap()
    }

    #[tokio::test]
    async fn bodies_end_by_length_by_chunks_and_by_closing() {
        let to = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Type: text/xml\r\n\r\nsuccess",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh no\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nsuc\r\n4\r\ncess\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nsuccess",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9, close\r\n\r\nsuccess",
            "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\nclose: 1\r\n\r\nsuccess",
            "SSH-2.0 close\r\n",
        ])
        .await;
        let client = Client::default();
        let limit = Duration::from_secs(1);
        for status in [200, 500, 200] {
            let answer = client.call(&to, Some(b"<xml/>"), limit).await.unwrap();
            assert_eq!((answer.status, &*answer.body), (status, &b"success"[..]));
        }
        let empty = client.call(&to, None, limit).await.unwrap();
        assert_eq!((empty.status, empty.body.len()), (204, 0));
        for _ in 0..3 {
            let error = client.call(&to, None, limit).await.unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_cut_answer_is_an_error() {
        let to = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 70\r\nConnection: close\r\n\r\nsucc"])
            .await;
        let error = Client::default()
            .call(&to, None, Duration::from_secs(1))
            .await;
        assert!(matches!(error, Err(Error::Io(_))));
    }
}
