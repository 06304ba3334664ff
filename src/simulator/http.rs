//! Speaks just enough HTTP/1.1 to deliver pushes: kept-alive plain connections, `https` through ureq.
//! Owns: the connections to callbacks, the bounds on answers. Uses: tokio, ureq. Never: signatures, meanings of answers, time limits.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The most bytes of status line and header lines of an answer.
const HEAD_LIMIT: usize = 64 * 1024;
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

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    https: bool,
    /// As it stands in the `Host` header.
    authority: String,
    /// Where to connect: host without brackets, and port.
    host: String,
    port: u16,
    target: String,
}

impl Address {
    /// Splits an `http://` or `https://` URL; a fragment is dropped.
    ///
    /// # Errors
    /// [`Error::Address`] when it is no such URL.
    pub fn parse(url: &str) -> Result<Self, Error> {
        Self::split(url).ok_or_else(|| Error::Address(url.to_owned()))
    }

    fn split(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if https { 443 } else { 80 }),
        };
        let host = host.trim_matches(['[', ']']);
        let clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || authority.contains('@') || !clean(rest) {
            return None;
        }
        Some(Self {
            https,
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            target: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// The same address with `query` added to whatever query it has.
    #[must_use]
    pub fn with_query(&self, query: &str) -> Self {
        let joint = match self.target.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        Self {
            target: format!("{}{joint}{query}", self.target),
            ..self.clone()
        }
    }

    /// The host that is connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
    }
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
            return call_tls(to.url(), body.map(<[u8]>::to_vec), limit).await;
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

async fn call_tls(url: String, body: Option<Vec<u8>>, limit: Duration) -> Result<Answer, Error> {
    let call = move || -> Result<Answer, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        let mut answer = match body {
            Some(body) => agent
                .post(&url)
                .header("User-Agent", "Mozilla/4.0")
                .header("Content-Type", "text/xml")
                .send(&body)?,
            None => agent.get(&url).header("User-Agent", "Mozilla/4.0").call()?,
        };
        let content_type = answer.headers().get("content-type");
        Ok(Answer {
            status: answer.status().as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            body: answer
                .body_mut()
                .with_config()
                .limit(u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX))
                .read_to_vec()?,
        })
    };
    match tokio::task::spawn_blocking(call).await {
        Ok(Ok(answer)) => Ok(answer),
        // ureq's errors may carry the URL, whose query is signed: only the kind of failure is kept.
        Ok(Err(ureq::Error::Io(error))) => Err(Error::Tls(error.kind().to_string())),
        Ok(Err(ureq::Error::Timeout(_))) => Err(Error::Tls("timeout".to_owned())),
        Ok(Err(ureq::Error::HostNotFound)) => Err(Error::Tls("host not found".to_owned())),
        Ok(Err(ureq::Error::ConnectionFailed)) => Err(Error::Tls("not connected".to_owned())),
        Ok(Err(_other)) => Err(Error::Tls("the TLS call failed".to_owned())),
        Err(_stopped) => Err(Error::Tls("stopped".to_owned())),
    }
}

#[derive(Debug)]
struct Connection {
    stream: BufReader<TcpStream>,
}

/// A failed exchange, and whether any byte of an answer had come.
struct Failed {
    error: Error,
    began: bool,
}

impl Connection {
    async fn open(to: &Address) -> Result<Self, Error> {
        let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Whether the other side closed it, or sent something nobody asked for.
    fn is_dead(&self) -> bool {
        let nothing_yet = self.stream.get_ref().try_read(&mut [0; 1]);
        !matches!(nothing_yet, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<(Answer, bool), Failed> {
        let began = |error: Error, began| Failed { error, began };
        let sent = self.stream.get_mut().write_all(request).await;
        // A server that refuses early answers before it has read everything: what it said still counts.
        let first = self.stream.fill_buf().await.map(<[u8]>::len);
        match (sent, first) {
            (_, Ok(1..)) => self.answer().await.map_err(|error| began(error, true)),
            (Err(error), _) | (Ok(()), Err(error)) => Err(began(error.into(), false)),
            (Ok(()), Ok(0)) => Err(began(closed().into(), false)),
        }
    }

    async fn answer(&mut self) -> Result<(Answer, bool), Error> {
        let mut room = HEAD_LIMIT;
        let (status, mut keep) = loop {
            let line = self.line(&mut room).await?;
            let (version, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let keep = match version {
                "HTTP/1.1" => true,
                "HTTP/1.0" => false,
                _ => return Err(Error::Malformed("no status line")),
            };
            let status = rest.split(' ').next().and_then(|code| code.parse().ok());
            match status.ok_or(Error::Malformed("no status code"))? {
                100..=199u16 => while !self.line(&mut room).await?.is_empty() {},
                status => break (status, keep),
            }
        };
        let mut length = None;
        let mut chunked = false;
        let mut content_type = String::new();
        loop {
            let line = self.line(&mut room).await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(Error::Malformed("a header"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(parse_length(value, 10)?),
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "content-type" => value.clone_into(&mut content_type),
                "connection" if value.eq_ignore_ascii_case("close") => keep = false,
                _ => {}
            }
        }
        let body = match (chunked, length) {
            _ if matches!(status, 204 | 304) => Vec::new(),
            (true, _) => self.chunks(&mut room).await?,
            (false, Some(length)) => self.exactly(length).await?,
            (false, None) => {
                keep = false;
                self.rest().await?
            }
        };
        let answer = Answer {
            status,
            content_type,
            body,
        };
        Ok((answer, keep))
    }

    async fn line(&mut self, room: &mut usize) -> Result<String, Error> {
        let mut line = Vec::new();
        loop {
            let chunk = self.stream.fill_buf().await?;
            if chunk.is_empty() {
                return Err(closed().into());
            }
            let end = memchr::memchr(b'\n', chunk);
            let used = end.map_or(chunk.len(), |at| at + 1);
            line.extend_from_slice(chunk.get(..used).unwrap_or(chunk));
            self.stream.consume(used);
            *room = room
                .checked_sub(used)
                .ok_or(Error::Malformed("too much head"))?;
            if end.is_some() {
                let line = String::from_utf8(line).map_err(|_| Error::Malformed("odd bytes"))?;
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    async fn chunks(&mut self, room: &mut usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let line = self.line(room).await?;
            let size = line.split(';').next().unwrap_or_default();
            let length = parse_length(size.trim(), 16)?;
            if length == 0 {
                while !self.line(room).await?.is_empty() {}
                return Ok(body);
            }
            if body.len() + length > BODY_LIMIT {
                return Err(Error::Malformed("too much body"));
            }
            body.extend_from_slice(&self.exactly(length).await?);
            self.line(room).await?;
        }
    }

    async fn rest(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        let limit = u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX);
        (&mut self.stream)
            .take(limit + 1)
            .read_to_end(&mut body)
            .await?;
        if body.len() > BODY_LIMIT {
            return Err(Error::Malformed("too much body"));
        }
        Ok(body)
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection was closed before the answer was complete",
    )
}

fn parse_length(text: &str, radix: u32) -> Result<usize, Error> {
    match usize::from_str_radix(text, radix) {
        Ok(length) if length <= BODY_LIMIT => Ok(length),
        Ok(_) => Err(Error::Malformed("too much body")),
        Err(_not_a_number) => Err(Error::Malformed("a length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_split_and_queries_join() {
        let plain = Address::parse("http://127.0.0.1:8080/wx/shop?a=1#x").unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("127.0.0.1", 8080));
        assert_eq!(plain.with_query("b=2").target, "/wx/shop?a=1&b=2");
        let bare = Address::parse("https://wx.example.com").unwrap();
        assert_eq!((bare.port, bare.target.as_str()), (443, "/"));
        assert_eq!(bare.with_query("b=2").url(), "https://wx.example.com/?b=2");
        let six = Address::parse("http://[::1]:9/x").unwrap();
        assert_eq!((six.host.as_str(), six.port), ("::1", 9));
        assert_eq!(Address::parse("http://[::1]").unwrap().port, 80);
        for bad in [
            "",
            "wx/shop",
            "ftp://a/",
            "http://",
            "http://a:b/",
            "http://u@h/",
            "http://a/ b",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

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
