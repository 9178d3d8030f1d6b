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
    use super::*;
    use crate::glossary;

    #[test]
    fn all_phrases_use_the_words_of_the_glossary() {
        let beats = crate::demo::beats(std::time::Duration::from_secs(60));
        let beats = beats.iter().map(|beat| (beat.what.en, beat.what.zh));
        let rows = DemoTexts::ROWS.iter().map(|(_, en, zh)| (*en, *zh)).chain(beats);
        let found: Vec<String> = rows.flat_map(|(en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
