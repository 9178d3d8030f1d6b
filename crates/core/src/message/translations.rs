//! What messages say.

use crate::mute::Author;
use crate::notice::{CloseReason, NoticeKind, StoreFate};
use crate::rule::Severity;
use crate::{translated, translations};

/// What podbell's own trouble is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Source,
    Destination,
    Rules,
}

translated! {
    /// The headings of facts.
    enum Label;
    Where: "Where", "位置";
    Since: "Since", "开始时间";
    HowOften: "How often", "次数";
    Objects: "Objects", "对象";
    Reasons: "Reasons", "原因";
    New: "New", "新增";
    Blind: "Note", "注意";
    Rollout: "Rollout", "发布";
    Runbook: "Runbook", "处理手册";
    Labels: "Labels", "标签";
    Code: "Code", "错误码";
    Affected: "Affected", "影响范围";
    ToDo: "What to do", "处理建议";
    Usually: "Usually", "常见原因";
    Page: "Status page", "状态页面";
}

translated! { Severity;
    Critical: "Critical", "严重告警";
    Warning: "Warning", "告警";
    Info: "Info", "提示";
}

translated! { StoreFate;
    WentBack: "podbell's store went back", "podbell 的数据库回到了较早的状态";
    Replaced: "podbell has another store", "podbell 的数据库被换成了另一个";
    Lost: "podbell's store was lost", "podbell 的数据库已丢失";
    Damaged: "podbell's store is damaged: a new one was begun", "podbell 的数据库已损坏，已新建";
    Mended: "podbell's store is damaged: what can be read goes on", "podbell 的数据库已损坏，可读取的部分继续使用";
    Rewritten: "podbell's store was deleted, and written again", "podbell 的数据库被删除，已重新写入";
    Restored: "podbell goes on from a backup", "podbell 从备份继续运行";
    Unsure: "podbell's store may have gone back", "podbell 的数据库可能回到了较早的状态";
}

translations! {
    /// What messages say.
    pub struct MessageTexts;

    // Between items of one sentence, after a heading, and between sentences.
    comma: ", ", "，";
    colon: ": ", "：";
    stop: ". ", "。";

    semicolon: "; ", "；";

    // Beginnings of titles.
    escalated(severity): "{severity}, worse", "{severity}升级";
    reminded(severity): "{severity}, still there", "{severity}仍未恢复";
    reopened(severity): "{severity}, back again", "{severity}再次出现";
    resolved: "Resolved", "已恢复";
    closed_title: "Closed", "已关闭";
    flapping_title(severity, n): "{severity}, flapping: came back {n|once|# times}", "{severity}反复出现（第 {n} 次）";
    unacknowledged_title(severity): "{severity}, not acknowledged", "{severity}无人认领";
    mute_over_title(severity): "{severity}, mute over", "{severity}，静默结束";

    // Counts and spans of time.
    times(n): "{n|once|# times}", "{n} 次";
    new_in_all(new, all): "{new} new, {all} in all", "新增 {new} 次，累计 {all} 次";
    /// Since the reader's last notice.
    added(n, at): "+{n} since {at}", "{at} 以来 +{n} 次";
    pods(n): "{n} {n|pod|pods}", "{n} 个 Pod";
    nodes(n): "{n} {n|node|nodes}", "{n} 个节点";
    jobs(n): "{n} {n|job|jobs}", "{n} 个 Job";
    other_objects(n): "{n} {n|object|objects}", "{n} 个对象";
    more(n): "+{n} more", "另有 {n} 项";
    services(n): "{n} {n|service|services}", "{n} 个服务";
    destinations(n): "{n} {n|destination|destinations}", "{n} 个通知目标";
    files(n): "{n} {n|file|files}", "{n} 个文件";
    seconds(n): "{n} s", "{n} 秒";
    minutes(n): "{n} min", "{n} 分钟";
    hours(n): "{n} h", "{n} 小时";
    hours_minutes(hours, minutes): "{hours} h {minutes} min", "{hours} 小时 {minutes} 分钟";
    days(n): "{n} d", "{n} 天";
    days_hours(days, hours): "{days} d {hours} h", "{days} 天 {hours} 小时";
    just_now: "just now", "刚刚";
    age(age): "{age} ago", "{age}前";

    // Where somebody did something.
    via_page: "status page", "状态页面";
    open_page: "Open the status page", "打开状态页面";
    via_command_line: "command line", "命令行";
    via_api(token): "api {token}", "API 令牌 {token}";

    // An incident.
    last(at): "last {at}", "最近 {at}";
    /// The cluster has seen it for longer than podbell.
    seen_by_cluster(at): "in the cluster since {at}", "集群自 {at} 起已有记录";
    went_quiet: "Quiet: ", "已无新事件：";
    quiet_for(how_long): "Quiet for {how_long}: ", "已 {how_long}无新事件：";
    /// The `{}` are the event that ended it, and its object.
    over_by(at): "Over since {at} ({} of {}): ", "自 {at} 起已恢复（{}，{}）：";
    /// `{}` is the object that was deleted.
    over_deleted(at): "Over since {at} ({} was deleted): ", "自 {at} 起已结束（{} 已删除）：";
    nothing_since(how_long): "Nothing new for {how_long}; pod health was not checked.", "此后 {how_long}无新事件；未检查 Pod 是否健康。";
    quiet_is_not_healthy: "Events stopped; pod health was not checked.", "事件已停止，但未检查 Pod 是否健康。";
    /// `ready` is how many pods are ready.
    recovered(at, ready): "Recovered, {ready} since {at}: ", "已恢复，自 {at} 起 {ready}：";
    quiet_but_not_ready(at, ready): "No new event since {at}, but {ready}.", "自 {at} 起无新事件，但 {ready}。";
    ready(ready, wanted): "{ready} of {wanted} ready", "{wanted} 个 Pod 中 {ready} 个就绪";
    ready_in_rollout(ready, wanted): "{ready} of {wanted} ready, a rollout is under way", "{wanted} 个 Pod 中 {ready} 个就绪，正在发布";
    /// What the cause of an incident reaches.
    affected_workloads(n): "{n} {n|workload|workloads} affected", "影响 {n} 个工作负载";
    /// `{}` is a container.
    log_now: "log of {}", "{} 的日志";
    log_before: "log of {} before it was started again", "{} 重启前的日志";
    /// `{}` is a node.
    on_node: " on {}", "，节点 {}";
    /// `{}` is what a container waits for.
    waits: " waits ({})", " 等待中（{}）";
    restarts(n): "{n} {n|restart|restarts}", "重启 {n} 次";
    /// `{}` is the reason of a container's end.
    ended_with(code, at): "ended at {at} with exit code {code} ({})", "{at} 退出，退出码 {code}（{}）";
    never_told: "This is the first message about it: it was over before one could be sent.", "这是关于该告警的第一条消息：未及发送，告警已经结束。";
    closed: "Closed: ", "已关闭：";
    closed_by_service: "Closed, service deleted: ", "服务已删除，告警关闭：";
    closed_by_rule: "Closed, rule removed: ", "规则已移除，告警关闭：";
    closed_unwatched: "Closed, no longer watched: ", "服务已不再监视，告警关闭：";
    closed_by_source: "Closed, source removed: ", "数据源已移除，告警关闭：";
    came_back(n): "came back {n|once|# times}", "已复发 {n} 次";
    flapping_note: "From now on you hear when it gets worse and when it is over for good.", "此后仅在情况恶化或彻底恢复时通知。";
    late(happened, sent): "Late: happened {happened}, sent {sent}.", "延迟送达：发生于 {happened}，发送于 {sent}。";
    after_rollout(after, at): "{after} after a rollout ({at})", "发布（{at}）后 {after}";
    after_rollout_of(after, at): "{after} after a rollout ({}, {at})", "发布（{}，{at}）后 {after}";
    blind(from, until): "blind from {from} to {until}, events may be missing", "{from} 至 {until} 期间无法读取事件，可能有遗漏";
    rule: "rule {}", "规则 {}";
    /// `{}` is who acknowledged it.
    acknowledged(at): "acknowledged by {} at {at}", "{} 于 {at} 认领";
    nobody_acknowledged(how_long): "Nobody acknowledged this for {how_long}. ", "已 {how_long}无人认领。";
    mute_over_alone: "Mute over: still open. ", "静默结束：仍未恢复。";
    mute_over_more(n): "Mute over: still open, {n} more. ", "静默结束：仍未恢复，又发生 {n} 次。";
    template_failed: "The template failed, so these are podbell's own words ({}).", "模板渲染失败，以上为 podbell 内置内容（{}）。";

    // podbell's own trouble.
    source_trouble: "podbell cannot read {}", "podbell 无法读取 {}";
    source_works: "podbell reads {} again", "podbell 已恢复读取 {}";
    destination_trouble: "podbell cannot deliver to {}", "podbell 无法发送到 {}";
    destination_works: "podbell delivers to {} again", "podbell 已恢复发送到 {}";
    rules_trouble: "podbell refuses the new content of {}", "podbell 拒绝了 {} 的新内容";
    rules_work: "podbell uses {} again", "podbell 已重新采用 {}";
    trouble(since): "Since {since}: {}", "自 {since} 起：{}";
    trouble_over(how_long, span): "Over after {how_long} ({span}). It was: {}", "已恢复，持续 {how_long}（{span}）。原因：{}";

    // podbell's own announcements.
    /// For a source that finds services by their events: it has none before the first event.
    watching: "Watching {}; its services appear with their first events.", "开始监控 {}，服务会随其第一个事件出现。";
    watching_services(n): "Watching {n} {n|service|services} of {}.", "开始监控 {} 的 {n} 个服务。";
    already_there(n): "Already there, not alerted: {n} {n|problem|problems} (/events).", "此前已有 {n} 类 Warning 事件，未通知（/events 查看）。";
    clock_hint(hours): "Events look {hours} h off: ", "事件时间似乎偏差 {hours} 小时：";
    clock_hint_zone: "is time_zone {}?", "time_zone 是否应为 {}？";
    blind_title: "podbell was blind: {}", "podbell 曾无法读取 {}";
    blind_source(blind, services): "{}: {blind}; {services}.", "{}：{blind}（{services}）。";
    held_title(over): "Held back and over by now: {over} {over|problem|problems}", "暂缓通知的 {over} 个告警已恢复";
    held_outside: "Outside of {}, ", "通知时段 {} 之外，";
    held_during: "Maintenance {}, ", "维护 {} 期间，";
    held_open(n): "{n} {n|problem is still there; it is|problems are still there; they are} reported separately.", "另有 {n} 个告警仍未恢复，将单独通知。";
    daily(span, events, messages, incidents): "{span}: {events} {events|event|events}, {messages} {messages|message|messages}, {incidents} {incidents|incident|incidents}", "近 {span}：{events} 个事件，{messages} 条消息，{incidents} 个告警";
    daily_untold_kinds(n): "; unmatched: {n} {n|kind|kinds}", "；未通知：{n} 类";
    /// `{}` is the command that says why.
    daily_untold: "Unmatched Warnings, and why: {}", "未通知的 Warning 事件及其原因：{}";
    muted_title: "Muted: {}", "已静默：{}";
    /// `{}` is who muted it.
    muted: "{} muted it", "{} 设置了静默";
    muted_until(at): " until {at}", "，至 {at}";
    muted_holds(n): "{n} {n|problem is|problems are} open now and will be reported at its end.", "目前有 {n} 个告警未恢复，静默结束时会通知。";
    /// `{}` is where it was muted.
    muted_how_to_end: "muted in {}; what ends meanwhile is reported where it was reported before", "来自 {}；期间恢复的告警，只在之前通知过的地方通知";
    test_title: "A test message of podbell", "podbell 测试消息";
    test: "Notices for {} arrive here. This is only a test; it says nothing of any cluster.", "发往 {} 的通知会送达这里。这只是一条测试消息，并非集群告警。";
    dead_title(n): "{n} {n|message|messages} to {} given up", "已放弃发送到 {} 的 {n} 条消息";
    dead(n): "{n} {n|message|messages} could not be delivered to {}: {}.", "{n} 条消息未能送达 {}：{}。";
    dead_list: "See what it was and send it again: {}", "查看并重新发送：{}";

    // What happened to the store.
    store_made_before(until): "before {until}", "{until} 之前";
    store_made_between(from, until): "after {from}, until {until}", "{from} 之后、{until} 之前";
    store_went_back(commits, made): "The last {commits} {commits|commit|commits} of it, made {made}, {commits|is|are} missing. After a backup was put in its place, this is as it should be; otherwise its log was damaged or deleted. What happened in that time may be told again, or not at all, and what people said then (mutes, acknowledgements) is forgotten.", "缺少{made}写入的最后 {commits} 次提交。如果刚恢复了备份，这属正常；否则是日志文件损坏或被删除。这段时间发生的事可能会再次通知，也可能不再通知；其间的静默和认领已丢失。";
    store_replaced(until): "The file in its place is another podbell's, or was begun anew; the last commit to the one before was made at {until}. What happened since that file was written may be told again, or not at all.", "现在的文件属于另一个 podbell，或是新建的；原数据库最后写入于 {until}。此后发生的事可能会再次通知，也可能不再通知。";
    store_last_written(until): " (last written at {until})", "（最后写入于 {until}）";
    store_lost(written): "Its file was gone or empty{written}, and podbell began a new one: open incidents, mutes and messages that waited are forgotten, and what is going on now is not told again. If you did not want this, stop podbell and put a backup in its place.", "数据库文件不存在或为空{written}，podbell 已新建：未恢复的告警、静默和待发送的消息已丢失，当前已有的告警不会再次通知。如果这不是您的本意，请停止 podbell 并恢复备份。";
    store_damaged(written): "Nothing of it could be read{written}, and podbell began a new one: open incidents, mutes and messages that waited are forgotten, and what is going on now is not told again. Check the disk; if you have a backup, stop podbell and put it in its place.", "数据库完全无法读取{written}，podbell 已新建：未恢复的告警、静默和待发送的消息已丢失，当前已有的告警不会再次通知。请检查磁盘；如有备份，请停止 podbell 并恢复备份。";
    store_mended(rows): "{rows} {rows|row|rows} could be read and podbell goes on with them; what was in the others (open incidents, mutes, messages that waited) may be missing. Check the disk; if you have a backup that is better, stop podbell and put it in its place.", "读出了 {rows} 行，podbell 用它们继续运行；其余的内容（未恢复的告警、静默、待发送的消息）可能缺失。请检查磁盘；如有更好的备份，请停止 podbell 并恢复备份。";
    store_rewritten: "Its file or its log was deleted while podbell ran. podbell had it open and wrote all of it again: nothing is lost. Check who deletes files in that folder.", "podbell 运行期间，数据库文件或其日志被删除。podbell 已将全部内容重新写入，没有丢失。请检查是谁删除了该目录中的文件。";
    store_restored(from): "Its store is a backup that was made at {from}. What happened since then may be told again, or not at all, and what people said since (mutes, acknowledgements) is forgotten.", "当前数据库是 {from} 所做的备份。此后发生的事可能会再次通知，也可能不再通知；其间的静默和认领已丢失。";
    store_unsure: "The stamp beside it, which says how far it had come, is damaged or gone, so nobody can say whether newer commits were lost with it. After the store was moved or a backup put in its place without its stamp, this is as it should be; otherwise check the disk.", "数据库旁记录进度的 .stamp 文件已损坏或不存在，无法判断是否丢失了较新的提交。如果刚移动过数据库，或恢复备份时没有带上该文件，这属正常；否则请检查磁盘。";
    store_kept: "The files as they were are kept in {}; delete that folder when you need it no more.", "原文件保存在 {}，不再需要时可删除该目录。";

    // A digest.
    digest_title(standing): "Many at once: {standing} {standing|problem|problems}", "集中通知：{standing} 个告警";
    digest_title_over(over): "Many at once: {over} {over|problem|problems} over", "集中通知：{over} 个告警已恢复";
    digest_title_both(standing, over): "Many at once: {standing} {standing|problem|problems}, {over} over", "集中通知：{standing} 个告警，另有 {over} 个已恢复";
    digest(notices, about, since): "{notices} {notices|notice|notices}{about} since {since}, too many to send one by one.", "自 {since} 起共 {notices} 条通知{about}，数量过多，合并发送。";
    digest_about(n): " about {n} {n|problem|problems}", "（{n} 个告警）";
    digest_cause(what, n, of): "Likely one cause: {what} {} ({n} of {of})", "可能的共同原因：{what} {}（{of} 个中的 {n} 个）";
    digest_over: "Over", "已恢复";
}

impl MessageTexts {
    /// The beginning of a title: how urgent the incident is, and what happened to it.
    pub(crate) fn status(self, kind: NoticeKind, severity: Severity) -> String {
        let severity = severity.say(self.0);
        match kind {
            NoticeKind::Opened | NoticeKind::Info => severity.to_owned(),
            NoticeKind::Escalated => self.escalated(severity),
            NoticeKind::Reminded => self.reminded(severity),
            NoticeKind::Reopened => self.reopened(severity),
            NoticeKind::Resolved => self.resolved().to_owned(),
            NoticeKind::Closed => self.closed_title().to_owned(),
        }
    }

    pub(crate) fn label(self, label: Label) -> &'static str {
        label.say(self.0)
    }

    /// Between two sentences of podbell's own: no blank follows a Chinese one.
    pub(crate) fn gap(self) -> &'static str {
        if self.stop().ends_with(' ') { " " } else { "" }
    }

    pub fn objects(self, n: u64, kind: &str) -> String {
        match kind {
            "Pod" => self.pods(n),
            "Node" => self.nodes(n),
            "Job" => self.jobs(n),
            _ => self.other_objects(n),
        }
    }

    pub fn duration(self, seconds: u64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => self.seconds(seconds),
            (0, 0, minutes) => self.minutes(minutes),
            (0, hours, 0) => self.hours(hours),
            (0, hours, minutes) => self.hours_minutes(hours, minutes),
            (days, 0, _) => self.days(days),
            (days, hours, _) => self.days_hours(days, hours),
        }
    }

    /// Where somebody did something; the name of a chat is not translated.
    pub fn via(self, via: &str) -> String {
        match (via, via.strip_prefix(Author::API_PREFIX)) {
            (Author::PAGE, _) => self.via_page().to_owned(),
            (Author::COMMAND_LINE, _) => self.via_command_line().to_owned(),
            (_, Some(token)) => self.via_api(token),
            (via, None) => via.to_owned(),
        }
    }

    /// Why it was closed.
    pub(crate) fn closed_for(self, reason: Option<CloseReason>) -> &'static str {
        match reason {
            None => self.closed(),
            Some(CloseReason::RuleRemoved) => self.closed_by_rule(),
            Some(CloseReason::ServiceDeleted) => self.closed_by_service(),
            Some(CloseReason::NotWatched) => self.closed_unwatched(),
            Some(CloseReason::SourceRemoved) => self.closed_by_source(),
        }
    }

    /// The beginning of the first sentence after a mute ended.
    pub(crate) fn mute_over(self, more: u64) -> String {
        if more == 0 { self.mute_over_alone().to_owned() } else { self.mute_over_more(more) }
    }

    pub(crate) fn trouble_title(self, about: About, kind: NoticeKind) -> &'static str {
        match (about, kind.is_end()) {
            (About::Source, false) => self.source_trouble(),
            (About::Source, true) => self.source_works(),
            (About::Destination, false) => self.destination_trouble(),
            (About::Destination, true) => self.destination_works(),
            (About::Rules, false) => self.rules_trouble(),
            (About::Rules, true) => self.rules_work(),
        }
    }

    pub(crate) fn affected(self, about: About, n: u64) -> String {
        match about {
            About::Source => self.services(n),
            About::Destination => self.destinations(n),
            About::Rules => self.files(n),
        }
    }

    pub(crate) fn digest_heading(self, standing: u64, over: u64) -> String {
        match (standing, over) {
            (0, over) => self.digest_title_over(over),
            (standing, 0) => self.digest_title(standing),
            (standing, over) => self.digest_title_both(standing, over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glossary;
    use crate::message::digest::Cause;
    use crate::message::reasons::Help;

    #[test]
    fn all_phrases_use_the_words_of_the_glossary() {
        let tables = [MessageTexts::ROWS, Label::ROWS, Help::ROWS, Cause::ROWS, StoreFate::ROWS, Severity::ROWS];
        let rows = tables.into_iter().flatten().map(|(_, en, zh)| (*en, *zh));
        let found: Vec<String> = rows.flat_map(|(en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
