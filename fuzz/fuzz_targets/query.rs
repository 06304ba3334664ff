//! Reads any text as the query of a callback and checks a URL with it: no panic, and no echo without a right signature.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wxreply::model::{AccountName, Time};
use wxreply::wechat::callback::{open, verify_url};
use wxreply::wechat::query::SignedQuery;
use wxreply::wechat::{Account, Mode, signature};

const TOKEN: &str = "Tok3nForTests";
static ACCOUNT: LazyLock<Account> = LazyLock::new(|| {
    let name = AccountName::parse("shop").expect("a legal name");
    Account::new(name, "wx01", Mode::Plain, TOKEN.into(), None, None, None)
        .expect("a legal account")
});

fuzz_target!(|query: &str| {
    let parsed = SignedQuery::parse(query);
    let echo = verify_url(&ACCOUNT, query, Time::from_seconds(0), Duration::ZERO);
    if echo.is_ok() {
        let parsed = parsed.expect("an echo needs a query");
        let parts = [TOKEN, &parsed.timestamp, &parsed.nonce];
        assert!(signature::verify(&parts, &parsed.signature));
    }
    let _ = open(&ACCOUNT, query, query.as_bytes(), Time::from_seconds(0), Duration::from_secs(600));
});
