//! A pod's volumes as folders below the node's, and the tree in which a container finds them under its mount paths:
//! container paths cannot be mounted without root, so `/etc/x` is `$KEXEC_ROOT/etc/x`.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume,
    VolumeProjection,
};

use super::{
    fields,
    host::Host,
    live::Key,
    sources::{Data, Sources},
    token::{KeptToken, TokenError, TokenFile},
};

/// What keeps a pod's volumes from being made; the pod waits as `ContainerCreating`.
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    #[error("{kind} '{name}' not found")]
    ObjectMissing { kind: &'static str, name: String },
    #[error("{kind} '{name}' references non-existent key '{key}'")]
    KeyMissing {
        kind: &'static str,
        name: String,
        key: String,
    },
    #[error("failed to write '{}'", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("'{path}' leads out of its volume")]
    Outside { path: String },
    #[error("failed to get a token")]
    Token(#[source] TokenError),
}

/// The volumes of one pod; its tokens stay valid until this is dropped.
#[derive(Debug)]
pub(super) struct Volumes {
    folder: PathBuf,
    tokens: Vec<(String, PathBuf)>,
    kept: Vec<KeptToken>,
}

struct Maker<'a> {
    host: &'a Arc<Host>,
    key: &'a Key,
    pod: &'a Pod,
    address: Ipv4Addr,
    sources: &'a Sources,
}

/// Makes all volumes of `pod`.
pub(super) async fn make(
    host: &Arc<Host>,
    key: &Key,
    pod: &Pod,
    address: Ipv4Addr,
    sources: &Sources,
) -> Result<Volumes, VolumeError> {
    let maker = Maker {
        host,
        key,
        pod,
        address,
        sources,
    };
    let mut volumes = Volumes {
        folder: host.pod_folder(&key.uid),
        tokens: Vec::new(),
        kept: Vec::new(),
    };
    let spec = pod.spec.as_ref();
    for volume in spec
        .into_iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
    {
        maker.volume(&mut volumes, volume).await?;
    }
    Ok(volumes)
}

impl Maker<'_> {
    async fn volume(&self, made: &mut Volumes, volume: &Volume) -> Result<(), VolumeError> {
        let folder = made.volume(&volume.name);
        create(&folder)?;
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let found = self.sources.secrets.get(name);
            let files = Files::new("secret", name, secret.items.as_deref(), secret.optional);
            files.write(&folder, found)?;
        }
        if let Some(map) = &volume.config_map {
            let found = self.sources.config_maps.get(&map.name);
            let files = Files::new("configmap", &map.name, map.items.as_deref(), map.optional);
            files.write(&folder, found)?;
        }
        if let Some(fields) = &volume.downward_api {
            self.fields(&folder, fields.items.as_deref())?;
        }
        let projected = volume.projected.iter();
        for source in projected.flat_map(|it| it.sources.iter().flatten()) {
            self.projection(made, &volume.name, source).await?;
        }
        Ok(())
    }

    async fn projection(
        &self,
        made: &mut Volumes,
        volume: &str,
        source: &VolumeProjection,
    ) -> Result<(), VolumeError> {
        let folder = made.volume(volume);
        if let Some(secret) = &source.secret {
            let found = self.sources.secrets.get(&secret.name);
            let items = secret.items.as_deref();
            Files::new("secret", &secret.name, items, secret.optional).write(&folder, found)?;
        }
        if let Some(map) = &source.config_map {
            let found = self.sources.config_maps.get(&map.name);
            let items = map.items.as_deref();
            Files::new("configmap", &map.name, items, map.optional).write(&folder, found)?;
        }
        if let Some(fields) = &source.downward_api {
            self.fields(&folder, fields.items.as_deref())?;
        }
        if let Some(token) = &source.service_account_token {
            let path = inside(&folder, &token.path)?;
            let kept = self.token(token, path.clone()).await?;
            made.kept.push(kept);
            made.tokens.push((volume.to_owned(), path));
        }
        Ok(())
    }

    async fn token(
        &self,
        projection: &ServiceAccountTokenProjection,
        path: PathBuf,
    ) -> Result<KeptToken, VolumeError> {
        let spec = self.pod.spec.as_ref();
        let account = spec.and_then(|spec| spec.service_account_name.clone());
        let file = TokenFile {
            pod: self.key.clone(),
            account: account.unwrap_or_else(|| "default".to_owned()),
            projection: projection.clone(),
            path,
        };
        file.keep(self.host).await.map_err(VolumeError::Token)
    }

    fn fields(
        &self,
        folder: &Path,
        items: Option<&[DownwardAPIVolumeFile]>,
    ) -> Result<(), VolumeError> {
        for item in items.unwrap_or_default() {
            let path = item.field_ref.as_ref().map(|field| &field.field_path);
            let value = path.and_then(|path| fields::value(self.pod, self.address, path));
            write(folder, &item.path, value.unwrap_or_default().as_bytes())?;
        }
        Ok(())
    }
}

/// The files that come from one Secret or ConfigMap.
struct Files<'a> {
    kind: &'static str,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
}

impl<'a> Files<'a> {
    fn new(
        kind: &'static str,
        name: &'a str,
        items: Option<&'a [KeyToPath]>,
        optional: Option<bool>,
    ) -> Self {
        Self {
            kind,
            name,
            items,
            optional: optional.unwrap_or_default(),
        }
    }

    fn write(&self, folder: &Path, found: Option<&Data>) -> Result<(), VolumeError> {
        let Some(data) = found else {
            return if self.optional {
                Ok(())
            } else {
                Err(VolumeError::ObjectMissing {
                    kind: self.kind,
                    name: self.name.to_owned(),
                })
            };
        };
        match self.items {
            None => data
                .iter()
                .try_for_each(|(key, value)| write(folder, key, value)),
            Some(items) => items
                .iter()
                .try_for_each(|item| self.write_item(folder, data, item)),
        }
    }

    fn write_item(&self, folder: &Path, data: &Data, item: &KeyToPath) -> Result<(), VolumeError> {
        match data.get(&item.key) {
            Some(value) => write(folder, &item.path, value),
            None if self.optional => Ok(()),
            None => Err(VolumeError::KeyMissing {
                kind: self.kind,
                name: self.name.to_owned(),
                key: item.key.clone(),
            }),
        }
    }
}

impl Volumes {
    fn volume(&self, name: &str) -> PathBuf {
        self.folder.join("volumes").join(name)
    }

    /// Makes the tree of one container and gives back its root.
    pub(super) fn mount(&self, container: &Container) -> Result<PathBuf, VolumeError> {
        let root = self.folder.join("root").join(&container.name);
        create(&root)?;
        let mut mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
        // A mount inside another one goes in after it.
        mounts.sort_by_key(|mount| mount.mount_path.len());
        for mount in mounts {
            let volume = self.volume(&mount.name);
            let target = match mount.sub_path.as_deref() {
                None | Some("") => volume,
                Some(path) => inside(&volume, path)?,
            };
            let place = inside(&root, mount.mount_path.trim_start_matches('/'))?;
            link(&target, &place)?;
        }
        Ok(root)
    }

    /// The token file that this container sees, if it mounts one.
    pub(super) fn token(&self, container: &Container) -> Option<&Path> {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        self.tokens
            .iter()
            .find(|(volume, _)| mounts.iter().any(|mount| &mount.name == volume))
            .map(|(_, path)| path.as_path())
    }
}

/// Puts `target` at `place`, which may be there from an earlier start of the container.
pub(super) fn link(target: &Path, place: &Path) -> Result<(), VolumeError> {
    if let Some(parent) = place.parent() {
        create(parent)?;
    }
    match symlink(target, place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(|source| failed(place, source)),
    }
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), VolumeError> {
    let path = inside(folder, name)?;
    if let Some(parent) = path.parent() {
        create(parent)?;
    }
    fs::write(&path, content).map_err(|source| failed(&path, source))
}

fn create(folder: &Path) -> Result<(), VolumeError> {
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))
}

/// `folder/name`, refusing names that lead out of the folder.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, VolumeError> {
    let name_path = Path::new(name);
    let plain = name_path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if plain {
        Ok(folder.join(name_path))
    } else {
        Err(VolumeError::Outside {
            path: name.to_owned(),
        })
    }
}

fn failed(path: &Path, source: io::Error) -> VolumeError {
    VolumeError::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_of_its_volume_is_refused() {
        for path in ["../x", "/x", "a/../../x"] {
            let refused = inside(Path::new("/v"), path);
            assert!(
                matches!(refused, Err(VolumeError::Outside { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn a_missing_secret_and_a_missing_key_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let items = [KeyToPath {
            key: "k".to_owned(),
            path: "p".to_owned(),
            mode: None,
        }];
        let files = Files::new("secret", "s", Some(&items), None);
        let object = files.write(folder.path(), None);
        assert!(matches!(object, Err(VolumeError::ObjectMissing { .. })));
        let key = files.write(folder.path(), Some(&Data::new()));
        assert!(matches!(key, Err(VolumeError::KeyMissing { .. })));
    }

    #[test]
    fn a_volume_that_cannot_be_written_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let refused = write(&folder.path().join("file"), "x", b"");
        assert!(matches!(refused, Err(VolumeError::Write { .. })));
    }
}
