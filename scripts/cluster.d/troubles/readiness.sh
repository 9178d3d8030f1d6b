# Pods that run and do not answer.
make() { in_each shop search rm /www/ready; }
mend() { in_each shop search touch /www/ready; }
