"""`helm install`, `helm upgrade` and `helm uninstall` with Helm's own engine, which scripts/render-chart installs."""

import argparse
import sys

import helm_python as helm

arguments = argparse.ArgumentParser(prog="scripts/cluster helm")
arguments.add_argument("action", choices=["install", "upgrade", "uninstall"])
arguments.add_argument("name")
arguments.add_argument("chart", nargs="?")
arguments.add_argument("-n", "--namespace", default="default")
arguments.add_argument("-f", "--values", action="append", default=[])
arguments.add_argument("--set", action="append", default=[])
arguments.add_argument("--set-file", action="append", default=[])
arguments.add_argument("--reuse-values", action="store_true")
given = arguments.parse_args()


def merge(under, over):
    """As Helm merges values: maps key by key, everything else is replaced."""
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(under.get(key), dict)
        under[key] = merge(under[key], value) if both else value
    return under


def with_texts(values):
    """Of --set-file, the engine reads the expression; the text is put in here."""
    for key, value in values.items():
        if isinstance(value, dict):
            with_texts(value)
        else:
            with open(value, encoding="utf-8") as text:
                values[key] = text.read()
    return values


values = {}
for file in given.values:
    with open(file, encoding="utf-8") as text:
        merge(values, helm.values_from_yaml(text.read()))
for expression in given.set:
    merge(values, helm.parse_set_string(expression))
for expression in given.set_file:
    merge(values, with_texts(helm.parse_set_string_values(expression)))
try:
    with helm.Config(namespace=given.namespace) as config:
        if given.action == "uninstall":
            config.uninstall(given.name)
        elif given.action == "install":
            config.install(given.chart, given.name, values, namespace=given.namespace)
        else:
            config.upgrade(given.chart, given.name, values, namespace=given.namespace, reuse_values=given.reuse_values)
except helm.HelmError as error:
    sys.exit(f"helm {given.action} {given.name}: {error}")
