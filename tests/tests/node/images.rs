//! The images as a node has them: small, one program each, no root.

use std::path::Path;
use std::process::Command;

use kexec_tests::harness::repository;
use serde_json::Value;

/// What an image may have, in bytes.
const MAX_BYTES: u64 = 25 * 1024 * 1024;

/// A file of an image's archive.
fn file(archive: &Path, name: &str) -> Vec<u8> {
    let tar = Command::new("tar")
        .arg("-xOf")
        .arg(archive)
        .arg(name)
        .output();
    let tar = tar.expect("tar runs");
    assert!(
        tar.status.success(),
        "{}",
        String::from_utf8_lossy(&tar.stderr)
    );
    tar.stdout
}

fn json(archive: &Path, name: &str) -> Value {
    serde_json::from_slice(&file(archive, name)).expect("JSON")
}

/// Path of a blob in an archive.
fn blob(descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().expect("a digest");
    format!("blobs/{}", digest.replace(':', "/"))
}

/// The image's configuration, and what lies in its layers: names and sizes.
fn image(target: &str) -> (Value, Vec<(String, u64)>) {
    let archive = repository().join(format!(".devcluster/images/{target}.tar"));
    let index = json(&archive, "index.json");
    let manifest = json(&archive, &blob(&index["manifests"][0]));
    let config = json(&archive, &blob(&manifest["config"]));
    let layers = manifest["layers"].as_array().expect("layers");
    let files = layers
        .iter()
        .flat_map(|layer| files(&archive, &blob(layer)));
    (config, files.collect())
}

/// What lies in one layer, folders excepted.
fn files(archive: &Path, layer: &str) -> Vec<(String, u64)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("layer");
    std::fs::write(&path, file(archive, layer)).expect("written");
    let tar = Command::new("tar")
        .arg("-tvf")
        .arg(path)
        .output()
        .expect("tar runs");
    let listing = String::from_utf8(tar.stdout).expect("text");
    let files = listing.lines().filter(|line| !line.starts_with('d'));
    files
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let size = words[2].parse().expect("a size");
            (words[5].to_owned(), size)
        })
        .collect()
}

#[test]
fn an_image_holds_its_program_and_nothing_else_and_is_not_run_by_root() {
    for (target, program) in [
        ("controller", "kubernaut-executor"),
        ("runner", "kexec-runner"),
    ] {
        let (config, files) = image(target);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [program]);
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"][0], format!("/{program}"));
    }
}

/// The runner's is small enough even as the dev profile builds it; the build stage of the Dockerfile holds both programs of
/// the release profile to the same limit.
#[test]
fn the_runners_image_is_at_most_25_mib() {
    let (_, files) = image("runner");
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    assert!(bytes <= MAX_BYTES, "{bytes}");
}
