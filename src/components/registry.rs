//! One row per component. A new component needs its row here and its `mod` in `mod.rs`; no other code names it.

use super::{
    alertmanager, console, dingtalk, discord, email, feishu, file, googlechat, kubernetes, mattermost, pagerduty,
    qcloud, slack, teams, telegram, webhook, wecom,
};
use crate::chat::ChatKind;
use crate::notifiers::NotifierKind;
use crate::sources::SourceKind;

/// The kinds of notifiers.
pub const NOTIFIERS: [NotifierKind; 16] = [
    slack::NOTIFIER,
    wecom::NOTIFIER,
    feishu::NOTIFIER,
    feishu::APP,
    dingtalk::NOTIFIER,
    dingtalk::app::NOTIFIER,
    teams::NOTIFIER,
    discord::NOTIFIER,
    googlechat::NOTIFIER,
    mattermost::NOTIFIER,
    telegram::NOTIFIER,
    email::NOTIFIER,
    pagerduty::NOTIFIER,
    alertmanager::NOTIFIER,
    webhook::NOTIFIER,
    console::NOTIFIER,
];
/// The kinds of sources.
pub const SOURCES: [SourceKind; 3] = [qcloud::SOURCE, kubernetes::SOURCE, file::SOURCE];
/// The kinds of chats.
pub const CHATS: [ChatKind; 9] = [
    slack::CHAT,
    wecom::BOT,
    wecom::APP,
    dingtalk::chat::CHAT,
    telegram::chat::CHAT,
    mattermost::chat::CHAT,
    discord::chat::CHAT,
    teams::chat::CHAT,
    feishu::chat::CHAT,
];

/// Words that people write for kinds, with the kind that they mean.
pub const OTHER_NAMES: [(&str, &str); 18] = [
    ("lark", "feishu"),
    ("lark-app", "feishu-app"),
    ("dingding", "dingtalk"),
    ("钉钉", "dingtalk"),
    ("飞书", "feishu"),
    ("企业微信", "wecom"),
    ("wechat", "wecom"),
    ("weixin", "wecom"),
    ("wework", "wecom"),
    ("msteams", "teams"),
    ("microsoft-teams", "teams"),
    ("gchat", "googlechat"),
    ("smtp", "email"),
    ("stdout", "console"),
    ("http", "webhook"),
    ("k8s", "kubernetes"),
    ("tke", "qcloud"),
    ("tencentcloud", "qcloud"),
];
