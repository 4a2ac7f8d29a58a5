"""Which functions and constants of a checker's source its answer can depend on."""

import ast


def reached(tree: ast.Module, start: str = "check") -> set[str]:
    """Names of the module that are used by `start`, or by what it uses; `start` among them."""
    uses = {name: _names(node) for node in tree.body for name in _defined(node)}
    found: set[str] = set()
    wanted = {start} & set(uses)
    while wanted:
        name = wanted.pop()
        found.add(name)
        wanted |= (uses[name] & set(uses)) - found
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)]


def _names(node: ast.AST) -> set[str]:
    """Names that are read, but for those that a function makes itself."""
    used = {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load)}
    if not isinstance(node, ast.FunctionDef):
        return used
    made = {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    return used - made - {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
