"""The tree at the top of errors.py is the tree of the classes."""

import inspect
import re

from offramp import errors

NODE = re.compile(r"^(?P<lead>[ │├└─]*)(?P<name>\w+Error)(?: \((?P<builtin>\w+)\))?(?: .*)?$")


def drawn() -> dict[str, tuple[str, ...]]:
    """Class name -> names of its parents, as the docstring draws them."""
    tree: dict[str, tuple[str, ...]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if node := NODE.match(line):
            depth = (len(node["lead"]) - 4) // 4  # the whole tree is indented by 4, each level by 4 more
            path[depth:] = [node["name"]]
            tree[node["name"]] = (path[depth - 1] if depth else "Exception", *filter(None, [node["builtin"]]))
    return tree


def test_the_drawn_tree_is_the_tree_of_the_classes() -> None:
    classes = {
        name: tuple(base.__name__ for base in kind.__bases__)
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }
    assert drawn() == classes


def test_one_name_catches_every_error() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(kind, errors.OfframpError) for kind in kinds)
