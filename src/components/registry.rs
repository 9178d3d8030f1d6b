//! One row a component. Whoever adds one adds its row here, and nothing elsewhere.

use super::{console, feishu, file, kubernetes, qcloud, slack, webhook, wecom};
use crate::chat::ChatKind;
use crate::notifiers::NotifierKind;
use crate::sources::SourceKind;

/// What can be told.
pub const NOTIFIERS: [NotifierKind; 5] =
    [slack::NOTIFIER, wecom::NOTIFIER, feishu::NOTIFIER, webhook::NOTIFIER, console::NOTIFIER];
/// What can be read.
pub const SOURCES: [SourceKind; 3] = [qcloud::SOURCE, kubernetes::SOURCE, file::SOURCE];
/// What can be asked through.
pub const CHATS: [ChatKind; 3] = [slack::CHAT, wecom::BOT, wecom::APP];

// What some commands are about, by names that say what it does.
pub use super::console::Console as Terminal;
pub use super::file as recordings;
pub use super::kubernetes::kubectl;
pub use super::qcloud as legacy_api;
