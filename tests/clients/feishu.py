"""Answers what is written to an app of Feishu through lark-oapi, over its long connection and with the same text."""

import json
import sys

import lark_oapi as lark
from lark_oapi.api.im.v1 import ReplyMessageRequest, ReplyMessageRequestBody
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse

base, app, secret = sys.argv[1:4]
client = lark.Client.builder().app_id(app).app_secret(secret).domain(base).build()


def echo(event):
    message = event.event.message
    body = ReplyMessageRequestBody.builder().msg_type("text").content(message.content).uuid(message.message_id).build()
    request = ReplyMessageRequest.builder().message_id(message.message_id).request_body(body).build()
    response = client.im.v1.message.reply(request)
    if not response.success():
        raise RuntimeError(f"{response.code} {response.msg}")


def press(event):
    return P2CardActionTriggerResponse({"toast": {"type": "info", "content": json.dumps(event.event.action.value)}})


handler = lark.EventDispatcherHandler.builder("", "").register_p2_im_message_receive_v1(echo)
handler = handler.register_p2_card_action_trigger(press).build()
lark.ws.Client(app, secret, event_handler=handler, domain=base).start()
