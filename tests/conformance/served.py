"""A server under test as a child process: started, read line by line until it is ready, stopped.

Used by `run` and `curl_line`; the standard library only.
"""

import os
import subprocess
import tempfile
import threading

PATIENCE = 30


class Served:
    """`with Served(command) as served:`; leaving the block stops the server and expects exit 0 within PATIENCE."""

    def __init__(self, command):
        self.command = [str(part) for part in command]

    def __enter__(self):
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True)
        return self

    def line(self, wanted, what):
        """The first line of standard output for which `wanted` gives something, as what it gives."""
        overdue = threading.Timer(PATIENCE, self.process.kill)
        overdue.start()
        try:
            for line in self.process.stdout:
                if (found := wanted(line)) is not None:
                    return found
        finally:
            overdue.cancel()
        raise SystemExit(f"{self.command[0]} never printed {what}; it said:\n{self.said()}")

    def said(self):
        """The end of what it wrote to standard error."""
        self.log.seek(0)
        return self.log.read()[-4000:]

    def __exit__(self, kind, _error, _trace):
        # Read on, so that a server which still writes is not held up by a full pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "none, it had to be killed"
        if kind is None and code != 0:
            raise SystemExit(f"{self.command[0]} was told to stop and left with exit code {code}; it said:\n{self.said()}")


def product(data_dir, *more):
    """The command that starts the server of this project on a free port."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(top, "target"))
    binary = os.environ.get("MCPRING_TEST_BINARY", os.path.join(target, "release", "mcpring"))
    return [os.path.abspath(binary), "dev", "--port", "0", "--data-dir", data_dir, *more]
