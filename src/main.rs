//! The program. What it can do stands in [`uptok::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    uptok::cli::main()
}
