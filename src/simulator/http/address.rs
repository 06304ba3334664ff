//! Splits the URL of a callback into what a request needs.
//! Owns: which URLs can be called. Uses: nothing. Never: resolves names.

use super::Error;

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) https: bool,
    /// As it stands in the `Host` header.
    pub(super) authority: String,
    /// Where to connect: host without brackets, and port.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) target: String,
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

    pub(super) fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
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
}
