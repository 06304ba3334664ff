//! Drives the uploader with a clock of its own against the pretend WeChat: renewal, expiry, what outlives a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wxreply::clock::Clock;
use wxreply::model::{AccountName, MediaFile, RuleFiles, Time};
use wxreply::rules::{Options, RuleSet, compile};
use wxreply::simulator::{AccountSettings, Fault, Settings, Times, Wechat};
use wxreply::store::Store;
use wxreply::store::sled::SledStore;
use wxreply::upload::{Cache, Uploader};
use wxreply::wechat::Client;
use wxreply::wechat::client::ClientSettings;

use crate::support::media::{PNG, padded};

const START: Time = Time::from_seconds(1_718_200_000);
const HOUR: Duration = Duration::from_secs(3600);
/// Far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(30);

fn shop() -> AccountName {
    AccountName::parse("shop").unwrap()
}

/// A store, a cache and a pretend WeChat that share a clock which only tests move.
struct Yard {
    directory: TempDir,
    clock: Clock,
    wechat: Wechat,
    settings: AccountSettings,
}

/// An uploader at work.
struct Work {
    uploader: Arc<Uploader>,
    store: Arc<SledStore>,
    stop: CancellationToken,
    running: JoinHandle<()>,
    /// How uploads ended, as counters are told.
    ends: Arc<Mutex<Vec<Option<i64>>>>,
}

impl Yard {
    fn open() -> Self {
        let clock = Clock::stopped_at(START);
        let wechat = Wechat::start(Settings {
            clock: clock.clone(),
            ..Settings::default()
        })
        .unwrap();
        let settings = AccountSettings::secure("shop", "");
        wechat.account(settings.clone());
        Self {
            directory: TempDir::new().unwrap(),
            clock,
            wechat,
            settings,
        }
    }

    async fn start(&self, set: &RuleSet, files: &RuleFiles) -> Work {
        let data = self.directory.path();
        let store = SledStore::open(data, self.clock.now()).await.unwrap();
        let client = Client::new(ClientSettings {
            api_base: self.wechat.api_base(),
            app_id: self.settings.app_id.clone(),
            secret: self.settings.secret.clone().into(),
        });
        let clients = HashMap::from([(shop(), Arc::new(client))]);
        let (clock, ends) = (self.clock.clone(), Arc::default());
        let told: Arc<Mutex<Vec<Option<i64>>>> = Arc::clone(&ends);
        let uploader = Uploader::open(
            Arc::<SledStore>::clone(&store),
            Cache::open(&data.join("media")).unwrap(),
            vec![shop()],
            &clients,
            Arc::new(move || clock.now()),
            Arc::new(move |_, failure| told.lock().push(failure)),
        );
        let uploader = Arc::new(uploader.await.unwrap());
        let stop = CancellationToken::new();
        let work = Work {
            running: tokio::spawn(Arc::clone(&uploader).run(stop.clone())),
            uploader,
            store,
            stop,
            ends,
        };
        work.change(set, files);
        work
    }

    /// How often WeChat was asked to take a file.
    fn asked(&self) -> usize {
        let calls = self.wechat.calls();
        let is_upload = |path: &str| path == "/cgi-bin/media/upload";
        calls.iter().filter(|call| is_upload(&call.path)).count()
    }
}

impl Work {
    /// Gives the uploader another set; also wakes it after the clock was moved.
    fn change(&self, set: &RuleSet, files: &RuleFiles) {
        for used in set.media() {
            let bytes = files.find(&used.file.path).unwrap();
            self.uploader.cache().keep(&used.file.hash, bytes).unwrap();
        }
        self.uploader.rules_changed(set);
    }

    fn id(&self, file: &MediaFile) -> Option<Arc<str>> {
        self.uploader.media(&shop()).of(file)
    }

    /// Waits until the id is another one.
    async fn next_id(&self, file: &MediaFile, before: Option<&Arc<str>>) -> Arc<str> {
        let start = Instant::now();
        loop {
            if let Some(id) = self.id(file).filter(|id| Some(id) != before) {
                return id;
            }
            assert!(start.elapsed() < PATIENCE, "no new id came");
            tokio::task::yield_now().await;
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "{what} never came");
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
        self.store.close().await;
    }
}

/// A rule that sends one picture.
fn set(bytes: &[u8]) -> (RuleSet, RuleFiles, MediaFile) {
    let rule =
        "[[rule]]\nid = \"map\"\nexact = [\"地图\"]\nreplies = [{ image = \"media/map.png\" }]\n";
    let files = RuleFiles(vec![
        ("10.toml".to_owned(), rule.into()),
        ("media/map.png".to_owned(), bytes.to_vec().into()),
    ]);
    let set = compile(&files, &Options::default()).rules.unwrap();
    let file = set.media()[0].file.clone();
    (set, files, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_renewed_in_time_kept_over_a_restart_and_never_used_too_long() {
    let yard = Yard::open();
    let (set, files, map) = set(PNG);
    let work = yard.start(&set, &files).await;
    let first = work.next_id(&map, None).await;
    work.end().await;

    // A restart within 60 hours finds it.
    yard.clock.advance(HOUR * 59);
    let work = yard.start(&set, &files).await;
    assert_eq!(work.id(&map).as_ref(), Some(&first));
    assert_eq!(yard.asked(), 1);
    yard.clock.advance(HOUR);
    work.change(&set, &files);
    let second = work.next_id(&map, Some(&first)).await;
    assert_eq!(yard.asked(), 2);
    // The one that was replaced still leads to its file, without another upload.
    let renewed = work.uploader.renewed(&shop(), &first).await;
    assert_eq!((renewed.as_ref(), yard.asked()), (Some(&second), 2));

    // Renewing fails for half a day: the old id is used as long as WeChat has it, and no longer.
    let upload = "/cgi-bin/media/upload";
    yard.wechat.breaks(upload, Fault::Code(-1), Times::Always);
    yard.clock.advance(HOUR * 60);
    work.change(&set, &files);
    work.until("the failure", || yard.asked() == 3).await;
    assert_eq!(work.id(&map).as_ref(), Some(&second));
    yard.clock.advance(HOUR * 11);
    work.change(&set, &files);
    work.until("the end of the id", || work.id(&map).is_none())
        .await;
    work.until("the next failure", || yard.asked() == 4).await;
    work.until("the remark", || !work.uploader.remarks().is_empty())
        .await;
    assert_eq!(work.ends.lock().last(), Some(&Some(-1)));
    assert_eq!(work.store.media().await.unwrap(), []);
    yard.wechat.heals();
    yard.clock.advance(HOUR);
    work.change(&set, &files);
    work.next_id(&map, Some(&second)).await;
    assert_eq!(work.uploader.remarks(), []);
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_gets_an_id_of_its_own_and_going_back_costs_nothing() {
    let yard = Yard::open();
    let (old, old_files, old_map) = set(PNG);
    let (new, new_files, new_map) = set(&padded(PNG, 100));
    let work = yard.start(&old, &old_files).await;
    let id = work.next_id(&old_map, None).await;
    work.change(&new, &new_files);
    work.next_id(&new_map, None).await;
    work.change(&old, &old_files);
    assert_eq!(work.id(&old_map), Some(id));
    assert_eq!(yard.asked(), 2);
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_that_find_an_id_forgotten_share_one_upload() {
    let yard = Yard::open();
    let (set, files, map) = set(PNG);
    let work = yard.start(&set, &files).await;
    let stale = work.next_id(&map, None).await;
    let account = shop();
    let renew = || work.uploader.renewed(&account, &stale);
    let (one, two, three) = tokio::join!(renew(), renew(), renew());
    assert_ne!(one.as_ref(), Some(&stale));
    assert!(one.is_some() && one == two && two == three);
    assert_eq!(renew().await, one);
    assert_eq!(yard.asked(), 2);
    assert_eq!(work.store.media().await.unwrap()[0].media_id, one.unwrap());
    // An id that an operator wrote is not ours to renew.
    assert_eq!(
        work.uploader.renewed(&shop(), "M-of-the-console").await,
        None
    );
    work.end().await;
}
