//! Takes any bytes apart as a decrypted frame, as ciphertext and as base64: no panic, and what is sealed opens again.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use wxreply::wechat::AesKey;
use wxreply::wechat::crypto::{decrypt, encrypt, unframe};

const APP_ID: &str = "wxfe815c706eab338d";
static KEY: LazyLock<AesKey> = LazyLock::new(|| {
    AesKey::parse("tGcK0fKWr5A5F2diof9FWGaiAJUE5NXTnHJyXztB4CJ").expect("a key of the test vectors")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = unframe(bytes, APP_ID) {
        assert!(message.len() + APP_ID.len() + 20 < bytes.len());
    }
    let _ = decrypt(&KEY, APP_ID, &STANDARD.encode(bytes));
    let _ = decrypt(&KEY, APP_ID, &String::from_utf8_lossy(bytes));
    let sealed = encrypt(&KEY, APP_ID, [0; 16], bytes);
    assert_eq!(decrypt(&KEY, APP_ID, &sealed).as_deref(), Ok(bytes));
});
