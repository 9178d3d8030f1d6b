# A program that needs more memory than its limit.
make() { deployment data reporter 1 'sleep 3; tail /dev/zero' 'resources: {limits: {memory: 32Mi}, requests: {cpu: 1m}}'; }
mend() { deployment data reporter 1 "$sleeps"; }
