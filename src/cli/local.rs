//! Calls the server that runs on this machine with this configuration.
//! Owns: where it is and how the command line proves itself. Uses: config, the API over loopback. Never: another machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::config::Config;
use crate::server::{ADDRESS_FILE, CLI_TOKEN_FILE};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where rules are compiled first.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// The same for a health check, whose caller waits no longer either.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// The running server's API.
pub(super) struct Local {
    agent: ureq::Agent,
    api: String,
    token: String,
}

impl Local {
    /// Finds the server whose data directory this is.
    pub(super) fn find(config: &Config) -> anyhow::Result<Self> {
        let data = &config.server.data;
        let address: SocketAddr = note(data, ADDRESS_FILE)?.parse().context("address")?;
        Self::at(address, config.server.public_url.prefix(), data)
    }

    /// The server at this address, whose data directory this is.
    pub(super) fn at(address: SocketAddr, prefix: &str, data: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            agent: agent(PATIENCE),
            api: format!("http://{}{prefix}/api/v1", reachable(address)),
            token: note(data, CLI_TOKEN_FILE)?,
        })
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(
            self.agent
                .get(self.url(path))
                .header("authorization", self.bearer())
                .call(),
        )
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        answer(
            self.agent
                .post(self.url(path))
                .header("authorization", self.bearer())
                .send_json(body),
        )
    }

    pub(super) fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        answer(
            self.agent
                .patch(self.url(path))
                .header("authorization", self.bearer())
                .send_json(body),
        )
    }

    /// Asks for a change of the rules, which may take as long as compiling them: status and JSON, whatever they are.
    pub(super) fn ask(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let answer = agent(LONG_PATIENCE)
            .post(self.url(path))
            .header("authorization", self.bearer())
            .send_json(body);
        let mut answer = answer.map_err(no_answer)?;
        let body = answer.body_mut().read_json().unwrap_or(Value::Null);
        Ok((answer.status().as_u16(), body))
    }

    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        answer(
            self.agent
                .delete(self.url(path))
                .header("authorization", self.bearer())
                .call(),
        )
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// What the running server wrote down in its data directory.
fn note(data: &Path, name: &str) -> anyhow::Result<String> {
    let path = data.join(name);
    std::fs::read_to_string(&path)
        .map(|text| text.trim().to_owned())
        .with_context(|| {
            format!(
                "服务没有在运行? | is the server running? {}",
                path.display()
            )
        })
}

/// Whether the server that this configuration describes says it is alive.
pub(super) fn is_alive(config: &Config) -> bool {
    let mut address = config.server.listen;
    if address.port() == 0 {
        let Some(bound) = bound(&config.server.data) else {
            return false;
        };
        address = bound;
    }
    let url = format!("http://{}/healthz", reachable(address));
    agent(HEALTH_PATIENCE)
        .get(url)
        .call()
        .is_ok_and(|response| response.status() == 200)
}

fn bound(data: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(data.join(ADDRESS_FILE))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// An address that listens everywhere is called over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .build()
        .into()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn no_answer(error: ureq::Error) -> anyhow::Error {
    anyhow!("服务没有应答 | the server does not answer: {error}")
}

/// The JSON of a good answer, `null` when it has none; of a bad one, what the problem says.
fn answer(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> anyhow::Result<Value> {
    let mut response = response.map_err(no_answer)?;
    let status = response.status();
    let body = response
        .body_mut()
        .read_json::<Value>()
        .unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Err(anyhow!(
        "{} {} | {}",
        status.as_u16(),
        text("title"),
        text("detail")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_listens_everywhere_is_called_over_loopback() {
        let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reach("[::]:8080"), "[::1]:8080");
        assert_eq!(reach("10.0.0.5:80"), "10.0.0.5:80");
    }
}
