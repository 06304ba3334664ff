//! Runs the server inside the test, with a clock that the test moves.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use wxreply::clock::Clock;
use wxreply::model::Time;
use wxreply::server::Application;

use crate::support::{Setup, Stopped, TOKEN};

/// A server on a clock that stands still.
pub struct Near {
    pub clock: Clock,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _files: Stopped,
}

impl Near {
    pub fn start() -> Self {
        let files = Setup::default().into_stopped();
        let token = vec![("WXREPLY_API_TOKEN".into(), TOKEN.into())];
        let config = wxreply::config::load(Some(&files.path().join("wxreply.toml")), token);
        let clock = Clock::stopped_at(Time::from_seconds(1_780_000_000));
        let mut settings = config.unwrap().server;
        settings.clock = clock.clone();
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let application = Application::build(settings).await.unwrap();
                tell.send(application.address()).unwrap();
                let ended = application.run_until(async {
                    let _ = stopped.await;
                });
                ended.await.unwrap();
            });
        });
        Self {
            clock,
            address: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
            _files: files,
        }
    }

    /// A call of the API: status, `Retry-After`, JSON.
    pub fn call(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Option<u64>, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}/api/v1{path}", self.address));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut response = agent.run(request.body(body).unwrap()).unwrap();
        let wait = response.headers().get("retry-after");
        let wait = wait.map(|value| value.to_str().unwrap().parse().unwrap());
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap();
        (
            status,
            wait,
            serde_json::from_str(&text).unwrap_or_default(),
        )
    }

    /// A call with all rights that must have this status.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let (found, _, answer) = self.call(Some(TOKEN), method, path, body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        answer
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}
