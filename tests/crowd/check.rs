//! Compares what the API shows of every conversation with what was said, heard and answered.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use wxreply::decide::{ActiveRules, Outcome};
use wxreply::model::{AccountName, By, Delivery, Direction, Time};

use super::fold::{Fold, Line, Turned};
use super::gate::Gate;
use super::talk::{Heard, Said, Talk};
use crate::support::World;

/// What a whole run came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub conversations: usize,
    /// Messages in the histories.
    pub inbound: usize,
    /// Answers in the histories, agents' ones not counted.
    pub outbound: usize,
    /// Messages that a rule answered.
    pub ruled: usize,
    /// Messages that went to a person.
    pub escalated: usize,
    /// Messages to a person who speaks already.
    pub owned: usize,
    /// Messages with which held answers were handed out.
    pub handed: usize,
    /// Answers of rules, younger than a second when the server was killed, that it forgot.
    pub forgotten: usize,
    /// Second and later deliveries.
    pub repeats: usize,
    /// Agents' answers by how they ended.
    pub agents: BTreeMap<String, usize>,
}

/// Every conversation, page by page.
pub fn conversations(world: &World) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.api("GET", &format!("/conversations?limit=7{cursor}"), None);
        let page = page.json();
        all.extend(page["conversations"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let time = |shown: &Value| Time::deserialize(&shown["updated_at"]).unwrap();
    assert!(all.windows(2).all(|pair| time(&pair[0]) >= time(&pair[1])));
    all
}

/// A conversation's whole history, oldest first.
pub fn history(world: &World, conversation: &Value) -> Vec<Line> {
    let id = conversation["id"].as_str().unwrap();
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let before = lines.first().map(|line| format!("?before={}", line.id));
        let path = format!("/conversations/{id}{}", before.unwrap_or_default());
        let shown = world.api("GET", &path, None).json();
        let mut older = Vec::<Line>::deserialize(&shown["messages"]).unwrap();
        if older.is_empty() {
            return lines;
        }
        older.append(&mut lines);
        lines = older;
    }
}

/// Checks everything; gives the sums and every agent's line by its text.
pub fn check(
    world: &World,
    rules: &ActiveRules,
    gate: &Gate,
    talks: &[Talk],
) -> (Tally, HashMap<String, Line>) {
    let mut tally = Tally::default();
    let mut agents = HashMap::new();
    let mut shown: HashMap<(String, String), Value> = HashMap::new();
    for conversation in conversations(world) {
        let name = |field: &str| conversation[field].as_str().unwrap().to_owned();
        let twice = shown.insert((name("account"), name("follower")), conversation.clone());
        assert!(twice.is_none(), "{twice:?} is there twice");
    }
    tally.conversations = shown.len();
    for talk in talks {
        let name = (talk.account.clone(), talk.follower.openid().to_owned());
        let lines = match shown.remove(&name) {
            Some(conversation) => {
                let lines = history(world, &conversation);
                let fold = Fold {
                    rules,
                    account: AccountName::parse(name.0.as_str()).unwrap(),
                    can_push: name.0 == "shop",
                    known: None,
                };
                check_one(fold, talk, &lines, &conversation, gate, &mut tally);
                lines
            }
            None => Vec::new(),
        };
        for line in lines.into_iter().filter(|line| line.by == By::Agent) {
            let twice = agents.insert(line.text.clone(), line);
            assert!(twice.is_none(), "{twice:?} is there twice");
        }
    }
    assert!(shown.is_empty(), "nobody has said anything in {shown:?}");
    (tally, agents)
}

fn check_one(
    mut fold: Fold<'_>,
    talk: &Talk,
    lines: &[Line],
    conversation: &Value,
    gate: &Gate,
    tally: &mut Tally,
) {
    let said: HashMap<&str, usize> = talk
        .said
        .iter()
        .map(|said| said.text.as_str())
        .zip(0..)
        .collect();
    let mut turned: HashMap<usize, Turned> = HashMap::new();
    let mut durable = Vec::new();
    let mut coming = lines.iter().peekable();
    while let Some(line) = coming.next() {
        if line.direction == Direction::In {
            let at = said[line.text.as_str()];
            let Said { incoming, key, .. } = &talk.said[at];
            let (turn, own) = fold.hears(incoming, *key, line);
            if let Some(own) = own {
                let next = coming.next();
                assert_eq!(next, Some(&own), "after {:?}", line.text);
                tally.outbound += 1;
            }
            tally.count(&turn);
            if turn.is_durable {
                durable.push(at);
            }
            let twice = turned.insert(at, turn);
            assert!(twice.is_none(), "{:?} is there twice", line.text);
        } else {
            assert_eq!(line.by, By::Agent, "{line:?} answers nothing");
            fold.is_answered(line);
            let word = serde_json::to_value(line.delivery).unwrap();
            *tally
                .agents
                .entry(word.as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    assert!(durable.is_sorted(), "out of order: {durable:?}");
    fold.compare(
        conversation,
        lines.iter().any(|line| line.delivery == Delivery::Unknown),
    );
    for (at, said) in talk.said.iter().enumerate() {
        tally.repeats += said.answers.len() - 1;
        check_answers(&fold, said, turned.get(&at), gate, tally);
    }
}

/// All answers to one message are the same, but for what may have been lost between them; the last is the one that is stored.
fn check_answers(
    fold: &Fold<'_>,
    said: &Said,
    turned: Option<&Turned>,
    gate: &Gate,
    tally: &mut Tally,
) {
    let may_be_lost = |heard: &Heard| {
        let read = heard.reply.as_ref().map(|reply| &reply.content);
        read.is_some()
            && read == fold.alone(&said.incoming, said.key).as_ref()
            && gate.may_lose(heard.life, heard.at)
    };
    for pair in said.answers.windows(2) {
        assert!(
            pair[0].reply == pair[1].reply || may_be_lost(&pair[0]),
            "{:?} was answered {:?} and then {:?}",
            said.text,
            pair[0].reply,
            pair[1].reply
        );
    }
    let last = said.answers.last().unwrap();
    let Some(turned) = turned else {
        assert!(
            may_be_lost(last),
            "{:?} is lost, answered {:?}",
            said.text,
            last.reply
        );
        tally.forgotten += 1;
        return;
    };
    let read = last.reply.as_ref();
    assert_eq!(
        read.map(|reply| &reply.content),
        turned.passive.as_ref(),
        "{:?}",
        said.text
    );
    if let Some(reply) = read {
        assert_eq!(reply.create_time, turned.at.seconds(), "{:?}", said.text);
    }
}

impl Tally {
    fn count(&mut self, turned: &Turned) {
        self.inbound += 1;
        match turned.outcome {
            Outcome::Reply | Outcome::Desk | Outcome::Form => self.ruled += 1,
            Outcome::Escalate | Outcome::Crisis => self.escalated += 1,
            Outcome::Silence => self.owned += 1,
            Outcome::Held => self.handed += 1,
        }
    }
}
