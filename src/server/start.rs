//! Brings the server up in order: store, rules, tokens, address.
//! Owns: that order, and the fall-back to the last good rules. Uses: store::sled, rules, wechat, turn, delivery. Never: the configuration file.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::access::Access;
use super::metrics::Metrics;
use super::remote::Proxies;
use super::webhook::Door;
use super::{Application, Settings, Site, bind, clock};
use crate::decide::{ActiveRules, inline};
use crate::delivery::Delivery;
use crate::model::{AccountName, RuleFiles};
use crate::rules::diagnostic::render;
use crate::rules::{self, Compiled, Diagnostic, Lang, Severity};
use crate::store::sled::{Settings as StoreSettings, SledStore};
use crate::store::{self, Store};
use crate::turn::{CanPush, Turns, World};
use crate::wechat::Client;

/// The file in the data directory that holds the address the running server listens on.
pub const ADDRESS_FILE: &str = "address";

/// The least time for which answers are kept for WeChat's repeats.
const LEDGER_FOR: Duration = Duration::from_secs(24 * 3600);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("数据目录 {path} 用不了 | cannot use the data directory {path}: {error}", path = path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process uses the store.
    #[error("数据目录 {path} 正被另一个 wxreply 使用 | another wxreply already uses the data directory {path}", path = path.display())]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The store does not open.
    #[error("存储打不开 | the store does not open: {0}")]
    Store(#[source] store::Error),
    /// The rules directory is bad and no good revision is stored; the text holds the diagnostics.
    #[error(
        "{0}\n规则目录不能用,也没有存下来的好版本 | the rules cannot be used and no good revision is stored"
    )]
    Rules(String),
    /// The address cannot be bound.
    #[error("不能监听 {0} | cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[source] prometheus::Error),
}

/// Brings everything up.
pub(super) async fn build(settings: Settings) -> Result<Application, StartError> {
    let data = |error| StartError::Data {
        path: settings.data.clone(),
        error,
    };
    std::fs::create_dir_all(&settings.data).map_err(data)?;
    let store = open_store(&settings).await?;
    match assemble(&settings, Arc::clone(&store)).await {
        Ok(application) => Ok(application),
        Err(error) => {
            store.close().await;
            Err(error)
        }
    }
}

async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    let remembered = StoreSettings {
        // A repeat with a fresh enough time stamp must find its answer.
        ledger_for: LEDGER_FOR.max(settings.max_skew.saturating_mul(2)),
        ..StoreSettings::default()
    };
    match SledStore::open_with(&settings.data, remembered, clock::now()).await {
        Ok(store) => Ok(store),
        Err(store::Error::Locked(_)) => Err(StartError::Locked {
            path: settings.data.clone(),
        }),
        Err(error) => Err(StartError::Store(error)),
    }
}

async fn assemble(settings: &Settings, store: Arc<dyn Store>) -> Result<Application, StartError> {
    let metrics = Arc::new(Metrics::new().map_err(StartError::Metrics)?);
    let (active, trouble) = active_rules(settings, &*store).await?;
    metrics.rules(
        active.set.len(),
        trouble.as_ref().map_or(0, |trouble| trouble.broken_files),
    );
    let rules = Arc::new(ArcSwap::from_pointee(active));
    let clients = clients(settings);
    let can_push = clients.iter().map(|(name, client)| {
        let client = Arc::clone(client);
        let can: CanPush = Arc::new(move || client.can_push());
        (name.clone(), can)
    });
    let world = World {
        can_push: can_push.collect(),
        ..World::empty()
    };
    let turns = Arc::new(Turns::new(
        Arc::clone(&store),
        Arc::clone(&rules),
        world,
        settings.deadline,
    ));
    let counted = Arc::clone(&metrics);
    let delivery = Delivery::new(
        Arc::clone(&store),
        clients,
        Arc::new(clock::now),
        Arc::new(move |taken, result| counted.pushed(taken, result)),
    );
    let data = |error| StartError::Data {
        path: settings.data.clone(),
        error,
    };
    let access = Access::new(
        Arc::clone(&store),
        settings.api_token.as_ref(),
        &settings.data,
    )
    .map_err(data)?;
    let site = Site {
        doors: settings
            .accounts
            .iter()
            .map(|of| door(of, &metrics))
            .collect(),
        rules_trouble: trouble.as_ref().map(|trouble| trouble.summary.clone()),
        store: Arc::clone(&store),
        proxies: Proxies::new(settings.trusted_proxies.clone()),
        max_skew: settings.max_skew,
        turns,
        rules,
        access,
        metrics,
    };
    let listen = settings.listen;
    let (server, address) = bind(site, settings.public_url.prefix(), listen)
        .map_err(|error| StartError::Listen(listen, error))?;
    std::fs::write(settings.data.join(ADDRESS_FILE), format!("{address}\n")).map_err(data)?;
    tracing::info!(%address, accounts = settings.accounts.len(), "listening");
    Ok(Application {
        server,
        address,
        store,
        delivery: Arc::new(delivery),
        notice: trouble.map(|trouble| trouble.diagnostics),
    })
}

fn door(of: &super::AccountSettings, metrics: &Metrics) -> (String, Door) {
    let account = Arc::clone(&of.account);
    let metrics = metrics.account(&account.name);
    (account.name.as_str().to_owned(), Door { account, metrics })
}

fn clients(settings: &Settings) -> HashMap<AccountName, Arc<Client>> {
    let with_client = settings
        .accounts
        .iter()
        .filter_map(|of| Some((of.account.name.clone(), of.client.clone()?)));
    with_client
        .map(|(name, client)| (name, Arc::new(Client::new(client))))
        .collect()
}

/// Why the rules directory is not what runs.
#[derive(Default)]
struct Trouble {
    /// One line.
    summary: String,
    /// Everything that is wrong, for people.
    diagnostics: String,
    /// How many files have errors.
    broken_files: usize,
}

/// The rules of the directory, published as a revision; or the last good revision, and why.
async fn active_rules(
    settings: &Settings,
    store: &dyn Store,
) -> Result<(ActiveRules, Option<Trouble>), StartError> {
    let files = match rules::read_directory(&settings.rules) {
        Ok(files) => files,
        Err(error) => {
            return last_good(
                settings,
                store,
                Trouble {
                    diagnostics: error.to_string(),
                    ..Trouble::default()
                },
            )
            .await;
        }
    };
    let Compiled {
        rules, diagnostics, ..
    } = compile(settings, &files);
    let Some(set) = rules else {
        return last_good(
            settings,
            store,
            trouble_of(&diagnostics, &files, &settings.rules),
        )
        .await;
    };
    let mut active = ActiveRules {
        set,
        revision: None,
    };
    let failed = inline::run_tests(&active);
    if !failed.is_empty() {
        return last_good(
            settings,
            store,
            trouble_of(&failed, &files, &settings.rules),
        )
        .await;
    }
    let revision = store
        .publish_revision(files, "directory", clock::now())
        .await
        .map_err(StartError::Store)?;
    let warnings = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity() == Severity::Warning)
        .count();
    tracing::info!(
        rules.revision = revision,
        rules.count = active.set.len(),
        rules.warnings = warnings,
        "rules loaded"
    );
    active.revision = Some(revision);
    Ok((active, None))
}

fn trouble_of(diagnostics: &[Diagnostic], files: &RuleFiles, directory: &Path) -> Trouble {
    let errors: Vec<Diagnostic> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity() == Severity::Error)
        .cloned()
        .collect();
    let broken: BTreeSet<_> = errors.iter().map(|error| &error.place.file).collect();
    Trouble {
        broken_files: broken.len(),
        diagnostics: render(
            &errors,
            files,
            &format!("{}/", directory.display()),
            Lang::Zh,
            false,
        ),
        summary: String::new(),
    }
}

async fn last_good(
    settings: &Settings,
    store: &dyn Store,
    trouble: Trouble,
) -> Result<(ActiveRules, Option<Trouble>), StartError> {
    let mut revisions = store.revisions().await.map_err(StartError::Store)?;
    revisions.sort_by_key(|revision| (!revision.active, std::cmp::Reverse(revision.revision)));
    for revision in revisions {
        let number = revision.revision;
        let Some(files) = store
            .revision_files(number)
            .await
            .map_err(StartError::Store)?
        else {
            continue;
        };
        if let Some(set) = compile(settings, &files).rules {
            tracing::error!(
                rules.revision = number,
                "the rules directory is bad, the last good revision runs"
            );
            let summary = format!("the rules directory is bad, revision {number} runs");
            return Ok((
                ActiveRules {
                    set,
                    revision: Some(number),
                },
                Some(Trouble { summary, ..trouble }),
            ));
        }
    }
    Err(StartError::Rules(trouble.diagnostics))
}

fn compile(settings: &Settings, files: &RuleFiles) -> Compiled {
    let accounts = settings
        .accounts
        .iter()
        .map(|of| of.account.name.clone())
        .collect();
    rules::compile(
        files,
        &rules::Options {
            accounts: Some(accounts),
            desk: settings.desk.clone(),
            timezone: settings.timezone.clone(),
            ..rules::Options::default()
        },
    )
}
