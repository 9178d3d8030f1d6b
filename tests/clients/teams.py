"""Posts a card of its own to a workflow of Teams through a public client. Prints the status."""

import sys

from adaptive_cards.card import AdaptiveCard, TextBlock
from adaptive_cards.client import TeamsClient

card = AdaptiveCard(version="1.4", body=[TextBlock(text="web crashes")])
print(TeamsClient(sys.argv[1]).send(card).status_code)
