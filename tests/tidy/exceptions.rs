//! What is allowed all the same, each with its reason; one that is no longer needed is a violation itself.
//! Next: nothing; the way back is `tests/tidy.rs`.

/// The only files that may contain `unsafe`, each with what for.
pub(crate) const UNSAFE_HOMES: &[(&str, &str)] = &[
    (
        "src/shard/socket.rs",
        "monoio's stream methods want &mut although a stream may be read, written and waited for at once",
    ),
    (
        "src/control/inherited.rs",
        "a descriptor that was inherited has no owner in this program, only a number",
    ),
    (
        "bench/harness/src/echo/ring.rs",
        "the bare ring to measure against talks to io_uring without a runtime",
    ),
    ("tests/allocations.rs", "an allocator that counts can not be written without"),
];

/// One allowed breach.
pub(crate) struct Exception {
    /// The law's name, which is its test's.
    pub(crate) law: &'static str,
    pub(crate) path: &'static str,
    /// The words the violation begins with, without numbers that change.
    pub(crate) found: &'static str,
    /// Read by people, and by the test that it is there.
    pub(crate) reason: &'static str,
}

/// Kept short: ten of these mean that the law or the design is wrong.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        law: "no_function_passes_70_lines",
        path: "src/pipeline/respond/refusal.rs",
        found: "fn row",
        reason: "the one table of refusals: a reader looks for one row, and finds it in one place",
    },
    Exception {
        law: "below_shard_nothing_touches_the_world",
        path: "src/tools/catalog.rs",
        found: "Mutex",
        reason: "an author edits the catalogue from any thread; no request ever takes its lock",
    },
    Exception {
        law: "no_function_is_named_for_nothing",
        path: "tests/conformance/rmcp-client/src/bin/features/noting.rs",
        found: "fn get_info",
        reason: "a trait of the client library under test has that name",
    },
];
