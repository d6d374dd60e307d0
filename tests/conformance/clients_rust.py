"""The official Rust client.

Used by `clients`; the standard library only.
"""

from cached import CACHE, HERE, sh


def package():
    """Builds the client; cargo knows what is new."""
    folder = CACHE / "rmcp-client"
    manifest = HERE / "rmcp-client" / "Cargo.toml"
    sh("cargo", "build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", folder)
    return folder


def clients():
    """Name: how it is built, its command in the folder that gives (the era comes last), the eras it speaks."""
    return {"rmcp": (package, lambda folder: [folder / "debug" / "features"], ["legacy", "modern", "auto"])}
