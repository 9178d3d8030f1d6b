//! Whether each source can be read, with the keys, names and time zone of podbell.yaml. One file a kind: a
//! new one is a file and an arm.

mod file;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod qcloud;

use super::finding::Checked;
use crate::config::SourceConfig;

/// Looks at one source.
pub(super) async fn check(source: &SourceConfig, http: reqwest::Client) -> Checked {
    match source {
        SourceConfig::Qcloud(source) => qcloud::check(source, http).await,
        SourceConfig::File(source) => file::check(source).await,
        #[cfg(feature = "kubernetes")]
        SourceConfig::Kubernetes(source) => kubernetes::check(source).await,
        // Reading the configuration has said so already.
        #[cfg(not(feature = "kubernetes"))]
        SourceConfig::Kubernetes(_) => Checked::default(),
    }
}
