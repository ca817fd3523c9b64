//! Which crate of the workspace may depend on which, and which of them stay free of any client and runtime. The table
//! below is the design; the rest compares it with what cargo says.

use std::io;
use std::path::Path;
use std::process::Command;
use std::string::FromUtf8Error;

use serde::Deserialize;

/// Each package with the packages of the workspace it may depend on. `None` means any.
const ALLOWED: [(&str, Option<&[&str]>); 8] = [
    ("kexec-api", Some(&[])),
    ("kexec-actions", Some(&["kexec-api"])),
    ("kexec-core", Some(&["kexec-api", "kexec-actions"])),
    ("kexec-controller", Some(&["kexec-core", "kexec-api"])),
    ("kexec-runner", Some(&["kexec-api"])),
    ("kexec-devcluster", Some(&["kexec-api"])),
    ("xtask", Some(&["kexec-api", "kexec-actions", "kexec-core"])),
    ("kexec-tests", None),
];

/// The packages that decide without doing.
const PURE: [&str; 3] = ["kexec-api", "kexec-actions", "kexec-core"];

/// What a pure package must not depend on, not even through another.
const IMPURE: [&str; 4] = ["tokio", "hyper", "reqwest", "kube-client"];

/// Why the edges could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadEdgesError {
    /// Cargo could not be started.
    #[error("failed to start cargo")]
    StartCargo(#[source] io::Error),
    /// Cargo refused.
    #[error("failed to ask cargo for {question:?}: {answer}")]
    AskCargo {
        /// What it was asked for.
        question: String,
        /// What it wrote to its standard error.
        answer: String,
    },
    /// Cargo's answer is no text.
    #[error("failed to read the answer of cargo as text")]
    ReadText(#[source] FromUtf8Error),
    /// Cargo's answer is not the JSON it should be.
    #[error("failed to read the answer of `cargo metadata`")]
    ReadMetadata(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for a normal dependency.
    kind: Option<String>,
    /// Where the package lies, for those of the workspace.
    path: Option<String>,
}

/// One sentence for each dependency of the workspace at this root that the design forbids.
pub fn forbidden(root: &Path) -> Result<Vec<String>, ReadEdgesError> {
    let metadata = cargo(root, &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).map_err(ReadEdgesError::ReadMetadata)?;
    let mut problems: Vec<_> = metadata.packages.iter().flat_map(forbidden_edges).collect();
    for package in PURE {
        // `cargo metadata` unites the features of the whole workspace; `cargo tree` resolves for the package alone.
        let tree = cargo(
            root,
            &[
                "tree",
                "--package",
                package,
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ],
        )?;
        problems.extend(impurities(package, &tree));
    }
    Ok(problems)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, ReadEdgesError> {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(ReadEdgesError::StartCargo)?;
    if !output.status.success() {
        return Err(ReadEdgesError::AskCargo {
            question: arguments.join(" "),
            answer: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    String::from_utf8(output.stdout).map_err(ReadEdgesError::ReadText)
}

fn forbidden_edges(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!(
            "{} is not in the table of xtask/src/edges.rs: add it with what it may depend on",
            package.name
        )];
    };
    let Some(allowed) = allowed else {
        return Vec::new();
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some() && dependency.kind.as_deref() != Some("dev"))
        .filter(|dependency| !allowed.contains(&dependency.name.as_str()))
        .map(|dependency| format!("{} must not depend on {}", package.name, dependency.name))
        .collect()
}

/// The tree has one line per package: its name, a space, its version.
fn impurities(package: &str, tree: &str) -> Vec<String> {
    IMPURE
        .into_iter()
        .filter(|impure| tree.lines().any(|line| line.split(' ').next() == Some(impure)))
        .map(|impure| format!("{package} must not depend on {impure}, not even through another package: see `cargo tree --package {package} --invert {impure}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                    path: Some(format!("crates/{name}")),
                })
                .collect(),
        }
    }

    #[test]
    fn the_workspace_has_no_forbidden_edge() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(forbidden(&root).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_runner_that_knows_the_actions_is_reported() {
        let runner = package(
            "kexec-runner",
            &[("kexec-api", None), ("kexec-actions", None)],
        );
        assert_eq!(
            forbidden_edges(&runner),
            ["kexec-runner must not depend on kexec-actions"]
        );
    }

    #[test]
    fn a_build_dependency_is_an_edge_and_a_dev_dependency_is_none() {
        let api = package(
            "kexec-api",
            &[
                ("kexec-core", Some("build")),
                ("kexec-actions", Some("dev")),
            ],
        );
        assert_eq!(
            forbidden_edges(&api),
            ["kexec-api must not depend on kexec-core"]
        );
    }

    #[test]
    fn a_package_without_a_place_in_the_table_is_reported() {
        let problems = forbidden_edges(&package("kexec-new", &[]));
        assert!(
            problems[0].starts_with("kexec-new is not in the table"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_client_below_a_pure_package_is_reported_and_a_namesake_is_not() {
        let tree =
            "kexec-core v0.1.0 (/src)\nkube-core v5.0.0\ntokio-macros v2.0.0\nkube-client v5.0.0\n";
        let problems = impurities("kexec-core", tree);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("kexec-core must not depend on kube-client"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_package_that_cargo_does_not_know_is_an_error() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let error = cargo(&root, &["tree", "--package", "kexec-absent"]).unwrap_err();
        assert!(matches!(error, ReadEdgesError::AskCargo { .. }), "{error}");
    }
}
