// Asks a gateway through the vendor's JavaScript client, unchanged but for the host. Prints JSON.
const Client = require('qcloudapi-sdk')

const [host, SecretId, SecretKey] = process.argv.slice(2)
const asked = [
  { Action: 'DescribeCluster' },
  { Action: 'DescribeClusterNameSpaces', clusterId: 'c' },
  { Action: 'DescribeClusterService', clusterId: 'c', allnamespace: 1 },
  { Action: 'DescribeServiceEvent', clusterId: 'c', namespace: 'shop', serviceName: 'web' },
]
// The client draws its nonces from 65,536: these keep two of a run from being the same by chance.
let nonce = 1
const ask = (client, data) =>
  new Promise((resolve, reject) =>
    client.request({ ...data, Nonce: nonce++ }, (error, body) => (error ? reject(error) : resolve(body))),
  )
const main = async () => {
  const answers = []
  for (const method of ['GET', 'POST']) {
    for (const signatureMethod of ['sha1', 'sha256']) {
      const client = new Client({ protocol: 'http', host, method, signatureMethod, SecretId, SecretKey, Region: 'gz' })
      client._getHost = () => host
      const one = []
      for (const data of asked) one.push(await ask(client, data))
      answers.push(one)
    }
  }
  console.log(JSON.stringify(answers))
}
main().catch(error => { console.error(error); process.exit(1) })
