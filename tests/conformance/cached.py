"""What tests download or build for themselves, kept in tests/.cache until its sources change.

Used by `suite` and `fixtures_server.py`; the standard library only.
"""

import hashlib
import shutil
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
CACHE = TOP / "tests" / ".cache"


def sh(*command, **options):
    """Runs a command, which must succeed."""
    subprocess.run([str(part) for part in command], check=True, **options)


def installed(name, sources, install):
    """The folder `name` in the cache, made by `install` unless it was made from the same sources."""
    mark = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    folder = CACHE / name
    stamp = folder / "made-from"
    if not stamp.exists() or stamp.read_text() != mark:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.monotonic()
        install(folder)
        stamp.write_text(mark)
        print(f"installed {name} in {time.monotonic() - began:.0f} s", flush=True)
    return folder
