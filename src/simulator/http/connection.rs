//! Reads and writes HTTP/1.1 on one plain connection.
//! Owns: where an answer ends, its bounds. Uses: tokio. Never: repeats a request.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Address, Answer, BODY_LIMIT, Error};

/// The most bytes of status line and header lines of an answer.
const HEAD_LIMIT: usize = 64 * 1024;

/// A kept-alive connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

/// A failed exchange, and whether any byte of an answer had come.
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) began: bool,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(to: &Address) -> Result<Self, Error> {
        let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Whether the other side closed it, or sent something nobody asked for.
    pub(super) fn is_dead(&self) -> bool {
        let nothing_yet = self.stream.get_ref().try_read(&mut [0; 1]);
        !matches!(nothing_yet, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and reads its answer, and whether the connection may be kept.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<(Answer, bool), Failed> {
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
                let line = String::from_utf8(line).map_err(|_bad| Error::Malformed("odd bytes"))?;
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
