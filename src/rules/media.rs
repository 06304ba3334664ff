//! Finds the files that replies send or show, and holds them against WeChat's limits.
//! Owns: where media may lie, and what is said of a file that cannot be used. Uses: sheet, model, sha2. Never: uploads, serves.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::diagnostic::{Code, Words, did_you_mean};
use super::sheet::{Sheet, Text};
use crate::model::media::Sha256Hash;
use crate::model::{MediaFile, MediaFormat, MediaKind, Picture, RuleFiles};

/// Media lie here.
const DIRECTORY: &str = "media/";
/// How media uploaded to WeChat are named in rule files.
const MEDIA_ID: &str = "media_id:";

/// What a reply sends.
pub(super) enum Medium {
    /// What is at WeChat already.
    Uploaded(Arc<str>),
    /// A file that must be uploaded first.
    File(MediaFile),
}

impl Medium {
    /// What stands in the reply: the id, or the path until there is an id.
    pub(super) fn id(&self) -> Arc<str> {
        match self {
            Self::Uploaded(id) => Arc::clone(id),
            Self::File(file) => Arc::clone(&file.path),
        }
    }

    /// The file that must be uploaded.
    pub(super) fn into_file(self) -> Option<MediaFile> {
        match self {
            Self::Uploaded(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

/// The media of a rules directory.
pub(super) struct Library<'f> {
    files: BTreeMap<&'f str, Stored<'f>>,
    /// What stands before the name of a picture that is served.
    address: Option<&'f str>,
}

struct Stored<'f> {
    bytes: &'f [u8],
    /// Made when the file is first used.
    hash: OnceCell<Sha256Hash>,
}

impl Stored<'_> {
    fn hash(&self) -> Sha256Hash {
        *self.hash.get_or_init(|| Sha256::digest(self.bytes).into())
    }
}

impl<'f> Library<'f> {
    /// The media among these files. `address` is what stands before the name of a picture that is served.
    pub(super) fn of(files: &'f RuleFiles, address: Option<&'f str>) -> Self {
        let media = files
            .0
            .iter()
            .filter(|(path, _)| path.starts_with(DIRECTORY));
        let stored = media.map(|(path, bytes)| {
            let hash = OnceCell::new();
            (path.as_str(), Stored { bytes, hash })
        });
        Self {
            files: stored.collect(),
            address,
        }
    }

    /// The address at which WeChat finds a picture; its path where nobody serves it.
    pub(super) fn address(&self, picture: &Picture) -> Arc<str> {
        self.address.map_or_else(
            || Arc::clone(&picture.path),
            |address| format!("{address}{}", picture.served_as()).into(),
        )
    }

    /// The file that a path means, by what it would have been if not written wrong.
    fn meant(&self, path: &str) -> Option<(&'f str, bool)> {
        let lower = path.to_lowercase();
        let names = || self.files.keys().copied();
        if let Some(known) = names().find(|known| known.to_lowercase() == lower) {
            return Some((known, true));
        }
        let bare = lower.rsplit('/').next().unwrap_or_default();
        let is_same = |known: &&str| known.to_lowercase().rsplit('/').next() == Some(bare);
        let meant = names().find(is_same);
        meant
            .or_else(|| did_you_mean(path, names()))
            .map(|known| (known, false))
    }
}

/// Reads a media string: `media_id:…`, or the path of a file that WeChat takes as this.
pub(super) fn medium(
    sheet: &mut Sheet<'_>,
    key: &str,
    text: &Text<'_>,
    kind: MediaKind,
) -> Option<Medium> {
    if let Some(id) = text.text.strip_prefix(MEDIA_ID).map(str::trim) {
        if id.is_empty() {
            let words = Words::new(
                "`media_id:` 后面要写素材的 id",
                "the id is missing after `media_id:`",
            );
            sheet.report(Code::BadValue, text.span.clone(), words);
            return None;
        }
        return Some(Medium::Uploaded(id.into()));
    }
    if text.text.contains("://") {
        let words = Words::new(
            format!("`{key}` 不能写网址:微信要的是上传过的素材"),
            format!("`{key}` cannot be an address: WeChat wants uploaded media"),
        );
        let help = Words::new(
            "把文件放到 media/ 下面,写它的路径;或写 \"media_id:XXXX\"",
            "put the file under media/ and write its path, or write \"media_id:XXXX\"",
        );
        sheet.report_with_help(Code::BadValue, text.span.clone(), words, help);
        return None;
    }
    let library = sheet.library;
    let stored = find(sheet, library, key, text)?;
    check(sheet, text, stored.bytes, kind)?;
    Some(Medium::File(MediaFile {
        kind,
        hash: stored.hash(),
        path: text.text.into(),
    }))
}

/// Reads the path of a picture that a card shows.
pub(super) fn picture(sheet: &mut Sheet<'_>, key: &str, text: &Text<'_>) -> Option<Picture> {
    let library = sheet.library;
    let stored = find(sheet, library, key, text)?;
    let format = check(sheet, text, stored.bytes, MediaKind::Image)?;
    Some(Picture {
        hash: stored.hash(),
        format,
        path: text.text.into(),
    })
}

/// A file by its path, which must stay under `media/` and be written as it is.
fn find<'l>(
    sheet: &mut Sheet<'_>,
    library: &'l Library<'_>,
    key: &str,
    text: &Text<'_>,
) -> Option<&'l Stored<'l>> {
    let path = text.text;
    if let Some(stored) = library.files.get(path) {
        return Some(stored);
    }
    let is_drive = path.as_bytes().get(1) == Some(&b':');
    let is_outside = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.contains('\\') || is_drive || path.split('/').any(is_outside) {
        let words = Words::new(
            format!("`{key}` 要写规则目录里的路径,用 /,不能有 .. 和 \\"),
            format!("`{key}` must be a path inside the rules directory, with /, without .. and \\"),
        );
        let help = Words::new("像 media/map.png", "such as media/map.png");
        sheet.report_with_help(Code::BadValue, text.span.clone(), words, help);
        return None;
    }
    let words = Words::new(
        format!("没有文件 {path}"),
        format!("there is no file {path}"),
    );
    let help = match library.meant(path) {
        Some((meant, true)) => Words::new(
            format!("是不是 {meant}?(大小写不同)"),
            format!("did you mean {meant}? (case differs)"),
        ),
        Some((meant, false)) => {
            Words::new(format!("是不是 {meant}?"), format!("did you mean {meant}?"))
        }
        None => Words::new(
            "把文件放到规则目录的 media/ 下面,像 media/map.png",
            "put the file under media/ in the rules directory, such as media/map.png",
        ),
    };
    sheet.report_with_help(Code::MissingFile, text.span.clone(), words, help);
    None
}

/// Whether WeChat takes these bytes as this.
fn check(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    bytes: &[u8],
    kind: MediaKind,
) -> Option<MediaFormat> {
    let path = text.text;
    let (zh, en) = match kind {
        MediaKind::Image => ("图片", "a picture"),
        MediaKind::Voice => ("语音", "a voice message"),
        MediaKind::Video => ("视频", "a video"),
        MediaKind::Thumb => ("音乐封面", "a cover"),
    };
    let format = MediaFormat::of(bytes);
    let Some(format) = format.filter(|format| kind.takes(*format)) else {
        let (is_zh, is_en) = match format {
            Some(format) => (format!(" {}", format.name()), format.name()),
            None if bytes.is_empty() => ("空的".to_owned(), "empty"),
            None => ("别的东西".to_owned(), "something else"),
        };
        let formats = kind.formats();
        let words = Words::new(
            format!("{path} 不能当{zh}发:要 {formats},这个文件是{is_zh}"),
            format!("{path} cannot be sent as {en}: that is {formats}, this file is {is_en}"),
        );
        let help = match format {
            Some(MediaFormat::Gif) => Words::new(
                "微信的图片回复不收 GIF:另存为 PNG 或 JPEG",
                "WeChat takes no GIF in a reply: save it as PNG or JPEG",
            ),
            _ => Words::new(
                "看的是文件内容,不是文件名:用软件另存为对的格式",
                "what counts is what is in the file, not its name: save it in the right format",
            ),
        };
        sheet.report_with_help(Code::MediaType, text.span.clone(), words, help);
        return None;
    };
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let limit = kind.limit();
    if size > limit {
        let words = Words::new(
            format!(
                "{path} 有 {size} 字节,{zh}最多 {limit} 字节({})",
                round(limit)
            ),
            format!(
                "{path} has {size} bytes, {en} may have at most {limit} ({})",
                round(limit)
            ),
        );
        let help = Words::new("压小一些再放进来", "make it smaller");
        sheet.report_with_help(Code::MediaSize, text.span.clone(), words, help);
        return None;
    }
    Some(format)
}

/// A limit as people say it.
fn round(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KB", bytes >> 10),
        mega => format!("{mega} MB"),
    }
}
