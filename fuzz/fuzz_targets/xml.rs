//! Reads any bytes as a push: no panic, and what reads as a push reads as a tree with the same sender.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wxreply::wechat::xml::{read, read_tree};

fuzz_target!(|document: &[u8]| {
    let tree = read_tree(document);
    if let Ok(push) = read(document) {
        let tree = tree.expect("a push is a document");
        let from = tree.text(&["FromUserName"]).map(str::trim);
        assert_eq!(from, Some(push.from.as_str()));
    }
});
