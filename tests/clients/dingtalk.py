"""Answers what is said to a robot of DingTalk through the vendor's Python client, with the same text."""

import os
import sys

base, key, secret = sys.argv[1:4]
os.environ["DINGTALK_OPENAPI_ENDPOINT"] = base

import dingtalk_stream


class Echo(dingtalk_stream.ChatbotHandler):
    async def process(self, callback):
        message = dingtalk_stream.ChatbotMessage.from_dict(callback.data)
        self.reply_text(message.text.content.strip(), message)
        return dingtalk_stream.AckMessage.STATUS_OK, "OK"


client = dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(key, secret))
client.register_callback_handler(dingtalk_stream.ChatbotMessage.TOPIC, Echo())
if not client.get_access_token():
    sys.exit("no access token")
client.start_forever()
