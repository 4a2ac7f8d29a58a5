"""The static gate: what a checker's source may hold, told by rule, line and column. Runs in a sealed worker only.

It explains and keeps honest mistakes out; it is not a boundary.
"""

import ast
from typing import Any

from vlmcar_core import programs
from vlmcar_core.sandbox.inside import keeping, understanding

SOURCE_LIMIT_BYTES = 64 * 1024

IMPORTS = frozenset(
    {"numpy", "cv2", "skimage", "math", "cmath", "itertools", "functools", "collections", "dataclasses", "typing"}
    | {"statistics", "colorsys", "re", "operator", "enum", "numbers", "fractions", "heapq", "bisect", "string", "abc"}
    | {"copy", "__future__"}
)
NAMES = {
    "open": "a checker reads no files; it is given its two frames",
    "input": "a checker asks nobody anything",
    "eval": "write the expression out",
    "exec": "write the statements out",
    "compile": "write the statements out",
    "__import__": "use an import statement",
    "breakpoint": "print what you want to see; the output is shown",
    "globals": "keep no state between calls",
    "locals": "name the variables you need",
    "vars": "name the attributes you need",
    "getattr": "write object.name",
    "setattr": "keep no state between calls",
    "delattr": "keep no state between calls",
    "exit": "return a value",
    "quit": "return a value",
    "memoryview": "index the array",
    "id": "where an object lies in memory is not in the picture",
}
CHANCE = ("random", "rand", "randn", "randint", "randu")
FILES = (
    *("load", "save", "savez", "savez_compressed", "loadtxt", "savetxt", "genfromtxt", "fromfile", "tofile", "memmap"),
    *("open_memmap", "DataSource", "imread", "imreadmulti", "imwrite", "imwritemulti", "imsave", "imshow", "waitKey"),
    *("namedWindow", "VideoCapture", "VideoWriter", "FileStorage", "imread_collection"),
)
INSIDES = ("ctypeslib", "ctypes", "sys", "os", "subprocess", "f2py", "distutils", "testing", "io", "lookfor")
ATTRIBUTES = {
    **dict.fromkeys(CHANCE, "the same two frames must give the same answer"),
    **dict.fromkeys(FILES, "a checker reads and writes no files and opens no windows"),
    **dict.fromkeys(INSIDES, "only the array functions of the library are there"),
}

PROGRAMS_MAY = frozenset({"imread", "__init__", "global", "nonlocal"})
"""What is refused of a checker and not of a program in the released style: it is given its frames by `cv2.imread`, and
keeps what it likes for an episode."""

Finding = dict[str, Any]


def examine(source: str, program: bool = False) -> list[Finding]:
    """Every finding, errors and warnings, by line.

    Each is {"rule", "severity", "line" (from 1), "column" (from 0), "message", "hint"}.

    Args:
        source: of a checker, or of a program in the released style, which its last line tells.
        program: it is such a program, though its last line is not there yet.
    """
    if len(source.encode("utf-8", "replace")) > SOURCE_LIMIT_BYTES:
        return [_finding("size", 1, 0, f"the source is larger than {SOURCE_LIMIT_BYTES // 1024} KiB", "shorten it")]
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [_finding("syntax", error.lineno or 1, max(0, (error.offset or 1) - 1), f"not Python: {error.msg}", "")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [_finding("syntax", 1, 0, f"cannot be read as Python: {error}", "")]
    reading = programs.reading_of(source)
    if reading is not None or program:
        found = _program(tree, source, reading)
    else:
        found = [item for node in ast.walk(tree) for item in _node(node)]
        found += [_at(node, "state", message, hint) for node, message, hint in keeping.kept(tree)]
        found += _unreadable(source) or _contract(tree)
    return sorted(found, key=lambda item: (item["line"], item["column"]))


def refusals(source: str) -> list[Finding]:
    """The findings for which a checker is not run."""
    return [item for item in examine(source) if item["severity"] == "error"]


def _finding(rule: str, line: int, column: int, message: str, hint: str, severity: str = "error") -> Finding:
    return {"rule": rule, "severity": severity, "line": line, "column": column, "message": message, "hint": hint}


def _at(node: ast.AST, rule: str, message: str, hint: str, severity: str = "error") -> Finding:
    return _finding(rule, getattr(node, "lineno", 1), getattr(node, "col_offset", 0), message, hint, severity)


def _node(node: ast.AST, may: frozenset[str] = frozenset()) -> list[Finding]:
    if isinstance(node, ast.Import):
        return [item for alias in node.names for item in _import(node, alias.name, may)]
    if isinstance(node, ast.ImportFrom):
        wanted = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        relative = [_at(node, "import", "a relative import", "import a library by its name")] if node.level else []
        return relative + [item for name in wanted for item in _import(node, name, may)]
    if isinstance(node, ast.Name):
        return _name(node)
    if isinstance(node, ast.Attribute):
        return _attribute(node, node.attr, may)
    if isinstance(node, ast.Global | ast.Nonlocal):
        kind = type(node).__name__.lower()
        return (
            []
            if kind in may
            else [_at(node, "state", f"{kind} {', '.join(node.names)} keeps state", "return what you need instead")]
        )
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
        return [_at(node, "async", "asynchronous code", "a checker is a plain function")]
    return []


def _import(node: ast.AST, name: str, may: frozenset[str]) -> list[Finding]:
    root, *parts = name.split(".")
    if root not in IMPORTS:
        return [_at(node, "import", f"{root!r} may not be imported", "use numpy, cv2, skimage or math")]
    return [item for part in parts for item in _attribute(node, part, may)]


def _name(node: ast.Name) -> list[Finding]:
    if node.id in NAMES and isinstance(node.ctx, ast.Load):
        return [_at(node, "name", f"{node.id!r} may not be used", NAMES[node.id])]
    if node.id.startswith("__") and node.id not in ("__name__", "__import__"):
        return [_at(node, "name", f"{node.id!r} may not be used", "use no names with two underscores")]
    return []


def _attribute(node: ast.AST, name: str, may: frozenset[str]) -> list[Finding]:
    if name in may:
        return []
    if name.startswith("__"):
        return [_at(node, "attribute", f".{name} may not be used", "use no names with two underscores")]
    if name in ATTRIBUTES:
        return [_at(node, "attribute", f".{name} may not be used", ATTRIBUTES[name])]
    return []


def _program(tree: ast.Module, source: str, reading: programs.Reading | None) -> list[Finding]:
    """The findings about a program in the released style; what its authors ran it with is not looked at."""
    tree.body = [node for node in tree.body if not _is_main(node)]
    found = [item for node in ast.walk(tree) for item in _node(node, PROGRAMS_MAY)]
    for line, message, hint in understanding.problems(tree, source):
        found.append(_finding("program", line, 0, message, hint, "warning"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if not classes:
        return [
            *found,
            _finding("contract", 1, 0, "there is no class", "a program is a class with a method reward(path)"),
        ]
    if reading is None:
        return (
            found
            if any(map(understanding.is_program, classes.values()))
            else [*found, *map(_no_method, classes.values())]
        )
    if reading.class_name not in classes:
        message = f"there is no class {reading.class_name}"
        return [*found, _finding("contract", 1, 0, message, f"the last line names it; there are {', '.join(classes)}")]
    return found + _calls(classes[reading.class_name], reading.method)


def _is_main(node: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _no_method(made: ast.ClassDef) -> Finding:
    names = " nor ".join(understanding.METHODS)
    return _at(made, "contract", f"class {made.name} has neither {names}", "it needs a method that is given a path")


def _calls(made: ast.ClassDef, wanted: str) -> list[Finding]:
    """Whether the class can be called as it is going to be."""
    methods = understanding.methods(made)
    if wanted not in methods:
        return [_at(made, "contract", f"class {made.name} has no method {wanted}", "the last line names it")]
    found = []
    for name, count, call in (
        ("__init__", 0, f"{made.name}()"),
        ("reset", 0, "reset()"),
        (wanted, 1, f"{wanted}(path)"),
    ):
        if name in methods and not understanding.takes(methods[name], count):
            message = f"{name} cannot be called as {call}"
            found.append(_at(methods[name], "contract", message, "so programs are called; change its parameters"))
    return found


def _unreadable(source: str) -> list[Finding]:
    """A last line of a program that cannot be read."""
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith(programs.PREFIX):
            hint = f"write: {programs.Reading('Class', 'method').line}, or … -> number, done at 1"
            return [_finding("program", number, 0, "how this program is read is not said as it must be", hint)]
    return []


def _contract(tree: ast.Module) -> list[Finding]:
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    check = functions.get("check")
    if check is None:
        hint = "add: def check(initial, current): ..."
        return [_finding("contract", 1, 0, "there is no function check(initial, current)", hint)]
    found = []
    if not _takes(check, 2):
        found.append(_at(check, "contract", "check takes two frames", "write: def check(initial, current):"))
    elif check.args.args and not _uses(check, check.args.args[0].arg):
        message = "check never looks at the initial frame"
        hint = "what counts as done usually depends on how the episode began"
        found.append(_at(check, "initial", message, hint, "warning"))
    if not any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(check)):
        found.append(_at(check, "contract", "check returns nothing", "return True, False, or progress from 0 to 1"))
    for name, function in functions.items():
        if name.startswith("identify_") and not _takes(function, 1):
            message, hint = f"{name} takes one frame", f"write: def {name}(image):"
            found.append(_at(function, "contract", message, hint, "warning"))
    return found


def _takes(function: ast.FunctionDef, count: int) -> bool:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    keyword_only = any(default is None for default in arguments.kw_defaults)
    enough = len(positional) >= count or arguments.vararg is not None
    return required <= count and enough and not keyword_only


def _uses(function: ast.FunctionDef, argument: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == argument for node in ast.walk(function))
