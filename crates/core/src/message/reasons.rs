//! What a known reason usually means, in one sentence. Which events a family has, and what to type first, is in
//! `message/help.rs`.

use crate::translated;

translated! {
    /// A family of reasons that are helped with the same sentence.
    enum Help;
    ImageName: "the image's name cannot be read or the image cannot be looked at: check its spelling and its tag.", "镜像名称无法解析或镜像无法检查：请核对名称与标签的拼写。";
    ImagePull: "the image or its tag does not exist, the registry wants a login (imagePullSecrets), or the node cannot reach it.", "镜像或标签不存在、镜像仓库需要登录（imagePullSecrets），或节点无法访问仓库。";
    ImageAbsent: "the registry has no such image or tag: check the name, and whether the build pushed it.", "镜像仓库中没有该镜像或标签：请检查名称，并确认构建已推送。";
    ImageDenied: "the registry refuses the node: check imagePullSecrets, their credentials, and the rights on the repository.", "镜像仓库拒绝访问：请检查 imagePullSecrets、凭据和仓库权限。";
    ImageLimit: "the registry limits how often images are pulled: log in (imagePullSecrets), use a mirror, or wait.", "镜像仓库限制了拉取频率：请登录（imagePullSecrets）、使用镜像加速，或稍后再试。";
    ImageUnreachable: "the node cannot reach the registry: check DNS, proxy, firewall and certificates of the node.", "节点无法连接镜像仓库：请检查节点的 DNS、代理、防火墙和证书。";
    CrashLoop: "the container starts and ends again: its log from before the restart says why (configuration, a dependency, memory).", "容器启动后又退出：重启前的日志会说明原因（配置、依赖服务、内存）。";
    ContainerStart: "the container cannot be started: a ConfigMap, Secret or key that is missing, or a command that is not in the image.", "容器无法启动：缺少 ConfigMap、Secret 或其中的键，或镜像中没有该启动命令。";
    ConfigMissing: "a ConfigMap or Secret that the pod wants, or a key in it, does not exist in its namespace: create it or mend the name.", "Pod 引用的 ConfigMap、Secret 或其中的键在命名空间中不存在：请创建，或更正名称。";
    NoExecutable: "the command is not in the image or cannot run there: compare command and args with the image and its processor type.", "镜像中没有该命令，或无法在其中运行：请对照镜像检查 command、args 和处理器架构。";
    NoRoom: "no node has enough unreserved CPU, memory or places for pods: lower the requests or add nodes.", "没有节点有足够的可分配 CPU、内存或 Pod 名额：请降低 requests 或增加节点。";
    NoFit: "no node fits: compare the pod's nodeSelector, affinity and tolerations with the labels and taints of the nodes.", "没有符合条件的节点：请对照 Pod 的 nodeSelector、亲和性、容忍度与节点的标签、污点。";
    VolumeElsewhere: "its volume can be used on certain nodes only (a zone, a host), and none of those takes the pod: check the volume and these nodes.", "其存储卷只能在部分节点上使用（可用区或主机），而这些节点都无法接收该 Pod：请检查存储卷和这些节点。";
    NodesUnwell: "nodes are not ready or short of disk or memory, so nothing new may run there: check the nodes first.", "节点未就绪，或磁盘、内存不足，暂时不能调度新的 Pod：请先检查节点。";
    UnboundVolume: "a PersistentVolumeClaim of the pod has no volume yet: check the claim and its StorageClass.", "Pod 的 PersistentVolumeClaim 尚未绑定存储卷：请检查该 PVC 及其 StorageClass。";
    Readiness: "the container runs but does not answer its readiness probe, so it gets no traffic: it is still starting, overloaded, or waits for something.", "容器在运行但未通过就绪探测，因此不接收流量：仍在启动、负载过高，或在等待依赖。";
    Liveness: "the container does not answer its liveness probe and is restarted: it hangs, is overloaded, or the probe is too impatient.", "容器未通过存活探测，将被重启：进程卡住、负载过高，或探测设置过于严格。";
    Startup: "the container needs longer to start than its startup probe allows, or fails while starting.", "容器启动时间超过启动探测的允许范围，或在启动过程中失败。";
    Mount: "a volume cannot be mounted: a Secret, ConfigMap or claim that is missing, or storage that does not answer.", "存储卷无法挂载：缺少 Secret、ConfigMap 或 PVC，或存储没有响应。";
    Attach: "the disk is still attached to another node, or the cloud refuses to attach it.", "磁盘仍挂载在其他节点上，或云平台拒绝挂载。";
    Quota: "the namespace's quota is used up: raise it, or lower what the workload asks for.", "命名空间的配额已用完：请提高配额，或降低工作负载的申请量。";
    Create: "the controller may not create pods: quota, admission webhook, security policy or service account.", "控制器无法创建 Pod：配额、准入 webhook、安全策略或服务账号的限制。";
    Evicted: "the node ran short of memory, disk or PIDs and threw the pod out: set requests and limits, check the node.", "节点的内存、磁盘或 PID 不足，Pod 被驱逐：请设置 requests 与 limits，并检查节点。";
    EvictedOwn: "the pod wrote more to local disk than its own limit allows (ephemeral-storage, sizeLimit): find what it writes, or raise the limit.", "Pod 的本地磁盘用量超过了自身限制（ephemeral-storage、sizeLimit）：请查明写入的内容，或提高限制。";
    OutOfMemory: "a process used more memory than its limit or the node allows: raise the limit, or look for a leak.", "进程使用的内存超过其限制或节点容量：请提高限制，或排查内存泄漏。";
    OverMemoryLimit: "the container used more memory than its own limit: raise the limit, or look for a leak.", "容器使用的内存超过了自身的限制：请提高限制，或排查内存泄漏。";
    Unavailable: "no pod of it answers, so it is down for whoever uses it: look at what its newest pods report, and what changed last.", "没有任何 Pod 可用，服务已中断：请查看最新 Pod 的事件，以及最近的变更。";
    RolloutStalled: "new pods do not become ready within progressDeadlineSeconds, the old ones go on: look at the newest pods, or roll back.", "新 Pod 未在 progressDeadlineSeconds 内就绪，旧 Pod 仍在运行：请检查最新的 Pod，或回滚。";
    NodeNotReady: "the node's kubelet does not report any more: the machine is down, overloaded, or cut off.", "节点的 kubelet 不再上报状态：机器宕机、负载过高或网络中断。";
    NodePressure: "the node runs short of memory, disk or PIDs and will soon evict pods.", "节点的内存、磁盘或 PID 不足，即将驱逐 Pod。";
    Rebooted: "the node was restarted, and with it everything that ran there.", "节点已重启，其上运行的一切也随之重启。";
    Sandbox: "the pod's network or sandbox cannot be set up: check the CNI plugin, free addresses and the container runtime of the node.", "Pod 的网络或沙箱无法建立：请检查节点的 CNI 插件、可用 IP 与容器运行时。";
    SandboxImage: "the node cannot pull the sandbox (pause) image that every pod needs: check the container runtime's setting and the registry.", "节点无法拉取所有 Pod 都需要的 sandbox（pause）镜像：请检查容器运行时的设置和镜像仓库。";
    Sync: "the kubelet cannot bring the pod to the state it should have; the text says at which step.", "kubelet 无法让 Pod 达到应有状态；事件内容会说明卡在哪一步。";
    KillPod: "the container runtime does not end the pod: it hangs, or the node is overloaded.", "容器运行时未能结束该 Pod：进程卡住，或节点负载过高。";
    JobFailed: "the job's pods failed as often as backoffLimit allows: the log of the last one says why.", "Job 的 Pod 失败次数已达 backoffLimit：请查看最后一个 Pod 的日志。";
    Deadline: "it took longer than activeDeadlineSeconds or progressDeadlineSeconds allows.", "运行时间超过 activeDeadlineSeconds 或 progressDeadlineSeconds。";
    MissedSchedules: "the cron job missed many starts: check its schedule, startingDeadlineSeconds, and whether the controller was down.", "CronJob 错过了多次启动：请检查其 schedule、startingDeadlineSeconds，以及控制器是否停止过。";
    Metrics: "the autoscaler gets no metrics: metrics-server does not answer, or the containers have no resource requests.", "自动伸缩取不到指标：metrics-server 无响应，或容器未设置资源 requests。";
    Provisioning: "no volume can be made for the claim: check its StorageClass, the provisioner, and the cloud's quota.", "无法为 PVC 创建存储卷：请检查 StorageClass、供应程序与云平台配额。";
    ImageGc: "the node's disk is full and removing unused images freed too little.", "节点磁盘已满，清理未使用的镜像后空间仍不足。";
    Dns: "the pod would get more DNS servers or search domains than allowed, so some are left out.", "Pod 的 DNS 服务器或搜索域超过允许数量，部分被忽略。";
    HostPort: "the host port is taken on every node that fits: two pods want the same one.", "符合条件的节点上该主机端口都已被占用：有多个 Pod 需要同一端口。";
    Network: "the network plugin (CNI) of the node is not running yet, or is broken.", "节点的网络插件（CNI）尚未运行或已损坏。";
    Hook: "the command or request of a lifecycle hook (preStop, postStart) failed.", "生命周期钩子（preStop、postStart）的命令或请求执行失败。";
    Preempted: "a pod of higher priority took its place.", "优先级更高的 Pod 抢占了它的位置。";
    LoadBalancer: "the cloud did not set up the load balancer: quota, permissions, or an annotation it does not understand.", "云平台未能配置负载均衡：配额、权限，或无法识别的注解。";
    ClusterIp: "the control plane could not update the service's addresses; when it repeats, check the controller manager.", "控制面未能更新服务的地址；若反复出现，请检查 controller manager。";
}
