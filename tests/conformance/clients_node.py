"""The official TypeScript clients, both generations, and the inspector's command line.

Used by `clients` and `events`; the standard library only.
"""

import shutil

from cached import HERE, installed, sh


def packages(name, *programs):
    """Installs what the folder of that name locks, unless it is there, and gives the folder with today's programs."""
    source = HERE / name

    def install(folder):
        for file in ["package.json", "package-lock.json", ".npmrc"]:
            shutil.copy(source / file, folder)
        sh("npm", "ci", "--silent", cwd=folder)

    def ready():
        folder = installed(name, [source / "package-lock.json"], install)
        for program in programs:
            shutil.copy(source / program, folder)
        return folder

    return ready


def program(file, *arguments):
    return lambda folder: [folder / "node_modules" / ".bin" / "node", folder / file, *arguments]


def clients():
    """Name: how its packages are installed, its command in their folder (the era comes last), the eras by each way."""
    both = ["legacy", "modern", "auto"]
    second = {"https": [*both, "2025-06-18", "2025-03-26"], "stdio": both}
    first = {way: ["legacy"] for way in ["https", "ws", "wss", "sse", "https sse", "stdio"]}
    node = packages("node", "features.mjs")
    return {
        "typescript 2": (node, program("features.mjs", "client"), second),
        "typescript 1": (node, program("features.mjs", "sdk"), first),
    }
