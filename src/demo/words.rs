//! What the demo says to its spectators.

use podbell_core::translations;

translations! {
    /// What the demo says.
    pub(crate) struct DemoTexts;

    cluster(endpoint): "podbell demo: an emulated cluster at {endpoint}", "podbell 演示：模拟集群位于 {endpoint}";
    metrics(url): "health and metrics at {url}; Ctrl-C ends it", "健康状态与指标见 {url}；按 Ctrl-C 结束";
    in_the_cluster(what): "in the cluster: {what}", "集群中：{what}";
    summary(polls, events, changes, warnings, messages): "Summary: {polls} {polls|poll|polls}, {events} {events|event|events} seen, {changes} {changes|change|changes} ({warnings} of them Warnings), {messages} {messages|message|messages}.", "小结：读取 {polls} 次，看到 {events} 个事件，其中变化 {changes} 次（Warning 事件 {warnings} 次），发送消息 {messages} 条。";
    next: "Next: podbell.example.yaml is a configuration to start from; `podbell check` explains mistakes.", "接下来：可从 podbell.example.yaml 开始编写配置；`podbell check` 会指出其中的错误。";
}

#[cfg(test)]
mod tests {
    use podbell_core::translations::glossary;

    use super::*;

    #[test]
    fn all_phrases_use_the_words_of_the_glossary() {
        let found: Vec<String> = DemoTexts::ROWS.iter().flat_map(|(_, en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
