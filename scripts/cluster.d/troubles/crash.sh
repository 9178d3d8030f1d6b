# A program that ends again and again.
make() { deployment pay api 2 'echo "cannot reach database db:5432" >&2; sleep 2; exit 1'; }
mend() { deployment pay api 2 "$sleeps"; }
