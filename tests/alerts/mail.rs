//! Receives mail: as much of SMTP (RFC 5321) as one letter at a time needs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A letter as it came.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// User and password, where the sender gave them.
    pub credentials: Option<(String, String)>,
    pub from: String,
    pub to: Vec<String>,
    pub head: String,
    pub body: String,
}

impl Letter {
    pub fn header(&self, name: &str) -> String {
        let unfolded = self.head.replace("\r\n ", " ");
        let line = unfolded.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(": ").to_owned()
    }

    /// The subject's encoded words (RFC 2047), read.
    pub fn subject(&self) -> String {
        let written = self.header("Subject");
        let words = written.split("=?utf-8?b?").skip(1);
        let bytes =
            words.flat_map(|word| STANDARD.decode(word.split("?=").next().unwrap()).unwrap());
        String::from_utf8(bytes.collect()).unwrap()
    }

    pub fn text(&self) -> String {
        assert_eq!(self.header("Content-Transfer-Encoding"), "base64");
        let bytes = STANDARD.decode(self.body.replace("\r\n", "")).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// A mail server that wants this password, or none.
pub struct MailServer {
    pub address: SocketAddr,
    pub letters: Arc<Mutex<Vec<Letter>>>,
}

impl MailServer {
    pub fn wanting(password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let letters = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&letters);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _gone = receive(stream.unwrap(), password, &log);
            }
        });
        Self { address, letters }
    }
}

fn receive(
    mut stream: TcpStream,
    password: Option<&str>,
    log: &Mutex<Vec<Letter>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut letter = Letter::default();
    write!(stream, "220 mail.example.com ESMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let answer = match line.split(' ').next().unwrap_or("") {
            "EHLO" => "250-mail.example.com\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => {
                let sent = STANDARD.decode(line.rsplit(' ').next().unwrap()).unwrap();
                let sent = String::from_utf8(sent).unwrap();
                let mut parts = sent.split('\0').skip(1).map(str::to_owned);
                let given = (parts.next().unwrap(), parts.next().unwrap());
                let is_right = password == Some(&*given.1);
                letter.credentials = Some(given);
                if is_right {
                    "235 2.7.0 ok"
                } else {
                    "535 5.7.8 no"
                }
            }
            "MAIL" if password.is_some() && letter.credentials.is_none() => "530 5.7.0 who are you",
            "MAIL" => {
                line.clone_into(&mut letter.from);
                "250 ok"
            }
            "RCPT" => {
                letter.to.push(line);
                "250 ok"
            }
            "DATA" => {
                write!(stream, "354 go on\r\n")?;
                let mut text = Vec::new();
                for line in lines.by_ref() {
                    match line? {
                        end if end == "." => break,
                        line => text.push(line),
                    }
                }
                let text = text.join("\r\n");
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                head.clone_into(&mut letter.head);
                body.clone_into(&mut letter.body);
                log.lock().unwrap().push(std::mem::take(&mut letter));
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "500 what",
        };
        write!(stream, "{answer}\r\n")?;
    }
    Ok(())
}
