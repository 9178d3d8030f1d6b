//! The texts of the page.

use axum::http::{HeaderMap, header};

use podbell_core::rule::Severity;
use podbell_core::translations;
use podbell_core::translations::Language;

translations! {
    /// The texts of the page.
    pub(super) struct PageTexts;

    skip: "Skip to content", "跳到正文";
    pages: "Pages", "页面";
    incidents: "Incidents", "告警";
    services: "Services", "服务";
    sources: "Sources", "数据源";
    destinations: "Destinations", "通知目标";
    sign_in: "Sign in", "登录";
    sign_out: "Sign out", "退出";
    may_only_read: "read only", "只读";
    token: "API token", "API 令牌";
    token_where: "One of the tokens of podbell.yaml (server: tokens).", "podbell.yaml 中 server: tokens 列出的令牌之一。";
    wrong_token: "This token is not known.", "令牌无效。";
    too_many: "Too many wrong tokens. Wait a minute.", "错误次数过多，请稍候一分钟。";
    rollout_at(at): "Rollout at {at}", "{at} 发布";
    refresh: "Refresh", "刷新";
    live: "live", "实时";
    open: "Open", "未恢复";
    also_open: "Also open", "其他未恢复";
    now: "now", "现在";
    worsening: "Worsening", "恶化中";
    muted: "Muted", "已静默";
    watched: "Services watched", "监控的服务";
    unreadable(n): "{n} cannot be read", "{n} 个无法读取";
    none_open: "Nothing is open.", "当前没有未恢复的告警。";
    none_muted: "Nothing is muted.", "当前没有静默。";
    worsening_about: "Got worse within the last hour.", "最近一小时内恶化。";
    acknowledged_by: "acknowledged by {}", "{} 已认领";
    muted_until(until): "muted until {until}", "静默至 {until}";
    since(at): "since {at}", "自 {at} 起";
    until(at): "until {at}", "至 {at}";
    acknowledge: "Acknowledge", "认领";
    mute_for(lasts): "Mute {lasts}", "静默 {lasts}";
    mute: "Mute", "静默";
    unmute: "End the mute", "解除静默";
    why_field: "Why (optional)", "原因（可选）";
    how_long: "How long", "时长";
    hour: "1 h", "1 小时";
    four_hours: "4 h", "4 小时";
    day: "24 h", "24 小时";
    page_of(page, pages): "Page {page} of {pages}", "第 {page} 页，共 {pages} 页";
    newer: "Newer", "较新";
    older: "Older", "较旧";
    next: "Next", "下一页";
    previous: "Previous", "上一页";
    first: "First page", "首页";
    story: "What happens", "概况";
    explanation: "Why it was reported, or was not", "为何通知或未通知";
    changes: "Pages of changes", "变化记录分页";
    told: "Messages", "通知记录";
    nothing_told: "No message was sent yet.", "尚未发出通知。";
    done: "What people did", "操作记录";
    nothing_done: "Nobody did anything yet.", "尚无操作。";
    last_day: "Last 24 hours", "最近 24 小时";
    warnings_in_day(n): "{n} {n|warning|warnings} in 24 h", "24 小时内 {n} 次 Warning 事件";
    most_at(n, at): "peak {n} at {at}", "峰值 {n} 次（{at}）";
    no_warnings: "no warnings in 24 h", "24 小时内无 Warning 事件";
    open_of(n): "{n} open", "{n} 个未恢复";
    events: "Events", "事件";
    no_events: "No events of it are known.", "没有已知的事件。";
    find: "Name begins with", "名称前缀";
    search: "Search", "搜索";
    no_services: "No service has a name like that.", "未找到名称以此开头的服务。";
    never_read: "not read yet", "尚未读取";
    cannot_read_since(at): "cannot be read since {at}", "自 {at} 起无法读取";
    source: "Source", "数据源";
    last_read: "Last read", "最近读取";
    every(interval): "every {interval}", "每 {interval}";
    lag: "Lag", "延迟";
    in_time: "in time", "正常";
    late_by(delay): "{delay} late", "延迟 {delay}";
    errors: "Errors", "错误";
    no_errors: "none", "无";
    troubles: "Trouble", "故障";
    no_troubles: "No trouble.", "没有故障。";
    unreadable_services: "Services that cannot be read", "无法读取的服务";
    destination: "Destination", "通知目标";
    state: "State", "状态";
    waiting: "Waiting", "等待";
    pace: "Pace", "速率";
    dead: "Given up", "已放弃";
    works: "works", "正常";
    paused: "paused: ", "已暂停：";
    failing(n): "{n} {n|failure|failures} in a row", "连续失败 {n} 次";
    again_at(at): "again at {at}", "{at} 重试";
    no_pace: "no limit", "不限";
    seconds(text): "{text} s", "{text} 秒";
    per(n, span): "{n} in {span}", "{n} 条 / {span}";
    dead_newest: "Given up lately", "最近放弃的消息";
    keys: "Keys", "快捷键";
    key_rows: "next and previous incident", "下一个、上一个告警";
    key_open: "open it", "打开";
    key_ack: "acknowledge", "认领";
    key_mute: "mute for 1 h", "静默 1 小时";
    key_keys: "this list", "此列表";
    said_ack: "Acknowledged.", "已认领。";
    said_mute: "Muted.", "已静默。";
    said_unmute: "The mute was ended.", "已解除静默。";
    not_done: "Not done", "未执行";
    not_found: "Not found", "页面不存在";
    not_found_about: "It does not exist, is no longer kept, or is not yours to see.", "该内容不存在、已不再保留，或您无权查看。";
    not_yours: "This is only for tokens that see everything.", "仅限可查看全部内容的令牌。";
    forbidden: "You may only read.", "您只有只读权限。";
    foreign: "This form came from another address than podbell's own. If a proxy stands in front of podbell, let it pass on the host that people see (nginx: proxy_set_header Host $http_host;), or set server.public_url to the address in the browser.", "该表单并非来自 podbell 自身的地址。如果 podbell 前面有代理，请让它传递浏览器看到的主机名（nginx：proxy_set_header Host $http_host;），或把 server.public_url 设为浏览器中的地址。";
    stale: "This form is too old, or was not sent by this page. Reload and try again.", "表单已过期或并非来自本页，请刷新后重试。";
    unavailable: "The store cannot be read at the moment. Try again.", "暂时无法读取数据库，请重试。";
    back: "Back", "返回";
    went_quiet: "over", "已恢复";
    critical: "critical", "严重";
    warning: "warning", "告警";
    info: "info", "提示";
    going_on: "Redirecting …", "正在跳转…";
    objects_and_reasons: "Reason", "原因";
    workload: "Workload", "工作负载";
    count: "Count", "次数";
    newest: "Newest", "最近";
    was_there: "already there when podbell started", "podbell 启动前已存在";
}

impl PageTexts {
    /// The word for a severity.
    pub(super) fn severity(self, severity: Severity) -> &'static str {
        match severity {
            Severity::Critical => self.critical(),
            Severity::Warning => self.warning(),
            Severity::Info => self.info(),
        }
    }
}

/// The first language that a browser asks for and that the page speaks.
pub(super) fn asked_for(headers: &HeaderMap) -> Language {
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let tags = asked.split(',').map(|tag| tag.trim().to_ascii_lowercase());
    let known = |tag: String| match tag.get(..2) {
        Some("zh") => Some(Language::Zh),
        Some("en") => Some(Language::En),
        _ => None,
    };
    tags.filter_map(known).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glossary;

    #[test]
    fn the_first_known_language_of_a_browser_counts() {
        for (asked, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("fr-FR, zh-TW;q=0.5, en", Language::Zh),
            ("en-GB,zh", Language::En),
            ("fr", Language::En),
            ("", Language::En),
            ("é", Language::En),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, axum::http::HeaderValue::from_bytes(asked.as_bytes()).unwrap());
            assert_eq!(asked_for(&headers), language, "{asked}");
        }
    }

    #[test]
    fn all_phrases_use_the_words_of_the_glossary() {
        let found: Vec<String> = PageTexts::ROWS.iter().flat_map(|(_, en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
