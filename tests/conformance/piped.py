"""A server on the standard streams whose answers are spoiled on their way out, as `proxied` spoils those on a socket.

Usage: piped.py OLD NEW FILE COMMAND...; the file gets a dot for each time.
"""

import os
import subprocess
import sys

old, new, file, *command = sys.argv[1:]
old, new = old.encode(), new.encode()
with subprocess.Popen(command, stdout=subprocess.PIPE) as server, open(file, "a") as marks:
    # Whole lines, so that nothing is cut in the middle.
    for line in server.stdout:
        marks.write("." * line.count(old))
        marks.flush()
        sys.stdout.buffer.write(line.replace(old, new))
        sys.stdout.buffer.flush()
sys.exit(server.returncode)
