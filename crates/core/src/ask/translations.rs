//! What answers to commands say, but for [`crate::ask::Kind`], whose phrases are beside it. What they share with messages
//! is in `message/translations.rs`; what a command does is said in its own row ([`crate::ask::Spec`]).

use super::Excuse;
use super::mistake::Missing;
use crate::notice::NoticeKind;
use crate::outbox::DeliveryPhase;
use crate::user_action::Refusal;
use crate::{translated, translations};

translated! { Missing;
    Incident: "Which incident? Its number, such as 1042.", "哪个告警？请填写编号，例如 1042。";
    What: "What? A service, the number of an incident, or a rule as rule:NAME.", "静默什么？请填写服务名、告警编号，或规则 rule:NAME。";
    Length: "For how long? Such as 30m, 2h or 1d; 7 days at most.", "静默多久？例如 30m、2h 或 1d，最长 7 天。";
    Service: "Which service? These options need one.", "哪个服务？这些选项需要服务名。";
}

translated! { Excuse;
    Slow: "The store takes too long at the moment. Try again in a minute.", "数据库响应过慢，请一分钟后重试。";
    Unreadable: "The store cannot be read at the moment; the log says why. Try again in a minute.", "暂时无法读取数据库，原因见日志。请一分钟后重试。";
    MayNotWrite: "Here you may look, but not acknowledge or mute.", "这里只能查看，不能认领或静默。";
    NotDone: "Nothing was changed: the store cannot be written at the moment. Try again.", "未作任何更改：暂时无法写入数据库，请重试。";
    Silent: "podbell did not answer in time. It may or may not be done: check before you repeat it.", "podbell 未及时回应，可能已执行，也可能没有，请先查看再重试。";
    NotRunning: "Nothing was changed: podbell is not running.", "未作任何更改：podbell 没有运行。";
}

translated! { Refusal;
    Unknown: "There is nothing like that here.", "未找到该对象。";
    NotYours: "It reaches beyond the services of this channel, so it cannot be muted from here.", "它涉及本频道以外的服务，不能在这里静默。";
    Over: "It is over already.", "该告警已经结束。";
    Length: "A mute lasts from 1 second to 7 days.", "静默时长为 1 秒至 7 天。";
    NotMuted: "Nothing like that is muted.", "没有这样的静默。";
    TooMany: "There are too many mutes. End some first.", "静默过多，请先解除一些。";
}

translated! { NoticeKind;
    Opened: "opened", "新告警";
    Escalated: "worse", "升级";
    Reminded: "still there", "仍未恢复";
    Resolved: "resolved", "恢复";
    Reopened: "back again", "再次出现";
    Closed: "closed", "关闭";
    Info: "info", "提示";
}

translations! {
    /// What answers say.
    pub(crate) struct AnswerTexts;

    /// The heading of the commands to type next.
    next: "Next", "接下来可输入";
    meant: "Did you mean", "您是否想输入";
    type_this: "Type", "用法";
    page(page, pages): "Page {page} of {pages}", "第 {page} 页，共 {pages} 页";
    and_more: "And more; ask for a service to see all of it.", "还有更多；查询具体服务可查看全部。";

    // What was not understood.
    not_understood: "Not understood", "无法理解该命令";
    too_long(most): "That is too long: at most {most} characters.", "内容过长：最多 {most} 个字符。";
    too_many_words(most): "That is too long: at most {most} words.", "内容过长：最多 {most} 个词。";
    unknown_command: "There is no command {}.", "没有命令 {}。";
    unknown_option(command): "{command} has no option {}.", "{command} 没有选项 {}。";
    no_value(option): "--{option} needs a value.", "--{option} 后需要填写内容。";
    twice(option): "The {option} is given twice.", "{option} 重复填写。";
    extra(command): "{command} does not take {}. A name with blanks goes in quotes.", "{command} 不接受 {}。含空格的名称请加引号。";
    /// `incidents` with a name.
    extra_name(command): "{command} takes no name; {} may be a service or a namespace:", "{command} 不接受名称；{} 可能是服务或命名空间：";
    no_number(option): "--{option} needs a number such as 2, not {}.", "--{option} 需要数字，例如 2，而不是 {}。";
    no_time: "{} is not a duration: write 30m, 2h or 1d.", "{} 不是时长：请写 30m、2h 或 1d。";
    wrong_length: "{} is not allowed: a mute lasts from 1 second to 7 days.", "{} 不可用：静默时长为 1 秒至 7 天。";
    no_label: "{} is not a label with its value: write team=payments.", "{} 不是标签：请写 team=payments。";
    no_incident: "{} is not an incident: write its number, such as 1042.", "{} 不是告警编号：请填写编号，例如 1042。";
    no_name: "{} is not a name: write web, shop/web, or web -n shop.", "{} 不是名称：请写 web、shop/web 或 web -n shop。";

    // What was not found, not allowed or not possible.
    which: "Which one?", "指的是哪一个？";
    several(n): "{} may be any of {n}:", "{} 可能指以下 {n} 个之一：";
    not_found: "Not found", "未找到";
    no_answer: "No answer", "暂时无法回答";
    not_allowed: "Not allowed here", "没有权限";
    not_done: "Not done", "未执行";

    // help
    help_title: "What you can ask", "可以这样问";
    help: "Here and in a terminal the commands are the same.", "这里的命令与终端中的相同。";

    // events
    nothing_of_it: "No incident is open, and there are no such events.", "没有未恢复的告警，也没有符合条件的事件。";
    none_open_of_it(rows): "No incident is open, {rows} {rows|kind of event|kinds of events}.", "没有未恢复的告警，{rows} 类事件。";
    open_of_it(open, rows): "{open} open, {rows} {rows|kind of event|kinds of events}.", "{open} 个告警未恢复，{rows} 类事件。";
    only_normal(n): "{n} {n|kind is|kinds are} Normal and not shown.", "另有 {n} 类 Normal 事件未显示。";
    unreadable_since(at): "Cannot be read since {at}: there may be more.", "自 {at} 起无法读取，可能还有更多事件。";
    read(ago): "Last change read {ago}.", "最近一次变化：{ago}";
    /// Said about a Warning of the baseline.
    was_there: "was there before, not reported", "此前已有，未通知";
    open_title(n): "{n} open {n|incident|incidents}", "{n} 个未恢复的告警";
    none_open_in(services): "Nothing is open in {services}.", "{services}中没有未恢复的告警。";
    open_in(n, services): "{n} open {n|incident|incidents} in {services}, newest first.", "{services}中有 {n} 个未恢复的告警，最新的在前。";
    baseline: "Already there when podbell started, not reported:", "podbell 开始监控前已有、未通知的：";

    // incidents
    known(n): "{n} {n|incident|incidents}", "{n} 个告警";
    none_open: "There is none.", "没有告警。";

    // mutes and acknowledgements
    /// `{}` is who muted it.
    muted_until(until): "muted by {} until {until}", "{} 已静默至 {until}";
    has_it: "acknowledged by {}", "{} 已认领";
    muted_title(n): "{n} {n|mute|mutes}", "{n} 个静默";
    nothing_muted: "Nothing is muted.", "当前没有静默。";
    holds_none: "No open incident is held by it now.", "目前没有未恢复的告警受其影响。";
    holds(n): "It holds {n} open {n|incident|incidents} now; what is still open at its end is reported then.", "目前静默了 {n} 个未恢复的告警；结束时仍未恢复的将会通知。";
    /// `{}` is who ended it.
    unmuted: "{} ended this; what is open is reported again:", "{} 已解除以下静默，未恢复的告警将重新通知：";
    acknowledged: "Acknowledged by {}. No reminders until it comes back.", "{} 已认领，再次出现之前不再提醒。";
    had_it(since): "Before that it was acknowledged by {}, since {since}.", "此前由 {} 认领，自 {since} 起。";
    did_mute(lasts): "muted for {lasts}", "静默 {lasts}";
    did_unmute: "unmuted", "解除静默";
    did_acknowledge: "acknowledged", "认领";

    // show and why
    sent: "sent", "已发送";
    folded: "sent with a newer message", "已并入更新的消息";
    dead: "given up", "已放弃";
    waits_to_leave: "waiting", "等待发送";
    rule_decided: "Rule {} reports it.", "由规则 {} 通知。";
    told_nobody: "Nobody was notified of it yet.", "尚未通知任何人。";
    /// `{}` are the destinations.
    unless_acknowledged(at): "Unless somebody acknowledges it, {} will be notified at {at}.", "如无人认领，将于 {at} 通知 {}。";
    told_so_often(n): "{n} {n|message|messages} of it arrived.", "已送达 {n} 条消息。";
    seen_elsewhere: "another service had shown the same", "其他服务已显示过";
    gathers(have, need): "{have} of the {need} that open it", "累计 {have} 次，满 {need} 次触发告警";
    rollout_of(at): "{at} rollout of {}", "{at} 发布 {}";
    rollout_of_images(at): "{at} rollout of {}: {}", "{at} 发布 {}：{}";
    too_young(at): "its object is new: counts if it goes on after {at}", "对象刚启动，{at} 之后仍出现才计入";
    waits: "not there for long enough yet", "持续时间还不够";
    was_over: "was over when it was written", "写入时已经结束";
    was_gone: "its object was deleted before it was written", "写入时对象已被删除";
    opened: "opened it", "触发告警";
    reopened: "brought it back", "使其再次出现";
    counted: "counted, it was open", "计入未恢复的告警";
    /// Between the changes that are shown.
    changes_left_out(n): "{n} {n|change|changes} between", "中间还有 {n} 次变化";
    /// `{}` is the window.
    held_by_window(until): "held until {until} by {}", "因 {} 暂不通知，至 {until}";
    held_by_mute(until): "muted until {until}", "已静默，至 {until}";
    held_by_incident(id): "held as long as #{id} is open, which explains it", "由 #{id} 引起，该告警恢复前不单独通知";

    // untold
    untold_title(n): "{n} {n|kind|kinds} of unmatched Warnings", "{n} 类未通知的 Warning 事件";
    nothing_untold(since): "No unmatched Warnings are on record for the last {since}.", "最近 {since}内记录的 Warning 事件均已通知。";
    untold(since): "Unmatched Warnings of the last {since}, newest first:", "最近 {since}内未通知的 Warning 事件，最新的在前：";
    untold_but_unusable(since): "No unmatched Warnings among those of the last {since} that podbell could read.", "最近 {since}内能够读取的 Warning 事件均已通知。";
    unusable(services): "Lists of {services} have entries that podbell cannot read: nobody is notified of them.", "{services}的列表中有 podbell 无法解析的条目，不会通知任何人。";
    ignored_by: "ignored by rule {}", "被规则 {} 忽略";
    no_rule: "no rule matches it", "没有匹配的规则";

    // status
    status_title: "podbell", "podbell";
    alive: "Running.", "运行中。";
    not_alive(age): "Not running: last sign of life {age} ago. What you see is as old as that.", "没有运行：最近一次活动在 {age}前，以下内容截至当时。";
    never_alive: "Has never run on this store.", "从未使用此数据库运行过。";
    watches(services, open, mutes): "{services}, {open} open {open|incident|incidents}, {mutes} {mutes|mute|mutes}.", "{services}，{open} 个未恢复的告警，{mutes} 个静默。";
    unreadable(services, since): "{services} cannot be read, the first since {since}.", "{services}无法读取，最早自 {since} 起。";
    deliveries(waiting, dead): "{waiting} {waiting|message|messages} waiting, {dead} given up.", "{waiting} 条消息等待发送，已放弃 {dead} 条。";
    takes_nothing: "{} takes no messages at the moment.", "{} 目前不接收消息。";
}

impl AnswerTexts {
    /// Of a service: how many incidents are open, and how many kinds of events it shows.
    pub(crate) fn events_of(self, open: u64, rows: u64) -> String {
        match (open, rows) {
            (0, 0) => self.nothing_of_it().to_owned(),
            (0, rows) => self.none_open_of_it(rows),
            (open, rows) => self.open_of_it(open, rows),
        }
    }

    /// The state of a delivery.
    pub(crate) fn delivery(self, state: DeliveryPhase) -> &'static str {
        match state {
            DeliveryPhase::Sent => self.sent(),
            DeliveryPhase::Folded => self.folded(),
            DeliveryPhase::Dead => self.dead(),
            DeliveryPhase::Due | DeliveryPhase::Claimed => self.waits_to_leave(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{COMMANDS, Kind};
    use crate::glossary;

    #[test]
    fn all_phrases_use_the_words_of_the_glossary() {
        let tables = [AnswerTexts::ROWS, Missing::ROWS, Kind::ROWS, Excuse::ROWS, Refusal::ROWS, NoticeKind::ROWS];
        let rows = tables.into_iter().flatten().map(|(_, en, zh)| (*en, *zh));
        let rows = rows.chain(COMMANDS.iter().map(|spec| (spec.about.en, spec.about.zh)));
        let found: Vec<String> = rows.flat_map(|(en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
