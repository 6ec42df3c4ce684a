"""The access matrix: who may call which server, tool or tag; edited in place."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.errors import Invalid, TollgateError
from core.tables import chips, filters_of, paged
from gateway.models import Server
from gateway.selectors import matrix
from gateway.selectors.grants import subject_named
from gateway.selectors.matrix import Asked, Column, Line
from gateway.selectors.reach import place_named
from gateway.selectors.servers import server_named
from gateway.services import access
from gateway.services.access import CALL_SERVER
from gateway.views.reach import environment_tabs
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.holders import Holder, parse
from policy.web import Request, actor_of, refuse, requires

_ROWS, _COLUMNS, _EXPORTED = 60, 12, 100
_MOST_CHOSEN = 200
_LABELS = {"team": "Team or role", "server": "Server", "tool": "Tool"}
_EXPORT_COLUMNS = ("holder", "name", "subject", "environment", "granted", "through")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(POLICY_READ)
def access_matrix(request: Request) -> HttpResponseBase:
    """Teams and roles against servers, tools and tags; POST changes grants."""
    asked = _asked(request)
    if request.method == "POST":
        if not request.access.may(POLICY_ADMIN):
            raise refuse(request, needed=POLICY_ADMIN)
        return _change(request, asked)
    if form := request.GET.get("export"):
        return export(
            name="access",
            form=form,
            columns=_EXPORT_COLUMNS,
            rows=_exported(request, asked),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    return _page(request, asked, 200)


def _asked(request: Request) -> Asked:
    words = {
        name: request.GET.get(name, "").replace("\x00", "")[:100].strip()
        for name in ("environment", "team", "server", "tool")
    }
    if words["environment"]:
        place_named(words["environment"])
    if words["server"]:
        server_named(words["server"])
    return Asked(**words)


def _page(request: Request, asked: Asked, status: int, **extra: Any) -> HttpResponse:
    rows = Paginator(matrix.visible_rows(request.access, asked), _ROWS).get_page(
        request.GET.get("rows")
    )
    columns, page = _columns(request, asked)
    may = request.access.may(POLICY_ADMIN)
    context = {
        "asked": asked,
        "columns": columns,
        "page": page,
        "row_page": rows,
        "lines": list(matrix.lines(list(rows), columns, asked.environment)),
        "servers": Server.objects.order_by("name").values_list("name", flat=True),
        "tabs": environment_tabs(request, asked.environment, every=True),
        "chips": chips(request, _LABELS),
        "may_change": may,
        "reason": request.POST.get("reason", ""),
        **extra,
    }
    part = "#matrix" if request.htmx else ""
    return render(request, f"policy/access.html{part}", context, status=status)


def _columns(request: Request, asked: Asked) -> tuple[list[Column], Any]:
    if not asked.tools:
        page = paged(matrix.overview_columns(), request, size=_COLUMNS)
        return list(page), page
    page = paged(matrix.tools_asked(asked), request, size=_COLUMNS)
    columns = [matrix.tool_column(tool) for tool in page]
    if asked.server:
        server = server_named(asked.server)
        own = (CALL_SERVER, str(server.pk))
        columns.insert(0, Column(f"server:{server.name}", own))
    return columns, page


def _change(request: Request, asked: Asked) -> HttpResponse:
    try:
        done = _grant(request, asked)
    except TollgateError as error:
        if error.status >= 500:
            raise
        return _page(request, asked, error.status, problem=error.message)
    if request.htmx:
        return _page(request, asked, 200, done=done)
    messages.success(request, done)
    return redirect(request.get_full_path())


def _grant(request: Request, asked: Asked) -> str:
    """Do what was posted, and say so. Raises Invalid, NotFound."""
    act, rows, columns = _wanted(request)
    if max(len(rows), len(columns)) > _MOST_CHOSEN:
        raise Invalid(f"At most {_MOST_CHOSEN} rows and columns change at once.")
    holders = [_holder(row, asked.environment) for row in rows]
    changed = (access.give if act == "give" else access.take)(
        subjects=[subject_named(column) for column in columns],
        holders=holders,
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        at=now(),
    )
    if not changed:
        return "Nothing changed: it was so already."
    word = "given" if act == "give" else "taken back"
    one = f"{holders[0].label}: {columns[0]}" if changed == 1 else f"{changed} grants"
    return f"{one} {word}."


def _wanted(request: Request) -> tuple[str, list[str], list[str]]:
    act, _, pair = request.POST.get("cell", "").partition("|")
    if pair:
        row, _, column = pair.partition("|")
        rows, columns = [row], [column]
    else:
        act = request.POST.get("act", "")
        rows, columns = request.POST.getlist("row"), request.POST.getlist("column")
    if act not in ("give", "take"):
        raise Invalid("Choose whether to give or to take back.")
    return act, rows, columns


def _holder(row: str, environment: str) -> Holder:
    holder = parse(row)
    if holder is None or holder.environment:
        raise Invalid(f"{row[:60]!r} is no team or role: tick rows of the table.")
    return Holder(holder.kind, holder.name, environment)


def _exported(request: Request, asked: Asked) -> Iterator[list[Any]]:
    """Every cell that the filters leave, a batch of columns at a time."""
    rows = matrix.visible_rows(request.access, asked)
    left = MOST_ROWS
    for columns in _batches(asked):
        for line in matrix.lines(rows, columns, asked.environment):
            for cells in _cells(line, asked):
                if not left:
                    return
                left -= 1
                yield cells


def _batches(asked: Asked) -> Iterator[list[Column]]:
    if not asked.tools:
        yield matrix.overview_columns()
        return
    pages = Paginator(matrix.tools_asked(asked), _EXPORTED)
    for page in pages:
        yield [matrix.tool_column(tool) for tool in page]


def _cells(line: Line, asked: Asked) -> Iterator[list[Any]]:
    for cell in line.cells:
        yield [
            line.row.group,
            line.row.name,
            cell.column.text,
            asked.environment or "every environment",
            cell.own,
            "; ".join((*cell.through, *cell.elsewhere)),
        ]
