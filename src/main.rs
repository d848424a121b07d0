//! Entry point of the program. The commands are in [`uptok::cli`].

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Returns freed memory to the system after seconds. That of the C library keeps it, per thread, which after a burst of
/// requests was most of the memory of the process. `docs/performance.md` has the figures.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    uptok::cli::main()
}
