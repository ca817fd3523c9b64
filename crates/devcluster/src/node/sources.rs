//! The Secrets and `ConfigMap`s that a pod refers to, read before its containers start. What is put where is decided by
//! [`super::environment`] and [`super::volumes`].

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, Secret, Volume};
use kube::{Api, Client};

/// Keys and values of one object.
pub(super) type Data = BTreeMap<String, Vec<u8>>;

/// The objects that were found; one that does not exist is not in here.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) secrets: BTreeMap<String, Data>,
    pub(super) config_maps: BTreeMap<String, Data>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    secrets: BTreeSet<String>,
    config_maps: BTreeSet<String>,
}

impl Sources {
    /// Reads all that `spec` refers to.
    pub(super) async fn read(
        client: &Client,
        namespace: &str,
        spec: &PodSpec,
    ) -> Result<Self, kube::Error> {
        let names = Names::of(spec);
        let mut sources = Self::default();
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        for name in names.secrets {
            if let Some(secret) = secrets.get_opt(&name).await? {
                let data = secret.data.unwrap_or_default();
                let data = data.into_iter().map(|(key, value)| (key, value.0));
                sources.secrets.insert(name, data.collect());
            }
        }
        let config_maps = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        for name in names.config_maps {
            if let Some(map) = config_maps.get_opt(&name).await? {
                sources.config_maps.insert(name, data_of(map));
            }
        }
        Ok(sources)
    }
}

fn data_of(map: ConfigMap) -> Data {
    let text = map.data.unwrap_or_default();
    let binary = map.binary_data.unwrap_or_default();
    text.into_iter()
        .map(|(key, value)| (key, value.into_bytes()))
        .chain(binary.into_iter().map(|(key, value)| (key, value.0)))
        .collect()
}

impl Names {
    fn of(spec: &PodSpec) -> Self {
        let mut names = Self::default();
        let containers = spec.init_containers.iter().flatten();
        for container in containers.chain(&spec.containers) {
            names.add_container(container);
        }
        for volume in spec.volumes.iter().flatten() {
            names.add_volume(volume);
        }
        names
    }

    fn add_container(&mut self, container: &Container) {
        for source in container.env_from.iter().flatten() {
            self.secrets
                .extend(source.secret_ref.iter().map(|it| it.name.clone()));
            self.config_maps
                .extend(source.config_map_ref.iter().map(|it| it.name.clone()));
        }
        let variables = container.env.iter().flatten();
        for source in variables.filter_map(|variable| variable.value_from.as_ref()) {
            self.secrets
                .extend(source.secret_key_ref.iter().map(|it| it.name.clone()));
            self.config_maps
                .extend(source.config_map_key_ref.iter().map(|it| it.name.clone()));
        }
    }

    fn add_volume(&mut self, volume: &Volume) {
        let secret = volume.secret.as_ref();
        self.secrets
            .extend(secret.and_then(|it| it.secret_name.clone()));
        self.config_maps
            .extend(volume.config_map.iter().map(|it| it.name.clone()));
        let projected = volume.projected.iter();
        for projection in projected.flat_map(|it| it.sources.iter().flatten()) {
            self.secrets
                .extend(projection.secret.iter().map(|it| it.name.clone()));
            self.config_maps
                .extend(projection.config_map.iter().map(|it| it.name.clone()));
        }
    }
}
