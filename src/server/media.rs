//! Serves the pictures that cards of the rules show, and makes ready what a rule set sends before it goes live.
//! Owns: which pictures the world may see, and for how long. Uses: upload, store, rules. Never: reads the rules directory; serves anything else.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderValue, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, Resource};
use arc_swap::ArcSwap;
use bytes::Bytes;

use super::Site;
use super::settings::MEDIA_PATH;
use crate::clock::Clock;
use crate::decide::ActiveRules;
use crate::files::Cache;
use crate::model::media::{Sha256Hash, from_hex, hex};
use crate::model::{MediaFormat, RuleFiles, Time};
use crate::rules::{Diagnostic, RuleSet};
use crate::store::Store;
use crate::upload::Uploader;

/// Where pictures are kept, in the data directory.
pub(super) const PICTURES: &str = "media/pictures";
/// Where files to upload are kept.
pub(super) const UPLOADS: &str = "media/uploads";
/// Where files that followers sent are kept.
pub(super) const RECEIVED: &str = "media/received";
/// Where pictures that agents want to send are kept.
pub(super) const BROUGHT: &str = "media/agents";
/// WeChat fetches a picture a little after the reply that shows it, and followers scroll back.
const SHOWN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The media of the rules that run.
pub(super) struct Media {
    pub(super) clock: Clock,
    store: Arc<dyn Store>,
    uploader: Arc<Uploader>,
    pictures: Cache,
    /// Replaced by one rule set at a time.
    shown: ArcSwap<HashMap<Sha256Hash, Shown>>,
}

/// A picture that may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    format: MediaFormat,
    /// `None` while the rules that run show it.
    until: Option<Time>,
}

impl Media {
    /// Opens the pictures that an earlier run served; those that its last rules dropped are served until their time is
    /// over.
    ///
    /// # Errors
    /// When the data directory cannot be used.
    pub(super) fn open(
        data: &Path,
        store: Arc<dyn Store>,
        uploader: Arc<Uploader>,
        clock: Clock,
    ) -> io::Result<Self> {
        let pictures = Cache::open(&data.join(PICTURES))?;
        let mut shown = HashMap::new();
        for hash in pictures.list()? {
            let until = Some(pictures.marked(&hash)?.plus(SHOWN_AFTER));
            let format = pictures.read(&hash)?;
            let format = format.and_then(|bytes| MediaFormat::of(&bytes));
            shown.extend(format.map(|format| (hash, Shown { format, until })));
        }
        Ok(Self {
            clock,
            store,
            uploader,
            pictures,
            shown: ArcSwap::from_pointee(shown),
        })
    }

    /// Keeps what a rule set sends and shows, and lets WeChat and the world have it. To be called just before the set
    /// goes live, for one set at a time. What cannot be kept is logged; rules answer without it.
    pub(super) async fn take(&self, active: &ActiveRules) {
        let set = &active.set;
        let files = match self.lacks(set) {
            true => self.files_of(active).await,
            false => RuleFiles::default(),
        };
        // Shared, not copied.
        let of = |path: &str| files.find(path).cloned();
        let sent = set
            .media()
            .iter()
            .map(|used| (used.file.hash, of(&used.file.path)));
        let seen = set.pictures().iter().map(|one| (one.hash, of(&one.path)));
        let (sent, seen): (Vec<_>, Vec<_>) = (sent.collect(), seen.collect());
        let (uploads, pictures) = (self.uploader.cache().clone(), self.pictures.clone());
        let kept = web::block(move || {
            keep(&uploads, sent)?;
            keep(&pictures, seen)
        });
        let kept = kept.await.map_err(io::Error::other).and_then(|kept| kept);
        if let Err(error) = kept {
            tracing::error!(%error, "media of the rules cannot be kept");
        }
        self.uploader.rules_changed(set);
        self.show(set, self.clock.now());
    }

    /// Whether something must be fetched from the store.
    fn lacks(&self, set: &RuleSet) -> bool {
        let uploads = self.uploader.cache();
        let lacks_upload = set.media().iter().any(|used| !uploads.has(&used.file.hash));
        lacks_upload
            || set
                .pictures()
                .iter()
                .any(|one| !self.pictures.has(&one.hash))
    }

    async fn files_of(&self, active: &ActiveRules) -> RuleFiles {
        let Some(revision) = active.revision else {
            return RuleFiles::default();
        };
        match self.store.revision_files(revision).await {
            Ok(files) => files.unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, rules.revision = revision, "media of the rules cannot be read");
                RuleFiles::default()
            }
        }
    }

    /// Shows a set's pictures, and those of earlier sets for a while.
    fn show(&self, set: &RuleSet, now: Time) {
        let shown = shown_after(&self.shown.load(), set, now);
        let before = self.shown.swap(Arc::new(shown.clone()));
        for (hash, Shown { until, .. }) in before.iter() {
            let noted = match shown.get(hash) {
                None => self.pictures.remove(hash),
                Some(shown) if until.is_none() && shown.until.is_some() => {
                    self.pictures.mark(hash, now)
                }
                Some(_) => Ok(()),
            };
            if let Err(error) = noted {
                tracing::warn!(%error, file = hex(hash), "an old picture cannot be put away");
            }
        }
    }

    /// What cannot be sent, as warnings about the rules.
    pub(super) fn remarks(&self) -> Vec<Diagnostic> {
        self.uploader.remarks()
    }

    /// The picture of that name, if it may be seen now.
    fn find(&self, name: &str, now: Time) -> Option<(Sha256Hash, MediaFormat)> {
        let (hash, extension) = name.split_once('.')?;
        let hash = from_hex(hash)?;
        let Shown { format, until } = *self.shown.load().get(&hash)?;
        let is_seen = until.is_none_or(|until| now < until);
        (is_seen && extension == format.extension()).then_some((hash, format))
    }
}

/// What is shown once this set runs.
fn shown_after(
    before: &HashMap<Sha256Hash, Shown>,
    set: &RuleSet,
    now: Time,
) -> HashMap<Sha256Hash, Shown> {
    let until = now.plus(SHOWN_AFTER);
    let past = before.iter().map(|(hash, shown)| {
        let until = Some(shown.until.unwrap_or(until));
        (*hash, Shown { until, ..*shown })
    });
    let past = past.filter(|(_, shown)| shown.until.is_none_or(|until| now < until));
    let present = set.pictures().iter().map(|picture| {
        let format = picture.format;
        (
            picture.hash,
            Shown {
                format,
                until: None,
            },
        )
    });
    past.chain(present).collect()
}

/// Keeps every file that is there; the first failure is told when all have been tried.
fn keep(cache: &Cache, files: Vec<(Sha256Hash, Option<Bytes>)>) -> io::Result<()> {
    let kept = files
        .into_iter()
        .filter_map(|(hash, bytes)| Some((hash, bytes?)))
        .map(|(hash, bytes)| cache.keep(&hash, &bytes));
    kept.fold(Ok(()), Result::and)
}

/// The route of pictures, under this prefix.
pub(super) fn route(prefix: &str) -> Resource {
    super::api::resource(&format!("{prefix}{MEDIA_PATH}{{name}}"), "GET, HEAD")
        .route(web::get().to(picture))
        .route(web::head().to(picture))
}

async fn picture(request: HttpRequest, name: web::Path<String>, site: Data<Site>) -> HttpResponse {
    let Some((hash, format)) = site.media.find(&name, site.clock.now()) else {
        return HttpResponse::NotFound().finish();
    };
    let tag = format!("\"{}\"", hex(&hash));
    if is_known(&request, &tag) {
        return HttpResponse::NotModified()
            .insert_header((ETAG, tag))
            .insert_header((CACHE_CONTROL, FOR_EVER))
            .finish();
    }
    let cache = site.media.pictures.clone();
    match web::block(move || cache.read(&hash)).await {
        Ok(Ok(Some(bytes))) => HttpResponse::Ok()
            .content_type(format.content_type())
            .insert_header((ETAG, tag))
            .insert_header((CACHE_CONTROL, FOR_EVER))
            .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
            .insert_header((
                CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'none'; sandbox"),
            ))
            .body(bytes),
        Ok(Ok(None)) => HttpResponse::NotFound().finish(),
        Ok(Err(_)) | Err(_) => {
            tracing::error!(file = tag, "a picture cannot be read");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// The name is the content: it never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Whether the caller has this picture already (RFC 9110, 13.1.2).
fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let lines = request.headers().get_all(IF_NONE_MATCH);
    lines.filter_map(|line| line.to_str().ok()).any(|line| {
        let mut tags = line.split(',').map(str::trim);
        tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Options, compile};

    fn set(reply: &str) -> RuleSet {
        let rule = format!("[[rule]]\nid = \"a\"\nexact = [\"a\"]\nreplies = [{{ {reply} }}]\n");
        let files = RuleFiles(vec![
            ("10.toml".to_owned(), rule.into()),
            (
                "media/p.png".to_owned(),
                Bytes::from_static(b"\x89PNG\r\n\x1a\n"),
            ),
        ]);
        compile(&files, &Options::default()).rules.unwrap()
    }

    #[test]
    fn a_picture_is_shown_for_a_day_after_the_last_set_with_it() {
        let now = Time::from_seconds(1_718_200_000);
        let with = set("news = { title = \"t\", url = \"https://x\", image = \"media/p.png\" }");
        let without = set("text = \"b\"");
        let hash = with.pictures()[0].hash;
        let until = |shown: &HashMap<Sha256Hash, Shown>| shown.get(&hash).map(|one| one.until);
        let shown = shown_after(&HashMap::new(), &with, now);
        assert_eq!(until(&shown), Some(None));
        let dropped = shown_after(&shown, &without, now);
        let end = now.plus(SHOWN_AFTER);
        assert_eq!(until(&dropped), Some(Some(end)));
        // Another set does not prolong it, and one that shows it again brings it back.
        let later = shown_after(&dropped, &without, now.plus(Duration::from_secs(60)));
        assert_eq!(until(&later), Some(Some(end)));
        assert_eq!(until(&shown_after(&later, &with, now)), Some(None));
        assert_eq!(until(&shown_after(&later, &without, end)), None);
    }
}
