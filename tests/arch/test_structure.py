"""The house rules that a machine can check: sizes, imports, tasks, migrations."""

import ast
import inspect
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).resolve().parents[2]
APPS = ("core", "audit", "policy", "finops", "gateway")
FOLDERS = (*APPS, "config", "deploy", "benchmarks", "tests")
LONGEST_MODULE, LONGEST_FUNCTION = 400, 50


def modules(*folders: str) -> Iterator[Path]:
    """Our own modules; migrations are written by Django."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def place(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def test_modules_are_short() -> None:
    lengths = {
        place(path): len(path.read_text().splitlines()) for path in modules(*FOLDERS)
    }

    assert {p: n for p, n in lengths.items() if n > LONGEST_MODULE} == {}


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of what it does: signature and docstring do not count."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short() -> None:
    lengths = {
        f"{place(path, node.lineno)} {node.name}": length(node)
        for path in modules(*FOLDERS)
        for node in functions(path)
    }

    assert {p: n for p, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def test_modules_say_what_they_are_for() -> None:
    silent = [
        place(path)
        for path in modules(*APPS, "config", "deploy", "benchmarks")
        if path.read_text().strip()
        and ast.get_docstring(ast.parse(path.read_text())) is None
    ]

    assert silent == []


def test_no_import_is_inside_a_function() -> None:
    found = []
    # The harness runs in the sandbox, where each import costs start-up time.
    for path in modules(*APPS, "config", "deploy"):
        if "harness" in path.parts:
            continue
        for function in functions(path):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    found.append(f"{place(path, node.lineno)} {ast.unparse(node)}")

    assert found == []


def test_pure_modules_do_not_import_django() -> None:
    found = [
        place(path, node.lineno)
        for path in modules("gateway/codemode", "gateway/connectors")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            name.split(".")[0] == "django"
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
        )
    ]

    assert found == []


def test_tasks_take_keyword_arguments_only() -> None:
    current_app.loader.import_default_modules()
    current_app.autodiscover_tasks(force=True)
    own = {
        name: task
        for name, task in current_app.tasks.items()
        if name.partition(".")[0] in APPS
    }

    wrong = [
        f"{name}({parameter})"
        for name, task in own.items()
        for parameter in inspect.signature(task.run).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]

    assert "gateway.execute_run" in own
    assert wrong == []


def test_tasks_of_the_schedule_exist() -> None:
    current_app.loader.import_default_modules()
    current_app.autodiscover_tasks(force=True)
    scheduled = {entry["task"] for entry in current_app.conf.beat_schedule.values()}

    assert scheduled <= set(current_app.tasks)


@pytest.mark.django_db
def test_migrations_are_complete() -> None:
    said = StringIO()

    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=said)
    except SystemExit:
        pytest.fail(said.getvalue())


def test_every_migration_can_be_undone() -> None:
    loader = MigrationLoader(None)
    fixed = [
        f"{app}.{name}: {operation.describe()}"
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in APPS
        for operation in migration.operations
        if not operation.reversible
    ]

    assert {app for app, _ in loader.disk_migrations} >= set(APPS)
    assert fixed == []
