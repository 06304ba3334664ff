//! Names media files rightly and wrongly and compares what is said about it.

use bytes::Bytes;
use wxreply::model::{MediaKind, RuleFiles};
use wxreply::rules::diagnostic::{Lang, render};
use wxreply::rules::{Code, Compiled, Diagnostic, Options, compile};

use crate::support::media::{AMR, GIF, JPEG, MP3, MP4, PNG, padded};

/// Compiles these replies, each in a rule of its own, beside a shelf of files.
fn compiled(replies: &[&str], options: &Options) -> (RuleFiles, Compiled) {
    let rule = |(number, reply): (usize, &&str)| {
        format!("[[rule]]\nid = \"r{number}\"\nexact = [\"{number}\"]\nreplies = [{{ {reply} }}]\n")
    };
    let rules: String = replies.iter().enumerate().map(rule).collect();
    let mut files: Vec<(String, Bytes)> = [
        ("media/map.png", PNG.to_vec()),
        ("media/photo.jpg", JPEG.to_vec()),
        ("media/hello.amr", AMR.to_vec()),
        ("media/song.mp3", MP3.to_vec()),
        ("media/film.mp4", MP4.to_vec()),
        ("media/moving.gif", GIF.to_vec()),
        ("media/renamed.png", JPEG.to_vec()),
        ("media/page.png", b"<html>".to_vec()),
        ("media/empty.png", Vec::new()),
        ("media/big.png", padded(PNG, (10 << 20) + 1)),
        ("media/long.amr", padded(AMR, (2 << 20) + 1)),
        ("media/wide.jpg", padded(JPEG, (64 << 10) + 1)),
        ("media/sub/Deep.png", PNG.to_vec()),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes.into()))
    .into();
    files.push(("10.toml".to_owned(), rules.into()));
    files.sort();
    let files = RuleFiles(files);
    let mut compiled = compile(&files, options);
    compiled
        .diagnostics
        .retain(|one| !matches!(one.code, Code::NoOwner | Code::NoTest));
    (files, compiled)
}

#[test]
fn what_cannot_be_sent_is_named_where_it_is_written() {
    let wrong = [
        // Missing.
        "image = \"media/nothing.png\"",
        "image = \"media/Map.png\"",
        "image = \"media/mapp.png\"",
        "image = \"map.png\"",
        "image = \"media/deep.png\"",
        // Out of the directory.
        "image = \"../secret.png\"",
        "image = \"media/../../secret.png\"",
        "image = \"/etc/passwd\"",
        "image = 'media\\map.png'",
        "image = 'C:/map.png'",
        "image = \"\"",
        "image = \"https://example.com/map.png\"",
        // Of another kind than its place.
        "image = \"media/moving.gif\"",
        "image = \"media/page.png\"",
        "image = \"media/empty.png\"",
        "voice = \"media/map.png\"",
        "video = { file = \"media/song.mp3\" }",
        "music = { url = \"https://example.com/a.mp3\", cover = \"media/map.png\" }",
        "news = { title = \"t\", url = \"https://example.com\", image = \"media/hello.amr\" }",
        // Too large.
        "image = \"media/big.png\"",
        "voice = \"media/long.amr\"",
        "music = { url = \"https://example.com/a.mp3\", cover = \"media/wide.jpg\" }",
    ];
    let (files, compiled) = compiled(&wrong, &Options::default());
    let remarks = remarks(&compiled);
    assert_eq!(remarks.len(), wrong.len());
    for (lang, name) in [(Lang::Zh, "media_zh"), (Lang::En, "media_en")] {
        let shown = render(&remarks, &files, "rules/", lang, false);
        insta::assert_snapshot!(name, shown);
    }
}

/// Not every file is used by every test.
fn remarks(compiled: &Compiled) -> Vec<Diagnostic> {
    let is_used = |one: &&Diagnostic| one.code != Code::Unused;
    compiled
        .diagnostics
        .iter()
        .filter(is_used)
        .cloned()
        .collect()
}

#[test]
fn a_set_lists_what_must_be_uploaded_and_what_is_shown() {
    let right = [
        "image = \"media/map.png\", fallback = \"柳巷 18 号\"",
        "image = \"media/renamed.png\"",
        "voice = \"media/hello.amr\"",
        "voice = \"media/song.mp3\"",
        "video = { file = \"media/film.mp4\" }",
        "music = { url = \"https://example.com/a.mp3\", cover = \"media/photo.jpg\" }",
        "image = \"media_id:M\"",
        "news = { title = \"t\", url = \"https://example.com\", image = \"media/map.png\" }",
        "news = { title = \"u\", url = \"https://example.com\", image = \"media/map.png\" }",
        "news = { title = \"v\", url = \"https://example.com\", image = \"https://example.com/p.png\" }",
    ];
    let (_, compiled) = compiled(&right, &Options::default());
    assert_eq!(remarks(&compiled), []);
    let set = compiled.rules.unwrap();
    let sent: Vec<(&str, MediaKind, &str, bool)> = set
        .media()
        .iter()
        .map(|used| {
            let file = &used.file;
            (
                used.rule.as_str(),
                file.kind,
                &*file.path,
                used.has_fallback,
            )
        })
        .collect();
    assert_eq!(
        sent,
        [
            ("r0", MediaKind::Image, "media/map.png", true),
            ("r1", MediaKind::Image, "media/renamed.png", false),
            ("r2", MediaKind::Voice, "media/hello.amr", false),
            ("r3", MediaKind::Voice, "media/song.mp3", false),
            ("r4", MediaKind::Video, "media/film.mp4", false),
            ("r5", MediaKind::Thumb, "media/photo.jpg", false),
        ]
    );
    let shown: Vec<&str> = set
        .pictures()
        .iter()
        .map(|picture| &*picture.path)
        .collect();
    assert_eq!(shown, ["media/map.png"]);
    assert_eq!(set.pictures()[0].hash, set.media()[0].file.hash);
    assert_eq!(set.media()[1].file.hash, set.media()[5].file.hash);
}

#[test]
fn a_file_belongs_to_the_accounts_on_which_its_reply_is_given() {
    let text = r#"
[[rule]]
id = "map"
exact = ["地图"]
accounts = ["east", "west"]
replies = [{ image = "media/map.png" }]
[rule.account.west]
replies = [{ image = "media/west.png" }]

[[rule]]
id = "again"
exact = ["再来"]
use_reply_of = "map"
"#;
    let files = RuleFiles(vec![
        ("10.toml".to_owned(), text.into()),
        ("media/map.png".to_owned(), Bytes::from_static(PNG)),
        ("media/west.png".to_owned(), padded(PNG, 100).into()),
    ]);
    let set = compile(&files, &Options::default()).rules.unwrap();
    let name = |text: &str| wxreply::model::AccountName::parse(text).unwrap();
    let on = |account: &str| -> Vec<(&str, &str)> {
        let uses = set.media().iter();
        uses.filter(|used| used.is_for(&name(account)))
            .map(|used| (used.rule.as_str(), &*used.file.path))
            .collect()
    };
    assert_eq!(
        on("east"),
        [("map", "media/map.png"), ("again", "media/map.png")]
    );
    assert_eq!(
        on("west"),
        [("map", "media/west.png"), ("again", "media/west.png")]
    );
    assert_eq!(on("north"), [("again", "media/map.png")]);
}
