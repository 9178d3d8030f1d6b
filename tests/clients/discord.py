"""Signs an interaction as Discord does, with PyNaCl. Prints the application's public key and the signature."""

import json
import sys

from nacl.signing import SigningKey

timestamp, body = sys.argv[1:3]
key = SigningKey.generate()
print(json.dumps([key.verify_key.encode().hex(), key.sign((timestamp + body).encode()).signature.hex()]))
