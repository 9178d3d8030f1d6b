//! The kinds `wecom-bot` and `wecom-app` of `chats:`.

use std::collections::BTreeSet;
use std::path::Path;

use url::Url;

use super::chats::channels;
use super::secret::SecretRef;
use super::{WecomAppChat, WecomBotChat};
use crate::chat::wecom::{Access, Crypto, ENDPOINT};
use podbell_core::yaml::{MapReader, Node, Reader};

/// An AI bot: podbell opens a connection to WeCom.
pub fn bot(mut map: MapReader<'_>, name: &str, folder: &Path, reader: &mut Reader) -> Option<WecomBotChat<SecretRef>> {
    let bot_id = map.need("bot_id", reader).and_then(|node| id(node, "the bot", reader));
    let secret = secret("secret", &mut map, name, folder, reader);
    let endpoint = map.take("endpoint").map_or_else(|| Url::parse(ENDPOINT).ok(), |node| socket(node, reader));
    let access = access(&mut map, reader);
    map.finish_with(reader, |key| match key {
        "corp_id" | "token" | "encoding_aes_key" | "agent_id" => Some("that belongs to a chat of `kind: wecom-app`"),
        "url" => Some("a chat is asked, a notifier tells: a group robot belongs to `notifiers`"),
        _ => None,
    });
    Some(WecomBotChat { bot_id: bot_id?, secret: secret?, endpoint: endpoint?, access })
}

/// An app: WeCom calls podbell.
pub fn app(mut map: MapReader<'_>, name: &str, folder: &Path, reader: &mut Reader) -> Option<WecomAppChat<SecretRef>> {
    let corp_id = map.need("corp_id", reader).and_then(|node| id(node, "the company", reader));
    let token = secret("token", &mut map, name, folder, reader);
    let key = secret("encoding_aes_key", &mut map, name, folder, reader);
    let agent_id = map.take("agent_id").map(|node| id(node, "the app, such as 1000002", reader));
    let access = access(&mut map, reader);
    let head = map.head();
    map.finish_with(reader, |key| match key {
        "bot_id" | "secret" | "endpoint" => Some("that belongs to a chat of `kind: wecom-bot`"),
        "url" => Some("a chat is asked, a notifier tells: a group robot belongs to `notifiers`"),
        _ => None,
    });
    if let Some(written) = key.as_ref().and_then(SecretRef::written_out)
        && Crypto::new(String::new().into(), &written, String::new()).is_err()
    {
        let help = "copy it from the app's page \"Receive messages\" in WeCom; it has 43 letters and digits";
        reader.error_help(&head, format!("the `encoding_aes_key` of `{name}` is none"), help);
    }
    let agent_id = match agent_id {
        Some(id) => Some(id?),
        None => None,
    };
    Some(WecomAppChat { corp_id: corp_id?, token: token?, encoding_aes_key: key?, agent_id, access })
}

fn secret(
    key: &'static str,
    map: &mut MapReader<'_>,
    name: &str,
    folder: &Path,
    reader: &mut Reader,
) -> Option<SecretRef> {
    let node = map.need(key, reader)?;
    SecretRef::read(node, format!("chats: {name}: {key}"), folder, reader)
}

/// A ws(s) address.
fn socket(node: &Node, reader: &mut Reader) -> Option<Url> {
    let text = reader.text(node, &format!("an address such as {ENDPOINT}"))?;
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.host().is_some() => Some(url),
        _ => {
            reader.error_help(&node.span, format!("`{text}` is no ws(s) address"), "begin it with wss://");
            None
        }
    }
}

fn access(map: &mut MapReader<'_>, reader: &mut Reader) -> Access {
    let users = map.take("users").map(|node| users(node, reader));
    let channels =
        map.take("channels").map(|node| channels(node, reader, |node, reader| id(node, "a channel", reader)));
    Access { users, channels }
}

/// WeCom's ids have letters, digits and a few signs; never blanks.
fn id(node: &Node, of: &str, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, &format!("the id of {of}"))?;
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_-.@".contains(&b);
    if !(1..=128).contains(&text.len()) || !text.bytes().all(fine) {
        let help =
            "copy it from WeCom; it has letters, digits and `_-.@` only. Names can be taken by others, ids cannot";
        reader.error_help(&node.span, format!("`{text}` is not the id of {of}"), help);
        return None;
    }
    Some(text.to_owned())
}

const ANY: &str = "list ids, or leave the key out to allow any";

/// An empty list would shut everybody out, which nobody means.
fn users(node: &Node, reader: &mut Reader) -> BTreeSet<String> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        reader.error_help(&node.span, "this list allows nobody", ANY);
    }
    items.iter().filter_map(|item| id(item, "a user", reader)).collect()
}
