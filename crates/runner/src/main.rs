//! The process of a Job's containers: reads its arguments, hands over to the library, exits with its code.

use std::process::ExitCode;

use clap::Parser as _;
use kexec_runner::process::{Arguments, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run(&Arguments::parse()).await
}
