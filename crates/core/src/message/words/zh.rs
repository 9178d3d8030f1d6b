//! Chinese (simplified).

use super::super::digest::Cause;
use super::super::help::Help;
use super::super::text::number;
use super::{About, Label, Words};
use crate::notice::{NoticeKind, StoreFate};
use crate::rules::rule::Severity;

pub(super) struct Chinese;

impl Words for Chinese {
    fn status(&self, kind: NoticeKind, severity: Severity) -> String {
        let severity = match severity {
            Severity::Critical => "严重告警",
            Severity::Warning => "告警",
            Severity::Info => "提示",
        };
        match kind {
            NoticeKind::Opened | NoticeKind::Info => severity.to_owned(),
            NoticeKind::Escalated => format!("{severity}升级"),
            NoticeKind::Reminded => format!("{severity}仍未恢复"),
            NoticeKind::Reopened => format!("{severity}再次出现"),
            NoticeKind::Resolved => "已恢复".to_owned(),
            NoticeKind::Closed => "已关闭".to_owned(),
        }
    }

    fn label(&self, label: Label) -> &'static str {
        match label {
            Label::Where => "位置",
            Label::Since => "开始时间",
            Label::HowOften => "次数",
            Label::Objects => "对象",
            Label::Reasons => "原因",
            Label::New => "新增",
            Label::Blind => "注意",
            Label::Runbook => "处理手册",
            Label::Labels => "标签",
            Label::Code => "错误码",
            Label::Affected => "影响",
            Label::ToDo => "处理建议",
            Label::Usually => "常见原因",
            Label::Page => "状态页面",
        }
    }

    fn times(&self, n: u64) -> String {
        format!("{} 次", number(n))
    }

    fn new_in_all(&self, new: u64, all: u64) -> String {
        format!("新增 {} 次，累计 {} 次", number(new), number(all))
    }

    fn added(&self, n: u64, at: &str) -> String {
        format!("{at} 以来 +{} 次", number(n))
    }

    fn objects(&self, n: u64, kind: &str) -> String {
        let n = number(n);
        match kind {
            "Pod" => format!("{n} 个 Pod"),
            "Node" => format!("{n} 个节点"),
            "Job" => format!("{n} 个 Job"),
            _ => format!("{n} 个对象"),
        }
    }

    fn more(&self, n: u64) -> String {
        format!("另有 {} 项", number(n))
    }

    fn services(&self, n: u64) -> String {
        format!("{} 个服务", number(n))
    }

    fn duration(&self, seconds: u64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => format!("{seconds} 秒"),
            (0, 0, m) => format!("{m} 分钟"),
            (0, h, 0) => format!("{h} 小时"),
            (0, h, m) => format!("{h} 小时 {m} 分钟"),
            (d, 0, _) => format!("{d} 天"),
            (d, h, _) => format!("{d} 天 {h} 小时"),
        }
    }

    fn ago(&self, age: Option<&str>) -> String {
        age.map_or_else(|| "刚刚".to_owned(), |age| format!("{age}前"))
    }

    fn via(&self, via: &str) -> String {
        match (via, via.strip_prefix("api ")) {
            ("page", _) => "状态页面".to_owned(),
            ("command line", _) => "命令行".to_owned(),
            (_, Some(token)) => format!("API 令牌 {token}"),
            (via, None) => via.to_owned(),
        }
    }

    fn comma(&self) -> &'static str {
        "，"
    }

    fn colon(&self) -> &'static str {
        "："
    }

    fn stop(&self) -> &'static str {
        "。"
    }

    fn last(&self, at: &str) -> String {
        format!("最近 {at}")
    }

    fn seen_by_cluster(&self, at: &str) -> String {
        format!("集群自 {at} 起已有记录")
    }

    fn quiet(&self, how_long: Option<&str>) -> String {
        how_long.map_or("已无新事件：".to_owned(), |how_long| format!("已 {how_long}无新事件："))
    }

    fn over_by(&self, at: &str) -> String {
        format!("自 {at} 起已恢复（{{}}，{{}}）：")
    }

    fn over_deleted(&self, at: &str) -> String {
        format!("自 {at} 起已结束（{{}} 已删除）：")
    }

    fn nothing_since(&self, how_long: &str) -> String {
        format!("此后 {how_long}无新事件；未检查 Pod 是否健康。")
    }

    fn quiet_is_not_healthy(&self) -> &'static str {
        "事件已停止，但未检查 Pod 是否健康。"
    }

    fn never_told(&self) -> &'static str {
        "这是关于它的第一条消息：在能够发送之前它已结束。"
    }

    fn closed(&self, because: &str) -> String {
        match because {
            "" => "已关闭：".to_owned(),
            // The core gives its reasons as fixed English words.
            "service deleted" => "服务已删除，告警关闭：".to_owned(),
            "rule removed" => "规则已移除，告警关闭：".to_owned(),
            because => format!("告警关闭（{because}）："),
        }
    }

    fn came_back(&self, n: u32) -> String {
        format!("已复发 {n} 次")
    }

    fn flapping(&self, severity: Severity, n: u32) -> String {
        format!("{}反复出现（第 {n} 次）", self.status(NoticeKind::Opened, severity))
    }

    fn flapping_note(&self) -> &'static str {
        "此后仅在情况恶化或彻底恢复时通知。"
    }

    fn late(&self, happened: &str, sent: &str) -> String {
        format!("延迟送达：发生于 {happened}，发送于 {sent}。")
    }

    fn blind(&self, from: &str, until: &str) -> String {
        format!("{from} 至 {until} 期间无法读取事件，可能有遗漏")
    }

    fn rule(&self) -> &'static str {
        "规则 {}"
    }

    fn trouble_title(&self, about: About, over: bool) -> &'static str {
        match (about, over) {
            (About::Source, false) => "podbell 无法读取 {}",
            (About::Source, true) => "podbell 已恢复读取 {}",
            (About::Destination, false) => "podbell 无法发送到 {}",
            (About::Destination, true) => "podbell 已恢复发送到 {}",
            (About::Rules, false) => "podbell 拒绝了 {} 的新内容",
            (About::Rules, true) => "podbell 已重新采用 {}",
        }
    }

    fn trouble(&self, since: &str) -> String {
        format!("自 {since} 起：{{}}")
    }

    fn trouble_over(&self, span: &str, how_long: &str) -> String {
        format!("已恢复，持续 {how_long}（{span}）。原因：{{}}")
    }

    fn affected(&self, about: About, n: u64) -> String {
        match about {
            About::Source => self.services(n),
            About::Destination => format!("{} 个通知目标", number(n)),
            About::Rules => format!("{} 个文件", number(n)),
        }
    }

    fn watching_title(&self, services: u64) -> String {
        match services {
            0 => "开始监控 {}，服务会随其第一个事件出现。".to_owned(),
            services => format!("开始监控 {{}} 的 {} 个服务。", number(services)),
        }
    }

    fn already_there(&self, problems: u64) -> String {
        format!("此前已有 {} 类 Warning 事件，未通知（/events 查看）。", number(problems))
    }

    fn clock_hint(&self, hours: u64) -> String {
        format!("事件时间似乎偏差 {} 小时：", number(hours))
    }

    fn clock_hint_zone(&self) -> &'static str {
        "time_zone 是否应为 {}？"
    }

    fn blind_title(&self) -> &'static str {
        "podbell 曾无法读取 {}"
    }

    fn blind_source(&self, from: &str, until: &str, services: u64) -> String {
        format!("{{}}：{}（{}）。", self.blind(from, until), self.services(services))
    }

    fn held_title(&self, over: u64) -> String {
        format!("暂缓通知的 {} 个告警已恢复", number(over))
    }

    fn held_outside(&self) -> &'static str {
        "通知时段 {} 之外，"
    }

    fn held_during(&self) -> &'static str {
        "维护 {} 期间，"
    }

    fn held_open(&self, n: u64) -> String {
        format!("另有 {} 个告警仍未恢复，将单独通知。", number(n))
    }

    fn hours(&self, hours: u64) -> String {
        format!("{hours} 小时")
    }

    fn daily(&self, span: &str, [events, messages, incidents, untold]: [u64; 4]) -> String {
        let untold = if untold == 0 { String::new() } else { format!("；未通知：{} 类", number(untold)) };
        let (events, messages, incidents) = (number(events), number(messages), number(incidents));
        format!("近 {span}：{events} 个事件，{messages} 条消息，{incidents} 个告警{untold}")
    }

    fn daily_untold(&self) -> &'static str {
        "哪些未通知及其原因：{}"
    }

    fn muted_title(&self) -> &'static str {
        "已静默：{}"
    }

    fn muted(&self) -> &'static str {
        "{} 设置了静默"
    }

    fn muted_until(&self, at: &str) -> String {
        format!("，至 {at}")
    }

    fn muted_holds(&self, n: u64) -> String {
        format!("目前有 {} 个告警未恢复，静默结束时会通知。", number(n))
    }

    fn muted_how_to_end(&self) -> &'static str {
        "来自 {}；期间恢复的告警，只在之前通知过的地方通知"
    }

    fn mute_over_status(&self, severity: Severity) -> String {
        format!("{}，静默结束", self.status(NoticeKind::Opened, severity))
    }

    fn mute_over(&self, more: u64) -> String {
        match more {
            0 => "静默结束：仍未恢复。".to_owned(),
            more => format!("静默结束：仍未恢复，又发生 {} 次。", number(more)),
        }
    }

    fn acknowledged(&self, at: &str) -> String {
        format!("{{}} 自 {at} 起认领")
    }

    fn store_title(&self, fate: &StoreFate) -> &'static str {
        match fate {
            StoreFate::WentBack { .. } => "podbell 的数据库回到了较早的状态",
            StoreFate::Replaced { .. } => "podbell 的数据库被换成了另一个",
            StoreFate::Lost { .. } => "podbell 的数据库已丢失",
            StoreFate::Damaged { .. } => "podbell 的数据库已损坏，已新建",
            StoreFate::Mended { .. } => "podbell 的数据库已损坏，可读取的部分继续使用",
            StoreFate::Rewritten => "podbell 的数据库被删除，已重新写入",
            StoreFate::Unsure => "podbell 的数据库可能回到了较早的状态",
        }
    }

    fn store_went_back(&self, commits: u64, from: Option<&str>, until: &str) -> String {
        let from = from.map_or_else(|| format!("{until} 之前"), |from| format!("{from} 之后、{until} 之前"));
        format!(
            "缺少{from}写入的最后 {} 次提交。如果刚恢复了备份，这属正常；否则是日志文件损坏或被删除。这段时间发生的事可能会再次通知，也可能不再通知；其间的静默和认领已丢失。",
            number(commits)
        )
    }

    fn store_replaced(&self, until: &str) -> String {
        format!(
            "现在的文件属于另一个 podbell，或是新建的；原数据库最后写入于 {until}。此后发生的事可能会再次通知，也可能不再通知。"
        )
    }

    fn store_lost(&self, until: Option<&str>) -> String {
        let until = until.map_or_else(String::new, |until| format!("（最后写入于 {until}）"));
        format!(
            "数据库文件不存在或为空{until}，podbell 已新建：未恢复的告警、静默和待发送的消息已丢失，当前已有的告警不会再次通知。如果这不是您的本意，请停止 podbell 并恢复备份。"
        )
    }

    fn store_damaged(&self, until: Option<&str>) -> String {
        let until = until.map_or_else(String::new, |until| format!("（最后写入于 {until}）"));
        format!(
            "数据库完全无法读取{until}，podbell 已新建：未恢复的告警、静默和待发送的消息已丢失，当前已有的告警不会再次通知。请检查磁盘；如有备份，请停止 podbell 并恢复备份。"
        )
    }

    fn store_mended(&self, rows: u64) -> String {
        format!(
            "读出了 {} 行，podbell 用它们继续运行；其余的内容（未恢复的告警、静默、待发送的消息）可能缺失。请检查磁盘；如有更好的备份，请停止 podbell 并恢复备份。",
            number(rows)
        )
    }

    fn store_rewritten(&self) -> &'static str {
        "podbell 运行期间，数据库文件或其日志被删除。podbell 已将全部内容重新写入，没有丢失。请检查是谁删除了该目录中的文件。"
    }

    fn store_unsure(&self) -> &'static str {
        "数据库旁记录进度的 .stamp 文件已损坏或不存在，无法判断是否丢失了较新的提交。如果刚移动过数据库，或恢复备份时没有带上该文件，这属正常；否则请检查磁盘。"
    }

    fn store_kept(&self) -> &'static str {
        "原文件保存在 {}，不再需要时可删除该目录。"
    }

    fn test_title(&self) -> &'static str {
        "podbell 测试消息"
    }

    fn test(&self) -> &'static str {
        "发往 {} 的通知会送达这里。这只是一条测试消息，并非集群告警。"
    }

    fn dead_title(&self, n: u64) -> String {
        format!("已放弃发送到 {{}} 的 {} 条消息", number(n))
    }

    fn dead(&self, n: u64) -> String {
        format!("{} 条消息未能送达 {{}}：{{}}。", number(n))
    }

    fn dead_list(&self) -> &'static str {
        "查看并重新发送：{}"
    }

    fn digest_title(&self, standing: u64, over: u64) -> String {
        match (standing, over) {
            (0, over) => format!("集中通知：{} 个告警已恢复", number(over)),
            (standing, 0) => format!("集中通知：{} 个告警", number(standing)),
            (standing, over) => format!("集中通知：{} 个告警，另有 {} 个已恢复", number(standing), number(over)),
        }
    }

    fn digest(&self, since: &str, notices: u64, about: Option<u64>) -> String {
        let about = about.map(|n| format!("（{} 个告警）", number(n))).unwrap_or_default();
        format!("自 {since} 起共 {} 条通知{about}，数量过多，合并发送。", number(notices))
    }

    fn digest_cause(&self, cause: Cause, n: u64, of: u64) -> String {
        let what = match cause {
            Cause::Node => "节点",
            Cause::Image => "镜像",
            Cause::Reason => "原因",
        };
        format!("可能的共同原因：{what} {{}}（{} 个中的 {} 个）", number(of), number(n))
    }

    fn digest_over(&self) -> &'static str {
        "已恢复"
    }

    fn template_failed(&self) -> &'static str {
        "模板渲染失败，以上为 podbell 内置内容（{}）。"
    }

    fn help(&self, help: Help) -> &'static str {
        match help {
            Help::ImageAbsent => "镜像仓库中没有该镜像或标签：请检查名称，并确认构建已推送。",
            Help::ImageDenied => "镜像仓库拒绝访问：请检查 imagePullSecrets、凭据和仓库权限。",
            Help::ImageLimit => "镜像仓库限制了拉取频率：请登录（imagePullSecrets）、使用镜像加速，或稍后再试。",
            Help::ImageUnreachable => "节点无法连接镜像仓库：请检查节点的 DNS、代理、防火墙和证书。",
            Help::ConfigMissing => "Pod 引用的 ConfigMap、Secret 或其中的键在命名空间中不存在：请创建，或更正名称。",
            Help::NoExecutable => "镜像中没有该命令，或无法在其中运行：请对照镜像检查 command、args 和处理器架构。",
            Help::VolumeElsewhere => {
                "其存储卷只能在部分节点上使用（可用区或主机），而这些节点都无法接收该 Pod：请检查存储卷和这些节点。"
            }
            Help::NodesUnwell => "节点未就绪，或磁盘、内存不足，暂时不能调度新的 Pod：请先检查节点。",
            Help::EvictedOwn => {
                "Pod 的本地磁盘用量超过了自身限制（ephemeral-storage、sizeLimit）：请查明写入的内容，或提高限制。"
            }
            Help::SandboxImage => {
                "节点无法拉取所有 Pod 都需要的 sandbox（pause）镜像：请检查容器运行时的设置和镜像仓库。"
            }
            Help::ImageName => "镜像名称无法解析或镜像无法检查：请核对名称与标签的拼写。",
            Help::ImagePull => "镜像或标签不存在、镜像仓库需要登录（imagePullSecrets），或节点无法访问仓库。",
            Help::CrashLoop => "容器启动后又退出：重启前的日志会说明原因（配置、依赖服务、内存）。",
            Help::ContainerStart => "容器无法启动：缺少 ConfigMap、Secret 或其中的键，或镜像中没有该启动命令。",
            Help::NoRoom => "没有节点有足够的可分配 CPU、内存或 Pod 名额：请降低 requests 或增加节点。",
            Help::NoFit => "没有符合条件的节点：请对照 Pod 的 nodeSelector、亲和性、容忍度与节点的标签、污点。",
            Help::UnboundVolume => "Pod 的 PersistentVolumeClaim 尚未绑定存储卷：请检查该 PVC 及其 StorageClass。",
            Help::Readiness => "容器在运行但未通过就绪探测，因此不接收流量：仍在启动、负载过高，或在等待依赖。",
            Help::Liveness => "容器未通过存活探测，将被重启：进程卡住、负载过高，或探测设置过于严格。",
            Help::Startup => "容器启动时间超过启动探测的允许范围，或在启动过程中失败。",
            Help::Mount => "存储卷无法挂载：缺少 Secret、ConfigMap 或 PVC，或存储没有响应。",
            Help::Attach => "磁盘仍挂载在其他节点上，或云平台拒绝挂载。",
            Help::Quota => "命名空间的配额已用完：请提高配额，或降低工作负载的申请量。",
            Help::Create => "控制器无法创建 Pod：配额、准入 webhook、安全策略或服务账号的限制。",
            Help::Evicted => "节点的内存、磁盘或 PID 不足，Pod 被驱逐：请设置 requests 与 limits，并检查节点。",
            Help::OutOfMemory => "进程使用的内存超过其限制或节点容量：请提高限制，或排查内存泄漏。",
            Help::NodeNotReady => "节点的 kubelet 不再上报状态：机器宕机、负载过高或网络中断。",
            Help::NodePressure => "节点的内存、磁盘或 PID 不足，即将驱逐 Pod。",
            Help::Rebooted => "节点已重启，其上运行的一切也随之重启。",
            Help::Sandbox => "Pod 的网络或沙箱无法建立：请检查节点的 CNI 插件、可用 IP 与容器运行时。",
            Help::Sync => "kubelet 无法让 Pod 达到应有状态；事件内容会说明卡在哪一步。",
            Help::KillPod => "容器运行时未能结束该 Pod：进程卡住，或节点负载过高。",
            Help::JobFailed => "Job 的 Pod 失败次数已达 backoffLimit：请查看最后一个 Pod 的日志。",
            Help::Deadline => "运行时间超过 activeDeadlineSeconds 或 progressDeadlineSeconds。",
            Help::MissedSchedules => {
                "CronJob 错过了多次启动：请检查其 schedule、startingDeadlineSeconds，以及控制器是否停止过。"
            }
            Help::Metrics => "自动伸缩取不到指标：metrics-server 无响应，或容器未设置资源 requests。",
            Help::Provisioning => "无法为 PVC 创建存储卷：请检查 StorageClass、供应程序与云平台配额。",
            Help::ImageGc => "节点磁盘已满，清理未使用的镜像后空间仍不足。",
            Help::Dns => "Pod 的 DNS 服务器或搜索域超过允许数量，部分被忽略。",
            Help::HostPort => "符合条件的节点上该主机端口都已被占用：有多个 Pod 需要同一端口。",
            Help::Network => "节点的网络插件（CNI）尚未运行或已损坏。",
            Help::Hook => "生命周期钩子（preStop、postStart）的命令或请求执行失败。",
            Help::Preempted => "优先级更高的 Pod 抢占了它的位置。",
            Help::LoadBalancer => "云平台未能配置负载均衡：配额、权限，或无法识别的注解。",
            Help::ClusterIp => "控制面未能更新服务的地址；若反复出现，请检查 controller manager。",
        }
    }
}
