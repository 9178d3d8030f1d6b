"""Answers what is said to a robot of DingTalk through the vendor's Python client, with the same text. What begins with
"card" is answered by a card with a button, which a press changes."""

import os
import sys

base, key, secret = sys.argv[1:4]
os.environ["DINGTALK_OPENAPI_ENDPOINT"] = base

import dingtalk_stream


cards = []


class Echo(dingtalk_stream.ChatbotHandler):
    async def process(self, callback):
        message = dingtalk_stream.ChatbotMessage.from_dict(callback.data)
        text = message.text.content.strip()
        if text.startswith("card"):
            card = dingtalk_stream.MarkdownButtonCardInstance(self.dingtalk_client, message)
            card.set_title_and_logo("a title", "")
            cards.append(card)
            card.reply(text, [{"text": "Show", "color": "gray", "id": "show", "request": True, "params": {"command": "show 1"}}])
        else:
            self.reply_text(text, message)
        return dingtalk_stream.AckMessage.STATUS_OK, "OK"


class Pressed(dingtalk_stream.CallbackHandler):
    async def process(self, callback):
        press = dingtalk_stream.CardCallbackMessage.from_dict(callback.data)
        card = next(card for card in cards if card.card_instance_id == press.card_instance_id)
        card.update("pressed: " + press.content["cardPrivateData"]["params"]["command"], [])
        return dingtalk_stream.AckMessage.STATUS_OK, {}


client = dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(key, secret))
client.register_callback_handler(dingtalk_stream.ChatbotMessage.TOPIC, Echo())
client.register_callback_handler(dingtalk_stream.CallbackHandler.TOPIC_CARD_CALLBACK, Pressed())
if not client.get_access_token():
    sys.exit("no access token")
client.start_forever()
