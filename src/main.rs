//! Starts the program.
//! Owns: the allocator. Uses: cli. Never: anything else.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wxreply::cli::main()
}
