"""What the scripts share that make the tables of a page: where they stand in it, and the command line."""

import argparse
import re
import sys

MARK = re.compile(r"<!-- (\w+) -->")
"""What a generated part of a page begins with, and, with the word "end", ends with."""


def markdown(rows):
    header, *rest = rows
    lines = [header, ["---"] * len(header), *rest]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def place(name):
    """A pattern of one generated part of a page."""
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def main(page, parts, missing=()):
    """Print the parts, a function that returns texts by name, and with --write put them into the page."""
    parser = argparse.ArgumentParser(description=f"Print the tables of {page.name}.")
    parser.add_argument("--write", action="store_true", help="also put them into the page")
    arguments = parser.parse_args()
    if arguments.write and missing:
        sys.exit(f"{page.name} shows every library, but these cannot be imported: {', '.join(sorted(missing))}")
    text = page.read_text(encoding="utf-8")
    for name, made in parts().items():
        print(f"{name}\n\n{made}\n")
        text, found = place(name).subn(lambda match, made=made: f"{match[1]}{made}\n{match[3]}", text)
        if found != 1:
            sys.exit(f"{page.name} has {found} places for {name}")
    if arguments.write:
        page.write_text(text, encoding="utf-8")
