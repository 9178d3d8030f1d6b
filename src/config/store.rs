//! `store:` of podbell.yaml: a location, or where one is to be read from. Databases hand out their address, with its
//! password, as one secret.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::settings::{Environment, Secret, SecretError, SecretKind, SecretRef, Secrets};
use podbell_core::yaml::key::ValueType as _;
use podbell_core::yaml::{Node, Reader};
use podbell_store::{Location, LocationError};

/// Where state is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig(StoreAddress);

#[derive(Clone, Debug)]
enum StoreAddress {
    Out(Location),
    Secret { address: SecretRef, folder: PathBuf },
}

impl StoreConfig {
    /// The store of a configuration that names none: a file beside podbell.yaml.
    pub(crate) fn beside(folder: &Path) -> Self {
        Self(StoreAddress::Out(Location::from(folder.join("podbell.db"))))
    }

    /// Where it is.
    ///
    /// # Errors
    /// When the secret that says so is missing, or names no store.
    pub fn location(&self, environment: &impl Environment) -> Result<Location, SecretError> {
        let mut secrets = Secrets::of(environment);
        let found = self.resolve(&mut secrets);
        found.ok_or_else(|| secrets.missing.swap_remove(0))
    }

    /// The same; a secret that is missing is recorded and gives `None`.
    pub(super) fn resolve(&self, secrets: &mut Secrets<'_>) -> Option<Location> {
        let location = match &self.0 {
            StoreAddress::Out(location) => location.clone(),
            StoreAddress::Secret { address, folder } => {
                let text = secrets.get(address)?;
                let Ok(location) = Location::parse(text.expose_secret(), folder) else {
                    secrets.refuse(address, "is no address of a store; write postgres://USER:PASSWORD@HOST/DATABASE");
                    return None;
                };
                location
            }
        };
        secrets.known.extend(location.password().cloned());
        Some(location)
    }
}

pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<StoreConfig> {
    let address = Secret(SecretKind::Any).read(node, reader)?;
    let folder = reader.folder.clone();
    let Some(text) = address.written_out() else { return Some(StoreConfig(StoreAddress::Secret { address, folder })) };
    let location = Location::parse(text.expose_secret(), &folder);
    if let Err(error) = &location {
        let help = match error {
            LocationError::Unknown => "write sqlite:podbell.db, or postgres://USER@HOST/DATABASE",
            LocationError::Address(_) => {
                "such as postgres://podbell@db.example.com/podbell?sslmode=verify-full&passfile=pgpass"
            }
        };
        reader.error_help(&node.span, error.to_string(), help);
    }
    Some(StoreConfig(StoreAddress::Out(location.ok()?)))
}

pub(super) fn schema() -> Json {
    let of_secret = Secret(SecretKind::Any).schema();
    let file = of_secret["anyOf"][1].clone();
    json!({"anyOf": [{"type": "string", "pattern": r"^(sqlite:.+|postgres(ql)?://.+|.*\$\{.+)$"}, file]})
}
