//! The project's own chores: `cargo xtask generate [--check]`, and checks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::openapi::{CheckError, Kubernetes};
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
    /// Check manifests against the definitions of a version of Kubernetes.
    Manifests {
        /// Its `api/openapi-spec/swagger.json`.
        #[arg(long)]
        openapi: PathBuf,
        /// Files of YAML documents.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
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
        Chore::Manifests { openapi, files } => {
            misfits(&openapi, &files).map_err(|error| describe(&error))
        }
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

/// What does not fit in these files, each problem after its file.
fn misfits(openapi: &Path, files: &[PathBuf]) -> Result<Vec<String>, CheckError> {
    let kubernetes = Kubernetes::read(openapi)?;
    let mut all = Vec::new();
    for file in files {
        let problems = kubernetes.problems_of(file)?.into_iter();
        all.extend(problems.map(|problem| format!("{}: {problem}", file.display())));
    }
    Ok(all)
}

/// The error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
