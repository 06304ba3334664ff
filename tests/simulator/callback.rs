//! Plays a callback: answers each request by a script, remembers what came. Its HTTP is its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub raw_query: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    pub fn query(&self, name: &str) -> &str {
        let mut found = self.query.iter().filter(|(known, _)| known == name);
        found.next().map_or("", |(_, value)| value)
    }

    /// The text between the tags, CDATA or not.
    pub fn field(&self, name: &str) -> &str {
        let start = format!("<{name}>");
        let rest = self.body.split_once(&start).map_or("", |(_, rest)| rest);
        let text = rest
            .split_once(&format!("</{name}>"))
            .map_or("", |(text, _)| text);
        text.trim_start_matches("<![CDATA[").trim_end_matches("]]>")
    }
}

/// What to answer.
pub enum Answer {
    /// 200 with this body.
    Body(String),
    /// Another status.
    Status(u16),
    /// These bytes, as they are, and the connection is closed.
    Bytes(&'static [u8]),
    /// Nothing, for as long as the other side waits.
    Never,
}

impl Answer {
    pub fn success() -> Self {
        Self::Body("success".to_owned())
    }
}

type Script = dyn Fn(&Seen) -> Answer + Send + Sync;

/// A scripted callback; its threads end with the test.
pub struct Callback {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Callback {
    pub fn new(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                thread::spawn(move || serve(&stream, &log, &*script));
            }
        });
        Self { port, seen }
    }

    /// Answers the first request with the first of these, and so on; afterwards `success`.
    pub fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        let answers = Mutex::new(answers);
        Self::new(move |_| {
            answers
                .lock()
                .unwrap()
                .pop()
                .unwrap_or_else(Answer::success)
        })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/wx/shop?own=1", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Vec<Seen>>, script: &Script) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split(' ');
        let method = words.next()?.to_owned();
        let raw_query = words.next()?.split_once('?').map_or("", |(_, query)| query);
        let query = raw_query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(name, value)| (name.to_owned(), decode(value)));
        let query = query.collect();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let seen = Seen {
            method,
            raw_query: raw_query.to_owned(),
            query,
            body,
        };
        log.lock().unwrap().push(seen.clone());
        // Each answer in one write: in pieces, the kernel would hold the second back.
        let answer = match script(&seen) {
            Answer::Body(body) => {
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
            }
            Answer::Status(status) => {
                format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\noops")
            }
            Answer::Bytes(bytes) => {
                writer.write_all(bytes).ok()?;
                return None;
            }
            // Ends when the other side has had enough.
            Answer::Never => {
                reader.read_line(&mut String::new()).ok()?;
                return None;
            }
        };
        writer.write_all(answer.as_bytes()).ok()?;
    }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
