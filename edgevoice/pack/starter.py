"""``python3 PACK ROOT`` on a device that has Python and nothing else: install the runtime, then the voice.

It is the pack's ``__main__.py`` and imports only what travels beside it.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

from edgevoice.pack.incoming import explain, work_folder
from edgevoice.pack.reader import Pack, PackError, opened

INSTALLER = "kit/install.py"
USAGE = "usage: python3 {} ROOT [--json]   (ROOT: the folder to install into)"


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--json"]
    if len(words) != 1 or words[0].startswith("-"):
        print(USAGE.format(sys.argv[0]), file=sys.stderr)
        return 2
    pack, root = Path(sys.argv[0]), Path(words[0]).absolute()
    try:
        status, said = install(pack, root)
    except PackError as error:
        status, said = 2, {"error": " ".join(str(error).split())}
    except OSError as error:
        status, said = 2, {"error": explain(error, root)}
    if "--json" in sys.argv[1:]:
        print(json.dumps(said, indent=1))
    if "error" in said:
        print(f"error: {said['error']}", file=sys.stderr)
    elif "--json" not in sys.argv[1:]:
        release = said["release"]
        print(f"{root} speaks with {release['voice']} (release {release['name']}): try")
        print(f'{root}/bin/edgevoice say "Good morning." --voice {root}')
    return status


def install(path: Path, root: Path) -> tuple[int, dict[str, Any]]:
    """Install the pack's runtime and bundle: the exit status and what `edgevoice deploy --json` says."""
    with opened(path) as pack:
        if INSTALLER not in pack.files:
            raise PackError(
                f"{path} carries no runtime: run `edgevoice install {path} {root}` on a device that has one, "
                "or make the pack with --kit"
            )
        kit = _load(pack)
        made = not root.exists()
        try:
            kit.claim(root)
            with work_folder(root, made) as work:
                home = kit.install(pack.extract("kit", work / "kit"), root)
                bundle = pack.extract("bundle", work / "bundle")
                done = kit.deploy(root, home, bundle, [])
        except kit.InstallError as error:
            raise PackError(str(error)) from None
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = {}
    if done.returncode:
        why = said.get("error") or kit.last_line(done.stderr).replace("error: ", "", 1)
        why = why or f"deploy ended with status {done.returncode}"
        return 2, {**said, "error": why.replace(str(bundle), str(path))}
    return 0, said


def _load(pack: Pack) -> Any:
    """The kit's installer, made of the bytes that were checked: not read from the file a second time."""
    module: Any = types.ModuleType("kit_install")
    exec(compile(pack.data(INSTALLER), INSTALLER, "exec", dont_inherit=True), module.__dict__)
    return module


if __name__ == "__main__":
    sys.exit(main())
