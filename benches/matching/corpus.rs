//! Reads the corpora of customers' messages.
//! Owns: their files and columns. Uses: files, the crate's normal form. Never: judges an answer.

use std::fs;
use std::io;
use std::path::Path;

use wxreply::rules::normalize;

/// A line of the questions-and-answers corpus.
pub(crate) struct Line {
    pub(crate) intent: String,
    /// Whether the intent is one of the rules.
    pub(crate) is_covered: bool,
    /// The most wordings that a rule may have for this line to be one of them; `None` for a message.
    pub(crate) rank: Option<u32>,
    /// Whether it belongs to the small account.
    pub(crate) is_small: bool,
    pub(crate) text: String,
}

/// All that is measured with. Texts are normalised.
pub(crate) struct Corpus {
    pub(crate) lines: Vec<Line>,
    /// Messages that no rule should answer.
    pub(crate) noise: Vec<String>,
    /// Whether two texts mean the same.
    pub(crate) pairs: Vec<(bool, String, String)>,
}

impl Corpus {
    /// Takes whichever part of the corpora lies there: `_dev`, or any other.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let mut corpus = Self {
            lines: Vec::new(),
            noise: Vec::new(),
            pairs: Vec::new(),
        };
        let mut names: Vec<_> = fs::read_dir(directory)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?;
        names.sort();
        for path in names {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.extension().is_none_or(|extension| extension != "tsv") {
                continue;
            }
            for row in rows(&path)? {
                let cells: Vec<&str> = row.split('\t').collect();
                match cells[..] {
                    [intent, scope, role, rank, small, text] if name.starts_with("faq_") => {
                        corpus.lines.push(Line {
                            intent: intent.to_owned(),
                            is_covered: scope == "in",
                            rank: (role != "test").then(|| rank.parse().unwrap_or(u32::MAX)),
                            is_small: small == "1",
                            text: normalize(text),
                        });
                    }
                    [label, one, other] if name.starts_with("pairs_") => {
                        corpus
                            .pairs
                            .push((label == "1", normalize(one), normalize(other)));
                    }
                    [_, text] if name.starts_with("noise_") => corpus.noise.push(normalize(text)),
                    _ => {}
                }
            }
        }
        if corpus.lines.is_empty() || corpus.noise.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no faq_*.tsv and noise_*.tsv",
            ));
        }
        Ok(corpus)
    }
}

/// All rows but the header.
fn rows(path: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}
