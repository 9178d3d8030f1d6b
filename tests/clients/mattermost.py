"""Answers what is posted in Mattermost through mattermostdriver, in its thread and with the same text."""

import json
import sys
from urllib.parse import urlsplit

from mattermostdriver import Driver

base, token = sys.argv[1:3]
address = urlsplit(base)
driver = Driver({"scheme": "http", "url": address.hostname, "port": address.port, "token": token})
driver.login()
me = driver.client.userid


async def heard(text):
    event = json.loads(text)
    if event.get("event") != "posted":
        return
    post = json.loads(event["data"]["post"])
    if post["user_id"] != me:
        root = post.get("root_id") or post["id"]
        driver.posts.create_post({"channel_id": post["channel_id"], "root_id": root, "message": post["message"]})


driver.init_websocket(heard)
