//! Resolves secrets: turns a configuration as written into one that works.

use secrecy::SecretString;

use super::{
    ChatConfig, Config, GatewayKeyConfig, Heartbeat, HttpConfig, NotifierConfig, OperatorConfig, OtlpConfig,
    PageConfig, ProxyConfig, ServerConfig, SourceConfig, TokenConfig, Unresolved,
};
use crate::settings::{Environment, SecretError, Secrets};
use podbell_store::Location;

/// A configuration without the parts whose secrets are missing.
pub struct Partly {
    /// Lacks everything that needs a missing secret.
    pub config: Config,
    /// Where the store is, unless a secret says so that is missing.
    pub store: Option<Location>,
    /// What is missing, in the order of podbell.yaml.
    pub missing: Vec<SecretError>,
    /// Every secret that was resolved: none may appear in any output.
    pub known: Vec<SecretString>,
}

impl Config<Unresolved> {
    /// Puts the secrets in.
    ///
    /// # Errors
    /// Every secret that is missing or cannot be used.
    pub fn resolve(self, environment: &impl Environment) -> Result<Config, Vec<SecretError>> {
        let partly = self.resolve_partly(environment);
        if partly.missing.is_empty() { Ok(partly.config) } else { Err(partly.missing) }
    }

    /// Puts in the secrets that are available, and leaves out everything that lacks one.
    pub fn resolve_partly(self, environment: &impl Environment) -> Partly {
        let mut secrets = Secrets::of(environment);
        let store = self.store.resolve(&mut secrets);
        let sources = whole(self.sources, |source| source.resolve(&mut secrets));
        let notifiers = whole(self.notifiers, |notifier| notifier.resolve(&mut secrets));
        let chats = whole(self.chats, |chat| chat.resolve(&mut secrets));
        let heartbeat = self
            .operator
            .heartbeat
            .and_then(|heartbeat| Some(Heartbeat { url: secrets.get(&heartbeat.url)?, every: heartbeat.every }));
        let tokens = whole(self.server.tokens, |token| token.resolve(&mut secrets));
        let page = PageConfig {
            language: self.server.page.language,
            time_zone: self.server.page.time_zone,
            proxy: self.server.page.proxy.and_then(|proxy| proxy.resolve(&mut secrets)),
        };
        let gateway = whole(self.gateway, |key| key.resolve(&mut secrets));
        let otlp = self.otlp.and_then(|otlp| otlp.resolve(&mut secrets));
        let proxy = self.http.proxy.and_then(|proxy| secrets.get(&proxy));
        let config = Config {
            sources,
            notifiers,
            chats,
            mentions: self.mentions,
            has_rules: self.has_rules,
            maintenance: self.maintenance,
            operator: OperatorConfig { notify: self.operator.notify, heartbeat },
            store: self.store,
            server: ServerConfig { listen: self.server.listen, public_url: self.server.public_url, tokens, page },
            gateway,
            otlp,
            http: HttpConfig { proxy, ca_file: self.http.ca_file },
        };
        Partly { config, store, missing: secrets.missing, known: secrets.known }
    }
}

/// The items whose secrets are all there.
fn whole<T, U>(items: Vec<T>, resolve: impl FnMut(T) -> Option<U>) -> Vec<U> {
    items.into_iter().filter_map(resolve).collect()
}

impl SourceConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<SourceConfig> {
        Some(SourceConfig { source: self.source.complete(secrets)?, name: self.name, facts: self.facts })
    }
}

impl NotifierConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<NotifierConfig> {
        Some(NotifierConfig {
            platform: self.platform.complete(secrets)?,
            name: self.name,
            language: self.language,
            time_zone: self.time_zone,
            digest_after: self.digest_after,
            daily: self.daily,
            template: self.template,
            logs: self.logs,
            kind: self.kind,
        })
    }
}

impl ChatConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<ChatConfig> {
        Some(ChatConfig { chat: self.chat.complete(secrets)?, name: self.name })
    }
}

impl TokenConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<TokenConfig> {
        let token = secrets.get(&self.token)?;
        Some(TokenConfig { token, name: self.name, rights: self.rights, scope: self.scope })
    }
}

impl ProxyConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<ProxyConfig> {
        Some(ProxyConfig {
            secret: secrets.get(&self.secret)?,
            header: self.header,
            secret_header: self.secret_header,
            rights: self.rights,
            scope: self.scope,
        })
    }
}

impl OtlpConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<OtlpConfig> {
        let endpoint = secrets.get(&self.endpoint);
        let known = self.headers.len();
        let headers = whole(self.headers, |(name, value)| Some((name, secrets.get(&value)?)));
        (headers.len() == known).then_some(OtlpConfig { endpoint: endpoint?, headers })
    }
}

impl GatewayKeyConfig<Unresolved> {
    fn resolve(self, secrets: &mut Secrets<'_>) -> Option<GatewayKeyConfig> {
        let (secret_id, secret_key) = (secrets.get(&self.secret_id), secrets.get(&self.secret_key));
        Some(GatewayKeyConfig { secret_id: secret_id?, secret_key: secret_key?, scope: self.scope })
    }
}
