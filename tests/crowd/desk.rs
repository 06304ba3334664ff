//! Plays an agent who answers over the API, with a key for every answer, and tries again when the server dies.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use super::gate::Gate;
use crate::support::TOKEN;

/// A follower whose messages an agent is to answer once.
pub struct Wish {
    pub account: String,
    pub follower: String,
    pub n: usize,
    /// Cleared when the answer is written.
    pub is_open: Arc<AtomicBool>,
}

/// An answer that the API has taken.
pub struct Written {
    pub follower: String,
    pub text: String,
    pub id: String,
}

/// Agents of one name at one desk.
pub struct Desk<'a> {
    gate: &'a Gate,
    address: SocketAddr,
    http: ureq::Agent,
    pub written: Mutex<Vec<Written>>,
}

impl<'a> Desk<'a> {
    pub fn new(gate: &'a Gate, address: SocketAddr) -> Self {
        let http = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .proxy(None)
            // A connection that outlived its server would look like another death.
            .max_idle_connections(0)
            .build()
            .into();
        Self {
            gate,
            address,
            http,
            written: Mutex::default(),
        }
    }

    /// Works until no more wishes can come.
    pub fn works(&self, wishes: &Mutex<mpsc::Receiver<Wish>>) {
        loop {
            let wish = wishes.lock().unwrap().recv();
            let Ok(wish) = wish else { return };
            self.answers(&wish);
            wish.is_open.store(false, Ordering::Release);
        }
    }

    fn answers(&self, wish: &Wish) {
        let Wish {
            account,
            follower,
            n,
            ..
        } = wish;
        let path = format!("/conversations?account={account}&follower={follower}");
        let (_, listed) = self.call("GET", &path, None);
        let Some(id) = listed["conversations"][0]["id"].as_str() else {
            // All that this follower had said was lost with the server: only what rules answered can be.
            return;
        };
        let text = format!("{follower} 您好,这是第 {n} 次回您。");
        let path = format!("/conversations/{id}/replies");
        let body = json!({"text": text, "idempotency_key": format!("{follower}-{n}")});
        let (status, first) = self.call("POST", &path, Some(&body));
        assert_eq!(status, 201, "{first}");
        let (status, again) = self.call("POST", &path, Some(&body));
        assert_eq!(
            (status, &again["message"]["id"]),
            (201, &first["message"]["id"])
        );
        let id = first["message"]["id"].as_str().unwrap().to_owned();
        self.written.lock().unwrap().push(Written {
            follower: follower.clone(),
            text,
            id,
        });
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        loop {
            let life = self.gate.life();
            match self.try_call(method, path, body) {
                Ok(answer) => return answer,
                Err(error) => drop(self.gate.next_life(life, &error.to_string())),
            }
        }
    }

    fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}/api/v1{path}", self.address))
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())?;
        let mut answer = self.http.run(request)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_vec()?;
        Ok((status, serde_json::from_slice(&body).unwrap()))
    }
}
