"""Triggers, acknowledges and resolves an alert through pdpyras. Prints its key each time."""

import json
import sys

import pdpyras

base, routing_key = sys.argv[1:3]
session = pdpyras.EventsAPISession(routing_key)
session.url = base
key = session.trigger("api crashes", "prod/shop/api", dedup_key="incident-7", severity="critical")
print(json.dumps([key, session.acknowledge(key), session.resolve(key)]))
