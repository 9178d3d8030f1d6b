"""Asks a gateway through the vendor's Python client, unchanged but for the host. Prints JSON."""

import json
import sys

from QcloudApi.modules.ccs import Ccs

host, secret_id, secret_key = sys.argv[1:4]
Ccs.requestHost = host
answers = []
for method in ("GET", "POST"):
    for signature in ("HmacSHA1", "HmacSHA256"):
        client = Ccs({"Region": "gz", "secretId": secret_id, "secretKey": secret_key, "method": method,
                      "SignatureMethod": signature})
        asked = [
            ("DescribeCluster", {}),
            ("DescribeClusterNameSpaces", {"clusterId": "c"}),
            ("DescribeClusterService", {"clusterId": "c", "allnamespace": 1}),
            ("DescribeServiceEvent", {"clusterId": "c", "namespace": "shop", "serviceName": "web"}),
        ]
        answers.append([json.loads(client.call(action, params)) for action, params in asked])
print(json.dumps(answers))
