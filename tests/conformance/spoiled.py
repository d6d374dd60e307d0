"""What is spoiled in the server's answers, one thing at a time, and what every client must then complain of.

Used by `clients`. The lengths are the same, so that nothing but the value is wrong.
"""

# Name: what the server says, what the client is told instead, what its complaint must match.
SPOILED = {
    "text": (b"This is a simple text response", b"This is a sample text response", "sample text"),
}
