"""The Python clients: both generations of the official SDK, and FastMCP, each with packages of its own.

Used by `clients`; the standard library only.
"""

import sys

from cached import HERE, installed, sh

PYTHON = HERE / "python"


def packages(name, requirements):
    """Installs what a client needs, unless it is there, and gives the folder."""

    def install(folder):
        sh(sys.executable, "-m", "venv", folder)
        sh(folder / "bin" / "pip", "install", "--quiet", "--no-deps", "-r", PYTHON / requirements)

    return lambda: installed(name, [PYTHON / requirements], install)


def program(file):
    return lambda folder: [folder / "bin" / "python", "-W", "ignore", PYTHON / file]


def clients():
    """Name: how its packages are installed, its command in their folder (the era comes last), the eras by each way."""
    both = ["legacy", "modern", "auto"]
    second = {"https": both, "tcp": ["modern", "legacy"], "tls": ["auto", "legacy"], "stdio": both}
    first = {way: ["legacy"] for way in ["https", "ws", "wss", "sse", "https sse", "stdio"]}
    return {
        "python 2": (packages("python", "requirements.txt"), program("features.py"), second),
        "python 1": (packages("first_python", "first_requirements.txt"), program("first_features.py"), first),
        "fastmcp": (packages("fast_python", "fast_requirements.txt"), program("fast_features.py"), {"https": both}),
    }
