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
    """Name: how it is built, its command in that folder (the era comes last), the eras by each way."""
    both = ["legacy", "modern", "auto"]
    tried = {"https": both, "tcp": ["modern", "legacy"], "tls": both, "stdio": both}
    return {"rmcp": (package, lambda folder: [folder / "debug" / "features"], tried)}
