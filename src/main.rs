//! Entry point of the program. The commands are in [`uptok::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    uptok::cli::main()
}
