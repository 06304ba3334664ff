//! Puts store, delivery, uploader and the fetcher together without a server: what no route asks for yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wxreply::clock::Clock;
use wxreply::delivery::Delivery;
use wxreply::files::Cache;
use wxreply::model::media::{from_hex, hex};
use wxreply::model::{
    AccountName, Act, Actor, AgentName, Answer, Content, Conversation, Fetched, Incoming,
    MessageId, OpenId, Reply, Time, Turn, TurnKey,
};
use wxreply::received::Received;
use wxreply::simulator::{self, Account, POINT_PNG, Sight, Wechat};
use wxreply::store::sled::SledStore;
use wxreply::store::{Claim, Store};
use wxreply::upload::Uploader;
use wxreply::wechat::Client;
use wxreply::wechat::client::ClientSettings;

use super::{HOUR, PATIENCE, SECOND, START};

struct Parts {
    clock: Clock,
    wechat: Wechat,
    account: Account,
    directory: TempDir,
    store: Arc<SledStore>,
    delivery: Arc<Delivery>,
    received: Arc<Received>,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

fn shop() -> AccountName {
    AccountName::parse("shop").unwrap()
}

impl Parts {
    async fn open() -> Self {
        let clock = Clock::stopped_at(START);
        let wechat = Wechat::start(simulator::Settings {
            clock: clock.clone(),
            ..simulator::Settings::default()
        })
        .unwrap();
        let account = wechat.account(simulator::AccountSettings::secure("shop", ""));
        let settings = account.settings();
        let directory = TempDir::new().unwrap();
        let now = clock.clone();
        let client = Client::new(
            ClientSettings {
                api_base: wechat.api_base(),
                app_id: settings.app_id.clone(),
                secret: settings.secret.as_str().into(),
            },
            Arc::new(move || now.now()),
        );
        let clients = HashMap::from([(shop(), Arc::new(client))]);
        let store = SledStore::open(&directory.path().join("store"), START)
            .await
            .unwrap();
        let cache = |name: &str| Cache::open(&directory.path().join(name)).unwrap();
        let shared = || Arc::<SledStore>::clone(&store);
        let uploader = Uploader::open(
            shared(),
            cache("uploads"),
            cache("agents"),
            vec![shop()],
            &clients,
            clock.clone(),
        );
        let uploader = Arc::new(uploader.await.unwrap());
        let renew = {
            let uploader = Arc::clone(&uploader);
            Arc::new(move |account, stale: Arc<str>| {
                let uploader = Arc::clone(&uploader);
                let renewed: futures_util::future::BoxFuture<'static, _> =
                    Box::pin(async move { uploader.renewed(&account, &stale).await });
                renewed
            })
        };
        let bring = Arc::new(move |account, kind, hash| {
            let uploader = Arc::clone(&uploader);
            let brought: futures_util::future::BoxFuture<'static, _> =
                Box::pin(async move { uploader.bring(&account, kind, hash).await });
            brought
        });
        let delivery = Delivery::new(shared(), &clients, clock.clone(), Arc::new(|_, _| {}));
        let delivery = Arc::new(delivery.renewing(renew).bringing(bring));
        let received = Received::new(
            shared(),
            cache("received"),
            cache("agents"),
            clients,
            clock.clone(),
        );
        let received = Arc::new(received);
        let stop = CancellationToken::new();
        let running = vec![tokio::spawn(Arc::clone(&delivery).run(stop.clone()))];
        Self {
            clock,
            wechat,
            account,
            directory,
            store,
            delivery,
            received,
            stop,
            running,
        }
    }

    /// Begins to fetch, as a start of the server does.
    fn fetch(&mut self) {
        let run = Arc::clone(&self.received).run(self.stop.clone());
        self.running.push(tokio::spawn(run));
    }

    /// A message is written down, and nobody is told.
    async fn takes(&self, from: &str, n: u32, content: Content) -> (Arc<Conversation>, MessageId) {
        let now = self.clock.now();
        let key = TurnKey::of_text(&format!("{from} {n}"));
        let follower = OpenId::parse(from).unwrap();
        let Claim::First { ticket, .. } = self
            .store
            .claim_turn(&shop(), &follower, key, now)
            .await
            .unwrap()
        else {
            panic!("it came before");
        };
        let turn = Turn {
            key,
            account: shop(),
            incoming: Incoming {
                to: "gh_1".into(),
                from: follower,
                create_time: now.seconds(),
                msg_id: Some(n.to_string().into()),
                content,
            },
            answer: Answer::default(),
        };
        let conversation = self.store.commit_turn(ticket, turn, now).await.unwrap();
        (conversation, MessageId::at(now, 0, key))
    }

    async fn replies(&self, conversation: &Conversation, n: u32, reply: Reply) {
        let act = Act::Reply {
            reply,
            key: None,
            last_seen: None,
            can_push: true,
            hold: false,
        };
        let seed = TurnKey::of_text(&format!("reply {n}"));
        let by = Actor::agent(AgentName::parse("lili").unwrap());
        let now = self.clock.now();
        self.store
            .act(conversation.id, act, &by, now, seed)
            .await
            .unwrap();
    }

    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while !is_so().await {
            assert!(start.elapsed() < PATIENCE, "{what} never came");
            tokio::task::yield_now().await;
        }
    }

    /// The newest line's delivery and error.
    async fn last(&self, conversation: &Conversation) -> (String, i64) {
        let lines = self
            .store
            .messages(conversation.id, None, 10)
            .await
            .unwrap();
        let last = lines.last().unwrap();
        let code = last.error.as_ref().map_or(0, |error| error.code);
        (format!("{:?}", last.delivery), code)
    }

    async fn end(self) {
        self.stop.cancel();
        for running in self.running {
            running.await.unwrap();
        }
        self.store.close().await;
    }
}

fn text(words: &str) -> Content {
    Content::Text {
        text: words.into(),
        menu_id: None,
    }
}

fn image(media_id: &str) -> Content {
    Content::Image {
        pic_url: "http://mmbiz.qpic.cn/mmbiz_png/a/0".into(),
        media_id: media_id.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_picture_is_uploaded_when_it_is_sent_and_only_once() {
    let parts = Parts::open().await;
    parts.account.follower("oLi").says("在吗").attempts(0).await;
    let (known, _) = parts.takes("oLi", 1, text("在吗")).await;
    let by = AgentName::parse("lili").unwrap();
    let brought = parts
        .received
        .bring(&shop(), &by, Bytes::from_static(POINT_PNG))
        .await;
    let (kind, media) = brought.unwrap();
    let uploads = || {
        let calls = parts.wechat.calls();
        calls
            .iter()
            .filter(|call| call.path == "/cgi-bin/media/upload")
            .count()
    };
    assert_eq!(uploads(), 0);
    let picture = Reply::Local {
        kind,
        hash: media.hash,
    };
    for n in 1..=2 {
        parts.replies(&known, n, picture.clone()).await;
        let count = usize::try_from(n).unwrap();
        parts
            .until("the picture", async || {
                parts.account.pushed().len() == count
            })
            .await;
    }
    assert_eq!(uploads(), 1);
    // WeChat forgot it: brought again.
    let send = super::SEND;
    parts.wechat.breaks(
        send,
        simulator::Fault::Code(40007),
        simulator::Times::Next(1),
    );
    parts.replies(&known, 3, picture.clone()).await;
    parts
        .until("the picture", async || parts.account.pushed().len() == 3)
        .await;
    assert_eq!(uploads(), 2);
    let pushed = parts.account.pushed();
    assert!(pushed.iter().all(|one| one.kind == "image"));

    // Without the right it fails, and says so; it does not wait for ever.
    parts
        .account
        .change(|settings| settings.rights.media = false);
    parts.clock.advance(HOUR * 72);
    parts.account.follower("oLi").says("在吗").attempts(0).await;
    let (known, _) = parts.takes("oLi", 2, text("在吗")).await;
    parts.replies(&known, 4, picture).await;
    parts
        .until("the failure", async || {
            parts.last(&known).await == ("Failed".to_owned(), 48001)
        })
        .await;
    parts.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_menu_is_a_menu_where_wechat_takes_one_and_a_text_where_not() {
    let parts = Parts::open().await;
    let li = parts.account.follower("oLi");
    li.says("在吗").attempts(0).await;
    let (known, _) = parts.takes("oLi", 1, text("在吗")).await;
    let menu = Reply::Menu {
        head: "满意吗?".into(),
        options: vec![("1".into(), "满意".into()), ("0".into(), "不满意".into())],
        tail: "".into(),
    };
    parts.replies(&known, 1, menu.clone()).await;
    parts
        .until("the menu", async || parts.account.pushed().len() == 1)
        .await;
    let sent = &parts.account.pushed()[0].request;
    assert_eq!(sent["msgmenu"]["list"][1]["content"], "不满意");
    parts
        .account
        .change(|settings| settings.rights.msgmenu = false);
    parts.replies(&known, 2, menu).await;
    parts
        .until("the text", async || parts.account.pushed().len() == 2)
        .await;
    assert_eq!(
        parts.account.pushed()[1].text(),
        Some("满意吗?\n1. 满意\n2. 不满意")
    );
    parts
        .until("its end", async || parts.last(&known).await.0 == "Sent")
        .await;

    // Somebody types: shown once, and never an error.
    let openid = OpenId::parse("oLi").unwrap();
    for _ in 0..2 {
        parts.delivery.typing(&shop(), &openid, true).await;
    }
    let is_typing = |shown: &&simulator::Shown| shown.sight == Sight::Typing;
    assert_eq!(li.phone().iter().filter(is_typing).count(), 1);
    parts
        .account
        .change(|settings| settings.rights.custom_send = false);
    parts.delivery.typing(&shop(), &openid, false).await;
    let asked = parts.wechat.calls().len();
    parts.delivery.typing(&shop(), &openid, true).await;
    assert_eq!(parts.wechat.calls().len(), asked, "48001 is known");
    parts.end().await;
}

/// A picture on the platform's shelf; its media id.
fn on_the_shelf(parts: &Parts, bytes: &[u8]) -> String {
    let push = parts.account.follower("oLi").sends_as_image(bytes);
    let (_, rest) = push.clear().split_once("<MediaId><![CDATA[").unwrap();
    rest.split_once("]]>").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_which_nobody_was_told_is_found_in_the_journal_and_goes_with_its_follower() {
    let mut parts = Parts::open().await;
    let one = on_the_shelf(&parts, POINT_PNG);
    let two = on_the_shelf(&parts, b"something else");
    let (_, li) = parts.takes("oLi", 1, image(&one)).await;
    let (_, same) = parts.takes("oWang", 2, image(&one)).await;
    let (_, other) = parts.takes("oLi", 3, image(&two)).await;
    // The process dies before anybody hears of them.
    parts.fetch();
    for message in [li, same, other] {
        let received = Arc::clone(&parts.received);
        parts
            .until("the file", async || {
                let found = received.find(message).await.unwrap();
                found.is_some_and(|(_, bytes)| bytes.is_some())
            })
            .await;
    }
    let files = || {
        let files = std::fs::read_dir(parts.directory.path().join("received")).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(files().len(), 2);
    let (known, _) = parts.received.find(li).await.unwrap().unwrap();
    let Fetched::Kept { hash, bytes, at } = known.fetched else {
        panic!("{known:?}");
    };
    assert_eq!(
        (bytes, at),
        (u64::try_from(POINT_PNG.len()).unwrap(), START)
    );
    assert!(files().contains(&hex(&hash)) && from_hex(&hex(&hash)) == Some(hash));

    // Of one follower everything goes; what another sent as well stays.
    let oli = OpenId::parse("oLi").unwrap();
    assert_eq!(parts.received.forget(&shop(), &oli).await.unwrap(), 2);
    assert_eq!(files(), [hex(&hash)]);
    assert!(parts.received.find(li).await.unwrap().is_none());
    assert!(parts.received.find(same).await.unwrap().is_some());
    // What is old enough goes too, agents' pictures included.
    let by = AgentName::parse("lili").unwrap();
    parts
        .received
        .bring(&shop(), &by, Bytes::from_static(POINT_PNG))
        .await
        .unwrap();
    assert_eq!(parts.received.sweep(START).await.unwrap(), 0);
    assert_eq!(files().len(), 1);
    let later: Time = START.plus(SECOND);
    assert_eq!(parts.received.sweep(later).await.unwrap(), 2);
    assert_eq!(files(), Vec::<String>::new());
    assert_eq!(parts.received.forget(&shop(), &oli).await.unwrap(), 0);
    parts.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_who_is_forgotten_while_a_file_is_under_way_leaves_nothing() {
    let mut parts = Parts::open().await;
    let id = on_the_shelf(&parts, POINT_PNG);
    let get = "/cgi-bin/media/get";
    parts
        .wechat
        .breaks(get, simulator::Fault::Status(502), simulator::Times::Always);
    let (_, message) = parts.takes("oLi", 1, image(&id)).await;
    parts.fetch();
    let received = Arc::clone(&parts.received);
    parts
        .until("the first failure", async || {
            let found = received.find(message).await.unwrap();
            found.is_some_and(|(media, _)| {
                matches!(media.fetched, Fetched::Waiting { tries: 1.., .. })
            })
        })
        .await;
    let oli = OpenId::parse("oLi").unwrap();
    assert_eq!(parts.received.forget(&shop(), &oli).await.unwrap(), 1);
    parts.wechat.heals();
    parts.clock.advance(HOUR);
    assert_eq!(parts.received.waiting(&shop()), 0);
    assert!(parts.received.find(message).await.unwrap().is_none());
    parts.end().await;
}
