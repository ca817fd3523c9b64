//! The binary `devcluster`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kexec_devcluster::cli::main()
}
