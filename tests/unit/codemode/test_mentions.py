"""Which lines of a script certainly call a tool."""

import pytest

from gateway.codemode.mentions import lines_calling


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("from tools import crm\ncrm.refund(order=1)\n", (2,)),
        ("from tools import crm as c\nx = [c.refund(order=i) for i in y]", (2,)),
        ("from tools.crm import refund\nrefund()\nreturn refund()", (2, 3)),
        ("import tools\nawait tools.crm.refund(order=1)", (2,)),
        ('call_tool("crm.refund", {"order": 1})', (1,)),
        ('call_tool(name, {"order": 1})', ()),
        ("from tools import crm\ncrm.find(order=1)", ()),
        ("from tools import crm\ncrm = other\ncrm.refund()", ()),
        ("crm.refund(", ()),
        ("", ()),
        ("x = '\x00'", ()),
        ("(" * 5_000, ()),
        ("a" + ".b" * 40_000, ()),
    ],
)
def test_lines_that_call_a_tool(code: str, lines: tuple[int, ...]) -> None:
    assert lines_calling(code, "crm.refund") == lines
