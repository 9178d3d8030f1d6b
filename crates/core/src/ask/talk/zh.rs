//! Chinese (simplified).

use super::Talk;
use crate::ask::Excuse;
use crate::ask::mistake::Missing;
use crate::ask::place::Kind;
use crate::deed::Refusal;
use crate::message::number;
use crate::notice::NoticeKind;

pub(super) struct Chinese;

impl Talk for Chinese {
    fn next(&self) -> &'static str {
        "接下来可输入"
    }

    fn meant(&self) -> &'static str {
        "您是否想输入"
    }

    fn type_this(&self) -> &'static str {
        "用法"
    }

    fn page(&self, page: u32, pages: u32) -> String {
        format!("第 {page} 页，共 {pages} 页")
    }

    fn and_more(&self) -> &'static str {
        "还有更多；查询具体服务可查看全部。"
    }

    fn not_understood(&self) -> &'static str {
        "无法理解该命令"
    }

    fn too_long(&self, most: usize) -> String {
        format!("内容过长：最多 {most} 个字符。")
    }

    fn too_many_words(&self, most: usize) -> String {
        format!("内容过长：最多 {most} 个词。")
    }

    fn unknown_command(&self) -> &'static str {
        "没有命令 {}。"
    }

    fn unknown_option(&self, command: &str) -> String {
        format!("{command} 没有选项 {{}}。")
    }

    fn no_value(&self, option: &str) -> String {
        format!("--{option} 后需要填写内容。")
    }

    fn twice(&self, option: &str) -> String {
        format!("{option} 重复填写。")
    }

    fn missing(&self, what: Missing) -> &'static str {
        match what {
            Missing::Incident => "哪个告警？请填写编号，例如 1042。",
            Missing::What => "静默什么？请填写服务名、告警编号，或规则 rule:NAME。",
            Missing::Length => "静默多久？例如 30m、2h 或 1d，最长 7 天。",
            Missing::Service => "哪个服务？这些选项需要服务名。",
        }
    }

    fn extra(&self, command: &str) -> String {
        format!("{command} 不接受 {{}}。含空格的名称请加引号。")
    }

    fn extra_name(&self) -> &'static str {
        "incidents 不接受名称；{} 可能是服务或命名空间："
    }

    fn no_number(&self, option: &str) -> String {
        format!("--{option} 需要数字，例如 2，而不是 {{}}。")
    }

    fn no_time(&self) -> &'static str {
        "{} 不是时长：请写 30m、2h 或 1d。"
    }

    fn wrong_length(&self) -> &'static str {
        "{} 不可用：静默时长为 1 秒至 7 天。"
    }

    fn no_incident(&self) -> &'static str {
        "{} 不是告警编号：请填写例如 1042。"
    }

    fn no_name(&self) -> &'static str {
        "{} 不是名称：请写 web、shop/web 或 web -n shop。"
    }

    fn which(&self) -> &'static str {
        "指的是哪一个？"
    }

    fn several(&self, n: u64) -> String {
        format!("{{}} 可能指以下 {} 个之一：", number(n))
    }

    fn not_found(&self) -> &'static str {
        "未找到"
    }

    fn unknown(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Service => "未找到名为 {} 的服务。",
            Kind::Incident => "未找到告警 {}。",
            Kind::Rule => "未找到名为 {} 的规则。",
            Kind::Thing => "未找到名为 {} 的服务、告警或规则。",
            Kind::Mute => "未找到针对 {} 的静默。",
        }
    }

    fn no_answer(&self) -> &'static str {
        "暂时无法回答"
    }

    fn not_allowed(&self) -> &'static str {
        "没有权限"
    }

    fn not_done(&self) -> &'static str {
        "未执行"
    }

    fn excuse(&self, because: Excuse) -> &'static str {
        match because {
            Excuse::Slow => "数据库响应过慢，请一分钟后重试。",
            Excuse::Unreadable => "暂时无法读取数据库，原因见日志。请一分钟后重试。",
            Excuse::MayNotWrite => "这里只能查看，不能认领或静默。",
            Excuse::NotDone => "未作任何更改：暂时无法写入数据库，请重试。",
            Excuse::Silent => "podbell 未及时回应，可能已执行，也可能没有，请查看。",
            Excuse::NotRunning => "未作任何更改：podbell 没有运行。",
        }
    }

    fn help_title(&self) -> &'static str {
        "可以这样问"
    }

    fn help(&self) -> &'static str {
        "这里与终端中的命令相同。"
    }

    fn about(&self, command: &str) -> &'static str {
        match command {
            "events" => "服务的事件，Warning 在前；不带服务名：当前所有未恢复的告警。",
            "incidents" => "未恢复的告警，最新的在前；--all：包括已恢复的。",
            "show" => "一个告警的详情：什么、在哪、何时开始、谁做过什么。",
            "ack" => "认领告警：再次出现之前不再提醒。",
            "mute" => "暂时静默服务、告警或规则的消息。",
            "unmute" => "提前结束静默。",
            "mutes" => "当前静默：内容、操作人、截止时间。",
            "why" => "告警为什么通知，或为什么没有通知。",
            "untold" => "没有规则通知的 Warning 事件。",
            "status" => "podbell 是否在运行并能读取全部服务。",
            _ => "可以问什么；help COMMAND 查看详情。",
        }
    }

    fn events_of(&self, open: u64, rows: u64) -> String {
        match (open, rows) {
            (0, 0) => "没有未恢复的告警，也没有符合条件的事件。".to_owned(),
            (0, rows) => format!("没有未恢复的告警，{} 类事件。", number(rows)),
            (open, rows) => format!("{} 个告警未恢复，{} 类事件。", number(open), number(rows)),
        }
    }

    fn only_normal(&self, n: u64) -> String {
        format!("另有 {} 类 Normal 事件未显示。", number(n))
    }

    fn unreadable_since(&self, at: &str) -> String {
        format!("自 {at} 起无法读取，可能还有更多事件。")
    }

    fn read(&self, ago: &str) -> String {
        format!("最近一次变化：{ago}")
    }

    fn was_there(&self) -> &'static str {
        "此前已有，未通知"
    }

    fn open_title(&self, n: u64) -> String {
        format!("{} 个未恢复的告警", number(n))
    }

    fn open_now(&self, n: u64, services: &str) -> String {
        match n {
            0 => format!("{services}中没有未恢复的告警。"),
            n => format!("{services}中有 {}，最新的在前。", self.open_title(n)),
        }
    }

    fn baseline(&self) -> &'static str {
        "podbell 开始监控前已有、未通知的："
    }

    fn known(&self, n: u64) -> String {
        format!("{} 个告警", number(n))
    }

    fn none_open(&self) -> &'static str {
        "没有。"
    }

    fn muted_until(&self, until: &str) -> String {
        format!("{{}} 已静默至 {until}")
    }

    fn has_it(&self) -> &'static str {
        "{} 已认领"
    }

    fn muted_title(&self, n: u64) -> String {
        format!("{} 个静默", number(n))
    }

    fn nothing_muted(&self) -> &'static str {
        "当前没有静默。"
    }

    fn holds(&self, n: u64) -> String {
        match n {
            0 => "目前没有被其静默的告警。".to_owned(),
            n => format!("目前静默 {}；结束时仍未恢复的将会通知。", self.open_title(n)),
        }
    }

    fn unmuted(&self) -> &'static str {
        "{} 已结束以下静默，未恢复的告警将重新通知："
    }

    fn acknowledged(&self) -> &'static str {
        "{} 已认领，再次出现之前不再提醒。"
    }

    fn had_it(&self, since: &str) -> String {
        format!("此前由 {{}} 认领，自 {since} 起。")
    }

    fn refused(&self, because: Refusal) -> &'static str {
        match because {
            Refusal::Unknown => "未找到该对象。",
            Refusal::NotYours => "它涉及本频道以外的服务，不能在这里静默。",
            Refusal::Over => "它已经结束。",
            Refusal::Length => "静默时长为 1 秒至 7 天。",
            Refusal::NotMuted => "没有这样的静默。",
            Refusal::TooMany => "静默过多，请先结束一些。",
        }
    }

    fn did_mute(&self, lasts: &str) -> String {
        format!("静默 {lasts}")
    }

    fn did_unmute(&self) -> &'static str {
        "解除静默"
    }

    fn did_acknowledge(&self) -> &'static str {
        "认领"
    }

    fn kind(&self, kind: NoticeKind) -> &'static str {
        match kind {
            NoticeKind::Opened => "告警",
            NoticeKind::Escalated => "升级",
            NoticeKind::Reminded => "仍未恢复",
            NoticeKind::Resolved => "恢复",
            NoticeKind::Reopened => "再次出现",
            NoticeKind::Closed => "关闭",
            NoticeKind::Info => "信息",
        }
    }

    fn delivery(&self, state: &str) -> &'static str {
        match state {
            "sent" => "已发送",
            "folded" => "已并入更新的消息",
            "dead" => "已放弃",
            _ => "等待发送",
        }
    }

    fn rule_decided(&self) -> &'static str {
        "由规则 {} 通知。"
    }

    fn told_so_often(&self, n: u64) -> String {
        match n {
            0 => "尚未通知任何人。".to_owned(),
            n => format!("已送达 {} 条消息。", number(n)),
        }
    }

    fn seen_elsewhere(&self) -> &'static str {
        "其他服务已显示过"
    }

    fn gathers(&self, have: u64, need: u64) -> String {
        format!("累计 {} 次，满 {} 次触发告警", number(have), number(need))
    }

    fn waits(&self) -> &'static str {
        "持续时间还不够"
    }

    fn was_over(&self) -> &'static str {
        "写入时已经结束"
    }

    fn opened(&self) -> &'static str {
        "触发告警"
    }

    fn reopened(&self) -> &'static str {
        "使其再次出现"
    }

    fn counted(&self) -> &'static str {
        "计入未恢复的告警"
    }

    fn changes_left_out(&self, n: u64) -> String {
        format!("中间还有 {} 次变化", number(n))
    }

    fn held_by_window(&self, until: &str) -> String {
        format!("因 {{}} 暂不通知，至 {until}")
    }

    fn held_by_mute(&self, until: &str) -> String {
        format!("已静默，至 {until}")
    }

    fn held_by_incident(&self, id: u64) -> String {
        format!("由 #{id} 引起，该告警恢复前不单独通知")
    }

    fn untold_title(&self, n: u64) -> String {
        format!("{} 类未通知的 Warning 事件", number(n))
    }

    fn untold(&self, n: u64, since: &str) -> String {
        match n {
            0 => format!("最近 {since}内记录的 Warning 事件均已通知。"),
            _ => format!("最近 {since}内没有规则通知的 Warning 事件，最新的在前："),
        }
    }

    fn untold_but_unusable(&self, since: &str) -> String {
        format!("最近 {since}内能够读取的 Warning 事件均已通知。")
    }

    fn unusable(&self, services: &str) -> String {
        format!("{services}的列表中有 podbell 无法解析的条目，其内容不会通知任何人。")
    }

    fn ignored_by(&self) -> &'static str {
        "被规则 {} 忽略"
    }

    fn no_rule(&self) -> &'static str {
        "没有相关规则"
    }

    fn status_title(&self) -> &'static str {
        "podbell"
    }

    fn alive(&self) -> &'static str {
        "运行中。"
    }

    fn not_alive(&self, age: &str) -> String {
        format!("没有运行：最近一次活动在 {age}前，以下内容截至当时。")
    }

    fn never_alive(&self) -> &'static str {
        "从未使用此数据库运行过。"
    }

    fn watches(&self, services: &str, open: u64, mutes: u64) -> String {
        format!("{services}，{}，{}。", self.open_title(open), self.muted_title(mutes))
    }

    fn unreadable(&self, services: &str, since: &str) -> String {
        format!("{services}无法读取，最早自 {since} 起。")
    }

    fn deliveries(&self, waiting: u64, dead: u64) -> String {
        format!("{} 条消息等待发送，已放弃 {} 条。", number(waiting), number(dead))
    }

    fn takes_nothing(&self) -> &'static str {
        "{} 目前不接收消息。"
    }
}
