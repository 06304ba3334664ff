//! Composes the report of the day from what the server counted, kept, put on record, told and showed.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::Value;

use super::restaurant::{CHANNELS, Restaurant, as_read};
use super::shown;

/// Counters that are in the report, each with every label it has.
const COUNTED: [&str; 11] = [
    "wxreply_inbound_total",
    "wxreply_replies_total",
    "wxreply_rule_hits_total",
    "wxreply_unmatched_total",
    "wxreply_escalations_total",
    "wxreply_crisis_hits_total",
    "wxreply_sla_breaches_total",
    "wxreply_windows_missed_total",
    "wxreply_notifications_total",
    "wxreply_first_response_seconds_bucket",
    "wxreply_first_response_seconds_count",
];
/// Whose phones are shown.
const PHONES: [&str; 7] = [
    "oAsks", "oNight", "oAngry", "oHoliday", "oLate6", "oMiniA", "oMiniD",
];

/// Lines of the report.
#[derive(Default)]
pub struct Report(String);

impl Report {
    pub fn line(&mut self, line: impl Display) {
        self.0 += &format!("{line}\n");
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// What it all came to.
    pub fn sums(&mut self, here: &Restaurant) {
        self.counted(here);
        self.conversations(here);
        self.record(here);
        self.alerts(here);
        self.line("\n# phones");
        for openid in PHONES {
            self.line(openid);
            for line in here.phone(openid) {
                self.line(format!("  {}", shown(&line)));
            }
        }
    }

    fn counted(&mut self, here: &Restaurant) {
        self.line("\n# counted");
        let counters = here.counters();
        for name in COUNTED {
            for (counter, value) in &counters {
                let (of, labels) = counter.split_once('{').unwrap_or((counter, ""));
                // Of the histogram one bound says enough: what was answered within two hours.
                let is_shown = !of.ends_with("_bucket") || labels.contains("le=\"7200\"");
                if of == name && is_shown && *value > 0.0 {
                    let name = of.trim_start_matches("wxreply_");
                    let labels = labels.trim_end_matches('}').replace('"', "");
                    self.line(format!("{name} {labels}: {value}"));
                }
            }
        }
    }

    fn conversations(&mut self, here: &Restaurant) {
        self.line("\n# conversations");
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for known in here.list("") {
            let word = |name: &str| known[name].as_str().unwrap_or("-").to_owned();
            let of = [
                word("account"),
                word("state"),
                word("owner"),
                word("outcome"),
            ];
            *counts.entry(of.join(" ")).or_default() += 1;
        }
        for (of, count) in counts {
            self.line(format!("{of}: {count}"));
        }
    }

    /// Who did what. The two who share lunch are one: which of them wins a race is nobody's to say.
    fn record(&mut self, here: &Restaurant) {
        self.line("\n# on record");
        let records = here.audit();
        let mut acts: BTreeMap<String, usize> = BTreeMap::new();
        for record in &records {
            let by = match record["by"].as_str().unwrap_or("-") {
                "lili" | "jun" => "lili or jun",
                other => other,
            };
            let timer = record["after"]["timer"].as_str();
            let what = record["what"].as_str().unwrap();
            let what = timer.map_or(what.to_owned(), |timer| format!("{what} {timer}"));
            *acts.entry(format!("{what} by {by}")).or_default() += 1;
        }
        for (act, count) in acts {
            self.line(format!("{act}: {count}"));
        }
        let table = here.audit_table();
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let mut rows: Vec<Vec<String>> = reader
            .records()
            .map(|row| row.unwrap().iter().take(4).map(str::to_owned).collect())
            .collect();
        rows.reverse();
        let word = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let expected: Vec<Vec<String>> = records
            .iter()
            .map(|one| {
                ["seq", "at", "by", "what"]
                    .map(|name| word(&one[name]))
                    .to_vec()
            })
            .collect();
        assert_eq!(rows, expected, "the table says what the list says");
        self.line(format!("rows of the table: {}", rows.len()));
    }

    fn alerts(&mut self, here: &Restaurant) {
        self.line("\n# alerts");
        let mut usual: BTreeMap<String, usize> = BTreeMap::new();
        let mut told: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
        for channel in CHANNELS {
            for alert in here.told(channel) {
                let word = |name: &str| alert[name].as_str().unwrap_or("-").to_owned();
                let minutes = alert["waiting_s"].as_u64().unwrap() / 60;
                if (alert["kind"].as_str(), alert["priority"].as_str())
                    == (Some("escalated"), Some("normal"))
                {
                    let of = format!(
                        "{channel} escalated normal {} {}",
                        word("account"),
                        word("reason")
                    );
                    *usual.entry(of).or_default() += 1;
                    continue;
                }
                let line = format!(
                    "{} {} {} {} {}, {minutes} min",
                    as_read(&alert["at"]),
                    word("kind"),
                    word("priority"),
                    word("account"),
                    word("reason"),
                );
                let channels = told.entry(line).or_default();
                *channels.entry(channel).or_default() += 1;
            }
        }
        for (line, channels) in told {
            let told = channels.iter().map(|(channel, count)| match count {
                1 => format!(" {channel}"),
                _ => format!(" {channel} ×{count}"),
            });
            self.line(format!("{line} →{}", told.collect::<String>()));
        }
        for (of, count) in usual {
            self.line(format!("{of}: {count}"));
        }
        let dead = here.shop.api("GET", "/alerts/dead", None).json();
        let dead = dead["dead"].as_array().unwrap().len();
        self.line(format!("given up: {dead}"));
    }
}
