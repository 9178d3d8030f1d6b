# An image tag that does not exist.
make() { image=$registry/shop/cart:v5 deployment shop cart 2 "$sleeps"; }
mend() { deployment shop cart 2 "$sleeps"; }
