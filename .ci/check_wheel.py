"""End with an error unless a wheel holds the package, all of it, and nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "lava_align" / "engine" / "core"
EXTENSION = re.compile(r"lava_align/engine/_core\..+\.so")
MAPPING = {
    "lava_align": "lava_align",
    "processes": "lava_align/processes",
    "hw_configs": "lava_align/hw_configs",
}


def in_tree() -> set[str]:
    """Names in the wheel of every file in the mapped folders, but for what is compiled."""
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in MAPPING.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.suffix != ".so"
        and path.parent != SOURCES
    }


def main(wheel: Path) -> str | None:
    """Compare and return the differences as one message, or None."""
    names = set(ZipFile(wheel).namelist())
    prefix = "-".join(wheel.name.split("-")[:2])
    files = {name for name in names if not name.startswith(f"{prefix}.dist-info/")}
    extensions = {name for name in files if EXTENSION.fullmatch(name)}
    files -= extensions
    tree = in_tree()
    wrong = [f"{name} is in the wheel and not in the tree" for name in sorted(files - tree)]
    wrong += [f"{name} is in the tree and not in the wheel" for name in sorted(tree - files)]
    if len(extensions) != 1:
        wrong.append(f"{len(extensions)} compiled engines are in the wheel, not 1")
    if wrong:
        return "\n".join(wrong)
    print(f"{wheel.name}: {len(files)} files, all of lava_align and nothing else")
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
