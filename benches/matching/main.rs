//! Measures how well `like` finds the rule that is meant, how often it is wrong, and how long it takes.
//! Owns: which figures there are and their targets. Uses: the index through the crate. Never: corpora of its own.
//!
//! `cargo bench --bench matching` reads `../shared/corpora`, or the directory in `WXREPLY_CORPORA`; without them it says
//! so and measures nothing.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a measuring program: it prints, it counts in floating point, and it may stop at once when it is wrong itself"
)]

mod corpus;
mod figures;
mod speed;

use std::path::PathBuf;

use corpus::Corpus;
use figures::Figures;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn directory() -> PathBuf {
    std::env::var_os("WXREPLY_CORPORA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora")),
        PathBuf::from,
    )
}

fn main() {
    let directory = directory();
    let corpus = match Corpus::read(&directory) {
        Ok(corpus) => corpus,
        Err(error) => {
            eprintln!(
                "matching: SKIPPED, NOTHING WAS MEASURED: {}: {error}",
                directory.display()
            );
            eprintln!("matching: set WXREPLY_CORPORA to the directory of the corpora");
            return;
        }
    };
    println!(
        "| rules | wordings | top-1 | top-3 | cov95-far | cov98-far | cov95-all | precision | coverage | near answered | far answered |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (wordings, is_small) in [
        (0, false),
        (5, false),
        (16, false),
        (0, true),
        (5, true),
        (16, true),
    ] {
        println!("{}", Figures::measure(&corpus, wordings, is_small));
    }
    println!(
        "\nTargets, 110 rules with 5 wordings: {}.",
        figures::TARGETS
    );
    println!("\n{}", figures::paraphrases(&corpus));
    println!("\n| rules, 5 wordings each | build, ms | a message, µs (median) | (p99) |");
    println!("|--:|--:|--:|--:|");
    for rules in [100, 1_000, 10_000] {
        println!("{}", speed::measure(&corpus, rules));
    }
    println!("\nTarget: under 50 µs at 1,000 rules.");
}
