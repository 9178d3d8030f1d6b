//! Messages as the project draws them, from the bodies that were sent: enough of Slack's blocks and of
//! WeCom's markdown for a picture. Not what the platforms' own programs look like.

use serde_json::Value;

const STYLE: &str = "body { margin: 0; padding: 28px; background: #eef0f2; color: #1d2126; font: 14.5px/1.5 system-ui, 'Noto Sans CJK SC', sans-serif; display: grid; grid-template-columns: 1fr 1fr; gap: 28px; align-items: start; }
h2 { font-size: 13px; color: #5a6068; margin: 0 0 8px; font-weight: 600; }
.card { background: #fff; border: 1px solid #d8dbdf; border-radius: 8px; padding: 14px 18px; margin-bottom: 16px; overflow-wrap: anywhere; }
.from { font-weight: 700; margin-bottom: 6px; } .from span { font-weight: 400; color: #5a6068; font-size: 12.5px; margin-left: 8px; }
.header { font-weight: 700; margin: 2px 0 6px; } .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 6px 18px; margin: 6px 0; }
.context { color: #5a6068; font-size: 12.5px; margin-top: 6px; } p { margin: 5px 0; }
code { background: #f2f3f5; border: 1px solid #e0e2e6; border-radius: 3px; padding: 0 3px; font: 12.5px ui-monospace, monospace; color: #9c2b2b; }
pre { background: #f6f7f8; border: 1px solid #e0e2e6; border-radius: 4px; padding: 8px 10px; margin: 5px 0; white-space: pre-wrap; font: 12.5px/1.5 ui-monospace, monospace; }
a { color: #1264a3; } blockquote { margin: 2px 0; padding-left: 10px; border-left: 3px solid #d8dbdf; }
.warning { color: #c25500; } .info { color: #207a3c; } .comment { color: #71777f; }";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How an incident begins in Slack, and how it gets worse in WeCom.
pub fn messages(slack: &[Value], wecom: &[Value]) -> String {
    let about = |body: &&Value| body.to_string().contains("web-service");
    let some = |all: &[Value], sign: &str| {
        let mut all = all.iter().filter(about).filter(|body| body.to_string().contains(sign));
        all.next_back().cloned().into_iter().collect::<Vec<Value>>()
    };
    let slack: String =
        some(slack, "Critical #").iter().map(|body| card("podbell", "Slack", &slack_blocks(body))).collect();
    let wecom: String =
        some(wecom, "升级").iter().map(|body| card("podbell", "WeCom 企业微信", &wecom_markdown(body))).collect();
    format!("<!doctype html><meta charset=utf-8><style>{STYLE}</style><div>{slack}</div><div>{wecom}</div>")
}

fn card(from: &str, place: &str, inside: &str) -> String {
    format!("<div class=card><div class=from>{from}<span>{place}</span></div>{inside}</div>")
}

fn slack_blocks(body: &Value) -> String {
    let text = |value: &Value| mrkdwn(value["text"].as_str().unwrap_or_default());
    let mut html = String::new();
    for block in body["blocks"].as_array().into_iter().flatten() {
        match block["type"].as_str().unwrap_or_default() {
            "header" => html += &format!("<p class=header>{}</p>", text(&block["text"])),
            "section" if block["fields"].is_array() => {
                let fields =
                    block["fields"].as_array().into_iter().flatten().map(|field| format!("<div>{}</div>", text(field)));
                html += &format!("<div class=fields>{}</div>", fields.collect::<String>());
            }
            "section" => html += &format!("<p>{}</p>", text(&block["text"])),
            "context" => {
                let parts = block["elements"].as_array().into_iter().flatten().map(text);
                html += &format!("<p class=context>{}</p>", parts.collect::<String>());
            }
            _ => {}
        }
    }
    html
}

/// Slack's markup is escaped already.
fn mrkdwn(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 1 {
            html += &format!("<pre>{}</pre>", part.trim_matches('\n'));
            continue;
        }
        for (at, part) in part.split('`').enumerate() {
            if at % 2 == 1 {
                html += &format!("<code>{part}</code>");
                continue;
            }
            for (at, part) in part.split('*').enumerate() {
                let linked = links(part).replace('\n', "<br>");
                html += &if at % 2 == 1 { format!("<b>{linked}</b>") } else { linked };
            }
        }
    }
    html
}

fn links(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else { return text.to_owned() };
    let Some((url, after)) = rest.split_once('>') else { return text.to_owned() };
    format!("{before}<a>{url}</a>{}", links(after))
}

fn wecom_markdown(body: &Value) -> String {
    let text = body["markdown"]["content"].as_str().unwrap_or_default();
    let mut html = String::new();
    for line in text.lines() {
        let (quoted, line) = match line.strip_prefix("> ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let mut line = escaped(line).replace("&lt;font color=\"", "<span class=\"").replace("&lt;/font&gt;", "</span>");
        line = line.replace("\"&gt;", "\">").replace("**", "");
        if let (Some(open), Some(middle), Some(close)) = (line.find('['), line.find("]("), line.rfind(')')) {
            line = format!("{}<a>{}</a>{}", &line[..open], &line[open + 1..middle], &line[close + 1..]);
        }
        if line.contains('`') {
            line = line.replacen('`', "<code>", 1).replacen('`', "</code>", 1);
        }
        html += &if quoted { format!("<blockquote>{line}</blockquote>") } else { format!("<p>{line}</p>") };
    }
    html
}
