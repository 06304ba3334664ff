//! Lists which files a rule set sends, from which rules and on which accounts, and which pictures its cards show.
//! Owns: nothing. Uses: index, say, spec. Never: looks into a file.

use std::sync::Arc;

use super::index::{Rule, RuleSet};
use super::say::{Said, Shaped};
use crate::model::{AccountName, MediaFile, Picture, RuleId};

/// A file that one reply of a rule sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaUse {
    /// The file.
    pub file: MediaFile,
    /// The rule.
    pub rule: RuleId,
    /// The rule's file under `rules/`.
    pub rule_file: Arc<str>,
    /// The line on which the rule begins.
    pub line: u32,
    /// Whether there is a text that is said where the file cannot be sent.
    pub has_fallback: bool,
    on: On,
}

/// Where a reply is given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct On {
    /// On these accounts; `None` for all.
    only: Option<Arc<[AccountName]>>,
    /// But not on these, which have a wording of their own.
    except: Arc<[AccountName]>,
}

impl MediaUse {
    /// Whether the reply is given on this account.
    pub fn is_for(&self, account: &AccountName) -> bool {
        let On { only, except } = &self.on;
        only.as_ref().is_none_or(|only| only.contains(account)) && !except.contains(account)
    }
}

impl RuleSet {
    /// The files that must have been uploaded, in the order of the rules; a file that several replies send stands here
    /// several times.
    pub fn media(&self) -> &[MediaUse] {
        &self.media
    }

    /// The local pictures that cards show, each once: WeChat fetches them from us.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }
}

/// Enters what the rules of a finished set send and show.
pub(super) fn list(set: &mut RuleSet) {
    let (mut media, mut pictures) = (Vec::new(), Vec::<Picture>::new());
    for rule in &set.rules {
        for (says, on) in wordings(set, rule) {
            for shaped in says.iter().filter_map(shaped) {
                if let Some(file) = &shaped.file {
                    media.push(used(set, rule, file, shaped, on.clone()));
                }
                for picture in &shaped.pictures {
                    if !pictures.contains(picture) {
                        pictures.push(picture.clone());
                    }
                }
            }
        }
    }
    (set.media, set.pictures) = (media, pictures);
}

fn shaped(said: &Said) -> Option<&Shaped> {
    match said {
        Said::Other(shaped) => Some(shaped),
        Said::Text(_) | Said::Template(_) => None,
    }
}

fn used(set: &RuleSet, rule: &Rule, file: &MediaFile, shaped: &Shaped, on: On) -> MediaUse {
    let rule_file = usize::try_from(rule.file).ok();
    MediaUse {
        file: file.clone(),
        rule: rule.id.clone(),
        rule_file: rule_file
            .and_then(|at| set.files.get(at).cloned())
            .unwrap_or_default(),
        line: rule.line,
        has_fallback: shaped.fallback.is_some(),
        on,
    }
}

/// What a rule says, and on which accounts: as [`RuleSet::course`] chooses.
fn wordings<'s>(set: &'s RuleSet, rule: &'s Rule) -> Vec<(&'s [Said], On)> {
    let group = rule.accounts.and_then(|group| usize::try_from(group).ok());
    let group = group.and_then(|group| set.accounts.get(group));
    let only: Option<Arc<[AccountName]>> = group.map(|group| Arc::from(&**group));
    let own = said_by(rule);
    let pointed = rule.extra.as_ref().and_then(|extra| extra.replies_of);
    let pointed = pointed.and_then(|other| set.rule(other));
    let per_account = |rule: &'s Rule| {
        rule.extra
            .as_ref()
            .map_or(&[][..], |extra| &extra.per_account)
    };
    // Where a rule has no words of its own, those of the other rule are said, with its wordings per account.
    let speakers = if own.is_empty() {
        vec![Some(rule), pointed]
    } else {
        vec![Some(rule)]
    };
    let mut taken: Vec<AccountName> = Vec::new();
    let mut wordings = Vec::new();
    for speaker in speakers.into_iter().flatten() {
        for (account, wording) in per_account(speaker) {
            let is_here = only.as_ref().is_none_or(|only| only.contains(account));
            if is_here && !taken.contains(account) {
                let on = On {
                    only: Some(Arc::from([account.clone()])),
                    except: Arc::from([]),
                };
                wordings.push((&*wording.says, on));
                taken.push(account.clone());
            }
        }
        let on = On {
            only: only.clone(),
            except: taken.as_slice().into(),
        };
        wordings.push((said_by(speaker), on));
    }
    wordings
}

/// What a rule says where nothing else is written for an account.
fn said_by(rule: &Rule) -> &[Said] {
    let wording = rule.extra.as_ref().and_then(|extra| extra.wording.as_ref());
    wording.map_or(rule.reply.as_slice(), |wording| &wording.says)
}
