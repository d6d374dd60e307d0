"""What is spoiled in the server's answers, one thing at a time, and what every client must then complain of.

Used by `clients` and `run`. The lengths are the same, so that nothing but the value is wrong.
"""

# Name: the era in which it shows, or None for any; what the server says; what the client is told instead; what the client's
# complaint must match.
SPOILED = {
    "text": (None, b"This is a simple text response", b"This is a sample text response", "text"),
    "list": (None, b'"name":"greet"', b'"name":"great"', "tool|listed|greet"),
    "page": (None, b'"nextCursor":', b'"nextCurses":', "listed|pages|tool"),
    "picture": (None, b'"mimeType":"image/png"', b'"mimeType":"image/jpg"', "image|picture"),
    "structure": (None, b'"celsius":21.5', b'"celsius":21.6', "structured"),
    "failure": (None, b'"isError":true', b'"isErrer":true', "error"),
    "arguments": (None, b"/name: 7 is not", b"/nome: 7 is not", "argument|greet"),
    "refusal": (None, b'"code":-32602', b'"code":-32603', "refused"),
    "resource": (None, b"Data for ID", b"Dada for ID", "template"),
    "prompt": (None, b"arg2='", b"arg3='", "prompt"),
    "completion": (None, b'"park"', b'"perk"', "completion"),
    "progress": (None, b'"progress":50', b'"progress":51', "progress"),
    "log": (None, b"Tool processing data", b"Tool processing date", "log"),
    "question": (None, b'"maxTokens":100', b'"maxTokens":101', "sampl|model|asked|asks"),
    "form": (None, b'"default":95.5', b'"default":95.4', "default|form|asks"),
    "choice": (None, b'"Third Option"', b'"Thirt Option"', "choice|form|asks|enums"),
    "change": (None, b"notifications/tools/list_changed", b"notifications/tools/list_chanced", "list_?changed"),
    "update": (None, b"notifications/resources/updated", b"notifications/resources/updates", "update|watched"),
    "resumption": ("legacy", b"Reconnection test completed", b"Reconnection test complexed", "closed|reconnection"),
    "cut": ("legacy", b"\nid: ", b"\nie: ", "cut|closed|reconnection|stream|timed? ?out"),
    "late": ("legacy", b"Computed late in", b"Computed lite in", "cut"),
    "round": ("modern", b'"resultType":"input_required"', b'"resultType":"input_acquired"', "acquired|asks|prompt|model"),
    "state": ("modern", b'"requestState":"', b'"requestStete":"', "confirm|state|question|asks|result"),
}
# What shows only where a stream that was cut is resumed.
RESUMED = {"cut", "late"}
