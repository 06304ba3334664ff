//! Gives tests, the demo and the command line their verbs: accounts with followers who say and do things.
//! Owns: the XML of what followers do. Uses: delivery, account. Never: how a push travels.

use std::sync::Arc;
use std::time::Duration;

use super::account::{AccountSettings, Office};
use super::delivery::Delivered;
use super::http::Address;
use super::letter::{Letter, Stamp, encode};
use super::media::{MediaKind, POINT_PNG};
use super::pending::Pending;
use super::phone::{Pushed, Shown};
use super::platform::Platform;
use super::push::Push;
use super::seal;
use super::xml::Writer;

/// An official account on the platform; clones are the same account.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) platform: Arc<Platform>,
    pub(super) office: Arc<Office>,
}

impl Account {
    pub(super) fn new(platform: Arc<Platform>, office: Arc<Office>) -> Self {
        Self { platform, office }
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<AccountSettings> {
        self.office.settings.load_full()
    }

    /// Changes the settings, at once, as saving them in WeChat's console does.
    pub fn change(&self, change: impl FnOnce(&mut AccountSettings)) {
        let mut settings = (*self.settings()).clone();
        change(&mut settings);
        self.office.settings.store(Arc::new(settings));
    }

    /// A follower of the account; one never seen before follows from now on, without an event.
    pub fn follower(&self, openid: &str) -> Follower {
        let now = self.platform.clock.now();
        self.office.memory.lock().follower(openid, now);
        Follower {
            account: self.clone(),
            openid: Arc::from(openid),
        }
    }

    /// Sends the GET by which WeChat checks the callback's URL. `Ok` when it echoed, else what was wrong.
    pub fn verifies(&self) -> Pending<Result<(), String>> {
        let (platform, settings) = (Arc::clone(&self.platform), self.settings());
        let check = async move { verify(&platform, &settings).await };
        let stopped = Err("the pretend WeChat has been stopped".to_owned());
        Pending::start(&self.platform.runtime, check, stopped)
    }

    /// All customer-service messages that were taken, oldest first.
    pub fn pushed(&self) -> Vec<Pushed> {
        self.office.memory.lock().pushed.iter().cloned().collect()
    }

    /// Makes a media id known as permanent material.
    pub fn keeps_media(&self, kind: MediaKind, media_id: &str) {
        self.office.memory.lock().shelf.keep(kind, media_id);
    }

    /// Ends all access tokens now: 42001 until a new one is fetched.
    pub fn expires_tokens(&self) {
        let now = self.platform.clock.now();
        self.office.memory.lock().tokens.expire(now);
    }

    /// Sets how often a path may be called a day; 45009 beyond.
    pub fn limits_calls(&self, path: &str, calls: u64) {
        self.office.memory.lock().quota.limit(path, calls);
    }

    fn store(&self, kind: MediaKind, bytes: &[u8]) -> String {
        let now = self.platform.clock.now();
        let mut memory = self.office.memory.lock();
        let stored = memory.shelf.upload(kind, bytes.to_vec(), now);
        // What WeChat itself takes from a phone needs no limits; bytes of another kind get an id that nothing fetches.
        stored.unwrap_or_else(|_| seal::word(64))
    }
}

async fn verify(platform: &Platform, settings: &AccountSettings) -> Result<(), String> {
    let callback = Address::parse(&settings.callback).map_err(|error| error.to_string())?;
    let stamp = Stamp::at(platform.clock.now().seconds());
    let echo = platform.next_id().to_string();
    let parts = [&*settings.token, &stamp.timestamp, &stamp.nonce];
    let query = encode(&[
        ("signature", seal::signature(&parts)),
        ("echostr", echo.clone()),
        ("timestamp", stamp.timestamp.clone()),
        ("nonce", stamp.nonce.clone()),
    ]);
    let to = callback.with_query(&query);
    let limit = platform.settings.limit;
    let answer = tokio::time::timeout(limit, platform.http.call(&to, None, limit))
        .await
        .map_err(|_late| format!("no answer in {limit:?}"))?
        .map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("HTTP status {}", answer.status));
    }
    if answer.body != echo.as_bytes() {
        return Err("the answer is not the echostr".to_owned());
    }
    Ok(())
}

/// One follower of an account. The verbs make a [`Push`]; it happens when that is awaited.
#[derive(Clone, Debug)]
pub struct Follower {
    account: Account,
    openid: Arc<str>,
}

impl Follower {
    /// The openid.
    pub fn openid(&self) -> &str {
        &self.openid
    }

    /// Sends a text.
    pub fn says(&self, text: &str) -> Push {
        self.message("text", |xml| xml.text("Content", text))
    }

    /// Taps an entry of a menu message (`msgmenu`), which sends its text.
    pub fn taps_menu_message(&self, id: &str, text: &str) -> Push {
        self.message("text", |xml| {
            xml.text("Content", text).text("bizmsgmenuid", id)
        })
    }

    /// Sends a picture: of one point, which `media/get` can fetch.
    pub fn sends_image(&self) -> Push {
        let media_id = self.account.store(MediaKind::Image, POINT_PNG);
        self.message("image", |xml| {
            let url = format!("http://mmbiz.qpic.cn/mmbiz_png/{}/0", seal::word(24));
            xml.text("PicUrl", &url).text("MediaId", &media_id)
        })
    }

    /// Sends a voice message, with what WeChat heard if recognition is on.
    pub fn sends_voice(&self, recognition: Option<&str>) -> Push {
        let media_id = self.account.store(MediaKind::Voice, b"#!AMR\n");
        self.message("voice", |xml| {
            let xml = xml.text("MediaId", &media_id).text("Format", "amr");
            match recognition {
                Some(heard) => xml.text("Recognition", heard),
                None => xml,
            }
        })
    }

    /// Sends a video.
    pub fn sends_video(&self) -> Push {
        let video = self.account.store(MediaKind::Video, b"\0\0\0\x18ftypmp42");
        let thumb = self.account.store(MediaKind::Thumb, b"\xff\xd8\xff\xd9");
        self.message("video", |xml| {
            xml.text("MediaId", &video).text("ThumbMediaId", &thumb)
        })
    }

    /// Sends a place.
    pub fn sends_location(&self, latitude: f64, longitude: f64, label: &str) -> Push {
        self.message("location", |xml| {
            xml.bare("Location_X", &format!("{latitude:.6}"))
                .bare("Location_Y", &format!("{longitude:.6}"))
                .bare("Scale", "16")
                .text("Label", label)
        })
    }

    /// Sends a link.
    pub fn sends_link(&self, title: &str, url: &str) -> Push {
        self.message("link", |xml| {
            xml.text("Title", title)
                .text("Description", "")
                .text("Url", url)
        })
    }

    /// Sends a file, of which WeChat tells the account only the name and size.
    pub fn sends_file(&self, name: &str) -> Push {
        self.message("file", |xml| {
            xml.text("Title", name)
                .text("Description", "")
                .text("FileKey", &seal::word(32))
                .text("FileMd5", "9e107d9d372bb6826bd81d3542a419d6")
                .bare("FileTotalLen", "182734")
        })
    }

    /// Taps a menu button of type `click`.
    pub fn taps_menu(&self, key: &str) -> Push {
        self.event("CLICK", |xml| xml.text("EventKey", key))
    }

    /// Taps a menu button of type `view`.
    pub fn opens_page(&self, url: &str) -> Push {
        self.event("VIEW", |xml| {
            xml.text("EventKey", url).bare("MenuId", "418293746")
        })
    }

    /// Scans a code with a menu button of type `scancode_waitmsg`, and waits for the answer.
    pub fn scans_from_menu(&self, key: &str, result: &str) -> Push {
        self.event("scancode_waitmsg", |xml| {
            xml.text("EventKey", key).within("ScanCodeInfo", |code| {
                code.text("ScanType", "qrcode").text("ScanResult", result)
            })
        })
    }

    /// Scans a parametric QR code of the account.
    pub fn scans(&self, scene: &str) -> Push {
        self.event("SCAN", |xml| {
            xml.text("EventKey", scene)
                .text("Ticket", &format!("g{}", seal::word(91)))
        })
    }

    /// Follows the account, perhaps through a parametric QR code.
    pub fn follows(&self, scene: Option<&str>) -> Push {
        self.event("subscribe", |xml| match scene {
            Some(scene) => xml
                .text("EventKey", &format!("qrscene_{scene}"))
                .text("Ticket", &format!("g{}", seal::word(91))),
            None => xml.text("EventKey", ""),
        })
    }

    /// Leaves the account.
    pub fn unfollows(&self) -> Push {
        self.event("unsubscribe", |xml| xml.text("EventKey", ""))
    }

    /// Causes any other event, with those fields as text.
    pub fn causes(&self, event: &str, fields: &[(&str, &str)]) -> Push {
        self.event(event, |xml| {
            fields
                .iter()
                .fold(xml, |xml, (name, text)| xml.text(name, text))
        })
    }

    /// Pushes this clear XML as it is. Reply, phone and window go by the fields it has.
    pub fn raw(&self, clear: &str) -> Push {
        let gh_id = &self.account.settings().gh_id;
        let letter = Letter::new(&self.openid, gh_id, clear.to_owned());
        Push::new(self.account.clone(), Arc::new(letter))
    }

    /// Delivers the same push once more: same clear body, freshly signed.
    pub fn repeats(&self, earlier: &Delivered) -> Push {
        Push::new(self.account.clone(), Arc::clone(&earlier.letter)).attempts(1)
    }

    /// Everything on the phone, oldest first, at most 1,000 lines.
    pub fn phone(&self) -> Vec<Shown> {
        let memory = self.account.office.memory.lock();
        let person = memory.people.get(&*self.openid);
        person.map_or_else(Vec::new, |person| person.phone.iter().cloned().collect())
    }

    /// Waits until the phone is as wanted, at most `within` of real time; says whether it came so.
    pub fn sees(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&[Shown]) -> bool + Send + 'static,
    ) -> Pending<bool> {
        let follower = self.clone();
        let mut changes = self.account.platform.changed.subscribe();
        let watch = async move {
            let seen = changes.wait_for(|_| wanted(&follower.phone()));
            matches!(tokio::time::timeout(within, seen).await, Ok(Ok(_)))
        };
        Pending::start(&self.account.platform.runtime, watch, false)
    }

    /// How many customer-service messages may still be sent now.
    pub fn pushes_left(&self) -> u32 {
        let now = self.account.platform.clock.now();
        let memory = self.account.office.memory.lock();
        let person = memory.people.get(&*self.openid);
        person.map_or(0, |person| person.window.left(now))
    }

    /// Gets a customer-service message that another program of the account sends: it uses up the window.
    pub fn is_pushed_elsewhere(&self) {
        let now = self.account.platform.clock.now();
        self.change(|person| person.window.spend(now));
    }

    /// Refuses all messages of the account, or takes them again (48002).
    pub fn refuses_messages(&self, refuses: bool) {
        self.change(|person| person.refuses = refuses);
    }

    /// Is put on the account's blacklist, or taken off it (43019).
    pub fn is_blacklisted(&self, blacklisted: bool) {
        self.change(|person| person.blacklisted = blacklisted);
    }

    fn change(&self, change: impl FnOnce(&mut super::account::Person)) {
        let now = self.account.platform.clock.now();
        change(
            self.account
                .office
                .memory
                .lock()
                .follower(&self.openid, now),
        );
    }

    fn message(&self, kind: &str, fields: impl FnOnce(Writer) -> Writer) -> Push {
        let id = self.account.platform.next_id().to_string();
        self.compose(kind, |xml| fields(xml).bare("MsgId", &id))
    }

    fn event(&self, name: &str, fields: impl FnOnce(Writer) -> Writer) -> Push {
        self.compose("event", |xml| fields(xml.text("Event", name)))
    }

    fn compose(&self, kind: &str, fields: impl FnOnce(Writer) -> Writer) -> Push {
        let settings = self.account.settings();
        let seconds = self.account.platform.clock.now().seconds();
        let xml = Writer::new()
            .text("ToUserName", &settings.gh_id)
            .text("FromUserName", &self.openid)
            .bare("CreateTime", &seconds.to_string())
            .text("MsgType", kind);
        self.raw(&fields(xml).finish())
    }
}
