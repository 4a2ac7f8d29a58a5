"""The static gate: what a checker's source may hold, told by rule, line and column. Runs in a sealed worker only.

It explains and keeps honest mistakes out; it is not a boundary.
"""

import ast
from typing import Any

from vlmcar_core.sandbox.inside import keeping

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

Finding = dict[str, Any]


def examine(source: str) -> list[Finding]:
    """Every finding, errors and warnings, by line.

    Each is {"rule", "severity", "line" (from 1), "column" (from 0), "message", "hint"}.
    """
    if len(source.encode("utf-8", "replace")) > SOURCE_LIMIT_BYTES:
        return [_finding("size", 1, 0, f"the source is larger than {SOURCE_LIMIT_BYTES // 1024} KiB", "shorten it")]
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [_finding("syntax", error.lineno or 1, max(0, (error.offset or 1) - 1), f"not Python: {error.msg}", "")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [_finding("syntax", 1, 0, f"cannot be read as Python: {error}", "")]
    found = [item for node in ast.walk(tree) for item in _node(node)]
    found += [_at(node, "state", message, hint) for node, message, hint in keeping.kept(tree)]
    return sorted(found + _contract(tree), key=lambda item: (item["line"], item["column"]))


def refusals(source: str) -> list[Finding]:
    """The findings for which a checker is not run."""
    return [item for item in examine(source) if item["severity"] == "error"]


def _finding(rule: str, line: int, column: int, message: str, hint: str, severity: str = "error") -> Finding:
    return {"rule": rule, "severity": severity, "line": line, "column": column, "message": message, "hint": hint}


def _at(node: ast.AST, rule: str, message: str, hint: str, severity: str = "error") -> Finding:
    return _finding(rule, getattr(node, "lineno", 1), getattr(node, "col_offset", 0), message, hint, severity)


def _node(node: ast.AST) -> list[Finding]:
    if isinstance(node, ast.Import):
        return [item for alias in node.names for item in _import(node, alias.name)]
    if isinstance(node, ast.ImportFrom):
        wanted = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        relative = [_at(node, "import", "a relative import", "import a library by its name")] if node.level else []
        return relative + [item for name in wanted for item in _import(node, name)]
    if isinstance(node, ast.Name):
        return _name(node)
    if isinstance(node, ast.Attribute):
        return _attribute(node, node.attr)
    if isinstance(node, ast.Global | ast.Nonlocal):
        kind = type(node).__name__.lower()
        return [_at(node, "state", f"{kind} {', '.join(node.names)} keeps state", "return what you need instead")]
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
        return [_at(node, "async", "asynchronous code", "a checker is a plain function")]
    return []


def _import(node: ast.AST, name: str) -> list[Finding]:
    root, *parts = name.split(".")
    if root not in IMPORTS:
        return [_at(node, "import", f"{root!r} may not be imported", "use numpy, cv2, skimage or math")]
    return [item for part in parts for item in _attribute(node, part)]


def _name(node: ast.Name) -> list[Finding]:
    if node.id in NAMES and isinstance(node.ctx, ast.Load):
        return [_at(node, "name", f"{node.id!r} may not be used", NAMES[node.id])]
    if node.id.startswith("__") and node.id not in ("__name__", "__import__"):
        return [_at(node, "name", f"{node.id!r} may not be used", "use no names with two underscores")]
    return []


def _attribute(node: ast.AST, name: str) -> list[Finding]:
    if name.startswith("__"):
        return [_at(node, "attribute", f".{name} may not be used", "use no names with two underscores")]
    if name in ATTRIBUTES:
        return [_at(node, "attribute", f".{name} may not be used", ATTRIBUTES[name])]
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
