"""Renders docs/demo.svg from the running program: python3 docs/picture.py (needs: pip install rich)."""

import io
import os
import pathlib
import pty
import re
import subprocess
import sys

from rich.console import Console
from rich.text import Text

ROOT = pathlib.Path(__file__).resolve().parent.parent


def recorded() -> str:
    """What `podbell demo` prints on a terminal."""
    subprocess.run(["cargo", "build", "--quiet"], cwd=ROOT, check=True)
    out = io.BytesIO()

    def read(fd: int) -> bytes:
        data = os.read(fd, 65536)
        out.write(data)
        return data

    with open(os.devnull, "wb") as null:
        sys.stdout.flush()
        saved = os.dup(1)
        os.dup2(null.fileno(), 1)
        try:
            pty.spawn([str(ROOT / "target/debug/podbell"), "demo"], read)
        finally:
            os.dup2(saved, 1)
    return out.getvalue().decode().replace("\r\n", "\n")


def shifted(text: re.Match) -> str:
    """The same text without its leading blanks, moved to the right by their width."""
    width = 12.2 * (len(text[6]) // len("&#160;"))
    x, length = float(text[2]) + width, max(float(text[4]) - width, 0)
    return f'{text[1]} x="{x:.1f}"{text[3]} textLength="{length:.1f}"{text[5]}'


def main() -> None:
    text = recorded()
    # Ports differ from run to run.
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", text)
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="podbell demo")
    # No fonts from elsewhere: the reader's own monospace font does.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    # Some renderers drop blanks at the beginning of a text: begin where the words begin.
    svg = re.sub(r'(<text [^>]*?) x="([\d.]+)"([^>]*?) textLength="([\d.]+)"([^>]*>)((?:&#160;)+)(?=[^<])', shifted, svg)
    (ROOT / "docs/demo.svg").write_text(svg)


main()
