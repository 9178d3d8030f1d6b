//! From a kubeconfig, or the pod that podbell runs in, to a client. Tokens that lie in files are read anew by the client
//! itself; after a 401 everything is read anew.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::KubernetesConfig;
use super::api::Fault;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client, as the configuration says.
///
/// # Errors
/// When there is no usable kubeconfig, context or certificate.
pub async fn client(config: &KubernetesConfig) -> Result<Client, Fault> {
    crate::http::install_tls_provider();
    let options = KubeConfigOptions { context: config.context.clone(), ..KubeConfigOptions::default() };
    let made = match &config.kubeconfig {
        Some(path) => {
            let path = path.clone();
            // Reading a file is quick, but not always.
            let read = tokio::task::spawn_blocking(move || Kubeconfig::read_from(path)).await;
            let kubeconfig = read.map_err(|error| Fault::setup(&error))?.map_err(|error| Fault::setup(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| Fault::setup(&error))
        }
        None if config.context.is_none() => match Config::incluster() {
            Ok(config) => Ok(config),
            Err(_) => Config::from_kubeconfig(&options).await.map_err(|error| Fault::setup(&error)),
        },
        None => Config::from_kubeconfig(&options).await.map_err(|error| Fault::setup(&error)),
    };
    let mut made = made?;
    made.connect_timeout = Some(CONNECT_TIMEOUT);
    // Watches have deadlines of their own, and pauses after a 429 are the follower's.
    (made.read_timeout, made.write_timeout, made.default_retry) = (None, None, false);
    Client::try_from(made).map_err(|error| Fault::setup(&error))
}
