//! Makes a client from a kubeconfig, or from the pod that podbell runs in. The client itself rereads tokens that
//! lie in files; after a 401 and where there is no connection everything is read again.

use std::error::Error;
use std::time::Duration;

use kube::client::AuthError;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::KubernetesConfig;
use super::fault::Fault;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for this configuration.
///
/// # Errors
/// When there is no usable kubeconfig, context or certificate.
pub(crate) async fn client(config: &KubernetesConfig) -> Result<Client, Fault> {
    crate::http::install_tls_provider();
    let options = KubeConfigOptions { context: config.context.clone(), ..KubeConfigOptions::default() };
    let made = match &config.kubeconfig {
        Some(path) => {
            let path = path.clone();
            // Reading a file is usually quick, but may block.
            let read = tokio::task::spawn_blocking(move || Kubeconfig::read_from(path)).await;
            let kubeconfig = read.map_err(|error| Fault::setup(&error))?.map_err(|error| unreadable(&error))?;
            from(kubeconfig, &options).await
        }
        None if config.context.is_none() => match Config::incluster() {
            Ok(config) => Ok(config),
            Err(_) => from(Kubeconfig::read().map_err(|error| unreadable(&error))?, &options).await,
        },
        None => from(Kubeconfig::read().map_err(|error| unreadable(&error))?, &options).await,
    };
    let mut made = made?;
    // podbell does not read the environment's proxy, whose address may hold a password.
    made.proxy_url = None;
    made.connect_timeout = Some(CONNECT_TIMEOUT);
    // Watches have deadlines of their own, and the follower makes the pauses after a 429.
    (made.read_timeout, made.write_timeout, made.default_retry) = (None, None, false);
    Client::try_from(made).map_err(|error| Fault::setup(&chain(&error)))
}

/// The cluster that a kubeconfig and a context mean.
async fn from(mut kubeconfig: Kubeconfig, options: &KubeConfigOptions) -> Result<Config, Fault> {
    let context = options.context.as_ref().or(kubeconfig.current_context.as_ref());
    let context = kubeconfig.contexts.iter().find(|one| Some(&one.name) == context);
    let cluster = context.and_then(|one| Some(&one.context.as_ref()?.cluster));
    let cluster = cluster.cloned();
    let cluster = kubeconfig.clusters.iter_mut().find(|one| Some(&one.name) == cluster.as_ref());
    let proxy = cluster.and_then(|one| Some(&mut one.cluster.as_mut()?.proxy_url));
    if proxy.as_ref().is_some_and(|url| url.as_ref().is_some_and(|url| !url.is_empty())) {
        return Err(Fault::setup(
            &"the kubeconfig names a `proxy-url`, and podbell reaches API servers without a proxy",
        ));
    }
    if let Some(proxy) = proxy {
        // kube reads the environment's proxy variables only for a cluster without `proxy_url`. `client` removes this
        // placeholder.
        *proxy = Some("http://unused".to_owned());
    }
    Config::from_custom_kubeconfig(kubeconfig, options).await.map_err(|error| unreadable(&error))
}

/// What is wrong with a kubeconfig. Not in the parser's own words, which may contain a token that it read.
fn unreadable(error: &KubeconfigError) -> Fault {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|place| format!(" (line {}, column {})", place.line(), place.column()));
            Fault::setup(&format!("the kubeconfig cannot be understood{}", place.unwrap_or_default()))
        }
        other => Fault::setup(other),
    }
}

/// An error with its causes, because the outermost error of a connection says little. Leaves out what a plugin
/// printed, which may be a token.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(words) = error.downcast_ref::<AuthError>().and_then(of_plugin) {
            return words;
        }
        let inner = error.downcast_ref::<kube::Error>();
        let words = match inner {
            // The text of these already contains the text of their causes.
            Some(kube::Error::Auth(_) | kube::Error::Service(_)) => String::new(),
            _ => error.to_string(),
        };
        if !words.is_empty() && !text.contains(&words) {
            text = if text.is_empty() { words } else { format!("{text}: {words}") };
        }
        next = error.source();
    }
    text
}

fn of_plugin(error: &AuthError) -> Option<String> {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            Some(format!("the kubeconfig's `exec` plugin failed with {}", out.status))
        }
        AuthError::AuthExecParse(_) => {
            Some("what the kubeconfig's `exec` plugin printed cannot be understood".to_owned())
        }
        _ => None,
    }
}
