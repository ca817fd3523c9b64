//! The project's own chores: `cargo xtask generate [--check]`.

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{edges, generate};

/// Chores of this project.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the generated files, or check that they are up to date.
    Generate {
        /// Write nothing; name the files that differ and fail if there are any.
        #[arg(long)]
        check: bool,
    },
    /// Check that the crates depend on each other only as the design allows.
    Edges,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let problems = match Arguments::parse().chore {
        Chore::Generate { check: true } => {
            generate::outdated(&root).map_err(|error| describe(&error))
        }
        Chore::Generate { check: false } => generate::write(&root)
            .map(|()| Vec::new())
            .map_err(|error| describe(&error)),
        Chore::Edges => edges::forbidden(&root).map_err(|error| describe(&error)),
    };
    match problems {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
