"""Sets one document: JSON on standard input, a PDF on standard output.

Run as a program of its own, so that its memory and its time are bounded and given back.
"""

import json
import sys
from pathlib import Path

import typst

TEMPLATE = Path(__file__).with_name("document.typ")


def main() -> None:
    sent = json.load(sys.stdin.buffer)
    compiler = typst.Compiler(input=TEMPLATE, root=TEMPLATE.parent)
    inputs = {"document": json.dumps(sent["document"])}
    try:
        made = compiler.compile(
            sys_inputs=inputs, timestamp=sent["at"], pdf_standards="ua-1"
        )
    except typst.TypstError as error:
        if "could not be displayed" not in error.message:
            raise
        # No font here has some character: shown as a box, the rest stays readable.
        made = compiler.compile(sys_inputs=inputs, timestamp=sent["at"])
    sys.stdout.buffer.write(made)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
